"""The operations of phone numbers, opt-outs, people, seed numbers, senders and prices in v0, for the schema."""

from __future__ import annotations

from iris.api.openapi.operations import V0_PAGES, Area, Operation
from iris.api.openapi.shapes import (
    ANY,
    BOOL,
    CREDITS,
    INT,
    MOMENT,
    NULL,
    NUMBER,
    TEXT,
    URL,
    V0_PAGINATION,
    Schema,
    Shape,
    either,
    enveloped,
    file,
    mapping,
    named,
    nullable,
    schema_of,
    words,
)
from telephony.api.filters import PhoneNumberFilter
from telephony.api.v0 import optouts, people, seeds, senders, tariff
from telephony.api.v0.serializers import ChosenNumber, VoiceSample
from telephony.models import SenderStatus
from telephony.senders.addresses import SenderKind

_FORMAT = words(("json", "csv"))
OWNED_NUMBER = named(
    "V0PhoneNumber",
    {
        "phone_number": TEXT,
        "rate": NUMBER,
        "available_capabilities": TEXT,
        "phone_number_sid": TEXT,
        "friendly_name": TEXT,
        "accept_incoming": NULL,
        "configure_with": Schema(const=""),
        "call_comes_in": NULL,
        "call_url": NULL,
        "http_request": NULL,
    },
)
OPT_OUT = named(
    "V0OptOut",
    {
        "number": nullable(TEXT),
        "channel": TEXT,
        "way": nullable(words(optouts.WAYS)),
        "reason": TEXT,
        "evidence": ANY,
        "added_at": MOMENT,
    },
)
PERSON_REQUEST: dict[str, Shape] = {
    "id": INT,
    "kind": words(("export", "erase")),
    "status": words(("done", "running")),
    "waits_for": nullable(TEXT),
    "found": mapping(ANY),
    "requested_at": MOMENT,
    "finished_at": nullable(MOMENT),
}
LISTED_REQUEST = named("V0PersonRequest", PERSON_REQUEST)
REQUEST_DETAILS = named("V0PersonRequestDetails", {**PERSON_REQUEST, "result?": nullable(mapping(ANY))})
SEED_NUMBERS = {"seed_numbers": [TEXT], "runs_above": INT}
SEED_RESULT = named(
    "V0SeedResult",
    {
        "id": INT,
        "run": nullable(INT),
        "number": nullable(TEXT),
        "status": nullable(TEXT),
        "sent_at": nullable(MOMENT),
        "reported_at": nullable(MOMENT),
        "arrived": nullable(BOOL),
        "told_at": nullable(MOMENT),
    },
)
SENDER = named(
    "V0Sender",
    {
        "id": INT,
        "sender": TEXT,
        "kind": words(one.value for one in SenderKind),
        "operator": words(senders.OPERATORS),
        "status": words(SenderStatus),
        "reason": TEXT,
        "note": TEXT,
        "own": BOOL,
        "requested_at": MOMENT,
        "decided_at": nullable(MOMENT),
    },
)
RATES: dict[str, Shape] = {
    "sms_credits": nullable(CREDITS),
    "call_credits": nullable(CREDITS),
    "pulse_seconds": nullable(INT),
}
PRICES = {
    "other_destinations": RATES,
    "pagination": V0_PAGINATION,
    "prices": [
        {
            "prefix": TEXT,
            "channel": words(tariff.CHANNELS),
            "credits": CREDITS,
            "pulse_seconds": nullable(INT),
        }
    ],
}
PRICE_OF_NUMBER = {"number": {"number": TEXT, "e164": TEXT, **RATES}}

PHONE_NUMBERS = Area(
    "v0 phone numbers and voices",
    "Numbers to own, from which calls and SMS come, and voices to try.",
    {
        "GET v0-phone-numbers": Operation(
            id="v0_list_phone_numbers",
            summary="List the phone numbers for sale",
            filters=PhoneNumberFilter,
            answers={200: enveloped({"number_lists": [OWNED_NUMBER]})},
        ),
        "GET v0-owned-phone-numbers": Operation(
            id="v0_list_owned_phone_numbers",
            summary="List the account's phone numbers",
            filters=PhoneNumberFilter,
            answers={200: enveloped({"owned_numbers": [OWNED_NUMBER]})},
        ),
        "POST v0-phone-numbers": Operation(
            id="v0_buy_phone_number",
            summary="Buy a phone number",
            body=ChosenNumber,
            answers={200: enveloped({"number_details": [OWNED_NUMBER]})},
            refuses=(402, 404, 409),
        ),
        "DELETE v0-phone-numbers": Operation(
            id="v0_release_phone_number",
            summary="Give back a phone number",
            about="`phone_sid` can also be sent in a body. `status` in the envelope is 204, and the HTTP status is 200.",
            query=ChosenNumber,
            answers={200: enveloped()},
            refuses=(404, 409),
        ),
        "POST v0-test-voice": Operation(
            id="v0_try_voice",
            summary="Listen to a text",
            body=VoiceSample,
            answers={200: enveloped({"audio_url": URL, "voice_input": TEXT, "duration": INT})},
        ),
        "GET v0-tariff": Operation(
            id="v0_list_prices",
            summary="Show what calls and SMS cost",
            about="With `number`, the response has the price of calls and SMS to this number.",
            filters=tariff.TariffFilter,
            pages=V0_PAGES,
            parameters={"number": TEXT},
            answers={200: enveloped(either(schema_of(PRICES), schema_of(PRICE_OF_NUMBER)))},
        ),
    },
)

