"""Find and erase what the outbox stores about a person: events with the phone number in their bodies.

An event that still waits is sent without the number and what the person wrote: an erasure is worth more than an
unchanged body.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from accounts.people.mentions import erase_mentions
from accounts.people.passes import BATCH, Pass
from accounts.people.persons import ERASED, Person
from accounts.people.registry import Expiry, Holder, Rows
from webhooks.events import Event
from webhooks.models import OutboxMessage

# The keys of data in which events have what a person wrote.
_WORDS = {Event.SMS_RECEIVED.value: "text", Event.OPT_OUT_ADDED.value: "reason"}
_OF_OWNERS = "endpoint_id IN (SELECT id FROM webhooks_endpoint WHERE owner_id = ANY(%s))"


class WebhooksHolder(Holder):
    name = "webhooks"

    def finish(self, person: Person) -> dict[str, int]:
        """Erase the number in events. Until calls and SMS to the person have ended, further events may name it."""
        ids = erase_mentions(
            person,
            table="webhooks_outboxmessage",
            columns=("body",),
            where=_OF_OWNERS,
            parameters=[list(person.owner_ids)],
        )
        for start in range(0, len(ids), BATCH):
            _erase_words(ids[start : start + BATCH])
        return {"webhooks": len(ids)}

    def export(self, person: Person, *, most: int) -> dict[str, Rows]:
        """Return which events named the person. Their contents are copies of other rows."""
        rows = OutboxMessage.objects.filter(
            endpoint__owner__in=person.owner_ids, body__regex=person.core
        ).order_by("-pk")
        found = rows.filter(body__regex=person.pattern).select_related("endpoint")[:most]
        return {
            "webhooks": [
                {
                    "event": row.event,
                    "id": row.webhook_id,
                    "url": row.endpoint.url,
                    "created_at": row.created_at.isoformat(),
                }
                for row in found
            ]
        }


@transaction.atomic
def _erase_words(ids: Sequence[int]) -> None:
    """Erase what people wrote in these events: the texts of inbound SMS, and the reasons of opt-outs."""
    rows = OutboxMessage.objects.filter(pk__in=ids, event__in=list(_WORDS)).order_by("pk")
    changed = []
    for row in rows.select_for_update(no_key=True):
        body = json.loads(row.body)
        body["data"][_WORDS[row.event]] = ERASED
        row.body = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        changed.append(row)
    OutboxMessage.objects.bulk_update(changed, ["body"])


def _expire(one: Pass, before: datetime) -> None:
    old = OutboxMessage.objects.filter(endpoint__owner=one.account, created_at__lt=before).order_by("pk")
    while ids := list(old.values_list("pk", flat=True)[:BATCH]):
        OutboxMessage.objects.filter(pk__in=ids).delete()
        one.count("messages", 0)


HOLDER = WebhooksHolder()
EXPIRIES = (Expiry("keep_messages_days", _expire),)
