"""Seed a sandbox with two accounts with credits, and with owned and purchasable phone numbers.

Seeding is idempotent: it adds only missing rows.
"""

import hashlib
from decimal import Decimal

from django.db import transaction

from accounts import credits
from accounts.models import User
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


def _account(*, email: str, password: str, first_name: str, contact_number: str) -> User:
    user = User.objects.filter(email=email).first()
    if user is None:
        user = User.objects.create_user(
            email,
            password,
            first_name=first_name,
            last_name="Account",
            contact_number=contact_number,
            address="Kathmandu",
            is_verified_email=True,
            is_verified_phone=True,
        )
    credits.top_up(user=user, amount=CREDITS, cause=f"seed:{email.partition('@')[0]}", note="Sandbox credits")
    return user


def _number(number: str, owner: User | None = None) -> PhoneNumber:
    sid = hashlib.sha256(f"iris sandbox {number}".encode()).hexdigest()[:32]
    return PhoneNumber(number=number, sid=sid, rate=RATE, capabilities="Voice, SMS", owner=owner)
