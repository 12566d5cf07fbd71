from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from iris.errors import IrisError
from iris.management.import_files import opened
from telephony.inventory.imports import NEEDED, OPTIONAL, import_numbers


class Command(BaseCommand):
    help = (
        f"Imports phone numbers for sale from a CSV file with the columns {', '.join(NEEDED)}, and if needed"
        f" {', '.join(OPTIONAL)}."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="a CSV file in UTF-8; - is standard input")
        parser.add_argument(
            "--update",
            action="store_true",
            help="give numbers that exist already the values of the file, instead of refusing them",
        )

    def handle(self, *args: Any, file: str, update: bool, **options: Any) -> None:
        with opened(file) as stream:
            try:
                done = import_numbers(file=stream, updates=update)
            except IrisError as error:
                raise CommandError(error.message) from error
        self.stdout.write(f"{done.added:,} numbers added and {done.changed:,} updated.")
