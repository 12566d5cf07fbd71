from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import apikeys, services
from iris.errors import NotFound


class Command(BaseCommand):
    help = "Ends all logins of an account: its tokens are refused from now on."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--keys", action="store_true", help="also revoke the API keys")

    def handle(self, *args: Any, email: str, keys: bool, **options: Any) -> None:
        try:
            user = services.find_account(email=email)
        except NotFound as error:
            raise CommandError(error.message) from error
        services.end_all_logins(user_ids=[user.pk])
        self.stdout.write(f"All logins of {user.email} have ended.")
        if keys:
            self.stdout.write(f"{apikeys.revoke_all(user_ids=[user.pk])} API keys were revoked.")
