"""Fixtures for tests in a real browser: Playwright with the Chromium of the system, and checks of each page.

Set SCREENSHOTS to a folder to keep pictures of the pages.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import pytest
from django.db import connections

from tests.conftest import require_module, require_program

WIDTHS = (360, 1440)
SCHEMES = ("dark", "light")
TIMEOUT_MILLISECONDS = 60_000  # of each wait; generous, because many tests share the processors
SCREENSHOTS = os.environ.get("SCREENSHOTS")


class Look(Protocol):
    def __call__(self, name: str, *, at: Any = None, schemes: Sequence[str] = SCHEMES) -> None: ...


@pytest.fixture(scope="module")
def playwright() -> Iterator[Any]:
    # Playwright runs an event loop in the thread of the test, in which Django would refuse to use the database.
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        module = require_module("playwright.sync_api")
        module.expect.set_options(timeout=TIMEOUT_MILLISECONDS)
        yield module


@pytest.fixture(scope="module")
def chromium(playwright: Any, django_db_setup: None) -> Iterator[Any]:
    path = require_program("chromium")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()
        connections.close_all()  # the event loop has connections of its own, which nobody can reach after it


@pytest.fixture
def open_page(chromium: Any) -> Iterator[Callable[[], Any]]:
    """Return a function that opens an empty page for another person, with cookies of its own.

    The test fails if a page reports an error, such as a script or style that the Content-Security-Policy refuses.
    """
    contexts: list[Any] = []
    problems: list[str] = []

    def open_page() -> Any:
        contexts.append(chromium.new_context(viewport={"width": 360, "height": 740}, locale="en-GB"))
        page = contexts[-1].new_page()
        page.set_default_timeout(TIMEOUT_MILLISECONDS)
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture
def page(open_page: Callable[[], Any]) -> Any:
    return open_page()


@pytest.fixture(scope="module")
def axe() -> Any:
    return require_module("axe_playwright_python.sync_playwright").Axe()


def barriers(page: Any, axe: Any) -> list[str]:
    """Return what keeps people from using the page, such as too little contrast for those who see badly."""
    found = axe.run(page).response["violations"]
    return [
        f"{one['id']}: {one['nodes'][0]['html']}" for one in found if one["impact"] in ("serious", "critical")
    ]


@pytest.fixture
def look(page: Any, axe: Any) -> Look:
    """Check that a page fits its window, on a telephone and on a desktop, and that axe finds no serious barrier.

    `at` is the page, if it is not `page`. `schemes` are the colours that axe sees: dark, light or both. With SCREENSHOTS,
    also keep dark pictures.
    """

    def look(name: str, *, at: Any = None, schemes: Sequence[str] = SCHEMES) -> None:
        shown = at or page
        for scheme in ("light", "dark") if SCREENSHOTS else ("light",):
            for width in WIDTHS:
                shown.emulate_media(color_scheme=scheme)
                shown.set_viewport_size({"width": width, "height": 740})
                assert shown.evaluate("document.documentElement.scrollWidth") <= width, (name, width)
                if SCREENSHOTS:
                    shown.screenshot(path=Path(SCREENSHOTS) / f"{name}-{scheme}-{width}.png", full_page=True)
        # The pages of both languages differ only in their words.
        for scheme in () if name.endswith("-ne") else schemes:
            shown.emulate_media(color_scheme=scheme)
            assert barriers(shown, axe) == [], (name, scheme)
        shown.emulate_media(color_scheme="light")

    return look
