"""The rules of reaching people in requests and JSON of both dialects. TingTing's documentation has none."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from django.http import QueryDict
from django.utils import timezone
from rest_framework import serializers
from rest_framework.fields import empty

from accounts.api.v0.setting_fields import OFF
from campaigns.api import rule_shapes
from campaigns.api.rule_shapes import or_off
from campaigns.models import Campaign, LeftOut, Recipient, Run, RunStatus
from campaigns.reports.expected_end import expected_end
from campaigns.reports.states import RecipientState
from campaigns.runs import waves
from campaigns.runs.left_out import reason_of_recipient, reason_of_run
from campaigns.runs.rules import (
    RULES,
    URGENT,
    chosen_rules,
    read_calling_hours,
    read_duplicates,
    read_frequency_cap,
    read_retry,
    read_waves,
    rules_of,
)
from campaigns.runs.run_statuses import live_run
from campaigns.runs.urgent import UrgentRule
from iris.api.json_text import json_value
from iris.errors import InvalidInput
from telephony.models import DeliveryStatus

GO_AHEAD = "waiting for go-ahead"


class Rule(serializers.Field[Any, Any, Any, Any]):
    """A rule as an object, or as JSON text in a form. “off” means that no such rule holds, whatever the account has.

    `null` is what null and empty text mean: `empty` for a field that was not sent, None for “off”.
    """

    default_error_messages = {
        "brackets": "Send {field} as JSON text in one field, such as {field}={example}.",
    }
    read: Callable[[object], Any]
    example = "{}"

    def __init__(self, *, null: Any = empty, **options: Any) -> None:
        super().__init__(required=False, allow_null=True, **options)
        self._null = null

    def get_value(self, dictionary: Mapping[Any, Any]) -> Any:
        name = self.field_name or ""
        if isinstance(dictionary, QueryDict) and any(key.startswith(f"{name}[") for key in dictionary):
            return QueryDict()  # the parts of an object; `to_internal_value` refuses them
        value = dictionary.get(name, empty)
        return self._null if value is None or (isinstance(value, str) and not value.strip()) else value

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, QueryDict):
            self.fail("brackets", field=self.field_name, example=self.example)
        if isinstance(data, str) and data.strip().lower() in OFF:
            return None
        try:
            return self.read(json_value(data) if isinstance(data, str) else data)
        except InvalidInput as error:
            raise serializers.ValidationError(error.message) from error


class Retry(Rule):
    json_schema = or_off(rule_shapes.RETRY)
    read = staticmethod(read_retry)
    example = '{"tries": 3, "on": ["busy", "unanswered"], "delay_seconds": 600}'


class Hours(Rule):
    json_schema = or_off(rule_shapes.CALLING_HOURS)
    read = staticmethod(read_calling_hours)
    example = '{"calls": [{"days": ["sun", "mon"], "from": "09:00", "to": "18:00"}]}'


class Duplicates(Rule):
    """“keep” or “once”. “keep” and “off” mean the same."""

    json_schema = or_off(rule_shapes.DUPLICATES)
    read = staticmethod(read_duplicates)
    example = "once"

    def to_internal_value(self, data: Any) -> Any:
        # Not JSON, but a word; `read` refuses all else.
        quoted = isinstance(data, str) and data.strip().lower() not in OFF
        return super().to_internal_value(json.dumps(data) if quoted else data)


class Cap(Rule):
    json_schema = or_off(rule_shapes.FREQUENCY_CAP)
    read = staticmethod(read_frequency_cap)
    example = '{"contacts": 2, "days": 7}'


class Waves(Rule):
    json_schema = or_off(rule_shapes.WAVES)
    read = staticmethod(read_waves)
    example = '{"sizes": [100], "success_percent": 80}'


class Urgent(Rule):
    """Why a run is urgent. “off” means that it is not."""

    json_schema = or_off(rule_shapes.URGENT)
    read = staticmethod(UrgentRule.parse)
    example = '{"reason": "Flood warning for ward 5"}'


def rules_json(campaign: Campaign) -> dict[str, Any]:
    """Return the rules that hold for the live run, otherwise those of the next one; nothing if there are none.

    While the run waits for its calling hours, `waits_until` says when they begin. `expected_end` is an estimate. `wave` says
    how the run's wave stands. `left_out` counts the recipients that the rules of the latest run have left out.
    """
    run = live_run(campaign.pk)
    if run is None or run.trial:
        return shown_rules(chosen_rules(campaign)) | _left_out_json(campaign)
    run.campaign = campaign
    shown = shown_rules(run.rules) | _waiting_json(run) | _end_json(run)
    return shown | _wave_json(run) | _left_out_json(campaign)


def waiting_wave_json(campaign: Campaign) -> dict[str, Any]:
    """Return what a list shows of a campaign that waits for a go-ahead (see `with_status`), or nothing for others."""
    return {"wave": {"state": GO_AHEAD}} if getattr(campaign, "waits_for_go_ahead", False) else {}


def left_out_json(recipient: Recipient, status: DeliveryStatus | None) -> dict[str, Any]:
    """Return why the rules of the run left out a recipient that is shown with this status, or nothing."""
    reason = reason_of_recipient(recipient) if status == DeliveryStatus.TERMINATED else None
    return {} if reason is None else {"left_out": reason._asdict()}


def _wave_json(run: Run) -> dict[str, Any]:
    rule = rules_of(run).waves
    if rule is None:
        return {}
    size = rule.size(run.wave)
    shown: dict[str, Any] = {"number": run.wave, "size": size, "state": "sending"}
    reason = reason_of_run(run)
    if reason is not None:
        progress = waves.progress_of(run)
        shown |= {
            "state": GO_AHEAD if run.waits_since else "waiting for results",
            "message": reason.message,
            "succeeded": progress.succeeded,
            "in_progress": progress.unfinished,
        }
    return {"wave": shown}


def _left_out_json(campaign: Campaign) -> dict[str, Any]:
    """Return how many recipients were left out for each reason (see `with_left_out`), or nothing if none were."""
    fields = {LeftOut.DUPLICATE: "duplicate_count", LeftOut.FREQUENCY_CAP: "over_cap_count"}
    counts = {reason.value: getattr(campaign, field, None) for reason, field in fields.items()}
    shown = {code: count for code, count in counts.items() if count}
    return {"left_out": shown} if shown else {}


def shown_rules(rules: Mapping[str, Any]) -> dict[str, Any]:
    return {name: rules[name] for name in (*RULES, URGENT) if rules.get(name) is not None}


def reach_json(state: RecipientState) -> dict[str, Any]:
    """Return what the rules of the run did with a recipient; nothing without such rules.

    That is how often it was tried, when the next try is due, and why it was left out.
    """
    shown = left_out_json(state.recipient, state.status)
    if state.attempts is not None:
        shown["attempts"] = state.attempts
    if state.attempts is not None or state.next_try_at is not None:
        at = state.next_try_at
        shown["next_try_at"] = None if at is None else timezone.localtime(at).isoformat()
    return shown


def _end_json(run: Run) -> dict[str, Any]:
    end = expected_end(run)
    return {} if end is None else {"expected_end": timezone.localtime(end).isoformat(timespec="seconds")}


def _waiting_json(run: Run) -> dict[str, Any]:
    waits = run.status == RunStatus.RUNNING and run.filled_at is None
    if not waits or run.opens_at is None or run.opens_at <= timezone.now():
        return {}
    return {"waits_until": timezone.localtime(run.opens_at).isoformat()}
