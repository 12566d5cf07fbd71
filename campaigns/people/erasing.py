"""Erase what campaigns store about a person: recipients with tags, survey responses, skipped rows of sheets.

Recipients have no index of numbers. So a step reads some campaigns of the account, in the order of their ids. A caller that
stores the id of the last campaign can continue later. Rows, statuses and costs stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import connection, transaction

from accounts.people.persons import ERASED, Person
from accounts.people.registry import ErasedStep
from campaigns.models import (
    Answer,
    Campaign,
    ImportStatus,
    Recipient,
    ReportFile,
    Run,
    RunStatus,
    SheetImport,
)
from campaigns.people import mentions
from iris.locks import wait_for
from telephony import people
from telephony.models import FINAL, Purpose
from telephony.speech import pruning

# Maximum numbers of campaigns and of recipients in one step. A single campaign may have more recipients.
CAMPAIGNS_AT_ONCE, RECIPIENTS_AT_ONCE = 500, 100_000
BATCH = 500  # recipients in a transaction
FILL_SECONDS = 3.0  # how long a step waits for a process that queues the calls and SMS of a run


def erase_next(person: Person, *, after: int) -> ErasedStep | None:
    """Erase the person in the next campaigns after the id `after`. Return None if there are no more."""
    campaigns = next_campaigns(person, after=after)
    if not campaigns:
        return None
    own, others = found_in(person, campaigns)
    for start in range(0, len(own), BATCH):
        _erase_recipients(person, own[start : start + BATCH])
    others = mentions.erase_from_tags(person, others)
    mentions.erase_sizes({campaign for _, campaign in (*own, *others)})
    runs = Run.objects.filter(campaign__in=campaigns)
    counts = {"recipients": len(own), "mentions": len(others) + mentions.erase_from_runs(person, runs)}
    mentions.erase_from_errors(person, campaigns)
    # Everything else is erased by now, so a report that is created from now on does not have the number.
    ReportFile.objects.filter(campaign__in=campaigns).discard()
    return ErasedStep(campaigns[-1], counts)


def importing(person: Person, *, before: datetime) -> bool:
    """Return whether sheets that were uploaded before this time are still being imported."""
    return SheetImport.objects.filter(
        campaign__owner__in=person.owner_ids, status=ImportStatus.IMPORTING, created_at__lte=before
    ).exists()


def wait_for_fillers(person: Person) -> bool:
    """Wait until no process can still queue calls or SMS to recipients as they were before the erasure.

    Returns False if a process needs more than FILL_SECONDS.

    Call this outside transactions, after the recipients have been erased.
    """
    filling = Run.objects.filter(
        campaign__owner__in=person.owner_ids,
        status__in=[RunStatus.RUNNING, RunStatus.STOPPING, RunStatus.PAUSED],
        filled_at=None,
    )
    return all(wait_for(f"fill:{pk}", seconds=FILL_SECONDS) for pk in filling.values_list("pk", flat=True))


def erase_recipients(ids: Sequence[int]) -> int:
    """Erase the numbers, tags and responses of these recipients, and the messages to them; return how many recipients.

    The recipients are erased last: after a crash, the next process finds the other rows through them.
    """
    people.erase_deliveries(_ended_deliveries(ids))
    erase_answers(ids)
    with connection.cursor() as cursor:
        cursor.execute(
            """WITH locked AS (
                   SELECT id FROM campaigns_recipient WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE
               )
               UPDATE campaigns_recipient r SET number = %s, "to" = '', tags = '{}' FROM locked WHERE r.id = locked.id""",
            [list(ids), ERASED],
        )
        return int(cursor.rowcount)


@transaction.atomic
def erase_answers(recipients: Sequence[int]) -> int:
    """Delete the survey responses of these recipients and their recordings; return how many responses."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM campaigns_surveyanswer WHERE recipient_id = ANY(%s) RETURNING audio_id",
            [list(recipients)],
        )
        recordings = [row[0] for row in cursor.fetchall()]
    pruning.erase_unused({pk for pk in recordings if pk is not None})
    return len(recordings)


def next_campaigns(person: Person, *, after: int) -> list[int]:
    """Return the ids of the next campaigns, including campaigns that their owner has deleted."""
    rows = Campaign.objects.filter(owner__in=person.owner_ids, pk__gt=after).order_by("pk")
    chosen: list[int] = []
    recipients = 0
    for pk, count in rows.values_list("pk", "number_count")[:CAMPAIGNS_AT_ONCE]:
        recipients += count
        if chosen and recipients > RECIPIENTS_AT_ONCE:
            break
        chosen.append(pk)
    return chosen


def found_in(person: Person, campaigns: Sequence[int]) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Return the person's recipients, and other recipients whose tags may contain the number, as (id, campaign) each."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT id, campaign_id, "to" = %s FROM campaigns_recipient
                WHERE campaign_id = ANY(%s) AND ("to" = %s OR tags::text ~ %s) ORDER BY id""",
            [person.number, list(campaigns), person.number, person.core],
        )
        rows = cursor.fetchall()
    own = [(pk, campaign) for pk, campaign, is_own in rows if is_own]
    return own, [(pk, campaign) for pk, campaign, is_own in rows if not is_own]


def _erase_recipients(person: Person, found: Sequence[tuple[int, int]]) -> None:
    # Somebody may have given the recipient another number since it was found.
    still = Recipient.objects.filter(pk__in=[pk for pk, _ in found], to=person.number)
    erase_recipients(list(still.values_list("pk", flat=True)))


def _ended_deliveries(recipients: Sequence[int]) -> list[int]:
    """Return the ended deliveries to these recipients in all runs, including deliveries to their earlier numbers."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT d.id FROM campaigns_recipient r JOIN campaigns_run run ON run.campaign_id = r.campaign_id
                 JOIN telephony_delivery d ON d.batch = run.id AND d.item = r.id AND d.purpose = %s
                WHERE r.id = ANY(%s) AND d.status >= %s""",
            [Purpose.CAMPAIGN.value, list(recipients), int(FINAL)],
        )
        return [row[0] for row in cursor.fetchall()]


@transaction.atomic
def erase_recordings(recipients: Sequence[int], *, run_id: int) -> int:
    """Remove the recordings of these recipients' responses in a run; return how many. The rows of the responses stay."""
    with connection.cursor() as cursor:
        cursor.execute(
            """WITH spoken AS (
                   SELECT a.id, a.audio_id FROM campaigns_surveyanswer a JOIN campaigns_surveystep s ON s.id = a.step_id
                    WHERE a.recipient_id = ANY(%s) AND a.run_id = %s AND s.answer = %s AND a.text <> %s
                    ORDER BY a.id FOR UPDATE OF a
               )
               UPDATE campaigns_surveyanswer a SET text = %s, audio_id = NULL FROM spoken WHERE a.id = spoken.id
               RETURNING spoken.audio_id""",
            [list(recipients), run_id, Answer.SPEECH.value, ERASED, ERASED],
        )
        recordings = [row[0] for row in cursor.fetchall()]
    pruning.erase_unused({pk for pk in recordings if pk is not None})
    return len(recordings)
