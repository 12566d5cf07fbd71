"""List every route of each dialect from the URL configuration, and every documented endpoint."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

from iris.api.views import ApiView, V0View, V1View
from tests import v0
from tests.v1 import caller as v1


@dataclass(frozen=True)
class Route:
    """Describe one spelling of one address. Ids are placeholders such as `<id:campaign_id>`."""

    path: str
    view: type[Any]
    methods: list[str] = field(compare=False, default_factory=list)

    @property
    def ids(self) -> list[str]:
        return re.findall(r"<id:(\w+)>", self.path)

    def with_ids(self, **ids: int) -> str:
        return re.sub(r"<id:(\w+)>", lambda match: str(ids[match[1]]), self.path)


def methods_of(callback: Any) -> list[str]:
    """Return the HTTP methods of an address: those of its view, or those mapped to actions of its ViewSet."""
    view = getattr(callback, "cls", object)
    known = getattr(callback, "actions", None)
    names = [name for name in getattr(view, "http_method_names", ()) if name not in ("head", "options")]
    return [name.upper() for name in names if (hasattr(view, name) if known is None else name in known)]


def _walk(patterns: list[Any], prefix: str = "") -> Iterator[Route]:
    for pattern in patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _walk(pattern.url_patterns, path)
        elif isinstance(pattern, URLPattern):
            callback = pattern.callback
            view = getattr(callback, "cls", object)
            yield Route("/" + path.removeprefix("^/?"), view, methods_of(callback))


@dataclass(frozen=True)
class Dialect:
    """Describe an API dialect for tests.

    `public` are the addresses that need no token. `documented` are methods and addresses, spelled as in the documents and
    by real clients.
    """

    name: str
    view: type[ApiView]
    caller: type[v0.Caller]
    prefixes: tuple[str, ...]
    public: frozenset[str]
    documented: list[tuple[str, str]]

    @property
    def routes(self) -> list[Route]:
        return [route for route in _walk(get_resolver().url_patterns) if route.path.startswith(self.prefixes)]

    @property
    def calls(self) -> list[tuple[Route, str]]:
        """Return each route with each of its methods, only spelled with a slash: the other spelling has the same view."""
        return [
            (route, method) for route in self.routes if route.path.endswith("/") for method in route.methods
        ]


V0 = Dialect(
    name="v0",
    view=V0View,
    caller=v0.Caller,
    prefixes=("/api/accounts/", "/api/system/"),
    public=frozenset({"/api/accounts/login/", "/api/accounts/token/refresh/"}),
    documented=[
        ("POST", "/api/accounts/login/"),
        ("GET", "/api/accounts/user_details/"),
        ("POST", "/api/accounts/token/refresh/"),
        ("GET", "/api/system/owned/phone_numbers"),
        ("GET", "/api/system/phone_numbers"),
        ("POST", "/api/system/phone_numbers/"),
        ("DELETE", "/api/system/phone_numbers"),
        ("GET", "/api/system/campaigns"),
        ("POST", "/api/system/campaigns/"),
        ("PUT", "/api/system/campaigns/10/update"),
        ("DELETE", "/api/system/campaigns/10/delete"),
        ("GET", "/api/system/campaigns/10/details"),
        ("POST", "/api/system/test/voice/"),
        ("POST", "/api/system/campaigns/10/begin/"),
        ("GET", "/api/system/campaigns/number/10"),
        ("POST", "/api/system/campaigns/number/10/"),
        ("DELETE", "/api/system/campaigns/number/10/delete/"),
        ("GET", "/api/system/number/10/"),
        ("PUT POST PATCH", "/api/system/number/10/"),
        ("POST", "/api/system/send/otp/"),
    ],
)

V1 = Dialect(
    name="v1",
    view=V1View,
    caller=v1.Caller,
    prefixes=("/api/v1/",),
    public=frozenset({"/api/v1/auths/login/", "/api/v1/auths/login/refresh/"}),
    documented=[
        ("POST", "/api/v1/auths/login/"),
        ("POST", "/api/v1/auths/login/refresh/"),
        ("POST", "/api/v1/auths/generate-api-keys/"),
        ("GET", "/api/v1/auths/get-api-keys/"),
        ("GET", "/api/v1/auths/user-profile/"),
        ("POST", "/api/v1/auths/send/otp/"),
        ("GET", "/api/v1/auths/list/send-otps/"),
        ("GET", "/api/v1/active-broker-phone/"),
        ("GET", "/api/v1/phone-number/active/"),
        ("DELETE", "/api/v1/phone-numbers/1/"),
        ("GET", "/api/v1/voice-models/"),
        ("GET", "/api/v1/campaign/"),
        ("POST", "/api/v1/campaign/create/"),
        ("GET PATCH POST PUT DELETE", "/api/v1/campaign/1/"),
        ("PATCH PUT POST", "/api/v1/campaign/create/1/message/"),
        ("PATCH POST PUT", "/api/v1/campaign/create/1/detail/"),
        ("POST", "/api/v1/campaign/1/add-contact/"),
        ("GET", "/api/v1/campaign-detail/1/"),
        ("GET", "/api/v1/campaign/1/contacts/"),
        ("GET PATCH", "/api/v1/campaign/1/attributes/"),
        ("PATCH", "/api/v1/phone-number/update/1/"),
        ("DELETE GET", "/api/v1/phone-number/delete/1/"),
        ("POST", "/api/v1/run-campaign/1/"),
        ("POST", "/api/v1/demo-call/1/"),
        ("POST", "/api/v1/campaign/emergency-stop/1/"),
        ("POST", "/api/v1/test-speak/riri/1/"),
        ("GET POST", "/api/v1/download/report/1/"),
        ("GET POST", "/api/v1/campaign/create/1/survey/"),
        ("POST", "/api/v1/run-survey/1/"),
        ("POST", "/api/v1/test-survey/1/"),
        ("GET", "/api/v1/download/survey/1/report/"),
        ("GET POST", "/api/v1/survey-templates/"),
        ("PATCH", "/api/v1/survey-templates/1/"),
        ("POST", "/api/v1/survey-templates/1/apply-to-campaign/"),
        ("GET", "/api/v1/dashboard/"),
    ],
)

DIALECTS = [V0, V1]
