from django.apps import AppConfig
from django.db.models.signals import post_delete, post_migrate, post_save


class TelephonyConfig(AppConfig):
    name = "telephony"
    label = "telephony"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from accounts.account_settings import register_check
        from accounts.people import registry
        from accounts.signals import twin_opened
        from telephony import phone_numbers
        from telephony.engine import restore_hold, time_slices
        from telephony.optouts.keywords import read_own_keywords
        from telephony.speech import voices
        from webhooks import holds

        voice = self.get_model("Voice")
        post_migrate.connect(voices.seed, sender=self, dispatch_uid="telephony.seed_voices")
        post_migrate.connect(restore_hold.adopt_new, sender=self, dispatch_uid="telephony.adopt_database")
        twin_opened.connect(phone_numbers.invent_numbers, dispatch_uid="telephony.invent_numbers")
        registry.register("telephony.people.holder")
        holds.hold_while(restore_hold.is_held)
        holds.yield_while(time_slices.are_processors_needed)
        register_check("default_voice", lambda account, name: voices.resolve(name))
        register_check("opt_out_words", lambda account, words: read_own_keywords(words))
        register_check("default_caller", phone_numbers.owned_number)
        post_save.connect(voices.clear_cache, sender=voice, dispatch_uid="telephony.voice_saved")
        post_delete.connect(voices.clear_cache, sender=voice, dispatch_uid="telephony.voice_deleted")
