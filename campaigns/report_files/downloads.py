"""Answer a request with the file of a report."""

from __future__ import annotations

from django.http import StreamingHttpResponse
from django.utils import timezone

from accounts import audit
from campaigns.models import ReportFile, ReportFormat
from campaigns.report_files.files import content_of

CONTENT_TYPES = {
    ReportFormat.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ReportFormat.CSV: "text/csv; charset=utf-8",
}


def download(report: ReportFile) -> StreamingHttpResponse:
    """Return a ready report as a download, and note in the audit log that it was exported."""
    campaign = report.campaign
    audit.note(
        account_id=campaign.owner_id,
        action="exported",
        kind="campaign",
        object_id=campaign.pk,
        name=campaign.name,
        campaign_id=campaign.pk,
        what="contacts",
    )
    made = timezone.localtime(report.finished_at)
    name = f"campaign-{campaign.pk}-{made:%Y%m%d-%H%M}.{report.format}"
    return StreamingHttpResponse(
        content_of(report),
        content_type=CONTENT_TYPES[ReportFormat(report.format)],
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Content-Length": str(report.size),
        },
    )
