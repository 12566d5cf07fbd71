"""Receive carriers' callbacks: GET or POST /carriers/<alias>/<kind>.

The carrier's adapter verifies a request before any other part of the request is read. A response with status 200 means
that everything that the request reports is stored. Repeated requests change nothing.
"""

from __future__ import annotations

import logging

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import InterfaceError, OperationalError, transaction
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from telephony.carriers import get_carrier
from telephony.carriers.callbacks import CallbackRequest, ReceivesCallbacks, UnreadableCallback
from telephony.engine import callback_sets

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 64 * 1024
MAX_QUERY_CHARACTERS = 8 * 1024


@csrf_exempt
@transaction.non_atomic_requests
def callback(request: HttpRequest, alias: str, kind: str, secret: str = "") -> HttpResponse:
    carrier = _carrier(alias)
    methods = carrier.callback_kinds.get(kind) if carrier is not None else None
    if carrier is None or methods is None:
        return _refuse(404)
    if request.method is None or request.method not in methods:
        return _refuse(405, Allow=", ".join(methods))
    if len(request.META.get("QUERY_STRING", "")) > MAX_QUERY_CHARACTERS:
        return _refuse(414)
    try:
        body = request.read(MAX_BODY_BYTES + 1)
    except UnreadablePostError:
        return _refuse(400)
    if len(body) > MAX_BODY_BYTES:
        return _refuse(413)
    received = CallbackRequest(
        kind=kind,
        method=request.method,
        # iris gave the carrier addresses below IRIS_PUBLIC_URL. A proxy may have changed the address of this request.
        url=settings.IRIS_PUBLIC_URL + request.get_full_path(),
        query=request.META.get("QUERY_STRING", ""),
        secret=secret,
        headers={name.lower(): value for name, value in request.headers.items()},
        body=body,
        address=_address(request),
    )
    if not carrier.is_genuine(received):
        log.info("A request to /carriers/%s/%s from %s was refused", alias, kind, received.address)
        return _refuse(403)
    try:
        reply = carrier.receive(received)
        if reply.items:
            callback_sets.store(alias, reply.items)
    except UnreadableCallback as error:
        log.warning("A request to /carriers/%s/%s cannot be read: %s", alias, kind, error)
        return _refuse(400)
    except (OperationalError, InterfaceError) as error:
        log.warning(
            "A request to /carriers/%s/%s cannot be stored now: %s", alias, kind, type(error).__name__
        )
        return _refuse(503, **{"Retry-After": "5"})
    return HttpResponse(reply.body, content_type=reply.content_type)


def _carrier(alias: str) -> ReceivesCallbacks | None:
    if alias not in settings.CARRIERS:
        return None
    try:
        carrier = get_carrier(alias)
    except ImproperlyConfigured as error:
        log.error("%s", error)
        return None
    return carrier if isinstance(carrier, ReceivesCallbacks) else None


def _address(request: HttpRequest) -> str:
    """Return the sender's IP address. With IRIS_TRUST_PROXY, this is the last one that the proxy reports."""
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "") if settings.IRIS_TRUST_PROXY else ""
    return forwarded.rpartition(",")[2].strip() or request.META.get("REMOTE_ADDR", "")


def _refuse(status: int, **headers: str) -> HttpResponse:
    """Return a response without any detail. Django would log its path, which may have a secret."""
    response = HttpResponse(status=status, headers=headers)
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


urlpatterns = [
    path("<str:alias>/<str:kind>", callback, name="carrier-callback"),
    path("<str:alias>/<str:kind>/<str:secret>", callback, name="carrier-callback"),
]
