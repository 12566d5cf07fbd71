"""v0 views respond with the envelope to every error and on every path, however they are called."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from iris.api.views import parse_id
from tests.iris.api.sending import JSON, refused, understood

pytestmark = [pytest.mark.urls("tests.iris.api.little_api"), pytest.mark.django_db]


@pytest.fixture
def client() -> Client:
    return Client(raise_request_exception=False)


class TestErrors:
    def test_invalid_fields_are_listed_and_the_message_names_the_first(self, client: Client) -> None:
        body = {"name": "too long", "numbers": [{"a": 1}, {"b": "x"}]}
        answer = refused(client.post("/api/form", body, content_type=JSON), 400)
        assert answer["errors"] == [
            {"field": "name", "message": "Ensure this field has no more than 5 characters."},
            {"field": "numbers.1.b", "message": "A valid integer is required."},
        ]
        assert (
            answer["message"]
            == "name: Ensure this field has no more than 5 characters. (1 more under errors.)"
        )

    def test_an_error_without_a_field_is_the_message(self, client: Client) -> None:
        answer = refused(client.post("/api/form", {"name": "both"}, content_type=JSON), 400)
        assert answer["message"] == "Send one of them."
        assert answer["errors"] == [{"field": "", "message": "Send one of them."}]

    @pytest.mark.parametrize(
        ("what", "status", "sentence"),
        [
            ("invalid", 400, "Send a name for this thing."),
            ("conflict", 409, "This run has ended."),
            ("payment", 402, "Too few credits for this."),
            ("throttled", 429, "Wait a little while."),
            ("unavailable", 503, "The voice does not answer."),
            ("denied", 403, "may not"),
            ("drf denied", 403, "may not"),
            ("drf not found", 404, "does not exist"),
            ("gone", 404, "does not exist, or belongs to another account"),
            ("drf unauthenticated", 401, "Log in first"),
            ("suspicious", 400, "could not be read"),
            ("data", 400, "cannot be stored"),
            ("nul", 400, "cannot be stored"),
            ("operational", 503, "database does not answer"),
            ("interface", 503, "database does not answer"),
            ("unknown iris", 500, "What is this"),
        ],
    )
    def test_each_kind_of_error_has_its_status(
        self, client: Client, what: str, status: int, sentence: str
    ) -> None:
        answer = refused(client.get("/api/raise", {"what": what}), status)
        assert sentence in answer["message"]
        if what == "invalid":
            assert answer["errors"] == [{"field": "name", "message": "Missing."}]

    def test_error_responses_have_their_headers(self, client: Client) -> None:
        assert client.get("/api/raise", {"what": "throttled"})["Retry-After"] == "3"
        assert client.get("/api/raise", {"what": "operational"})["Retry-After"] == "5"
        assert client.get("/api/raise", {"what": "drf unauthenticated"})["WWW-Authenticate"].startswith(
            "Bearer"
        )
        response = client.put("/api/raise")
        refused(response, 405)
        assert response["Allow"] == "GET, HEAD, OPTIONS"
        assert response.json()["message"] == "PUT is not possible at this address. Send one of: GET."

    @pytest.mark.parametrize("what", ["bug", "value bug"])
    def test_a_bug_is_logged_and_is_a_500_without_details(
        self, client: Client, what: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert "which it has logged" in refused(client.get("/api/raise", {"what": what}), 500)["message"]
        assert caplog.records[-1].exc_info is not None

    def test_options_and_unknown_methods_are_a_405(self, client: Client) -> None:
        for method in ("OPTIONS", "TRACE", "PURGE", "get"):
            refused(client.generic(method, "/api/form"), 405)

    def test_views_require_a_token_by_default(self, client: Client) -> None:
        response = client.get("/api/private")
        refused(response, 401)
        assert response["WWW-Authenticate"] == 'Bearer realm="api"'

    @pytest.mark.parametrize("accept", ["application/xml", "text/html", "nonsense", "*/*;q=0", "\x00", ""])
    def test_the_response_is_json_whatever_the_accept_header(self, client: Client, accept: str) -> None:
        response = client.get("/api/echo?format=xml", HTTP_ACCEPT=accept)
        assert understood(response) == {}
        assert response["Content-Type"] == "application/json"


class TestPaths:
    @pytest.mark.parametrize("path", ["/api/echo", "/api/echo/", "/api/form", "/api/form/"])
    def test_paths_are_served_with_and_without_trailing_slash(self, client: Client, path: str) -> None:
        assert client.post(path, {"name": "a"}, content_type=JSON).status_code == 200

    def test_reversed_paths_have_the_trailing_slash(self) -> None:
        assert reverse("thing", args=[7]) == "/api/things/7/"

    @pytest.mark.parametrize("slash", ["", "/"])
    @pytest.mark.parametrize(
        "pk",
        [
            "8",
            "0",
            "-1",
            "abc",
            "7.0",
            "7e0",
            "99999999999999999999",
            "9" * 5000,
            "%00",
            "%FF",
            "७",
            " 7",
            "7%0A",
            "{id}",
        ],
    )
    def test_a_malformed_id_in_a_path_is_a_404(self, client: Client, pk: str, slash: str) -> None:
        refused(client.get(f"/api/things/{pk}{slash}"), 404)
        refused(client.delete(f"/api/things/{pk}{slash}"), 404)

    def test_an_id_in_a_path_is_converted_to_a_number(self, client: Client) -> None:
        assert client.get("/api/things/7").json()["data"] == {"pk": 7}

    def test_parse_id_converts_ids_and_returns_0_for_other_text(self) -> None:
        assert parse_id(str(2**63 - 1)) == 2**63 - 1
        assert [parse_id(text) for text in (str(2**63), "", "-1", "+1", "1_0", "١")] == [0] * 6

    def test_a_nul_in_a_path_is_a_404(self, client: Client) -> None:
        refused(client.get("/api/texts/a%00b"), 404)
        assert client.get("/api/texts/a%20b").json()["data"] == {"text": "a b"}

    @pytest.mark.parametrize("query", ["a=%00", "%00=a", "a=1&b=x%00y"])
    def test_a_nul_in_a_query_is_a_400(self, client: Client, query: str) -> None:
        refused(client.get(f"/api/echo?{query}"), 400)

    @pytest.mark.parametrize("query", ["a=%FF", "&&&===", "a" * 5000, "%", "%zz"])
    def test_a_malformed_query_is_ignored(self, client: Client, query: str) -> None:
        assert understood(client.get(f"/api/echo?{query}")) == {}

    @pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
    @pytest.mark.parametrize(
        "path", ["/api", "/api/", "/api/nothing", "/api/echo//", "/api/%00", "/api/%FF", "/api/" + "x" * 5000]
    )
    def test_an_unknown_path_is_a_404(self, client: Client, method: str, path: str) -> None:
        if path == "/api":
            assert client.generic(method, path).status_code == 404
            return
        answer = refused(client.generic(method, path), 404)
        assert "nothing at /api/" in answer["message"]
        assert len(answer["message"]) < 300

    def test_an_unknown_host_is_a_400(self, client: Client) -> None:
        answer = refused(client.get("/api/echo/", HTTP_HOST="iris.example.com:8000"), 400)
        assert "“iris.example.com:8000”" in answer["message"]
        assert "IRIS_ALLOWED_HOSTS" in answer["message"]
        page = client.get("/sandbox/", HTTP_HOST='<script>"💥')
        assert (page.status_code, page["Content-Type"]) == (400, "text/plain; charset=utf-8")
        assert "IRIS_ALLOWED_HOSTS" in page.content.decode()

    def test_errors_outside_the_api_are_html(self, client: Client) -> None:
        response = client.get("/nothing")
        assert response.status_code == 404
        assert response["Content-Type"].startswith("text/html")
