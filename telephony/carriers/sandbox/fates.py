"""What happens to calls and SMS in the sandbox: by the number, or by the faults that somebody has set."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from zlib import crc32

from django.db import models

from telephony.models import Channel, SandboxFaults


class Fate(models.TextChoices):
    """What happens to a call or SMS. BUSY, NO_ANSWER, HANGS_UP and OPTS_OUT are for calls: an SMS completes instead."""

    COMPLETES = "completes"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    HANGS_UP = "hangs_up"
    INVALID = "invalid"
    SILENT = "silent"
    DOUBLED = "doubled"
    THROTTLED = "throttled"
    ANSWER_LOST = "answer_lost"
    OPTS_OUT = "opts_out"


FATES = {
    "9901": Fate.BUSY,
    "9902": Fate.NO_ANSWER,
    "9903": Fate.HANGS_UP,
    "9904": Fate.INVALID,
    "9905": Fate.SILENT,
    "9906": Fate.DOUBLED,
    "9907": Fate.THROTTLED,
    "9908": Fate.ANSWER_LOST,
    "9909": Fate.OPTS_OUT,
}

EVERYBODY = 0  # stands for all accounts that have no faults of their own
MAX_LATENCY_SECONDS = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class Faults:
    """The shares, in per cent, of calls and SMS with a fault, and by how many seconds all reports come later.

    `busy` concerns only calls. `lost` are those on which nothing is ever reported. `throttled` are refused at the first
    attempt, and accepted at the second.
    """

    busy: int = 0
    lost: int = 0
    throttled: int = 0
    latency_seconds: int = 0


NO_FAULTS = Faults()


def faults_of(owner_id: int) -> Faults:
    """Return the faults that were set for an account, or for EVERYBODY."""
    return _stored([owner_id]).get(owner_id, NO_FAULTS)


def faults_by_owner(owner_ids: Collection[int]) -> dict[int, Faults]:
    """Return the faults that hold for each of these accounts: its own, otherwise those of EVERYBODY. Takes one query."""
    stored = _stored({*owner_ids, EVERYBODY})
    of_everybody = stored.get(EVERYBODY, NO_FAULTS)
    return {owner: stored.get(owner, of_everybody) for owner in owner_ids}


def set_faults(owner_id: int, faults: Faults) -> None:
    """Set the faults of an account, or of EVERYBODY. They hold for what is submitted from now on."""
    SandboxFaults.objects.update_or_create(owner_id=owner_id, defaults=asdict(faults))


def fate_of(*, to: str, key: str, channel: Channel, faults: Faults) -> Fate:
    """Return what happens to a call or SMS. The number decides first, then the faults, always alike for the same key."""
    if (known := FATES.get(to[-4:])) is not None:
        return known
    drawn = crc32(key.encode()) % 100
    for share, fate in (
        (faults.throttled, Fate.THROTTLED),
        (faults.lost, Fate.SILENT),
        (faults.busy, Fate.BUSY),
    ):
        if drawn < share:
            return Fate.COMPLETES if fate is Fate.BUSY and channel is not Channel.CALL else fate
        drawn -= share
    return Fate.COMPLETES


def _stored(owner_ids: Collection[int]) -> dict[int, Faults]:
    rows = SandboxFaults.objects.filter(owner_id__in=owner_ids)
    names = tuple(Faults.__annotations__)
    return {row.owner_id: Faults(**{name: getattr(row, name) for name in names}) for row in rows}
