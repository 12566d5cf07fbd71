"""Find out what a run would cost, or why it cannot begin, by beginning it and undoing that at once."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import transaction

from campaigns.models import Campaign, RunStatus
from campaigns.runs.begin import begin


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """What a run would be: for how many recipients, how many credits it holds, and the most that one recipient can cost."""

    recipients: int
    hold: Decimal
    call_limit: Decimal
    sms_limit: Decimal
    needs_approval: bool


class _Undone(Exception):
    """Rolls the beginning back."""


def rehearse(*, campaign: Campaign, **how: Any) -> Rehearsal:
    """Return what `begin` with the same arguments would do, by the same rules. Nothing changes, except that speech is kept.

    Raises what `begin` raises.
    """
    found: Rehearsal | None = None
    try:
        with transaction.atomic():
            run = begin(campaign=campaign, **how)
            found = Rehearsal(
                recipients=run.recipient_count,
                hold=run.hold.amount,
                call_limit=run.call_limit,
                sms_limit=run.sms_limit,
                needs_approval=run.status == RunStatus.AWAITING,
            )
            raise _Undone
    except _Undone:
        assert found is not None
        return found
