"""Test the list of campaigns in v1, its filters and its pages."""

from __future__ import annotations

from accounts.models import Account
from campaigns.models import RunStatus
from tests.factories import make_account, make_campaign, make_empty_campaign, make_run
from tests.v1.caller import Caller


class TestList:
    def names(self, caller: Caller, query: str) -> list[str]:
        return [shown["name"] for shown in caller.get(f"campaign/?{query}")["results"]]

    def test_campaigns_are_filtered_by_status(self, caller: Caller, account: Account) -> None:
        for status in (None, *RunStatus):
            campaign = make_campaign(owner=account, name=str(status))
            if status is not None:
                make_run(campaign=campaign, status=status)
        assert self.names(caller, "status=Not Started") == ["withdrawn", "None"]
        assert self.names(caller, "status=CampaignStatus.NOT_STARTED") == ["withdrawn", "None"]
        assert self.names(caller, "status=Running") == ["paused", "running"]
        assert self.names(caller, "status=Terminated") == ["terminated", "stopping"]
        assert self.names(caller, "status=") == self.names(caller, "")
        assert "Scheduled" in caller.fails("GET", "campaign/?status=Done", status=400)["status"][0]

    def test_drafts_are_listed_separately(self, caller: Caller, account: Account) -> None:
        make_empty_campaign(owner=account, name="Draft", draft=True)
        make_empty_campaign(owner=account, name="Ready")
        assert self.names(caller, "draft=true") == self.names(caller, "draft=True") == ["Draft"]
        assert self.names(caller, "") == self.names(caller, "draft=False") == ["Ready"]

    def test_campaign_list_has_pages_of_at_most_ten(self, caller: Caller, account: Account) -> None:
        for number in range(12):
            make_empty_campaign(owner=account, name=str(number))
        first = caller.get("campaign/?limit=100&search=")
        assert (first["count"], first["total_pages"], len(first["results"])) == (12, 2, 10)
        assert first["next"] == "http://testserver/api/v1/campaign/?limit=10&search=&offset=10"
        second = caller.get(first["next"])
        assert ([row["name"] for row in second["results"]], second["next"]) == (["1", "0"], None)
        assert second["previous"] == "http://testserver/api/v1/campaign/?limit=10&search=&offset=0"
        assert caller.get("campaign/?page=2")["results"] == second["results"]
        assert caller.get("campaign/?page=2&page_size=5")["previous"].endswith("?page=1&page_size=5")
        assert caller.get("campaign/?offset=50")["results"] == []
        for query in ("page=3", "page=99"):
            caller.fails("GET", f"campaign/?{query}", status=404)
        for query in ("page=0", "page=x", "limit=0", "limit=-1", "offset=x", "page_size=1.5"):
            caller.fails("GET", f"campaign/?{query}", status=400)

    def test_page_links_keep_the_host_when_the_path_begins_with_two_slashes(
        self, caller: Caller, account: Account
    ) -> None:
        for number in range(11):
            make_empty_campaign(owner=account, name=str(number))
        answer = caller.get("http://testserver//api/v1/campaign/")
        assert answer["next"] == "http://testserver/api/v1/campaign/?limit=10&offset=10"

    def test_deleted_campaigns_and_those_of_other_accounts_are_not_listed(
        self, caller: Caller, account: Account
    ) -> None:
        make_campaign(owner=make_account())
        gone = make_campaign(owner=account)
        caller.delete(f"campaign/{gone.pk}/")
        assert caller.get("campaign/")["count"] == 0
