"""One person's whole journey through the console in a real browser, in both languages, by what a person sees and clicks."""

from __future__ import annotations

import csv
from collections.abc import Callable
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook
from pytest_django.live_server_helper import LiveServer

from accounts.models import Account
from campaigns.models import Campaign, Run, RunStatus, Service
from console.views.steps import STEPS
from console.vocabulary import CAMPAIGN, RECIPIENT, SERVICES
from console.words_of_people import PRESETS
from console.words_of_reports import FORMATS
from console.words_of_settings import SETTINGS
from telephony.models import DeliveryStatus
from tests import engine
from tests.accounts.signin.pages import NEW_PASSWORD, PASSWORD, link_in, mails
from tests.browser import Look
from tests.console.walking import Person
from tests.console.world import record_worker
from tests.factories import make_account, make_sheet
from tests.live import wait_for

pytestmark = pytest.mark.django_db(transaction=True)
STEP = dict(STEPS)
OWNER, MEMBER = "sita@example.com", "hari@example.com"
REACHED, NO_ANSWER, BUSY, INVALID = "9841000001", "9841009902", "9841009901", "9841009904"
NAMES = {REACHED: "सीता", NO_ANSWER: "राम", BUSY: "माया", INVALID: "गीता"}
OFFICE = "9801234567"  # the same number in each row, which is not the one to call
TEXTS = SERVICES[Service.SMS]


@pytest.mark.parametrize("language", ["en", "ne"])
def test_a_person_does_everything_in_the_browser(
    language: str,
    open_page: Callable[[], Any],
    live_server: LiveServer,
    playwright: Any,
    look: Look,
    settings: Any,
    tmp_path: Path,
) -> None:
    settings.IRIS_SANDBOX_SPEED = 500
    account = make_account(name="Ward office", credits=500, email=OWNER, password=PASSWORD)
    record_worker()

    def person() -> Person:
        return Person(
            page=open_page(), server=live_server, language=language, expect=playwright.expect, look_at=look
        )

    sita, hari = person(), person()
    _uploads_a_sheet(sita, tmp_path)
    _writes_and_hears_the_message(sita)
    _sends_and_watches(sita)
    _stops_another(sita)
    _pauses_and_resumes_a_third(sita)
    _sends_again_to_the_unanswered(sita)
    _downloads_the_report(sita)
    _reads_the_statement(sita, account)
    _invites_a_member(sita, hari)
    _may_not_send(hari, account)
    _demands_approval(sita)
    _lets_another_person_approve(sita, hari)
    _sends_an_urgent_campaign(sita)


def _uploads_a_sheet(sita: Person, folder: Path) -> None:
    sita.go_to_sign_in()
    sita.look("1-sign-in")
    sita.sign_in(OWNER, PASSWORD)
    sita.look("2-home")
    sita.page.get_by_role("link", name=sita.say("Make your first campaign")).click()
    sita.name_campaign("Water cut", SERVICES[Service.CALL])
    sita.go_to_step(STEP["step-people"])
    wrong = folder / "wrong.csv"
    wrong.write_text(
        f"office,mobile,name\n{OFFICE},{REACHED},सीता\n{OFFICE},12,x\n{OFFICE},nobody,y\n{OFFICE},,z\n",
        encoding="utf-8",
    )
    _upload(sita, wrong)
    sita.sees("Rows that were left out")
    rows = sita.page.locator("section", has_text=sita.say("Rows that were left out")).locator("tbody tr")
    sita.expect(rows).to_have_count(3)
    for place, row in enumerate(("3", "4", "5")):
        sita.expect(rows.nth(place).locator("td").first).to_have_text(sita.number(int(row)))
        assert len(rows.nth(place).locator("td").nth(1).inner_text()) > 10
    sita.look("3-wrong-rows")
    one, many = "Clear the list: remove %(count)s person", "Clear the list: remove %(count)s people"
    sita.button(sita.say_many(one, many, 1)).click()
    right = folder / "right.xlsx"
    people = [[OFFICE, number, name] for number, name in NAMES.items()]
    right.write_bytes(make_sheet(["office", "mobile", "name"], *people).getvalue())
    _upload(sita, right)
    sita.reads(sita.say_many("%(count)s person is in the list", "%(count)s people are in the list", 4))
    sita.sees_no("Rows that were left out")
    sita.look("4-people")


