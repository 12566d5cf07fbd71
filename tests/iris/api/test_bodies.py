"""v0 views parse or refuse every body."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
from django.core.wsgi import get_wsgi_application
from django.test import Client
from pytest_django import Settings

from iris.api.parsers import ignore_charset
from tests.iris.api.sending import END, FORM, JSON, MULTIPART, part, refused, send, understood

pytestmark = [pytest.mark.urls("tests.iris.api.little_api"), pytest.mark.django_db]


@pytest.fixture
def client() -> Client:
    return Client(raise_request_exception=False)


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
