"""Test every method of TingTing's unchanged Python client, including its bugs, against iris over HTTP.

tests/v1/test_surveys_published_client.py tests its surveys. `test_every_public_method_of_the_client_is_tested` checks
that both files together call every method.
"""

from __future__ import annotations

import ast
import importlib.metadata
import inspect
import io
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest
import requests
import tingting
from pytest_django.live_server_helper import LiveServer
from tingting import (
    Campaign,
    CampaignStatus,
    Category,
    Contact,
    ContactStatus,
    Dialer,
    FailoverTarget,
    Services,
    TingTingClient,
    User,
)

from accounts import apikeys
from campaigns.models import Campaign as OurCampaign
from campaigns.models import Recipient
from telephony.models import SandboxMessage
from tests import engine
from tests.factories import make_account, make_phone_number

pytestmark = pytest.mark.django_db(transaction=True)


class Account:
    """Create an account with a number and an API key, and a client that uses the key."""

    def __init__(self, live_server: LiveServer) -> None:
        self.url = live_server.url
        self.user = make_account(
            email="sita@example.com", first_name="Sita", last_name="Rai", username="sita", credits=1000
        )
        self.number = make_phone_number(number="9800000101", owner=self.user)
        self.token = apikeys.generate(account=self.user)
        self.client = TingTingClient(live_server.url, self.token)

    def make_campaign(self, **fields: object) -> Campaign:
        return Campaign(client=self.client, **fields).create()


@pytest.fixture
def account(live_server: LiveServer, settings: object) -> Account:
    settings.IRIS_SANDBOX_SPEED = 1000  # type: ignore[attr-defined]
    return Account(live_server)


def readme() -> str:
    """Return the program in the README of the package."""
    description = importlib.metadata.metadata("tingting").json["description"]
    (program,) = re.findall(r"```python\n(.*?)```", str(description), re.DOTALL)
    return str(program)


