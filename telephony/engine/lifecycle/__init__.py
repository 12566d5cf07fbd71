"""The only writer of a delivery's status, in sets: claim, record, apply, requeue, terminate, expire.

A status only rises (`DeliveryStatus` is its own rank), by compare-and-set inside one statement, so doubled, late and
shuffled reports are harmless. The one way back is `submitting`/`unknown` → `queued`, when the carrier surely has not
taken it. Every statement that locks several deliveries locks them in the order of their ids.
"""

from telephony.engine.lifecycle.announcing import Changed
from telephony.engine.lifecycle.claiming import Claimed, claim, stopped_among
from telephony.engine.lifecycle.queued import paused_among, queued_of
from telephony.engine.lifecycle.reports import Report, apply
from telephony.engine.lifecycle.restoring import expect_reports_anew
from telephony.engine.lifecycle.results import record, requeue
from telephony.engine.lifecycle.stopping import pause, pause_these, resume, terminate
from telephony.engine.lifecycle.sweeping import (
    LEASE_GRACE,
    expire_leases,
    lose_orphans,
    lose_pinned,
    lose_unreported,
    reroute,
    resolve_unknown,
    unknown_since_lease,
)

__all__ = [
    "LEASE_GRACE",
    "Changed",
    "Claimed",
    "Report",
    "apply",
    "claim",
    "expect_reports_anew",
    "expire_leases",
    "lose_orphans",
    "lose_pinned",
    "lose_unreported",
    "pause",
    "pause_these",
    "paused_among",
    "queued_of",
    "record",
    "requeue",
    "reroute",
    "resolve_unknown",
    "resume",
    "stopped_among",
    "terminate",
    "unknown_since_lease",
]
