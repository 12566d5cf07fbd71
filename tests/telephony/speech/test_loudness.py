"""Loudness and bandwidth of speech and uploads, measured on telephone audio."""

from __future__ import annotations

import io
import math
import re
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from telephony import speech
from telephony.speech import audio, loudness
from telephony.speech.engine import Pcm
from tests.telephony.speech.recordings import encode_tone
from tests.telephony.speech.sound import (
    RATE,
    amplitude_at,
    count_pauses,
    loudness_in_lufs,
    peak_level,
    telephone_audio,
    tone,
)

pytestmark = pytest.mark.django_db

VOICES = ["np_rija", "np_rija_premium", "np_prasanna", "np_binod", "np_shreegya"]
TEXTS = {
    "a balance": "नमस्ते राम जी, तपाईंको खातामा रु. २,५०० बाँकी छ।",
    "a meeting": "भोलि बिहान १०:३० बजे वडा कार्यालयमा बैठक हुनेछ।",
    "a short one": "विद्यालय भोलि बन्द रहनेछ।",
    "a long one": "तपाईंको ऋणको किस्ता तिर्ने अन्तिम म्याद 2081/05/12 हो। कृपया समयमै तिर्नुहोला। थप जानकारीका लागि शाखा"
    " कार्यालयमा सम्पर्क राख्नुहोस्। धन्यवाद।",
}
FULL_SCALE = 32767


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path / "media"
    return tmp_path / "media"


@pytest.mark.parametrize("voice", VOICES)
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_every_voice_speaks_at_the_target_loudness_without_clipping(voice: str, text: str) -> None:
    recording = speech.speak(text=text, voice=voice)
    pcm = telephone_audio(recording)

    assert pcm.seconds == pytest.approx(recording.seconds)
    assert pcm.rate == RATE
    assert loudness_in_lufs(pcm) == pytest.approx(-16, abs=1)
    assert peak_level(pcm) < 0.86 * FULL_SCALE


def test_another_target_loudness_makes_another_recording(settings: Any) -> None:
    loud = speech.speak(text=TEXTS["a balance"])
    settings.IRIS_LOUDNESS = -23.0
    quiet = speech.speak(text=TEXTS["a balance"])

    assert loudness_in_lufs(telephone_audio(loud)) == pytest.approx(-16, abs=1)
    assert loudness_in_lufs(telephone_audio(quiet)) == pytest.approx(-23, abs=1)


def test_silence_around_speech_is_short_for_every_voice() -> None:
    for voice in VOICES:
        values = memoryview(telephone_audio(speech.speak(text="राम नमस्ते", voice=voice)).samples).cast("h")
        audible = [n for n, value in enumerate(values) if abs(value) > 300]
        assert 0.01 < audible[0] / RATE < 0.12
        assert 0.1 < (len(values) - audible[-1]) / RATE < 0.35


@pytest.mark.parametrize("voice", VOICES)
@pytest.mark.parametrize("written", ["4 7 1 1", "४ ७ १ १"])
def test_otp_is_spoken_digit_by_digit_with_pauses(voice: str, written: str) -> None:
    said = telephone_audio(speech.speak(text=written, voice=voice))

    assert count_pauses(said, seconds=0.15) == 3


@pytest.mark.parametrize("written", ["तपाईंको कोड 4711 हो", "तपाईंको OTP: ४७११", "4711 तपाईंको कोड हो"])
def test_otp_inside_a_sentence_is_spoken_with_pauses(written: str) -> None:
    with_it = count_pauses(telephone_audio(speech.speak(text=written)), seconds=0.15)
    without = count_pauses(
        telephone_audio(speech.speak(text=re.sub("4711|४७११", "राम", written))), seconds=0.15
    )

    assert with_it - without == 3


# The telephone's frequency band


@pytest.mark.parametrize("hertz", [300, 400, 1000, 2000, 3000, 3400])
def test_frequencies_of_the_telephone_band_pass_unchanged(hertz: int) -> None:
    clean = tone(hertz=hertz, seconds=1, amplitude=6000, rate=22050)

    passed = loudness.remove_hum(audio.resample_for_telephone(clean))

    assert 20 * math.log10(amplitude_at(passed, hertz) / 6000) == pytest.approx(0, abs=1)


