from typing import Any

from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    name = "webhooks"
    label = "webhooks"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from accounts import signals
        from accounts.people import registry

        registry.register("webhooks.people")
        signals.credits_fell_low.connect(_tell_low_credits, dispatch_uid="webhooks")


def _tell_low_credits(sender: Any, account_ids: list[int], **others: Any) -> None:
    from webhooks import outbox

    outbox.publish_low_credits(account_ids)
