"""Find out from the stored receipts which option of a trunk is wrong, for `manage.py trunk_status`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.db import connection

from telephony.carriers.smpp.receipts import MessageIdFormat
from telephony.models import PartReporting

# Younger receipts may still be matched, because their submit responses may not be stored yet.
MIN_AGE_SECONDS = 30
MAX_AGE_HOURS = 24
SAMPLE_SIZE = 200
MIN_SHARE = 0.5  # of the sample that an option must match before it is recommended


def advice(alias: str, settings: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each problem that the receipts of this trunk show. Each check takes a few queries."""
    return [
        sentence for sentence in (_about_ids(alias, settings), _about_long_sms(alias, settings)) if sentence
    ]


def _about_ids(alias: str, settings: Mapping[str, Any]) -> str:
    """Return a sentence on how many receipts match no SMS, and which option would make them match."""
    unmatched = _unmatched(alias)
    if not unmatched:
        return ""
    count = len(unmatched)
    which = f"{count}" if count < SAMPLE_SIZE else f"The latest {count}"
    told = f"{which} receipts of the last {MAX_AGE_HOURS} hours match no SMS"
    found = {
        option: _count_matching(alias, [(translate(ref), number) for ref, number in unmatched])
        for option, translate in _alternatives(settings).items()
    }
    best = max(found, key=lambda option: found[option], default="")
    if best and found[best] >= MIN_SHARE * count:
        return f"{told}. With {best}, {found[best]} of them would: set it, and restart the trunk's worker."
    example, number = unmatched[0]
    return (
        f"{told}, such as the one about {example!r}. Are they for SMS of another system, or are ids written"
        " differently in responses and in receipts (message_ids, tlv_ids_as_text)?"
    )


def _unmatched(alias: str) -> list[tuple[str, str]]:
    """Return the ids and numbers of the latest final receipts whose ids no delivery has."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT u.ref, u.number FROM telephony_unmatchedreport u JOIN telephony_trunk t ON t.id = u.trunk_id
                WHERE t.alias = %s AND u.ref <> ''
                  AND u.created_at BETWEEN statement_timestamp() - make_interval(hours => %s)
                                       AND statement_timestamp() - make_interval(secs => %s)
                  AND NOT EXISTS (SELECT FROM telephony_delivery d
                                   WHERE d.trunk_id = t.id AND d.ref = u.ref AND d.ref <> '')
                  AND NOT EXISTS (SELECT FROM telephony_messagepart p WHERE p.trunk_id = t.id AND p.ref = u.ref)
                ORDER BY u.id DESC LIMIT %s""",
            [alias, MAX_AGE_HOURS, MIN_AGE_SECONDS, SAMPLE_SIZE],
        )
        return list(cursor.fetchall())


def _alternatives(settings: Mapping[str, Any]) -> dict[str, Callable[[str], str]]:
    """Return, for each other setting, a function that translates the id of a receipt to the id of its delivery."""
    now = MessageIdFormat(settings["message_ids"])
    found: dict[str, Callable[[str], str]] = {}

    def with_format(other: MessageIdFormat) -> Callable[[str], str]:
        def translate(ref: str) -> str:
            in_receipt = _written(ref, hexadecimal=now is MessageIdFormat.DECIMAL_THEN_HEX)
            in_response = _written(
                other.from_receipt(in_receipt), hexadecimal=other is MessageIdFormat.HEX_THEN_DECIMAL
            )
            return now.from_response(in_response)

        return translate

    for other in MessageIdFormat:
        if other is not now:
            found[f'message_ids = "{other.value}"'] = with_format(other)
    if now is not MessageIdFormat.SAME and not settings["tlv_ids_as_text"]:
        in_hexadecimal = now is MessageIdFormat.HEX_THEN_DECIMAL
        found["tlv_ids_as_text = true"] = lambda ref: now.from_receipt(
            _written(ref, hexadecimal=in_hexadecimal)
        )
    return found


def _written(ref: str, *, hexadecimal: bool) -> str:
    """Return the id `ref` as the SMSC wrote it. `hexadecimal`: iris has translated it from hexadecimal digits."""
    return format(int(ref), "x") if hexadecimal and ref.isdecimal() else ref


def _count_matching(alias: str, wanted: Sequence[tuple[str, str]]) -> int:
    """Count the pairs of id and number that belong to a delivery. A receipt without a readable number counts by its id."""
    with connection.cursor() as cursor:
        cursor.execute(
            """WITH wanted AS (SELECT * FROM unnest(%s::text[], %s::text[]) AS w(ref, number)),
                    trunk AS (SELECT id FROM telephony_trunk WHERE alias = %s)
               SELECT count(*) FROM wanted w
                WHERE EXISTS (SELECT FROM telephony_delivery d JOIN trunk ON trunk.id = d.trunk_id
                               WHERE d.ref = w.ref AND d.ref <> ''
                                 AND (d."to" = w.number OR NOT starts_with(w.number, '+')))
                   OR EXISTS (SELECT FROM telephony_messagepart p JOIN trunk ON trunk.id = p.trunk_id
                                JOIN telephony_delivery d ON d.id = p.delivery_id
                               WHERE p.ref = w.ref AND (d."to" = w.number OR NOT starts_with(w.number, '+')))""",
            [[ref for ref, _ in wanted], [number for _, number in wanted], alias],
        )
        return int(cursor.fetchone()[0])


def _about_long_sms(alias: str, settings: Mapping[str, Any]) -> str:
    """Return a sentence if this SMSC sends, or seems to send, only one receipt for a long SMS."""
    if settings["receipts_for_long"] == "one" or settings["concatenation"] == "payload":
        return ""
    learned = settings["receipts_for_long"] == "auto"
    known = PartReporting.objects.filter(trunk__alias=alias, one_since__isnull=False).first()
    if learned and known is not None:
        return (
            f"Since {known.one_since:%d %b %H:%M} one receipt counts for all parts of a long SMS, because this SMSC sends"
            ' no more. receipts_for_long = "each" ends that.'
        )
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT count(*) FILTER (WHERE told = 1), count(*) FILTER (WHERE told > 1)
                 FROM (SELECT count(*) FILTER (WHERE p.delivered) AS told
                         FROM telephony_messagepart p JOIN telephony_trunk t ON t.id = p.trunk_id WHERE t.alias = %s
                        GROUP BY p.delivery_id
                       HAVING count(*) > 1 AND min(p.delivered_at) < statement_timestamp() - interval '5 min') sms""",
            [alias],
        )
        one, several = cursor.fetchone()
    if not one or several:
        return ""
    rule = " iris finds that out by itself after ten such SMS." if learned else ""
    return (
        f"{one} long SMS got a receipt for one of their parts only. If this SMSC sends one receipt for a long SMS, set"
        f' receipts_for_long = "one".{rule}'
    )
