"""`manage.py settingstable`: write the table of environment variables into docs/operations.md.

The descriptions come from settings.py.
"""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError

from iris.environment import VARIABLES

BEGIN = "<!-- settings: written by `manage.py settingstable` -->"
END = "<!-- end of settings -->"


def table() -> str:
    """Return the table with one row for each variable, in the order of settings.py."""
    rows = ["| variable | meaning | default |", "|---|---|---|"]
    for variable in VARIABLES.values():
        about = variable.about.replace("|", "\\|")
        rows.append(f"| `{variable.name}` | {about} | {variable.default or '–'} |")
    return "\n".join(rows)


class Command(BaseCommand):
    help = (
        "Writes the table of settings into docs/operations.md; --check only checks whether it is up to date."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--check", action="store_true", help="change nothing; fail if the table is out of date"
        )

    def handle(self, *args: Any, check: bool, **options: Any) -> None:
        document = settings.BASE_DIR / "docs" / "operations.md"
        before = document.read_text()
        head, begin, rest = before.partition(BEGIN)
        _, end, tail = rest.partition(END)
        if not begin or not end:
            raise CommandError(
                f"{document} has no place for the table: it needs the lines {BEGIN} and {END}."
            )
        after = f"{head}{BEGIN}\n\n{table()}\n\n{END}{tail}"
        if check and after != before:
            raise CommandError(f"{document} is out of date. Run: python manage.py settingstable")
        if not check:
            document.write_text(after)
