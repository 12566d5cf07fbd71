"""The console in a real browser: a first campaign, and the layout of every page in both languages.

Set SCREENSHOTS to a folder to keep pictures of the pages. Set PICTURES to `docs/images` to make the pictures of the
documents again; this needs a font for Devanagari.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django.live_server_helper import LiveServer

from accounts import departments, twins
from accounts.models import Account
from campaigns.models import Campaign, Run, RunStatus, Service
from iris.devserver import examples, seed
from iris.health import record_heartbeat
from telephony.engine import circuit_breaker, outcomes
from telephony.engine.routing import get_or_create_trunks
from telephony.models import OptOut, PauseCause, SandboxMessage, Sender, SenderStatus
from tests import engine
from tests.console.test_carriers import make_figures
from tests.console.test_operator import PAGES as OPERATOR_PAGES
from tests.console.test_operator import address, set_up_second_factor
from tests.console.test_pages import readable
from tests.console.world import CHARTS, client_for, make_world, record_worker
from tests.factories import make_account, make_campaign, make_user, owner_of
from tests.live import wait_for
from tests.telephony.carriers.sandboxing import sent

pytestmark = pytest.mark.django_db(transaction=True)
PICTURES = os.environ.get("PICTURES")
MAX_PICTURE_BYTES = 150_000


def sign_in(page: Any, client: Client, server: LiveServer) -> None:
    """Give the browser the session of a test client."""
    session = client.cookies[settings.SESSION_COOKIE_NAME].value
    page.context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": server.url}])


def test_a_person_sends_the_first_campaign(
    page: Any, live_server: LiveServer, look: Callable[[str], None], playwright: Any, tmp_path: Path
) -> None:
    account = make_account(
        name="Ward office", credits=500, email="sita@example.com", password="secret-password"
    )
    sheet = tmp_path / "people.csv"
    sheet.write_text("number,name\n9841000001,सीता\n9841000002,राम\n12,x\n", encoding="utf-8")
    page.goto(f"{live_server.url}/")
    page.get_by_label("E-mail address").fill("sita@example.com")
    page.get_by_label("Password").fill("secret-password")
    page.get_by_role("button", name="Sign in", exact=True).click()
    look("journey-1-home")
    page.get_by_role("link", name="Make your first campaign").click()
    page.get_by_label("Name").fill("Water cut")
    page.get_by_text("Text messages", exact=True).click()
    page.get_by_role("button", name="Save and continue", exact=True).click()
    page.get_by_label("Message", exact=True).press_sequentially("Namaste {name}, no water tomorrow.")
    playwright.expect(page.locator("#checked")).to_contain_text("characters fit into the last part")
    look("journey-2-message")
    page.get_by_role("button", name="Save and continue", exact=True).click()
    page.get_by_label("File").set_input_files(sheet)
    page.get_by_role("button", name="Upload").click()
    playwright.expect(page.locator("main")).to_contain_text("2 people are in the list")
    playwright.expect(page.locator("main")).to_contain_text("Rows that were left out")
    look("journey-3-people")
    page.get_by_role("button", name="Continue", exact=True).click()
    page.get_by_role("button", name="Save and continue", exact=True).click()
    playwright.expect(page.locator("main")).to_contain_text("Namaste सीता, no water tomorrow.")
    look("journey-4-review")
    page.get_by_role("button", name="Send 2 text messages").click()
    playwright.expect(page.locator("main")).to_contain_text("The campaign has begun.")
    record_worker()
    look("journey-5-running")
    engine.run_to_the_end()
    # The page has kept itself up to date, and asks for nothing more.
    playwright.expect(page.locator("#live")).to_contain_text("Finished")
    assert page.locator("#live").get_attribute("hx-get") is None
    look("journey-6-finished")
    assert Campaign.objects.get(owner=account).recipients.filter(status=100).count() == 2
    page.locator("#live").get_by_role("link", name="2", exact=True).first.click()
    page.get_by_role("link", name="9841000001").click()
    playwright.expect(page.locator("main")).to_contain_text("Every attempt")
    look("journey-7-person")


def test_the_phone_of_the_sandbox_is_live_and_takes_nothing_away_from_somebody_who_writes(
    page: Any, live_server: LiveServer, playwright: Any, settings: Any
) -> None:
    settings.IRIS_SANDBOX_SPEED = 0.1
    account = make_account(name="Ward office", credits=500)
    twin = twins.open_twin(account=account)
    sms = sent(make_campaign(owner=twin, message="Namaste"))[0]
    sign_in(page, client_for(owner_of(account)), live_server)
    page.goto(f"{live_server.url}/console/{twin.pk}/phone/")
    field = page.locator(f"#reply-{sms.pk}")
    field.press_sequentially("STO")
    call = sent(make_campaign(owner=twin, service=Service.CALL, message="Come"))[-1]
    for _ in range(2):
        with page.expect_response(lambda response: "/phone/" in response.url):
            pass  # the page asks for what is new
    assert field.input_value() == "STO"
    field.press_sequentially("P")
    page.keyboard.press("Enter")
    playwright.expect(page.locator("#live")).to_contain_text("STOP")
    page.locator(f"#key-{call.pk}-7").click()
    playwright.expect(page.locator("#live")).to_contain_text("Keys that were pressed: 7")
    assert OptOut.objects.filter(owner=twin).count() == 1
    assert SandboxMessage.objects.get(pk=call.pk).keys == "7"


def test_every_page_fits_its_window_in_both_languages(
    page: Any, live_server: LiveServer, look: Callable[[str], None]
) -> None:
    world = make_world(size=2)
    departments.create(parent=world.account, name="Ward 5")
    record_heartbeat()
    record_worker()
    sign_in(page, client_for(world.owner), live_server)
    for language in ("en", "ne"):
        page.context.add_cookies([{"name": "django_language", "value": language, "url": live_server.url}])
        for name in readable(world):
            if name in (
                "example-sheet",
                "statement-csv",
                "audit-csv",
                "report",
                "campaign-live",
                "list-export",
                "number-release",
                "conversation",
                *CHARTS,
            ):
                continue
            page.goto(live_server.url + world.address(name))
            look(f"{name}-{language}")
        page.goto(f"{live_server.url}{world.address('conversation')}?with=%2B9779841000001")
        look(f"conversation-{language}")
        for name in ("credits", "numbers"):
            page.goto(live_server.url + world.address(name))
            for form in page.locator("main details").all():
                form.locator("summary").click()
            look(f"{name}-forms-{language}")
    page.goto(live_server.url + world.address("campaign", campaign_id=world.running.pk))
    look("running")
    page.goto(f"{live_server.url}/accounts/")
    look("sign-in-home")


def test_the_operator_area_fits_its_window_in_both_languages(
    page: Any, live_server: LiveServer, look: Callable[[str], None]
) -> None:
    world = make_world()
    record_worker()
    get_or_create_trunks()
    Sender.objects.create(owner=world.account, address="WARD5", operator="ntc", status=SenderStatus.REQUESTED)
    operator = make_user(is_staff=True, is_superuser=True)
    set_up_second_factor(operator)
    sign_in(page, client_for(operator), live_server)
    circuit_breaker.fail("sandbox", reason="402 Payment Required", cause=PauseCause.FUNDS)
    make_figures()
    for language in ("en", "ne"):
        page.context.add_cookies([{"name": "django_language", "value": language, "url": live_server.url}])
        for name in OPERATOR_PAGES:
            page.goto(live_server.url + address(name, world))
            look(f"{name}-{language}")
    page.goto(live_server.url + address("operator-account", world))
    page.locator("#reason").fill("A member has called")
    page.locator("form:has(#reason) button").click()
    look("looking-at-an-account")


def test_pictures_of_the_demo_account_for_the_documents(
    page: Any, live_server: LiveServer, tmp_path: Path
) -> None:
    seed.seed()
    examples.add_examples()
    wait_for(_has_ended, seconds=60)
    outcomes.count_due()
    record_heartbeat()
    demo = Account.objects.get(members__user__email=seed.DEMO_EMAIL)
    water = Campaign.objects.filter(owner=demo).earliest("pk")
    sign_in(page, client_for(owner_of(demo)), live_server)
    page.set_viewport_size({"width": 1200, "height": 1000})
    week = f"?first={timezone.localdate() - timedelta(days=6)}"
    for name, where in (
        ("console-home", reverse("console:home", args=[demo.pk]) + week),
        ("console-campaign", reverse("console:campaign", args=[demo.pk, water.pk])),
    ):
        page.goto(live_server.url + where)
        path = Path(PICTURES or tmp_path) / f"{name}.png"
        page.screenshot(path=path)
        assert path.stat().st_size < MAX_PICTURE_BYTES


def _has_ended() -> bool:
    """Run the engine once. Return whether no run is running any more; one starts only in a week."""
    engine.run_all_loops_once()
    return not Run.objects.filter(status=RunStatus.RUNNING).exists()


def test_charts_of_outcomes_are_drawn_in_the_colours_of_the_page(page: Any, live_server: LiveServer) -> None:
    world = make_world()
    sign_in(page, client_for(world.owner), live_server)
    for width, size in ((360, "small"), (800, "medium"), (1440, "large")):
        page.set_viewport_size({"width": width, "height": 740})
        page.goto(live_server.url + world.address("home"))
        for chart in page.locator(".chart img").all():
            chart.evaluate("chart => chart.decode()")  # fails for a broken image
            assert f"size={size}" in chart.evaluate("chart => chart.currentSrc")
    page.locator(".chart a").first.click()
    fills = set()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        fills.add(page.locator(".completed rect").first.evaluate("bar => getComputedStyle(bar).fill"))
    assert len(fills - {"none", "rgb(0, 0, 0)"}) == 2
    assert "Reached" in page.locator(".completed title").first.text_content()


def test_a_page_is_usable_without_a_mouse(page: Any, live_server: LiveServer) -> None:
    account = make_account(name="Ward office", credits=5)
    sign_in(page, client_for(owner_of(account)), live_server)
    page.goto(f"{live_server.url}/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    page.locator("summary").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("details.menu[open]").count() == 1
    page.keyboard.press("Escape")
    assert page.locator("details.menu[open]").count() == 0
