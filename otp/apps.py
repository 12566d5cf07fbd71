from django.apps import AppConfig


class OtpConfig(AppConfig):
    name = "otp"
    label = "otp"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from otp import services
        from telephony.engine.signals import deliveries_changed

        deliveries_changed.connect(services.settle_ended, dispatch_uid="otp.settle_ended")
