"""Create tariffs for tests, and say what they charge in the simplest way."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from io import BytesIO

from accounts.models import Account
from telephony.models import Channel, Tariff, TariffOfAccount, TariffPrice

# channel, prefix, credits, pulse seconds
Row = tuple[str, str, str | Decimal, int | None]


def make_tariff(*rows: Row, name: str = "", account: Account | None = None, **fields: bool) -> Tariff:
    """Create a tariff with these prices. `account` gets it."""
    tariff = Tariff.objects.create(name=name or f"Tariff {Tariff.objects.count() + 1}", **fields)
    TariffPrice.objects.bulk_create(
        TariffPrice(
            tariff=tariff, channel=channel, prefix=prefix, credits=Decimal(credits), pulse_seconds=pulse
        )
        for channel, prefix, credits, pulse in rows
    )
    if account is not None:
        TariffOfAccount.objects.create(account=account, tariff=tariff)
    return tariff


def call(prefix: str, credits: str | Decimal, pulse: int = 60) -> Row:
    return Channel.CALL.value, prefix, credits, pulse


def sms(prefix: str, credits: str | Decimal) -> Row:
    return Channel.SMS.value, prefix, credits, None


def price_of(rows: Iterable[Row], channel: Channel, to: str) -> Row | None:
    """Return the row with the longest prefix of a number, by trying all rows."""
    fitting = [row for row in rows if row[0] == channel.value and to[1:].startswith(row[1])]
    return max(fitting, key=lambda row: len(row[1]), default=None)


def csv_file(*lines: str) -> BytesIO:
    return BytesIO("\n".join(lines).encode())
