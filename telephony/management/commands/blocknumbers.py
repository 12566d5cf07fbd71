from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from iris.errors import IrisError
from iris.management.import_files import opened
from telephony.optouts.blocked import import_blocked, unblock


class Command(BaseCommand):
    help = "Blocks the numbers of a CSV file for all accounts, or ends the block of one number."

    def add_arguments(self, parser: CommandParser) -> None:
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument(
            "file",
            nargs="?",
            help="a CSV file in UTF-8 with the column number, and optionally also_otps (yes or no) and reason; - is"
            " standard input",
        )
        what.add_argument("--remove", metavar="NUMBER", help="end the block of this number")

    def handle(self, *args: Any, file: str | None, remove: str | None, **options: Any) -> None:
        try:
            if remove is not None:
                was_blocked = unblock(remove)
                self.stdout.write(
                    f"{remove} is no longer blocked." if was_blocked else f"{remove} was not blocked."
                )
                return
            assert file is not None
            with opened(file) as stream:
                self.stdout.write(f"{import_blocked(file=stream):,} numbers are blocked for all accounts.")
        except IrisError as error:
            raise CommandError(error.message) from error
