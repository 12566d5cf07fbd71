from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import services
from accounts.models import Account
from iris.errors import IrisError
from telephony.inventory import states
from telephony.models import PhoneNumber
from telephony.models.numbers import NumberState

DONE = {
    "assign": "assigned",
    "reserve": "reserved",
    "offer": "offered for sale",
    "retire": "retired",
}


class Command(BaseCommand):
    help = (
        "Assigns, reserves, offers or retires phone numbers of the inventory, all of them or none. Without an action, it"
        " counts the numbers in each state."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", nargs="?", choices=list(DONE), help="what to do with the numbers")
        parser.add_argument("numbers", nargs="*", help="the phone numbers, in any spelling")
        parser.add_argument(
            "--account",
            help="the account to assign to or to reserve for: its number, or the e-mail of its owner",
        )

    def handle(
        self, *args: Any, action: str | None, numbers: list[str], account: str | None, **options: Any
    ) -> None:
        if action is None:
            for state in NumberState:
                count = PhoneNumber.objects.filter(invented_for=None).in_state(state).count()
                self.stdout.write(f"{state.value}: {count:,}")
            return
        if not numbers:
            raise CommandError(f"Write the phone numbers that are to be {DONE[action]}.")
        try:
            count = _act(action, states.find_numbers(numbers), account and services.chosen_account(account))
        except IrisError as error:
            raise CommandError(error.message) from error
        self.stdout.write(f"{count:,} numbers {DONE[action]}.")


def _act(action: str, ids: list[int], account: Account | None | str) -> int:
    chosen = account if isinstance(account, Account) else None
    if action == "assign":
        if chosen is None:
            raise CommandError("Name the account with --account.")
        return states.assign(ids, account=chosen)
    if action == "reserve":
        return states.reserve(ids, account=chosen)
    if chosen is not None:
        raise CommandError(f"{action} takes no --account.")
    return states.offer(ids) if action == "offer" else states.retire(ids)