def _upload(sita: Person, sheet: Path) -> None:
    sita.field("File").set_input_files(sheet)
    sita.fill("Column with the numbers", "mobile")
    sita.press("Upload")


def _writes_and_hears_the_message(sita: Person) -> None:
    sita.go_to_step(STEP["step-message"])
    sita.field("Message").press_sequentially("नमस्कार ")
    sita.button("name").click()
    sita.page.keyboard.type(", भोलि पानी आउँदैन।")
    assert sita.field("Message").input_value() == "नमस्कार {name}, भोलि पानी आउँदैन।"
    checked = sita.page.locator("#checked")
    sita.expect(checked).to_contain_text("नमस्कार सीता, भोलि पानी आउँदैन।")
    sita.press("The next person")
    sita.expect(checked).to_contain_text("नमस्कार राम, भोलि पानी आउँदैन।")
    sita.expect(checked).to_contain_text(NO_ANSWER)
    sita.press("Listen")
    sita.expect(sita.page.locator("#player audio")).to_be_visible()
    wait_for(lambda: sita.page.evaluate("document.querySelector('#player audio').duration > 1"), seconds=20)
    sita.look("5-message")
    sita.press("Save and continue")
    sita.press("Continue")
    sita.look("6-when")
    sita.press("Save and continue")


def _sends_and_watches(sita: Person) -> None:
    sita.reads("नमस्कार सीता, भोलि पानी आउँदैन।")
    sita.look("7-review")
    price = sita.page.locator(".price").inner_text()
    sita.button(sita.say_many("Call %(count)s person", "Call %(count)s people", 4)).click()
    sita.sees("The campaign has begun.")
    run = Run.objects.get()
    assert price == sita.say("Credits: at most %(held)s", held=run.hold.amount)
    live = sita.page.locator("#live")
    sita.expect(live).to_contain_text(sita.say(CAMPAIGN[RunStatus.RUNNING].label))
    assert live.get_attribute("hx-get")
    sita.look("8-running")
    engine.run_to_the_end()
    sita.expect(live).to_contain_text(
        sita.say("Finished: %(reached)s of %(total)s reached", reached=1, total=4)
    )
    sita.expect(live).not_to_have_attribute("hx-get")
    sita.sees("Ended at")  # the rest of the page knows it, too
    sita.look("9-finished")


def _stops_another(sita: Person) -> None:
    sita.prepare_texts("Another", service=TEXTS, words="नमस्ते", numbers=["9841000011", "9841000012"])
    sita.send_texts(2)
    sita.follow(sita.say("Stop") + "…")
    many = "%(count)s people are not contacted any more, and cost nothing."
    sita.reads(sita.say_many("%(count)s person is not contacted any more, and costs nothing.", many, 2))
    sita.look("10-stop")
    sita.press("Stop it now")
    sita.sees("The campaign is stopped. Nothing more is sent.")
    engine.run_to_the_end()
    sita.expect(sita.page.locator("#live")).to_contain_text(sita.say(CAMPAIGN[RunStatus.TERMINATED].label))
    sita.expect(sita.page.locator("#live")).not_to_have_attribute("hx-get")
    assert Run.objects.latest("pk").hold.captured == 0
    sita.look("11-stopped")


def _pauses_and_resumes_a_third(sita: Person) -> None:
    sita.prepare_texts("Third", service=TEXTS, words="नमस्ते", numbers=["9841000013", "9841000014"])
    sita.send_texts(2)
    sita.press("Pause")
    sita.sees("The campaign is paused. Nothing is sent until you resume it.")
    engine.run_all_loops_once()
    third = Campaign.objects.get(name="Third")
    assert not third.recipients.filter(status__isnull=False).exists()
    sita.look("12-paused")
    sita.button(
        sita.say_many("Resume: %(count)s person is left", "Resume: %(count)s people are left", 2)
    ).click()
    sita.sees("The campaign continues.")
    engine.run_to_the_end()
    sita.expect(sita.page.locator("#live")).to_contain_text(sita.say(CAMPAIGN[RunStatus.COMPLETED].label))
    assert third.recipients.filter(status=DeliveryStatus.COMPLETED).count() == 2


