from django.apps import AppConfig


class CampaignsConfig(AppConfig):
    name = "campaigns"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from campaigns.lifecycle import record_recipients
        from campaigns.surveys.answers import record_answers
        from telephony.signals import answers_given, deliveries_changed

        deliveries_changed.connect(record_recipients, dispatch_uid="campaigns.record_recipients")
        answers_given.connect(record_answers, dispatch_uid="campaigns.record_answers")
