"""Pages of long lists: `paginate` with the keys of the v0 campaign list, `paginate_in_v1` with those of v1."""

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
    count: int | None = None,
    next_before: int | None = None,
) -> Page[M]:
    """Return the page that `?page=` and `?page_size=` request. `rows` must be ordered.

    Executes two queries, or one if `count` is given. A `page_size` above `max_size` is reduced to `max_size`.

    `next_before` is for lists of which a request searches only a part: `rows` are the matches in this part, and the link to
    the next part has `?before=` with this id. Raises InvalidInput (not a whole number from 1) and NotFound (the page does
    not exist).
    """
    number = _int_param(request, "page", default=1)
    size = min(_int_param(request, "page_size", default=default_size), max_size)
    paginator = Paginator(rows, size)
    if count is not None:
        paginator.count = count
    if number > paginator.num_pages:
        raise NotFound(
            f"There is no page {number}: the last one is {paginator.num_pages}.", code="no_such_page"
        )
    page = paginator.page(number)
    neighbours = [
        n for n, there in ((number - 1, page.has_previous()), (number + 1, page.has_next())) if there
    ]
    links = [_link(request, {"page": n}) for n in neighbours]
    if next_before is not None and not page.has_next():
        links.append(_link(request, {"page": 1, "before": next_before}))
    return Page(
        items=list(page.object_list),
        pagination={
            "total_items": paginator.count,
            "total_pages": paginator.num_pages,
            "page_number": number,
            "has_next": page.has_next() or next_before is not None,
            "has_previous": page.has_previous(),
            # The documentation says that `links` is empty if there is one page, and is silent about more pages. With more
            # pages it links to the previous and the next page.
            "links": links,
        },
    )


@dataclass(frozen=True, kw_only=True)
class V1Page(Generic[M]):
    """Some rows of a list, and the keys of the object that contains them."""

    items: Sequence[M]
    count: int
    total_pages: int
    next: str | None
    previous: str | None

    def around(self, results: Any) -> dict[str, Any]:
        return {
            "count": self.count,
            "total_pages": self.total_pages,
            "next": self.next,
            "previous": self.previous,
            "results": results,
        }


def paginate_in_v1(
    request: Request,
    rows: QuerySet[M],
    *,
    default_size: int = 10,
    max_size: int = 10,
    count: int | None = None,
    next_before: int | None = None,
) -> V1Page[M]:
    """Return the rows that `?limit=` and `?offset=`, or `?page=` and `?page_size=` request. `rows` must be ordered.

    Executes two queries, or one if `count` is given. A size above `max_size` is reduced to `max_size`. `next_before` has
    the same meaning as in `paginate`. Raises InvalidInput (not a whole number) and NotFound (the page does not exist).
    """
    by_page = "page" in request.query_params or "page_size" in request.query_params
    # A client that sends `page` without a size means the documented pages of 10.
    size = _int_param(
        request,
        "page_size" if by_page else "limit",
        default=min(default_size, 10) if by_page else default_size,
    )
    size = min(size, max_size)
    total = rows.count() if count is None else count
    pages = -(-total // size)
    if by_page:
        number = _int_param(request, "page", default=1)
        if number > max(pages, 1):
            raise NotFound(
                f"There is no page {number}: the last one is {max(pages, 1)}.", code="no_such_page"
            )
        offset = (number - 1) * size
    else:
        offset = _int_param(request, "offset", default=0, at_least=0)

    def link(start: int, **more: int) -> str:
        changed_params = (
            {"page": start // size + 1, "page_size": size} if by_page else {"limit": size, "offset": start}
        )
        return _link(request, {**changed_params, **more})

    following = link(offset + size) if offset + size < total else None
    if following is None and next_before is not None:
        following = link(0, before=next_before)
    return V1Page(
        items=list(rows[offset : offset + size]) if offset < total else [],
        count=total,
        total_pages=pages,
        next=following,
        previous=link(max(0, offset - size)) if offset > 0 else None,
    )


def _int_param(request: Request, name: str, *, default: int, at_least: int = 1) -> int:
    text = request.query_params.get(name, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) <= 9 and int(text) >= at_least):
        raise InvalidInput(
            f"{name} must be a whole number from {at_least}.",
            errors=[{"field": name, "message": "Not a number."}],
        )
    return int(text)


def _link(request: Request, changed_params: dict[str, int]) -> str:
    query = request.query_params.copy()
    for name, value in changed_params.items():
        query[name] = str(value)
    # Two slashes at the beginning would turn the rest of the path into a host name.
    return request.build_absolute_uri(f"/{request.path.lstrip('/')}?{query.urlencode()}")
