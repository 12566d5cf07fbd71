"""The settings of an account: who changes them, what they refuse, and what they change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import apikeys
from accounts.account_settings import SETTINGS
from accounts.api.v0.settings import SERVICES
from accounts.audit_sentences import sentence_of
from accounts.models import Account, AuditEntry
from accounts.permissions import KEY_SCOPES
from campaigns import runs, services
from campaigns.api.words import SERVICES as CAMPAIGN_WORDS
from campaigns.models import Campaign, Service
from telephony import speech
from tests.factories import client_of, make_account, make_campaign, make_member, make_phone_number

pytestmark = pytest.mark.django_db

PATH = "/api/system/settings/"
DEFAULTS = {
    "time_zone": "Asia/Kathmandu",
    "language": "ne",
    "default_voice": None,
    "default_caller": None,
    "default_services": None,
    "default_spending_limit": None,
    "low_credit_level": None,
    "approval_above": None,
    "approval_hours": 72,
    "retry": None,
    "calling_hours": None,
    "duplicates": "keep",
    "frequency_cap": None,
    "waves": None,
    "opt_out_words": None,
    "opt_out_key": False,
    "announce_recording": False,
    "alerts_past_opt_outs": False,
    "keep_messages_days": None,
    "keep_recordings_days": None,
    "keep_recipients_days": None,
}


@pytest.fixture
def account() -> Account:
    return make_account(credits=1000)


@pytest.fixture
def client(account: Account) -> APIClient:
    return client_of(account)


def put(client: APIClient, **changes: Any) -> dict[str, Any]:
    answer = client.put(PATH, changes, format="json")
    assert answer.status_code == 200, answer.content
    settings: dict[str, Any] = answer.json()["data"]["settings"]
    return settings


def refused(client: APIClient, **changes: Any) -> dict[str, Any]:
    before = client.get(PATH).json()["data"]["settings"]
    answer = client.put(PATH, changes, format="json")
    assert answer.status_code == 400, answer.content
    assert client.get(PATH).json()["data"]["settings"] == before
    body: dict[str, Any] = answer.json()
    assert body["errors"][0]["field"] in changes
    return body


def test_a_new_account_has_the_settings_of_the_server(client: APIClient) -> None:
    shown = client.get(PATH).json()["data"]["settings"]
    assert {name: shown[name] for name in DEFAULTS} == DEFAULTS
    assert set(SETTINGS) == set(DEFAULTS)


def test_all_settings_change_at_once_and_are_logged_once(account: Account, client: APIClient) -> None:
    number = make_phone_number(owner=account)
    changes = {
        "time_zone": "europe/berlin",
        "language": "EN",
        "default_voice": "np_prasanna",
        "default_caller": f"+977 {number.number}",
        "default_services": "sms & phone",
        "default_spending_limit": "12.50",
        "opt_out_words": {"mai": {"stop": ["बन्न करू"]}},
        "opt_out_key": "on",
        "announce_recording": "yes",
        "keep_messages_days": 30,
        "keep_recordings_days": "7",
        "keep_recipients_days": 365,
    }
    stored = changes | {
        "time_zone": "Europe/Berlin",
        "language": "en",
        "default_caller": number.number,
        "default_services": "SMS & PHONE",
        "default_spending_limit": 12.5,
        "opt_out_key": True,
        "announce_recording": True,
        "keep_recordings_days": 7,
    }
    shown = put(client, **changes)
    assert {name: shown[name] for name in stored} == stored
    (entry,) = AuditEntry.objects.filter(action="settings_changed")
    assert set(entry.details) == set(changes)
    assert entry.details["time_zone"] == ["off", "Europe/Berlin"]
    assert "the time zone from off to Europe/Berlin" in sentence_of(entry)
    off = put(client, **dict.fromkeys(changes))
    assert {name: off[name] for name in changes} == {name: DEFAULTS[name] for name in changes}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("time_zone", "Kathmandu"),
        ("time_zone", "../../etc/passwd"),
        ("time_zone", "localtime"),
        ("time_zone", ["UTC"]),
        ("time_zone", True),
        ("language", "fr"),
        ("language", 1),
        ("default_voice", "np_nobody"),
        ("default_caller", "9800000999"),
        ("default_caller", {"id": 1}),
        ("default_services", "SURVEY"),
        ("default_services", "FAX"),
        ("default_spending_limit", 0),
        ("default_spending_limit", -1),
        ("default_spending_limit", "1e99"),
        ("default_spending_limit", "NaN"),
        ("default_spending_limit", 10**9),
        ("default_spending_limit", 1.005),
        ("default_spending_limit", True),
        ("opt_out_words", "बन्न"),
        ("opt_out_key", "9"),
        ("announce_recording", "perhaps"),
        ("keep_messages_days", 0),
        ("keep_messages_days", -3),
        ("keep_recordings_days", 3651),
        ("keep_recipients_days", "a week"),
        ("keep_recipients_days", 10**17),
    ],
)
def test_wrong_value_is_refused_and_named(client: APIClient, field: str, value: Any) -> None:
    refused(client, **{field: value})


def test_one_wrong_value_changes_nothing_else(client: APIClient) -> None:
    refused(client, default_caller="9800000999", language="en", time_zone="UTC")


def test_number_of_another_account_cannot_be_the_caller(account: Account, client: APIClient) -> None:
    number = make_phone_number(owner=make_account())
    assert "none of your phone numbers" in refused(client, default_caller=number.number)["message"]


def test_members_without_manage_account_read_and_do_not_change(account: Account) -> None:
    client = client_of(make_member(account, "sender"))
    assert client.get(PATH).status_code == 200
    assert client.put(PATH, {"language": "en"}, format="json").status_code == 403


def test_keys_change_settings_that_guard_nobody(account: Account) -> None:
    _, key = apikeys.create(account=account, created_by=None, name="k", scopes=frozenset(KEY_SCOPES))
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
    assert put(client, time_zone="UTC")["time_zone"] == "UTC"


def test_words_for_services_are_those_of_campaigns() -> None:
    assert {word: Service(stored) for word, stored in SERVICES.items()} == {
        word: service for service, word in CAMPAIGN_WORDS.items() if service is not Service.SURVEY
    }


class TestTimeZone:
    """Times without a zone are read, and all times are written, in the zone of the account."""

    def test_schedule_without_a_zone_is_in_the_account_s_zone(
        self, account: Account, client: APIClient
    ) -> None:
        put(client, time_zone="America/New_York")
        campaign = make_campaign(owner=account, message="Namaste")
        day = (timezone.now() + timedelta(days=3)).astimezone(UTC)
        local = f"{day:%Y-%m-%d}T09:30"
        answer = client.post(
            f"/api/system/campaigns/{campaign.pk}/begin/", {"schedule_date": local}, format="json"
        )
        assert answer.json()["message"] == f"Campaign is scheduled for {local}"
        run = campaign.runs.get()
        assert f"{run.starts_at.astimezone(UTC):%H:%M}" in ("13:30", "14:30")  # in summer and in winter

    def test_times_are_written_in_the_account_s_zone(self, account: Account, client: APIClient) -> None:
        put(client, time_zone="America/New_York")
        shown = client.get("/api/system/members/").json()["data"]["members"][0]["joined_at"]
        assert datetime.fromisoformat(shown).utcoffset() in (timedelta(hours=-5), timedelta(hours=-4))

    def test_times_of_a_streamed_export_are_in_the_account_s_zone(self, client: APIClient) -> None:
        put(client, time_zone="America/New_York")
        answer = client.get("/api/system/audit/", {"format": "csv"})
        text = answer.getvalue().decode()
        assert "-04:00" in text or "-05:00" in text
        assert "+05:45" not in text

    def test_the_zone_ends_with_the_request(self, client: APIClient) -> None:
        put(client, time_zone="America/New_York")
        client.get(PATH)
        assert timezone.get_current_timezone_name() == "Asia/Kathmandu"

    def test_days_of_filters_are_those_of_the_account(self, account: Account, client: APIClient) -> None:
        put(client, time_zone="Pacific/Kiritimati")  # 14 hours before UTC
        tomorrow = timezone.now().astimezone(UTC) + timedelta(hours=14)
        answer = client.get("/api/system/audit/", {"from": f"{tomorrow:%Y-%m-%d}"})
        midnight = tomorrow.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(hours=14)
        expected = AuditEntry.objects.filter(account_id=account.pk, at__gte=midnight).count()
        assert len(answer.json()["data"]["entries"]) == expected

    def test_a_zone_that_the_system_no_longer_has_falls_back(self, account: Account) -> None:
        Account.objects.filter(pk=account.pk).update(time_zone="Asia/Atlantis")
        assert client_of(account).get(PATH).json()["data"]["settings"]["time_zone"] == "Asia/Kathmandu"


class TestDefaults:
    """What a campaign leaves out."""

    def test_v0_campaign_without_services_gets_those_of_the_account(
        self, account: Account, client: APIClient
    ) -> None:
        new = {"name": "Meeting", "individual_number": [9841000001]}
        missing = client.post("/api/system/campaigns/", new, format="json")
        assert (missing.status_code, missing.json()["errors"][0]["field"]) == (400, "services")
        put(client, default_services="PHONE", default_spending_limit=5)
        answer = client.post("/api/system/campaigns/", new, format="json")
        assert answer.json()["data"]["details"][0]["services"] == "PHONE"
        campaign = Campaign.objects.get()
        shown = client.get(f"/api/system/campaigns/{campaign.pk}/details/").json()["data"]["details"][0]
        assert shown["credit_limit"] == 5

    def test_v1_campaign_shows_what_it_was_given(self, account: Account, client: APIClient) -> None:
        number = make_phone_number(owner=account)
        put(
            client,
            default_services="SMS",
            default_spending_limit=7,
            default_voice="np_prasanna",
            default_caller=number.number,
        )
        shown = client.post("/api/v1/campaign/create/", {"name": "Meeting"}, format="json").json()
        assert (shown["services"], shown["credit_limit"], shown["user_phone"]) == ("SMS", 7, [number.pk])
        assert Campaign.objects.get().voice == "np_prasanna"

    def test_v1_campaign_without_a_limit_has_none(self, client: APIClient) -> None:
        put(client, default_spending_limit=7)
        new = {"name": "Meeting", "services": "SMS", "credit_limit": 0}
        assert client.post("/api/v1/campaign/create/", new, format="json").json()["credit_limit"] is None

    def test_older_campaign_is_spoken_by_the_account_s_voice(
        self, account: Account, client: APIClient
    ) -> None:
        campaign = make_campaign(owner=account, service=Service.CALL, message="Namaste", voice="")
        put(client, default_voice="np_prasanna")
        assert runs.begin(campaign=campaign).voice == "np_prasanna"

    def test_the_language_chooses_the_voice_if_nothing_else_does(self) -> None:
        english = [voice.name for voice in speech.catalogue().values() if voice.language == "en"]
        assert speech.resolve(None, language="ne") == speech.resolve(None) == "np_rija"
        assert speech.resolve(None, language="en") == (english[0] if english else "np_rija")
        assert speech.resolve("np_prasanna", language="en") == "np_prasanna"

    def test_caller_is_the_account_s_choice_until_it_is_released(
        self, account: Account, client: APIClient
    ) -> None:
        first = make_phone_number(owner=account, number="9800000101")
        second = make_phone_number(owner=account, number="9800000102")
        campaign = make_campaign(owner=account, message="Namaste")
        put(client, default_caller=second.number)
        assert runs.begin(campaign=campaign).caller == second.number
        second.owner = None
        second.save()
        other = services.create_campaign(
            account=Account.objects.get(pk=account.pk),
            name="Other",
            service=Service.SMS,
            numbers=[9841000001],
        ).campaign
        assert other.caller_ids == []
        assert runs.begin(campaign=other, message="Namaste").caller == first.number

    def test_the_limit_of_the_account_limits_the_hold(self, account: Account, client: APIClient) -> None:
        put(client, default_spending_limit=2)
        campaign = services.create_campaign(
            account=Account.objects.get(pk=account.pk),
            name="Meeting",
            service=Service.SMS,
            numbers=range(9841000001, 9841000011),
        ).campaign
        assert runs.begin(campaign=campaign, message="Namaste").hold.amount == Decimal(2)
