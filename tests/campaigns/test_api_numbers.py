"""v0: list, add, show, edit and delete the numbers of a campaign."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Account
from campaigns.api.v0 import numbers
from campaigns.models import Campaign, RunStatus, Service
from telephony.models import DeliveryStatus
from tests.factories import (
    make_campaign,
    make_delivery_of,
    make_empty_campaign,
    make_recipient,
    make_run,
)
from tests.golden import assert_answers_as_documented
from tests.v0 import Caller


@pytest.fixture
def campaign(account: Account) -> Campaign:
    return make_empty_campaign(owner=account, tags=["tags_name", "tags_age"], service=Service.CALL)


def of(campaign: Campaign) -> str:
    return f"/api/system/campaigns/number/{campaign.pk}/"


class TestList:
    def test_numbers_are_listed_newest_first(self, caller: Caller, account: Account) -> None:
        tags = ["tags_name", "tags_age"]
        campaign = make_empty_campaign(
            owner=account, name="Sample campaign name", service=Service.CALL, tags=tags
        )
        hungup = {"status": DeliveryStatus.HUNGUP, "seconds": 17.2, "playback": 50, "credits": 2}
        completed = {"status": DeliveryStatus.COMPLETED, "seconds": 33.6, "playback": 100, "credits": 2}
        told = {"tags_name": "राम", "tags_age": 31}
        first = make_recipient(campaign=campaign, number=9800000032, tags=told, **hungup)
        second = make_recipient(campaign=campaign, number=980000033)
        told = {"tags_name": "सीता", "tags_age": 25}
        third = make_recipient(campaign=campaign, number=9800000034, tags=told, **completed)
        make_campaign(owner=account, name="another")
        ids = {"first": first.pk, "second": second.pk, "third": third.pk}
        assert_answers_as_documented(caller.client, "number_list", campaign=campaign.pk, **ids)

    def test_all_numbers_are_listed_in_batches(
        self, caller: Caller, campaign: Campaign, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(numbers, "STREAM_BATCH", 3)
        ids = [make_recipient(campaign=campaign, number=9800000000 + index).pk for index in range(7)]
        assert [number["id"] for number in caller.get(of(campaign))["data"]["number-lists"]] == ids[::-1]
        ids += [make_recipient(campaign=campaign).pk, make_recipient(campaign=campaign).pk]
        assert [number["id"] for number in caller.get(of(campaign))["data"]["number-lists"]] == ids[::-1]

    def test_the_list_of_an_empty_campaign_is_empty(self, caller: Caller, campaign: Campaign) -> None:
        answer = caller.get(of(campaign))
        assert answer["data"]["number-lists"] == []
        assert list(answer["data"]) == ["messages", "number-lists"]

    def test_the_list_of_numbers_is_streamed(
        self, caller: Caller, campaign: Campaign, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(numbers, "STREAM_BATCH", 2)
        for _ in range(6):
            make_recipient(campaign=campaign)
        response: Any = caller.client.get(of(campaign))
        pieces = list(response.streaming_content)
        assert len(pieces) == 4
        assert len(json.loads(b"".join(pieces))["data"]["number-lists"]) == 6
        assert response.headers["Content-Type"] == "application/json"

    def test_the_list_of_numbers_is_paginated_on_request(self, caller: Caller, campaign: Campaign) -> None:
        ids = [make_recipient(campaign=campaign).pk for _ in range(5)]
        answer = caller.get(f"{of(campaign)}?page=2&page_size=2")
        assert [number["id"] for number in answer["data"]["number-lists"]] == ids[::-1][2:4]
        assert answer["data"]["pagination"]["total_pages"] == 3
        assert len(caller.get(f"{of(campaign)}?page_size=3")["data"]["number-lists"]) == 3
        assert len(caller.get(f"{of(campaign)}?page=1")["data"]["number-lists"]) == 5
        caller.fails("GET", f"{of(campaign)}?page=7", status=404)
        caller.fails("GET", f"{of(campaign)}?page=x", status=400)

    @pytest.mark.parametrize("query", ["", "?page=1"])
    def test_the_number_of_queries_does_not_grow_with_the_numbers(
        self, caller: Caller, campaign: Campaign, query: str
    ) -> None:
        def queries() -> int:
            with CaptureQueriesContext(connection) as context:
                caller.get(of(campaign) + query)
            return len(context)

        make_recipient(campaign=campaign)
        run = make_run(campaign=campaign)
        before = queries()
        for _ in range(20):
            make_delivery_of(
                run=run, recipient=make_recipient(campaign=campaign), status=DeliveryStatus.RINGING
            )
        assert queries() == before <= 7

    @pytest.mark.parametrize(
        ("status", "word"),
        [
            (DeliveryStatus.QUEUED, "not started"),
            (DeliveryStatus.SUBMITTING, "dialing"),
            (DeliveryStatus.UNKNOWN, "dialing"),
            (DeliveryStatus.SUBMITTED, "dialing"),
            (DeliveryStatus.RINGING, "ringing"),
            (DeliveryStatus.ANSWERED, "answered"),
        ],
    )
    def test_the_status_during_a_run_is_not_that_of_the_run_before(
        self, caller: Caller, campaign: Campaign, status: DeliveryStatus, word: str
    ) -> None:
        """The outcome of the previous run is not shown during a new run."""
        recipient = make_recipient(
            campaign=campaign, status=DeliveryStatus.COMPLETED, seconds=12.0, playback=100, credits=2
        )
        run = make_run(campaign=campaign, filled_at=timezone.now())
        make_delivery_of(run=run, recipient=recipient, status=status)
        (number,) = caller.get(of(campaign))["data"]["number-lists"]
        shown = (number["status"], number["duration"], number["playback"], number["credit_consumed"])
        assert shown == (word, None, None, 2)

    @pytest.mark.parametrize(
        ("status", "word"),
        [
            (None, "not started"),
            (DeliveryStatus.COMPLETED, "completed"),
            (DeliveryStatus.HUNGUP, "hungup"),
            (DeliveryStatus.UNANSWERED, "unanswered"),
            (DeliveryStatus.FAILED, "failed"),
            (DeliveryStatus.TERMINATED, "terminated"),
        ],
    )
    def test_the_status_after_a_run_is_its_outcome(
        self, caller: Caller, campaign: Campaign, status: DeliveryStatus | None, word: str
    ) -> None:
        recipient = make_recipient(campaign=campaign, status=status)
        make_run(campaign=campaign, status=RunStatus.COMPLETED, filled_at=timezone.now())
        assert caller.get(of(campaign))["data"]["number-lists"][0]["status"] == word
        assert caller.get(f"/api/system/number/{recipient.pk}")["data"]["number-detail"]["status"] == word

    @pytest.mark.parametrize(
        ("sent", "shown"),
        [
            (9800000001, 9800000001),
            ("9800000001", 9800000001),
            ("+9779800000001", "+9779800000001"),
            ("980-000-0001", "980-000-0001"),
            ("0980000001", "0980000001"),
            ("९८०००००००१", 9800000001),
            (98675432123, 98675432123),
            (984381123, 984381123),
        ],
    )
    def test_numbers_are_shown_as_they_were_sent(
        self, caller: Caller, campaign: Campaign, sent: object, shown: object
    ) -> None:
        caller.post(of(campaign), {"number": sent}, status=201)
        assert caller.get(of(campaign))["data"]["number-lists"][0]["number"] == shown

    @pytest.mark.parametrize(
        ("credits", "shown"), [("0", "0"), ("2.00", "2"), ("2.50", "2.5"), ("0.25", "0.25")]
    )
    def test_whole_credits_are_shown_without_decimals(
        self, caller: Caller, campaign: Campaign, credits: str, shown: str
    ) -> None:
        make_recipient(campaign=campaign, credits=credits)
        caller.get(of(campaign))
        assert f'"credit_consumed": {shown}}}' in caller.text


class TestAdd:
    def test_a_number_can_be_added_with_tags(self, caller: Caller, account: Account) -> None:
        tags = ["tags_name", "tags_age"]
        campaign = make_empty_campaign(owner=account, name="Sample campaign name", tags=tags)
        assert_answers_as_documented(caller.client, "number_add", campaign=campaign.pk)
        (details,) = caller.get(f"/api/system/campaigns/{campaign.pk}/details")["data"]["details"]
        assert details["number_count"] == 1

    def test_a_number_can_be_added_by_a_multipart_form(self, caller: Caller, account: Account) -> None:
        campaign = make_empty_campaign(owner=account)
        answer = caller.post(of(campaign), {"number": "9800000035"}, format="multipart", status=201)
        shown = answer["data"]["number-lists"]
        assert (shown["number"], shown["status"], shown["available_tags"]) == (9800000035, "not started", {})

    @pytest.mark.parametrize(
        "fields",
        [
            {"available_tags": '{"tags_name": "सीता"}'},
            {"available_tags[tags_name]": "सीता"},
        ],
    )
    def test_tags_are_read_from_a_form(
        self, caller: Caller, campaign: Campaign, fields: dict[str, str]
    ) -> None:
        answer = caller.post(of(campaign), {"number": "9800000035", **fields}, format="multipart", status=201)
        assert answer["data"]["number-lists"]["available_tags"]["tags_name"] == "सीता"

    @pytest.mark.parametrize("tags", [{}, None, ""])
    def test_a_number_can_be_added_without_tags(
        self, caller: Caller, campaign: Campaign, tags: object
    ) -> None:
        caller.post(of(campaign), {"number": 9800000035, "available_tags": tags}, status=201)

    def test_an_unknown_tag_is_refused(self, caller: Caller, campaign: Campaign) -> None:
        sent = {"number": 9800000035, "available_tags": {"tags_salary": 1}}
        answer = caller.fails("POST", of(campaign), sent, status=400)
        assert "tags_salary" in answer["message"]
        assert "tags_name, tags_age" in answer["message"]


class TestOne:
    def test_the_details_of_a_number(self, caller: Caller, account: Account) -> None:
        campaign = make_empty_campaign(owner=account, name="Sample campaign name")
        number = make_recipient(campaign=campaign, number=9800000034)
        assert_answers_as_documented(caller.client, "number_details", number=number.pk)

    def test_a_number_can_be_edited(self, caller: Caller, account: Account) -> None:
        campaign = make_empty_campaign(owner=account, name="sample campaign", tags=["tags_name", "tags_age"])
        number = make_recipient(campaign=campaign, number=9800000034)
        assert_answers_as_documented(caller.client, "number_edit", number=number.pk)

    @pytest.mark.parametrize("method", ["POST", "PATCH"])
    def test_a_number_can_be_edited_by_other_methods(
        self, caller: Caller, campaign: Campaign, method: str
    ) -> None:
        recipient = make_recipient(campaign=campaign)
        answer = caller.call(
            method, f"/api/system/number/{recipient.pk}/", {"number": 9800000035}, status=200
        )
        assert answer["data"]["details"]["number"] == 9800000035

    def test_a_number_can_be_edited_by_multipart_without_tags(
        self, caller: Caller, campaign: Campaign
    ) -> None:
        recipient = make_recipient(campaign=campaign, tags={"tags_name": "सीता"})
        path = f"/api/system/number/{recipient.pk}/"
        shown = caller.put(path, {"number": "9800000099"}, format="multipart")["data"]["details"]
        assert shown["number"] == 9800000099
        assert shown["available_tags"]["tags_name"] == "सीता"

    def test_editing_only_tags_keeps_the_number(self, caller: Caller, campaign: Campaign) -> None:
        recipient = make_recipient(campaign=campaign, number=9800000001)
        sent = {"available_tags": {"tags_age": 26.5}}
        shown = caller.put(f"/api/system/number/{recipient.pk}/", sent)["data"]["details"]
        assert (shown["number"], shown["available_tags"]) == (9800000001, {"tags_name": "", "tags_age": 26.5})

    def test_a_number_can_be_deleted(self, caller: Caller, account: Account) -> None:
        campaign = make_empty_campaign(owner=account, name="campaign bulk")
        number = make_recipient(campaign=campaign, number=9800000034)
        assert_answers_as_documented(caller.client, "number_delete", number=number.pk)
        caller.fails("GET", f"/api/system/number/{number.pk}/", status=404)
        (details,) = caller.get(f"/api/system/campaigns/{campaign.pk}/details")["data"]["details"]
        assert details["number_count"] == 0

    def test_a_number_cannot_be_edited_during_a_run(self, caller: Caller, campaign: Campaign) -> None:
        recipient = make_recipient(campaign=campaign)
        make_run(campaign=campaign)
        caller.fails("PUT", f"/api/system/number/{recipient.pk}/", {"number": 9800000002}, status=409)
        caller.fails("DELETE", f"/api/system/campaigns/number/{recipient.pk}/delete/", status=409)
        recipient.refresh_from_db()
        assert recipient.number == "9800000001"

    def test_the_id_of_a_campaign_is_not_the_id_of_a_number(self, caller: Caller, account: Account) -> None:
        campaign = make_empty_campaign(pk=10**12, owner=account)
        number = make_recipient(campaign=campaign)
        caller.fails("DELETE", f"/api/system/campaigns/number/{campaign.pk}/delete/", status=404)
        caller.fails("GET", f"/api/system/campaigns/number/{number.pk}/", status=404)


def test_the_outcome_of_a_run_is_shown(caller: Caller, account: Account, settings: Any) -> None:
    """The sandbox decides by the last digits. These numbers end completed, busy, unanswered, hung up and refused."""
    from tests import engine

    settings.IRIS_SANDBOX_SPEED = 1000
    endings = {9800009901: "unanswered", 9800009902: "unanswered", 9800009903: "hungup", 9800009904: "failed"}
    campaign = make_campaign(owner=account, service=Service.CALL, numbers=[9800000001, 984381123, *endings])
    caller.post(f"/api/system/campaigns/{campaign.pk}/begin/", {"message": "नमस्कार, टिङ्टिंगमा हजुरलाई स्वागत छ"})
    engine.run_to_the_end()
    shown = {number["number"]: number for number in caller.get(of(campaign))["data"]["number-lists"]}
    endings |= {9800000001: "completed", 984381123: "failed"}
    assert {number: row["status"] for number, row in shown.items()} == endings
    assert (shown[9800000001]["playback"], shown[9800000001]["credit_consumed"]) == (100, 2)
    assert isinstance(shown[9800000001]["duration"], int)
    assert shown[9800009903]["playback"] == 50
    assert (shown[9800009901]["duration"], shown[9800009901]["credit_consumed"]) == (None, 0)
