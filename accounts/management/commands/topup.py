from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils import timezone

from accounts import credits, services
from accounts.models import Account, CreditEntry
from iris.errors import IrisError


class Command(BaseCommand):
    help = "Adds credits to an account."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", help="the e-mail address of the owner, or the number of the account")
        parser.add_argument("amount", help="credits, with at most two decimals")
        parser.add_argument("--note", default="Top-up by the operator", help="shown in the ledger")
        parser.add_argument(
            "--cause",
            help="a unique name of this payment, such as an invoice number: the same cause is booked only once",
        )

    def handle(
        self, *args: Any, email: str, amount: str, note: str, cause: str | None, **options: Any
    ) -> None:
        try:
            account = services.chosen_account(email)
            if account.is_twin:
                raise CommandError(
                    f"{account} is a test twin: its credits are for tests only, and its members fill them up themselves with"
                    f" POST /api/system/twin/. To top up its account, give the number {account.twin_of_id}."
                )
            with transaction.atomic():
                # The lock makes a second command with the same cause wait here, so that it then sees the entry of the first.
                Account.objects.select_for_update(no_key=True).get(pk=account.pk)
                before = CreditEntry.objects.filter(kind=CreditEntry.Kind.TOPUP, cause=cause or "").first()
                entry = credits.top_up(account=account, amount=read_amount(amount), note=note, cause=cause)
        except IrisError as error:
            raise CommandError(error.message) from error
        account.refresh_from_db(fields=["balance"])
        if before is None:
            result = f"{account} was given {entry.amount} credits"
        else:
            day = timezone.localtime(before.created_at)
            result = f"{cause} was already booked on {day:%Y-%m-%d %H:%M}, so {account} received nothing"
        self.stdout.write(f"{result} and can now spend {account.balance}.")


def read_amount(text: str) -> Decimal:
    """Parse the amount that the operator typed. Raises CommandError."""
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise CommandError(f"{text!r} is not a number of credits: write it as 500 or 12.50.") from error
