"""Test which answers are kept for repeated requests, and what happens while and after a request is carried out."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.db.models import F
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken

from accounts import credits
from accounts.models import Account, ApiKey
from campaigns import runs, services
from campaigns.models import Campaign, Run, RunStatus, SurveyTemplate
from iris import kept_answers
from iris.api import idempotency
from iris.models import KeptAnswer
from iris.tasks import prune_answers
from otp.models import Otp
from tests import v0
from tests.campaigns.surveys.surveying import make_template
from tests.factories import client_of, make_account, make_campaign, owner_of
from tests.iris.api.repeating import (
    CREATE,
    CREATE_V1,
    GENERATE_KEY,
    NEW,
    OTP,
    SEND_OTP,
    age,
    carried_out_elsewhere,
    died,
    held_locks,
    post,
    refusal,
    session,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def owner() -> Account:
    return make_account(email="sita@example.com", credits=100)


@pytest.fixture
def client(owner: Account) -> APIClient:
    return client_of(owner)


@pytest.fixture
def campaign(owner: Account) -> Campaign:
    return make_campaign(owner=owner, message="Namaste")


class TestErrors:
    def test_corrected_request_may_use_the_key_of_a_400(self, client: APIClient) -> None:
        refusal(post(client, CREATE, {**NEW, "services": "FAX"}), 400, "invalid")
        assert post(client, CREATE, NEW).status_code == 201
        assert Campaign.objects.count() == 1

    def test_request_that_was_too_expensive_succeeds_after_a_top_up(
        self, client: APIClient, owner: Account
    ) -> None:
        poor = make_account()
        campaign, poor_client = make_campaign(owner=poor, message="Namaste"), client_of(poor)
        begin = f"/api/system/campaigns/{campaign.pk}/begin/"
        refusal(post(poor_client, begin, {}), 402, "insufficient_credits")
        credits.top_up(account=poor, amount=Decimal(10), cause="invoice:1")
        first, again = (post(poor_client, begin, {}) for _ in range(2))
        assert (first.status_code, again.content) == (200, first.content)
        assert Run.objects.count() == 1

    def test_conflict_is_examined_again(self, client: APIClient, campaign: Campaign) -> None:
        run = runs.begin(campaign=campaign)
        begin = f"/api/system/campaigns/{campaign.pk}/begin/"
        refusal(post(client, begin, {}), 409, "campaign_live")
        runs.stop(campaign=campaign)
        Run.objects.filter(pk=run.pk).update(status=RunStatus.TERMINATED)
        assert post(client, begin, {}).status_code == 200

    @pytest.mark.parametrize(("error", "status"), [(OperationalError("x"), 503), (KeyError("x"), 500)])
    def test_error_of_the_server_is_not_kept_and_the_retry_is_carried_out(
        self, owner: Account, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
    ) -> None:
        caller = v0.Caller(owner)
        token = str(AccessToken.for_user(owner_of(owner)))
        caller.client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}", HTTP_IDEMPOTENCY_KEY="k-1")
        create = services.create_campaign

        def create_and_fail(**fields: Any) -> Any:
            create(**fields)
            raise error

        monkeypatch.setattr(services, "create_campaign", create_and_fail)
        caller.fails("POST", CREATE, NEW, status=status)
        assert not Campaign.objects.exists()
        monkeypatch.undo()
        caller.post(CREATE, NEW, status=201)
        caller.post(CREATE, NEW, status=201)
        assert Campaign.objects.count() == 1

    def test_work_is_undone_if_its_answer_cannot_be_stored(
        self, client: APIClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: Any, **__: Any) -> bool:
            raise OperationalError("The disk is full.")

        monkeypatch.setattr(kept_answers, "keep", fail)
        refusal(post(client, CREATE, NEW), 503, "unavailable")
        monkeypatch.setattr(kept_answers, "keep", lambda *_, **__: False)  # the claim was lost
        refusal(post(client, CREATE, NEW), 503, "unavailable")
        assert not Campaign.objects.exists()
        monkeypatch.undo()
        assert post(client, CREATE, NEW).status_code == 201

    def test_error_that_a_view_returns_frees_the_key(
        self, client: APIClient, owner: Account, campaign: Campaign
    ) -> None:
        template = make_template(owner=owner)
        path = f"/api/v1/survey-templates/{template.pk}/apply-to-campaign/"
        assert post(client, path, {"campaign_id": campaign.pk}).status_code == 400
        assert not KeptAnswer.objects.exists()
        assert SurveyTemplate.objects.filter(pk=template.pk).exists()

    def test_throttle_comes_before_the_key(self, client: APIClient, settings: Any) -> None:
        settings.IRIS_API_THROTTLE = "1/day"
        assert post(client, CREATE, NEW).status_code == 201
        assert post(client, CREATE, NEW).status_code == 429
        settings.IRIS_API_THROTTLE = "100/day"
        assert post(client, CREATE, NEW).status_code == 201
        assert Campaign.objects.count() == 1

    def test_authentication_comes_before_the_key(self, client: APIClient) -> None:
        post(client, CREATE, NEW)
        for key in ("k-1", ""):
            assert post(APIClient(), CREATE, NEW, key=key).status_code == 401

    def test_every_outcome_releases_the_lock(self, owner: Account, monkeypatch: pytest.MonkeyPatch) -> None:
        client = client_of(owner)
        client.raise_request_exception = False
        for body in (NEW, NEW, {**NEW, "name": "Other"}, {}):
            post(client, CREATE, body)
            post(client, CREATE, {"name": ""}, key="k-2")
        monkeypatch.setattr(services, "create_campaign", lambda **_: 1 / 0)
        post(client, CREATE, NEW, key="k-3")
        assert held_locks() == 0


class TestUnderWay:
    @pytest.mark.parametrize("path", [CREATE, CREATE_V1])
    def test_retry_is_a_409_with_retry_after_while_the_first_is_carried_out(
        self, client: APIClient, owner: Account, path: str
    ) -> None:
        with carried_out_elsewhere(owner, "k-1"):
            answer = post(client, path, NEW)
            assert "Send the same request again" in refusal(answer, 409, "request_in_progress", path)
            assert answer.headers["Retry-After"] == "2"
            died(owner, path, NEW)  # the row is there, and the process that wrote it still works
            refusal(post(client, path, NEW), 409, "request_in_progress", path)
            refusal(post(client, path, {}), 422, "idempotency_key_reused", path)
            assert post(client, path, NEW, key="k-2").status_code == 201
        assert Campaign.objects.count() == 1

    def test_request_whose_process_died_is_carried_out_if_it_is_one_transaction(
        self, client: APIClient, owner: Account
    ) -> None:
        died(owner, CREATE, NEW)
        refusal(post(client, CREATE, {}), 422, "idempotency_key_reused")
        first, again = (post(client, CREATE, NEW) for _ in range(2))
        assert (first.status_code, again.content) == (201, first.content)
        assert Campaign.objects.count() == 1

    def test_outcome_of_a_resume_whose_process_died_is_unknown(
        self, client: APIClient, owner: Account, campaign: Campaign
    ) -> None:
        runs.begin(campaign=campaign)
        runs.pause(campaign=campaign)
        path = f"/api/system/campaigns/{campaign.pk}/resume/"
        died(owner, path, {})
        answer = post(client, path, {})
        assert "outcome is unknown" in refusal(answer, 409, "outcome_unknown")
        assert Run.objects.get().status == RunStatus.PAUSED
        assert post(client, path, {}, key="k-2").status_code == 200

    def test_stop_whose_process_died_is_carried_out(
        self, client: APIClient, owner: Account, campaign: Campaign
    ) -> None:
        runs.begin(campaign=campaign)
        path = f"/api/v1/campaign/emergency-stop/{campaign.pk}/"
        died(owner, path, {})
        assert post(client, path, {}).status_code == 200
        assert Run.objects.get().status == RunStatus.TERMINATED

    @pytest.mark.django_db(transaction=True)
    def test_lost_connection_releases_the_lock_and_raises_nothing(self, owner: Account) -> None:
        with kept_answers.locked(owner.pk, "k-1") as ours:
            assert ours
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                pid = cursor.fetchone()[0]
            with session() as other:
                other.execute("SELECT pg_terminate_backend(%s, 60000)", [pid])
        with kept_answers.locked(owner.pk, "k-1") as ours:
            assert ours
            assert held_locks() == 1
        assert held_locks() == 0


class TestKeeping:
    def test_answer_is_kept_for_24_hours(self, client: APIClient) -> None:
        post(client, CREATE, NEW)
        age(timedelta(hours=23, minutes=59))
        assert post(client, CREATE, NEW).headers[idempotency.REPLAYED] == "true"
        age(timedelta(minutes=2))
        assert idempotency.REPLAYED not in post(client, CREATE, {**NEW, "name": "Other"}).headers
        assert Campaign.objects.count() == 2

    def test_answers_older_than_a_day_are_deleted(self, client: APIClient, monkeypatch: Any) -> None:
        monkeypatch.setattr(kept_answers, "PRUNE_BATCH_SIZE", 2)
        for number in range(5):
            post(client, CREATE, NEW, key=f"old-{number}")
        age(timedelta(hours=24))
        post(client, CREATE, NEW, key="new")
        prune_answers()
        assert KeptAnswer.objects.get().key == kept_answers.key_hash("new")

    def test_otp_is_sent_once_and_its_answer_erased_when_it_expires(self, client: APIClient) -> None:
        first, again = (post(client, SEND_OTP, OTP) for _ in range(2))
        assert (first.status_code, again.content) == (200, first.content)
        KeptAnswer.objects.update(erase_at=F("erase_at") - timedelta(minutes=4, seconds=59))
        assert post(client, SEND_OTP, OTP).content == first.content
        KeptAnswer.objects.update(erase_at=F("erase_at") - timedelta(seconds=2))
        sentence = refusal(post(client, SEND_OTP, OTP), 409, "answer_not_kept", SEND_OTP)
        assert "one-time password" in sentence
        prune_answers()
        assert KeptAnswer.objects.get().body is None
        refusal(post(client, SEND_OTP, OTP), 409, "answer_not_kept", SEND_OTP)
        refusal(
            post(client, SEND_OTP, {**OTP, "number": "9841000002"}), 422, "idempotency_key_reused", SEND_OTP
        )
        assert Otp.objects.count() == 1
        assert post(client, SEND_OTP, OTP, key="k-2").status_code == 200

    def test_api_key_is_never_stored_and_generated_once(self, client: APIClient) -> None:
        token = post(client, GENERATE_KEY).json()["token"]
        sentence = refusal(post(client, GENERATE_KEY), 409, "answer_not_kept", GENERATE_KEY)
        assert "generate another one" in sentence
        assert ApiKey.objects.count() == 1
        with connection.cursor() as cursor:
            cursor.execute("SELECT row_to_json(k)::text FROM iris_keptanswer k")
            stored = cursor.fetchone()[0]
        assert token not in stored
        assert token.encode().hex() not in stored
        assert KeptAnswer.objects.get().body is None

    def test_key_itself_is_not_stored(self, client: APIClient) -> None:
        post(client, CREATE, NEW, key="order-of-sita")
        with connection.cursor() as cursor:
            cursor.execute("SELECT row_to_json(k)::text FROM iris_keptanswer k")
            assert "order-of-sita" not in cursor.fetchone()[0]

    def test_long_answer_is_not_kept_and_the_request_not_repeated(
        self, client: APIClient, monkeypatch: Any
    ) -> None:
        monkeypatch.setattr(kept_answers, "SMALL_BODY_BYTES", 50)
        monkeypatch.setattr(kept_answers, "MAX_BODY_BYTES", 100)
        assert post(client, CREATE, NEW).status_code == 201
        assert "Read with GET" in refusal(post(client, CREATE, NEW), 409, "answer_not_kept")
        assert Campaign.objects.count() == 1

    def test_account_stores_a_bounded_amount_of_long_answers(
        self, client: APIClient, monkeypatch: Any
    ) -> None:
        monkeypatch.setattr(kept_answers, "SMALL_BODY_BYTES", 50)
        monkeypatch.setattr(kept_answers, "MAX_KIB", 2)
        for number in range(4):
            assert post(client, CREATE, NEW, key=f"k-{number}").status_code == 201
        assert KeptAnswer.objects.filter(body__isnull=False).count() == 2
        other = client_of(make_account())
        post(other, CREATE, NEW)
        assert post(other, CREATE, NEW).status_code == 201

    def test_account_uses_a_bounded_number_of_keys(self, client: APIClient, monkeypatch: Any) -> None:
        monkeypatch.setattr(kept_answers, "MAX_KEYS", 3)
        for number in range(3):
            for body in ({}, NEW, NEW):  # an error and a retry use no key
                post(client, CREATE, body, key=f"k-{number}")
        answer = post(client, CREATE, NEW, key="k-3")
        assert "Nothing was done" in refusal(answer, 429, "too_many_idempotency_keys")
        assert int(answer.headers["Retry-After"]) > 80_000
        assert post(client, CREATE, NEW, key="k-1").status_code == 201
        assert (Campaign.objects.count(), KeptAnswer.objects.count()) == (3, 3)
        assert post(client_of(make_account()), CREATE, NEW, key="k-3").status_code == 201
