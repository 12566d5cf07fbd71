"""Pages of long lists, in the words of the v0 campaign list."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from rest_framework.request import Request

from iris.errors import InvalidInput, NotFound

M = TypeVar("M", bound=Model)

DEFAULT_PAGE_SIZE = 100
MAX_PAGE_SIZE = 1000


@dataclass(frozen=True, kw_only=True)
class Page(Generic[M]):
    """The rows of one page, and the `pagination` object that describes it."""

    items: Sequence[M]
    pagination: dict[str, Any]


def paginate(
    request: Request,
    rows: QuerySet[M],
    *,
    default_size: int = DEFAULT_PAGE_SIZE,
    max_size: int = MAX_PAGE_SIZE,
) -> Page[M]:
    """The page that `?page=` and `?page_size=` ask for, in two queries. `rows` must be ordered.

    Raises InvalidInput (no whole number from 1) and NotFound (no such page). A `page_size` above `max_size`
    is `max_size`.
    """
    number = _whole(request, "page", default=1)
    size = min(_whole(request, "page_size", default=default_size), max_size)
    paginator = Paginator(rows, size)
    if number > paginator.num_pages:
        raise NotFound(f"There is no page {number}: the last one is {paginator.num_pages}.")
    page = paginator.page(number)
    neighbours = [
        n for n, there in ((number - 1, page.has_previous()), (number + 1, page.has_next())) if there
    ]
    return Page(
        items=list(page.object_list),
        pagination={
            "total_items": paginator.count,
            "total_pages": paginator.num_pages,
            "page_number": number,
            "has_next": page.has_next(),
            "has_previous": page.has_previous(),
            # Documented as empty where there is one page, and not at all for more: here, the pages before and
            # after.
            "links": [_link(request, n) for n in neighbours],
        },
    )


def _whole(request: Request, name: str, *, default: int) -> int:
    text = request.query_params.get(name, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) <= 9 and int(text) > 0):
        raise InvalidInput(
            f"{name} must be a whole number from 1.", errors=[{"field": name, "message": "Not a number."}]
        )
    return int(text)


def _link(request: Request, number: int) -> str:
    query = request.query_params.copy()
    query["page"] = str(number)
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")
