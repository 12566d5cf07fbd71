"""Reports on campaigns as files. TingTing's API has none in this dialect; this is an addition of iris."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponseBase
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request

from accounts.api.permissions import needs
from accounts.permissions import Permission
from campaigns.api.v0.lookups import campaign_of
from campaigns.api.words import RECIPIENT_STATUSES
from campaigns.models import Campaign, ReportFile, ReportFormat, ReportStatus, Run
from campaigns.report_files import downloads, files
from campaigns.report_files.rows import COLUMNS, Labels
from iris.api.envelope import success
from iris.api.fields import Id, Word, validated
from iris.api.viewsets import V0ViewSet
from iris.errors import NotFound, Unavailable

PREPARED_AT_ONCE_SECONDS = 1.5
RETRY_SECONDS = 2
LABELS = Labels(
    columns={column: column for column in COLUMNS},
    statuses={
        "" if status is None else str(int(status)): word for status, word in RECIPIENT_STATUSES.items()
    },
    causes={},
    recorded="recorded",
    title="recipients",
)


class ReportQuery(serializers.Serializer[Any]):
    format = Word({one.value: one for one in ReportFormat})
    run = Id(required=False)


class ReportViewSet(V0ViewSet):
    @needs(Permission.VIEW)
    def retrieve(self, request: Request, campaign_id: int) -> HttpResponseBase:
        """Return the report if it is ready. Otherwise a worker prepares it, and the answer is a 202 with its progress."""
        campaign = campaign_of(request, campaign_id)
        sent = validated(ReportQuery(data=request.query_params))
        report = files.request_soon(
            campaign=campaign,
            run=_run_of(campaign, sent.get("run")),
            format=sent["format"],
            labels=LABELS,
            seconds=PREPARED_AT_ONCE_SECONDS,
        )
        if report.status == ReportStatus.FAILED:
            raise Unavailable(
                "The report could not be prepared. Try again in a minute.", code="report_failed"
            )
        if report.status == ReportStatus.READY:
            return downloads.download(report)
        response = success(
            {"report": _json(report)},
            message="The report is being prepared. Send this request again in a few seconds.",
            status=202,
        )
        response.headers["Retry-After"] = str(RETRY_SECONDS)
        return response


def _run_of(campaign: Campaign, pk: int | None) -> Run | None:
    if pk is None:
        return None
    run = Run.objects.filter(campaign=campaign, pk=pk, trial=False).first()
    if run is None:
        raise NotFound("This campaign has no run with this id.", code="no_such_run")
    return run


def _json(report: ReportFile) -> dict[str, Any]:
    return {
        "format": report.format,
        "run": report.run_id,
        "status": report.status,
        "percent": report.percent,
        "requested_at": timezone.localtime(report.created_at).isoformat(),
    }
