"""Seed a sandbox with two accounts with credits, and with owned and purchasable phone numbers.

Seeding is idempotent: it adds only missing rows.
"""

import hashlib
from decimal import Decimal

from django.db import transaction

from accounts import credits, services
from accounts.models import Account
from telephony.models import PhoneNumber

CREDITS = Decimal(10_000)
RATE = Decimal(40)

DEMO_EMAIL, DEMO_PASSWORD = "demo@example.com", "demo-password"
OTHER_EMAIL, OTHER_PASSWORD = "other@example.com", "other-password"

OWNED = [f"980100000{last}" for last in range(1, 3)]
FOR_SALE = [f"98020000{last:02}" for last in range(1, 21)]


@transaction.atomic
def seed() -> None:
    demo = _account(email=DEMO_EMAIL, password=DEMO_PASSWORD, first_name="Demo", contact_number="9800000001")
    _account(email=OTHER_EMAIL, password=OTHER_PASSWORD, first_name="Other", contact_number="9800000002")
    PhoneNumber.objects.bulk_create(
        [_number(number, owner=demo) for number in OWNED] + [_number(number) for number in FOR_SALE],
        ignore_conflicts=True,  # numbers that were bought or released since remain unchanged
    )


def _account(*, email: str, password: str, first_name: str, contact_number: str) -> Account:
    account = Account.objects.filter(members__is_owner=True, members__user__email=email).first()
    if account is None:
        account = services.create_account(
            email=email,
            password=password,
            first_name=first_name,
            last_name="Account",
            contact_number=contact_number,
            address="Kathmandu",
            is_verified_email=True,
            is_verified_phone=True,
        )
    cause = f"seed:{email.partition('@')[0]}"
    credits.top_up(account=account, amount=CREDITS, cause=cause, note="Sandbox credits")
    return account


def _number(number: str, owner: Account | None = None) -> PhoneNumber:
    sid = hashlib.sha256(f"iris sandbox {number}".encode()).hexdigest()[:32]
    return PhoneNumber(number=number, sid=sid, rate=RATE, capabilities="Voice, SMS", owner=owner)
