from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import apikeys, services
from iris.errors import NotFound


class Command(BaseCommand):
    help = "Ends all logins of a person: their tokens and browser sessions are refused from now on."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument(
            "--keys",
            action="store_true",
            help="also revoke the API keys of the accounts that the person owns",
        )

    def handle(self, *args: Any, email: str, keys: bool, **options: Any) -> None:
        try:
            user = services.find_user(email=email)
        except NotFound as error:
            raise CommandError(error.message) from error
        services.end_all_logins(user_ids=[user.pk])
        self.stdout.write(f"All logins of {user.email} have ended.")
        if keys:
            owned = user.memberships.filter(is_owner=True).values_list("account", flat=True)
            self.stdout.write(f"{apikeys.revoke_all(account_ids=owned)} API keys were revoked.")
