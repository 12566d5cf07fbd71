"""People, credits, numbers, OTPs and messages: what the pages show, and what they keep to themselves."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts import apikeys, twins
from accounts.models import Account, AuditEntry
from campaigns.models import Recipient, ReportFile, ReportStatus
from campaigns.reports import overview
from campaigns.reports.figures import figures_of
from campaigns.reports.states import states_of
from campaigns.runs.run_statuses import live_run
from telephony.models import DeliveryStatus, PhoneNumber
from tests.console.world import World, client_for
from tests.factories import account_of, make_member, make_user

pytestmark = pytest.mark.django_db


def get(client: Client, address: str, **query: str) -> str:
    response = client.get(address, query)
    assert response.status_code == 200
    return response.content.decode()


def test_people_are_found_by_number_tag_and_outcome(world: World, client: Client) -> None:
    address = world.address("recipients")
    assert get(client, address).count('<th scope="row">') == 5
    found = get(client, address, q="+977 98410-00003")
    assert found.count('<th scope="row">') == 1
    assert "9841000003" in found
    assert get(client, address, q="सीता 2", by="tags_name").count('<th scope="row">') == 1
    assert get(client, address, outcome="failed").count('<th scope="row">') == 1
    assert get(client, address, outcome="left").count('<th scope="row">') == 0
    assert "Nobody in this campaign is like that." in get(client, address, q="9849999999")
    assert 'role="alert"' in get(client, address, q="x")


@pytest.mark.parametrize(
    "query", [{"before": "abc"}, {"before": "9" * 40}, {"outcome": "x"}, {"by": "x\x00"}]
)
def test_strange_searches_are_answered(world: World, client: Client, query: dict[str, str]) -> None:
    get(client, world.address("recipients"), **query)
    get(client, world.address("campaigns"), **query)
    get(client, world.address("otps"), **query)
    get(client, world.address("inbox"), **query)


def test_home_counts_only_some_of_many_failures(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ">4 people</a>" in get(client, world.address("home"))
    monkeypatch.setattr(overview, "MAX_COUNTED", 3)
    assert "more than 3 people" in get(client, world.address("home"))


def test_every_figure_is_the_number_of_its_rows(world: World, client: Client) -> None:
    for campaign in (world.running, world.ended, world.draft):
        figures = figures_of(campaign, live_run(campaign.pk))
        states = states_of(campaign, list(Recipient.objects.filter(campaign=campaign)))
        shown = [state.status for state in states]
        assert dict(figures.counts) == {status: shown.count(status) for status in set(shown)}
        address = world.address("recipients", campaign_id=campaign.pk)
        for outcome, count in (
            ("left", figures.left),
            ("under_way", figures.under_way),
            ("completed", figures.reached),
            ("not_reached", figures.not_reached),
            ("failed", figures.of(DeliveryStatus.FAILED)),
        ):
            assert get(client, address, outcome=outcome).count('<th scope="row">') == count


def test_a_person_has_every_attempt_with_the_words_of_the_carrier(world: World, client: Client) -> None:
    recipient = world.ended.recipients.order_by("pk")[2]
    page = get(client, world.address("recipient", recipient_id=recipient.pk))
    for part in ("The line was busy.", "486 Busy Here", "0:12", "80% of the message", "सीता 2", "No answer"):
        assert part in page
    page = get(client, world.address("recipient"))
    assert "on your opt-out list" in page


def test_people_of_other_campaigns_and_accounts_do_not_exist(world: World, client: Client) -> None:
    other = world.running.recipients.first()
    assert other is not None
    for strange in (other.pk, 0, 2**63, 10**25):
        assert client.get(world.address("recipient", recipient_id=strange)).status_code == 404


def test_the_statement_is_shown_and_exported(world: World, client: Client) -> None:
    client.post(world.address("step-review"))
    page = get(client, world.address("credits"))
    assert "Put on hold" in page
    assert f">{world.draft.name}</a>" in page
    response = client.get(world.address("statement-csv"))
    rows = b"".join(response.streaming_content).decode().splitlines()  # type: ignore[attr-defined]
    assert rows[0].startswith("\ufeffDay,What,Campaign")
    assert any("Put on hold" in row for row in rows)
    account = Account.objects.get(pk=world.account.pk)
    assert f"{account.balance:f}" in rows[-1]
    entry = AuditEntry.objects.filter(account_id=world.account.pk, action="exported").get()
    assert entry.user_id == world.owner.pk


def test_reports_are_in_the_language_of_the_person(world: World) -> None:
    for language, words in (("en", ("Reached", "Hung up")), ("ne", ("भेटिए", "बीचमै राखियो"))):
        client = client_for(world.owner, language=language)
        assert client.post(world.address("reports"), {"format": "csv"}).status_code == 302
        report = world.ended.report_files.latest("pk")
        page = get(client, world.address("reports"))
        assert world.address("report", report_id=report.pk) in page
        response = client.get(world.address("report", report_id=report.pk))
        rows = b"".join(response.streaming_content).decode().splitlines()  # type: ignore[attr-defined]
        assert len(rows) == 6
        assert all(word in "".join(rows) for word in words)
        assert "सीता 2" in rows[3]
    assert AuditEntry.objects.filter(account_id=world.account.pk, action="exported").count() == 2


def test_a_report_that_is_being_prepared_shows_how_far_it_is(world: World, client: Client) -> None:
    report = world.ended.report_files.latest("pk")
    ReportFile.objects.filter(pk=report.pk).update(status=ReportStatus.PREPARING, read=3, finished_at=None)
    page = get(client, world.address("reports"))
    assert 'value="60"' in page
    assert "every 2s" in page
    assert client.get(world.address("report", report_id=report.pk)).status_code == 404
    ReportFile.objects.filter(pk=report.pk).update(status=ReportStatus.FAILED, finished_at=timezone.now())
    page = get(client, world.address("reports"))
    assert "could not be prepared" in page
    assert "every 2s" not in page


@pytest.mark.parametrize(
    "sent", [{"run": "x"}, {"run": "9" * 30}, {"run": "1"}, {"format": "exe", "run": "0"}]
)
def test_a_report_on_a_strange_run_is_refused(world: World, client: Client, sent: dict[str, str]) -> None:
    assert client.post(world.address("reports"), sent).status_code == 404
    assert world.ended.report_files.count() == 1


@pytest.mark.parametrize(
    "query",
    [
        {"first": "x"},
        {"first": "2050-01-01", "last": "2020-01-01"},
        {"first": "0001-01-01"},
        {"last": "0001-01-01"},
        {"last": "9999-12-31"},
    ],
)
def test_a_strange_period_is_answered(world: World, client: Client, query: dict[str, str]) -> None:
    get(client, world.address("credits"), **query)
    assert client.get(world.address("statement-csv"), query).status_code in (200, 400)


def test_numbers_are_bought_and_released(world: World, client: Client) -> None:
    free = PhoneNumber.objects.filter(owner=None).first()
    assert free is not None
    assert "Buy for 40" in get(client, world.address("numbers"))
    client.post(world.address("number-buy"), {"sid": free.sid})
    free.refresh_from_db()
    assert free.owner == world.account
    assert f"Release {free.number}?" in get(client, world.address("number-release"), sid=free.sid)
    client.post(world.address("number-release"), {"sid": free.sid})
    free.refresh_from_db()
    assert free.owner is None
    for sid in ("", "x", "\x00"):
        assert client.post(world.address("number-buy"), {"sid": sid}).status_code == 404
    viewer = client_for(make_member(world.account, "viewer"))
    assert "Buy for" not in get(viewer, world.address("numbers"))


def test_passwords_are_not_shown(world: World, client: Client) -> None:
    page = get(client, world.address("otps"))
    assert "9841000009" in page
    assert "471147" not in page
    talk = get(client, world.address("conversation"), **{"with": "+9779841000009"})
    assert "471147" not in talk


def test_a_conversation_has_both_sides(world: World, client: Client) -> None:
    page = get(client, world.address("conversation"), **{"with": world.recipient.to})
    assert "धन्यवाद" in page
    assert "Namaste" in page
    assert "on your opt-out list" in page
    address = f"{world.address('conversation')}?with={world.recipient.to}"  # the plus is not encoded
    assert "धन्यवाद" in client.get(address).content.decode()
    assert client.get(world.address("conversation")).status_code == 302


def test_the_list_of_campaigns_is_searched_and_filtered(world: World, client: Client) -> None:
    address = world.address("campaigns")
    assert "Ended 0" in get(client, address, q="ended")
    assert "Running 0" not in get(client, address, q="ended")
    for group, name in (
        ("running", "Running 0"),
        ("waiting", "Scheduled 0"),
        ("drafts", "Draft"),
        ("ended", "Ended 0"),
    ):
        page = get(client, address, show=group)
        assert name in page
        assert page.count('<th scope="row">') == (2 if group == "drafts" else 1)
    assert "No campaign is like that." in get(client, address, q="\x00nothing%")


def test_the_home_page_shows_what_did_not_work(world: World, client: Client) -> None:
    page = get(client, world.address("home"))
    assert "Not everybody was reached" in page
    assert "4 people" in page
    world.ended.runs.update(finished_at=timezone.now() - timedelta(days=8))
    assert "Not everybody was reached" not in get(client, world.address("home"))


def test_a_new_account_is_shown_the_first_step() -> None:
    user = make_user()
    page = client_for(user).get(f"/console/{account_of(user).pk}/").content.decode()
    assert "Make your first campaign" in page


def test_people_are_added_changed_and_removed(world: World, client: Client) -> None:
    added = client.post(world.address("team"), {"email": "ram@example.com", "preset": "author"}, follow=True)
    assert "ram@example.com" in added.content.decode()
    ram = world.account.members.get(user__email="ram@example.com")
    assert ram.preset == "author"
    page = client.post(
        world.address("team"), {"email": "ram@example.com", "preset": "owner"}
    ).content.decode()
    assert "already a member" in page
    client.post(world.address("team-change", member_id=ram.pk), {"preset": "viewer"})
    ram.refresh_from_db()
    assert ram.preset == "viewer"
    for preset in ("", "king"):
        response = client.post(world.address("team-change", member_id=ram.pk), {"preset": preset})
        assert response.status_code == 400
    assert "Remove ram@example.com?" in get(client, world.address("team-remove", member_id=ram.pk))
    client.post(world.address("team-remove", member_id=ram.pk))
    assert not world.account.members.filter(pk=ram.pk).exists()
    assert client.post(world.address("team-remove")).status_code == 409  # the last owner


def test_nobody_gives_more_than_they_have(world: World) -> None:
    manager = client_for(make_member(world.account, "manager"))
    page = manager.post(world.address("team"), {"email": "x@example.com", "preset": "owner"}).content.decode()
    assert "Only an owner" in page
    assert manager.post(world.address("team-change"), {"preset": "viewer"}).status_code == 403
    assert manager.get(world.address("team-remove")).status_code == 403
    viewer = make_member(world.account, "viewer")
    own = viewer.memberships.get()
    assert client_for(viewer).post(world.address("team-remove", member_id=own.pk)).status_code == 302
    assert not viewer.memberships.exists()


def test_a_key_is_shown_once_and_revoked(world: World, client: Client) -> None:
    form = {"name": "Website", "scopes": ["view", "send"], "test": ""}
    page = client.post(world.address("keys"), form).content.decode()
    key = world.account.api_keys.get(name="Website")
    assert key.scopes == ["view", "send"]
    assert "It is never shown again." in page
    shown = re.search(r"<pre tabindex=.0.>([^<]+)</pre>", page)
    assert shown is not None
    assert apikeys.find(shown[1]) == key
    assert shown[1] not in get(client, world.address("keys"))
    client.post(world.address("key-revoke", key_id=key.pk))
    assert apikeys.find(shown[1]) is None
    for wrong in (
        {"scopes": []},
        {"scopes": ["urgent"]},
        {"name": ""},
        {"expires": "2020-01-01"},
        {"expires": "x"},
    ):
        assert 'role="alert"' in client.post(world.address("keys"), {**form, **wrong}).content.decode()
    page = client.post(world.address("keys"), {**form, "test": "on"}).content.decode()
    assert ">test_" in page
    assert twins.find(account=world.account) is not None
