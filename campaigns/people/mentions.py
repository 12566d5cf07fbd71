"""Erase a person's number from what campaigns store about other people: tags, texts, responses, skipped rows of sheets."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence

from django.db import connection, transaction
from django.db.models import Q, QuerySet

from accounts.people.mentions import erase_mentions
from accounts.people.persons import Person
from campaigns.models import Campaign, ImportStatus, Recipient, Run, SheetImport
from campaigns.tag_sizes import without_values
from telephony import people

BATCH = 500
# Each text that an account has written for all recipients, with its owner.
_WRITTEN = """
    SELECT owner_id, id, 'campaign' AS kind, concat_ws(' ', name, description, message, sms_message, tags::text) AS text
      FROM campaigns_campaign WHERE deleted_at IS NULL
     UNION ALL
    SELECT c.owner_id, c.id, 'campaign', concat_ws(' ', s.text, s.input_name)
      FROM campaigns_surveystep s JOIN campaigns_survey v ON v.id = s.survey_id
      JOIN campaigns_campaign c ON c.id = v.campaign_id WHERE c.deleted_at IS NULL AND s.replaced_at IS NULL
     UNION ALL
    SELECT t.owner_id, t.id, 'template', concat_ws(' ', t.name, s.text, s.input_name)
      FROM campaigns_surveytemplate t LEFT JOIN campaigns_templatestep s ON s.template_id = t.id
     UNION ALL
    SELECT t.owner_id, t.id, 'text template', concat_ws(' ', t.name, v.message, v.sms_message)
      FROM campaigns_texttemplate t JOIN campaigns_textversion v ON v.template_id = t.id
     UNION ALL
    SELECT owner_id, id, 'list', concat_ws(' ', name, description, tags::text) FROM campaigns_contactlist"""


def erase_from_tags(person: Person, recipients: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Empty the tag values that contain the number; return the changed recipients.

    Recipients are given and returned as (id, campaign).
    """
    had = []
    for start in range(0, len(recipients), BATCH):
        chosen = dict(recipients[start : start + BATCH])
        with transaction.atomic():
            locked = Recipient.objects.select_for_update(of=("self",), no_key=True).order_by("pk")
            changed: dict[int, str] = {}
            for row in locked.filter(pk__in=chosen).only("pk", "tags"):
                tags = {tag: "" if person.is_in(str(value)) else value for tag, value in row.tags.items()}
                if tags != row.tags:
                    changed[row.pk] = json.dumps(tags, ensure_ascii=False)
            with connection.cursor() as cursor:
                cursor.execute(
                    """UPDATE campaigns_recipient r SET tags = changed.tags
                         FROM unnest(%s::bigint[], %s::jsonb[]) AS changed(id, tags) WHERE r.id = changed.id""",
                    [list(changed), list(changed.values())],
                )
        had += [(pk, chosen[pk]) for pk in changed]
    return had


def erase_from_runs(person: Person, runs: QuerySet[Run]) -> int:
    """Erase the number in ended calls and SMS of these runs, in responses, and in the messages of ended runs.

    Returns how many calls, SMS and responses contained the number.
    """
    ids = list(runs.values_list("pk", flat=True))
    if not ids:
        return 0
    erase_mentions(
        person,
        table="campaigns_run",
        columns=("message", "sms_message"),
        where="id = ANY(%s) AND finished_at IS NOT NULL",
        parameters=[ids],
    )
    answers = erase_mentions(
        person,
        table="campaigns_surveyanswer",
        columns=("text",),
        where="run_id = ANY(%s) AND audio_id IS NULL",
        parameters=[ids],
    )
    return len(answers) + people.erase_from_batches(person, batches=ids)


def latest_runs(person: Person) -> QuerySet[Run]:
    """Return the runs that had not ended when the erasure was requested. Their messages may contain the number."""
    ended_later = Q(finished_at=None) | Q(finished_at__gte=person.since)
    return Run.objects.filter(ended_later, campaign__owner__in=person.owner_ids)


def is_under_way(person: Person) -> bool:
    """Return whether a call, an SMS or an OTP to somebody else is under way and contains the number."""
    return people.is_mentioned_under_way(
        person, batches=list(latest_runs(person).values_list("pk", flat=True))
    )


def count_written(person: Person) -> int:
    """Return how many campaigns and templates contain the number in a text that is for all recipients."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT count(DISTINCT (kind, id)) FROM ({_WRITTEN}) w
                 WHERE owner_id = ANY(%s) AND text ~ %s AND text ~ %s""",
            [list(person.owner_ids), person.core, person.pattern],
        )
        return int(cursor.fetchone()[0])


def erase_sizes(campaigns: Collection[int]) -> None:
    """Remove tag values from what campaigns store about themselves.

    Earlier releases stored tag values in `tag_sizes`. The `pause_reason` of a run may quote a value.
    """
    for pk in sorted(campaigns):
        with transaction.atomic():
            campaign = Campaign.objects.select_for_update(of=("self",), no_key=True).get(pk=pk)
            sizes = without_values(campaign.tag_sizes)
            if sizes != campaign.tag_sizes:
                Campaign.objects.filter(pk=pk).update(tag_sizes=sizes)
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE campaigns_run SET pause_reason = regexp_replace(pause_reason, '“[^”]*”', '“…”', 'g')
                WHERE campaign_id = ANY(%s) AND pause_reason LIKE '%%“%%'""",
            [list(campaigns)],
        )


def erase_from_errors(person: Person, campaigns: Sequence[int]) -> None:
    """Erase the number in the skipped rows of sheets."""
    ended = SheetImport.objects.filter(campaign__in=campaigns).exclude(status=ImportStatus.IMPORTING)
    for pk, errors in ended.exclude(errors=[]).values_list("pk", "errors"):
        text = json.dumps(errors, ensure_ascii=False)
        if person.is_in(text):
            kept = [error | {"message": person.without(str(error.get("message", "")))} for error in errors]
            SheetImport.objects.filter(pk=pk).update(errors=kept)
