"""The operations of the sandbox, for the schema."""

from __future__ import annotations

from iris.api.openapi.operations import Area, Operation
from iris.api.openapi.shapes import (
    INT,
    MOMENT,
    TEXT,
    URL,
    Schema,
    about,
    either,
    enveloped,
    named,
    nullable,
    words,
)
from telephony.api.sandbox import Keys, NewFaults, Reply
from telephony.carriers.sandbox.inbox import MAX_WAIT_SECONDS
from telephony.carriers.sandbox.views import MAX_ROWS
from telephony.models import Channel

_TEST = (
    "With a test key. In `make sandbox`, requests without a test key are about the messages of all accounts."
)
MESSAGE = named(
    "SandboxMessage",
    {
        "id": INT,
        "channel": words(Channel.values),
        "to": TEXT,
        "from": TEXT,
        "text": TEXT,
        "audio_url": nullable(URL),
        "status": words(
            ("accepted", "ringing", "answered", "delivered", "completed", "busy", "unanswered", "hungup")
        ),
        "created_at": MOMENT,
    },
    about="A call or an SMS that a phone would have received.",
)
_FAULTS = enveloped({"faults": {"busy": INT, "lost": INT, "throttled": INT, "latency_seconds": INT}})

AREAS = [
    Area(
        "sandbox",
        "What phones would have received from a test twin, and what their owners do.",
        {
            "GET sandbox-messages": Operation(
                id="sandbox_messages",
                summary="List the calls and SMS that arrived, newest first",
                about=f"{_TEST} Few requests can wait at once: if too many wait, the answer comes at once.",
                parameters={
                    "to": about("The last digits of the number.", TEXT),
                    "channel": words(Channel.values),
                    "since": about(
                        "Only messages after the one with this id, or from this time on.",
                        either(Schema(type="integer", minimum=0), MOMENT),
                    ),
                    "limit": about(
                        f"How many messages at most; never more than {MAX_ROWS}.",
                        Schema(type="integer", minimum=0, maximum=MAX_ROWS),
                    ),
                    "wait": about(
                        "How many seconds to wait until there is a message.",
                        Schema(type="integer", minimum=0, maximum=MAX_WAIT_SECONDS),
                    ),
                },
                answers={200: Schema(type="array", items=MESSAGE)},
            ),
            "DELETE sandbox-messages": Operation(
                id="sandbox_empty_inbox", summary="Empty the inbox", about=_TEST, answers={204: None}
            ),
            "POST sandbox-reply": Operation(
                id="sandbox_reply",
                summary="Reply to an SMS, as its recipient",
                about=_TEST,
                body=Reply,
                answers={200: enveloped()},
                refuses=(409,),
            ),
            "POST sandbox-press": Operation(
                id="sandbox_press",
                summary="Press keys in a call, as its recipient",
                about=_TEST,
                body=Keys,
                answers={200: enveloped()},
                refuses=(409,),
            ),
            "GET sandbox-faults": Operation(
                id="sandbox_faults",
                summary="Show the faults of the sandbox",
                about=_TEST,
                answers={200: _FAULTS},
            ),
            "PUT sandbox-faults": Operation(
                id="sandbox_set_faults",
                summary="Let a share of what is sent from now on fail",
                about=f"{_TEST} Faults that are not sent are switched off.",
                body=NewFaults,
                answers={200: _FAULTS},
            ),
        },
    )
]
