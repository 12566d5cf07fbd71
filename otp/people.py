"""Find and erase the OTPs that were sent to a person. Their holds and costs stay."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet

from otp.models import Otp
from telephony.models import FINAL
from telephony.persons import ERASED, Person

BATCH = 1000


def erase(person: Person) -> int:
    """Erase number, password and text of the person's OTPs that have ended; return how many."""
    sent = Otp.objects.filter(owner__in=person.owner_ids, to=person.number, created_at__lte=person.until)
    return erase_rows(sent)


def erase_rows(rows: QuerySet[Otp]) -> int:
    """Erase those of these OTPs that have ended, in batches; return how many."""
    ended = rows.filter(Q(delivery=None) | Q(delivery__status__gte=FINAL)).order_by("pk")
    erased = 0
    while ids := list(ended.values_list("pk", flat=True)[:BATCH]):
        erased += Otp.objects.filter(pk__in=ids).update(number=ERASED, to="", code="", message="")
    return erased


def export(person: Person, *, most: int) -> list[dict[str, Any]]:
    """Return the person's OTPs without their passwords, the newest first, at most `most`."""
    rows = Otp.objects.filter(owner__in=person.owner_ids, to=person.number).order_by("-pk")[:most]
    return [
        {"id": row.pk, "channel": row.channel, "created_at": row.created_at.isoformat()}
        for row in rows.only("pk", "channel", "created_at")
    ]
