"""Test whole campaigns over HTTP carriers: from begin over the far end and its callbacks to the last credit."""

from __future__ import annotations

import json
import logging
import threading
import time
import urllib.request
import wave
from collections import Counter
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from pytest_django.live_server_helper import LiveServer

from campaigns.models import Campaign, Service
from campaigns.runs.begin import begin
from telephony.carriers import get_carrier
from telephony.engine import dispatch
from telephony.models import Audio, Delivery, DeliveryStatus, OptOut
from telephony.speech import audio
from tests.campaigns.surveys.surveying import make_survey
from tests.engine import run_to_the_end
from tests.factories import client_of, make_account, make_campaign, make_delivery, make_trunk
from tests.live import wait_for
from tests.telephony.http.far_end import OPTIONS
from tests.telephony.http.faults import TOKEN
from tests.telephony.http.processes import FarEnd, far_end

pytestmark = pytest.mark.django_db(transaction=True)

MESSAGE = "नमस्कार, भोलि बैठक छ।"
SECRET = "n3vZ8tQk0yRb5LmX-secret"
BACKENDS = {
    "twilio": "telephony.carriers.twilio.TwilioCarrier",
    "sparrow": "telephony.carriers.sparrow.SparrowCarrier",
    "aakash": "telephony.carriers.aakash.AakashCarrier",
}


class World:
    """iris behind a web server of its own, with one trunk to a far end."""

    def __init__(self, settings: Any, folder: Path, server: LiveServer) -> None:
        self.settings, self.folder, self.server = settings, folder, server

    def connect(self, name: str, far: FarEnd, **options: Any) -> None:
        self.settings.IRIS_PUBLIC_URL = self.server.url
        given = {**OPTIONS[name], "base_url": far.url, **options}
        self.settings.CARRIERS = {
            "line": {"BACKEND": BACKENDS[name], "OPTIONS": given, "CPS": None, "CHANNELS": None}
        }
        self.settings.ROUTES = {"call": ["line"], "sms": ["line"]}
        make_trunk("line")


@pytest.fixture
def world(settings: Any, tmp_path: Path, live_server: LiveServer) -> Iterator[World]:
    yield World(settings, tmp_path, live_server)
    for alias in settings.CARRIERS:
        if alias == "line":
            get_carrier(alias).close()  # type: ignore[attr-defined]


def check_ledger() -> None:
    output = StringIO()
    call_command("check_ledger", stdout=output)
    assert "difference 0" in output.getvalue()


def results(campaign: Campaign) -> dict[str, tuple[str, int | None, float]]:
    """Return status, playback and credits of each recipient, by the end of the number."""
    response = client_of(campaign.owner).get(f"/api/system/campaigns/number/{campaign.pk}")
    rows = json.loads(b"".join(response.streaming_content))["data"]["number-lists"]  # type: ignore[attr-defined]
    return {str(row["number"])[-4:]: (row["status"], row["playback"], row["credit_consumed"]) for row in rows}


def test_twilio_calls_play_what_was_synthesized_and_end_with_the_right_credits(world: World) -> None:
    numbers = [9841000001, 9841000002, 9841009902, 9841009903, 9841009904, 9841009905]
    pressed = {"+9779841000002": ["9", "*#"]}
    cut_off = {"+9779841000001": 0.4}
    with far_end(world.folder, digits=pressed, hangs_up_after=cut_off) as far:
        world.connect("twilio", far)
        campaign = make_campaign(service=Service.CALL, numbers=numbers)
        begin(campaign=campaign, message=MESSAGE)
        run_to_the_end()
        shown = results(campaign)
        played = [entry for entry in far.entries("played") if entry["to"] == "+9779841000002"]

    recording = Audio.objects.get(pk=Delivery.objects.exclude(audio=None).values("audio")[:1])
    first, *_ = played
    with wave.open(str(world.folder / first["file"])) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (8000, 1, 2)
        assert sound.readframes(sound.getnframes()) == audio.read_pcm(recording.name)
    assert {number: status for number, (status, _, _) in shown.items()} == {
        "0001": "hungup",
        "0002": "completed",
        "9902": "unanswered",
        "9903": "unanswered",
        "9904": "failed",
        "9905": "failed",
    }
    assert shown["0001"][1] == 0  # it lasted 0.4 s, which Twilio rounds to 0
    assert shown["0002"][1] == 100
    assert Delivery.objects.get(to="+9779841000002").digits == "9*#"
    assert Delivery.objects.get(to="+9779841009904").cause == "invalid"
    assert Delivery.objects.get(to="+9779841009905").cause == "invalid"
    assert Counter(far.received()) == Counter(f"+977{number}" for number in numbers if number != 9841009904)
    charged = {number for number, (_, _, credits) in shown.items() if credits}
    assert charged == {"0001", "0002"}
    check_ledger()


def test_twilio_survey_collects_the_keys_of_each_step(world: World) -> None:
    # After a key the rest of the step is played again from where it was; "" means that no key follows in it.
    pressed = {"+9779841000012": ["1", "", "2"], "+9779841000034": ["", "3", "4", ""]}
    with far_end(world.folder, digits=pressed) as far:
        world.connect("twilio", far)
        survey = make_survey()
        begin(campaign=survey)
        run_to_the_end()
        assert {entry["status"] for entry in far.entries("called back")} == {200}
    rows = {delivery.to: delivery for delivery in Delivery.objects.all()}
    assert rows["+9779841000012"].digits == "12"
    assert rows["+9779841000034"].digits == "34"
    assert {delivery.status for delivery in rows.values()} == {DeliveryStatus.COMPLETED}
    check_ledger()


