"""Recipients whose number comes earlier in their campaign: how they are marked, and what a run does with them."""

from __future__ import annotations

import random
from typing import Any

import pytest

from campaigns import duplicates, runs
from campaigns.models import Campaign, Recipient, RunStatus, Service
from campaigns.recipients import background_imports, editing, imports
from campaigns.runs import hopper
from iris.errors import InvalidInput
from telephony.models import Delivery, DeliveryStatus
from tests.campaigns.runs.trying import assert_settled, begun, claim, end, step, tick
from tests.factories import make_account, make_campaign, make_sheet

pytestmark = pytest.mark.django_db

S = DeliveryStatus
A, B, C = 9841000001, 9841000002, 9841000003
TWICE = (A, B, A, C, B, A)


@pytest.fixture
def ranges_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "RANGE", 2)


def marked(campaign: Campaign) -> list[bool]:
    return list(campaign.recipients.order_by("pk").values_list("duplicate", flat=True))


def expected(campaign: Campaign) -> list[bool]:
    """Return the right marks, without the code under test."""
    seen: set[str] = set()
    right = []
    for to in campaign.recipients.order_by("pk").values_list("to", flat=True):
        right.append(bool(to) and to in seen)
        seen.add(to)
    return right


def assert_marked(campaign: Campaign) -> None:
    duplicates.mark_all(campaign.pk)
    assert marked(campaign) == expected(campaign)


