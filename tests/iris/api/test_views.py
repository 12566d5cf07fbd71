"""v0 views respond with the envelope to every request: a small API that is called in all wrong ways."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
from django.core.exceptions import ObjectDoesNotExist, PermissionDenied, SuspiciousOperation
from django.core.wsgi import get_wsgi_application
from django.db import DataError, InterfaceError, OperationalError
from django.http import Http404
from django.test import Client
from django.urls import reverse
from pytest_django import Settings
from rest_framework import exceptions as drf
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from iris import errors
from iris.api import parsers
from iris.api.envelope import success
from iris.api.parsers import ignore_charset
from iris.api.views import V0View, parse_id, with_and_without_slash
from tests.v0 import assert_refusal


class Open(V0View):
    reads = parsers.LIST_AND_FILES
    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()


class EchoView(Open):
    """Respond with the parsed request."""

    def answer(self, request: Request) -> Response:
        data: Any = request.data
        understood = {key: data.getlist(key) if hasattr(data, "getlist") else data[key] for key in data}
        files = {key: [file.name, file.size] for key, file in request.FILES.items()}
        return success({"understood": {**understood, **files}})

    get = post = put = patch = delete = answer


class FormSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=5)
    numbers = serializers.ListField(
        child=serializers.DictField(child=serializers.IntegerField()), required=False
    )

    def validate(self, attrs: Any) -> Any:
        if attrs["name"] == "both":
            raise serializers.ValidationError("Send one of them.")
        return attrs


class FormView(Open):
    def post(self, request: Request) -> Response:
        FormSerializer(data=request.data).is_valid(raise_exception=True)
        return success()


class LittleView(Open):
    """A view without a body limit of its own, which accepts only small bodies."""

    reads = V0View.reads

    def post(self, request: Request) -> Response:
        return success({"read": len(request.data)})


class ThingView(Open):
    def get(self, request: Request, pk: int) -> Response:
        if pk == 7:
            return success({"pk": pk})
        raise Http404

    delete = get


class TextView(Open):
    def get(self, request: Request, text: str) -> Response:
        return success({"text": text})


class Nameless(errors.IrisError):
    pass


RAISED: dict[str, Exception] = {
    "invalid": errors.InvalidInput(
        "Send a name for this thing.", errors=[{"field": "name", "message": "Missing."}]
    ),
    "conflict": errors.Conflict("This run has ended."),
    "payment": errors.PaymentRequired("Too few credits for this."),
    "throttled": errors.Throttled("Wait a little while.", wait=2.1),
    "unavailable": errors.Unavailable("The voice does not answer."),
    "unknown iris": Nameless("What is this, really."),
    "denied": PermissionDenied(),
    "drf denied": drf.PermissionDenied(),
    "drf not found": drf.NotFound(),
    "gone": ObjectDoesNotExist("secret matching query does not exist."),
    "drf unauthenticated": drf.NotAuthenticated(),
    "suspicious": SuspiciousOperation("secret detail"),
    "data": DataError('value "secret" is too long'),
    "nul": ValueError("A string literal cannot contain NUL (0x00) characters."),
    "operational": OperationalError("connection to secret host failed"),
    "interface": InterfaceError("connection already closed"),
    "bug": KeyError("secret"),
    "value bug": ValueError("secret"),
}


class RaisingView(Open):
    def get(self, request: Request) -> Response:
        raise RAISED[request.query_params["what"]]


class PrivateView(V0View):
    def get(self, request: Request) -> Response:
        return success()


urlpatterns = [
    *with_and_without_slash("api/echo", EchoView.as_view(), "echo"),
    *with_and_without_slash("api/form/", FormView.as_view(), "form"),
    *with_and_without_slash("api/little", LittleView.as_view(), "little"),
    *with_and_without_slash("api/things/<id:pk>", ThingView.as_view(), "thing"),
    *with_and_without_slash("api/texts/<str:text>", TextView.as_view(), "text"),
    *with_and_without_slash("api/raise", RaisingView.as_view(), "raise"),
    *with_and_without_slash("api/private", PrivateView.as_view(), "private"),
]
handler400 = "iris.api.views.handler400"
handler403 = "iris.api.views.handler403"
handler404 = "iris.api.views.handler404"
handler500 = "iris.api.views.handler500"

pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
BOUNDARY = "xyz"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"


@pytest.fixture
def client() -> Client:
    return Client(raise_request_exception=False)


def send(client: Client, body: bytes | str, content_type: str, *, method: str = "POST", **extra: Any) -> Any:
    return client.generic(method, "/api/echo", body, content_type=content_type, **extra)


def understood(response: Any) -> Any:
    assert response.status_code == 200, response.content
    return response.json()["data"]["understood"]


def refused(response: Any, status: int) -> Any:
    assert response.status_code == status, response.content
    answer = json.loads(response.content)
    assert_refusal(answer, status)
    assert "secret" not in response.content.decode()
    return answer


def part(name: str, value: bytes, *headers: str, filename: str | None = None) -> bytes:
    disposition = f'Content-Disposition: form-data; name="{name}"' + (
        f'; filename="{filename}"' if filename else ""
    )
    return b"\r\n".join(
        [f"--{BOUNDARY}".encode(), disposition.encode(), *(h.encode() for h in headers), b"", value, b""]
    )


END = f"--{BOUNDARY}--\r\n".encode()


class TestBodies:
    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
    def test_json_forms_and_multipart_are_parsed_for_every_method(self, client: Client, method: str) -> None:
        assert understood(send(client, '{"name": "राम"}', JSON, method=method)) == {"name": "राम"}
        assert understood(send(client, "name=a%20b&name=c", FORM, method=method)) == {"name": ["a b", "c"]}
        body = part("name", "राम".encode()) + part("file", b"PK\x03\x04", filename="x.xlsx") + END
        assert understood(send(client, body, MULTIPART, method=method)) == {
            "name": ["राम"],
            "file": ["x.xlsx", 4],
        }

    @pytest.mark.parametrize(
        ("content_type", "body"),
        [
            (JSON, b""),
            (JSON, b"  \n"),
            ("application/json; charset=utf-8", b""),
            ("application/JSON", b" "),
            (FORM, b""),
        ],
    )
    def test_an_empty_body_is_an_empty_object(self, client: Client, content_type: str, body: bytes) -> None:
        assert understood(send(client, body, content_type)) == {}

    def test_a_byte_order_mark_is_ignored(self, client: Client) -> None:
        assert understood(send(client, b'\xef\xbb\xbf{"a": 1}', JSON)) == {"a": 1}

    @pytest.mark.parametrize("kind", [JSON, FORM, MULTIPART])
    @pytest.mark.parametrize(
        "charset",
        ["=utf-16", "=latin-1", "=hex", "=idna", '="hex"', "*=utf-8''hex", "=none-such", "=\x00", " =rot13"],
    )
    def test_the_charset_of_the_content_type_is_ignored(self, kind: str, charset: str) -> None:
        body = {JSON: '{"a": "भ"}'.encode(), FORM: b"a=%E0%A4%AD", MULTIPART: part("a", "भ".encode()) + END}[
            kind
        ]
        environ: dict[str, Any] = {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": "/api/echo",
            "QUERY_STRING": "x=%E0%A4%B0",
            "CONTENT_TYPE": f"{kind}; Charset{charset}; x=y",
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_HOST": "testserver",
            "wsgi.input": BytesIO(body),
        }
        setup_testing_defaults(environ)
        statuses: list[str] = []

        def start_response(status: str, headers: Any, info: Any = None, /) -> Callable[[bytes], object]:
            statuses.append(status)
            return statuses.append  # type: ignore[return-value]  # never called

        answer = ignore_charset(get_wsgi_application())(environ, start_response)
        assert statuses == ["200 OK"]
        assert json.loads(b"".join(answer))["data"]["understood"] in ({"a": "भ"}, {"a": ["भ"]})

    @pytest.mark.parametrize(
        "body",
        [
            "{",
            "[1, 2]",
            '"text"',
            "12",
            "null",
            "true",
            "{'a': 1}",
            '{"a": 1} {"b": 2}',
            '{"a": NaN}',
            '{"a": Infinity}',
            '{"a": -Infinity}',
            '{"a": 1e999}',
            '{"a": ' + "9" * 5000 + "}",
            '{"a": "\x00"}',
            '{"a": "\\u0000"}',
            '{"\\u0000": 1}',
            '{"a": [{"b": "\\u0000"}]}',
            '{"a": "\\ud800"}',
            '{"a": "\\udc00\\ud800"}',
            '{"a": ' + "[" * 100_000 + "1" + "]" * 100_000 + "}",
            '{"a": ' * 100_000 + "1" + "}" * 100_000,
            "[" * 100_000,
            '{"a": ' + "[" * 100 + "]" * 100 + "}",
            '{"a": [' + "1," * 600_001 + "1]}",
            b'{"a": "\xff"}',
            b'{"a": "\xed\xa0\x80"}',
            '{"a": "b"}'.encode("utf-16"),
            "<xml/>",
            "a=b",
            "--",
            "--xyz",
        ],
    )
    def test_invalid_json_is_a_400_with_an_explanation(self, client: Client, body: str | bytes) -> None:
        refused(send(client, body, JSON), 400)

    @pytest.mark.parametrize(
        ("body", "value"),
        [
            ('{"a": 1, "a": 2}', {"a": 2}),
            ('{"a": "\\ud83d\\ude00"}', {"a": "😀"}),
            ('{"a": 12345678901234567890123}', {"a": 12345678901234567890123}),
            ('{"a": ' + "[" * 50 + "1" + "]" * 50 + "}", None),
        ],
    )
    def test_unusual_but_valid_json_is_parsed(self, client: Client, body: str, value: Any) -> None:
        assert understood(send(client, body, JSON)) == (value or json.loads(body))

    def test_the_error_for_invalid_json_names_the_line_and_column(self, client: Client) -> None:
        assert "line 2, column 6" in refused(send(client, '{\n"a": }', JSON), 400)["message"]

    @pytest.mark.parametrize(
        "body", [b"a=\xff", b"a=%FF", b"a=%ED%A0%80", b"a=%00", b"%00=a", b"a=\x00", b"\xff=a"]
    )
    def test_an_invalid_form_is_a_400(self, client: Client, body: bytes) -> None:
        refused(send(client, body, FORM), 400)

    @pytest.mark.parametrize(
        ("content_type", "body"),
        [
            ("multipart/form-data", part("a", b"b") + END),
            ("multipart/form-data; boundary=", part("a", b"b") + END),
            (MULTIPART, part("a", b"\xff") + END),
            (MULTIPART, part("a", b"a\x00b") + END),
            (MULTIPART, part("a\x00", b"b") + END),
        ],
    )
    def test_invalid_multipart_is_a_400(self, client: Client, content_type: str, body: bytes) -> None:
        refused(send(client, body, content_type), 400)

    @pytest.mark.parametrize(
        "body", [b"", END, b"x", part("a", b"b")[:-8], b"--xyz\r\n\r\n\r\n", b"\x00" * 100]
    )
    def test_empty_multipart_is_not_a_500(self, client: Client, body: bytes) -> None:
        response = send(client, body, MULTIPART)
        assert response.status_code in (200, 400)
        if response.status_code == 400:
            refused(response, 400)

    def test_multipart_sent_as_application_json_is_parsed(self, client: Client) -> None:
        body = (
            part("name", "भेला".encode())
            + part("services", b"PHONE")
            + part(
                "file",
                b"PK\x03\x04" + b"x" * 1000,
                "Content-Type: <Content-type header>",
                filename="phpA1b2C3",
            )
            + END
        )
        expected = {"name": ["भेला"], "services": ["PHONE"], "file": ["phpA1b2C3", 1004]}
        assert understood(send(client, body, JSON)) == expected
        assert understood(send(client, b"\r\n" + body, JSON, method="PUT")) == expected

    @pytest.mark.parametrize(
        "content_type", ["text/plain", "application/xml", "x", "", "\x00", "image/png;;;=="]
    )
    def test_other_content_types_are_a_415_that_names_the_accepted_ones(
        self, client: Client, content_type: str
    ) -> None:
        answer = refused(send(client, b"a=b", content_type, CONTENT_TYPE=content_type), 415)
        assert "application/json" in answer["message"]

    def test_thousands_of_fields_are_a_400(self, client: Client, settings: Settings) -> None:
        settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 100
        many = "&".join(f"a{n}=1" for n in range(101))
        assert "send long lists as JSON" in refused(send(client, many, FORM), 400)["message"]
        refused(send(client, b"".join(part(f"a{n}", b"1") for n in range(102)) + END, MULTIPART), 400)
        refused(client.get(f"/api/echo?{many}"), 400)

    def test_too_many_files_are_a_400(self, client: Client, settings: Settings) -> None:
        settings.DATA_UPLOAD_MAX_NUMBER_FILES = 3
        body = b"".join(part(f"f{n}", b"1", filename="x") for n in range(4)) + END
        refused(send(client, body, MULTIPART), 400)


class TestSizes:
    @pytest.fixture(autouse=True)
    def limits(self, settings: Settings) -> None:
        settings.IRIS_MAX_BODY_BYTES = 1000
        settings.IRIS_MAX_UPLOAD_BYTES = 5000

    def test_a_body_up_to_the_limit_is_accepted(self, client: Client) -> None:
        body = '{"a": "' + "x" * 990 + '"}'
        assert len(body) == 999
        understood(send(client, body, JSON))
        understood(send(client, "a=" + "x" * 998, FORM))
        understood(send(client, part("a", b"x" * 4800, filename="x") + END, MULTIPART))

    @pytest.mark.parametrize(
        ("content_type", "body"),
        [
            (JSON, b'{"a": "%s"}' % (b"x" * 1000)),
            (JSON, b'{"a": "%s"}' % (b"x" * 6000)),
            (FORM, b"a=" + b"x" * 999),
            (MULTIPART, part("a", b"x" * 5000, filename="x") + END),
            (JSON, part("a", b"x" * 5000, filename="x") + END),
            ("text/plain", b"x" * 6000),
        ],
    )
    def test_a_body_above_the_limit_is_a_413(self, client: Client, content_type: str, body: bytes) -> None:
        assert "MiB" in refused(send(client, body, content_type), 413)["message"]

    @pytest.mark.parametrize("content_type", [JSON, FORM, MULTIPART])
    def test_a_view_without_a_limit_of_its_own_accepts_only_small_bodies(
        self, client: Client, settings: Settings, content_type: str
    ) -> None:
        settings.IRIS_MAX_BODY_BYTES = settings.IRIS_MAX_UPLOAD_BYTES = 10_000_000

        def sent(size: int) -> Any:
            text = "x" * size
            body = {JSON: f'{{"a": "{text}"}}'.encode(), FORM: f"a={text}".encode()}
            multipart = part("a", text.encode()) + END
            return client.generic(
                "POST", "/api/little", body.get(content_type, multipart), content_type=content_type
            )

        assert sent(60_000).json()["data"] == {"read": 1}
        assert "0.0625 MiB" in refused(sent(70_000), 413)["message"]

    def test_a_body_with_a_too_large_content_length_is_refused_unread(self, client: Client) -> None:
        class Untouched(BytesIO):
            def read(self, size: int | None = -1) -> bytes:
                raise AssertionError("was read")

        untouched: dict[str, Any] = {"wsgi.input": Untouched()}
        refused(send(client, b"", JSON, CONTENT_LENGTH="10000000000000", **untouched), 413)

    def test_a_long_text_in_a_form_with_files_is_a_413(self, client: Client, settings: Settings) -> None:
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
        refused(send(client, part("a", b"x" * 2000) + END, MULTIPART), 413)

    def test_multipart_sent_as_application_json_has_the_limit_of_multipart(self, client: Client) -> None:
        understood(send(client, part("a", b"x" * 4800, filename="x") + END, JSON))

    @pytest.mark.parametrize("length", ["", "abc", "-5", " ", "1e3", "99999999999999999999999999"])
    def test_an_invalid_content_length_is_not_a_500(self, client: Client, length: str) -> None:
        response = send(client, b"{}", JSON, CONTENT_LENGTH=length)
        assert response.status_code in (200, 400, 413)

    def chunked(self, client: Client, body: bytes, content_type: str, *, server_can: bool = True) -> Any:
        # As gunicorn passes it: without a length, with an input that terminates itself.
        given: dict[str, Any] = {"wsgi.input": BytesIO(body), "wsgi.input_terminated": server_can}
        return send(
            client, b"", content_type, HTTP_TRANSFER_ENCODING="chunked", CONTENT_TYPE=content_type, **given
        )

    def test_a_chunked_body_is_read_up_to_the_limit(self, client: Client) -> None:
        assert understood(self.chunked(client, b'{"a": 1}', JSON)) == {"a": 1}
        assert understood(self.chunked(client, b"a=1", FORM)) == {"a": ["1"]}
        assert understood(self.chunked(client, part("a", b"x" * 4000, filename="x") + END, MULTIPART)) == {
            "a": ["x", 4000]
        }
        refused(self.chunked(client, b'{"a": "%s"}' % (b"x" * 1000), JSON), 413)
        refused(self.chunked(client, b"a=" + b"x" * 1000, FORM), 413)
        refused(self.chunked(client, part("a", b"x" * 5000, filename="x") + END, MULTIPART), 413)

    def test_a_chunked_body_is_a_400_if_the_server_cannot_read_it(self, client: Client) -> None:
        assert (
            "Content-Length" in refused(self.chunked(client, b"{}", JSON, server_can=False), 400)["message"]
        )


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
