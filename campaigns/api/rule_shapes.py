"""The JSON of the rules of reaching people, for the schema of both dialects."""

from __future__ import annotations

from campaigns.runs.calling_hours import DAYS, MAX_ENTRIES, MAX_HOLIDAYS
from campaigns.runs.limits import KEEP, MAX_CONTACTS, MAX_DAYS, MAX_SIZE, MAX_WAVES, ONCE
from campaigns.runs.retries import MAX_DELAY_SECONDS, MAX_TRIES, MIN_DELAY_SECONDS, Backoff, Outcome
from campaigns.runs.urgent import MAX_REASON_CHARACTERS
from iris.api.openapi.shapes import BOOL, NULL, TEXT, Schema, Shape, either, named, nullable, schema_of, words

_SECONDS = Schema(type="integer", minimum=MIN_DELAY_SECONDS, maximum=MAX_DELAY_SECONDS)
_CLOCK = Schema(type="string", description="A time of the day, such as 09:00. The end can be 24:00.")
_ENTRIES = Schema(
    type="array",
    items=schema_of({"days?": [words(DAYS)], "from": _CLOCK, "to": _CLOCK}),
    minItems=1,
    maxItems=MAX_ENTRIES,
)

RETRY = named(
    "RetryRule",
    {
        "tries": Schema(type="integer", minimum=2, maximum=MAX_TRIES),
        "on": either(
            Schema(type="array", items=words(Outcome), minItems=1),
            schema_of({f"{one.value}?": _SECONDS for one in Outcome}),
        ),
        "delay_seconds?": _SECONDS,
        "backoff?": words(Backoff),
    },
    about="After which outcomes a number is tried again, and when. `on` lists the outcomes, or has the delay after each.",
)
CALLING_HOURS = named(
    "CallingHours",
    {
        "calls?": _ENTRIES,
        "sms?": _ENTRIES,
        "holidays?": Schema(type="array", items=TEXT, maxItems=MAX_HOLIDAYS),
        "time_zone?": TEXT,
    },
    about="When numbers may be called or texted. Holidays are Gregorian dates, or Bikram Sambat ones from 2070 on.",
)
FREQUENCY_CAP = named(
    "FrequencyCap",
    {
        "contacts": Schema(type="integer", minimum=1, maximum=MAX_CONTACTS),
        "days": Schema(type="integer", minimum=1, maximum=MAX_DAYS),
    },
    about="At most so many contacts with a number in so many days, over all campaigns of the account.",
)
WAVES = named(
    "Waves",
    {
        "sizes": Schema(
            type="array",
            items=Schema(type="integer", minimum=1, maximum=MAX_SIZE),
            minItems=1,
            maxItems=MAX_WAVES,
        ),
        "success_percent?": nullable(Schema(type="integer", minimum=1, maximum=100)),
    },
    about="How many numbers each wave has. After a wave, the run waits for a person or for a share of successes.",
)
DUPLICATES = words((KEEP, ONCE))
_HEARD = schema_of({"sms?": BOOL, "household?": nullable(TEXT)})
URGENT = named(
    "UrgentRule",
    {
        "reason": Schema(type="string", minLength=1, maxLength=MAX_REASON_CHARACTERS),
        "past_opt_outs?": BOOL,
        "heard?": either(BOOL, _HEARD, NULL),
    },
    about="Why a run is urgent. It goes before all others, outside of calling hours, caps and waves.",
)

RULES: dict[str, Shape] = {
    "retry?": RETRY,
    "calling_hours?": CALLING_HOURS,
    "duplicates?": DUPLICATES,
    "frequency_cap?": FREQUENCY_CAP,
    "waves?": WAVES,
    "urgent?": URGENT,
}


def or_off(rule: Schema) -> Schema:
    """Return what a request can contain: the rule, or “off” or null for no such rule."""
    return either(rule, Schema(const="off"), NULL)
