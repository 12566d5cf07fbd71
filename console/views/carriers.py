"""How reliable the carriers are: what became of the calls and text messages that each of them accepted."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from campaigns.reports.outcome_history import check_days
from console import vocabulary
from console.access import operator_page
from console.errors import sentence_of
from console.periods import chosen_days
from console.render import render_operator_page
from console.views.operator import VIEW_TRUNKS
from iris.errors import InvalidInput
from telephony.engine import carrier_truth
from telephony.engine.carrier_truth import Truth, Unusual
from telephony.engine.outcomes import UNKNOWN_OPERATOR
from telephony.numbering import Operator

DAYS = 7  # if the address names none
# What the numbering plan calls the operators that pages name in the language of the person.
KNOWN = {
    "Nepal Telecom": vocabulary.OPERATORS[Operator.NTC],
    "NCell": vocabulary.OPERATORS[Operator.NCELL],
    "Smart Telecom": vocabulary.OPERATORS[Operator.SMART],
    UNKNOWN_OPERATOR: vocabulary.OPERATORS[Operator.OTHER],
}


@operator_page(VIEW_TRUNKS)
def carriers(request: HttpRequest) -> HttpResponse:
    """Show the figures of each trunk and operator over the chosen days, and what is unusual in the last day."""
    first, last = chosen_days(request, days=DAYS)
    context: dict[str, Any] = {"first": first, "last": last}
    try:
        check_days(first, last)
    except InvalidInput as error:
        context["problem"] = sentence_of(error)
    else:
        since = timezone.make_aware(datetime.combine(first, time.min))
        until = timezone.make_aware(datetime.combine(last, time.min) + timedelta(days=1))
        found = carrier_truth.figures(since=since, until=until)
        context["rows"] = [_row(one) for one in found]
        context["unusual"] = [_unusual(one) for one in carrier_truth.unusual()]
    return render_operator_page(request, "console/operator_carriers.html", context)


def _row(one: Truth) -> dict[str, Any]:
    return {
        "truth": one,
        "channel": vocabulary.CHANNELS[one.channel],
        "operator": KNOWN.get(one.operator),
        "delivered": _percent(one.delivered_share),
        "silent": _percent(one.silent_share),
        "half": one.latency(0.5),
        "most": one.latency(0.95),
    }


def _unusual(one: Unusual) -> dict[str, Any]:
    return {
        "trunk": one.trunk,
        "channel": vocabulary.CHANNELS[one.channel],
        "operator": KNOWN.get(one.operator, one.operator),
        "share": 100 * one.share,
        "usual": 100 * one.usual,
    }


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share
