"""The base of commands that write a generated table into a document."""

from argparse import ArgumentParser
from typing import Any, ClassVar

from django.conf import settings
from django.core.management import BaseCommand, CommandError


class TableCommand(BaseCommand):
    """Write `table()` between two marks of a document. With --check, only check whether the document is up to date."""

    requires_system_checks = ()
    document: ClassVar[str]  # in docs/
    begin: ClassVar[str]  # the marks
    end: ClassVar[str]

    def table(self) -> str:
        """Return the table as Markdown."""
        raise NotImplementedError

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--check", action="store_true", help="change nothing; fail if the document is out of date"
        )

    def handle(self, *args: Any, check: bool, **options: Any) -> None:
        document = settings.BASE_DIR / "docs" / self.document
        before = document.read_text()
        head, begin, rest = before.partition(self.begin)
        _, end, tail = rest.partition(self.end)
        if not begin or not end:
            raise CommandError(
                f"{document} has no place for the table: it needs the lines {self.begin} and {self.end}."
            )
        after = f"{head}{self.begin}\n\n{self.table()}\n\n{self.end}{tail}"
        if check and after != before:
            command = type(self).__module__.rpartition(".")[2]
            raise CommandError(f"{document} is out of date. Run: python manage.py {command}")
        if not check:
            document.write_text(after)
