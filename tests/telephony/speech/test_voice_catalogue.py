"""The catalogue of voices: seeded from the settings, edited by operators, cached by each process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.core import checks as django_checks
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from iris.environment import voices_from_file
from iris.errors import InvalidInput
from telephony import speech
from telephony.models import Voice
from telephony.speech import voices
from tests.factories import make_user

pytestmark = pytest.mark.django_db

NAMES = ["np_rija", "np_rija_premium", "np_prasanna", "np_binod", "np_shreegya"]


@pytest.mark.parametrize(
    ("asked", "voice"),
    [
        (None, "np_rija"),
        ("", "np_rija"),
        ("np_rija", "np_rija"),
        (" NP_Binod ", "np_binod"),
        ("np_prasanna", "np_prasanna"),
        ("np_prashanna", "np_prasanna"),
        ("np_shreegya", "np_shreegya"),
        ("np_rija_premium", "np_rija_premium"),
        ("np_rija(premium)", "np_rija_premium"),
        ("np_rija (premium)", "np_rija_premium"),
    ],
)
def test_voice_is_resolved_by_name(asked: str | None, voice: str) -> None:
    assert speech.resolve(asked) == voice


@pytest.mark.parametrize("asked", ["rija", "np_rija\0", "np_", "ne+f2", "../np_rija", "x" * 10_000, "नेपाली"])
def test_error_for_an_unknown_voice_lists_the_available_voices(asked: str) -> None:
    with pytest.raises(speech.UnknownVoice) as caught:
        speech.resolve(asked)

    assert isinstance(caught.value, InvalidInput)
    assert all(name in caught.value.message for name in NAMES)
    assert len(caught.value.message) < 300


def test_migrate_creates_the_voices_with_their_documented_ids() -> None:
    assert [
        (voice.pk, voice.name, voice.api_name, voice.is_premium) for voice in speech.catalogue().values()
    ] == [
        (1, "np_rija", "np_rija", False),
        (2, "np_rija_premium", "np_rija", True),
        (3, "np_prasanna", "np_prashanna", False),
        (4, "np_binod", "np_binod", False),
        (5, "np_shreegya", "np_shreegya", False),
    ]


def test_seeding_again_keeps_edited_voices_and_adds_new_ones(
    settings: Any,
) -> None:
    Voice.objects.filter(name="np_binod").update(display="Binod dai", enabled=False)
    settings.IRIS_VOICES = {
        **settings.IRIS_VOICES,
        "np_anita": {"engine": "espeak", "variant": "f1", "display": "Anita"},
    }

    voices.seed()

    assert Voice.objects.get(name="np_binod").display == "Binod dai"
    assert "np_binod" not in speech.catalogue()
    assert speech.catalogue()["np_anita"].display == "Anita"
    assert speech.catalogue()["np_anita"].pk >= voices.FIRST_CUSTOM_ID


def test_disabled_voice_is_not_offered_but_still_speaks_for_existing_choices() -> None:
    binod = Voice.objects.get(name="np_binod")
    binod.enabled = False
    binod.save()

    with pytest.raises(speech.UnknownVoice):
        speech.resolve("np_binod")
    assert speech.speak_many(["नमस्ते"], voice="np_binod")["नमस्ते"].voice == "np_binod"


def test_default_voice_is_the_first_offered_if_rija_is_disabled() -> None:
    Voice.objects.filter(api_name="np_rija").update(enabled=False)
    voices.clear_cache()

    assert speech.resolve(None) == "np_prasanna"


def test_catalogue_is_cached_until_a_voice_is_saved() -> None:
    speech.catalogue()
    with CaptureQueriesContext(connection) as queries:
        for _ in range(100):
            speech.resolve("np_binod")
    assert len(queries) == 0

    voice = Voice.objects.get(name="np_binod")
    voice.display = "Binod dai"
    voice.save()

    assert speech.catalogue()["np_binod"].display == "Binod dai"


def test_change_by_another_process_is_seen_after_the_cache_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    speech.catalogue()
    Voice.objects.filter(name="np_binod").update(display="Binod dai")
    assert speech.catalogue()["np_binod"].display == "Binod"

    monkeypatch.setattr(voices, "CACHE_SECONDS", -1)

    assert speech.catalogue()["np_binod"].display == "Binod dai"


def test_engine_of_the_row_takes_precedence_over_the_settings(settings: Any) -> None:
    settings.IRIS_VOICES = {"np_rija": {"engine": "espeak", "pitch": 10}}
    assert speech.catalogue()["np_rija"].options == {"pitch": 10}

    rija = Voice.objects.get(name="np_rija")
    rija.engine, rija.options = "espeak", {"pitch": 90}
    rija.save()

    assert speech.catalogue()["np_rija"].options == {"pitch": 90}


# Invalid voices


def test_built_in_voices_have_no_errors_or_warnings() -> None:
    assert list(speech.setting_errors()) == []
    assert list(speech.setting_warnings()) == []


INVALID_ENTRIES: list[tuple[dict[str, Any], str]] = [
    ({}, "engine"),
    ({"engine": "siri"}, "siri"),
    ({"engine": "espeak", "pich": 3}, "pich"),
    ({"engine": "espeak", "pitch": 101}, "pitch"),
    ({"engine": "espeak", "pitch": "50"}, "pitch"),
    ({"engine": "espeak", "speed": 20}, "speed"),
    ({"engine": "espeak", "variant": "f99"}, "f99"),
    ({"engine": "espeak", "variant": 2}, "variant"),
    ({"engine": "espeak", "language": "xx"}, "xx"),
    ({"engine": "piper"}, ".onnx"),
    ({"engine": "piper", "model": "rija.pt"}, "rija.pt"),
    ({"engine": "piper", "model": "rija.onnx", "pitch": 3}, "pitch"),
    ({"engine": "piper", "model": "rija.onnx", "speed": 0}, "speed"),
    ({"engine": "piper", "model": "rija.onnx", "speaker": 1.5}, "speaker"),
    ({"engine": "piper", "model": "rija.onnx", "fallback": {"variant": "f99"}}, "f99"),
    ({"engine": "piper", "model": "rija.onnx", "fallback": "np_binod"}, "fallback"),
]


@pytest.mark.parametrize(("entry", "excerpt"), INVALID_ENTRIES)
def test_invalid_voice_setting_is_an_error(settings: Any, entry: dict[str, Any], excerpt: str) -> None:
    settings.IRIS_VOICES = {"np_rija": entry}

    (error,) = speech.setting_errors()

    assert "np_rija" in error
    assert excerpt in error


def test_empty_voice_setting_is_an_error(settings: Any) -> None:
    settings.IRIS_VOICES = {}

    assert list(speech.setting_errors()) == ["IRIS_VOICES is empty."]


@pytest.mark.parametrize(
    ("options", "accepted"),
    [({"pich": 3}, False), ([], False), ("pitch", False), ({"variant": "f99"}, False), ({"pitch": 30}, True)],
)
def test_admin_rejects_an_invalid_voice(admin_client: Client, options: Any, accepted: bool) -> None:
    fields = {"name": "np_new", "api_name": "np_new", "display": "New", "language": "ne", "order": "9"}
    answer = admin_client.post(
        "/admin/telephony/voice/add/", {**fields, "engine": "espeak", "options": json.dumps(options)}
    )

    assert answer.status_code == (302 if accepted else 200)
    assert Voice.objects.filter(name="np_new").exists() is accepted
    if not accepted:
        assert list(answer.context["adminform"].form.errors) == ["options"]


def test_operator_can_disable_an_invalid_voice_in_the_list(admin_client: Client) -> None:
    broken = Voice.objects.get(name="np_rija")
    Voice.objects.filter(pk=broken.pk).update(engine="espeak", options={"pitch": 500})
    rows = list(Voice.objects.order_by("order", "id"))
    form: dict[str, Any] = {"form-TOTAL_FORMS": len(rows), "form-INITIAL_FORMS": len(rows), "_save": "Save"}
    for place, row in enumerate(rows):
        form |= {f"form-{place}-id": row.pk, f"form-{place}-order": row.order}
        if row.enabled and row != broken:
            form[f"form-{place}-enabled"] = "on"

    assert admin_client.post("/admin/telephony/voice/", form).status_code == 302
    broken.refresh_from_db()
    assert not broken.enabled


def test_operator_edits_a_voice_in_the_admin(client: Client) -> None:
    operator = make_user(email="operator@example.com", is_staff=True, is_superuser=True)
    client.force_login(operator)
    fields = {
        "name": "np_binod",
        "api_name": "np_binod",
        "display": "Binod dai",
        "language": "ne",
        "engine": "piper",
        "options": '{"model": "binod.onnx"}',
        "enabled": "on",
        "order": "1",
    }

    assert client.post("/admin/telephony/voice/4/change/", fields).status_code == 302
    assert client.post("/admin/telephony/voice/4/change/", {**fields, "options": "{}"}).status_code == 200
    page = client.get("/admin/telephony/voice/").content.decode()

    assert speech.catalogue()["np_binod"].engine == "piper"
    assert "Put binod.onnx and binod.onnx.json into" in page
    assert client.get("/admin/telephony/voice/4/delete/").status_code == 403


def test_database_check_names_voices_with_errors_or_missing_models() -> None:
    Voice.objects.filter(name="np_binod").update(engine="piper", options={"model": "binod.onnx"})
    Voice.objects.filter(name="np_rija").update(engine="espeak", options={"pitch": 500})

    found = {
        message.id: message.msg
        for message in django_checks.run_checks(tags=["database"], databases=["default"])
        if str(message.id).startswith("iris.")
    }

    assert found.keys() == {"iris.E004", "iris.W002"}
    assert "Put binod.onnx and binod.onnx.json into" in found["iris.W002"]
    assert "np_rija" in found["iris.E004"]


# The file of voices


def test_voices_file_changes_engines_and_adds_voices(tmp_path: Path) -> None:
    file = tmp_path / "voices.toml"
    file.write_text(
        '[np_rija]\nengine = "piper"\nmodel = "ne.onnx"\nspeaker = 3\n\n'
        '[np_binod]\npitch = 30\n\n[np_anita]\nengine = "espeak"\nvariant = "f1"\n'
    )
    known = {
        "np_rija": {"id": 1, "display": "Rija", "engine": "espeak", "variant": "f2", "speed": 150},
        "np_binod": {"id": 4, "engine": "espeak", "variant": "m7", "pitch": 25},
    }

    assert voices_from_file("IRIS_VOICES_FILE", file, known) == {
        "np_rija": {
            "id": 1,
            "display": "Rija",
            "engine": "piper",
            "model": "ne.onnx",
            "speaker": 3,
            "fallback": {"variant": "f2", "speed": 150},
        },
        "np_binod": {"id": 4, "engine": "espeak", "variant": "m7", "pitch": 30},
        "np_anita": {"engine": "espeak", "variant": "f1"},
    }


@pytest.mark.parametrize("content", ["np_rija = 3", "[np_rija", None])
def test_invalid_voices_file_raises_improperly_configured(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "voices.toml"
    if content is not None:
        file.write_text(content)

    with pytest.raises(ImproperlyConfigured, match=r"voices\.toml"):
        voices_from_file("IRIS_VOICES_FILE", file, {})
