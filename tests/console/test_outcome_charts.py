"""The images of the charts of outcomes: what they show, in which words, and what they do not contain."""

from __future__ import annotations

import re
from collections import Counter
from datetime import date, timedelta
from typing import Any
from xml.etree import ElementTree

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation

from campaigns.reports.outcome_history import HOURS, Days, History
from console import chart_images, charts
from console.chart_images import SIZES
from console.vocabulary import OUTCOMES
from telephony.models import DeliveryStatus
from tests.console.world import CHARTS, World, client_for
from tests.cpu import cpu_at_most
from tests.iris.test_headers import policy_of

SVG = "{http://www.w3.org/2000/svg}"
SOME = Counter({outcome: 5 * place + 2 for place, outcome in enumerate(OUTCOMES)})


def make_history(*, days: int, outcomes: Counter[DeliveryStatus] = SOME) -> History:
    """Return a history with the same outcomes on each day."""
    first = date(2026, 11, 1)
    hours = [Counter() for _ in range(HOURS)]
    hours[9] = sum((outcomes for _ in range(days)), Counter())
    return History(
        days=[
            Days(first=day, last=day, outcomes=outcomes)
            for day in (first + timedelta(days=n) for n in range(days))
        ],
        hours=hours,
    )


def drawn(history: History, size: str = "large") -> ElementTree.Element:
    return ElementTree.fromstring(chart_images.draw(charts.by_day(history), SIZES[size]))


def texts(root: ElementTree.Element, tag: str) -> list[str]:
    return [found.text or "" for found in root.iter(f"{SVG}{tag}")]


def get(client: Client, world: World, name: str, **query: str) -> Any:
    return client.get(world.address(name), query)


@pytest.mark.django_db
@pytest.mark.parametrize("name", CHARTS)
def test_an_image_has_a_policy_of_its_own_that_allows_styles_and_no_script(
    world: World, client: Client, name: str
) -> None:
    response = get(client, world, name)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "image/svg+xml; charset=utf-8"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    policy = policy_of(response)
    assert policy.pop("style-src") == ["'unsafe-inline'"]
    assert policy.pop("default-src") == ["'none'"]
    assert set(policy) == {"form-action", "frame-ancestors", "base-uri"}
    assert all(sources == ["'none'"] for sources in policy.values())


@pytest.mark.django_db
@pytest.mark.parametrize("language", ["en", "ne"])
@pytest.mark.parametrize("name", CHARTS)
@pytest.mark.parametrize("size", SIZES)
def test_an_image_contains_no_script_and_no_address_of_another_server(
    world: World, language: str, name: str, size: str
) -> None:
    image = get(client_for(world.owner, language=language), world, name, size=size).content.decode()
    assert set(re.findall(r"//([\w.]+)", image)) == {"www.w3.org"}
    assert image.startswith("<?xml version='1.0' encoding='utf-8'?>\n<svg ")
    assert "<!" not in image
    assert image.count("<?") == 1
    for unwanted in ("script", "href", "@import", "url(", "style=", "pygal.config"):
        assert unwanted not in image
    root = ElementTree.fromstring(image)
    assert {one.tag.removeprefix(SVG) for one in root.iter()} <= {
        "svg",
        "defs",
        "style",
        "title",
        "g",
        "rect",
        "path",
        "text",
    }
    assert root.get("viewBox") == f"0 0 {SIZES[size].width} {SIZES[size].height}"
    assert {"width", "height"}.isdisjoint(root.attrib)  # it is as wide as its place


@pytest.mark.django_db
def test_an_image_is_in_the_language_and_the_digits_of_the_person(world: World) -> None:
    client = client_for(world.owner, language="ne")
    today = timezone.localdate().isoformat()
    for name in CHARTS:
        response = get(client, world, name, first=today, last=today)
        root = ElementTree.fromstring(response.content)
        said = " ".join(texts(root, "text") + texts(root, "title"))
        assert root.get("lang") == "ne"
        assert not re.search(r"[A-Za-z0-9]", said)
        assert "१" in said
    client.cookies["iris_digits"] = "latin"
    root = ElementTree.fromstring(get(client, world, "outcomes-by-day", first=today, last=today).content)
    assert re.search(r"\d", " ".join(texts(root, "text")))


@pytest.mark.django_db
def test_an_image_is_kept_by_the_browser_of_the_person_only(world: World, client: Client) -> None:
    response = get(client, world, "outcomes-by-day")
    assert response.headers["Cache-Control"] == "private, max-age=60"
    assert {"Cookie", "Accept-Language"} <= {one.strip() for one in response.headers["Vary"].split(",")}


@pytest.mark.django_db
@pytest.mark.parametrize("name", CHARTS)
def test_an_image_without_outcomes_does_not_exist_and_wrong_days_are_refused(
    world: World, client: Client, name: str
) -> None:
    assert get(client, world, name, first="2020-01-01", last="2020-01-31").status_code == 404
    for first, last in (("2026-02-01", "2026-01-01"), ("2020-01-01", "2026-01-01"), ("", "0001-01-01")):
        response = get(client, world, name, first=first, last=last)
        assert (response.status_code, response.headers["Content-Type"]) == (400, "text/html; charset=utf-8")
    for query in ({"first": "x"}, {"size": "\0"}, {"size": "9" * 999}, {"last": "'<script>"}):
        image = get(client, world, name, **query)
        assert image.status_code == 200
        assert b'viewBox="0 0 900 250"' in image.content
        assert b"script" not in image.content


