"""Test the rules of `Idempotency-Key`. tests/test_repeated_requests.py tests that every route obeys them."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.db import OperationalError, connection
from django.db.models import F
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext
from rest_framework.request import Request
from rest_framework.test import APIClient, APIRequestFactory
from rest_framework_simplejwt.tokens import AccessToken

from accounts import credits
from accounts.models import ApiKey, User
from campaigns import runs, services
from campaigns.models import Campaign, Recipient, Run, RunStatus, SurveyTemplate
from iris import kept_answers
from iris.api import idempotency
from iris.models import KeptAnswer
from iris.tasks import prune_answers
from otp.models import Otp
from tests import v0
from tests.campaigns.surveys.surveying import make_template
from tests.factories import client_of, make_campaign, make_sheet, make_user
from tests.v1 import caller as v1

pytestmark = pytest.mark.django_db

CREATE = "/api/system/campaigns/"
CREATE_V1 = "/api/v1/campaign/create/"
SEND_OTP = "/api/system/send/otp/"
GENERATE_KEY = "/api/v1/auths/generate-api-keys/"
NEW = {"name": "Water", "services": "SMS", "individual_number": [9841000001, 9841000002]}
OTP = {"number": "9841000001", "message": "Your code is {otp}", "sms_send_options": "text"}


@pytest.fixture
def owner() -> User:
    return make_user(email="sita@example.com", credits=100)


@pytest.fixture
def client(owner: User) -> APIClient:
    return client_of(owner)


@pytest.fixture
def campaign(owner: User) -> Campaign:
    return make_campaign(owner=owner, message="Namaste")


def post(client: Any, path: str, body: Any = None, *, key: str | None = "k-1", **how: Any) -> Any:
    headers = {} if key is None else {"HTTP_IDEMPOTENCY_KEY": key}
    return client.post(path, body, **{"format": "json", **how}, **headers)


def refusal(response: Any, status: int, code: str, path: str = CREATE) -> str:
    """Check the shape of an error in the dialect of the path. Return its sentence."""
    assert response.status_code == status, response.content
    if path.startswith("/api/v1/"):
        v1.assert_refusal(response)
        assert v1.code_of(response) == code
    else:
        v0.assert_refusal(response.json(), status)
    sentence: str = response.json()["message"]
    return sentence


@contextmanager
def carried_out_elsewhere(owner: User, key: str) -> Iterator[None]:
    """Hold the lock of a key as another process does while it carries out the request."""
    settings = connection.settings_dict
    with psycopg.connect(
        host=settings["HOST"],
        port=settings["PORT"] or None,
        user=settings["USER"],
        password=settings["PASSWORD"] or None,
        dbname=settings["NAME"],
        autocommit=True,
    ) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [kept_answers._lock_number(owner.pk, key)])
        yield


def died(owner: User, path: str, body: Any, *, key: str = "k-1") -> None:
    """Leave behind what a process leaves that is killed while it carries out a request."""
    request = Request(APIRequestFactory().post(path, body, format="json"), parsers=idempotent_parsers())
    kept_answers.claim(owner.pk, key, fingerprint=idempotency.fingerprint_of(request), is_new=True)


def idempotent_parsers() -> list[Any]:
    from iris.api.views import ApiView

    return [parser() for parser in ApiView.parser_classes]


def held_locks() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()")
        return int(cursor.fetchone()[0])


class TestKey:
    @pytest.mark.parametrize("path", [CREATE, CREATE_V1])
    @pytest.mark.parametrize("key", ["", "  ", "x" * 256, "a\tb", "a\x00b", "a\x7f", "\x85", "क\n"])
    def test_malformed_key_is_a_400_with_a_sentence(self, client: APIClient, path: str, key: str) -> None:
        sent = key.encode().decode("latin-1") if "क" in key else key
        answer = post(client, path, NEW, key=sent)
        assert "255 characters" in refusal(answer, 400, "invalid_idempotency_key", path)
        assert not Campaign.objects.exists()

    @pytest.mark.parametrize("key", ["1", "x" * 255, "क" * 255, '"8e03978e-40d5"', "é, ü; ñ", "\U0001f4a5"])
    def test_key_may_have_255_characters_of_any_script(self, client: APIClient, key: str) -> None:
        sent = key.encode().decode("latin-1")  # as a web server reads a header in UTF-8
        first, again = (post(client, CREATE, NEW, key=sent) for _ in range(2))
        assert (first.status_code, first.content) == (201, again.content)
        assert Campaign.objects.count() == 1

    def test_key_in_another_encoding_is_accepted(self, client: APIClient) -> None:
        first, again = (post(client, CREATE, NEW, key="caf\xe9") for _ in range(2))
        assert (first.status_code, first.content) == (201, again.content)

    def test_key_of_another_account_is_another_key(self, client: APIClient) -> None:
        other = client_of(make_user())
        answers = [post(one, CREATE, NEW).json() for one in (client, other)]
        assert answers[0]["data"]["details"][0]["id"] != answers[1]["data"]["details"][0]["id"]
        assert Campaign.objects.count() == 2

    def test_key_of_both_dialects_is_the_same(self, client: APIClient) -> None:
        post(client, CREATE, NEW)
        refusal(post(client, CREATE_V1, NEW), 422, "idempotency_key_reused", CREATE_V1)

    def test_request_without_a_key_is_carried_out_each_time(self, client: APIClient) -> None:
        for _ in range(2):
            assert post(client, CREATE, NEW, key=None).status_code == 201
        assert Campaign.objects.count() == 2
        assert not KeptAnswer.objects.exists()

    def test_request_without_a_key_costs_no_query(self, client: APIClient, campaign: Campaign) -> None:
        path = f"/api/system/campaigns/number/{campaign.pk}/"
        counts = []
        for key in (None, "k-1"):
            with CaptureQueriesContext(
                connection,
            ) as queries:
                post(client, path, {"number": 9841000003}, key=key)
            counts.append(len(queries))
            touched = [
                query["sql"]
                for query in queries
                if "keptanswer" in query["sql"] or "advisory" in query["sql"]
            ]
            assert bool(touched) == (key is not None)
        assert counts[1] - counts[0] <= 10

    @pytest.mark.parametrize("path", [CREATE, "/api/v1/campaign/"])
    def test_get_ignores_the_key(self, client: APIClient, path: str) -> None:
        assert client.get(path, HTTP_IDEMPOTENCY_KEY="").status_code == 200

    def test_delete_and_pure_changes_ignore_the_key(self, client: APIClient, campaign: Campaign) -> None:
        contact = campaign.recipients.earliest("pk").pk
        attributes = f"/api/v1/campaign/{contact}/attributes/"
        for age in (20, 21):
            answer = client.patch(attributes, {"age": age}, format="json", HTTP_IDEMPOTENCY_KEY="k-1")
            assert (answer.status_code, answer.json()["age"]) == (200, age)
        deleted = [
            client.delete(f"/api/v1/campaign/{campaign.pk}/", HTTP_IDEMPOTENCY_KEY="k-1").status_code
            for _ in range(2)
        ]
        assert deleted == [200, 404]
        assert not KeptAnswer.objects.exists()


class TestSameRequest:
    def test_order_of_json_keys_blanks_and_slashes_do_not_matter(self, client: APIClient) -> None:
        first = post(client, CREATE, json.dumps(NEW), format=None, content_type="application/json")
        spaced = json.dumps(dict(reversed(NEW.items())), indent=4)
        again = post(
            client, CREATE.rstrip("/"), spaced, format=None, content_type="application/json; charset=utf-8"
        )
        assert (first.status_code, again.content) == (201, first.content)

    def test_boundary_of_multipart_does_not_matter(self, client: APIClient) -> None:
        sheet = make_sheet(["numbers"], [9841000001]).getvalue()
        answers = []
        for boundary in (b"first", b"second"):
            body = (
                b"".join(
                    b'--%b\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n%b\r\n'
                    % (boundary, name, more, value)
                    for name, more, value in (
                        (b"name", b"", b"Water"),
                        (b"services", b"", b"SMS"),
                        (b"send_to_number_file", b'; filename="a.xlsx"', sheet),
                    )
                )
                + b"--%b--\r\n" % boundary
            )
            answers.append(
                post(
                    client,
                    CREATE,
                    body,
                    format=None,
                    content_type=f"multipart/form-data; boundary={boundary.decode()}",
                )
            )
        assert (answers[0].status_code, answers[1].content) == (201, answers[0].content)
        assert Recipient.objects.count() == 1

    def test_other_content_of_a_file_is_another_request(self, client: APIClient) -> None:
        for number, status in ((9841000001, 201), (9841000002, 422)):
            form = {
                "name": "Water",
                "services": "SMS",
                "send_to_number_file": make_sheet(["numbers"], [number]),
            }
            form["send_to_number_file"].name = "a.xlsx"  # type: ignore[attr-defined]
            assert post(client, CREATE, form, format="multipart").status_code == status

    @pytest.mark.parametrize(
        ("path", "body", "how"),
        [
            (CREATE, {**NEW, "name": "Other"}, {}),
            (CREATE, {**NEW, "individual_number": [9841000001]}, {}),
            (CREATE, {**NEW, "individual_number": ["9841000001", 9841000002]}, {}),
            (CREATE, {**NEW, "unknown": None}, {}),
            (CREATE, {}, {}),
            (f"{CREATE}?name=x", NEW, {}),
            (CREATE, NEW, {"format": "multipart"}),
            (SEND_OTP, OTP, {}),
            (GENERATE_KEY, {}, {}),
        ],
    )
    def test_other_request_with_the_key_is_a_422_and_does_nothing(
        self, client: APIClient, path: str, body: Any, how: dict[str, Any]
    ) -> None:
        post(client, CREATE, NEW)
        before = v0.everything()
        answer = post(client, path, body, **how)
        assert "nothing was done" in refusal(answer, 422, "idempotency_key_reused", path)
        assert v0.everything() == before
        assert post(client, CREATE, NEW).status_code == 201  # the answer is still there

    def test_other_method_with_the_key_is_a_422(self, client: APIClient, campaign: Campaign) -> None:
        path = f"/api/v1/campaign/create/{campaign.pk}/message/"
        statuses = [
            getattr(client, method)(
                path, {"message": "Hi"}, format="json", HTTP_IDEMPOTENCY_KEY="k"
            ).status_code
            for method in ("patch", "put", "post", "patch")
        ]
        assert statuses == [200, 422, 422, 200]

    def test_number_and_text_are_not_the_same(self) -> None:
        bodies = [
            {"a": 1},
            {"a": "1"},
            {"a": True},
            {"a": 1.0},
            {"a": [1]},
            {"a": []},
            {"a": {}},
            {"a": None},
            {},
        ]
        bodies += [{"a": ["b", "c"]}, {"a": ["b"], "c": []}, {"a": [["b", "c"]]}, {"a": 'b",c'}, {"a": "1\n"}]
        assert len({fingerprint(body) for body in bodies}) == len(bodies)

    def test_lists_are_compared_to_their_end(self) -> None:
        numbers = list(range(5_000))
        other = [*numbers[:-1], -1]
        assert len({fingerprint({"a": one}) for one in (numbers, other, numbers[:-1], [*numbers, 0])}) == 4


class TestErrors:
    def test_corrected_request_may_use_the_key_of_a_400(self, client: APIClient) -> None:
        refusal(post(client, CREATE, {**NEW, "services": "FAX"}), 400, "invalid")
        assert post(client, CREATE, NEW).status_code == 201
        assert Campaign.objects.count() == 1

    def test_request_that_was_too_expensive_succeeds_after_a_top_up(
        self, client: APIClient, owner: User
    ) -> None:
        poor = make_user()
        campaign, poor_client = make_campaign(owner=poor, message="Namaste"), client_of(poor)
        begin = f"/api/system/campaigns/{campaign.pk}/begin/"
        refusal(post(poor_client, begin, {}), 402, "insufficient_credits")
        credits.top_up(user=poor, amount=Decimal(10), cause="invoice:1")
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
        self, owner: User, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
    ) -> None:
        caller = v0.Caller(owner)
        token = str(AccessToken.for_user(owner))
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
        self, client: APIClient, owner: User, campaign: Campaign
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

    def test_every_outcome_releases_the_lock(self, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
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
        self, client: APIClient, owner: User, path: str
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
        self, client: APIClient, owner: User
    ) -> None:
        died(owner, CREATE, NEW)
        refusal(post(client, CREATE, {}), 422, "idempotency_key_reused")
        first, again = (post(client, CREATE, NEW) for _ in range(2))
        assert (first.status_code, again.content) == (201, first.content)
        assert Campaign.objects.count() == 1

    def test_outcome_of_a_resume_whose_process_died_is_unknown(
        self, client: APIClient, owner: User, campaign: Campaign
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
        self, client: APIClient, owner: User, campaign: Campaign
    ) -> None:
        runs.begin(campaign=campaign)
        path = f"/api/v1/campaign/emergency-stop/{campaign.pk}/"
        died(owner, path, {})
        assert post(client, path, {}).status_code == 200
        assert Run.objects.get().status == RunStatus.TERMINATED

    def test_lock_is_released_when_its_connection_can_no_longer_be_used(self, owner: User) -> None:
        """A lost connection closes; an unlock that fails closes it."""
        number = kept_answers._lock_number(owner.pk, "k-1")
        with kept_answers.locked(owner.pk, "k-1") as ours:
            assert ours
            assert held_locks() == 1
        assert held_locks() == 0
        assert -(2**63) <= number < 2**63


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
        other = client_of(make_user())
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
        assert post(client_of(make_user()), CREATE, NEW, key="k-3").status_code == 201


class TestCost:
    def test_fingerprint_of_a_large_body_is_linear_and_quick(self) -> None:
        body = {"contacts": [{"number": n, "other_variables": {"name": "राम" * 5}} for n in range(40_000)]}
        request = asked(body)
        begun = time.process_time()
        idempotency.fingerprint_of(request)
        assert time.process_time() - begun < 1

    def test_upload_is_read_in_blocks(self) -> None:
        file = TemporaryUploadedFile("a.xlsx", "application/octet-stream", 20 * 2**20, None)
        for _ in range(20):
            file.write(bytes(2**20))
        form = QueryDict(mutable=True)
        form.appendlist("bulk_file", file)  # type: ignore[arg-type]
        request = asked(form)
        tracemalloc.start()
        try:
            first = idempotency.fingerprint_of(request)
            assert tracemalloc.get_traced_memory()[1] < 2**20
        finally:
            tracemalloc.stop()
        assert file.tell() == 0
        assert idempotency.fingerprint_of(request) == first


def age(by: timedelta) -> None:
    KeptAnswer.objects.update(begun_at=F("begun_at") - by)


def asked(data: Any) -> Any:
    request: Any = Request(APIRequestFactory().post(CREATE))
    request._full_data = data
    return request


def fingerprint(data: Any) -> str:
    return idempotency.fingerprint_of(asked(data))
