"""The conditions, in SQL, under which a recipient may not be contacted. Claims and all other checks use them."""

from __future__ import annotations

from typing import Any

from accounts.people.pseudonyms import sql_of
from telephony.models import Purpose


def opted_out(delivery: str, *, erased: bool = True) -> tuple[str, dict[str, Any]]:
    """Return the condition that the recipient of a row of deliveries has opted out, and its parameters.

    OTPs are exempt, because recipients request them, and so are deliveries of runs that may reach people who have opted out.
    For erased numbers, the list has only pseudonyms. Without `erased`, the condition does not compare pseudonyms: it is
    cheaper, and finds only the opt-outs of numbers that have not been erased.
    """
    numbers = f'{delivery}."to"'
    parameters: dict[str, Any] = {}
    if erased:
        pseudonyms, parameters = sql_of(f"{delivery}.owner_id", f'{delivery}."to"')
        numbers = f"{numbers}, {pseudonyms}"
    return (
        f"""({delivery}.purpose <> '{Purpose.OTP.value}' AND NOT {delivery}.past_opt_outs AND EXISTS (
                SELECT FROM telephony_optout o WHERE o.owner_id = {delivery}.owner_id
                   AND o.channel IN ('', {delivery}.channel) AND o.number IN ({numbers})))""",
        parameters,
    )


def blocked(delivery: str) -> str:
    """Return the condition that the operator has blocked the recipient of a row of deliveries."""
    return f"""EXISTS (SELECT FROM telephony_blockednumber b WHERE b.number = {delivery}."to"
                      AND (b.also_otps OR {delivery}.purpose <> '{Purpose.OTP.value}'))"""
