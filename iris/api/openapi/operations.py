"""How apps describe their operations for the schema, beside their routes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rest_framework import serializers

from iris.api.filters import FilterSet
from iris.api.openapi.shapes import Schema

Body = type[serializers.Serializer[Any]] | Schema
Content = Mapping[str, Schema]  # by media type
Answer = Schema | Content | None  # JSON, the content by media type, or no body

V0_PAGES, V1_PAGES = "v0", "v1"


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One operation.

    `id` is the stable name that generated clients have for it. If several methods do the same, the ids of the second and the
    following methods end with the method (`_by_post`).

    `body` is what parses the body, or several of them of which one fits. With `more_files`, a multipart body can have files
    that are no fields of it. `query` parses the query string, `filters` are those of a list, and `pages` says how a list is
    paginated. `parameters` are all other parameters, by name. `answers` are the successful responses by status.

    Errors that follow from the rest are added: those of authentication, of unreadable bodies, of ids and so on. `refuses`
    has the statuses of all others.
    """

    id: str
    summary: str
    about: str = ""
    body: Body | tuple[Body, ...] | None = None
    query: type[serializers.Serializer[Any]] | None = None
    filters: type[FilterSet] | None = None
    pages: str | None = None
    parameters: Mapping[str, Schema] = field(default_factory=dict)
    answers: Mapping[int, Answer]
    more_files: bool = False
    refuses: tuple[int, ...] = ()


@dataclass(frozen=True)
class Area:
    """The operations of one subject, by methods and name of the route: `"GET v0-campaigns"`, `"PUT POST v0-number"`."""

    name: str
    about: str
    operations: Mapping[str, Operation]

    def each(self) -> Iterator[tuple[tuple[str, str], str, Operation]]:
        """Yield the route's name and the method, the id, and the description of each operation."""
        for methods_and_route, operation in self.operations.items():
            *methods, route = methods_and_route.split()
            for place, method in enumerate(methods):
                suffix = f"_by_{method.lower()}" if place else ""
                yield (route, method), operation.id + suffix, operation