@pytest.mark.django_db
@pytest.mark.parametrize("name", CHARTS)
def test_an_image_takes_one_query_for_its_figures_however_many_days_it_shows(
    world: World, client: Client, name: str
) -> None:
    client.get(world.address("home"))
    today = timezone.localdate()
    counts = set()
    for days in (1, 30, 366):
        first = today - timedelta(days=days - 1)
        with CaptureQueriesContext(connection) as context:
            get(client, world, name, first=first.isoformat())
        assert sum("accountoutcomecount" in query["sql"] for query in context) == 1
        counts.add(len(context))
    assert len(counts) == 1
    assert counts.pop() <= 6, [query["sql"] for query in context]


@pytest.mark.django_db
def test_the_page_names_the_images_of_the_days_that_it_shows_and_describes_them(
    world: World, client: Client
) -> None:
    today = timezone.localdate().isoformat()
    page = client.get(world.address("home"), {"first": today, "last": today}).content.decode()
    images = re.findall(r'<img src="([^"]*)" width="900" height="250" alt="([^"]*)">', page)
    assert [address for address, _ in images] == [
        f"{world.address(name)}?first={today}&amp;last={today}&amp;size=large" for name in CHARTS
    ]
    assert images[0][1].startswith("Chart: Outcomes by day. The highest bar is ")
    assert images[0][1].endswith(", with 6. The table below has all figures.")
    assert page.count("<source ") == 2 * len(CHARTS)


def test_each_bar_has_its_figures_as_its_title() -> None:
    root = drawn(make_history(days=3))
    assert texts(root, "title")[0] == "Outcomes by day"
    bars = [one for one in root.iter(f"{SVG}g") if one.get("class") == "bar"]
    assert len(bars) == 3 * len(OUTCOMES)
    assert texts(bars[0], "title") == ["1 Nov 2026: Reached 2"]
    heights = [float(one.find(f"{SVG}rect").get("height", "0")) for one in bars]  # type: ignore[union-attr]
    assert heights[3] == pytest.approx(3.5 * heights[0], rel=0.01)  # 7 people hung up, and 2 were reached


def test_outcomes_that_did_not_occur_have_no_bar() -> None:
    few = Counter({OUTCOMES[0]: 1, OUTCOMES[3]: 0})
    root = drawn(make_history(days=2, outcomes=few))
    assert {one.get("class") for one in root.iter(f"{SVG}g")}.isdisjoint(
        charts.key_of(it) for it in OUTCOMES[1:]
    )
    assert sum(one.get("class") == "bar" for one in root.iter(f"{SVG}g")) == 2


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("days", [1, 2, 7, 30, 62])
@pytest.mark.parametrize("language", ["en", "ne"])
def test_labels_of_the_horizontal_axis_do_not_overlap(size: str, days: int, language: str) -> None:
    with translation.override(language):
        root = drawn(make_history(days=days), size)
    axis = next(one for one in root.iter(f"{SVG}g") if one.get("class") == "axis x")
    labels = list(axis.iter(f"{SVG}text"))
    assert min(days, 2) <= len(labels) <= days
    assert all(one.text for one in labels)
    places = [float(one.get("x", "")) for one in labels]
    half = 0.3 * chart_images.LETTERS * max(chart_images._letters(one.text or "") for one in labels)
    apart = [right - left for left, right in zip(places, places[1:], strict=False)]
    assert min(apart, default=2 * half) >= 2 * half
    plot = next(one for one in root.iter(f"{SVG}g") if one.get("class") == "plot")
    begin = int(re.findall(r"\d+", plot.get("transform", ""))[0])
    assert begin + places[0] - half >= 0
    assert begin + places[-1] + half <= SIZES[size].width


@pytest.mark.parametrize("highest", [1, 2, 3, 4, 5, 9, 10, 41, 100, 101, 999, 1_234_567, 10**12])
def test_the_vertical_axis_has_few_whole_numbers(highest: int) -> None:
    steps = chart_images.steps_to(highest)
    assert steps[0] == 0
    assert steps[-1] >= highest
    assert 2 <= len(steps) <= chart_images.MAX_STEPS + 1
    assert len({right - left for left, right in zip(steps, steps[1:], strict=False)}) == 1
    labels = texts(drawn(make_history(days=1, outcomes=Counter({OUTCOMES[0]: highest}))), "text")
    assert labels[: len(steps)] == [f"{step:,}" for step in steps]


def test_an_image_has_the_colours_of_the_page_light_and_dark() -> None:
    (style,) = texts(drawn(make_history(days=1)), "style")
    for outcome in OUTCOMES:
        assert re.search(rf"\.{charts.key_of(outcome)}\{{fill:[^}}]*var\(--\w+\)", style)
    light, dark = style.split("@media (prefers-color-scheme:dark)")
    for name in set(re.findall(r"var\((--\w+)\)", style)) - {"--sans"}:
        assert f"{name}:#" in light
        assert f"{name}:#" in dark


def test_the_largest_chart_costs_little_to_draw() -> None:
    history = make_history(days=62)
    with cpu_at_most(0.15):
        image = chart_images.draw(charts.by_day(history), SIZES["large"])
    assert len(image) < 60_000
