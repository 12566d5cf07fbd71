"""v0: create campaigns, with numbers and sheets in every form in which clients send them."""

from __future__ import annotations

import io
from typing import Any
from urllib.parse import urlencode

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import override_settings
from openpyxl import Workbook

from campaigns.models import Recipient
from tests.golden import assert_answers_as_documented
from tests.v0 import Caller

CAMPAIGNS = "/api/system/campaigns/"


def numbers_of(answer: dict[str, Any]) -> list[str]:
    """Return the numbers of the created campaign, as they were sent and in that order."""
    (made,) = answer["data"]["details"]
    return list(Recipient.objects.filter(campaign=made["id"]).order_by("pk").values_list("number", flat=True))


def xlsx(*rows: tuple[object, ...]) -> bytes:
    book = Workbook()
    for row in rows:
        book.active.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


class TestCreate:
    def test_a_campaign_can_be_created_with_individual_numbers(self, caller: Caller) -> None:
        assert_answers_as_documented(caller.client, "campaign_create")
        numbers = Recipient.objects.order_by("pk").values_list("number", flat=True)
        assert list(numbers) == ["9876543210", "98675432123"]

    @pytest.mark.parametrize(
        "sent",
        [
            [9800000001, 9800000002],
            ["9800000001", "9800000002"],
            [9800000001, "9800000002"],
            ["9800000001, 9800000002"],
            "9800000001,9800000002",
            "9800000001\n9800000002\n",
            "[9800000001, 9800000002]",
            '["9800000001", "9800000002"]',
        ],
    )
    def test_numbers_are_read_in_any_form(self, caller: Caller, sent: object) -> None:
        answer = caller.post(
            CAMPAIGNS, {"name": "Notice", "services": "sms", "individual_number": sent}, status=201
        )
        assert numbers_of(answer) == ["9800000001", "9800000002"]
        assert answer["data"]["details"][0]["number_count"] == 2

    @pytest.mark.parametrize("sent", [9800000001, "9800000001", [9800000001]])
    def test_a_single_number_is_read(self, caller: Caller, sent: object) -> None:
        answer = caller.post(
            CAMPAIGNS, {"name": "Notice", "services": "SMS", "individual_number": sent}, status=201
        )
        assert numbers_of(answer) == ["9800000001"]

    @pytest.mark.parametrize("name", ["individual_number", "individual_number[]", "individual_number[0]"])
    def test_a_campaign_can_be_created_by_a_form(self, caller: Caller, name: str) -> None:
        form = [
            ("name", "Notice"),
            ("services", "SMS"),
            (name, "9800000001"),
            (name.replace("0", "1"), "9800000002"),
        ]
        answer = caller.post(
            CAMPAIGNS, urlencode(form), content_type="application/x-www-form-urlencoded", status=201
        )
        assert numbers_of(answer) == ["9800000001", "9800000002"]

    def test_a_campaign_can_be_created_by_multipart(self, caller: Caller) -> None:
        sent = {"name": "Notice", "services": "SMS", "individual_number": ["9800000001", "9800000002"]}
        assert numbers_of(caller.post(CAMPAIGNS, sent, format="multipart", status=201)) == [
            "9800000001",
            "9800000002",
        ]

    def test_a_number_that_is_sent_twice_becomes_two_recipients(self, caller: Caller) -> None:
        sent = {"name": "Notice", "services": "SMS", "individual_number": [9800000001, 9800000001]}
        assert numbers_of(caller.post(CAMPAIGNS, sent, status=201)) == ["9800000001", "9800000001"]

    def test_invalid_numbers_are_skipped_and_reported(self, caller: Caller) -> None:
        sent = {
            "name": "Notice",
            "services": "SMS",
            "individual_number": [9800000001, "call me", True, None, {}, [1], 1.5],
        }
        answer = caller.post(CAMPAIGNS, sent, status=201)
        assert numbers_of(answer) == ["9800000001"]
        assert answer["success"] is True
        assert [error["row"] for error in answer["errors"]] == [2, 3, 4, 5, 6, 7]
        assert all(len(error["message"]) > 15 for error in answer["errors"])

    def test_a_campaign_can_be_created_with_a_sheet(self, caller: Caller) -> None:
        sheet = xlsx(("numbers", "name", "age"), (9800000001, "सीता ", 25), (9800000002, "राम", 31))
        sent = {
            "name": "bulk",
            "services": "SMS",
            "send_to_number_file": SimpleUploadedFile("numbers.xlsx", sheet),
        }
        answer = caller.post(CAMPAIGNS, sent, format="multipart", status=201)
        assert answer["data"]["details"][0]["number_count"] == 2
        (details,) = caller.get(f"{CAMPAIGNS}{answer['data']['details'][0]['id']}/details")["data"]["details"]
        assert details["usable_tags"] == ["tags_name", "tags_age"]
        numbers = caller.get(f"{CAMPAIGNS}number/{details['id']}")["data"]["number-lists"]
        assert [number["available_tags"]["tags_age"] for number in numbers] == [31, 25]

    @pytest.mark.parametrize("outer", ["multipart/form-data; boundary=php", "application/json"])
    def test_a_sheet_is_read_as_a_php_client_really_sends_it(self, caller: Caller, outer: str) -> None:
        """The uploaded file has no extension and a placeholder as content type.

        In one case the Content-Type of the request says JSON.
        """
        sheet = xlsx(("numbers", "name"), (9800000001, "सीता"))
        parts = [
            b'--php\r\nContent-Disposition: form-data; name="name"\r\n\r\nbulk\r\n',
            b'--php\r\nContent-Disposition: form-data; name="services"\r\n\r\nPHONE\r\n',
            b'--php\r\nContent-Disposition: form-data; name="send_to_number_file"; filename="phpQ7z1Xk"\r\n'
            b"Content-Type: <Content-type header>\r\n\r\n" + sheet + b"\r\n",
            b"--php--\r\n",
        ]
        answer = caller.post(CAMPAIGNS, b"".join(parts), content_type=outer, status=201)
        assert numbers_of(answer) == ["9800000001"]

    def test_a_campaign_can_be_created_with_a_csv_file(self, caller: Caller) -> None:
        file = SimpleUploadedFile("numbers.csv", "numbers,name\n9800000001,सीता\n".encode())
        sent = {"name": "bulk", "services": "SMS", "send_to_number_file": file}
        assert numbers_of(caller.post(CAMPAIGNS, sent, format="multipart", status=201)) == ["9800000001"]

    def test_rows_without_a_number_are_skipped_and_reported(self, caller: Caller) -> None:
        sheet = xlsx(("numbers", "name"), (9800000001, "सीता"), ("none", "राम"))
        sent = {"name": "bulk", "services": "SMS", "send_to_number_file": SimpleUploadedFile("n", sheet)}
        answer = caller.post(CAMPAIGNS, sent, format="multipart", status=201)
        assert numbers_of(answer) == ["9800000001"]
        assert [error["row"] for error in answer["errors"]] == [3]

    def test_a_setting_makes_details_an_object(self, caller: Caller) -> None:
        sent = {"name": "Notice", "services": "SMS", "individual_number": [9800000001]}
        with override_settings(IRIS_V0_DETAILS_OBJECT=True):
            made = caller.post(CAMPAIGNS, sent, status=201)["data"]["details"]
            assert (made["name"], made["number_count"], made["status"]) == ("Notice", 1, "Not Started")
            path = f"{CAMPAIGNS}{made['id']}"
            assert caller.put(f"{path}/update", {"name": "New"})["data"]["details"]["name"] == "New"
            assert caller.get(f"{path}/details")["data"]["details"]["name"] == "New"

    def test_an_unknown_service_is_refused(self, caller: Caller) -> None:
        assert_answers_as_documented(caller.client, "error_invalid")
