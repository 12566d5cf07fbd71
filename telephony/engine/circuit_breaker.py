"""Decide from a trunk's failures whether it rests or is paused. The state is in the trunk's row, for all processes.

A trunk that *rests* is tried again after some seconds; its deliveries wait. A trunk that is *paused* gets no deliveries, and
those that no carrier can have move to the next trunk of their route. iris pauses a trunk when its configuration is wrong,
its account is empty, it accepted nothing during several rests in a row, it does not respond, or it reports nothing any more
(`telephony.engine.silence`). Now and then a paused trunk is tried with one delivery, the canary
(`telephony.engine.canaries`). A trunk that an operator has paused stays paused until the operator resumes it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone

from accounts import audit, mail
from accounts.models import User
from iris.errors import InvalidInput, NotFound
from telephony.carriers.base import Accepted, Carrier, Result, SessionCarrier, Unknown
from telephony.engine.pace_setting import MAX_CPS
from telephony.models import PauseCause, Trunk
from telephony.webhook_events import tell_paused

log = logging.getLogger(__name__)

# A trunk that accepted nothing during this many rests in a row, and for at least this long, is paused.
MAX_RESTS_IN_A_ROW = 5
MIN_OUTAGE = timedelta(seconds=30)
# A failure this long after the one before begins a new row.
FORGET_FAILURES_AFTER = timedelta(hours=1)
# Seconds from the pause to the first canary, and the longest time between two canaries. The time doubles after each.
PROBE_SECONDS: dict[PauseCause, tuple[float, float]] = {
    PauseCause.ERRORS: (10, 60),
    PauseCause.MISCONFIGURED: (300, 3600),  # a carrier may block a login that is wrong too often
    PauseCause.FUNDS: (300, 3600),
    PauseCause.SILENCE: (600, 3600),
}
# Submissions in a row without a response after which a trunk is paused. Each of them may be lost.
MAX_UNANSWERED_IN_A_ROW = 10
MIN_BETWEEN_MAILS = timedelta(minutes=15)

_unanswered: dict[str, int] = {}  # such submissions of this process, by trunk
_working: set[str] = set()  # trunks that have accepted something; the next claim of this process notes it


@dataclass(frozen=True, slots=True)
class Probe:
    """What a claim needs to know of a paused trunk."""

    cause: PauseCause
    count: int

    def next_at(self, now: datetime) -> datetime:
        """Return when the canary after the present one is due."""
        return now + timedelta(seconds=probe_seconds(self.cause, self.count + 1))


def probe_seconds(cause: PauseCause, count: int) -> float:
    """Return the seconds until the next canary, after `count` canaries."""
    first, longest = PROBE_SECONDS[cause]
    return min(first * 2.0 ** min(count, 20), longest)


def note_results(carrier: Carrier, results: Sequence[Result]) -> bool:
    """Remember that the trunk works, if it has accepted anything; the next claim stores it. Pause it if it does not respond.

    Return whether it is paused now.

    A carrier that keeps a connection notices itself that nobody responds, and loses many responses at once when the
    connection breaks, so it is not paused for that.
    """
    alias = carrier.alias
    if any(isinstance(result, Accepted) for result in results):
        _working.add(alias)
        _unanswered.pop(alias, None)
        return False
    unanswered = [result for result in results if isinstance(result, Unknown)]
    if not unanswered or isinstance(carrier, SessionCarrier):
        return False
    count = _unanswered.get(alias, 0) + len(unanswered)
    if count < MAX_UNANSWERED_IN_A_ROW:
        _unanswered[alias] = count
        return False
    _unanswered.pop(alias, None)
    fail(
        alias,
        reason=f"It is unknown whether it has accepted the last {count} calls or SMS: {unanswered[-1].text}",
        cause=PauseCause.ERRORS,
    )
    return True


def take_working(alias: str) -> bool:
    """Return whether the trunk has accepted anything in this process since the last call."""
    if alias in _working:
        _working.discard(alias)
        return True
    return False


def rest(alias: str, *, reason: str, seconds: float) -> None:
    """Let a trunk rest for `seconds`. Pause it if it has only been resting for a while."""
    _tolerantly(alias, lambda: _rest(alias, reason=reason, seconds=seconds))


def fail(alias: str, *, reason: str, cause: PauseCause) -> None:
    """Pause a trunk that certainly cannot be used. It is tried with a canary now and then."""
    _tolerantly(alias, lambda: _pause(alias, reason=reason, cause=cause))


def pause(alias: str, *, reason: str = "") -> None:
    """Pause a trunk until an operator resumes it. Raises NotFound if there is no such trunk."""
    row = _existing(alias)
    with transaction.atomic():
        trunk = Trunk.objects.select_for_update(no_key=True).get(pk=row.pk)
        trunk.pause_reason = (reason.strip() or "An operator has paused it.")[:200]
        trunk.pause_cause = PauseCause.OPERATOR
        trunk.paused_at, trunk.paused_until = timezone.now(), None
        trunk.probe_at, trunk.probes, trunk.canary = None, 0, None
        trunk.save(update_fields=_PAUSE_FIELDS)
        audit.note(
            account_id=None, action="trunk_paused", kind="trunk", object_id=trunk.pk, name=alias,
            reason=trunk.pause_reason,
        )  # fmt: skip
        tell_paused(trunk_id=trunk.pk, alias=alias, cause=PauseCause.OPERATOR)


def resume(alias: str, *, reason: str = "") -> bool:
    """Let a trunk submit again; return whether it was paused or resting. Raises NotFound if there is no such trunk."""
    row = _existing(alias)
    with transaction.atomic():
        trunk = Trunk.objects.select_for_update(no_key=True).get(pk=row.pk)
        if not trunk.pause_reason:
            return False
        was_told = (
            trunk.told_at is not None and trunk.paused_at is not None and trunk.told_at >= trunk.paused_at
        )
        trunk.pause_reason, trunk.pause_cause = "", ""
        trunk.paused_at = trunk.paused_until = trunk.probe_at = trunk.canary = trunk.failing_since = None
        trunk.probes, trunk.rests = 0, 0
        trunk.save(update_fields=[*_PAUSE_FIELDS, "rests", "failing_since"])
        audit.note(
            account_id=None, action="trunk_resumed", kind="trunk", object_id=trunk.pk, name=alias,
            reason=reason or None,
        )  # fmt: skip
        if was_told:
            _mail(f"The trunk {alias} works again", reason or "An operator has resumed it.")
    log.warning("The trunk %s works again. %s", alias, reason, extra={"trunk": alias})
    return True


def set_pace(alias: str, cps: float | None) -> None:
    """Set the pace of a trunk at run time, in deliveries per second. None restores that of the carriers file.

    Raises NotFound if there is no such trunk, and InvalidInput if no trunk can have this pace.
    """
    if cps is not None and not 0 < cps <= MAX_CPS:
        raise InvalidInput(
            f"The pace must be more than 0 and at most {MAX_CPS} a second. To stop the trunk, pause it."
        )
    trunk = _existing(alias)
    with transaction.atomic():
        Trunk.objects.filter(pk=trunk.pk).update(cps=cps)
        audit.note(
            account_id=None, action="trunk_pace_set", kind="trunk", object_id=trunk.pk, name=alias,
            pace="default" if cps is None else f"{cps:g}",
        )  # fmt: skip


_PAUSE_FIELDS = ["pause_reason", "pause_cause", "paused_at", "paused_until", "probe_at", "probes", "canary"]


def _existing(alias: str) -> Trunk:
    if alias not in settings.CARRIERS and not Trunk.objects.filter(alias=alias).exists():
        raise NotFound(f"There is no trunk {alias}. Choose one of: {', '.join(sorted(settings.CARRIERS))}.")
    return Trunk.objects.get_or_create(alias=alias)[0]


def _tolerantly(alias: str, change: Callable[[], None]) -> None:
    try:
        change()
    except (OperationalError, InterfaceError) as e:  # the next submission will fail in the same way
        log.warning("The trunk %s could not be paused: %s", alias, e)


@transaction.atomic
def _rest(alias: str, *, reason: str, seconds: float) -> None:
    has_worked = take_working(alias)
    trunk = Trunk.objects.select_for_update(no_key=True).filter(alias=alias).first()
    if trunk is None:
        return
    now = timezone.now()
    _note_error(trunk, reason, now)
    if trunk.is_paused:
        trunk.save(update_fields=_ERROR_FIELDS)
        return
    is_new_row = (
        has_worked
        or trunk.failing_since is None
        or trunk.rested_at is None
        or now - trunk.rested_at > FORGET_FAILURES_AFTER
    )
    if is_new_row:
        trunk.rests, trunk.failing_since = 1, now
    elif trunk.paused_until is None or trunk.paused_until <= now:
        # Failures during a rest are not counted: these deliveries were sent before it began.
        trunk.rests = min(trunk.rests + 1, 30_000)
    trunk.rested_at = now
    trunk.pause_reason = reason[:200] or "resting"
    trunk.paused_until = now + timedelta(seconds=seconds)
    trunk.save(
        update_fields=[*_ERROR_FIELDS, "rests", "failing_since", "rested_at", "pause_reason", "paused_until"]
    )
    if trunk.rests >= MAX_RESTS_IN_A_ROW and trunk.failing_since and now - trunk.failing_since >= MIN_OUTAGE:
        _begin_pause(trunk, reason=reason, cause=PauseCause.ERRORS, now=now)


@transaction.atomic
def _pause(alias: str, *, reason: str, cause: PauseCause) -> None:
    trunk = Trunk.objects.select_for_update(no_key=True).filter(alias=alias).first()
    if trunk is None:
        return
    now = timezone.now()
    _note_error(trunk, reason, now)
    if not trunk.is_paused:
        trunk.save(update_fields=_ERROR_FIELDS)
        _begin_pause(trunk, reason=reason, cause=cause, now=now)
    elif trunk.pause_cause != PauseCause.OPERATOR:  # a canary failed, perhaps for another reason than before
        trunk.pause_reason = reason[:200] or trunk.pause_reason
        trunk.pause_cause = cause
        trunk.save(update_fields=[*_ERROR_FIELDS, "pause_reason", "pause_cause"])


_ERROR_FIELDS = ["last_error", "last_error_at"]


def _note_error(trunk: Trunk, reason: str, now: datetime) -> None:
    trunk.last_error, trunk.last_error_at = reason[:200] or "resting", now


def _begin_pause(trunk: Trunk, *, reason: str, cause: PauseCause, now: datetime) -> None:
    """Pause a trunk whose row is locked, and tell the operators."""
    trunk.pause_reason, trunk.pause_cause = reason[:200] or "paused", cause
    trunk.paused_at, trunk.paused_until = now, None
    trunk.probe_at, trunk.probes, trunk.canary = now + timedelta(seconds=probe_seconds(cause, 0)), 0, None
    tells = trunk.told_at is None or now - trunk.told_at > MIN_BETWEEN_MAILS
    if tells:
        trunk.told_at = now
    trunk.save(update_fields=[*_PAUSE_FIELDS, "told_at"])
    audit.note(
        account_id=None, action="trunk_paused", kind="trunk", object_id=trunk.pk, name=trunk.alias,
        reason=trunk.pause_reason,
    )  # fmt: skip
    tell_paused(trunk_id=trunk.pk, alias=trunk.alias, cause=cause)
    about = {"trunk": trunk.alias}
    log.error("The trunk %s is paused (%s): %s", trunk.alias, cause.label, trunk.pause_reason, extra=about)
    if tells:
        _mail(
            f"The trunk {trunk.alias} is paused: {cause.label}",
            f"{trunk.pause_reason}\n\nIts queued calls and SMS use the next trunk of their route, if there is one. iris "
            "tries it again with one call or SMS now and then, and resumes it when that succeeds.\n\n`manage.py "
            f"trunk_status` shows its state; `manage.py trunk resume {trunk.alias}` resumes it at once.",
        )


def _mail(subject: str, body: str) -> None:
    """E-mail all operators."""
    for address in User.objects.filter(is_staff=True, is_active=True).values_list("email", flat=True):
        mail.enqueue(to=address, subject=subject, body=body)