def _sends_again_to_the_unanswered(sita: Person) -> None:
    sita.open("campaigns")
    sita.follow("Water cut")
    one, many = "Try again: %(count)s person was not reached", "Try again: %(count)s people were not reached"
    sita.link(sita.say_many(one, many, 3)).click()
    failed = sita.say(RECIPIENT[DeliveryStatus.FAILED].label)
    sita.page.get_by_role("checkbox", name=f"{failed}: {sita.number(1)}").uncheck()
    sita.press("Count again what it costs")
    unanswered = sita.say(RECIPIENT[DeliveryStatus.UNANSWERED].label)
    sita.expect(sita.page.get_by_role("checkbox", name=f"{unanswered}: {sita.number(2)}")).to_be_checked()
    sita.look("13-again")
    sita.button(sita.say_many("Call %(count)s person", "Call %(count)s people", 2)).click()
    sita.sees("The campaign runs again for those whom you chose.")
    engine.run_to_the_end()
    sita.sees("Finished: %(reached)s of %(total)s reached", reached=1, total=4)
    again = Run.objects.latest("pk")
    assert again.statuses == [DeliveryStatus.UNANSWERED]
    sita.expect(sita.page.locator("#live")).not_to_have_attribute("hx-get")


def _downloads_the_report(sita: Person) -> None:
    sita.page.get_by_role("link", name=sita.say("Reports for Excel")).click()
    for label in FORMATS.values():
        sita.page.get_by_text(sita.say(label), exact=True).first.click()
        sita.press("Prepare the report")
        sita.sees("The report is ready. Download it below.")
        if label == FORMATS["xlsx"]:
            sheet = load_workbook(BytesIO(sita.download())).worksheets[0]
            excel = [["" if cell is None else str(cell) for cell in row] for row in sheet.values]
        else:
            rows = list(csv.reader(sita.download().decode("utf-8-sig").splitlines()))
    sita.look("14-reports")
    of_number = {row[0]: row for row in rows[1:]}
    recipients = Campaign.objects.get(name="Water cut").recipients.order_by("pk")
    assert [row[0] for row in rows[1:]] == [one.number for one in recipients] == list(NAMES)
    for recipient in recipients:
        row = of_number[recipient.number]
        assert row[1] == sita.say(RECIPIENT[recipient.status].label)
        assert row[-1] == NAMES[recipient.number] == recipient.tags["tags_name"]
    runs = Run.objects.filter(campaign__name="Water cut").select_related("hold")
    assert sum(Decimal(row[6]) for row in rows[1:]) == sum(run.hold.captured for run in runs) > 0
    for shown in (rows, excel):
        assert shown[0][:2] == [sita.say("Phone number"), sita.say("Outcome")]
    assert [(row[0], row[1], row[-1]) for row in excel] == [(row[0], row[1], row[-1]) for row in rows]


def _reads_the_statement(sita: Person, account: Account) -> None:
    sita.open("credits")
    account.refresh_from_db()
    sita.expect(sita.page.locator("dl.figures dd").first).to_have_text(sita.number(account.balance))
    assert account.balance < 500
    sita.reads("Water cut")
    sita.sees("Change of the balance")
    sita.look("15-statement")
    rows = list(csv.DictReader(sita.download().decode("utf-8-sig").splitlines()))
    assert Decimal(rows[-1][sita.say("Balance")]) == account.balance
    assert {"Water cut", "Another", "Third"} <= {row[sita.say("Campaign")] for row in rows}


def _invites_a_member(sita: Person, hari: Person) -> None:
    sita.open("team")
    sita.fill("E-mail address", MEMBER)
    add = sita.page.locator("form.card")
    add.get_by_label(sita.say("What this person may do"), exact=True).select_option(
        label=sita.say(PRESETS["author"][0])
    )
    sita.press("Add this person")
    sita.sees("%(email)s is a member now, and gets an e-mail with a link to set a password.", email=MEMBER)
    sita.look("16-team")
    (invitation,) = [mail for mail in mails() if mail.to == MEMBER]
    hari.page.goto(hari.server.url + link_in(invitation.body))
    hari.choose_language()
    hari.fill("New password", NEW_PASSWORD)
    hari.fill("New password, once more", NEW_PASSWORD)
    hari.look("17-choose-password")
    hari.press("Save the password")
    hari.sees("Password saved")
    hari.follow("Sign in")
    hari.sign_in(MEMBER, NEW_PASSWORD)


