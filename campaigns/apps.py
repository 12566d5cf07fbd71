from django.apps import AppConfig


class CampaignsConfig(AppConfig):
    name = "campaigns"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from accounts.account_settings import register_check
        from accounts.people import registry
        from campaigns.runs.outcomes import conclude, note_heard
        from campaigns.runs.rules import read_calling_hours, read_frequency_cap, read_retry, read_waves
        from campaigns.runs.setting_aside import set_aside_for_numbers
        from campaigns.surveys.responses import store_responses
        from campaigns.webhook_events import tell_ended
        from telephony.engine.signals import answers_given, deliveries_changed
        from telephony.inventory.signals import numbers_retired
        from telephony.seeds.numbers import release_ended_holds

        register_check("retry", lambda account, sent: read_retry(sent))
        register_check("calling_hours", lambda account, sent: read_calling_hours(sent))
        register_check("frequency_cap", lambda account, sent: read_frequency_cap(sent))
        register_check("waves", lambda account, sent: read_waves(sent))
        deliveries_changed.connect(conclude, dispatch_uid="campaigns.conclude")
        deliveries_changed.connect(tell_ended, dispatch_uid="campaigns.webhooks")  # after `conclude`
        numbers_retired.connect(set_aside_for_numbers, dispatch_uid="campaigns.retired_numbers")
        answers_given.connect(store_responses, dispatch_uid="campaigns.store_responses")
        answers_given.connect(note_heard, dispatch_uid="campaigns.note_heard")
        deliveries_changed.connect(release_ended_holds, dispatch_uid="campaigns.seeds")
        registry.register("campaigns.people.lists")
        registry.register("campaigns.people.holder")
