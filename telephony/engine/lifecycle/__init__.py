"""Change the statuses of deliveries, in sets. No other module writes them.

A status only rises (`DeliveryStatus` is its own rank), by compare-and-set inside one statement, so repeated, late and
shuffled reports are harmless. There are two exceptions: `submitting`/`unknown` → `queued`, when the carrier certainly has
not accepted the delivery; and a lost delivery, which a late report corrects once (`reports`). Every statement that locks
several deliveries locks them in the order of their ids.
"""

from telephony.engine.lifecycle.announcing import Changed
from telephony.engine.lifecycle.claiming import Claimed, claim
from telephony.engine.lifecycle.hours import MOVE_SIZE, batches_after_hours, move_to_hours
from telephony.engine.lifecycle.queued import DUE, count_due, paused_batches
from telephony.engine.lifecycle.reports import Report, apply_isolated, apply_reports
from telephony.engine.lifecycle.restoring import restart_report_timeouts
from telephony.engine.lifecycle.results import apply_results, requeue
from telephony.engine.lifecycle.stopping import pause, pause_deliveries, resume, terminate, terminate_to
from telephony.engine.lifecycle.sweeping import (
    LEASE_GRACE,
    expire_leases,
    lose_orphans,
    lose_pinned,
    lose_unreported,
    move,
    reroute,
    resolve_unknown,
    unknown_since_lease,
)

__all__ = [
    "LEASE_GRACE",
    "MOVE_SIZE",
    "DUE",
    "Changed",
    "Claimed",
    "Report",
    "apply_isolated",
    "apply_reports",
    "batches_after_hours",
    "claim",
    "restart_report_timeouts",
    "expire_leases",
    "lose_orphans",
    "lose_pinned",
    "lose_unreported",
    "move",
    "move_to_hours",
    "pause",
    "pause_deliveries",
    "paused_batches",
    "count_due",
    "apply_results",
    "requeue",
    "reroute",
    "resolve_unknown",
    "resume",
    "terminate",
    "terminate_to",
    "unknown_since_lease",
]