def _may_not_send(hari: Person, account: Account) -> None:
    pages = hari.page.locator("nav.nav")
    hari.expect(pages.get_by_role("link")).not_to_have_count(0)
    for name in ("team", "keys", "settings", "audit"):
        hari.sees_no_page(name)
    hari.prepare_texts("Of the author", service=TEXTS, words="नमस्ते", numbers=["9841000021"])
    hari.sees(
        "You may prepare campaigns, but not send them. Ask somebody with the permission to send to open this page."
    )
    hari.look("18-may-not-send")
    assert hari.post(hari.page.url) == 200  # the review again
    assert not Run.objects.filter(campaign__name="Of the author").exists()
    hari.open("campaigns")
    hari.follow("Third")
    assert hari.post(f"{hari.page.url}resume/") == 403
    assert hari.get(f"{hari.server.url}/console/{account.pk}/team/") == 403


def _demands_approval(sita: Person) -> None:
    sita.open("settings")
    sita.fill(SETTINGS["approval_above"], "1")
    sita.press("Save")
    sita.sees("The settings are saved. Campaigns that were sent before are not affected.")
    sita.look("19-settings")
    sita.prepare_texts("Large", service=TEXTS, words="नमस्ते", numbers=["9841000031", "9841000032"])
    sita.sees("A second person must approve it before it starts.")
    sita.send_texts(2)
    sita.sees("The campaign waits for the approval of a second person.")
    sita.sees("You began it or changed it, so another person must approve it. You can withdraw it.")
    sita.expect(sita.button(sita.say("Approve"))).to_have_count(0)
    run = Run.objects.latest("pk")
    assert sita.post(f"{sita.page.url}approve/", run=str(run.pk)) == 403
    engine.run_all_loops_once()
    run.refresh_from_db()
    assert run.status == RunStatus.AWAITING
    sita.sees("What will be sent")
    sita.look("20-awaiting")


def _lets_another_person_approve(sita: Person, hari: Person) -> None:
    sita.open("team")
    row = sita.page.get_by_role("row").filter(has_text=MEMBER)
    row.get_by_role("combobox").select_option(label=sita.say(PRESETS["sender"][0]))
    row.get_by_role("button", name=sita.say("Change"), exact=True).click()
    sita.sees("The permissions of %(email)s are changed.", email=MEMBER)
    hari.open("campaigns")
    hari.follow("Large")
    hari.look("21-approve")
    hari.press("Approve")
    hari.sees("You approved the campaign.")
    engine.run_to_the_end()
    hari.expect(hari.page.locator("#live")).to_contain_text(hari.say(CAMPAIGN[RunStatus.COMPLETED].label))
    hari.expect(hari.page.locator("#live")).not_to_have_attribute("hx-get")


def _sends_an_urgent_campaign(sita: Person) -> None:
    sita.prepare_texts("Flood", service=TEXTS, words="बाढी आउँदैछ", numbers=["9841000041"])
    sita.field("This is urgent: it goes before all other campaigns, and at any time of the day").check()
    sita.send_texts(1)
    sita.sees("Write why it is urgent.")
    assert not Run.objects.filter(campaign__name="Flood").exists()
    sita.fill("Why is it urgent? The audit log shows the reason.", "Flood warning for ward 5")
    sita.look("22-urgent")
    sita.press("Count again what it costs")
    sita.send_texts(1)
    sita.sees("The campaign has begun.")
    sita.reads("Flood warning for ward 5")
    engine.run_to_the_end()
    sita.expect(sita.page.locator("#live")).not_to_have_attribute("hx-get")
    sita.open("audit")
    sita.reads("Flood warning for ward 5")
    sita.look("23-audit")
