"""State that the workers of a trunk share."""

from __future__ import annotations

from django.db import models


class PauseCause(models.TextChoices):
    """Why a trunk is paused (`telephony.engine.circuit_breaker`)."""

    OPERATOR = "operator", "by an operator"
    MISCONFIGURED = "misconfigured", "wrong configuration"
    FUNDS = "funds", "no credit at the carrier"
    ERRORS = "errors", "nothing is accepted"
    SILENCE = "silence", "no reports"


class Trunk(models.Model):
    """The state of one configured carrier connection. Its settings stay in `settings.CARRIERS`.

    A claim locks this row, so the pace is exact for any number of workers.
    """

    alias = models.CharField(max_length=50, unique=True)
    next_slot_at = models.DateTimeField(
        null=True, blank=True, help_text="The next free slot: earliest time for the next call or SMS."
    )
    last_departures = models.JSONField(
        null=True,
        blank=True,
        help_text="Times and numbers of the calls or SMS of the last second, stored when another process takes over.",
    )
    last_owner_id = models.BigIntegerField(
        default=0,
        help_text="Owner of the delivery that was claimed last. Deliveries of the owners are claimed in turn.",
    )
    paused_until = models.DateTimeField(
        null=True, blank=True, help_text="End of the rest. Empty if the trunk is paused."
    )
    pause_reason = models.CharField(
        max_length=200, blank=True, help_text="Empty if the trunk neither rests nor is paused."
    )
    pause_cause = models.CharField(max_length=16, choices=PauseCause, blank=True, db_default="", default="")
    paused_at = models.DateTimeField(null=True, blank=True)
    probe_at = models.DateTimeField(
        null=True, blank=True, help_text="When a paused trunk is tried with one call or SMS. Empty: never."
    )
    probes = models.SmallIntegerField(
        default=0, db_default=0, help_text="How often it was tried since the pause."
    )
    canary = models.BigIntegerField(
        null=True, blank=True, help_text="The delivery with which the paused trunk is tried."
    )
    rests = models.SmallIntegerField(
        default=0, db_default=0, help_text="Rests in a row in which the trunk accepted nothing."
    )
    rested_at = models.DateTimeField(null=True, blank=True, help_text="When the last rest began.")
    failing_since = models.DateTimeField(
        null=True, blank=True, help_text="When the first of these rests began."
    )
    told_at = models.DateTimeField(
        null=True, blank=True, help_text="When operators were last told that it is paused."
    )
    reported_at = models.DateTimeField(
        null=True, blank=True, help_text="When the last final report came, to some seconds."
    )
    cps = models.FloatField(
        "pace",
        null=True,
        blank=True,
        help_text="Calls or SMS per second, set at run time. Empty: the CPS of the carriers file.",
    )
    claimed = models.BigIntegerField(
        default=0,
        db_default=0,
        help_text="Calls and SMS that were claimed so far, repeated attempts included.",
    )
    last_error = models.CharField(max_length=200, blank=True)
    last_error_at = models.DateTimeField(null=True, blank=True)
    pace_note = models.CharField(
        max_length=200,
        blank=True,
        db_default="",
        help_text="Why deliveries are submitted more slowly than the CPS of this trunk. Empty if they are not.",
    )
    pace_noted_at = models.DateTimeField(null=True, blank=True)
    session = models.CharField(
        max_length=200, blank=True, help_text="Latest status of the connection, if this trunk keeps one."
    )
    session_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.alias

    @property
    def is_paused(self) -> bool:
        """Return whether it gets no deliveries, except canaries, until somebody or a canary resumes it."""
        return bool(self.pause_reason) and self.paused_until is None


class TimeSlice(models.Model):
    """When a task last began its time slice, such as that of polling a trunk (`telephony.engine.time_slices`)."""

    name = models.CharField(max_length=100, primary_key=True)
    began_at = models.DateTimeField()
    got_on_at = models.DateTimeField(
        null=True, help_text="When the task last recorded progress (`telephony.engine.stalls`)."
    )

    class Meta:
        db_table = "telephony_turn"

    def __str__(self) -> str:
        return self.name
