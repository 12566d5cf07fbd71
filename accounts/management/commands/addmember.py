from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import members, services
from accounts.models import Member
from accounts.permissions import ALL, OWNER, PRESETS
from iris.errors import IrisError

OPERATOR = members.Actor(granted=ALL, is_owner=True)


class Command(BaseCommand):
    help = "Makes a person a member of an account, or changes what a member may do."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("account", help="the e-mail address of the owner, or the number of the account")
        parser.add_argument(
            "email",
            help="the e-mail address of the person. A person who is new to iris gets a login without a password",
        )
        parser.add_argument("preset", choices=[*PRESETS, OWNER])

    def handle(self, *args: Any, account: str, email: str, preset: str, **options: Any) -> None:
        is_owner, permissions = members.parse_preset(preset)
        try:
            chosen = services.chosen_account(account)
            member = Member.objects.filter(account=chosen, user__email__iexact=email.strip()).first()
            if member is None:
                member = members.add(
                    account=chosen, email=email, is_owner=is_owner, permissions=permissions, by=OPERATOR
                )
            else:
                member = members.change(
                    account=chosen,
                    member_id=member.pk,
                    is_owner=is_owner,
                    permissions=permissions,
                    by=OPERATOR,
                )
        except IrisError as error:
            raise CommandError(error.message) from error
        self.stdout.write(f"{member.user.email} is now {member.preset} of {chosen} ({chosen.pk}).")
        if member.invited:
            self.stdout.write("An e-mail with a link to set a password is on its way.")
        elif not member.user.has_usable_password():
            self.stdout.write(f"Set a password with: manage.py changepassword {member.user.email}")
