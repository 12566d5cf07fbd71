"""`manage.py settingstable`: write the table of environment variables into docs/operations.md.

The descriptions come from settings.py.
"""

from iris.environment import VARIABLES
from iris.management.generated_table import TableCommand


def table() -> str:
    """Return the table with one row for each variable, in the order of settings.py."""
    rows = ["| variable | meaning | default |", "|---|---|---|"]
    for variable in VARIABLES.values():
        about = variable.about.replace("|", "\\|")
        rows.append(f"| `{variable.name}` | {about} | {variable.default or '–'} |")
    return "\n".join(rows)


class Command(TableCommand):
    help = (
        "Writes the table of settings into docs/operations.md; --check only checks whether it is up to date."
    )
    document = "operations.md"
    begin = "<!-- settings: written by `manage.py settingstable` -->"
    end = "<!-- end of settings -->"

    def table(self) -> str:
        return table()
