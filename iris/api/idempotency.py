"""Obey the header `Idempotency-Key`: a repeated request gets the response to the first request, and nothing happens twice.

The base view calls `guard` after authentication, permissions and throttles. Requests without the header cost nothing.
A view or an action that differs from `ONCE` says so with `retries` (see `iris.api.viewsets`).

Only answers without an error are kept. An error has changed nothing, so its key stays free: the same request can be
sent again after a top-up, and a corrected request can be sent with the same key.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, cast

from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.http import HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.utils.crypto import salted_hmac
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api.account import account_of
from iris import kept_answers
from iris.errors import Conflict, InProgress, InvalidInput, Unavailable, Unprocessable

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
MAX_KEY_CHARACTERS = 255
RETRY_SECONDS = 2  # suggested to clients whose first request is under way
KEPT_HEADERS = ("Content-Type", "Content-Disposition", "Location")
SLICE = 1_000  # values of a list in memory as text at the same time

_encoded = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode
_META = "HTTP_IDEMPOTENCY_KEY"
REPEATS_POST = {"PUT", "PATCH"}
_LONG = "Its answer is too long to be kept. Read with GET what it has done."

Handler = Callable[..., HttpResponseBase]


@dataclass(frozen=True, kw_only=True)
class RetryRule:
    """How a view obeys the header.

    `obeys`: False if the view ignores it.
    `one_transaction`: the work and its response are committed together, so a request whose process died has changed nothing.
    `repeatable`: a request whose process died may be carried out again.
    `kept_for`: how long its response is stored. With zero it is never stored.
    `not_kept`: the sentence for a retry whose response is not stored: why, and what to do.
    """

    obeys: bool = True
    one_transaction: bool = True
    repeatable: bool = True
    kept_for: timedelta = kept_answers.LIFETIME
    not_kept: str = _LONG


ONCE = RetryRule()
# The work is several transactions, or must not be undone, and repeating it is harmless.
HARMLESS = RetryRule(one_transaction=False)
# The work is several transactions, and repeating it later could start something that was stopped meanwhile.
UNCERTAIN = RetryRule(one_transaction=False, repeatable=False)
IGNORED = RetryRule(obeys=False)


def guard(view: APIView, request: Request, rule: RetryRule) -> None:
    """Make the view answer this request at most once, if it has the header. Raises InvalidInput for a malformed key."""
    sent: str | None = request.META.get(_META)
    if sent is None or not rule.obeys or not _is_guarded(view, request):
        return
    key = _parse(sent)
    method = str(request.method).lower()
    # `APIView.dispatch` looks the handler up on the view after `initial`, which calls this function.
    setattr(view, method, partial(_answer_once, view, rule, key, getattr(view, method)))


def _is_guarded(view: APIView, request: Request) -> bool:
    """Return whether the header applies: to POST, and to PUT and PATCH where they do the same as POST.

    The header does not count for a POST that only reads, as GET does, and for a POST without an account.
    """
    if not request.user.is_authenticated:
        return False
    actions: dict[str, str] = getattr(view, "action_map", None) or {}
    if request.method == "POST":
        return hasattr(view, "post") and ("get" not in actions or actions["get"] != actions.get("post"))
    method = str(request.method)
    return method in REPEATS_POST and actions.get(method.lower()) == actions.get("post", object())


def _parse(sent: str) -> str:
    # WSGI decodes headers as Latin-1.
    raw = sent.encode("latin-1", "replace")
    try:
        key = raw.decode("utf-8").strip(" \t")
    except UnicodeDecodeError:
        key = sent.strip(" \t")
    if not 1 <= len(key) <= MAX_KEY_CHARACTERS or any(unicodedata.category(one) == "Cc" for one in key):
        raise InvalidInput(
            f"The {HEADER} must have 1 to {MAX_KEY_CHARACTERS} characters, and no control characters. Use a random UUID"
            " for each new request.",
            code="invalid_idempotency_key",
        )
    return key


def _answer_once(
    view: APIView, rule: RetryRule, key: str, handler: Handler, request: Request, *args: Any, **kwargs: Any
) -> HttpResponseBase:
    owner_id = account_of(request).pk
    fingerprint = fingerprint_of(request)
    with kept_answers.locked(owner_id, key) as ours:
        earlier = kept_answers.find(owner_id, key)
        if earlier is not None and earlier.fingerprint != fingerprint:
            raise Unprocessable(
                f"This {HEADER} belongs to another request of the last 24 hours, so nothing was done. Use a new key for"
                " each new request.",
                code="idempotency_key_reused",
            )
        if earlier is not None and earlier.done:
            return _replay(earlier, rule)
        if not ours:
            raise InProgress(
                f"The first request with this {HEADER} is still being carried out. Send the same request again in"
                f" {RETRY_SECONDS} seconds to get its answer.",
                wait=RETRY_SECONDS,
            )
        if earlier is not None and not rule.repeatable:
            raise Conflict(
                "The server stopped while it carried out this request, so its outcome is unknown, and it was not carried"
                f" out again. Read with GET what it has done. If it has done nothing, send it with a new {HEADER}.",
                code="outcome_unknown",
            )
        claim = kept_answers.claim(owner_id, key, fingerprint=fingerprint, is_new=earlier is None)

        def work() -> HttpResponseBase:
            response = handler(request, *args, **kwargs)
            # Gives a response of REST framework its renderer. `dispatch` repeats this, which changes nothing.
            return view.finalize_response(request, cast(Response, response), *args, **kwargs)

        response = _carry_out(work, claim, owner_id, rule, on_error=view.handle_exception)
        if 400 <= response.status_code < 500:
            kept_answers.forget(claim, owner_id=owner_id)
        return response


def _carry_out(
    work: Callable[[], HttpResponseBase],
    claim: kept_answers.Claim,
    owner_id: int,
    rule: RetryRule,
    *,
    on_error: Callable[[Exception], HttpResponseBase],
) -> HttpResponseBase:
    """Carry out a claimed request and keep its answer. `on_error` renders an exception, or raises it if it is a bug.

    After an error of the client nothing has changed, so the caller frees the key. After an error of the server the claim
    remains, because the commit may have succeeded although its confirmation was lost. The next retry finds out.
    """
    try:
        with transaction.atomic() if rule.one_transaction else nullcontext():
            response = work()
            if response.status_code < 400:
                _keep(claim, owner_id, response, rule)
            elif rule.one_transaction:
                transaction.set_rollback(True)
    except Exception as error:
        return on_error(error)
    return response


def _keep(claim: kept_answers.Claim, owner_id: int, response: HttpResponseBase, rule: RetryRule) -> None:
    body = None
    if rule.kept_for and not response.streaming:
        if (render := getattr(response, "render", None)) is not None:
            render()
        body = response.getvalue()
    kept = kept_answers.keep(
        claim,
        owner_id=owner_id,
        status=response.status_code,
        headers={name: response.headers[name] for name in KEPT_HEADERS if name in response.headers},
        body=body,
        kept_for=rule.kept_for,
    )
    if not kept and rule.one_transaction:
        raise Unavailable(
            "The request could not be finished. Nothing was done. Try again in a few seconds.",
            code="not_finished",
        )


def _replay(earlier: kept_answers.Earlier, rule: RetryRule) -> HttpResponse:
    if earlier.body is None:
        raise Conflict(
            f"This request has been carried out before, so it was not carried out again. {rule.not_kept}",
            code="answer_not_kept",
        )
    return HttpResponse(earlier.body, status=earlier.status, headers={**earlier.headers, REPLAYED: "true"})


# Fingerprints ----------------------------------------------------------------------------------------------


def fingerprint_of(request: Request) -> str:
    """Return a hash of method, address, query, content type and body, in a form that is the same for every retry.

    A body is compared as it was read: the order of JSON keys, blanks, and the boundary of multipart do not count. Files
    are read in blocks. Raises the errors of the parsers.
    """
    # A keyed hash, because a request can consist of a phone number and a short password, which could be guessed.
    digest = salted_hmac("iris.api.idempotency", "", algorithm="sha256")
    for value in _values_of(request):
        # JSON text contains no raw line feed, so the values cannot run into each other.
        digest.update(_encoded(value).encode("utf-8", "surrogatepass") + b"\n")
    return digest.hexdigest()


def _values_of(request: Request) -> Iterator[Any]:
    http = request._request
    yield [request.method, http.path.strip("/"), http.content_type]
    yield sorted(request.query_params.lists())
    data: Any = request.data
    for name in sorted(data):
        value = data.getlist(name) if isinstance(data, QueryDict) else data[name]
        if not isinstance(value, list):
            yield [name, value]
            continue
        yield [name, len(value)]
        for start in range(0, len(value), SLICE):
            yield [
                _file_json(item) if isinstance(item, UploadedFile) else item
                for item in value[start : start + SLICE]
            ]


def _file_json(file: UploadedFile[bytes]) -> list[Any]:
    digest = hashlib.sha256()
    for block in file.chunks():
        digest.update(block)
    file.seek(0)
    return [file.name, file.size, digest.hexdigest()]
