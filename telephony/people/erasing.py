"""Erase what telephony stores about a person: calls and SMS, the inbox, opt-outs, the sandbox's messages.

Functions that erase work in batches, and can be repeated at any time. They keep rows, amounts and times, and replace number,
texts, keys and recordings. Calls and SMS that have not ended are left alone: a carrier's report still has to find them.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import connection, transaction
from django.db.models import QuerySet

from accounts.people.mentions import erase_mentions
from accounts.people.persons import ERASED, Person
from accounts.people.pseudonyms import pseudonym_of
from telephony.engine import lifecycle
from telephony.models import FINAL, Cause, Delivery, OptOut, Purpose, SandboxMessage
from telephony.models.statuses import END
from telephony.speech import pruning

BATCH = 1000


def stop(person: Person) -> int:
    """Stop the queued calls and SMS of campaigns to the person, and OTPs until `person.until`; return how many."""
    return lifecycle.terminate_to(person.number, owner_ids=person.owner_ids, otps_until=person.until)


def has_unfinished(person: Person) -> bool:
    """Return whether calls or SMS to the person are under way."""
    return bool(deliveries_to(person).filter(status__lt=FINAL).exists())


def erase(person: Person) -> dict[str, int]:
    """Erase all that telephony stores about the person; return how many rows of each kind had something to erase.

    `finish` erases the rest, and `erase_from_texts` what was said about the person to others.
    """
    return {
        "messages": _erase_all_deliveries(person),
        "inbox": _erase_inbox(person),
        "opt_outs": _hide_opt_outs(person),
    }


def finish(person: Person) -> dict[str, int]:
    """Erase what reports needed as long as a call or SMS was under way; return the same as `erase`."""
    with connection.cursor() as cursor:
        # Reports are stored without an account. Those that may be about deliveries of other accounts stay.
        cursor.execute(
            f"""DELETE FROM telephony_unmatchedreport u WHERE u.number = %s AND NOT EXISTS (
                    SELECT FROM telephony_delivery d WHERE d."to" = u.number AND d.trunk_id = u.trunk_id
                       AND (d.status < {END} OR d.cause = '{Cause.LOST.value}'))""",
            [person.number],
        )
        reports = cursor.rowcount
    messages = SandboxMessage.objects.filter(to=person.number, owner_id__in=person.owner_ids)
    return {"reports": reports, "sandbox": erase_sandbox(messages)}


def erase_sandbox(messages: QuerySet[SandboxMessage]) -> int:
    """Erase these messages of the sandbox, whose deliveries have ended; return how many."""
    return messages.update(to=ERASED, text="", audio_name="", script=None, hidden=True)


def erase_from_texts(person: Person) -> int:
    """Erase the number in what others have written, and in OTPs to others; return in how many rows it was."""
    owners = [list(person.owner_ids)]
    return sum(
        len(
            erase_mentions(
                person, table=f"telephony_{table}", columns=columns, where=where, parameters=owners
            )
        )
        for table, columns, where in (
            ("inboundmessage", ("text",), "owner_id = ANY(%s)"),
            ("optout", ("source",), "owner_id = ANY(%s)"),
            ("sandboxmessage", ("text",), "owner_id = ANY(%s)"),
            (
                "delivery",
                ("text",),
                f"owner_id = ANY(%s) AND purpose = '{Purpose.OTP.value}' AND status >= {END}",
            ),
        )
    )


def erase_from_batches(person: Person, *, batches: Sequence[int]) -> int:
    """Erase the number in ended calls and SMS of campaigns to others; return how many had it.

    The speech of these calls is removed, too.
    """
    ids = erase_mentions(
        person,
        table="telephony_delivery",
        columns=("text", "digits", "carrier_text"),
        where=f"purpose = '{Purpose.CAMPAIGN.value}' AND batch = ANY(%s) AND status >= {END}",
        parameters=[list(batches)],
    )
    for start in range(0, len(ids), BATCH):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                """WITH locked AS (
                       SELECT d.id, d.audio_id FROM telephony_delivery d JOIN telephony_audio a ON a.id = d.audio_id
                        WHERE d.id = ANY(%s) AND a.voice <> '' ORDER BY d.id FOR NO KEY UPDATE OF d
                   )
                   UPDATE telephony_delivery d SET audio_id = NULL FROM locked WHERE d.id = locked.id
                   RETURNING locked.audio_id""",
                [ids[start : start + BATCH]],
            )
            pruning.erase_unused({row[0] for row in cursor.fetchall()})
    return len(ids)


def is_mentioned_under_way(person: Person, *, batches: Sequence[int]) -> bool:
    """Return whether calls or SMS of these batches, or OTPs, to others contain the number and are under way."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT EXISTS (SELECT FROM telephony_delivery
                                WHERE status < {END} AND created_at <= %(until)s AND text ~ %(core)s AND text ~ %(pattern)s
                                  AND (purpose = '{Purpose.CAMPAIGN.value}' AND batch = ANY(%(batches)s)
                                       OR purpose = '{Purpose.OTP.value}' AND owner_id = ANY(%(owners)s)))""",
            {
                "until": person.until,
                "core": person.core,
                "pattern": person.pattern,
                "batches": list(batches),
                "owners": list(person.owner_ids),
            },
        )
        return bool(cursor.fetchone()[0])


def erase_deliveries(ids: Sequence[int]) -> int:
    """Erase number, texts, keys and recordings of those of these deliveries that have ended; return how many."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            f"""WITH locked AS (
                    SELECT id, audio_id FROM telephony_delivery WHERE id = ANY(%s) AND status >= {END}
                     ORDER BY id FOR NO KEY UPDATE
                )
                UPDATE telephony_delivery d
                   SET "to" = %s, text = '', carrier_text = '', digits = '', audio_id = NULL
                  FROM locked WHERE d.id = locked.id
                RETURNING locked.audio_id""",
            [list(ids), ERASED],
        )
        recordings = [row[0] for row in cursor.fetchall()]
        _erase_speech({pk for pk in recordings if pk is not None})
    return len(recordings)


def _erase_speech(ids: set[int]) -> None:
    """Remove the speech that was made for erased deliveries only. Uploads stay: clients use them again."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM telephony_audio WHERE id = ANY(%s) AND voice <> ''", [sorted(ids)])
        speech = [row[0] for row in cursor.fetchall()]
    if speech:
        pruning.erase_unused(speech)


