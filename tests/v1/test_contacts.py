"""Test contacts in v1: adding one, many, or a sheet; their attributes and results."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from accounts.models import Account
from campaigns import guards
from campaigns.models import Campaign, Recipient, RunStatus, Service, SheetImport
from campaigns.recipients import background_imports
from telephony.models import Delivery, DeliveryStatus
from tests.factories import (
    make_campaign,
    make_delivery_of,
    make_empty_campaign,
    make_recipient,
    make_run,
    make_sheet,
)
from tests.v1.caller import Caller


@pytest.fixture
def campaign(account: Account) -> Campaign:
    return make_empty_campaign(owner=account, service=Service.CALL)


def add(caller: Caller, campaign: Campaign, body: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = caller.post(f"campaign/{campaign.pk}/add-contact/", body, status=201)
    return answer


def upload(caller: Caller, campaign: Campaign, content: bytes, **how: Any) -> dict[str, Any]:
    file = SimpleUploadedFile("contacts.csv", content, "text/csv")
    answer: dict[str, Any] = caller.patch(
        f"campaign/create/{campaign.pk}/detail/", {"bulk_file": file}, format="multipart", **how
    )
    return answer


class TestOne:
    @pytest.mark.parametrize(
        "number", ["9841000001", 9841000001, "97798410 00001", "+9779841000001", "1231231234"]
    )
    def test_contact_number_is_shown_as_it_was_sent(
        self, caller: Caller, campaign: Campaign, number: Any
    ) -> None:
        assert add(caller, campaign, {"number": number})["number"] == str(number)

    def test_new_variables_of_a_contact_become_tags_of_the_campaign(
        self, caller: Caller, campaign: Campaign
    ) -> None:
        add(caller, campaign, {"number": 9841000001, "other_variables": {"name": "Ram"}})
        second = add(
            caller, campaign, {"number": 9841000002, "other_variables": {"Full name": "Sita", "age": 31}}
        )
        assert second["attributes"] == {"name": "", "Full_name": "Sita", "age": 31}
        campaign.refresh_from_db()
        assert campaign.tags == ["tags_name", "tags_Full_name", "tags_age"]
        assert campaign.tag_sizes["tags_Full_name"]["longest"] == "x" * len("Sita")

    @pytest.mark.parametrize("sent", [None, {}, "", "name", '{"name": "Ram"}'])
    def test_variables_are_read_as_object_or_json_text(
        self, caller: Caller, campaign: Campaign, sent: Any
    ) -> None:
        known = add(caller, campaign, {"number": 9841000001, "other_variables": sent})["attributes"]
        assert known == ({"name": "Ram"} if sent and "Ram" in sent else {})

    @pytest.mark.parametrize(
        "sent",
        [{"": "x"}, {" ": "x"}, {"{}": "x"}, {"name": ["x"]}, {"name": True}, {"name": "x" * 1001}, [1]],
    )
    def test_invalid_variables_are_refused(self, caller: Caller, campaign: Campaign, sent: Any) -> None:
        body = {"number": 9841000001, "other_variables": sent}
        caller.fails("POST", f"campaign/{campaign.pk}/add-contact/", body, status=400)
        assert not Recipient.objects.exists()

    @pytest.mark.parametrize("number", [None, "", "none", 12, [], {}, True])
    def test_invalid_contact_number_is_refused(self, caller: Caller, campaign: Campaign, number: Any) -> None:
        path = f"campaign/{campaign.pk}/add-contact/"
        caller.fails("POST", path, {"number": number}, status=400)

    def test_more_than_256_variables_are_refused(self, caller: Caller, campaign: Campaign) -> None:
        body = {"number": 9841000001, "other_variables": {f"v{n}": n for n in range(257)}}
        caller.fails("POST", f"campaign/{campaign.pk}/add-contact/", body, status=400)

    def test_contact_is_added_from_a_form(self, caller: Caller, campaign: Campaign) -> None:
        form = {"number": "9841000001", "other_variables[name]": "Ram"}
        path = f"campaign/{campaign.pk}/add-contact/"
        assert caller.post(path, form, format="multipart", status=201)["attributes"] == {"name": "Ram"}


class TestMany:
    def test_many_contacts_keep_their_order_and_their_own_variables(
        self, caller: Caller, campaign: Campaign
    ) -> None:
        add(caller, campaign, {"number": 9841000000, "other_variables": {"age": 5}})
        contacts = [{"number": 9841000001 + n, "other_variables": {"name": f"P{n}"}} for n in range(50)]
        answer = add(caller, campaign, {"contacts": contacts})
        assert (answer["created"], answer["skipped"], answer["errors"]) == (50, 0, None)
        shown = [(row["id"], row["number"], row["other_variables"]) for row in answer["contacts"]]
        stored = Recipient.objects.filter(campaign=campaign).order_by("pk")[1:]
        assert shown == [(one.pk, one.number, {"name": f"P{n}"}) for n, one in enumerate(stored)]
        campaign.refresh_from_db()
        assert campaign.number_count == 51
        assert campaign.tag_sizes["tags_name"]["longest"] == "x" * len("P10")

    def test_duplicate_number_makes_two_contacts(self, caller: Caller, campaign: Campaign) -> None:
        assert add(caller, campaign, {"contacts": 2 * [{"number": "9841000001"}]})["created"] == 2

    def test_list_without_a_valid_contact_names_each_row(self, caller: Caller, campaign: Campaign) -> None:
        path = f"campaign/{campaign.pk}/add-contact/"
        answer = caller.fails("POST", path, {"contacts": [{"number": "none"}]}, status=400)
        assert answer["errors"][0].startswith("Row 1: ")

    @pytest.mark.parametrize(
        "contacts", [None, [], {}, "x", [1], [{"name": "Ram"}], [{"number": "9841000001"}, None]]
    )
    def test_malformed_contact_list_is_refused(
        self, caller: Caller, campaign: Campaign, contacts: Any
    ) -> None:
        caller.fails("POST", f"campaign/{campaign.pk}/add-contact/", {"contacts": contacts}, status=400)
        assert not Recipient.objects.exists()


class TestSheet:
    @pytest.mark.parametrize("method", ["PATCH", "POST", "PUT"])
    def test_sheet_adds_to_existing_contacts(self, caller: Caller, campaign: Campaign, method: str) -> None:
        add(caller, campaign, {"number": 9841000000, "other_variables": {"name": "Gita"}})
        sheet = make_sheet(["numbers", "name", "age"], [9841000001, "Ram", 22], [9841000002, "Sita", 31])
        file = SimpleUploadedFile("whatever", sheet.read())
        path = f"campaign/create/{campaign.pk}/detail/"
        answer = caller.call(method, path, {"bulk_file": file}, format="multipart", status=200)
        assert answer["total_validated_rows"] == 2
        assert answer["samples"][2] == {"column": "age", "sample": [22, 31]}
        campaign.refresh_from_db()
        assert (campaign.number_count, campaign.tags) == (3, ["tags_name", "tags_age"])

    def test_multipart_upload_labelled_as_json_is_read(self, caller: Caller, campaign: Campaign) -> None:
        """A PHP client really sends this: the header has no boundary."""
        body = (
            b'--b0\r\nContent-Disposition: form-data; name="bulk_file"; filename="contacts.csv"\r\n\r\n'
            b"numbers,name\n9841000001,Ram\r\n--b0--\r\n"
        )
        path = f"campaign/create/{campaign.pk}/detail/"
        answer = caller.call("POST", path, body, content_type="application/json", status=200)
        assert answer["total_validated_rows"] == 1

    def test_unusable_sheet_is_refused(self, caller: Caller, campaign: Campaign) -> None:
        assert upload(caller, campaign, b"numbers\nnone\n", status=400)["errors"][0].startswith("Row 2: ")
        upload(caller, campaign, b"\x89PNG\r\n", status=400)
        path = f"campaign/create/{campaign.pk}/detail/"
        assert "bulk_file" in caller.fails("PATCH", path, {"bulk_file": "contacts.csv"}, status=400)
        assert "bulk_file" in caller.fails("PATCH", path, status=400)

    def test_large_sheet_is_imported_in_the_background(
        self, caller: Caller, campaign: Campaign, settings: Any
    ) -> None:
        settings.IRIS_BACKGROUND_IMPORT_BYTES = 10
        rows = b"numbers,name\n9841000001,Ram\n9841000002,Sita\n"
        answer = upload(caller, campaign, rows)
        assert (answer["total_validated_rows"], answer["samples"][1]["sample"]) == (0, ["Ram", "Sita"])
        assert "few minutes" in answer["message"]
        upload(caller, campaign, rows, status=409)
        assert caller.code == "importing"
        background_imports.resume_import(SheetImport.objects.get().pk)
        assert caller.get(f"campaign-detail/{campaign.pk}/")["count"] == 2


class TestList:
    def test_contact_list_has_pages(self, caller: Caller, campaign: Campaign) -> None:
        add(caller, campaign, {"contacts": [{"number": 9841000000 + n} for n in range(120)]})
        path = f"campaign-detail/{campaign.pk}/"
        first = caller.get(path)
        assert (first["count"], first["total_pages"], len(first["results"])) == (120, 2, 100)
        assert first["results"][0]["number"] == "9841000119"
        # A client that asks for a page without a page size expects the documented ten.
        assert [row["number"] for row in caller.get(f"{path}?page=2")["results"]] == [
            str(9841000109 - n) for n in range(10)
        ]
        assert len(caller.get(f"{path}?limit=1000")["results"]) == 120
        assert caller.get(f"campaign/{campaign.pk}/contacts/") == {
            **first,
            "next": first["next"].replace(
                "campaign-detail/" + str(campaign.pk), f"campaign/{campaign.pk}/contacts"
            ),
        }

    @pytest.mark.parametrize(
        ("status", "word"),
        [
            (DeliveryStatus.QUEUED, "not started"),
            (DeliveryStatus.SUBMITTED, "dialing"),
            (DeliveryStatus.RINGING, "ringing"),
            (DeliveryStatus.ANSWERED, "answered"),
        ],
    )
    def test_contact_shows_the_status_of_a_delivery_in_progress(
        self, caller: Caller, campaign: Campaign, status: DeliveryStatus, word: str
    ) -> None:
        claimed = timezone.now() - timedelta(hours=1)
        contact = make_recipient(campaign=campaign, number=9841000001, updated_at=claimed - timedelta(days=1))
        run = make_run(campaign=campaign, cursor=contact.pk, filled_at=timezone.now())
        make_delivery_of(run=run, recipient=contact, status=status, claimed_at=claimed)
        (shown,) = caller.get(f"campaign-detail/{campaign.pk}/")["results"]
        assert shown["status"] == word
        assert shown["updated_at"] == timezone.localtime(claimed).isoformat()

    def test_costs_of_calls_and_sms_are_shown_separately(self, caller: Caller, campaign: Campaign) -> None:
        make_recipient(
            campaign=campaign,
            status=DeliveryStatus.COMPLETED,
            credits=Decimal("3.50"),
            sms_credits=Decimal(1),
            seconds=65.4,
            playback=100,
        )
        (shown,) = caller.get(f"campaign-detail/{campaign.pk}/")["results"]
        assert (shown["credit_consumed"], shown["credit_consumed_SMS"]) == (2.5, 1)
        assert (shown["call_duration"], shown["playback"]) == ("65s", "100")

    def test_carrier_of_each_contact_is_shown_and_counted(self, caller: Caller, campaign: Campaign) -> None:
        numbers = (9841000001, 9851000001, 9801000001, 9821000001, 9611000001, "15970425", "1231231234")
        add(caller, campaign, {"contacts": [{"number": number} for number in numbers]})
        answer = caller.get(f"campaign-detail/{campaign.pk}/")
        assert answer["carrier_summary"] == {"NTC": 2, "Ncell": 2, "other": 3}
        assert [row["carrier"] for row in answer["results"]] == 3 * ["other"] + 2 * ["Ncell"] + 2 * ["NTC"]

    def test_carrier_summary_of_many_contacts_is_cached(
        self, caller: Caller, campaign: Campaign, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("campaigns.reports.totals.CACHE_ABOVE_NUMBERS", 2)
        add(caller, campaign, {"contacts": 3 * [{"number": 9841000001}]})
        path = f"campaign-detail/{campaign.pk}/"
        assert caller.get(path)["carrier_summary"] == {"NTC": 3}
        Recipient.objects.update(to="+9779801000001")
        assert caller.get(path)["carrier_summary"] == {"NTC": 3}
        add(caller, campaign, {"number": 9801000001})
        assert caller.get(path)["carrier_summary"] == {"Ncell": 4}


class TestChanges:
    def test_attributes_that_are_not_sent_are_kept(self, caller: Caller, campaign: Campaign) -> None:
        contact = add(caller, campaign, {"number": 9841000001, "other_variables": {"name": "Ram", "age": 22}})
        path = f"campaign/{contact['id']}/attributes/"
        assert caller.patch(path, {"age": None, "ward": "4"}) == {"name": "Ram", "age": "", "ward": "4"}
        assert caller.patch(path, {"age": "23"}, format="multipart") == {
            "name": "Ram",
            "age": "23",
            "ward": "4",
        }
        caller.fails("PATCH", path, {"age": [1]}, status=400)

    def test_attributes_address_uses_the_id_of_a_contact_not_of_a_campaign(
        self, caller: Caller, account: Account
    ) -> None:
        campaign = make_empty_campaign(owner=account, pk=77)
        contact = make_recipient(campaign=make_empty_campaign(owner=account), id=77)
        assert caller.get("campaign/77/")["name"] == campaign.name
        assert caller.get("campaign/77/attributes/") == contact.tags == {}

    def test_contact_update_changes_number_and_variables(self, caller: Caller, campaign: Campaign) -> None:
        contact = add(caller, campaign, {"number": 9841000001, "other_variables": {"name": "Ram"}})
        path = f"phone-number/update/{contact['id']}/"
        assert (
            caller.patch(path, {"number": 9841000002, "other_variables": {"age": 3}})["number"]
            == "9841000002"
        )
        assert Recipient.objects.get().tags == {"tags_name": "Ram", "tags_age": 3}
        assert caller.patch(path, {})["number"] == "9841000002"
        caller.fails("PATCH", path, {"number": "none"}, status=400)

    def test_update_of_a_concurrently_deleted_contact_is_a_404(
        self, caller: Caller, campaign: Campaign, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        contact = make_recipient(campaign=campaign)
        original = guards.refuse_while_live

        def refuse_then_delete(campaign: Campaign) -> None:
            original(campaign)
            Recipient.objects.all().delete()

        monkeypatch.setattr("campaigns.recipients.editing.refuse_while_live", refuse_then_delete)
        caller.fails("PATCH", f"phone-number/update/{contact.pk}/", {"number": "9841000005"}, status=404)

    def test_contacts_cannot_change_during_a_run(self, caller: Caller, account: Account) -> None:
        campaign = make_campaign(owner=account)
        make_run(campaign=campaign, status=RunStatus.RUNNING)
        contact = campaign.recipients.latest("pk").pk
        for method, path, body in (
            ("PATCH", f"campaign/{contact}/attributes/", {"name": "Ram"}),
            ("PATCH", f"phone-number/update/{contact}/", {"number": "9841000009"}),
            ("DELETE", f"phone-number/delete/{contact}/", None),
        ):
            caller.fails(method, path, body, status=409)
            assert caller.code == "campaign_live"
        assert not Delivery.objects.exists()
