import sys
from typing import Any

from django.core.management.base import BaseCommand

from accounts.ledger import PARTS, check_ledger, store
from iris.progress import progress


class Command(BaseCommand):
    help = "Checks that the ledger explains every credit. Exits with 1 if it finds a difference."

    def handle(self, *args: Any, **options: Any) -> None:
        with progress("Checking", total=len(PARTS)) as advance:
            checked = check_ledger(advance=advance)
        store(checked)
        for difference in checked.differences:
            self.stderr.write(difference)
        if checked.differences:
            self.stderr.write(f"ledger wrong: {len(checked.differences)} differences")
            sys.exit(1)
        self.stdout.write(
            f"ledger exact: {checked.accounts} accounts, {checked.entries} entries, difference 0"
        )
