"""The holder of telephony: lets requests about people, and passes of retention, reach what telephony stores about them."""

from __future__ import annotations

from datetime import datetime

from accounts.people import passes
from accounts.people.passes import Pass
from accounts.people.persons import ERASED, Person
from accounts.people.registry import Expiry, Holder, Rows
from telephony.models import InboundMessage, SandboxMessage
from telephony.people import erasing, exporting

_UNDER_WAY = "Calls or SMS to the number are under way. They are erased when they have ended."


class TelephonyHolder(Holder):
    name = "telephony"

    def stop(self, person: Person) -> None:
        erasing.stop(person)

    def erase(self, person: Person) -> dict[str, int]:
        return erasing.erase(person)

    def under_way(self, person: Person) -> str:
        return _UNDER_WAY if erasing.has_unfinished(person) else ""

    def finish(self, person: Person) -> dict[str, int]:
        return erasing.finish(person) | {"mentions": erasing.erase_from_texts(person)}

    def export(self, person: Person, *, most: int) -> dict[str, Rows]:
        return exporting.export(person, most=most)


def _expire_inbox(one: Pass, before: datetime) -> None:
    # Carriers say when an SMS was received, so the ids are not in the order of `received_at`, and an id cannot be the mark.
    old = InboundMessage.objects.filter(owner=one.account, received_at__lt=before).exclude(sender=ERASED)
    while ids := list(old.order_by("pk").values_list("pk", flat=True)[: passes.BATCH]):
        one.count("messages", InboundMessage.objects.filter(pk__in=ids).update(sender=ERASED, text=""))


def _expire_sandbox(one: Pass, before: datetime) -> None:
    messages = SandboxMessage.objects.filter(owner_id=one.account.pk)

    def erase(rows: list[SandboxMessage]) -> int:
        erasing.erase_sandbox(messages.filter(pk__in=[row.pk for row in rows]).exclude(to=ERASED))
        return 0  # sandbox messages are copies of deliveries, which are counted already

    one.erase_in_order(
        "sandbox",
        messages,
        is_over=lambda row: row.report_at is None and row.created_at < before,
        erase=erase,
    )


HOLDER = TelephonyHolder()
EXPIRIES = (
    Expiry("keep_messages_days", _expire_inbox),
    Expiry("keep_messages_days", _expire_sandbox),
)
