"""Erase what telephony stores about a person: calls and SMS, the inbox, opt-outs, the sandbox's messages.

Functions that erase work in batches, and can be repeated at any time. They keep the rows, amounts and times, and remove the
phone number, the texts, the pressed keys and the recordings. They skip calls and SMS that have not ended, because a
carrier's report still has to find them.
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
from telephony.models import FINAL, Cause, Delivery, OptOut, Purpose, SandboxMessage, SeedNumber
from telephony.models.statuses import END
from telephony.speech import pruning

BATCH = 1000


def stop(person: Person) -> int:
    """Stop the campaigns' queued calls and SMS to the person, and queued OTPs that were created up to `person.until`.

    Returns how many deliveries ended.
    """
    return lifecycle.terminate_to(person.number, owner_ids=person.owner_ids, otps_until=person.until)


def has_unfinished(person: Person) -> bool:
    """Return whether calls or SMS to the person are under way."""
    return bool(deliveries_to(person).filter(status__lt=FINAL).exists())


def erase(person: Person) -> dict[str, int]:
    """Erase the ended calls and SMS, the inbox and the opt-outs of the person; return how many rows of each kind changed.

    `finish` erases the reports and the sandbox's messages. `erase_from_texts` erases the person's number in texts to others.
    """
    return {
        "messages": _erase_all_deliveries(person),
        "inbox": _erase_inbox(person),
        "opt_outs": _hide_opt_outs(person),
        "seed_numbers": _erase_seed_numbers(person),
    }


def finish(person: Person) -> dict[str, int]:
    """Erase unmatched reports on the person and the sandbox's messages to the person; return how many rows of each kind.

    They are needed as long as a call or SMS to the person is under way. So call this after all of them have ended.
    """
    with connection.cursor() as cursor:
        # Reports are stored without an account. Reports that may be about a delivery of another account stay.
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
    """Erase these messages of the sandbox; return how many. Their deliveries have ended."""
    return messages.update(to=ERASED, text="", audio_name="", script=None, keys="", hidden=True)


def erase_from_texts(person: Person) -> int:
    """Erase mentions of the person's number; return how many rows contained it.

    The number may be mentioned in inbound SMS, in the sources of opt-outs, in sandbox messages, and in ended OTPs to others.
    """
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
    """Erase the person's number in ended calls and SMS of these batches to other people; return how many contained it.

    The speech of these calls is removed, too.
    """
    ids = erase_mentions(
        person,
        table="telephony_delivery",
        columns=("text", "digits", "carrier_text"),
        where=f"purpose IN ('{Purpose.CAMPAIGN.value}', '{Purpose.SEED.value}') AND batch = ANY(%s) AND status >= {END}",
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
    """Return whether a call, an SMS or an OTP that has not ended mentions the person's number.

    Checks deliveries that were created up to `person.until`: the calls and SMS of these batches, and all OTPs of the
    accounts.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT EXISTS (SELECT FROM telephony_delivery
                                WHERE status < {END} AND created_at <= %(until)s AND text ~ %(core)s AND text ~ %(pattern)s
                                  AND (purpose IN ('{Purpose.CAMPAIGN.value}', '{Purpose.SEED.value}')
                                       AND batch = ANY(%(batches)s)
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
    """Erase the numbers, texts, pressed keys and recordings of ended deliveries among these; return how many were erased."""
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
    """Remove synthesized speech that only erased deliveries used. Uploads stay, because clients use them again."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM telephony_audio WHERE id = ANY(%s) AND voice <> ''", [sorted(ids)])
        speech = [row[0] for row in cursor.fetchall()]
    if speech:
        pruning.erase_unused(speech)


def deliveries_to(person: Person) -> QuerySet[Delivery]:
    """Return the calls and SMS to the person that were created up to `person.until`."""
    return Delivery.objects.filter(to=person.number, owner__in=person.owner_ids, created_at__lte=person.until)


def _erase_all_deliveries(person: Person) -> int:
    erased = 0
    ended = deliveries_to(person).filter(status__gte=FINAL).order_by("pk").values_list("pk", flat=True)
    while ids := list(ended[:BATCH]):
        erased += erase_deliveries(ids)
    return erased


@transaction.atomic
def _erase_inbox(person: Person) -> int:
    """Erase the inbound SMS of the person, and the parts from which these SMS were assembled."""
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


def _erase_seed_numbers(person: Person) -> int:
    return SeedNumber.objects.filter(owner__in=person.owner_ids, number=person.number).delete()[0]


@transaction.atomic
def _hide_opt_outs(person: Person) -> int:
    """Replace the number with its pseudonym in opt-out lists, so that it stays opted out; return how many rows had it."""
    hidden = 0
    for row in OptOut.objects.select_for_update().filter(owner__in=person.owner_ids, number=person.number):
        name = pseudonym_of(person.number, owner_id=row.owner_id)
        if OptOut.objects.filter(owner_id=row.owner_id, number=name).exists():
            row.delete()
        else:
            row.number, row.source, row.evidence = name, "", {}
            row.save(update_fields=["number", "source", "evidence"])
        hidden += 1
    # When an operator adds or deletes an opt-out in the admin pages, Django's log stores its number in `object_repr`.
    others = OptOut.objects.exclude(owner__in=person.owner_ids).filter(number=person.number)
    kept = [str(pk) for pk in others.values_list("pk", flat=True)]
    noted = LogEntry.objects.filter(
        content_type=ContentType.objects.get_for_model(OptOut), object_repr=person.number
    )
    noted.exclude(object_id__in=kept).update(object_repr=ERASED)
    return hidden
