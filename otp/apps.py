from django.apps import AppConfig


class OtpConfig(AppConfig):
    name = "otp"
    label = "otp"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from accounts.people import registry
        from otp import services
        from telephony.engine.signals import deliveries_changed

        deliveries_changed.connect(services.release_ended_holds, dispatch_uid="otp.release_ended_holds")
        registry.register("otp.people")
