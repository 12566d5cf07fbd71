"""List the routes of the API from the URL configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver

PREFIXES = ("/api/accounts/", "/api/system/", "/api/v1/", "/sandbox/")
METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True)
class Route:
    """One path with all its methods. Each route exists without and with a slash at its end; `path` has the slash.

    `actions` maps each method, in lower case, to the name of the view's function.
    """

    name: str
    path: str
    view: Any
    callback: Any
    actions: dict[str, str]

    @property
    def template(self) -> str:
        """Return the path as OpenAPI writes it: `/api/system/campaigns/{campaign_id}/begin/`."""
        return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", self.path)

    @property
    def parameters(self) -> dict[str, str]:
        """Return the name and the converter of each parameter in the path."""
        return {name: converter for converter, name in re.findall(r"<(?:(\w+):)?(\w+)>", self.path)}


def routes() -> Iterator[Route]:
    """Yield the routes of both dialects and of the sandbox, in the order of the URLs."""
    for path, pattern in _patterns(get_resolver().url_patterns):
        view = getattr(pattern.callback, "cls", None)
        if view is None or not path.startswith(PREFIXES) or not path.endswith("/"):
            continue
        mapped: dict[str, str] | None = getattr(pattern.callback, "actions", None)
        actions = mapped or {method: method for method in METHODS if hasattr(view, method)}
        named = {method: actions[method] for method in METHODS if method in actions}
        yield Route(str(pattern.name), path, view, pattern.callback, named)


def _patterns(patterns: list[Any], prefix: str = "/") -> Iterator[tuple[str, URLPattern]]:
    for pattern in patterns:
        path = prefix + re.sub(r"^\^/\?", "", str(pattern.pattern))
        if isinstance(pattern, URLResolver):
            yield from _patterns(pattern.url_patterns, path)
        else:
            yield path, pattern
