"""`manage.py errorcodes`: write the codes of errors into docs/errors.md, and into the file that pages show."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management import CommandError

from iris.api.openapi.errors import STORED, ErrorCode, dumped
from iris.management.error_sources import found_in
from iris.management.generated_table import TableCommand


class Command(TableCommand):
    help = "Writes the codes of errors into docs/errors.md; --check only checks whether it is up to date."
    document = "errors.md"
    begin = "<!-- errors: written by `manage.py errorcodes` -->"
    end = "<!-- end of errors -->"

    def table(self) -> str:
        return "\n\n".join(map(section, found_in(settings.BASE_DIR)))

    def handle(self, *args: Any, check: bool, **options: Any) -> None:
        super().handle(*args, check=check, **options)
        text = dumped(found_in(settings.BASE_DIR))
        if not check:
            STORED.write_text(text, encoding="utf-8")
        elif not STORED.exists() or text != STORED.read_text(encoding="utf-8"):
            raise CommandError(f"{STORED} is out of date. Run: python manage.py errorcodes")


def section(one: ErrorCode) -> str:
    """Return the Markdown about one code."""
    lines = [f"## `{one.code}`", "", f"HTTP status {one.statuses}.{' ' + one.about if one.about else ''}"]
    if one.sentences:
        lines += ["", *(f"* {sentence}" for sentence in one.sentences)]
    return "\n".join(lines)
