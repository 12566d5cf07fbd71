from django.apps import AppConfig


class CampaignsConfig(AppConfig):
    name = "campaigns"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from campaigns.lifecycle import record_recipients
        from telephony.signals import deliveries_changed

        deliveries_changed.connect(record_recipients, dispatch_uid="campaigns.record_recipients")
