"""Every page of the console: who may open it, what it loads, how many queries it takes, and its language."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import resolve

from accounts import twins
from accounts.models import Account
from accounts.permissions import PRESETS, Permission
from tests.console.world import ADDRESSES, World, client_for, make_world
from tests.factories import make_account, make_member, make_user, owner_of
from tests.iris.test_headers import check

pytestmark = pytest.mark.django_db


def methods_of(world: World, name: str) -> tuple[str, ...]:
    methods: tuple[str, ...] = resolve(world.address(name)).func.methods  # type: ignore[attr-defined]
    return methods


def readable(world: World) -> list[str]:
    return [name for name in sorted(ADDRESSES) if "GET" in methods_of(world, name)]


def test_every_page_opens_for_the_owner_and_keeps_to_its_policy(world: World) -> None:
    client = client_for(world.owner)
    pages = [
        name
        for name in readable(world)
        if name
        not in ("example-sheet", "statement-csv", "audit-csv", "report", "list-export", "number-release")
    ]
    assert len(pages) > 15
    for name in pages:
        address = world.address(name)
        if name in ("campaign-live", "conversation"):
            address += "?with=%2B9779841000000"
        loaded = check(client, address)
        assert ("script-src" in dict(loaded.addresses)) is (name != "campaign-live")


def test_a_page_opens_only_with_its_permission(world: World) -> None:
    """Members open each page: the one with the fewest permissions that suffice, and the one with the most that do not."""
    people = {
        preset: make_member(world.account, preset) for preset in PRESETS
    }  # from the fewest permissions to the most
    clients = {preset: client_for(user) for preset, user in people.items()}
    for name in ADDRESSES:
        needed: Permission = resolve(world.address(name)).func.needs  # type: ignore[attr-defined]
        enough = next(preset for preset in PRESETS if needed in PRESETS[preset])
        too_few = [preset for preset in PRESETS if needed not in PRESETS[preset]][-1:]
        for preset in (enough, *too_few):
            other = (
                {"member_id": people[preset].memberships.get().pk} if "member_id" in ADDRESSES[name] else {}
            )
            address = world.address(name, **other)
            reads = "GET" in methods_of(world, name)
            response = clients[preset].get(address) if reads else clients[preset].post(address)
            assert (response.status_code == 403) is (preset in too_few), (name, preset, response.status_code)
            if preset in too_few:
                assert needed.value in response.content.decode()


def test_strangers_and_visitors_see_nothing(world: World) -> None:
    stranger = client_for(make_user())
    for name in ADDRESSES:
        address = world.address(name)
        for response in (stranger.get(address), stranger.post(address)):
            assert response.status_code in (403, 405), name
            assert "Ward office" not in response.content.decode()
        visitor = Client().get(address)
        assert visitor.status_code == 302, name
        assert visitor.headers["Location"].startswith("/accounts/login/?next=")


def test_objects_of_other_accounts_do_not_exist(world: World) -> None:
    other = make_account(name="Other office", credits=100)
    client = client_for(owner_of(other))
    for name, ids in ADDRESSES.items():
        if not {"campaign_id", "list_id", "template_id", "sender_id", "webhook_id"}.intersection(ids):
            continue
        address = world.address(name, account_id=other.pk)
        response = client.get(address) if "GET" in methods_of(world, name) else client.post(address)
        assert response.status_code == 404, name
        for theirs in ("Ended 0", "Parents 0", "Cut 0"):
            assert theirs not in response.content.decode()


def test_a_suspended_account_and_a_removed_member_see_nothing(world: World) -> None:
    ram = make_member(world.account, "viewer")
    client = client_for(ram)
    assert client.get(world.address("home")).status_code == 200
    ram.memberships.all().delete()
    assert client.get(world.address("home")).status_code == 403
    Account.objects.filter(pk=world.account.pk).update(is_suspended=True)
    assert client_for(world.owner).get(world.address("home")).status_code == 403


def test_a_form_needs_its_token(world: World) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(world.owner)
    response = client.post(world.address("campaign-pause", campaign_id=world.running.pk))
    assert response.status_code == 403
    assert world.running.runs.get().status == "running"


def test_what_is_larger_than_any_page_sends_is_refused(world: World) -> None:
    address = world.address("step-people")
    for client, length in (
        (Client(), 100_000),
        (client_for(world.owner), 10**9),
        (client_for(world.owner), 10**30),
    ):
        response = client.post(address, {"numbers": "9841000001"}, CONTENT_LENGTH=str(length))
        assert response.status_code == 413
    assert world.draft.recipients.count() == 2


def test_the_start_page_leads_to_the_account_seen_last(world: World) -> None:
    user = world.owner
    second = make_account(name="School")
    second.members.create(user=user, permissions=["view"])
    client = client_for(user)
    assert client.get("/").headers["Location"] == world.address("home")
    client.get(world.address("home", account_id=second.pk))
    assert client.get("/").headers["Location"] == world.address("home", account_id=second.pk)
    assert client.get("/console/").headers["Location"] == world.address("home", account_id=second.pk)
    assert "School" in client.get(world.address("home")).content.decode()
    assert Client().get("/").headers["Location"] == "/accounts/login/?next=/"
    operator = make_user(is_staff=True)
    operator.memberships.all().delete()
    assert client_for(operator).get("/").headers["Location"] == "/accounts/"


def test_a_test_twin_says_that_it_reaches_no_phone(world: World) -> None:
    twin = twins.open_twin(account=world.account)
    page = client_for(world.owner).get(world.address("home", account_id=twin.pk)).content.decode()
    assert "reach no phone" in page


def test_a_page_takes_the_same_queries_for_many_rows() -> None:
    def queries(world: World) -> dict[str, int]:
        client = client_for(world.owner)
        client.get(world.address("home"))
        counts = {}
        for name in readable(world):
            if name in ("step-review", "campaign-again"):
                continue  # they rehearse a run, whose statements do not depend on the size either
            with CaptureQueriesContext(connection) as context:
                assert client.get(f"{world.address(name)}?with=%2B9779841000000").status_code in (200, 302), (
                    name
                )
            # Each process reads the catalogue of voices every now and then.
            counts[name] = sum("telephony_voice" not in query["sql"] for query in context)
        return counts

    one, many = queries(make_world(size=1)), queries(make_world(size=3))
    assert one == many
    assert one["campaign-live"] <= 20
    assert max(one.values()) <= 25


class Text(HTMLParser):
    """The texts of a page that a person reads or hears, without those that are marked as English."""

    ATTRIBUTES = ("aria-label", "title", "alt", "placeholder")
    VOID = frozenset(("meta", "link", "input", "br", "hr", "img", "path", "rect"))

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._skipping: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        skips = given.get("lang") == "en" or tag in ("script", "style", "pre", "code", "title", "textarea")
        if (skips or self._skipping) and tag not in self.VOID:
            self._skipping.append(tag)
        if not self._skipping:
            self.found += [given[name] or "" for name in self.ATTRIBUTES if name in given]

    def handle_endtag(self, tag: str) -> None:
        if self._skipping and self._skipping[-1] == tag:
            self._skipping.pop()

    def handle_data(self, data: str) -> None:
        if not self._skipping:
            self.found.append(data)


# Words in Latin letters that are right in Nepali: names, and what the world of the tests is called.
ALLOWED = re.compile(
    r"iris|English|API|KEY|CSV|XLSX|Excel|LibreOffice|WAV|MP3|Rija|Prashanna|Binod|Shreegya|premium|\{\w+\}"
    r"|Program|v1|Namaste|Ward office|Draft|Another draft"
    r"|Parents|Cut|Ram|Running|Scheduled|Ended|name|ward|STOP|Account|person\d*@example.com|\bC\b"
)


def latin_words(page: str) -> set[str]:
    words = set()
    for text in Text(page).found:
        words |= set(re.findall(r"[A-Za-z]{2,}", ALLOWED.sub("", text)))
    return words


def test_every_page_is_in_nepali(world: World) -> None:
    client = client_for(world.owner, language="ne")
    for name in readable(world):
        if name in ("example-sheet", "statement-csv", "audit-csv", "report", "list-export"):
            continue
        address = f"{world.address(name)}?with=%2B9779841000000&sid={world.number.sid}"
        page = client.get(address).content.decode()
        assert name == "campaign-live" or '<html lang="ne">' in page
        assert latin_words(page) == set(), name
        assert (
            "०" in page
            or "१" in page
            or "२" in page
            or name
            in ("new-campaign", "step-what", "new-list", "new-template", "template-change", "template-delete")
        ), name