def test_program_of_the_published_readme_runs_unchanged(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BASE_URL", account.url)
    monkeypatch.setenv("TOKEN", account.token)
    dotenv = ModuleType("dotenv")
    dotenv.load_dotenv = lambda: None  # type: ignore[attr-defined]  # the real one would set the two variables
    monkeypatch.setitem(sys.modules, "dotenv", dotenv)

    world: dict[str, object] = {}
    exec(compile(readme(), "README", "exec"), world)
    engine.run_to_the_end()

    (campaign,) = account.client.get_campaigns()
    assert campaign.name == "Phone Campaign Name"
    assert (campaign.status, campaign.contactCount, campaign.progressPercent) == (
        CampaignStatus.COMPLETED,
        4,
        100,
    )
    assert campaign.dialers == [account.number.pk]
    contacts = requests.get(
        f"{account.url}/api/v1/campaign-detail/{campaign.id}/",
        headers={"Authorization": f"Bearer {account.token}"},
    ).json()
    assert [(row["number"], row["status"], row["playback"]) for row in contacts["results"]] == [
        (f"999000000{last}", "completed", "100") for last in (3, 2, 1, 0)
    ]
    attributes = [
        requests.get(
            f"{account.url}/api/v1/campaign/{row['id']}/attributes/",
            headers={"Authorization": f"Bearer {account.token}"},
        ).json()
        for row in contacts["results"]
    ]
    assert attributes == [{"name": "John", "age": age} for age in (103, 102, 101, 100)]
    spoken = requests.get(f"{account.url}/sandbox/messages").json()
    assert sorted((call["channel"], call["to"], call["from"], call["text"]) for call in spoken) == [
        ("call", f"+977999000000{last}", account.number.number, "This is the phone message to be said")
        for last in range(4)
    ]
    assert all(requests.get(call["audio_url"]).headers["Content-Type"] == "audio/mpeg" for call in spoken)


class TestAccount:
    def test_user_profile_is_read(self, account: Account) -> None:
        user = account.client.get_user()
        assert isinstance(user, User)
        assert (user.firstName, user.lastName, user.username, user.email) == (
            "Sita",
            "Rai",
            "sita",
            "sita@example.com",
        )

    def test_dialers_are_found_by_id_and_number(self, account: Account) -> None:
        client = account.client
        (dialer,) = client.get_dialers()
        assert (dialer.id, dialer.phoneNumber) == (account.number.pk, "+9779800000101")
        dialers = client.get_dialer_by_id(dialer.id), client.get_dialer_by_number("+9779800000101")
        assert [each.id for each in dialers] == [dialer.id, dialer.id]
        assert client.get_dialer_by_id(0) is None
        assert client.get_dialer_by_number("+9779800000199") is None

    def test_voices_are_found_by_id_and_name(self, account: Account) -> None:
        client = account.client
        voices = {voice.id: voice for voice in client.get_voices()}
        assert voices[1].json() == {
            "id": 1,
            "voice_display_name": "Rija",
            "voice_internal_name": "np_rija",
            "is_premium": False,
        }
        assert client.get_voice_by_id(1).displayName == "Rija"
        assert client.get_voice_by_name("binod").internalName == "np_binod"
        assert client.get_voice_by_id(10_000) is None
        assert client.get_voice_by_name("nobody") is None

    def test_any_path_accepts_get_and_post(self, account: Account) -> None:
        assert account.client.get_data("api/v1/voice-models/") == account.client.get_data(
            "api/v1/voice-models"
        )
        made = account.client.post_data("api/v1/campaign/create/", {"name": "By hand", "services": "SMS"})
        assert made["name"] == "By hand"

    def test_client_without_a_token_gets_a_401(self, account: Account) -> None:
        """The client then sends an empty Authorization header."""
        with pytest.raises(requests.HTTPError, match="401"):
            TingTingClient(account.url).get_user()

    def test_base_url_with_a_trailing_slash_works(self, account: Account) -> None:
        client = TingTingClient(f"{account.url}/", account.token)
        assert client.get_user().email == "sita@example.com"
        client.create_campaign({"name": "Two slashes", "services": "SMS"})
        assert [campaign.name for campaign in client.get_campaigns()] == ["Two slashes"]


class TestCampaigns:
    def test_campaign_is_created_with_the_clients_defaults(self, account: Account) -> None:
        campaign = account.make_campaign()
        assert isinstance(campaign.id, int)
        assert (campaign.name, campaign.services, campaign.category) == (
            "Test Campaign",
            Services.PHONE,
            Category.TEXT,
        )
        assert (campaign.status, campaign.creditLimit, campaign.dialers) == (
            CampaignStatus.NOT_STARTED,
            None,
            [],
        )

    def test_campaign_keeps_every_field_that_the_client_sends(self, account: Account) -> None:
        soon = datetime.now(UTC) + timedelta(days=2)
        voice = account.client.get_voice_by_id(4)
        made = account.make_campaign(
            name="Meeting",
            services=Services.SMS_PHONE,
            smsMessage="Come {name}",
            message="आउनुहोस् {name}",
            description="Ward 4",
            schedule=soon,
            dialers=[Dialer(client=account.client, id=account.number.pk)],
            creditLimit=500,
            voice=voice,
            draft=True,
            failoverTarget=[FailoverTarget.UNANSWERED, FailoverTarget.FAILED],
            lengthFactor=1.7,
        )
        for campaign in (made, account.client.get_campaign(made.id)):
            assert campaign.name == "Meeting"
            assert (campaign.services, campaign.message, campaign.smsMessage) == (
                Services.SMS_PHONE,
                "आउनुहोस् {name}",
                "Come {name}",
            )
            assert abs(campaign.schedule - soon) < timedelta(seconds=1)
            assert (campaign.dialers, campaign.creditLimit, campaign.draft) == (
                [account.number.pk],
                500,
                True,
            )
            assert campaign.failoverTarget == [FailoverTarget.UNANSWERED, FailoverTarget.FAILED]
            assert campaign.get_voice().displayName == "Binod"
        shown = account.client.get_data(f"api/v1/campaign/{made.id}/")
        assert shown["length_factor"] == "1.70"

    def test_campaigns_are_listed_and_found_by_name(self, account: Account) -> None:
        for name in ("Meeting on Friday", "Meeting on Sunday", "Water"):
            account.make_campaign(name=name)
        account.make_campaign(name="Half a meeting", draft=True)
        names = [campaign.name for campaign in account.client.get_campaigns()]
        assert names == ["Water", "Meeting on Sunday", "Meeting on Friday"]
        meetings = account.client.get_campaigns_by_name("meeting")
        assert [campaign.name for campaign in meetings] == ["Meeting on Sunday", "Meeting on Friday"]

    def test_campaign_list_accepts_the_clients_filters(self, account: Account) -> None:
        """The client sends a status as the name of a Python constant."""
        for name in ("First", "Second"):
            account.make_campaign(name=name)
        account.make_campaign(name="Draft", draft=True)

        def names(**how: object) -> list[str]:
            return [campaign.name for campaign in account.client.get_campaigns_with_filter(**how)]

        assert names() == ["Second", "First"]
        assert names(name="sec", status=CampaignStatus.NOT_STARTED) == ["Second"]
        assert names(status=CampaignStatus.COMPLETED) == []
        assert names(draft=True) == ["Draft"]
        assert names(sort_by="asc") == ["First", "Second"]
        now = datetime.now(UTC)
        yesterday = int((now - timedelta(days=1)).timestamp())
        assert names(from_date=yesterday, to_date=int(now.timestamp())) == ["Second", "First"]
        assert names(to_date=yesterday) == []

    def test_update_keeps_a_schedule_that_is_sent_back(self, account: Account) -> None:
        soon = datetime.now(UTC) + timedelta(days=2)
        campaign = account.make_campaign(schedule=soon, dialers=[account.number.pk])
        campaign.name, campaign.smsMessage, campaign.message = "Renamed", "SMS", "New words"
        account.client.update_campaign(campaign)
        read = account.client.get_campaign(campaign.id)
        assert (read.name, read.smsMessage, read.message) == ("Renamed", "SMS", "New words")
        assert (read.dialers, read.draft) == ([account.number.pk], False)
        # The client writes 14:46+05:45 as 14:46Z. Sending the schedule back must not change it.
        account.client.update_campaign(read)
        assert abs(account.client.get_campaign(campaign.id).schedule - soon) < timedelta(seconds=1)

    def test_delete_of_the_client_deletes_nothing(self, account: Account) -> None:
        """The client sends the same POST for deletions and updates, so iris must treat it as an update."""
        campaign = account.make_campaign(name="Still here")
        account.client.delete_campaign(campaign)
        assert [each.name for each in account.client.get_campaigns()] == ["Still here"]

    def test_unimplemented_client_methods_return_none(self, account: Account) -> None:
        campaign = account.make_campaign()
        assert (campaign.update(), campaign.delete(), campaign.stop(), campaign.get_report()) == (None,) * 4
        assert campaign.save() is None

    def test_voice_trial_returns_the_address_of_an_mp3(self, account: Account) -> None:
        campaign = account.make_campaign(message="नमस्कार")
        for answer in (campaign.test_voice(), account.client.test_voice_campaign(campaign)):
            address = re.fullmatch(r'"(https?://\S+\.mp3)"', answer)
            assert address
            assert requests.get(address[1]).status_code == 200

    def test_campaign_can_be_run_stopped_and_reported(self, account: Account) -> None:
        campaign = account.make_campaign(services=Services.SMS, smsMessage="Namaste {name}")
        campaign.add_contact(
            Contact(client=account.client, phoneNumber="9841000001", attributes={"name": "Ram"})
        )
        account.client.stop_campaign(campaign)  # not running, which is no error
        campaign.run()
        assert account.client.get_campaign(campaign.id).status is CampaignStatus.RUNNING
        with pytest.raises(requests.HTTPError):
            account.client.run_campaign(campaign)
        account.client.stop_campaign(campaign)
        assert account.client.get_campaign(campaign.id).status is CampaignStatus.TERMINATED
        account.client.run_campaign(campaign)
        engine.run_to_the_end()
        assert SandboxMessage.objects.get().text == "Namaste Ram"
        assert account.client.get_campaign_report(campaign) is None


class TestContacts:
    def test_single_contact_is_added_with_attributes(self, account: Account) -> None:
        campaign = account.make_campaign()
        contact = campaign.add_contact(
            Contact(client=account.client, phoneNumber="9841000001", attributes={"name": "Ram", "age": 30})
        )
        assert isinstance(contact.id, int)
        assert (contact.phoneNumber, contact.status, contact.carrier) == (
            "9841000001",
            ContactStatus.NOT_STARTED,
            "NTC",
        )
        assert contact.attributes == {"name": "Ram", "age": 30}
        added = account.client.add_contact(campaign.id, {"number": 9801000001, "other_variables": None})
        assert (added.phoneNumber, added.carrier) == ("9801000001", "Ncell")

    def test_contacts_are_imported_from_a_file(self, account: Account) -> None:
        campaign = account.make_campaign()
        campaign.add_contact_from_file(io.BytesIO(b"numbers,name\n9841000001,Ram\n9841000002,Sita\n"))
        account.client.add_contact_file(campaign, io.BytesIO(b"numbers,age\n9841000003,30\n"))
        assert account.client.get_campaign(campaign.id).contactCount == 3
        assert account.client.get_contacts(campaign) is None

    def test_contact_update_keeps_the_attributes(self, account: Account) -> None:
        """The client sends the names of the attributes without their values."""
        campaign = account.make_campaign()
        contact = campaign.add_contact(
            Contact(client=account.client, phoneNumber="9841000001", attributes={"name": "Ram"})
        )
        contact.phoneNumber = "9841000002"
        contact.save()
        account.client.update_contact(contact)
        recipient = Recipient.objects.get()
        assert (recipient.number, recipient.tags) == ("9841000002", {"tags_name": "Ram"})

    def test_contact_is_deleted(self, account: Account) -> None:
        campaign = account.make_campaign()
        first, second = (
            campaign.add_contact(Contact(client=account.client, phoneNumber=number))
            for number in ("9841000001", "9841000002")
        )
        first.delete()
        assert [recipient.pk for recipient in Recipient.objects.all()] == [second.id]
        account.client.delete_contact(second)
        assert OurCampaign.objects.get().number_count == 0

    def test_reading_attributes_at_the_delete_address_deletes_nothing(self, account: Account) -> None:
        """The client reads attributes with GET at the delete address, and updates them with DELETE."""
        contact = account.make_campaign().add_contact(
            Contact(client=account.client, phoneNumber="9841000001")
        )
        assert account.client.get_contact_attribute(contact) is None
        assert Recipient.objects.count() == 1
        account.client.update_contact_attribute(contact)
        assert Recipient.objects.count() == 0

    def test_demo_call_reaches_one_contact(self, account: Account) -> None:
        campaign = account.make_campaign(message="Namaste {name}")
        contacts = [
            campaign.add_contact(
                Contact(client=account.client, phoneNumber=number, attributes={"name": number[-1]})
            )
            for number in ("9841000001", "9841000002")
        ]
        contacts[1].test_call()
        engine.run_to_the_end()
        assert [message.text for message in SandboxMessage.objects.all()] == ["Namaste 2"]


# These methods send no requests; their callers do.
HELPERS = {"add_survey_step", "from_data", "from_str", "json", "update_from"}


def test_every_public_method_of_the_client_is_tested() -> None:
    public = {
        name
        for _, kind in inspect.getmembers(tingting, inspect.isclass)
        if kind is not tingting.Endpoint  # builds addresses only
        for name, method in vars(kind).items()
        if not name.startswith("_") and inspect.isfunction(getattr(method, "__func__", method))
    }
    surveys = Path(__file__).parent / "v1" / "test_surveys_published_client.py"
    programs = [Path(__file__).read_text(), surveys.read_text(), readme()]
    called = {
        node.func.attr
        for program in programs
        for node in ast.walk(ast.parse(program))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert public - called - HELPERS == set()
    assert HELPERS - public == set()