def test_lost_responses_of_twilio_are_resolved_and_nobody_gets_two(world: World) -> None:
    numbers = [9841009913, 9841009917, 9841009924, 9841000001]
    with far_end(world.folder) as far:
        world.connect("twilio", far)
        campaign = make_campaign(numbers=numbers)
        begin(campaign=campaign, message="Namaste")
        run_to_the_end()
        assert Counter(far.received()) == Counter(f"+977{number}" for number in numbers)
    assert {status for status, _, _ in results(campaign).values()} == {"completed"}
    check_ledger()


def test_aakash_campaign_completes_by_its_report(world: World) -> None:
    numbers = [9841000001, 9841000008, 9841009917]
    with far_end(world.folder) as far:
        world.connect("aakash", far, poll_seconds=0)
        campaign = make_campaign(numbers=numbers)
        begin(campaign=campaign, message="Namaste")
        run_to_the_end()
        assert Counter(far.received()) == Counter(f"+977{number}" for number in numbers)
    assert {number: status for number, (status, _, _) in results(campaign).items()} == {
        "0001": "completed",
        "0008": "failed",
        "9917": "completed",  # its response was lost, but the report has it
    }
    check_ledger()


def test_sparrow_campaign_completes_without_reports_and_a_reply_opts_out(world: World) -> None:
    with far_end(world.folder) as far:
        world.connect("sparrow", far, callback_secret=SECRET, callback_addresses=["127.0.0.1"])
        campaign = make_campaign(numbers=[9841000001, 9841009904])
        begin(campaign=campaign, message="Namaste")
        run_to_the_end()
        assert far.received() == ["+9779841000001"]
        output = StringIO()
        call_command("trunk_status", stdout=output)
        assert "balance:     1234 credits" in output.getvalue()
    assert {number: status for number, (status, _, _) in results(campaign).items()} == {
        "0001": "completed",
        "9904": "failed",
    }
    assert (
        Delivery.objects.get(to="+9779841000001").delivered_at is None
    )  # accepted, but nothing says delivered
    query = "from=9841000001&to=31001&text=STOP"
    with urllib.request.urlopen(f"{world.server.url}/carriers/line/inbox/{SECRET}?{query}") as response:
        assert response.status == 200
    assert OptOut.objects.get().number == "+9779841000001"
    check_ledger()


def test_status_names_a_carrier_that_does_not_tell_its_balance(world: World) -> None:
    with far_end(world.folder) as far:
        world.connect("sparrow", far)
    output = StringIO()
    call_command("trunk_status", stdout=output)
    assert "balance:     the carrier does not say: The carrier cannot be reached" in output.getvalue()


def test_slow_response_delays_neither_the_others_nor_the_dispatcher(world: World) -> None:
    owner = make_account()
    with far_end(world.folder, silence=60) as far:
        world.connect("sparrow", far, read_seconds=8, request_seconds=8)
        world.settings.CARRIERS = {"line": {**world.settings.CARRIERS["line"], "CPS": 100}}
        trunk = make_trunk("line")
        slow = make_delivery(trunk=trunk, owner=owner, to="+9779841009918")
        others = [make_delivery(trunk=trunk, owner=owner, to=f"+97798410{place:05d}") for place in range(20)]
        begun = time.monotonic()
        while Delivery.objects.filter(
            pk__in=[one.pk for one in others], status__lt=DeliveryStatus.COMPLETED
        ).exists():
            dispatch.run("line", budget=0.5)
            assert time.monotonic() - begun < 120
        assert Counter(far.received())["+9779841009918"] == 1
        # A thread stores the late result, although no dispatcher waits for it.
        wait_for(lambda: Delivery.objects.get(pk=slow.pk).status == DeliveryStatus.UNKNOWN, seconds=20)
        assert Counter(far.received())["+9779841009918"] == 1
    for thread in threading.enumerate():
        if thread.name.startswith("late-results"):
            thread.join(60)


def test_no_log_at_any_level_shows_secrets_texts_or_whole_numbers(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    for name in list(logging.root.manager.loggerDict):
        if name.startswith(("telephony", "django.request", "urllib3")):
            logging.getLogger(name).setLevel(1)
    numbers = [
        9841000001,
        *(9841000000 + int(fault) for fault in ("9901", "9904", "9911", "9913", "9917", "9923", "9928")),
    ]
    with far_end(world.folder) as far:
        for name, options in (
            ("twilio", {}),
            ("aakash", {"poll_seconds": 0}),
            ("sparrow", {"callback_secret": SECRET, "callback_addresses": ["127.0.0.1"]}),
        ):
            world.connect(name, far, **options)
            owner = make_account()
            for number in numbers:
                make_delivery(
                    trunk=make_trunk("line"), owner=owner, to=f"+977{number}", text="Confidential words"
                )
            for _ in range(3):
                dispatch.run("line", budget=0.5)
            carrier = get_carrier("line")
            if name != "twilio":
                carrier.balance()
            if carrier.polls:
                carrier.poll(lambda events: None)
            carrier.look_up(
                [str(pk) for pk in Delivery.objects.values_list("pk", flat=True)[:5]]
            ) if carrier.looks_up else None
            carrier.close()  # type: ignore[attr-defined]
        client = client_of(make_account())
        for path in (
            f"/carriers/line/inbox/{SECRET}",
            f"/carriers/other/inbox/{SECRET}",
            "/carriers/line/inbox/wrong",
        ):
            client.get(path, {"from": "9841000001", "text": "Confidential words, STOP"})
        client.get(f"/carriers/line/inbox/{SECRET}", {"from": "9841000001", "text": "STOP"})
    logged = caplog.text + json.dumps([str(record.args) for record in caplog.records])
    assert "refused delivery" in logged  # the logs have something to show
    for hidden in (TOKEN, SECRET, "Confidential", *map(str, numbers)):
        assert hidden not in logged
