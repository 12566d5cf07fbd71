"""Voices and recordings."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now


class Voice(models.Model):
    """One voice of the catalogue. `migrate` creates the built-in voices (`speech.voices`).

    If `engine` is empty, engine and options come from `settings.IRIS_VOICES`.
    """

    class Engine(models.TextChoices):
        SETTINGS = "", "as in the settings"
        ESPEAK = "espeak"
        PIPER = "piper"

    name = models.CharField(max_length=50, unique=True, help_text="Internal name, such as np_rija.")
    api_name = models.CharField(
        max_length=50,
        help_text="Name in the API. A premium voice may have the same name as a plain voice.",
    )
    display = models.CharField(max_length=100)
    language = models.CharField(max_length=10, default="ne", help_text="Two letters, such as ne or en.")
    engine = models.CharField(max_length=10, choices=Engine, blank=True)
    options = models.JSONField(
        default=dict,
        blank=True,
        help_text='espeak: {"variant": "f2", "pitch": 50, "speed": 150}. '
        'piper: {"model": "ne_NP-google-medium.onnx", "speaker": 3, "speed": 1.0}.',
    )
    is_premium = models.BooleanField(default=False)
    enabled = models.BooleanField(default=True, help_text="A voice that is not enabled cannot be chosen.")
    order = models.SmallIntegerField(default=100, help_text="Voices with a lower value are listed first.")

    class Meta:
        ordering: ClassVar = ["order", "id"]

    def __str__(self) -> str:
        return self.name


class Audio(models.Model):
    """One recording, stored once. Speech is named by its text and voice, an upload by its content.

    `name` is a keyed hash, so only clients that know the address can download the file. A recording with `parts` plays
    those fragments one after the other. Only its MP3 has a file, which is created when a browser first requests it
    (`speech.audio.read_pcm`).
    """

    name = models.CharField(max_length=64, unique=True)
    seconds = models.FloatField()
    voice = models.CharField(max_length=50, blank=True, help_text="Empty for uploads.")
    parts = ArrayField(
        models.CharField(max_length=64),
        default=list,
        db_default=[],
        blank=True,
        help_text="Names of fragments.",
    )
    is_trial = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Recording of a voice trial (telephony.speech.trials). It is kept for a day.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    used_at = models.DateTimeField(
        db_default=Now(), help_text="When the recording was last requested, to the day."
    )
    pruned_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When manage.py prune_audio removed its files. They are created again on request.",
    )

    def __str__(self) -> str:
        return self.name
