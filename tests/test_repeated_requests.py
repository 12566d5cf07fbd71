"""Test that every request that creates or starts something obeys `Idempotency-Key`, in both dialects.

A new route fails here until it has a line in REQUESTS, or one in EXEMPT with its reason.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from accounts import credits, departments, twins
from accounts.models import Account, Member
from campaigns import runs
from campaigns.models import Campaign, Service
from campaigns.runs import hopper
from iris.api import idempotency
from telephony.speech import audio
from tests.campaigns.lists.making import make_list, make_text_template
from tests.campaigns.surveys.surveying import make_survey, make_template
from tests.factories import client_of, make_account, make_campaign, make_member, make_phone_number
from tests.routes import DIALECTS, Route
from tests.telephony.speech.sound import tone
from tests.v0 import row_counts_and_balances
from tests.webhooks.making import make_endpoint, publish
from webhooks.models import MessageState, OutboxMessage

STEPS = [{"order": 0, "content_type": "say", "text_or_url": "Are you well?", "response_type": "dtmf"}]
OTP = {"number": "9841000001", "message": "Your code is {otp}", "sms_send_options": "text"}

GREETING = tone(hertz=440, seconds=1, amplitude=8000)

Request = tuple[dict[str, int], Callable[[], dict[str, Any]]]


def campaign_of(owner: Account, **fields: Any) -> Campaign:
    return make_campaign(owner=owner, **{"message": "Namaste", "sms_message": "Namaste", **fields})


def begun(owner: Account) -> Campaign:
    campaign = campaign_of(owner)
    runs.begin(campaign=campaign)
    return campaign


def awaiting(owner: Account) -> Campaign:
    owner.approval_above = 0
    owner.save(update_fields=["approval_above"])
    return begun(owner)


def paused(owner: Account) -> Campaign:
    campaign = begun(owner)
    runs.pause(campaign=campaign)
    return campaign


def between_waves(owner: Account) -> Campaign:
    campaign = campaign_of(owner)
    run = runs.begin(campaign=campaign, message="Namaste", waves={"sizes": [1, 1]})
    hopper.fill(run.pk)
    return campaign


def sheet() -> SimpleUploadedFile:
    return SimpleUploadedFile("people.csv", b"number,name\n9841000007,Ram\n9841000008,Sita\n", "text/csv")


def recording() -> SimpleUploadedFile:
    return SimpleUploadedFile("greeting.wav", audio.encode_wav(GREETING), "audio/wav")


def about(campaign: Campaign, body: Callable[[], dict[str, Any]] = dict) -> Request:
    return {"campaign_id": campaign.pk}, body


def about_run(campaign: Campaign) -> Request:
    run = campaign.runs.get().pk
    return about(campaign, lambda: {"run": run})


def about_first(campaign: Campaign, body: Callable[[], dict[str, Any]] = dict) -> Request:
    first = campaign.recipients.earliest("pk").pk
    return {"contact_id": first, "number_id": first}, body


def bought(owner: Account) -> Request:
    number = make_phone_number()
    return {}, lambda: {"phone_sid": number.sid}


def applied(owner: Account) -> Request:
    survey = make_survey(owner=owner).pk
    return {"template_id": make_template(owner=owner).pk}, lambda: {"campaign_id": survey}


def filled_up(owner: Account) -> Request:
    credits.charge(account=twins.open_twin(account=owner), amount=Decimal(7), cause="number:1")
    return {}, dict


def with_list(owner: Account) -> Request:
    chosen = make_list(owner=owner).pk
    return about(campaign_of(owner), lambda: {"list": chosen})


def with_text_template(owner: Account) -> Request:
    chosen = make_text_template(owner=owner).pk
    return about(campaign_of(owner), lambda: {"template": chosen})


def to_webhook(owner: Account, body: Callable[[], dict[str, Any]] = dict) -> Request:
    endpoint = make_endpoint(owner)
    publish(owner, "inbound:1")
    OutboxMessage.objects.update(state=MessageState.DELIVERED)
    return {"webhook_id": endpoint.pk}, body


# For each address a function that prepares the account, and returns the ids in the address and a function that makes the
# body. A body is made anew for each call, because sending it reads its files to their end.
REQUESTS: dict[str, Callable[[Account], Request]] = {
    "/api/system/phone_numbers/": bought,
    "/api/system/webhooks/": lambda owner: ({}, lambda: {"url": "https://hooks.example.com/in"}),
    "/api/system/webhooks/<id:webhook_id>/": lambda owner: to_webhook(owner, lambda: {"name": "Shop"}),
    "/api/system/webhooks/<id:webhook_id>/rotate/": to_webhook,
    "/api/system/webhooks/<id:webhook_id>/test/": to_webhook,
    "/api/system/webhooks/<id:webhook_id>/replay/": lambda owner: to_webhook(
        owner, lambda: {"from": "2020-01-01T00:00"}
    ),
    "/api/system/test/voice/": lambda owner: ({}, lambda: {"message": "Namaste"}),
    "/api/system/campaigns/": lambda owner: (
        {},
        lambda: {"name": "Water", "services": "SMS", "send_to_number_file": sheet()},
    ),
    "/api/system/campaigns/number/<id:campaign_id>/": lambda owner: about(
        campaign_of(owner), lambda: {"number": 9841000009}
    ),
    "/api/system/campaigns/<id:campaign_id>/update/": lambda owner: about(
        campaign_of(owner), lambda: {"name": "Renamed"}
    ),
    "/api/system/campaigns/<id:campaign_id>/begin/": lambda owner: about(
        campaign_of(owner, service=Service.CALL), lambda: {"aud_file": recording(), "priority": "audio"}
    ),
    "/api/system/campaigns/<id:campaign_id>/approve/": lambda owner: about_run(awaiting(owner)),
    "/api/system/campaigns/<id:campaign_id>/reject/": lambda owner: about_run(awaiting(owner)),
    "/api/system/campaigns/<id:campaign_id>/stop/": lambda owner: about(begun(owner)),
    "/api/system/campaigns/<id:campaign_id>/pause/": lambda owner: about(begun(owner)),
    "/api/system/campaigns/<id:campaign_id>/resume/": lambda owner: about(paused(owner)),
    "/api/system/campaigns/<id:campaign_id>/use_list/": with_list,
    "/api/system/campaigns/<id:campaign_id>/use_template/": with_text_template,
    "/api/system/lists/": lambda owner: ({}, lambda: {"name": "Parents", "file": sheet()}),
    "/api/system/lists/<id:list_id>/contacts/": lambda owner: (
        {"list_id": make_list(owner=owner).pk},
        lambda: {"contacts": [{"number": 9841000009, "available_tags": {"tags_name": "Ram"}}]},
    ),
    "/api/system/templates/": lambda owner: ({}, lambda: {"name": "Water cut", "message": "Namaste"}),
    "/api/system/campaigns/<id:campaign_id>/next_wave/": lambda owner: about(between_waves(owner)),
    "/api/system/number/<id:number_id>/": lambda owner: about_first(
        campaign_of(owner), lambda: {"number": 9841000010}
    ),
    "/api/system/send/otp/": lambda owner: ({}, lambda: OTP),
    "/api/system/members/": lambda owner: ({}, lambda: {"email": "ram@example.com", "preset": "viewer"}),
    "/api/system/members/<id:member_id>/": lambda owner: (
        {"member_id": Member.objects.get(user=make_member(owner, "viewer")).pk},
        lambda: {"preset": "author"},
    ),
    "/api/system/keys/": lambda owner: ({}, lambda: {"name": "website", "scopes": ["view"]}),
    "/api/system/optouts/": lambda owner: ({}, lambda: {"number": "9841000011", "reason": "By letter"}),
    "/api/system/senders/": lambda owner: ({}, lambda: {"sender": "ACME", "operators": ["ntc"]}),
    "/api/system/settings/": lambda owner: ({}, lambda: {"approval_above": 100}),
    "/api/system/people/export/": lambda owner: ({}, lambda: {"number": 9841000001}),
    "/api/system/people/erase/": lambda owner: ({}, lambda: {"number": 9841000001}),
    "/api/system/keys/revoke_all/": lambda owner: ({}, dict),
    "/api/system/twin/": filled_up,
    "/api/system/departments/": lambda owner: ({}, lambda: {"name": "Ward 5"}),
    "/api/system/departments/<id:department_id>/transfer/": lambda owner: (
        {"department_id": departments.create(parent=owner, name="Ward 5").pk},
        lambda: {"amount": 7, "direction": "to_department"},
    ),
    "/api/v1/auths/generate-api-keys/": lambda owner: ({}, dict),
    "/api/v1/auths/send/otp/": lambda owner: ({}, lambda: OTP),
    "/api/v1/campaign/create/": lambda owner: (
        {},
        lambda: {"name": "Water", "services": "PHONE", "audio_file": recording()},
    ),
    "/api/v1/campaign/create/<id:campaign_id>/message/": lambda owner: about(
        campaign_of(owner, service=Service.CALL), lambda: {"audio_file": recording()}
    ),
    "/api/v1/campaign/create/<id:campaign_id>/detail/": lambda owner: about(
        campaign_of(owner), lambda: {"bulk_file": sheet()}
    ),
    "/api/v1/campaign/create/<id:campaign_id>/survey/": lambda owner: about(
        make_survey(owner=owner), lambda: {"steps": json.dumps(STEPS), "0": recording()}
    ),
    "/api/v1/campaign/emergency-stop/<id:campaign_id>/": lambda owner: about(begun(owner)),
    "/api/v1/campaign/<id:campaign_id>/": lambda owner: about(
        campaign_of(owner), lambda: {"name": "Renamed"}
    ),
    "/api/v1/campaign/<id:campaign_id>/add-contact/": lambda owner: about(
        campaign_of(owner), lambda: {"contacts": [{"number": 9841000009, "other_variables": {"name": "Ram"}}]}
    ),
    "/api/v1/phone-number/update/<id:contact_id>/": lambda owner: about_first(
        campaign_of(owner), lambda: {"number": 9841000010}
    ),
    "/api/v1/run-campaign/<id:campaign_id>/": lambda owner: about(campaign_of(owner)),
    "/api/v1/demo-call/<id:contact_id>/": lambda owner: about_first(campaign_of(owner)),
    "/api/v1/test-speak/riri/<id:campaign_id>/": lambda owner: about(campaign_of(owner)),
    "/api/v1/run-survey/<id:campaign_id>/": lambda owner: about(make_survey(owner=owner)),
    "/api/v1/test-survey/<id:contact_id>/": lambda owner: about_first(make_survey(owner=owner)),
    "/api/v1/survey-templates/": lambda owner: (
        {},
        lambda: {"name": "Water", "voice": {"voice_internal_name": "np_rija"}, "content": STEPS},
    ),
    "/api/v1/survey-templates/<id:template_id>/apply-to-campaign/": applied,
}
# Their answers have a secret.
NOT_KEPT = {
    "/api/v1/auths/generate-api-keys/",
    "/api/system/keys/",
    "/api/system/webhooks/",
    "/api/system/webhooks/<id:webhook_id>/rotate/",
}
ONLY_PUBLIC = "nobody has logged in yet, so the key belongs to no account"
EXEMPT: dict[str, str] = {
    "/api/accounts/login/": ONLY_PUBLIC,
    "/api/accounts/token/refresh/": ONLY_PUBLIC,
    "/api/v1/auths/login/": ONLY_PUBLIC,
    "/api/v1/auths/login/refresh/": ONLY_PUBLIC,
    "/api/accounts/logout/": "the token of a retry is refused before its key is examined",
    "/api/v1/auths/logout/": "the token of a retry is refused before its key is examined",
    "/api/v1/download/report/<id:campaign_id>/": "it reads, as GET does",
    "/api/v1/download/survey/<id:survey_id>/report/": "it reads, as GET does",
}
POSTS = [
    (route, route.methods) for dialect in DIALECTS for route, method in dialect.calls if method == "POST"
]
OBEYING = [
    pytest.param(route, method, id=f"{method} {route.path}")
    for route, methods in POSTS
    if route.path not in EXEMPT
    for method in ("POST", "PUT", "PATCH")
    if method in methods
]


@pytest.fixture
def owner(db: None) -> Account:
    return make_account(email="sita@example.com", credits=1000)


def call(client: Any, method: str, path: str, body: dict[str, Any], key: str) -> Any:
    form = any(isinstance(value, SimpleUploadedFile) for value in body.values())
    send = getattr(client, method.lower())
    return send(path, body, format="multipart" if form else "json", HTTP_IDEMPOTENCY_KEY=key)


def test_every_post_has_a_request_or_a_reason_here() -> None:
    known = {route.path for route, _ in POSTS}
    assert known == REQUESTS.keys() | EXEMPT.keys()
    assert not REQUESTS.keys() & EXEMPT.keys()


@pytest.mark.parametrize(("route", "method"), OBEYING)
def test_request_that_is_repeated_with_its_key_gets_the_first_answer_and_changes_nothing(
    route: Route, method: str, owner: Account
) -> None:
    client = client_of(owner)
    ids, body = REQUESTS[route.path](owner)
    path = route.with_ids(**ids)

    first = call(client, method, path, body(), "k-1")
    assert first.status_code in (200, 201, 202), first.content
    assert idempotency.REPLAYED not in first.headers
    before = row_counts_and_balances()
    again = call(client, method, path.rstrip("/"), body(), "k-1")
    other = call(client, method, path, {**body(), "not_a_field": "other"}, "k-1")

    if route.path in NOT_KEPT:
        assert again.status_code == 409
        assert "not carried out again" in again.json()["message"]
    else:
        assert (again.status_code, again.content) == (first.status_code, first.content)
        assert again.headers["Content-Type"] == first.headers["Content-Type"]
        assert again.headers[idempotency.REPLAYED] == "true"
    assert other.status_code == 422
    assert row_counts_and_balances() == before


@pytest.mark.parametrize("path", sorted(EXEMPT))
def test_exempt_route_ignores_even_a_malformed_key(path: str, owner: Account) -> None:
    campaign = make_survey(owner=owner)
    address = path.replace("<id:campaign_id>", str(campaign.pk)).replace(
        "<id:survey_id>", str(campaign.survey.pk)
    )
    statuses = [
        client_of(owner).post(address, {}, format="json", HTTP_IDEMPOTENCY_KEY=key).status_code
        for key in ("", "x" * 300)
    ]
    assert statuses == [client_of(owner).post(address, {}, format="json").status_code] * 2
