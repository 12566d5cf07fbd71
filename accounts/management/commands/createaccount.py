import getpass
import os
import sys
from pathlib import Path
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import services
from accounts.management.commands.topup import read_amount
from accounts.models import User
from iris.errors import IrisError


class Command(BaseCommand):
    help = "Creates an account and the person who owns it and can log in to the API."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument(
            "--password",
            help="other users of this machine can see it; prefer the prompt, --password-file or --password-env",
        )
        parser.add_argument(
            "--password-file",
            metavar="PATH",
            help="a file whose first line is the password; - is standard input",
        )
        parser.add_argument(
            "--password-stdin",
            action="store_const",
            const="-",
            dest="password_file",
            help="the same as --password-file -",
        )
        parser.add_argument(
            "--password-env", metavar="NAME", help="the environment variable that contains the password"
        )
        parser.add_argument("--name", default="", help="of the account; default: the e-mail address")
        parser.add_argument("--first-name", default="")
        parser.add_argument("--last-name", default="")
        parser.add_argument("--username", default="", help="default: derived from the e-mail address")
        parser.add_argument("--contact-number", default="")
        parser.add_argument("--address", default="")
        parser.add_argument(
            "--parent",
            help="creates a department of this account: the e-mail address of its owner, or its number",
        )
        parser.add_argument(
            "--credits", default="0", help="the opening credits; those of a department come from its parent"
        )

    def handle(self, *args: Any, email: str, credits: str, **options: Any) -> None:
        fields = {
            name: options[name]
            for name in ("first_name", "last_name", "username", "contact_number", "address")
        }
        opening_credits = read_amount(credits)
        password = self._password(options["password"], options["password_file"], options["password_env"])
        try:
            validate_password(password, User(email=email, **fields))
            account = services.create_account(
                email=email,
                password=password,
                name=options["name"],
                opening_credits=opening_credits,
                parent=services.chosen_account(options["parent"]) if options["parent"] else None,
                **fields,
            )
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        except IrisError as error:
            raise CommandError(error.message) from error
        account.refresh_from_db(fields=["balance"])
        email = services.find_user(email=email).email
        self.stdout.write(f"{email} can now log in, and has {account.balance} credits.")

    def _password(self, given: str | None, path: str | None, name: str | None) -> str:
        if [given, path, name].count(None) < 2:
            raise CommandError("Give the password in one way: --password, --password-file or --password-env.")
        if path is not None:
            return _first_line_of(path)
        if name is not None:
            if name not in os.environ:
                raise CommandError(f"There is no environment variable {name}. Set it to the password.")
            return os.environ[name]
        return self._ask() if given is None else given

    def _ask(self) -> str:
        if not sys.stdin.isatty():
            raise CommandError(
                "The command cannot prompt for a password, because standard input is not a terminal. Use "
                "--password-file PATH, --password-env NAME, or --password-file - to read it from standard input."
            )
        password = getpass.getpass("Password: ")
        if getpass.getpass("Password (again): ") != password:
            raise CommandError("The two passwords are not the same. Start again.")
        return password


def _first_line_of(path: str) -> str:
    try:
        if path == "-":
            line = sys.stdin.readline()
        else:
            with Path(path).open(encoding="utf-8") as file:
                line = file.readline()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"The password cannot be read from {path}: {error}") from error
    password = line.rstrip("\r\n")
    if not password:
        source = "standard input" if path == "-" else path
        raise CommandError(f"The first line of {source} is empty. It must be the password.")
    return password