PEOPLE = Area(
    "v0 opt-outs and people",
    "Numbers that receive nothing further, and the data that an account stores about a person.",
    {
        "GET v0-optouts": Operation(
            id="v0_list_optouts",
            summary="List the opt-outs, newest first",
            filters=optouts.OptOutFilter,
            pages=V0_PAGES,
            parameters={"format": _FORMAT},
            answers={
                200: {
                    "application/json": enveloped({"pagination": V0_PAGINATION, "optouts": [OPT_OUT]}),
                    **file("text/csv"),
                }
            },
        ),
        "POST v0-optouts": Operation(
            id="v0_add_optouts",
            summary="Add numbers to the opt-out list",
            body=optouts.NewOptOuts,
            answers={201: enveloped({"numbers": INT, "added": INT})},
        ),
        "DELETE v0-optout": Operation(
            id="v0_remove_optout",
            summary="Remove a number from the opt-out list",
            answers={200: enveloped({"number": TEXT})},
        ),
        "POST v0-people-export": Operation(
            id="v0_export_person",
            summary="Collect what the account stores about a phone number",
            body=people.OneNumber,
            answers={202: enveloped({"request": LISTED_REQUEST})},
            refuses=(409,),
        ),
        "POST v0-people-erase": Operation(
            id="v0_erase_person",
            summary="Erase what the account stores about a phone number",
            body=people.OneNumber,
            answers={202: enveloped({"request": LISTED_REQUEST})},
            refuses=(409,),
        ),
        "GET v0-people-requests": Operation(
            id="v0_list_person_requests",
            summary="List the exports and erasures, newest first",
            pages=V0_PAGES,
            answers={200: enveloped({"pagination": V0_PAGINATION, "requests": [LISTED_REQUEST]})},
        ),
        "GET v0-people-request": Operation(
            id="v0_get_person_request",
            summary="Show an export or an erasure",
            about="An export that is done has its `result`. Recordings in it need the permission `listen`.",
            answers={200: enveloped({"request": REQUEST_DETAILS})},
        ),
    },
)

SENDERS = Area(
    "v0 senders and seed numbers",
    "Where SMS come from, and phones of the account itself that show which SMS arrive.",
    {
        "GET v0-senders": Operation(
            id="v0_list_senders",
            summary="List the senders of the account",
            answers={200: enveloped({"senders": [SENDER]})},
        ),
        "POST v0-senders": Operation(
            id="v0_request_sender",
            summary="Request a sender",
            body=senders.NewSender,
            answers={201: enveloped({"senders": [SENDER]})},
            refuses=(409,),
        ),
        "DELETE v0-sender": Operation(
            id="v0_remove_sender",
            summary="Remove a sender",
            answers={200: enveloped({"sender": SENDER})},
        ),
        "GET v0-seed-numbers": Operation(
            id="v0_get_seed_numbers",
            summary="Show the seed numbers",
            answers={200: enveloped(SEED_NUMBERS)},
        ),
        "PUT v0-seed-numbers": Operation(
            id="v0_set_seed_numbers",
            summary="Replace the seed numbers",
            body=seeds.NewNumbers,
            answers={200: enveloped(SEED_NUMBERS)},
        ),
        "GET v0-seed-results": Operation(
            id="v0_list_seed_results",
            summary="List the SMS to seed numbers, newest first",
            pages=V0_PAGES,
            answers={200: enveloped({"pagination": V0_PAGINATION, "results": [SEED_RESULT]})},
        ),
        "PUT v0-seed-result": Operation(
            id="v0_tell_seed_result",
            summary="Say whether an SMS has arrived",
            body=seeds.Told,
            answers={200: enveloped({"result": SEED_RESULT})},
            refuses=(409,),
        ),
    },
)

AREAS = [PHONE_NUMBERS, PEOPLE, SENDERS]
