"""A person who uses the console in a browser, by the words that the pages show in the person's language."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.utils import translation
from django.utils.functional import Promise
from django.utils.translation import gettext, ngettext
from pytest_django.live_server_helper import LiveServer

from console.navigation import PAGES
from console.numerals import grouped
from tests.browser import Look

Words = str | Promise
TITLES = {name: title for name, title, _icon, _needed in PAGES}


@dataclass(frozen=True, kw_only=True)
class Person:
    """A person with a browser. Names of buttons, links and fields are the English ones of the catalogue."""

    page: Any
    server: LiveServer
    language: str
    expect: Callable[[Any], Any]
    look_at: Look

    def say(self, words: Words, **values: object) -> str:
        """Return the words as the pages show them to this person. Numbers among `values` have the digits of the language."""
        with translation.override(self.language):
            said = str(words) if isinstance(words, Promise) else gettext(words)
            return said % self._shown(values) if values else said

    def say_many(self, one: str, many: str, count: int, **values: object) -> str:
        with translation.override(self.language):
            return ngettext(one, many, count) % self._shown({"count": count, **values})

    def number(self, value: int | Decimal) -> str:
        with translation.override(self.language):
            return grouped(value)

    def _shown(self, values: dict[str, object]) -> dict[str, object]:
        return {name: grouped(one) if isinstance(one, int | Decimal) else one for name, one in values.items()}

    @property
    def main(self) -> Any:
        return self.page.locator("main")

    def button(self, name: str) -> Any:
        return self.page.get_by_role("button", name=name, exact=True)

    def link(self, name: str) -> Any:
        return self.page.get_by_role("link", name=name, exact=True)

    def press(self, name: Words) -> None:
        self.button(self.say(name)).click()

    def follow(self, name: Words) -> None:
        self.link(self.say(name)).click()

    def field(self, label: Words) -> Any:
        return self.page.get_by_label(self.say(label), exact=True)

    def fill(self, label: Words, text: str) -> None:
        self.field(label).fill(text)

    def open(self, name: str) -> None:
        """Choose a page in the navigation."""
        self.page.locator("nav.nav").get_by_role("link", name=self.say(TITLES[name]), exact=True).click()

    def sees(self, words: Words, **values: object) -> None:
        self.reads(self.say(words, **values))

    def reads(self, text: str) -> None:
        """Wait until the page shows this text."""
        self.expect(self.main).to_contain_text(text)

    def sees_no(self, words: Words) -> None:
        self.expect(self.main).not_to_contain_text(self.say(words))

    def sees_no_page(self, name: str) -> None:
        """Check that the navigation does not list this page."""
        pages = self.page.locator("nav.nav")
        self.expect(pages.get_by_role("link", name=self.say(TITLES[name]), exact=True)).to_have_count(0)

    def look(self, name: str) -> None:
        """Check that the page fits its window and has no barriers."""
        self.look_at(f"journey-{name}-{self.language}", at=self.page, schemes=("light",))

    def go_to_sign_in(self) -> None:
        self.page.goto(f"{self.server.url}/")
        self.choose_language()

    def choose_language(self) -> None:
        if self.language == "ne":
            self.page.get_by_role("button", name="नेपाली", exact=True).click()
        self.expect(self.page.locator("html")).to_have_attribute("lang", self.language)

    def sign_in(self, email: str, password: str) -> None:
        self.fill("E-mail address", email)
        self.fill("Password", password)
        self.press("Sign in")
        self.expect(self.page.locator("nav.nav")).to_be_visible()

    def go_to_step(self, title: Words) -> None:
        steps = self.page.locator("ol.steps")
        steps.get_by_role("link", name=re.compile(rf"^\S+ {re.escape(self.say(title))}$")).click()

    def begin_campaign(self, name: str, service: Words) -> None:
        self.open("campaigns")
        self.page.get_by_role("link", name=self.say("New campaign")).click()
        self.name_campaign(name, service)

    def name_campaign(self, name: str, service: Words) -> None:
        self.fill("Name", name)
        self.page.get_by_text(self.say(service), exact=True).click()
        self.press("Save and continue")

    def prepare_texts(self, name: str, *, service: Words, words: str, numbers: list[str]) -> None:
        """Prepare a campaign of text messages, up to the review."""
        self.begin_campaign(name, service)
        self.fill("Message", words)
        self.press("Save and continue")
        self.fill("One phone number per line", "\n".join(numbers))
        self.press("Add these numbers")
        self.press("Continue")
        self.press("Save and continue")
        self.sees("Everything once more")

    def send_texts(self, count: int) -> None:
        many = self.say_many("Send %(count)s text message", "Send %(count)s text messages", count)
        self.button(many).click()

    def download(self) -> bytes:
        """Download the newest file of the page. Return its content."""
        with self.page.expect_download() as downloaded:
            self.page.get_by_role(
                "link", name=re.compile(f"^{re.escape(self.say('Download'))}")
            ).first.click()
        return Path(downloaded.value.path()).read_bytes()

    def get(self, address: str) -> int:
        """Ask for a page that no link leads to. Return the HTTP status."""
        return int(self.page.context.request.get(address).status)

    def post(self, address: str, **fields: str) -> int:
        """Send a form that no page shows, with the token of the present page. Return the HTTP status."""
        token = self.page.locator("input[name=csrfmiddlewaretoken]").first.input_value()
        form = {"csrfmiddlewaretoken": token, **fields}
        sent = self.page.context.request.post(address, form=form, headers={"Referer": self.page.url})
        return int(sent.status)
