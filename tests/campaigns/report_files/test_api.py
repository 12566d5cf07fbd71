"""v0: the report on a campaign as a file, prepared at once or in the background."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from django.http import StreamingHttpResponse

from accounts import account_settings
from accounts.actors import Acting, ActorKind
from accounts.models import Account, AuditEntry
from campaigns.models import Campaign, ReportFile, ReportStatus, RunStatus
from campaigns.report_files import files
from tests.campaigns.report_files.test_formats import read
from tests.factories import client_of, make_account, make_campaign, make_member, make_run
from tests.v0 import Caller

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _storage(settings: Any, tmp_path: Any) -> None:
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def sita() -> Account:
    return make_account(credits=100)


@pytest.fixture
def campaign(sita: Account) -> Campaign:
    return make_campaign(owner=sita)


def path_of(campaign: Campaign) -> str:
    return f"/api/system/campaigns/{campaign.pk}/report/"


def download(account: Account, campaign: Campaign, **query: Any) -> StreamingHttpResponse:
    response = client_of(account).get(path_of(campaign), query)
    assert isinstance(response, StreamingHttpResponse)
    assert response.status_code == 200
    return response


def test_a_small_report_is_the_answer(sita: Account, campaign: Campaign) -> None:
    response = download(sita, campaign, format="csv")
    content = response.getvalue()
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    assert [row["number"] for row in rows] == ["9841000001", "9841000002", "9841000003"]
    assert {row["status"] for row in rows} == {"not started"}
    assert response["Content-Length"] == str(len(content))
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert f'filename="campaign-{campaign.pk}-' in response["Content-Disposition"]
    entry = AuditEntry.objects.get(action="exported")
    assert (entry.campaign_id, entry.details) == (campaign.pk, {"what": "contacts"})


def test_a_report_is_a_workbook(sita: Account, campaign: Campaign) -> None:
    response = download(sita, campaign, format="XLSX")
    (sheet,) = read(response.getvalue())
    assert [row[0] for row in sheet] == ["number", "9841000001", "9841000002", "9841000003"]
    assert response["Content-Type"].endswith("spreadsheetml.sheet")


def test_a_large_report_is_prepared_in_the_background(
    sita: Account, campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "ROWS_AT_ONCE", 2)
    caller = Caller(sita)
    for _ in range(2):
        answer = caller.get(f"{path_of(campaign)}?format=xlsx", status=202)
        report = answer["data"]["report"]
        assert (report["status"], report["percent"], report["run"]) == ("preparing", 0, None)
    assert "Send this request again" in answer["message"]
    assert ReportFile.objects.count() == 1
    assert client_of(sita).get(path_of(campaign), {"format": "xlsx"})["Retry-After"] == "2"
    assert files.work(budget=5) is False
    assert len(read(download(sita, campaign, format="xlsx").getvalue())[0]) == 4


def test_a_report_that_failed_is_a_503(sita: Account, campaign: Campaign) -> None:
    download(sita, campaign, format="csv")
    ReportFile.objects.update(status=ReportStatus.FAILED)
    assert (
        "Try again in a minute" in Caller(sita).get(f"{path_of(campaign)}?format=csv", status=503)["message"]
    )


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("", 400, "format: This is missing: it must be one of xlsx, csv."),
        ("?format=pdf", 400, "“pdf” is not known here: it must be one of xlsx, csv."),
        ("?format=csv&run=x", 400, "“x” is not an id"),
        ("?format=csv&run=999999999999999999", 404, "This campaign has no run with this id."),
    ],
)
def test_a_wrong_request_is_explained(
    sita: Account, campaign: Campaign, query: str, status: int, said: str
) -> None:
    answer = Caller(sita).get(f"{path_of(campaign)}{query}", status=status)
    assert said in answer["message"] + str(answer["errors"])
    assert ReportFile.objects.count() == 0


def test_other_accounts_and_other_campaigns_have_other_reports(sita: Account, campaign: Campaign) -> None:
    Caller(make_account()).get(f"{path_of(campaign)}?format=csv", status=404)
    run = make_run(campaign=make_campaign(owner=sita), status=RunStatus.COMPLETED)
    Caller(sita).get(f"{path_of(campaign)}?format=csv&run={run.pk}", status=404)
    viewer = client_of(make_member(sita, "viewer"))
    assert viewer.get(path_of(campaign), {"format": "csv"}).status_code == 200


def test_times_are_in_the_time_zone_of_the_account(sita: Account, campaign: Campaign) -> None:
    hours = []
    for zone in ("UTC", "Asia/Kathmandu"):
        account_settings.change_settings(account=sita, by=Acting(kind=ActorKind.SERVER), time_zone=zone)
        ReportFile.objects.all().discard()
        text = download(sita, campaign, format="csv").getvalue().decode("utf-8-sig")
        hours.append(next(csv.DictReader(io.StringIO(text)))["updated_at"])
    assert len(set(hours)) == 2
