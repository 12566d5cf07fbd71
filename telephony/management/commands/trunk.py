"""`manage.py trunk`: pause and resume a trunk, or change its pace, while everything runs."""

from __future__ import annotations

from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser

from iris.errors import IrisError
from telephony.engine import circuit_breaker


class Command(BaseCommand):
    help = (
        "Pauses or resumes a trunk, or sets its pace. All processes obey within a second, without a restart."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        pause = actions.add_parser(
            "pause", help="submits nothing more over the trunk; its queue uses the next trunk of the route"
        )
        pause.add_argument("--reason", default="", help="shown to other operators")
        resume = actions.add_parser("resume", help="ends a pause or a rest, whoever began it")
        set_pace = actions.add_parser(
            "set-pace", help="sets how many calls or SMS a second the trunk submits"
        )
        for action in (pause, resume, set_pace):
            action.add_argument("alias", help="name of the trunk in the carriers file")
        set_pace.add_argument(
            "pace", help='calls or SMS a second, or "default" for the CPS of the carriers file'
        )

    def handle(self, *args: Any, **options: Any) -> None:
        alias = options["alias"]
        try:
            match options["action"]:
                case "pause":
                    circuit_breaker.pause(alias, reason=options["reason"])
                    self.stdout.write(
                        f"{alias} is paused until you resume it: manage.py trunk resume {alias}"
                    )
                case "resume":
                    was_paused = circuit_breaker.resume(alias)
                    self.stdout.write(f"{alias} is resumed." if was_paused else f"{alias} was not paused.")
                case "set-pace":
                    self._set_pace(alias, options["pace"])
        except IrisError as error:
            raise CommandError(str(error)) from error

    def _set_pace(self, alias: str, text: str) -> None:
        pace = None
        if text != "default":
            try:
                pace = float(text)
            except ValueError:
                raise CommandError(f'The pace must be a number or "default"; it is {text!r}.') from None
        circuit_breaker.set_pace(alias, pace)
        shown = "that of the carriers file" if pace is None else f"{pace:g} a second"
        self.stdout.write(f"The pace of {alias} is {shown}.")