@pytest.mark.parametrize(("hertz", "decibels"), [(50, -40), (100, -20), (4600, -40), (6000, -40)])
def test_frequencies_outside_the_telephone_band_are_removed_without_aliasing(
    hertz: int, decibels: int
) -> None:
    sound = loudness.remove_hum(
        audio.resample_for_telephone(tone(hertz=hertz, seconds=1, amplitude=6000, rate=22050))
    )
    steady = Pcm(sound.samples[RATE // 5 : -RATE // 5], RATE)

    assert 20 * math.log10((peak_level(steady) + 1) / 6000) < decibels


def test_peaks_are_limited_without_clipping() -> None:
    pure = tone(hertz=1000, seconds=1, amplitude=12000)

    loud = loudness.amplify(pure, 20)

    assert peak_level(loud) <= loudness.MAX_PEAK * 32768 + 1
    steady = Pcm(loud.samples[RATE // 2 :], RATE)
    assert amplitude_at(steady, 3000) < 0.02 * amplitude_at(steady, 1000)


# Uploads


KINDS: dict[str, dict[str, Any]] = {
    "mp3": {"format": "mp3", "codec": "libmp3lame"},
    "wav": {"format": "wav", "codec": "pcm_s16le"},
    "ogg": {"format": "ogg", "codec": "libopus", "rate": 48000},
    "m4a": {"format": "ipod", "codec": "aac"},
    "flac": {"format": "flac", "codec": "flac"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_upload_of_each_format_is_brought_to_the_target_loudness(tmp_path: Path, kind: str) -> None:
    stored = audio.store_upload(
        SimpleUploadedFile("recording", encode_tone(tmp_path / "made", **KINDS[kind]))
    )
    pcm = telephone_audio(stored)

    assert pcm.seconds == pytest.approx(stored.seconds)
    assert stored.seconds == pytest.approx(2, abs=0.1)
    assert loudness_in_lufs(pcm) == pytest.approx(-16, abs=1)
    assert peak_level(pcm) < 0.86 * FULL_SCALE


@pytest.mark.parametrize("decibels", [-30, -12, 0])
def test_spoken_upload_is_brought_to_the_target_from_any_level(decibels: int) -> None:
    spoken = telephone_audio(speech.speak(text=TEXTS["a long one"]))
    upload = audio.encode_wav(loudness.amplify(spoken, decibels))

    pcm = telephone_audio(audio.store_upload(io.BytesIO(upload)))

    assert loudness_in_lufs(pcm) == pytest.approx(-16, abs=1)
    assert peak_level(pcm) < 0.86 * FULL_SCALE


def test_upload_loses_silence_at_its_ends_but_not_inside() -> None:
    silence = Pcm(bytes(2 * 3 * RATE), RATE)
    word = tone(hertz=500, seconds=1, amplitude=8000)
    upload = Pcm(silence.samples + word.samples + silence.samples + word.samples + silence.samples, RATE)

    stored = audio.store_upload(io.BytesIO(audio.encode_wav(upload)))

    assert stored.seconds == pytest.approx(1 + 3 + 1 + audio.SILENCE_BEFORE + audio.SILENCE_AFTER, abs=0.1)


def test_upload_too_short_to_measure_is_amplified_to_the_peak_limit() -> None:
    pcm = telephone_audio(
        audio.store_upload(io.BytesIO(audio.encode_wav(tone(hertz=500, seconds=0.2, amplitude=500))))
    )

    assert 0.6 * FULL_SCALE < peak_level(pcm) < 0.86 * FULL_SCALE


@pytest.mark.parametrize("amplitude", [0, 2])
def test_silent_upload_is_rejected(amplitude: int) -> None:
    with pytest.raises(audio.NotAudio, match="silent"):
        audio.store_upload(io.BytesIO(audio.encode_wav(tone(hertz=500, seconds=3, amplitude=amplitude))))


def test_mp3_for_browsers_has_the_same_duration() -> None:
    recording = speech.speak(text=TEXTS["a long one"])
    opened = audio.open_file(recording.name, "mp3")
    assert opened is not None

    with opened[0] as file:
        played = audio.decode(file)

    assert played.seconds == pytest.approx(recording.seconds, abs=0.15)