class TestMarks:
    def test_a_list_is_marked_when_it_is_added(self) -> None:
        campaign = make_campaign(numbers=TWICE)
        assert marked(campaign) == [False, False, True, False, True, True]

    def test_a_sheet_is_marked_when_it_is_added(self) -> None:
        campaign = make_campaign(numbers=(A, B))
        editing.import_sheet(campaign=campaign, file=make_sheet(["number"], [B], [C], [C]))
        assert marked(campaign) == [False, False, True, False, True]

    def test_a_background_import_is_marked_before_it_is_done(
        self, settings: Any, ranges_of_two: None
    ) -> None:
        settings.IRIS_BACKGROUND_IMPORT_BYTES = 0
        campaign = make_campaign(numbers=(A, B))
        editing.import_sheet(campaign=campaign, file=make_sheet(["number"], [B], [C], [C], [A]))
        background_imports.import_all()
        assert marked(campaign) == [False, False, True, False, True, True]

    def test_spellings_of_one_number_are_duplicates(self) -> None:
        campaign = make_campaign(numbers=("9841000001", "+977 984-1000001", "009779841000001"))
        assert marked(campaign) == [False, True, True]

    def test_invalid_numbers_are_nobodys_duplicates(self) -> None:
        campaign = make_campaign(numbers=(A,))
        imports.copy_rows(campaign, [("12", "", {}), ("12", "", {})])
        assert_marked(campaign)
        assert marked(campaign) == [False, False, False]

    def test_many_recipients_that_are_added_one_by_one_are_marked_once(self) -> None:
        campaign = make_campaign(numbers=range(A, A + 30))
        editing.add_recipient(campaign=campaign, number=A)
        campaign.refresh_from_db()
        last = imports.last_recipient(campaign)
        assert not duplicates.are_marked(campaign, up_to=last)
        assert_marked(campaign)
        campaign.refresh_from_db()
        assert duplicates.are_marked(campaign, up_to=last)

    def test_a_deleted_first_makes_the_second_the_first(self, ranges_of_two: None) -> None:
        campaign = make_campaign(numbers=TWICE)
        duplicates.mark_all(campaign.pk)
        editing.delete_recipient(recipient=campaign.recipients.order_by("pk")[0])
        assert_marked(campaign)
        assert marked(campaign) == [False, False, False, True, True]

    def test_an_edited_number_changes_the_marks_of_later_recipients(self, ranges_of_two: None) -> None:
        campaign = make_campaign(numbers=TWICE)
        duplicates.mark_all(campaign.pk)
        editing.edit_recipient(recipient=campaign.recipients.order_by("pk")[0], number=C)
        assert_marked(campaign)
        assert marked(campaign) == [False, False, False, True, True, True]

    def test_any_order_of_changes_ends_with_the_right_marks(self, ranges_of_two: None) -> None:
        chance = random.Random(3)
        pool = [A, B, C, A + 7]
        campaign = make_campaign(numbers=[A])
        for _ in range(60):
            rows = list(campaign.recipients.order_by("pk"))
            match chance.randrange(6):
                case 0:
                    editing.add_recipient(campaign=campaign, number=chance.choice(pool))
                case 1:
                    editing.add_recipients(
                        campaign=campaign,
                        rows=[(chance.choice(pool), {}) for _ in range(chance.randint(1, 4))],
                    )
                case 2 if len(rows) > 1:
                    editing.delete_recipient(recipient=chance.choice(rows))
                case 3:
                    editing.edit_recipient(recipient=chance.choice(rows), number=chance.choice(pool))
                case 4:
                    duplicates.mark_next(campaign.pk)
                case _:
                    campaign.refresh_from_db()
                    known = list(campaign.recipients.filter(duplicates.known(campaign)).values_list("pk"))
                    right = [
                        (row.pk,)
                        for row, wrong in zip(rows, expected(campaign), strict=True)
                        if wrong and row.pk <= campaign.duplicates_marked_to
                    ]
                    assert sorted(known) == right
        assert_marked(campaign)

    def test_a_worker_that_dies_between_two_ranges_continues(
        self, ranges_of_two: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        campaign = make_campaign(numbers=TWICE)
        Recipient.objects.update(duplicate=False)
        Campaign.objects.update(duplicates_marked_to=0)

        def die(name: str) -> None:
            raise KeyboardInterrupt(name)

        for point, done in (("marking", 0), ("marked_duplicates", 2)):
            with monkeypatch.context() as patched:
                patched.setattr(
                    duplicates, "failpoint", lambda name, point=point: die(name) if name == point else None
                )
                with pytest.raises(KeyboardInterrupt, match=point):
                    duplicates.mark_all(campaign.pk)
            campaign.refresh_from_db()
            assert campaign.recipients.filter(pk__lte=campaign.duplicates_marked_to).count() == done
        assert_marked(campaign)


class TestRuns:
    def test_each_number_is_called_once_and_the_others_say_why(self) -> None:
        campaign, run = begun(numbers=TWICE, duplicates="once")
        assert {one.to[-1] for one in step("completed")} == {"1", "2", "3"}
        shown = list(campaign.recipients.order_by("pk").values_list("status", "left_out", "credits"))
        assert [status for status, _, _ in shown] == [S.COMPLETED] * 2 + [S.TERMINATED, S.COMPLETED] + [
            S.TERMINATED
        ] * 2
        assert [why for _, why, _ in shown] == ["", "", "duplicate", "", "duplicate", "duplicate"]
        assert [bool(cost) for _, _, cost in shown] == [True, True, False, True, False, False]
        assert Delivery.objects.count() == 3
        assert_settled(run)
        assert (run.status, run.duplicate_count) == (RunStatus.COMPLETED, 3)

    def test_nothing_is_held_for_duplicates(self) -> None:
        kept = begun(numbers=TWICE)[1].hold.amount
        assert begun(numbers=TWICE, duplicates="once")[1].hold.amount == kept / 2

    def test_duplicates_are_kept_without_the_rule(self) -> None:
        begun(numbers=TWICE)
        assert len(step("completed")) == 6

    def test_a_campaign_can_keep_duplicates_whatever_the_account_does(self) -> None:
        account = make_account(credits=100)
        account.duplicates = "once"
        account.save()
        cases: list[tuple[dict[str, Any], int]] = [({}, 3), ({"duplicates": "keep"}, 6)]
        for rules, called in cases:
            campaign = make_campaign(owner=account, numbers=TWICE)
            runs.begin(campaign=campaign, message="Hi", **rules)
            assert len(step("completed")) == called

    def test_recipients_that_a_worker_marks_later_are_held_for_and_left_out(
        self, ranges_of_two: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(duplicates, "MARKED_IN_REQUEST", 0)
        kept = begun(numbers=TWICE)[1].hold.amount
        step("completed")
        campaign, run = begun(numbers=TWICE, duplicates="once")
        assert (run.hold.amount, any(marked(campaign))) == (kept, False)
        for _ in range(6):
            hopper.fill(run.pk)
        assert len(step("completed")) == 3
        assert_settled(run)
        assert run.hold.released == kept / 2

    def test_a_second_run_contacts_a_duplicate_neither(self) -> None:
        campaign, _ = begun(numbers=(A, A, B), duplicates="once")
        step("completed")
        rerun = runs.begin(campaign=campaign, statuses=[S.TERMINATED, S.COMPLETED])
        assert [one.to[-1] for one in step("completed")] == ["1", "2"]
        assert_settled(rerun)

    def test_a_run_of_duplicates_alone_is_refused(self) -> None:
        campaign, _ = begun(numbers=(A, A), duplicates="once")
        step("completed")
        second = campaign.recipients.order_by("pk")[1]
        with pytest.raises(InvalidInput, match="comes earlier in the campaign"):
            runs.begin(campaign=campaign, individual=[second.pk])
        runs.begin(campaign=campaign, individual=[second.pk], duplicates="keep")
        assert len(step("completed")) == 1
        second.refresh_from_db()
        assert (second.status, second.left_out) == (S.COMPLETED, "")

    def test_a_spending_limit_is_spent_on_others_than_duplicates(self) -> None:
        price = begun(numbers=(A,), service=Service.SMS)[1].hold.amount
        step("completed")
        campaign, run = begun(
            numbers=(A, A, A, B, C),
            service=Service.SMS,
            duplicates="once",
            fields={"spending_limit": 2 * price},
        )
        for _ in range(5):
            step("completed")
        shown = list(campaign.recipients.order_by("pk").values_list("status", flat=True))
        assert shown == [S.COMPLETED, S.TERMINATED, S.TERMINATED, S.COMPLETED, None]
        assert_settled(run)

    def test_a_stop_leaves_no_wrong_reason(self) -> None:
        campaign, _ = begun(numbers=(A, A), duplicates="once")
        step("completed")
        runs.begin(campaign=campaign, duplicates="keep")
        runs.stop(campaign=campaign)
        assert set(campaign.recipients.values_list("status", "left_out")) == {(S.TERMINATED, "")}

    def test_the_first_number_stays_the_first_in_a_run_while_the_campaign_grows(self) -> None:
        campaign, _ = begun(numbers=(A, B), duplicates="once")
        tick()
        claimed = claim()
        editing.add_recipient(campaign=campaign, number=A)
        end(claimed, "completed")
        tick()
        assert marked(campaign)[:2] == [False, False]
        runs.begin(campaign=campaign)
        assert len(step("completed")) == 2
