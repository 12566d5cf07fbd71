"""Find and erase the OTPs that were sent to a person. Their holds and costs stay."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Q, QuerySet

from accounts.people.mentions import erase_mentions
from accounts.people.passes import Pass
from accounts.people.persons import ERASED, Person
from accounts.people.registry import Expiry, Holder, Rows
from otp.models import Otp
from telephony.models import FINAL
from telephony.people import erase_deliveries

BATCH = 1000


class OtpHolder(Holder):
    name = "otp"

    def erase(self, person: Person) -> dict[str, int]:
        """Erase the numbers, passwords and texts of the person's ended OTPs."""
        sent = Otp.objects.filter(owner__in=person.owner_ids, to=person.number, created_at__lte=person.until)
        return {"otps": erase_rows(sent)}

    def finish(self, person: Person) -> dict[str, int]:
        """Erase the number in OTPs to others."""
        ids = erase_mentions(
            person,
            table="otp_otp",
            columns=("message",),
            where="owner_id = ANY(%s)",
            parameters=[list(person.owner_ids)],
        )
        return {"mentions": len(ids)}

    def export(self, person: Person, *, most: int) -> dict[str, Rows]:
        """Return the person's OTPs without their passwords."""
        rows = Otp.objects.filter(owner__in=person.owner_ids, to=person.number).order_by("-pk")[:most]
        return {
            "otps": [
                {"id": row.pk, "channel": row.channel, "created_at": row.created_at.isoformat()}
                for row in rows.only("pk", "channel", "created_at")
            ]
        }


def erase_rows(rows: QuerySet[Otp]) -> int:
    """Erase the ended OTPs among these rows, in batches; return how many were erased."""
    ended = rows.filter(Q(delivery=None) | Q(delivery__status__gte=FINAL)).order_by("pk")
    erased = 0
    while ids := list(ended.values_list("pk", flat=True)[:BATCH]):
        erased += Otp.objects.filter(pk__in=ids).update(number=ERASED, to="", code="", message="")
    return erased


def _expire(one: Pass, before: datetime) -> None:
    def is_over(row: Otp) -> bool:
        return row.created_at < before and (row.delivery is None or row.delivery.status >= FINAL)

    def erase(rows: list[Otp]) -> int:
        erased = erase_rows(Otp.objects.filter(pk__in=[row.pk for row in rows]).exclude(number=ERASED))
        erase_deliveries([row.delivery_id for row in rows if row.delivery_id])
        return erased

    sent = Otp.objects.filter(owner=one.account).select_related("delivery")
    one.erase_in_order("otps", sent, is_over=is_over, erase=erase)


HOLDER = OtpHolder()
EXPIRIES = (Expiry("keep_messages_days", _expire),)
