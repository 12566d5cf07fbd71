"""The results of a campaign as files: one row for each person, with the words of the pages."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from accounts.permissions import Permission
from campaigns.models import Campaign, ReportFormat, ReportStatus, Run
from campaigns.models.report_files import KEEP
from campaigns.report_files import files
from campaigns.report_files.downloads import download as answer_with
from console import live
from console.access import page
from console.campaign_state import campaign_of, finished_runs
from console.render import render_page
from console.visits import ConsoleRequest
from console.words_of_reports import FORMATS, labels
from iris.errors import NotFound

PREPARED_AT_ONCE_SECONDS = 1.0


@page(Permission.VIEW, methods=("GET", "HEAD", "POST"))
def reports(request: ConsoleRequest, campaign_id: int) -> HttpResponse:
    """List the files that can be downloaded or are being prepared, and prepare another one."""
    campaign = campaign_of(request.visit, campaign_id)
    if request.method == "POST":
        return _prepare(request, campaign)
    listed = files.of_campaign(campaign)
    context = {
        "campaign": campaign,
        "reports": [
            {
                "report": one,
                "format": FORMATS[one.format],
                "is_ready": one.status == ReportStatus.READY,
                "is_failed": one.status == ReportStatus.FAILED,
                "expires_at": None if one.finished_at is None else one.finished_at + KEEP,
            }
            for one in listed
        ],
        "formats": list(FORMATS.items()),
        "runs": finished_runs(campaign),
        "polls": any(one.status == ReportStatus.PREPARING for one in listed),
    }
    if live.is_update(request):
        return live.part(request, "console/reports_live.html", context)
    return render_page(request, "console/reports.html", context)


@page(Permission.VIEW, exports=True)
def download(request: ConsoleRequest, campaign_id: int, report_id: int) -> StreamingHttpResponse:
    """Answer with the file. Raises NotFound if it has expired, or is not ready yet."""
    campaign = campaign_of(request.visit, campaign_id)
    report = files.find(campaign, report_id)
    if report.status != ReportStatus.READY:
        raise NotFound("This report is not ready. Look at the list of reports.")
    return answer_with(report)


def _prepare(request: ConsoleRequest, campaign: Campaign) -> HttpResponse:
    wanted = request.POST.get("format", "")
    report = files.request_soon(
        campaign=campaign,
        run=_run_of(campaign, request.POST.get("run", "")),
        format=ReportFormat(wanted) if wanted in ReportFormat else ReportFormat.XLSX,
        labels=labels(),
        seconds=PREPARED_AT_ONCE_SECONDS,
    )
    if report.status == ReportStatus.READY:
        messages.success(request, _("The report is ready. Download it below."))
    return redirect("console:reports", request.visit.account.pk, campaign.pk)


def _run_of(campaign: Campaign, sent: str) -> Run | None:
    if not sent:
        return None
    is_id = sent.isascii() and sent.isdecimal() and len(sent) < 19
    run = Run.objects.filter(campaign=campaign, trial=False, pk=int(sent)).first() if is_id else None
    if run is None:
        raise NotFound("This campaign has no such run.")
    return run
