"""Test how reports of Aakash are read and assigned to SMS."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from telephony.carriers.aakash import reports

ROW = {
    "id": "pre_5",
    "mobile": "9779841000001",
    "text": "Hi",
    "status": "Delivered",
    "updated_at": "2026-11-30 10:00:00",
}


@pytest.mark.parametrize(
    "body",
    [
        {"data": {"result": {"data": [ROW], "last_page": 1}}},
        {"data": [ROW]},
        {"data": {"data": [ROW]}},
        {"data": [{"message_id": 5, "recipient": 9841000001, "message": "Hi", "status": "delivered"}]},
        {
            "data": [
                {"message_id": 5, "receiver": "9841000001", "message": " Hi ", "status": "delivered"},
                5,
                {},
                None,
            ]
        },
    ],
)
def test_every_documented_shape_of_a_report_is_read(body: dict[str, Any]) -> None:
    page = reports.page_of(body)
    assert page is not None
    assert [(row.id, row.alike, row.status) for row in page.rows] == [
        ("5", ("9841000001", "Hi"), "delivered")
    ]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"data": None},
        {"data": {"result": 5}},
        {"data": {"result": {"data": "x"}}},
        {"data": [], "error": True},
    ],
)
def test_other_shapes_are_no_report(body: dict[str, Any]) -> None:
    assert reports.page_of(body) is None


def test_rows_are_assigned_by_id_or_else_by_number_text_and_time() -> None:
    now = timezone.now()
    alike = ("9841000001", "Hi")

    def sent(key: str, ref: str, minutes: int = 0) -> reports.Sent:
        return reports.Sent(key, ref, alike, now - timedelta(minutes=minutes))

    def row(identity: str, minutes: int = 0) -> reports.Row:
        return reports.Row(identity, alike, "delivered", now - timedelta(minutes=minutes), None)

    def keys(rows: list[reports.Row], *ones: reports.Sent) -> list[str]:
        return [one.key for _, one in reports.assign(rows, ones)]

    assert keys([row("5")], sent("a", "6"), sent("b", "5")) == ["b"]
    assert keys([row("5")], sent("a", "6")) == []  # both have ids, which differ
    assert keys([row("5")], sent("a", "")) == ["a"]
    assert keys([row("")], sent("a", "6")) == ["a"]
    assert keys([row("5", minutes=11)], sent("a", "")) == []
    assert keys([row("5"), row("6")], sent("a", ""), sent("b", "", minutes=1)) == ["b", "a"]
    assert keys([row("5"), row("5")], sent("a", "5")) == ["a"]  # no SMS gets two rows


def test_times_of_a_report_are_in_nepal() -> None:
    page = reports.page_of({"data": [ROW]})
    assert page is not None
    assert page.rows[0].changed_at == datetime(2026, 11, 30, 4, 15, tzinfo=UTC)
