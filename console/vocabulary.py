"""The words of the console for every status, each with a sentence: what happened, what to do, and whether it cost anything.

This is the only place that names statuses for people. A test checks that every status has its word.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from campaigns.models import AlertState, Campaign, RunStatus, Service
from telephony.models import Cause, Channel, DeliveryStatus, OptOutWay, SenderStatus
from telephony.numbering import Operator


class Tone(StrEnum):
    """How a status is coloured. Words say the same, so nobody needs to tell colours apart."""

    QUIET = "quiet"
    BUSY = "busy"
    GOOD = "good"
    WAIT = "wait"
    BAD = "bad"


@dataclass(frozen=True)
class Word:
    label: Promise
    sentence: Promise
    tone: Tone


class Stage(StrEnum):
    """The states of a campaign that no status of a run says: without a run, and before a wave that a person must send."""

    DRAFT = "draft"
    READY = "ready"
    WAVE = "wave"


CAMPAIGN: dict[str, Word] = {
    Stage.DRAFT: Word(
        _("Draft"), _("Not finished yet, and nothing is sent. Continue where you left off."), Tone.QUIET
    ),
    Stage.READY: Word(_("Not started"), _("Nothing was sent yet, and nothing was charged."), Tone.QUIET),
    RunStatus.AWAITING: Word(
        _("Waits for approval"),
        _("A second person must approve it before it starts. Its credits are on hold until then."),
        Tone.WAIT,
    ),
    RunStatus.SCHEDULED: Word(
        _("Scheduled"),
        _("It starts by itself at its time. Its credits are on hold; what it does not use is given back."),
        Tone.WAIT,
    ),
    RunStatus.RUNNING: Word(
        _("Running"), _("People are being reached now. You can pause or stop it at any time."), Tone.BUSY
    ),
    Stage.WAVE: Word(
        _("Waits for its next wave"),
        _("The people of the wave were contacted. Look at the outcomes, and send the next wave or stop it."),
        Tone.WAIT,
    ),
    RunStatus.PAUSED: Word(
        _("Paused"), _("Nothing is sent until somebody resumes it. Its credits stay on hold."), Tone.WAIT
    ),
    RunStatus.STOPPING: Word(
        _("Stopping"),
        _("Nothing more is sent. What is under way already ends by itself and can still cost credits."),
        Tone.WAIT,
    ),
    RunStatus.COMPLETED: Word(
        _("Finished"),
        _("Everybody was tried. The figures say who was reached; unused credits were given back."),
        Tone.GOOD,
    ),
    RunStatus.TERMINATED: Word(
        _("Stopped"),
        _("Somebody stopped it. Those who were not reached by then were not charged."),
        Tone.BAD,
    ),
}

NOT_STARTED = Word(
    _("Did not start"), _("It was rejected, or not approved in time. Nothing was charged."), Tone.BAD
)

# The outcome of a recipient as `reports.states` shows it. None stands for not contacted in this run.
RECIPIENT: dict[int | None, Word] = {
    None: Word(_("Not contacted"), _("It was not this person's turn yet. Nothing was charged."), Tone.QUIET),
    DeliveryStatus.QUEUED: Word(_("In the queue"), _("It is sent next. Nothing was charged."), Tone.QUIET),
    DeliveryStatus.SUBMITTING: Word(
        _("Being sent"), _("It is being handed to the carrier at this moment."), Tone.BUSY
    ),
    DeliveryStatus.UNKNOWN: Word(
        _("Not certain"),
        _("The carrier may have it, but did not say so. It is not sent again, so that nobody gets it twice."),
        Tone.WAIT,
    ),
    DeliveryStatus.SUBMITTED: Word(
        _("With the carrier"), _("The carrier has it and has not reported the outcome yet."), Tone.BUSY
    ),
    DeliveryStatus.RINGING: Word(_("Ringing"), _("The phone rings. Nothing was charged so far."), Tone.BUSY),
    DeliveryStatus.ANSWERED: Word(_("On the phone"), _("The person is listening to the message."), Tone.BUSY),
    DeliveryStatus.COMPLETED: Word(
        _("Reached"),
        _("The whole message was played, or the carrier delivered the text message. It was charged."),
        Tone.GOOD,
    ),
    DeliveryStatus.HUNGUP: Word(
        _("Hung up"),
        _("The person answered and hung up before the end. The call was charged. You can call again."),
        Tone.WAIT,
    ),
    DeliveryStatus.UNANSWERED: Word(
        _("No answer"),
        _("The phone was busy, off, or nobody answered. Nothing was charged. You can call again."),
        Tone.WAIT,
    ),
    DeliveryStatus.FAILED: Word(
        _("Failed"),
        _("The carrier could not deliver it, or the number does not exist. Open the person to see why."),
        Tone.BAD,
    ),
    DeliveryStatus.TERMINATED: Word(
        _("Not sent"), _("It was stopped before it was sent. Nothing was charged."), Tone.BAD
    ),
}

# What pages call all states between the queue and the end together.
UNDER_WAY_WORD = Word(
    _("Under way"), _("They are being called, or the carrier has not reported the outcome yet."), Tone.BUSY
)

# Whether people have heard an alert: the states of a recipient, and the word that pages have for them.
HEARING: dict[str, tuple[tuple[AlertState, ...], Word]] = {
    "heard": (
        (AlertState.HEARD,),
        Word(_("Has heard it"), _("Pressed 1 during the call."), Tone.GOOD),
    ),
    "not_heard": (
        (AlertState.NOT_HEARD,),
        Word(
            _("Has not heard it"),
            _("The calls have ended, and nobody pressed 1. Reach them another way."),
            Tone.BAD,
        ),
    ),
    "called": (
        (AlertState.CALLED,),
        Word(_("Being called"), _("A call to this number is under way or planned."), Tone.BUSY),
    ),
    "waiting": (
        (AlertState.WAITING, AlertState.DUE),
        Word(_("Waits"), _("It was not the turn of this number yet."), Tone.QUIET),
    ),
    "spared": (
        (AlertState.SPARED,),
        Word(_("Not needed"), _("Another number of the same household has heard it."), Tone.GOOD),
    ),
    "stopped": (
        (AlertState.STOPPED,),
        Word(_("Not called"), _("The campaign was stopped before."), Tone.BAD),
    ),
}

CAUSES: dict[str, Promise] = {
    Cause.BUSY: _("The line was busy."),
    Cause.NO_ANSWER: _("Nobody answered."),
    Cause.CUT_OFF: _("The call was cut off before the message ended."),
    Cause.INVALID: _("No phone has this number. Correct it in your list."),
    Cause.REFUSED: _("The carrier refused it."),
    Cause.BLOCKED: _("The operator of this server has blocked this number. Nothing was charged."),
    Cause.OPTED_OUT: _(
        "This person does not want messages from you, so it was not sent. Nothing was charged."
    ),
    Cause.LOST: _("The carrier never reported what became of it. It is not sent again by itself."),
    Cause.EXPIRED: _("It could not be sent in time, so it was not sent at all. Nothing was charged."),
    Cause.TOO_LONG: _("Its speech is longer than the credits on hold allow, so it was not sent."),
    Cause.NO_PRICE: _(
        "Your tariff has no price for this destination, so it was not sent. Ask the operator of this server."
    ),
    Cause.NO_SENDER: _(
        "This account has no approved sender name for the operator of this number, so it was not sent. Nothing was charged."
    ),
    Cause.STOPPED: _("The campaign was stopped before it was sent."),
}

SERVICES: dict[str, Promise] = {
    Service.CALL: pgettext_lazy("service", "Calls"),
    Service.SMS: pgettext_lazy("service", "Text messages"),
    Service.BOTH: pgettext_lazy("service", "Calls and text messages"),
    Service.SURVEY: pgettext_lazy("service", "Survey by phone"),
}

CHANNELS: dict[str, Promise] = {
    Channel.CALL: pgettext_lazy("channel", "Call"),
    Channel.SMS: pgettext_lazy("channel", "Text message"),
}

SENDER: dict[str, Word] = {
    SenderStatus.REQUESTED: Word(
        pgettext_lazy("sender", "Requested"),
        _("The operator of this server has not decided yet. No text message comes from it."),
        Tone.WAIT,
    ),
    SenderStatus.APPROVED: Word(
        pgettext_lazy("sender", "Approved"), _("Text messages to this operator can come from it."), Tone.GOOD
    ),
    SenderStatus.REFUSED: Word(
        pgettext_lazy("sender", "Refused"),
        _("No text message comes from it. Read the reason, and ask again if you can."),
        Tone.BAD,
    ),
}

EVERYTHING = pgettext_lazy("channel", "Calls and text messages")
WAYS: dict[str, Promise] = {
    OptOutWay.KEYWORD: _("wrote a word in a text message"),
    OptOutWay.KEY: _("pressed a key in a call"),
    OptOutWay.API: _("added by a program"),
    OptOutWay.PERSON: _("added by a member"),
    OptOutWay.IMPORT: _("added with a file"),
}

OPERATORS: dict[Operator, Promise] = {
    Operator.NTC: _("Nepal Telecom"),
    Operator.NCELL: _("Ncell"),
    Operator.SMART: _("Smart Telecom"),
    Operator.OTHER: _("another operator"),
}

# Outcomes in the order in which pages list them.
OUTCOMES = (
    DeliveryStatus.COMPLETED,
    DeliveryStatus.HUNGUP,
    DeliveryStatus.UNANSWERED,
    DeliveryStatus.FAILED,
    DeliveryStatus.TERMINATED,
)
UNDER_WAY = (
    DeliveryStatus.SUBMITTING,
    DeliveryStatus.UNKNOWN,
    DeliveryStatus.SUBMITTED,
    DeliveryStatus.RINGING,
    DeliveryStatus.ANSWERED,
)


def campaign_key(campaign: Campaign, run_status: str | None) -> str:
    """Return the key of CAMPAIGN for a campaign (`with_status`) and the status of its latest run."""
    if run_status == RunStatus.RUNNING and getattr(campaign, "waits_for_go_ahead", False):
        return Stage.WAVE
    if run_status:
        return run_status
    return Stage.DRAFT if campaign.draft else Stage.READY


def campaign_word(campaign: Campaign, run_status: str | None) -> Word:
    return CAMPAIGN[campaign_key(campaign, run_status)]
