"""Test every method of TingTing's unchanged Python client, including its bugs, against iris over HTTP.

`test_every_public_method_of_the_client_is_tested` checks that this file, tests/test_published_client_campaigns.py and
tests/v1/test_surveys_published_client.py together call every method.
"""

from __future__ import annotations

import ast
import importlib.metadata
import inspect
import io
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
import requests
import tingting
from tingting import CampaignStatus, Contact, ContactStatus, TingTingClient, User

from campaigns.models import Campaign as OurCampaign
from campaigns.models import Recipient
from telephony.models import SandboxMessage
from tests import engine
from tests.published_client import Account, account

pytestmark = pytest.mark.django_db(transaction=True)

__all__ = ["account"]


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
    tests = Path(__file__).parent
    files = (
        Path(__file__),
        tests / "published_client.py",
        tests / "test_published_client_campaigns.py",
        tests / "v1" / "test_surveys_published_client.py",
    )
    programs = [*(file.read_text() for file in files), readme()]
    called = {
        node.func.attr
        for program in programs
        for node in ast.walk(ast.parse(program))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert public - called - HELPERS == set()
    assert HELPERS - public == set()
