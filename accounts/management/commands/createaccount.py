import getpass
import sys
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import services
from accounts.management.commands.topup import read_amount
from accounts.models import User
from iris.errors import IrisError


class Command(BaseCommand):
    help = "Opens an account that can log in to the API."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument(
            "--password", help="asked for when it is not given; others on this machine can see it here"
        )
        parser.add_argument("--first-name", default="")
        parser.add_argument("--last-name", default="")
        parser.add_argument(
            "--username", default="", help="made from the e-mail address when it is not given"
        )
        parser.add_argument("--contact-number", default="")
        parser.add_argument("--address", default="")
        parser.add_argument("--credits", default="0", help="credits to begin with")

    def handle(self, *args: Any, email: str, password: str | None, credits: str, **options: Any) -> None:
        fields = {
            name: options[name]
            for name in ("first_name", "last_name", "username", "contact_number", "address")
        }
        opening_credits = read_amount(credits)
        password = self._ask() if password is None else password
        try:
            validate_password(password, User(email=email, **fields))
            user = services.create_account(
                email=email, password=password, opening_credits=opening_credits, **fields
            )
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        except IrisError as error:
            raise CommandError(error.message) from error
        user.refresh_from_db(fields=["balance"])
        self.stdout.write(f"{user.email} can now log in, and has {user.balance} credits.")

    def _ask(self) -> str:
        if not sys.stdin.isatty():
            raise CommandError("There is nobody to ask for a password here: give it with --password.")
        password = getpass.getpass("Password: ")
        if getpass.getpass("Once more: ") != password:
            raise CommandError("The two passwords are not the same. Start again.")
        return password
