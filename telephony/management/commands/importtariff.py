from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from iris.errors import IrisError
from iris.management.import_files import opened
from telephony.models import Tariff
from telephony.tariffs.imports import COLUMNS, import_prices


class Command(BaseCommand):
    help = f"Imports the prices of a tariff from a CSV file with the columns {', '.join(COLUMNS)}."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="a CSV file in UTF-8; - is standard input")
        parser.add_argument("--tariff", required=True, metavar="NAME", help="the tariff, by its name")
        parser.add_argument("--create", action="store_true", help="create the tariff if it does not exist")
        parser.add_argument(
            "--replace", action="store_true", help="remove the tariff's prices that are not in the file"
        )

    def handle(self, *args: Any, file: str, tariff: str, create: bool, replace: bool, **options: Any) -> None:
        name = tariff.strip()
        with opened(file) as stream:
            try:
                with transaction.atomic():
                    done = import_prices(tariff=_chosen(name, create=create), file=stream, replaces=replace)
            except IrisError as error:
                raise CommandError(error.message) from error
        self.stdout.write(f"{done.rows:,} prices imported. The tariff {name} now has {done.prices:,}.")


def _chosen(name: str, *, create: bool) -> Tariff:
    found = Tariff.objects.filter(name=name).first()
    if found is not None:
        return found
    if create:
        if not 0 < len(name) <= 100:
            raise CommandError("The name of a tariff has 1 to 100 characters.")
        return Tariff.objects.create(name=name)
    known = ", ".join(Tariff.objects.order_by("name").values_list("name", flat=True)[:20]) or "none yet"
    raise CommandError(f"There is no tariff {name}. Use --create to create it. The tariffs are: {known}.")
