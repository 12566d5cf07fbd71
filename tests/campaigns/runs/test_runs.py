"""Begin, stop, pause and resume runs, and account for their credits."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.utils import timezone

from accounts.credits import InsufficientCredits
from accounts.ledger import check_ledger
from accounts.models import CreditEntry, CreditHold
from campaigns import runs, services
from campaigns.models import Campaign, Recipient, Run, RunStatus, Service, Source
from campaigns.recipients import editing
from campaigns.reports import states
from campaigns.runs import hopper, run_statuses
from iris.errors import Conflict, InvalidInput
from telephony.engine import dispatch
from telephony.models import Delivery, DeliveryStatus, SandboxMessage
from tests.engine import run_all_loops_once, run_to_the_end
from tests.factories import make_account, make_campaign, make_sheet

pytestmark = pytest.mark.django_db

S = DeliveryStatus
GREETING = "नमस्कार {tags_name}"


@pytest.fixture(autouse=True)
def fast_sandbox(settings: Any) -> None:
    settings.IRIS_SANDBOX_SPEED = 10_000


def statuses(campaign: Campaign) -> list[str]:
    editing = list(campaign.recipients.order_by("pk"))
    return [state.status.name if state.status else "-" for state in states.states_of(campaign, editing)]


def assert_ledger_exact() -> None:
    assert check_ledger().differences == ()


def test_a_run_texts_every_recipient_once_and_accounts_for_every_credit() -> None:
    campaign = make_campaign()
    run = runs.begin(campaign=campaign, message="Meeting at ten.")
    assert run.hold.amount == Decimal(3)
    run_to_the_end()
    assert statuses(campaign) == ["COMPLETED"] * 3
    assert sorted(SandboxMessage.objects.values_list("to", "text")) == [
        (f"+977984100000{digit}", "Meeting at ten.") for digit in (1, 2, 3)
    ]
    run.hold.refresh_from_db()
    assert (run.hold.captured, run.hold.released) == (Decimal(3), Decimal(0))
    run.refresh_from_db()
    assert (run.status, campaign.recipients.filter(credits=1).count()) == (RunStatus.COMPLETED, 3)
    assert_ledger_exact()


def test_each_outcome_has_its_status_and_only_answered_calls_cost(settings: Any) -> None:
    settings.IRIS_REPORT_TIMEOUT_SECONDS = 10_000  # a second at this speed
    numbers = [9841009900 + fate for fate in range(9)]
    campaign = make_campaign(service=Service.CALL, numbers=numbers)
    runs.begin(campaign=campaign, message="सबैलाई नमस्कार")
    run_to_the_end()
    assert statuses(campaign) == [
        "COMPLETED", "UNANSWERED", "UNANSWERED", "HUNGUP", "FAILED", "FAILED", "COMPLETED", "COMPLETED", "COMPLETED",
    ]  # fmt: skip
    assert list(Delivery.objects.order_by("item").values_list("cause", flat=True)) == [
        "", "busy", "no_answer", "cut_off", "invalid", "lost", "", "", "",
    ]  # fmt: skip
    hold = CreditHold.objects.get()
    assert (hold.amount, hold.captured, hold.remaining) == (Decimal(18), Decimal(10), 0)
    heard = Recipient.objects.get(number=9841009903)
    assert (heard.playback, heard.credits) == (50, Decimal(2))
    assert SandboxMessage.objects.values("to").distinct().count() == SandboxMessage.objects.count() == 8
    assert_ledger_exact()


def test_every_recipient_gets_their_own_text() -> None:
    sheet = make_sheet(
        ["numbers", "name"], [9841000001, "राम "], [9841000001, "सीता"], [9841000003, None], ["x", "Nobody"]
    )
    campaign, errors, _ = services.create_campaign(
        account=make_account(credits=100), name="Sheet", service=Service.SMS, sheet=sheet
    )
    assert [error["row"] for error in errors] == [5]
    assert (campaign.number_count, campaign.tags) == (3, ["tags_name"])
    runs.begin(campaign=campaign, message=GREETING)
    run_to_the_end()
    texts = SandboxMessage.objects.order_by("pk").values_list("text", flat=True)
    assert list(texts) == ["नमस्कार राम", "नमस्कार सीता", "नमस्कार "]


def test_the_hold_covers_the_longest_text_and_unused_credits_are_released() -> None:
    owner = make_account(credits=100)
    sheet = make_sheet(["numbers", "name"], [9841000001, "राम"], [9841000002, "ल" * 100])
    campaign, *_ = services.create_campaign(account=owner, name="Sheet", service=Service.SMS, sheet=sheet)
    run = runs.begin(campaign=campaign, message=GREETING)
    assert run.hold.amount == Decimal(4)
    run_to_the_end()
    owner.refresh_from_db()
    assert owner.balance == Decimal(97)
    assert sorted(Delivery.objects.values_list("credits", flat=True)) == [Decimal(1), Decimal(2)]
    assert_ledger_exact()


def test_beginning_with_too_few_credits_changes_nothing() -> None:
    campaign = make_campaign(owner=make_account(credits=2))
    with pytest.raises(InsufficientCredits):
        runs.begin(campaign=campaign, message="Hello")
    campaign.refresh_from_db()
    assert (Run.objects.count(), CreditHold.objects.count(), campaign.message) == (0, 0, "")


def test_a_campaign_with_a_live_run_cannot_begin() -> None:
    campaign = make_campaign()
    runs.begin(campaign=campaign, message="Hello")
    with pytest.raises(Conflict, match="is running"):
        runs.begin(campaign=campaign, message="Hello again")
    assert Run.objects.count() == 1


def test_a_rerun_with_only_a_message_is_for_all_recipients_and_can_be_repeated() -> None:
    campaign = make_campaign()
    for text in ("One", "Two", "Three"):
        runs.begin(campaign=campaign, message=text)
        run_to_the_end()
    assert SandboxMessage.objects.count() == 9
    assert set(campaign.recipients.values_list("credits", flat=True)) == {Decimal(3)}
    assert_ledger_exact()


def test_a_rerun_by_status_is_only_for_recipients_with_that_status(settings: Any) -> None:
    campaign = make_campaign(service=Service.CALL, numbers=[9841000001, 9841009902, 9841009903])
    runs.begin(campaign=campaign, message="Hello")
    run_to_the_end()
    SandboxMessage.objects.all().delete()
    run = runs.begin(campaign=campaign, statuses=[S.HUNGUP, S.UNANSWERED])
    assert run.recipient_count == 2
    run_to_the_end()
    assert sorted(SandboxMessage.objects.values_list("to", flat=True)) == ["+9779841009902", "+9779841009903"]


def test_a_run_for_individual_ids_is_only_for_these_recipients() -> None:
    campaign = make_campaign()
    second = campaign.recipients.order_by("pk")[1]
    run = runs.begin(campaign=campaign, message="Hello", individual=[second.pk])
    assert run.hold.amount == 1
    run_to_the_end()
    assert statuses(campaign) == ["-", "COMPLETED", "-"]


def test_individual_ids_of_another_campaign_are_refused() -> None:
    stranger = make_campaign().recipients.first()
    assert stranger is not None
    with pytest.raises(InvalidInput, match=str(stranger.pk)):
        runs.begin(campaign=make_campaign(), message="Hello", individual=[stranger.pk])


def test_a_rerun_without_any_recipient_of_that_status_is_refused() -> None:
    with pytest.raises(InvalidInput, match="nobody"):
        runs.begin(campaign=make_campaign(), message="Hello", statuses=[S.FAILED])


def test_a_message_with_an_unknown_tag_is_refused_with_its_name() -> None:
    with pytest.raises(InvalidInput, match="tags_nmae"):
        runs.begin(campaign=make_campaign(), message="Hello {tags_nmae}")


def test_beginning_without_message_and_audio_is_refused() -> None:
    with pytest.raises(InvalidInput, match="something to say"):
        runs.begin(campaign=make_campaign())


def test_a_start_time_in_the_past_is_refused() -> None:
    with pytest.raises(InvalidInput, match="past"):
        runs.begin(campaign=make_campaign(), message="Hi", starts_at=timezone.now() - timedelta(minutes=2))


def test_an_sms_campaign_with_audio_is_refused() -> None:
    with pytest.raises(InvalidInput, match="PHONE"):
        runs.begin(campaign=make_campaign(), recording=ContentFile(b"x", name="a.mp3"))


def test_with_a_message_and_an_audio_the_priority_decides(wav: ContentFile) -> None:
    campaign = make_campaign(service=Service.CALL)
    runs.begin(campaign=campaign, recording=wav)
    run_to_the_end()
    runs.begin(campaign=campaign, message="Hello")
    run_to_the_end()
    campaign.refresh_from_db()
    with pytest.raises(InvalidInput, match="priority"):
        runs.begin(campaign=campaign)
    assert runs.begin(campaign=campaign, source=Source.AUDIO).audio == campaign.audio
    run_to_the_end()


@pytest.fixture
def wav() -> ContentFile:
    import io
    import math
    import struct
    import wave

    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((1, 2, 8000, 0, "NONE", ""))
        tone = [int(9000 * math.sin(sample / 8)) for sample in range(8000)]
        writer.writeframes(struct.pack("<8000h", *tone))
    return ContentFile(file.getvalue(), name="tone.wav")


def test_a_scheduled_run_holds_its_credits_immediately_and_starts_once() -> None:
    campaign = make_campaign()
    run = runs.begin(campaign=campaign, message="Later", starts_at=timezone.now() + timedelta(hours=1))
    assert (run.status, run.hold.amount) == (RunStatus.SCHEDULED, 3)
    run_all_loops_once()
    assert Delivery.objects.count() == 0
    Run.objects.update(starts_at=timezone.now())
    assert (run_statuses.start_due(), run_statuses.start_due()) == (1, 0)
    run_to_the_end()
    assert statuses(campaign) == ["COMPLETED"] * 3


def test_numbers_added_during_a_run_wait_for_the_next_run() -> None:
    campaign = make_campaign()
    runs.begin(campaign=campaign, message="Hello")
    editing.add_recipient(campaign=campaign, number=9841000009)
    run_to_the_end()
    assert statuses(campaign) == ["COMPLETED"] * 3 + ["-"]


def test_stop_terminates_the_remaining_recipients_and_releases_their_credits(settings: Any) -> None:
    settings.IRIS_HOPPER_SIZE = 2
    owner = make_account(credits=10)
    campaign = make_campaign(owner=owner, numbers=range(9841000001, 9841000007))
    runs.begin(campaign=campaign, message="Hello")
    hopper.fill_all(budget=0)
    dispatch.run("sandbox", budget=1)
    hopper.fill_all(budget=0)
    stopped = runs.stop(campaign=campaign)
    assert len(stopped.in_flight) == 2
    owner.refresh_from_db()
    assert owner.balance == 8
    sent = SandboxMessage.objects.count()
    run_to_the_end()
    assert SandboxMessage.objects.count() == sent == 2
    assert statuses(campaign) == ["COMPLETED"] * 2 + ["TERMINATED"] * 4
    assert Run.objects.get().status == RunStatus.TERMINATED
    assert CreditEntry.objects.filter(kind="capture").count() == 2
    assert_ledger_exact()


def test_stopping_a_scheduled_run_releases_its_whole_hold() -> None:
    owner = make_account(credits=10)
    campaign = make_campaign(owner=owner)
    runs.begin(campaign=campaign, message="Later", starts_at=timezone.now() + timedelta(hours=1))
    assert runs.stop(campaign=campaign).in_flight == []
    owner.refresh_from_db()
    assert (owner.balance, statuses(campaign)) == (10, ["TERMINATED"] * 3)
    with pytest.raises(Conflict):
        runs.stop(campaign=campaign)


def test_a_paused_run_submits_nothing_until_it_is_resumed(settings: Any) -> None:
    settings.IRIS_HOPPER_SIZE = 2
    campaign = make_campaign()
    runs.begin(campaign=campaign, message="Hello")
    hopper.fill_all(budget=0)
    runs.pause(campaign=campaign)
    for _ in range(3):
        run_all_loops_once()
    assert SandboxMessage.objects.count() == 0
    with pytest.raises(Conflict):
        runs.begin(campaign=campaign, message="Again")
    runs.resume(campaign=campaign)
    run_to_the_end()
    assert statuses(campaign) == ["COMPLETED"] * 3


def test_deleting_a_running_campaign_stops_it_and_keeps_its_ledger_entries() -> None:
    owner = make_account(credits=10)
    campaign = make_campaign(owner=owner)
    runs.begin(campaign=campaign, message="Hello")
    services.delete_campaign(campaign=campaign)
    run_to_the_end()
    owner.refresh_from_db()
    assert owner.balance == 10
    assert not Campaign.objects.owned_by(owner).exists()
    assert_ledger_exact()


def test_numbers_cannot_change_during_a_live_run() -> None:
    campaign = make_campaign()
    runs.begin(campaign=campaign, message="Hello")
    recipient = campaign.recipients.first()
    assert recipient is not None
    with pytest.raises(Conflict):
        editing.edit_recipient(recipient=recipient, number=9841000009)
    with pytest.raises(Conflict):
        editing.delete_recipient(recipient=recipient)


def test_two_processes_that_fill_one_run_never_queue_the_same_recipient() -> None:
    campaign = make_campaign()
    run = runs.begin(campaign=campaign, message="Hello")
    stale = Run.objects.get(pk=run.pk)
    assert hopper.fill(run.pk) == 3
    Run.objects.filter(pk=run.pk).update(filled_at=None, cursor=stale.cursor)
    hopper.fill(run.pk)
    assert Delivery.objects.count() == 3
