"""Kinds of campaigns and states of runs."""

from django.db import models


class Service(models.TextChoices):
    CALL = "call"
    SMS = "sms"
    BOTH = "both", "call and SMS"
    SURVEY = "survey"

    @property
    def calls(self) -> bool:
        return self is not Service.SMS

    @property
    def texts(self) -> bool:
        return self in (Service.SMS, Service.BOTH)


class Source(models.TextChoices):
    """Whether a call speaks the written message or plays the uploaded recording."""

    MESSAGE = "message"
    AUDIO = "audio"


class RunStatus(models.TextChoices):
    AWAITING = "awaiting", "awaiting approval"
    SCHEDULED = "scheduled"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping", "stopping: waits for calls and SMS in progress"
    COMPLETED = "completed"
    TERMINATED = "terminated"
    WITHDRAWN = "withdrawn", "withdrawn before its start time"


# Not started yet. A change of the campaign replaces such a run.
PENDING = (RunStatus.AWAITING, RunStatus.SCHEDULED)
LIVE = (*PENDING, RunStatus.RUNNING, RunStatus.PAUSED, RunStatus.STOPPING)


class LeftOut(models.TextChoices):
    """Why a run did not contact one of its recipients."""

    DUPLICATE = "duplicate", "the same number comes earlier in the campaign"
    FREQUENCY_CAP = "frequency_cap", "contacted often enough lately"


class NotStarted(models.TextChoices):
    """Why a run was withdrawn before it started."""

    REPLACED = "replaced", "replaced or withdrawn, because the campaign was changed"
    REJECTED = "rejected"
    EXPIRED = "expired", "nobody approved it in time"
