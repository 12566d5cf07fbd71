import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import services, statements
from accounts.models import Account, Statement
from iris.errors import IrisError
from iris.progress import progress


class Command(BaseCommand):
    help = (
        "Computes the stored statements again from the ledger, and reports what differs: entries and statements that were "
        "changed, removed or inserted. Exits with 1 if it finds a difference."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "account",
            nargs="?",
            help="the e-mail address of the owner, or the number of the account; default: all accounts",
        )

    def handle(self, *args: Any, account: str | None, **options: Any) -> None:
        try:
            accounts = [services.chosen_account(account)] if account else Account.objects.order_by("pk")
        except IrisError as error:
            raise CommandError(error.message) from error
        differences = 0
        for sentence in statements.verify_days():
            differences += 1
            self.stderr.write(sentence)
        checked = 0
        with progress("Checking", total=len(accounts)) as advance:
            for one in accounts:
                checked += 1
                for sentence in statements.verify(one):
                    differences += 1
                    self.stderr.write(f"account {one.pk} {one.name}, {sentence}")
                advance(1)
        if differences:
            self.stderr.write(f"statements wrong: {differences} differences")
            sys.exit(1)
        stored = Statement.objects.filter(account__in=accounts).count()
        self.stdout.write(f"statements exact: {checked} accounts, {stored} statements, difference 0")