def deliveries_to(person: Person) -> QuerySet[Delivery]:
    """Return the calls and SMS to the person until `person.until`."""
    return Delivery.objects.filter(to=person.number, owner__in=person.owner_ids, created_at__lte=person.until)


def _erase_all_deliveries(person: Person) -> int:
    erased = 0
    ended = deliveries_to(person).filter(status__gte=FINAL).order_by("pk").values_list("pk", flat=True)
    while ids := list(ended[:BATCH]):
        erased += erase_deliveries(ids)
    return erased


@transaction.atomic
def _erase_inbox(person: Person) -> int:
    """Erase the inbound SMS of the person, and the parts of which they were assembled."""
    with connection.cursor() as cursor:
        cursor.execute(
            """WITH erased AS (
                   SELECT id, trunk_id, sender, "to" FROM telephony_inboundmessage
                    WHERE sender = %s AND owner_id = ANY(%s) ORDER BY id FOR UPDATE
               ), parts AS (
                   DELETE FROM telephony_inboundpart p USING erased e
                    WHERE p.trunk_id = e.trunk_id AND p.sender = e.sender AND p."to" = e."to"
                      AND p.joined_at IS NOT NULL
               )
               UPDATE telephony_inboundmessage m SET sender = %s, text = '' FROM erased WHERE m.id = erased.id""",
            [person.number, list(person.owner_ids), ERASED],
        )
        return int(cursor.rowcount)


@transaction.atomic
def _hide_opt_outs(person: Person) -> int:
    """Replace the number by its pseudonym in the opt-out lists, so that it stays opted out; return how many."""
    hidden = 0
    for row in OptOut.objects.select_for_update().filter(owner__in=person.owner_ids, number=person.number):
        name = pseudonym_of(person.number, owner_id=row.owner_id)
        if OptOut.objects.filter(owner_id=row.owner_id, number=name).exists():
            row.delete()
        else:
            row.number, row.source = name, ""
            row.save(update_fields=["number", "source"])
        hidden += 1
    # The admin pages note under its number each opt-out that an operator has added or deleted there.
    others = OptOut.objects.exclude(owner__in=person.owner_ids).filter(number=person.number)
    kept = [str(pk) for pk in others.values_list("pk", flat=True)]
    noted = LogEntry.objects.filter(
        content_type=ContentType.objects.get_for_model(OptOut), object_repr=person.number
    )
    noted.exclude(object_id__in=kept).update(object_repr=ERASED)
    return hidden
