from typing import Any

from django.core.management.base import BaseCommand

from campaigns.reports import statements


class Command(BaseCommand):
    help = (
        "Stores the statements of all days that ended more than two hours ago. The workers do the same every half hour; "
        "this command is for servers without them, and for the first time after an upgrade."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        closed = list(statements.close_days())
        if not closed:
            self.stdout.write("Nothing to do: all days that have ended are closed.")
        else:
            self.stdout.write(f"Closed {len(closed)} days, from {closed[0]} to {closed[-1]}.")
