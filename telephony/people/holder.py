"""Let requests about people, and passes of retention, reach what telephony stores about them."""

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
    received = InboundMessage.objects.filter(owner=one.account, received_at__lt=before).order_by("pk")
    while ids := list(
        received.filter(pk__gt=one.mark("inbox") or 0).values_list("pk", flat=True)[: passes.BATCH]
    ):
        rows = InboundMessage.objects.filter(pk__in=ids).exclude(sender=ERASED)
        erased = rows.update(sender=ERASED, text="")
        one.reach("inbox", ids[-1])
        one.count("messages", erased)


def _expire_sandbox(one: Pass, before: datetime) -> None:
    old = SandboxMessage.objects.filter(owner_id=one.account.pk, created_at__lt=before).order_by("pk")
    while rows := list(
        old.filter(pk__gt=one.mark("sandbox") or 0).values_list("pk", "report_at")[: passes.BATCH]
    ):
        due = [pk for pk, report_at in rows if report_at is not None]
        ids = [pk for pk, _ in rows if not due or pk < due[0]]
        if not ids:
            return
        erased = erasing.erase_sandbox(SandboxMessage.objects.filter(pk__in=ids).exclude(to=ERASED))
        one.reach("sandbox", ids[-1])
        one.count("messages", erased)


EXPIRIES = (
    Expiry("keep_messages_days", _expire_inbox),
    Expiry("keep_messages_days", _expire_sandbox),
)
