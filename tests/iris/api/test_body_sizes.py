"""v0 views refuse bodies above their limits, unread where possible."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from tests.iris.api.sending import END, FORM, JSON, MULTIPART, part, refused, send, understood

pytestmark = [pytest.mark.urls("tests.iris.api.little_api"), pytest.mark.django_db]


@pytest.fixture
def client() -> Client:
    return Client(raise_request_exception=False)


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
