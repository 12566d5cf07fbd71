"""The outcomes on the first page of an account."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.console.world import World, client_for
from tests.factories import make_account, owner_of

pytestmark = pytest.mark.django_db


def get(client: Client, world: World, **query: str) -> str:
    response = client.get(world.address("home"), query)
    assert response.status_code == 200
    return response.content.decode()


def test_outcomes_are_drawn_by_day_and_by_hour_with_a_table_behind_each(world: World, client: Client) -> None:
    page = get(client, world)
    assert page.count('<figure class="chart">') == 2
    assert page.count("The figures as a table") == 2
    today = timezone.localdate().isoformat()
    page = get(client, world, first=today, last=today)
    (by_day, by_hour) = re.findall(r"<tbody>(.*?)</tbody>", page.split('id="outcomes"')[1], re.DOTALL)
    assert re.findall(r'amount">(\d+)<', by_day) == [
        "2",
        "1",
        "1",
        "1",
        "1",
        "6",
    ]  # an OTP was delivered, too
    assert sum(int(row) for row in re.findall(r"(\d+)</td></tr>", by_hour)) == 6
    assert page.count("<img ") == 2


def test_a_new_account_sees_no_chart(world: World) -> None:
    account = make_account(name="School")
    page = client_for(owner_of(account)).get(world.address("home", account_id=account.pk))
    assert "figure" not in page.content.decode().split("<main")[1].replace("figures", "")


def test_other_days_are_chosen_and_wrong_ones_are_said(world: World, client: Client) -> None:
    page = get(client, world, first="2020-01-01", last="2020-01-31")
    assert "Nothing ended on these days" in page
    assert 'value="2020-01-31"' in page
    for first, last, sentence in (
        ("2026-02-01", "2026-01-01", "Swap them"),
        ("2020-01-01", "2026-01-01", "Choose fewer"),
        ("0001-01-01", "0001-01-02", "Choose days from"),
        ("x", "", "Outcomes of calls"),
        ("", "0001-01-01", "Choose days from"),
    ):
        assert sentence in get(client, world, first=first, last=last)


def test_the_live_part_does_not_read_the_outcomes(world: World, client: Client) -> None:
    with CaptureQueriesContext(connection) as context:
        page = client.get(world.address("home"), headers={"HX-Request": "true"}).content.decode()
    assert "chart" not in page
    assert not any("accountoutcomecount" in query["sql"] for query in context)
