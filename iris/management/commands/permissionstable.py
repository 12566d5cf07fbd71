"""`manage.py permissionstable`: write docs/permissions.md from the declarations of the views."""

import re
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError
from django.urls import URLPattern, URLResolver, get_resolver

from accounts.api.permissions import needed_by
from accounts.permissions import MEANINGS, OWNER, PRESETS, Permission

BEGIN = "<!-- permissions: written by `manage.py permissionstable` -->"
END = "<!-- end of permissions -->"
NOBODY = "nobody: no login needed"
ANYBODY = "any"


def routes() -> Iterator[tuple[str, str, str]]:
    """Yield the path, the method and the needed permission of every operation of the APIs, in the order of the URLs."""
    for path, pattern in _patterns(get_resolver().url_patterns):
        view = getattr(pattern.callback, "cls", None)
        if view is None or not path.startswith("/api/") or not path.endswith("/"):
            continue  # each route exists without and with the slash
        actions: dict[str, str] = getattr(pattern.callback, "actions", None) or {
            method: method for method in ("get", "post", "put", "patch", "delete") if hasattr(view, method)
        }
        for method, name in sorted(actions.items()):
            if method == "head":
                continue
            if not view.permission_classes:
                needed = NOBODY
            else:
                permission = needed_by(view, name)
                needed = ANYBODY if permission is None else permission.value
            yield path, method.upper(), needed


def table() -> str:
    """Return the tables of permissions, presets and routes as Markdown."""
    lines = ["| permission | allows to |", "|---|---|"]
    lines += [f"| `{one}` | {MEANINGS[one]} |" for one in Permission]
    lines += ["", "| preset | permissions |", "|---|---|"]
    for name, preset in PRESETS.items():
        lines.append(f"| {name} | {', '.join(f'`{one}`' for one in Permission if one in preset)} |")
    lines.append(f"| {OWNER} | all, also those that later releases add |")
    lines += ["", "| route | methods | permission |", "|---|---|---|"]
    grouped: dict[tuple[str, str], list[str]] = {}
    for path, method, needed in routes():
        grouped.setdefault((path, needed), []).append(method)
    for (path, needed), methods in grouped.items():
        shown = needed if needed in (NOBODY, ANYBODY) else f"`{needed}`"
        lines.append(f"| `{path}` | {', '.join(methods)} | {shown} |")
    return "\n".join(lines)


def _patterns(patterns: list[Any], prefix: str = "/") -> Iterator[tuple[str, URLPattern]]:
    for pattern in patterns:
        path = prefix + re.sub(r"^\^/\?", "", str(pattern.pattern))
        if isinstance(pattern, URLResolver):
            yield from _patterns(pattern.url_patterns, path)
        else:
            yield path, pattern


class Command(BaseCommand):
    help = "Writes the tables of docs/permissions.md; --check only checks whether they are up to date."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--check", action="store_true", help="change nothing; fail if the tables are out of date"
        )

    def handle(self, *args: Any, check: bool, **options: Any) -> None:
        document = settings.BASE_DIR / "docs" / "permissions.md"
        before = document.read_text()
        head, begin, rest = before.partition(BEGIN)
        _, end, tail = rest.partition(END)
        if not begin or not end:
            raise CommandError(
                f"{document} has no place for the tables: it needs the lines {BEGIN} and {END}."
            )
        after = f"{head}{BEGIN}\n\n{table()}\n\n{END}{tail}"
        if check and after != before:
            raise CommandError(f"{document} is out of date. Run: python manage.py permissionstable")
        if not check:
            document.write_text(after)
