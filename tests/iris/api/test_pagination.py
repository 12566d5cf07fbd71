"""Pages of long lists, with the keys of the v0 campaign list."""

import pytest
from django.db.models import QuerySet
from pytest_django import DjangoAssertNumQueries
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from accounts.models import User
from iris.api.pagination import Page, paginate
from iris.errors import InvalidInput, NotFound
from tests.factories import make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def rows() -> QuerySet[User]:
    for _ in range(5):
        make_user()
    return User.objects.order_by("pk")


def page_of(rows: QuerySet[User], query: str = "") -> Page[User]:
    return paginate(Request(APIRequestFactory().get(f"/api/system/campaigns{query}")), rows, max_size=4)


def test_a_short_list_is_one_page_without_links(rows: QuerySet[User]) -> None:
    page = page_of(rows[:3])
    assert list(page.items) == list(rows[:3])
    assert page.pagination == {
        "total_items": 3,
        "total_pages": 1,
        "page_number": 1,
        "has_next": False,
        "has_previous": False,
        "links": [],
    }


def test_an_empty_list_is_one_empty_page(rows: QuerySet[User]) -> None:
    page = page_of(rows.none())
    assert page.items == []
    assert (page.pagination["total_items"], page.pagination["total_pages"]) == (0, 1)


def test_a_middle_page_links_to_the_previous_and_the_next_page(
    rows: QuerySet[User], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(2):
        page = page_of(rows, "?page=2&page_size=2&x=%E0%A4%B0")
    assert list(page.items) == list(rows[2:4])
    assert page.pagination == {
        "total_items": 5,
        "total_pages": 3,
        "page_number": 2,
        "has_next": True,
        "has_previous": True,
        "links": [
            f"http://testserver/api/system/campaigns?page={number}&page_size=2&x=%E0%A4%B0"
            for number in (1, 3)
        ],
    }


def test_a_page_size_has_a_limit(rows: QuerySet[User]) -> None:
    assert len(page_of(rows, "?page_size=1000").items) == 4
    assert len(page_of(rows, "?page_size=").items) == 4


@pytest.mark.parametrize("value", ["0", "-1", "abc", "1.5", "1e3", "%F0%9F%98%80", "९", "9" * 30, "1%002"])
@pytest.mark.parametrize("name", ["page", "page_size"])
def test_invalid_page_parameters_are_refused(rows: QuerySet[User], name: str, value: str) -> None:
    with pytest.raises(InvalidInput, match=f"{name} must be a whole number from 1") as refusal:
        page_of(rows, f"?{name}={value}")
    assert refusal.value.errors[0]["field"] == name


def test_a_page_beyond_the_last_is_a_404(rows: QuerySet[User]) -> None:
    with pytest.raises(NotFound, match="the last one is 2"):
        page_of(rows, "?page=3")
