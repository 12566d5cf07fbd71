"""The images of the charts of outcomes. The page that shows them has the same figures in tables."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpResponse
from django.utils.translation import gettext as _

from accounts.permissions import Permission
from campaigns.reports import outcome_history
from campaigns.reports.outcome_history import History
from console import charts
from console.access import page
from console.chart_images import SIZES, draw
from console.charts import Chart
from console.periods import chosen_days
from console.visits import ConsoleRequest
from iris.errors import NotFound

# A browser that opens an image by itself obeys this. pygal writes the styles into the image.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
SECONDS = 60  # for which the browser of the person keeps an image; outcomes are counted once a minute


@page(Permission.VIEW)
def by_day(request: ConsoleRequest) -> HttpResponse:
    """Draw the outcomes of the chosen days, by day."""
    return _image(request, charts.by_day)


@page(Permission.VIEW)
def by_hour(request: ConsoleRequest) -> HttpResponse:
    """Draw the outcomes of the chosen days, by hour of the day."""
    return _image(request, charts.by_hour)


def _image(request: ConsoleRequest, chart_of: Callable[[History], Chart]) -> HttpResponse:
    first, last = chosen_days(request)
    found = outcome_history.history(account=request.visit.account, first=first, last=last)
    if not found.total:
        raise NotFound(_("Nothing ended on these days."))
    size = SIZES.get(request.GET.get("size", ""), SIZES["large"])
    return HttpResponse(
        draw(chart_of(found), size),
        content_type="image/svg+xml; charset=utf-8",
        headers={"Content-Security-Policy": POLICY, "Cache-Control": f"private, max-age={SECONDS}"},
    )
