"""The rules of reaching people in the settings and in the steps of a campaign: what is stored is shown, nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from accounts.models import Account, AuditEntry
from campaigns.models import Campaign, RunStatus
from campaigns.runs.rules import rules_of
from tests.console.world import World, client_for
from tests.factories import make_member

pytestmark = pytest.mark.django_db

HOURS: dict[str, Any] = {
    "calls": [
        {"days": ["mon", "fri", "sun"], "from": "09:00", "to": "12:00"},
        {"from": "13:00", "to": "24:00"},
    ],
    "sms": [{"from": "13:00", "to": "24:00"}, {"days": ["sat"], "from": "10:00", "to": "11:00"}],
    "holidays": ["2083-07-22", "2026-11-08"],
    "time_zone": "Asia/Kathmandu",
}
RULES: dict[str, Any] = {
    "calling_hours": HOURS,
    "retry": {"tries": 4, "on": {"busy": 90, "unanswered": 600}, "backoff": "exponential"},
    "duplicates": "once",
    "frequency_cap": {"contacts": 2, "days": 7},
    "waves": {"sizes": [100, 1000], "success_percent": 80},
}
WORDS: dict[str, Any] = {"mai": {"stop": ["बन्न करू"], "start": ["फेर पठाउ"]}, "awa": {"stop": ["मयः"]}}
# What the forms send for a rule of each kind.
SENT: dict[str, dict[str, Any]] = {
    "calling_hours": {
        "rows": "2", "channel_0": "both", "days_0": ["sun", "mon"], "from_0": "०९:००", "to_0": "18:00",
        "channel_1": "both", "from_1": "", "to_1": "", "holidays": "२०८३-०७-२२",
    },
    "retry": {"tries": "3", "busy": "1.5", "unanswered": "10", "failed": "", "hungup": "", "backoff": "fixed"},
    "duplicates": {},
    "frequency_cap": {"contacts": "2", "days": "7"},
    "waves": {"sizes": "१००, 1000", "percent": ""},
}  # fmt: skip
STORED: dict[str, Any] = {
    "calling_hours": {
        "calls": [{"days": ["mon", "sun"], "from": "09:00", "to": "18:00"}],
        "sms": [{"days": ["mon", "sun"], "from": "09:00", "to": "18:00"}],
        "holidays": ["2083-07-22"],
    },
    "retry": {"tries": 3, "on": {"busy": 90, "unanswered": 600}, "backoff": "fixed"},
    "duplicates": "once",
    "frequency_cap": {"contacts": 2, "days": 7},
    "waves": {"sizes": [100, 1000]},
}


def typed(name: str, mode: str = "on", **changes: Any) -> dict[str, Any]:
    fields = {**SENT[name], "mode": mode, **changes}
    return {f"{name}-{field}": value for field, value in fields.items()}


def settings_of(world: World) -> dict[str, Any]:
    """Return what the page of settings needs besides the rules."""
    return {"time_zone": "Asia/Kathmandu", "language": "ne", "approval_hours": "24"}


def account_of(world: World) -> Account:
    return Account.objects.get(pk=world.account.pk)


def save_settings(client: Client, world: World, **fields: Any) -> str:
    response = client.post(world.address("settings"), settings_of(world) | fields, follow=True)
    assert response.status_code == 200
    return response.content.decode()


def save_when(client: Client, world: World, **fields: Any) -> str:
    response = client.post(world.address("step-when"), {"begin": "now"} | fields, follow=True)
    world.draft.refresh_from_db()
    return response.content.decode()


@pytest.mark.parametrize("name", SENT)
def test_a_rule_of_the_account_is_saved_and_switched_off(world: World, client: Client, name: str) -> None:
    assert "The settings are saved" in save_settings(client, world, **typed(name))
    assert getattr(account_of(world), name) == STORED[name]
    audit = client.get(world.address("audit")).content.decode()
    assert "{" not in audit.split("<main")[1]  # in words, not as the API writes it
    save_settings(client, world, **typed(name, mode="off"))
    assert getattr(account_of(world), name) == ("keep" if name == "duplicates" else None)


def fields_of(page: str) -> dict[str, Any]:
    """Return what a browser sends if somebody presses the button of the page without a change."""
    from html.parser import HTMLParser

    sent: dict[str, list[str]] = {}

    class Fields(HTMLParser):
        select, area, options = "", "", 0

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            one = {name: value or "" for name, value in attrs}
            if tag == "input" and one.get("name"):
                if one.get("type") in ("checkbox", "radio"):
                    if "checked" in one:
                        sent.setdefault(one["name"], []).append(one.get("value", "on"))
                elif one.get("type") != "file":
                    sent.setdefault(one["name"], []).append(one.get("value", ""))
            elif tag == "select":
                self.select = one.get("name", "")
            elif tag == "option" and self.select and "selected" in one:
                sent.setdefault(self.select, []).append(one["value"])
            elif tag == "textarea":
                self.area = one.get("name", "")
                sent[self.area] = [""]

        def handle_data(self, data: str) -> None:
            if self.area:
                sent[self.area][0] += data.removeprefix("\n")

        def handle_endtag(self, tag: str) -> None:
            if tag == "textarea":
                self.area = ""

    Fields().feed(page.split("<main")[1])
    return sent


def test_saving_without_a_change_changes_no_rule(world: World, client: Client) -> None:
    Account.objects.filter(pk=world.account.pk).update(**RULES, opt_out_words=WORDS)
    page = client.get(world.address("settings")).content.decode()
    for shown in ("2083-07-22", "1.50", "100, 1000", "24:00", "बन्न करू", "मयः"):
        assert shown in page
    assert "The settings are saved" in save_settings(client, world, **fields_of(page))
    account = account_of(world)
    assert {name: getattr(account, name) for name in RULES} == RULES
    assert account.opt_out_words == WORDS
    assert (
        not AuditEntry.objects.filter(action="settings_changed", account_id=account.pk)
        .exclude(details__changed={})
        .filter(details__has_key="retry")
        .exists()
    )


def test_a_changed_rule_keeps_what_its_form_does_not_show(world: World, client: Client) -> None:
    Account.objects.filter(pk=world.account.pk).update(calling_hours=HOURS)
    fields = fields_of(client.get(world.address("settings")).content.decode())
    save_settings(client, world, **fields | {"calling_hours-holidays": ""})
    assert account_of(world).calling_hours == {
        name: rule for name, rule in HOURS.items() if name != "holidays"
    } | {
        "calls": [
            {"days": ["mon", "fri", "sun"], "from": "09:00", "to": "12:00"},
            {"from": "13:00", "to": "24:00"},
        ]
    }


@pytest.mark.parametrize(
    ("name", "changes", "field", "sentence"),
    [
        ("calling_hours", {"from_0": "25:00"}, "from_0", "not a time of the day"),
        ("calling_hours", {"from_0": "19:00"}, "from_0", "must be before"),
        ("calling_hours", {"to_0": ""}, "to_0", "Fill in both times"),
        ("calling_hours", {"days_0": []}, "days_0", "Choose at least one weekday"),
        ("calling_hours", {"days_0": ["moonday"]}, "days_0", "is not one of the available choices"),
        ("calling_hours", {"holidays": "2083-13-01"}, "holidays", "is not a date"),
        ("calling_hours", {"from_0": "", "to_0": ""}, "from_0", "Fill in at least one line"),
        ("calling_hours", {"rows": "x" * 9, "from_0": "", "to_0": ""}, "from_0", "Fill in at least one line"),
        ("calling_hours", {"rows": "99999", "from_0": "", "to_0": ""}, "from_0", "Fill in at least one line"),
        ("retry", {"busy": "", "unanswered": ""}, "busy", "at least one outcome"),
        ("retry", {"busy": "0"}, "busy", "greater than or equal"),
        ("retry", {"busy": "NaN"}, "busy", "Enter a number"),
        ("retry", {"busy": "10080", "backoff": "exponential"}, "busy", "7 days"),
        ("retry", {"tries": "9"}, "tries", "is not one of the available choices"),
        ("frequency_cap", {"contacts": "0"}, "contacts", "greater than or equal"),
        ("frequency_cap", {"days": ""}, "days", "required"),
        ("waves", {"sizes": "many"}, "sizes", "number of people of each wave"),
        ("waves", {"sizes": "0"}, "sizes", "whole number from 1"),
        ("waves", {"sizes": "9" * 50}, "sizes", "whole number from 1"),
        ("waves", {"sizes": "1 " * 11}, "sizes", "number of people of each wave"),
        ("waves", {"percent": "101"}, "percent", "less than or equal"),
    ],
)
def test_a_wrong_rule_is_said_beside_its_field(
    world: World, client: Client, name: str, changes: dict[str, Any], field: str, sentence: str
) -> None:
    for page in (
        save_settings(client, world, **typed(name, **changes)),
        save_when(client, world, **typed(name, **changes)),
    ):
        error = page.split(f'id="id_{name}-{field}_error"')[1].split("</p>")[0]
        assert sentence in error
    assert getattr(account_of(world), name) == ("keep" if name == "duplicates" else None)
    assert world.draft.rules == {}


def test_wrong_fields_of_a_rule_that_does_not_hold_are_not_looked_at(world: World, client: Client) -> None:
    for name in ("calling_hours", "retry", "frequency_cap", "waves"):
        wrong = dict.fromkeys(SENT[name], "wrong")
        assert "The settings are saved" in save_settings(client, world, **typed(name, mode="off", **wrong))


def test_words_for_opting_out_are_saved_by_language(world: World, client: Client) -> None:
    save_settings(
        client, world, **{"opt_out_words-stop_mai": "बन्न करू,  नइ चाही", "opt_out_words-start_mai": "फेर पठाउ"}
    )
    assert account_of(world).opt_out_words == {"mai": {"stop": ["बन्न करू", "नइ चाही"], "start": ["फेर पठाउ"]}}
    assert "नइ चाही" in client.get(world.address("settings")).content.decode()
    for wrong in ({"opt_out_words-stop_ne": "START"}, {"opt_out_words-stop_en": "one two three four"}):
        name = next(iter(wrong)).removeprefix("opt_out_words-")
        assert f'id="id_opt_out_words-{name}_error"' in save_settings(client, world, **wrong)
    empty = {f"opt_out_words-{name}_{one}": "" for name in ("stop", "start") for one in ("mai", "ne")}
    save_settings(client, world, **empty)
    assert account_of(world).opt_out_words is None


@pytest.mark.parametrize("name", SENT)
def test_a_campaign_has_its_own_rule_none_or_that_of_the_account(
    world: World, client: Client, name: str
) -> None:
    Account.objects.filter(pk=world.account.pk).update(**{name: RULES[name]})
    assert "As in the settings:" in client.get(world.address("step-when")).content.decode()
    save_when(client, world, **typed(name, mode="account"))
    assert world.draft.rules == {}
    save_when(client, world, **typed(name, mode="off"))
    assert world.draft.rules == {name: None}
    save_when(client, world, **typed(name))
    assert world.draft.rules == {name: STORED[name]}
    save_when(client, world, **typed(name, mode="account"))
    assert world.draft.rules == {}


def test_the_review_and_the_history_say_the_rules_in_words(world: World, client: Client) -> None:
    Account.objects.filter(pk=world.account.pk).update(**RULES)
    for language, words in (
        (
            "en",
            ("At most 4 tries.", "Sun Mon Fri 09:00–12:00", "First 100 + 1,000 people", "each number once"),
        ),
        ("ne", ("बढीमा ४ पटक प्रयास", "आइत सोम शुक्र ०९:००–१२:००", "पहिले १०० + १,००० जना")),
    ):
        page = client_for(world.owner, language=language).get(world.address("step-review")).content.decode()
        for part in words:
            assert part in page
    client.post(world.address("step-review"))
    run = world.draft.runs.get()
    assert rules_of(run).waves is not None
    page = client.get(world.address("campaign", campaign_id=world.draft.pk)).content.decode()
    assert "First 100 + 1,000 people" in page


def begin_urgently(client: Client, world: World, **fields: Any) -> Any:
    sent = {"urgent": "on", "reason": "Flood warning", **fields}
    return client.post(world.address("step-review"), sent)


def test_only_people_with_the_permission_begin_urgent_campaigns(world: World) -> None:
    sender = client_for(make_member(world.account, "sender"))
    assert "This is urgent" not in sender.get(world.address("step-review")).content.decode()
    assert begin_urgently(sender, world).status_code == 403
    assert world.draft.runs.count() == 0
    owner = client_for(world.owner)
    assert "This is urgent" in owner.get(world.address("step-review")).content.decode()
    assert begin_urgently(owner, world).status_code == 302
    rule = rules_of(world.draft.runs.get()).urgent
    assert rule is not None
    assert (rule.reason, rule.past_opt_outs, rule.heard) == ("Flood warning", False, None)


def test_an_urgent_campaign_needs_a_reason_and_shows_its_cost_first(world: World, client: Client) -> None:
    page = begin_urgently(client, world, reason=" ").content.decode()
    assert 'id="id_reason_error"' in page
    page = begin_urgently(client, world, count="yes").content.decode()
    assert "at most" in page
    assert 'value="Flood warning"' in page
    assert world.draft.runs.count() == 0
    page = begin_urgently(client, world, reason="x" * 301).content.decode()
    assert 'id="id_reason_error"' in page


def test_an_alert_asks_whether_people_have_heard(world: World, client: Client) -> None:
    Campaign.objects.filter(pk=world.draft.pk).update(service="call")
    assert begin_urgently(client, world, heard="on", sms="on", household="tags_ward").status_code == 302
    rule = rules_of(world.draft.runs.get()).urgent
    assert rule is not None
    assert rule.heard is not None
    assert (rule.heard.sms, rule.heard.household) == (True, "tags_ward")
    page = client.get(world.address("campaign", campaign_id=world.draft.pk)).content.decode()
    assert "“Flood warning”" in page
    assert "Who has heard it" in page


def test_people_who_have_opted_out_are_reached_only_if_the_settings_allow_it(
    world: World, client: Client
) -> None:
    assert "Also reach people" not in client.get(world.address("step-review")).content.decode()
    Account.objects.filter(pk=world.account.pk).update(alerts_past_opt_outs=True)
    assert "Also reach people" in client.get(world.address("step-review")).content.decode()
    begin_urgently(client, world, past_opt_outs="on")
    run = world.draft.runs.get()
    rule = rules_of(run).urgent
    assert rule is not None
    assert rule.past_opt_outs
    assert run.status == RunStatus.RUNNING
