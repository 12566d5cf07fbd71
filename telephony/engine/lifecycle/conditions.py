"""The conditions of a claim, as SQL about a row `d` of deliveries. Claims and `engine.held_back` use these expressions.

A condition that is added here is obeyed by claims and named by `held_back`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from telephony.models.statuses import QUEUED


class Wait(StrEnum):
    """Why a queued delivery is not claimed now. These words are published."""

    PAUSED = "paused"
    NEXT_TRY = "next_try"
    CARRIER = "carrier_asked_to_wait"
    HOURS = "outside_hours"
    LATER = "not_due"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Condition:
    """`sql` holds for deliveries that may be claimed. `wait` names why the others are not, as SQL of a text."""

    sql: str
    wait: str


# An empty `carrier_text` means that no carrier has refused the delivery for now (`results.requeue`).
_NOT_BEGUN = f"""CASE WHEN d.not_before = 'infinity' THEN '{Wait.PAUSED}'
                      WHEN d.carrier_text <> '' THEN '{Wait.CARRIER}'
                      WHEN d.try_number > 1 THEN '{Wait.NEXT_TRY}'
                      WHEN d.not_after IS NOT NULL THEN '{Wait.HOURS}'
                      ELSE '{Wait.LATER}' END"""
HAS_BEGUN = "d.not_before <= statement_timestamp()"
CONDITIONS = (
    Condition(HAS_BEGUN, _NOT_BEGUN),
    # Deliveries whose calling hours are over are few: the next tick moves them to the next hours (`hours`).
    Condition("(d.not_after IS NULL OR d.not_after > statement_timestamp())", f"'{Wait.HOURS}'"),
    Condition("(d.useful_until IS NULL OR d.useful_until > statement_timestamp())", f"'{Wait.EXPIRED}'"),
)
DUE = " AND ".join(condition.sql for condition in CONDITIONS)
# The first condition that does not hold names the wait. NULL for a delivery that may be claimed.
WAIT = f"CASE {' '.join(f'WHEN NOT {one.sql} THEN {one.wait}' for one in CONDITIONS)} END"


def is_queued_and_due(trunk: str) -> str:
    """Return the condition that a delivery `d` is queued on a trunk, given as SQL, and may be claimed."""
    return f"d.trunk_id = {trunk} AND d.status = {QUEUED} AND {DUE}"
