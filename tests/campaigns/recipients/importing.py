"""Campaigns whose sheets are imported in the background."""

from __future__ import annotations

from io import BytesIO

from campaigns import services
from campaigns.models import Campaign, Service, SheetImport
from tests.factories import make_account, make_sheet


def large_sheet() -> BytesIO:
    people = [[9841000000 + row, f"Person {row}"] for row in range(5)]
    return make_sheet(["numbers", "name"], *people[:3], ["wrong", "Nobody"], *people[3:])


def create_with_sheet(sheet: BytesIO | None = None) -> tuple[Campaign, SheetImport]:
    campaign, errors, _ = services.create_campaign(
        account=make_account(credits=10), name="Large", service=Service.SMS, sheet=sheet or large_sheet()
    )
    assert errors == []
    return campaign, campaign.imports.get()
