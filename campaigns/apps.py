from django.apps import AppConfig


class CampaignsConfig(AppConfig):
    name = "campaigns"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from accounts.people import registry
        from campaigns.runs.failover import send_sms_after_missed_calls
        from campaigns.runs.recipient_statuses import update_recipients
        from campaigns.runs.setting_aside import set_aside_for_numbers
        from campaigns.surveys.responses import store_responses
        from telephony.engine.signals import answers_given, deliveries_changed
        from telephony.inventory.signals import numbers_retired

        deliveries_changed.connect(update_recipients, dispatch_uid="campaigns.update_recipients")
        # Signals reach their receivers in this order: the call of a recipient is recorded before its SMS is queued.
        deliveries_changed.connect(send_sms_after_missed_calls, dispatch_uid="campaigns.failover")
        numbers_retired.connect(set_aside_for_numbers, dispatch_uid="campaigns.retired_numbers")
        answers_given.connect(store_responses, dispatch_uid="campaigns.store_responses")
        registry.register("campaigns.people.holder")
