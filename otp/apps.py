from django.apps import AppConfig


class OtpConfig(AppConfig):
    name = "otp"
    label = "otp"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from accounts.people import registry
        from otp import services, webhook_events
        from telephony.engine.signals import deliveries_changed

        deliveries_changed.connect(services.release_ended_holds, dispatch_uid="otp.release_ended_holds")
        deliveries_changed.connect(webhook_events.tell_ended, dispatch_uid="otp.webhooks")
        registry.register("otp.people")
