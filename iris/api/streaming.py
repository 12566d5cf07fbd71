"""Stream responses with long lists batch by batch, because they may be larger than the memory."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from django.http import StreamingHttpResponse
from rest_framework.utils.encoders import JSONEncoder

M = TypeVar("M", bound=Model)


def streamed(around: Callable[[Any], Any], batches: Iterable[Sequence[Any]]) -> StreamingHttpResponse:
    """Return `around(list)` as a streamed JSON response, where `list` contains all items of `batches`.

    The first batch is created before the response starts. So a failure in the first batch still becomes an error response.
    """
    parts = _parts(around, batches)
    begun = b"".join(islice(parts, 2))
    return StreamingHttpResponse(chain([begun], parts), content_type="application/json")


def loaded(page: Sequence[M], rows: QuerySet[M], *, at_once: int) -> Iterator[list[M]]:
    """Load the rows of a page in batches of `at_once`, in the page's order. `page` has only their keys."""
    for start in range(0, len(page), at_once):
        keys = [row.pk for row in page[start : start + at_once]]
        found = rows.in_bulk(keys)
        yield [found[key] for key in keys if key in found]


def _parts(around: Callable[[Any], Any], batches: Iterable[Sequence[Any]]) -> Iterator[bytes]:
    place = uuid.uuid4().hex
    head, _, tail = _as_json(around(place)).partition(f'"{place}"')
    yield f"{head}[".encode()
    between = ""
    for batch in batches:
        if batch:
            yield (between + _as_json(batch)[1:-1]).encode()
            between = ", "
    yield f"]{tail}".encode()


def _as_json(value: Any) -> str:
    return json.dumps(value, cls=JSONEncoder, ensure_ascii=False)
