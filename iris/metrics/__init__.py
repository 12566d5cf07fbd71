"""The page `/metrics` for Prometheus. Each request reads the database, so all web processes show the same figures.

No label names an account, a person or a phone number. Only the machine itself may read the page, or who has a token.
"""

import ipaddress
import logging
from secrets import compare_digest

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client.exposition import choose_encoder

from iris.metrics.collecting import registry

logger = logging.getLogger(__name__)

# A proxy on the same machine adds at least one of these headers to the requests of others.
PROXY_HEADERS = ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Real-Ip", "Forwarded", "Via")
REFUSED = (
    "Only this machine may read the metrics, and not through a proxy. Other machines need the token of "
    "IRIS_METRICS_TOKEN: Authorization: Bearer …\n"
)


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    if not may_read(request):
        return _text(REFUSED, status=403)
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    try:
        content = encode(registry())
    except (DatabaseError, InterfaceError) as error:
        logger.warning("The metrics cannot be read: %s", error)
        return _text("The database cannot be read now. Try again later.\n", status=503)
    return HttpResponse(content, content_type=content_type)


def may_read(request: HttpRequest) -> bool:
    """Return whether the request comes from this machine without a proxy, or has the token."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    expected: str = settings.IRIS_METRICS_TOKEN
    if expected and scheme.lower() == "bearer" and compare_digest(token.strip().encode(), expected.encode()):
        return True
    try:
        address = ipaddress.ip_address(request.META.get("REMOTE_ADDR", ""))
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    is_local = (mapped or address).is_loopback
    return is_local and not any(header in request.headers for header in PROXY_HEADERS)


def _text(content: str, *, status: int) -> HttpResponse:
    response = HttpResponse(content, status=status, content_type="text/plain; charset=utf-8")
    response._has_been_logged = True  # type: ignore[attr-defined]  # a refusal is not an error of this server
    return response
