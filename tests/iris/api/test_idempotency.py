"""Test the rules of `Idempotency-Key`. tests/test_repeated_requests.py tests that every route obeys them."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.db import connection
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from accounts.models import Account
from campaigns.models import Campaign, Recipient
from iris.api import idempotency
from iris.models import KeptAnswer
from tests import v0
from tests.cpu import cpu_at_most
from tests.factories import client_of, make_account, make_campaign, make_sheet
from tests.iris.api.repeating import (
    CREATE,
    CREATE_V1,
    GENERATE_KEY,
    NEW,
    OTP,
    SEND_OTP,
    asked,
    fingerprint,
    post,
    refusal,
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
        other = client_of(make_account())
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
        before = v0.row_counts_and_balances()
        answer = post(client, path, body, **how)
        assert "nothing was done" in refusal(answer, 422, "idempotency_key_reused", path)
        assert v0.row_counts_and_balances() == before
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


class TestCost:
    def test_fingerprint_of_a_large_body_is_linear_and_quick(self) -> None:
        body = {"contacts": [{"number": n, "other_variables": {"name": "राम" * 5}} for n in range(40_000)]}
        request = asked(body)
        with cpu_at_most(1):
            idempotency.fingerprint_of(request)

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
