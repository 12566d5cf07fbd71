"""`manage.py permissionstable`: write docs/permissions.md from the declarations of the views."""

from collections.abc import Iterator

from accounts.api.permissions import kind_needed_by, needed_by
from accounts.permissions import MEANINGS, OWNER, PRESETS, AccountKind, Permission
from iris.api.openapi.routes import routes as routes_of_api
from iris.management.generated_table import TableCommand

NOBODY = "none: no login needed"
ANYBODY = "any"


def routes() -> Iterator[tuple[str, str, str]]:
    """Yield the path, the method and the needed permission of every operation of the APIs, in the order of the URLs."""
    for path, method, needed, _ in operations():
        yield path, method, needed


def operations() -> Iterator[tuple[str, str, str, AccountKind | None]]:
    """Yield the same, and the kind of account to which an operation is restricted."""
    for route in routes_of_api():
        if route.path.startswith("/sandbox/"):
            continue  # only the phones of test twins: the table is about what members may do in both dialects
        view = route.view
        for method, name in sorted(route.actions.items()):
            kind = None
            if not view.permission_classes:
                needed = NOBODY
            else:
                permission, kind = needed_by(view, name), kind_needed_by(view, name)
                needed = ANYBODY if permission is None else permission.value
            yield route.path, method.upper(), needed, kind


def table() -> str:
    """Return the tables of permissions, presets and routes as Markdown."""
    lines = ["| permission | allows its holder to |", "|---|---|"]
    lines += [f"| `{one}` | {MEANINGS[one]} |" for one in Permission]
    lines += ["", "| preset | permissions |", "|---|---|"]
    for name, preset in PRESETS.items():
        lines.append(f"| {name} | {', '.join(f'`{one}`' for one in Permission if one in preset)} |")
    lines.append(f"| {OWNER} | all, also those that later releases add |")
    lines += ["", "| route | methods | permission |", "|---|---|---|"]
    grouped: dict[tuple[str, str, AccountKind | None], list[str]] = {}
    for path, method, needed, kind in operations():
        grouped.setdefault((path, needed, kind), []).append(method)
    for (path, needed, kind), methods in grouped.items():
        shown = needed if needed in (NOBODY, ANYBODY) else f"`{needed}`"
        if kind is AccountKind.LIVE:
            shown += ", no test twin"
        lines.append(f"| `{path}` | {', '.join(methods)} | {shown} |")
    return "\n".join(lines)


class Command(TableCommand):
    help = "Writes the tables of docs/permissions.md; --check only checks whether they are up to date."
    document = "permissions.md"
    begin = "<!-- permissions: written by `manage.py permissionstable` -->"
    end = "<!-- end of permissions -->"

    def table(self) -> str:
        return table()
