"""Test campaigns in v1: creating them, the forms in which clients send fields, and schedules."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from accounts.models import Account
from campaigns.models import Campaign, Service
from tests.factories import make_account, make_phone_number
from tests.v1.caller import Caller
from tests.v1.campaigns import create

KATHMANDU = ZoneInfo("Asia/Kathmandu")


class TestCreate:
    def test_campaign_needs_only_a_name_and_services(self, caller: Caller) -> None:
        made = create(caller)
        assert (made["user_phone"], made["voice"], made["message"], made["category"]) == (
            [],
            None,
            "",
            "Text",
        )

    def test_read_only_fields_are_ignored(self, caller: Caller) -> None:
        made = create(
            caller,
            id=None,
            status="Completed",
            audio_file=None,
            bulk_file=None,
            campaign_action_count=7,
            progress_percent=50,
            updated_at=None,
            steps=[],
            main_audit="4770",
        )
        assert (made["status"], made["campaign_action_count"], made["progress_percent"]) == (
            "Not Started",
            0,
            0,
        )

    @pytest.mark.parametrize("sent", ["SMS & PHONE", "PHONE & SMS", "sms & phone"])
    def test_sms_and_phone_together_are_accepted_in_any_spelling(self, caller: Caller, sent: str) -> None:
        assert create(caller, services=sent)["services"] == "SMS & PHONE"
        assert Campaign.objects.get().service == Service.BOTH

    @pytest.mark.parametrize(
        ("sent", "shown"),
        [
            (4, 4),
            ("4", 4),
            ({"id": 4}, 4),
            ({"id": "4", "voice_display_name": "Binod", "voice_internal_name": "np_binod"}, 4),
            ({"voice_internal_name": "np_binod"}, 4),
            ({"id": None, "voice_internal_name": "np_rija", "is_premium": True}, 2),
            ({"voice_internal_name": "np_rija"}, 1),
            ("np_prashanna", 3),
            ("np_prasanna", 3),
            (None, None),
            ("", None),
        ],
    )
    def test_voice_is_accepted_as_id_name_or_object(
        self, caller: Caller, sent: Any, shown: int | None
    ) -> None:
        assert create(caller, voice=sent)["voice"] == shown

    @pytest.mark.parametrize("sent", [99, "nobody", {}, {"id": 99}, [4], True, 1.5])
    def test_unknown_voice_is_refused(self, caller: Caller, sent: Any) -> None:
        answer = caller.fails(
            "POST", "campaign/create/", {"name": "Water", "services": "SMS", "voice": sent}, status=400
        )
        assert len(answer["voice"]) == 1

    @pytest.mark.parametrize(
        ("sent", "kept"), [(0, None), ("0", None), (None, None), ("", None), (100, 100), ("12.50", 12.5)]
    )
    def test_credit_limit_of_zero_means_no_limit(self, caller: Caller, sent: Any, kept: Any) -> None:
        assert create(caller, credit_limit=sent)["credit_limit"] == kept

    @pytest.mark.parametrize("sent", [-1, "much", 10**12, True, [5], "NaN"])
    def test_invalid_credit_limit_is_refused(self, caller: Caller, sent: Any) -> None:
        new = {"name": "Water", "services": "SMS", "credit_limit": sent}
        assert "credit_limit" in caller.fails("POST", "campaign/create/", new, status=400)

    @pytest.mark.parametrize("hundredths", range(50, 201, 7))
    def test_length_factor_is_returned_as_sent(self, caller: Caller, hundredths: int) -> None:
        factor = f"{hundredths / 100:.2f}"
        assert create(caller, length_factor=factor)["length_factor"] == factor

    def test_length_factor_sets_the_speed_within_its_range(self, caller: Caller) -> None:
        assert create(caller, length_factor=None)["length_factor"] == "1.00"
        longer = create(caller, length_factor=1.25)
        assert Campaign.objects.get(pk=longer["id"]).speed == Decimal("0.8")
        for sent in (0, 0.4, 2.1, "slow", "NaN", True):
            new = {"name": "Water", "services": "PHONE", "length_factor": sent}
            caller.fails("POST", "campaign/create/", new, status=400)

    def test_failover_targets_are_stored_and_validated(self, caller: Caller) -> None:
        targets = ["not started", "hungup", "unanswered", "failed", "completed"]
        assert create(caller, failover_target=targets)["failover_target"] == targets
        assert create(caller, failover_target=[])["failover_target"] == []
        assert create(caller, failover_target=["Failed", None, "failed"])["failover_target"] == ["failed"]
        new = {"name": "Water", "services": "PHONE", "failover_target": ["busy"]}
        assert "failover_target" in caller.fails("POST", "campaign/create/", new, status=400)

    def test_unknown_category_is_ignored(self, caller: Caller) -> None:
        for sent in ("", "example category", None, 7):
            assert create(caller, category=sent)["category"] == "Text"
        assert create(caller, category="Audio")["category"] == "Audio"

    def test_user_phone_must_belong_to_the_account(self, caller: Caller, account: Account) -> None:
        mine = make_phone_number(owner=account)
        others = make_phone_number(number="9800000102", owner=make_account())
        assert create(caller, user_phone=[mine.pk])["user_phone"] == [mine.pk]
        assert create(caller, user_phone=mine.pk)["user_phone"] == [mine.pk]
        new = {"name": "Water", "services": "PHONE", "user_phone": [others.pk]}
        caller.fails("POST", "campaign/create/", new, status=400)
        assert caller.code == "unknown_caller"

    def test_user_phone_is_ignored_for_an_account_without_numbers(self, caller: Caller) -> None:
        """A real client has a number id in its code and sends it for accounts without numbers, too."""
        assert create(caller, user_phone=[3])["id"]

    def test_message_may_use_tags_that_do_not_exist_yet(self, caller: Caller) -> None:
        assert create(caller, message="नमस्कार {name}")["message"] == "नमस्कार {name}"

    @pytest.mark.parametrize("missing", ["name", "services"])
    def test_missing_required_field_is_named(self, caller: Caller, missing: str) -> None:
        new = {"name": "Water", "services": "SMS"}
        del new[missing]
        assert list(caller.fails("POST", "campaign/create/", new, status=400))[-1] == missing

    def test_campaign_is_created_from_a_form(self, caller: Caller, account: Account) -> None:
        numbers = [make_phone_number(number=f"980000010{last}", owner=account).pk for last in (1, 2)]
        form = {"name": "Water", "services": "PHONE", "user_phone": numbers, "draft": "True", "voice": "5"}
        made = caller.post("campaign/create/", form, format="multipart", status=201)
        assert (made["user_phone"], made["draft"], made["voice"]) == (numbers, True, 5)


class TestSchedule:
    def read(self, caller: Caller, sent: str) -> datetime:
        return datetime.fromisoformat(create(caller, schedule=sent)["schedule"])

    def test_schedule_is_read_in_all_documented_formats(self, caller: Caller) -> None:
        day = (timezone.now() + timedelta(days=3)).astimezone(KATHMANDU).date()
        noon = datetime(day.year, day.month, day.day, 12, 0, tzinfo=KATHMANDU)
        assert self.read(caller, f"{day}") == noon - timedelta(hours=12)
        assert self.read(caller, f"{day}T12:00:00") == noon
        assert self.read(caller, f"{day} 12:00") == noon
        assert self.read(caller, f"{day}T12:00:00+05:45") == noon
        assert self.read(caller, f"{day}T06:15:00.000Z") == noon
        made = create(caller, schedule=f"{day}T06:15:00Z")
        assert made["schedule"] == f"{day}T12:00:00+05:45"

    def test_null_or_empty_schedule_means_no_schedule(self, caller: Caller) -> None:
        assert create(caller, schedule=None)["schedule"] is None
        assert create(caller, schedule="")["schedule"] is None

    @pytest.mark.parametrize("sent", ["2020-01-01", "2025-07-07T13:13:16.286224+05:45"])
    def test_schedule_in_the_past_is_refused(self, caller: Caller, sent: str) -> None:
        new = {"name": "Water", "services": "SMS", "schedule": sent}
        answer = caller.fails("POST", "campaign/create/", new, status=400)
        assert answer["schedule"] == ["Cannot schedule past dates."]

    @pytest.mark.parametrize("sent", ["soon", 7, "2082-03-25", "99999-01-01", [], {}])
    def test_malformed_schedule_is_refused(self, caller: Caller, sent: Any) -> None:
        new = {"name": "Water", "services": "SMS", "schedule": sent}
        assert "schedule" in caller.fails("POST", "campaign/create/", new, status=400)
