"""Export what telephony stores about a person."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import Q

from accounts.people.persons import Person
from accounts.people.pseudonyms import MARK, spellings_of
from telephony.models import InboundMessage, OptOut, Purpose
from telephony.people.erasing import deliveries_to


def export(person: Person, *, most: int) -> dict[str, list[dict[str, Any]]]:
    """Return what telephony stores about the person, by kind: at most `most` rows of each kind, the newest first."""
    listed = Q()
    for owner_id in person.owner_ids:
        listed |= Q(owner=owner_id, number__in=spellings_of(person.number, owner_id=owner_id))
    return {
        "messages": list(_exported_deliveries(person, most=most)),
        "inbox": [
            {"text": row.text, "to": row.to, "received_at": row.received_at.isoformat()}
            for row in InboundMessage.objects.filter(
                sender=person.number, owner__in=person.owner_ids
            ).order_by("-pk")[:most]
        ],
        "opt_outs": [
            {
                "channel": row.channel or "all",
                "way": row.way or None,
                "source": row.source,
                "evidence": row.evidence,
                "created_at": row.created_at.isoformat(),
                "erased": row.number.startswith(MARK),
            }
            for row in OptOut.objects.filter(listed).order_by("-pk")[:most]
        ],
    }


def _exported_deliveries(person: Person, *, most: int) -> Iterator[dict[str, Any]]:
    # `otp.people` exports the OTPs, without the password.
    for row in deliveries_to(person).exclude(purpose=Purpose.OTP).order_by("-pk")[:most]:
        yield {
            "id": row.pk,
            "channel": row.channel,
            "status": row.get_status_display(),
            "text": row.text,
            "keys": row.digits,
            "caller": row.caller,
            "seconds": row.seconds,
            "playback": row.playback,
            "credits": f"{row.credits:f}",
            "created_at": row.created_at.isoformat(),
            "ended_at": None if row.ended_at is None else row.ended_at.isoformat(),
        }
