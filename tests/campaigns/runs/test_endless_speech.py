"""Runs whose speech never ends, or whose filling keeps failing, are set aside, and all other runs continue."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from campaigns import runs, services
from campaigns.models import Campaign, Run, RunStatus, Service
from campaigns.runs import delivery_requests, hopper, prerender, run_statuses
from campaigns.surveys import steps
from iris.errors import Unavailable
from telephony.models import Delivery
from telephony.speech import speech_processes
from tests.campaigns.surveys.surveying import asks
from tests.engine import run_to_the_end
from tests.factories import client_of, make_account, make_campaign, make_sheet
from tests.telephony.speech import wild_speech as wild

pytestmark = pytest.mark.django_db

LONG = "लामो नाम भएको मानिस"  # the longest name, which is synthesized to compute the price


@pytest.fixture(autouse=True)
def _wild(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.IRIS_SPEECH_TIMEOUT_SECONDS = 0.5
    settings.SPEECH_WORKER = "tests.telephony.speech.wild_speech"
    settings.IRIS_SANDBOX_SPEED = 10_000
    monkeypatch.setattr(
        speech_processes, "WALL_SECONDS_PER_CPU_SECOND", 120
    )  # generous, because this machine may be busy


def make_named(*names: str, service: Service = Service.CALL) -> Campaign:
    rows = [(9_841_000_001 + n, name) for n, name in enumerate([*names, LONG])]
    campaign, errors, _ = services.create_campaign(
        account=make_account(credits=1000),
        name="Names",
        service=service,
        sheet=make_sheet(("number", "name"), *rows),
    )
    assert not errors
    return campaign


def begin(*names: str, **how: Any) -> Run:
    return runs.begin(campaign=make_named(*names), message="नमस्ते {name} जी", **how)


@pytest.mark.parametrize("whole_sentences", [0, 100])
@pytest.mark.parametrize("name", [wild.ENDLESS_RULE, wild.ENDLESS_ENGINE])
def test_a_run_with_endless_speech_is_set_aside_and_the_others_continue(
    name: str, whole_sentences: int, settings: Any
) -> None:
    settings.IRIS_WHOLE_SENTENCES = whole_sentences
    endless, other = begin(name), begin("राम")

    hopper.fill_all(budget=60, waits_for_room=False)

    endless.refresh_from_db()
    assert endless.status == RunStatus.PAUSED
    assert name in endless.pause_reason
    assert "takes longer than this server allows" in endless.pause_reason
    assert "begin it again; or resume it." in endless.pause_reason
    assert Delivery.objects.filter(batch=other.pk).count() == 2
    assert not Delivery.objects.filter(batch=endless.pk).exists()

    stopped = runs.stop(campaign=endless.campaign)
    assert stopped.run.status == RunStatus.TERMINATED
    stopped.run.hold.refresh_from_db()
    assert stopped.run.hold.remaining == 0
    run_to_the_end()


def test_a_survey_with_endless_speech_is_set_aside() -> None:
    campaign = make_named(wild.ENDLESS_ENGINE, service=Service.SURVEY)
    steps.set_steps(campaign=campaign, steps=[asks(0, "नमस्ते {name} जी")])
    run = runs.begin(campaign=campaign)

    hopper.fill_all(budget=60, waits_for_room=False)

    run.refresh_from_db()
    assert (run.status, wild.ENDLESS_ENGINE in run.pause_reason) == (RunStatus.PAUSED, True)


def test_a_scheduled_run_with_endless_speech_is_set_aside_before_it_starts() -> None:
    endless = begin(wild.ENDLESS_ENGINE, starts_at=timezone.now() + timedelta(hours=1))
    other = begin("राम", starts_at=timezone.now() + timedelta(hours=2))

    assert prerender.prepare_all(budget=60) is False

    endless.refresh_from_db()
    other.refresh_from_db()
    assert (endless.status, wild.ENDLESS_ENGINE in endless.pause_reason) == (RunStatus.PAUSED, True)
    assert (other.status, other.prepared_at is None) == (RunStatus.SCHEDULED, False)


def test_a_trial_with_endless_speech_ends_so_that_the_campaign_can_begin() -> None:
    campaign = make_named(wild.ENDLESS_ENGINE)
    first = campaign.recipients.order_by("pk").values_list("pk", flat=True)[0]
    trial = runs.begin(campaign=campaign, message="नमस्ते {name} जी", individual=[first], trial=True)

    run_to_the_end()

    trial.refresh_from_db()
    assert trial.status == RunStatus.TERMINATED


def test_slow_speech_is_synthesized_in_smaller_chunks(settings: Any) -> None:
    settings.IRIS_WHOLE_SENTENCES = 0
    # Enough for one slow sentence, also on a busy machine. There are too many of them for one request.
    seconds = settings.IRIS_SPEECH_TIMEOUT_SECONDS = 0.8
    count = 2 + int(speech_processes.BUDGET_TIMEOUTS * seconds / wild.SLOW_SECONDS)
    run = begin(*(f"{wild.SLOW} {number}" for number in range(count)))

    assert hopper.fill(run.pk) == 0
    assert hopper._speech_chunks[run.pk] <= (count + 1) / 2
    hopper.fill_all(budget=60, waits_for_room=False)

    run.refresh_from_db()
    assert (run.status, run.pause_reason) == (RunStatus.RUNNING, "")
    assert Delivery.objects.filter(batch=run.pk).count() == count + 1


# Messages to the owner


def test_beginning_with_endless_speech_is_refused_with_an_explanation() -> None:
    campaign = make_campaign(service=Service.CALL, owner=make_account(credits=100))

    answer = client_of(campaign.owner).post(
        f"/api/system/campaigns/{campaign.pk}/begin/", {"message": f"नमस्ते {wild.ENDLESS_RULE}"}
    )

    assert answer.status_code == 400
    assert "takes longer than this server allows" in str(answer.json())
    assert not Run.objects.exists()
    campaign.owner.refresh_from_db()
    assert campaign.owner.balance == 100


@pytest.mark.parametrize(("text", "status"), [(wild.ENDLESS_ENGINE, 400), (wild.CRASH, 503)])
def test_a_voice_trial_with_endless_speech_is_refused_with_an_explanation(text: str, status: int) -> None:
    campaign = make_campaign(service=Service.CALL)

    answer = client_of(campaign.owner).post(f"/api/v1/test-speak/riri/{campaign.pk}/", {"message": text})

    assert answer.status_code == status, answer.content
    assert text in str(answer.json())


def test_changing_a_scheduled_campaign_to_endless_speech_changes_nothing() -> None:
    run = begin("राम", starts_at=timezone.now() + timedelta(hours=1))

    with pytest.raises(speech_processes.SpeechTimedOut):
        services.update_campaign(campaign=run.campaign, message=f"{wild.ENDLESS_ENGINE} {{name}}")

    run.refresh_from_db()
    assert run.status == RunStatus.SCHEDULED
    assert Campaign.objects.get().message == "नमस्ते {name} जी"


def test_both_dialects_show_the_pause_reason_only_while_the_run_is_set_aside() -> None:
    run = begin("राम")
    client = client_of(run.campaign.owner)

    def campaigns_in_both_dialects() -> list[dict[str, Any]]:
        details = f"/api/system/campaigns/{run.campaign_id}/details/"
        v1 = client.get(f"/api/v1/campaign/{run.campaign_id}/")
        return [
            client.get(details).json()["data"]["details"][0],
            client.get("/api/system/campaigns/").json()["result"]["campaign-lists"][0],
            v1.json(),
            client.get("/api/v1/campaign/").json()["results"][0],
        ]

    assert not any("pause_reason" in one for one in campaigns_in_both_dialects())
    run_statuses.set_aside(run.pk, reason="Its speech takes too long.")
    assert [one["pause_reason"] for one in campaigns_in_both_dialects()] == ["Its speech takes too long."] * 4
    runs.resume(campaign=run.campaign)
    assert not any("pause_reason" in one for one in campaigns_in_both_dialects())


# Repeated failures


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ZeroDivisionError(), "This server failed to prepare the calls or SMS of this campaign"),
        (Unavailable("No trunk takes calls."), "No trunk takes calls. So this campaign was paused."),
    ],
)
def test_a_run_that_fails_for_minutes_is_set_aside_but_not_one_that_fails_once(
    error: Exception, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = runs.begin(campaign=make_campaign(), message="Namaste")
    really, fails = delivery_requests.requests_for, True

    def orders(of: Run, recipients: Sequence[Any]) -> Any:
        if fails:
            raise error
        return really(of, recipients)

    monkeypatch.setattr(delivery_requests, "requests_for", orders)

    for _ in range(3):
        hopper.fill_all(budget=0, waits_for_room=False)
        run.refresh_from_db()
        assert (run.status, run.pause_reason) == (RunStatus.RUNNING, "")
    assert run.failing_since is not None

    Run.objects.update(failing_since=timezone.now() - timedelta(minutes=6))
    hopper.fill_all(budget=0, waits_for_room=False)
    run.refresh_from_db()
    assert run.status == RunStatus.PAUSED
    assert run.pause_reason.startswith(says)
    assert "Resume it" in run.pause_reason

    runs.resume(campaign=run.campaign)
    hopper.fill_all(budget=0, waits_for_room=False)
    fails = False
    hopper.fill_all(budget=0, waits_for_room=False)
    run.refresh_from_db()
    assert (run.status, run.failing_since) == (RunStatus.RUNNING, None)
    assert Delivery.objects.filter(batch=run.pk).count() == 3


def test_failures_before_a_pause_do_not_count_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def requests_for(of: Run, recipients: Sequence[Any]) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(delivery_requests, "requests_for", requests_for)
    run = runs.begin(campaign=make_campaign(), message="Namaste")
    hopper.fill_all(budget=0, waits_for_room=False)
    Run.objects.update(failing_since=timezone.now() - timedelta(minutes=4))

    runs.pause(campaign=run.campaign)
    run.refresh_from_db()
    assert run.failing_since is None
    runs.resume(campaign=run.campaign)
    hopper.fill_all(budget=0, waits_for_room=False)

    run.refresh_from_db()
    assert run.status == RunStatus.RUNNING
    assert run.failing_since is not None
    assert timezone.now() - run.failing_since < timedelta(minutes=3)


def test_a_scheduled_run_that_cannot_be_prepared_delays_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = begin("राम", starts_at=timezone.now() + timedelta(hours=1))
    second = begin("सीता", starts_at=timezone.now() + timedelta(hours=2))
    really = delivery_requests.prepare_calls

    def prepare_calls(run: Run, recipients: Sequence[Any]) -> None:
        if run.pk == first.pk:
            raise ZeroDivisionError
        really(run, recipients)

    monkeypatch.setattr(delivery_requests, "prepare_calls", prepare_calls)

    assert prerender.prepare_all(budget=60) is False

    assert not Run.objects.filter(prepared_at=None).exists()
    second.refresh_from_db()
    assert second.status == RunStatus.SCHEDULED
