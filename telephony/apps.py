from django.apps import AppConfig
from django.db.models.signals import post_delete, post_migrate, post_save


class TelephonyConfig(AppConfig):
    name = "telephony"
    label = "telephony"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from telephony import restored
        from telephony.voices import directory

        voice = self.get_model("Voice")
        post_migrate.connect(directory.seed, sender=self, dispatch_uid="telephony.seed_voices")
        post_migrate.connect(restored.adopt_new, sender=self, dispatch_uid="telephony.adopt_database")
        post_save.connect(directory.forget, sender=voice, dispatch_uid="telephony.voice_saved")
        post_delete.connect(directory.forget, sender=voice, dispatch_uid="telephony.voice_deleted")
