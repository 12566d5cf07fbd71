"""Test campaigns with TingTing's unchanged Python client, including its bugs, against iris over HTTP."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
import requests
from tingting import CampaignStatus, Category, Contact, Dialer, FailoverTarget, Services

from telephony.models import SandboxMessage
from tests import engine
from tests.published_client import Account, account

pytestmark = pytest.mark.django_db(transaction=True)

__all__ = ["account"]


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
