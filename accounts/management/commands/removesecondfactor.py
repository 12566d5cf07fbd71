from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import services
from iris.errors import NotFound


class Command(BaseCommand):
    help = "Removes two-step sign-in, for a person who has lost phone, keys and recovery codes. Ends all their logins."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")

    def handle(self, *args: Any, email: str, **options: Any) -> None:
        try:
            user = services.find_user(email=email)
        except NotFound as error:
            raise CommandError(error.message) from error
        if services.remove_second_factor(user=user):
            self.stdout.write(
                f"{user.email} now signs in with the password alone. All their logins have ended."
            )
        else:
            self.stdout.write(f"{user.email} had no two-step sign-in. All their logins have ended.")
