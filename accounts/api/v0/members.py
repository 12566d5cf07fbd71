"""The members of an account, and the accounts of a person. TingTing's API has neither; this is an addition of iris."""

from __future__ import annotations

from typing import Any, cast

from django.db.models import F, OuterRef, Prefetch, Q, Subquery
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import members
from accounts.api.account import Access, access_of, account_of
from accounts.api.permissions import needs
from accounts.models import Account, Member, User
from accounts.permissions import OWNER, PRESETS, AccountKind, Permission, preset_of
from iris.api.envelope import success
from iris.api.fields import Text, validated
from iris.api.lists import Words
from iris.api.pagination import paginate
from iris.api.viewsets import V0ViewSet

NOTHING_SENT = (
    f"Send a preset ({', '.join((*PRESETS, OWNER))}) or a list of permissions ({', '.join(Permission)})."
)


class Grant(serializers.Serializer[Any]):
    """What a member may do: a preset or a list of permissions."""

    preset = Text(required=False)
    permissions = Words({one.value: one for one in Permission}, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("preset" in attrs) == ("permissions" in attrs):
            raise serializers.ValidationError({"preset": NOTHING_SENT})
        if "preset" in attrs:
            is_owner, granted = members.parse_preset(attrs.pop("preset"))
        else:
            is_owner, granted = False, frozenset(attrs["permissions"])
        return {**attrs, "is_owner": is_owner, "permissions": granted}


class NewMember(Grant):
    email = Text(max_length=254, error_messages={"required": "Send the e-mail address of the person to add."})


class MemberViewSet(V0ViewSet):
    @needs(Permission.MANAGE_ACCOUNT, only=AccountKind.LIVE)
    def list(self, request: Request) -> Response:
        people = Member.objects.filter(account=account_of(request)).select_related("user")
        page = paginate(request, people)
        return success({"pagination": page.pagination, "members": [member_json(one) for one in page.items]})

    @needs(Permission.MANAGE_ACCOUNT, only=AccountKind.LIVE)
    def create(self, request: Request) -> Response:
        access = access_of(request)
        member = members.add(
            account=access.account, by=access.actor, **validated(NewMember(data=request.data))
        )
        message = "Member added."
        if member.invited:
            message += " This person has no password yet: an e-mail with a link to set one is on its way."
        elif not member.user.has_usable_password():
            message += " This person has no password yet: the operator of this server sets it."
        return success({"member": member_json(member)}, message=message, status=201)

    @needs(Permission.MANAGE_ACCOUNT, only=AccountKind.LIVE)
    def update(self, request: Request, member_id: int) -> Response:
        access = access_of(request)
        # first, so that a wrong id is a 404 even if the body is invalid
        members.find(account=access.account, member_id=member_id)
        member = members.change(
            account=access.account,
            member_id=member_id,
            by=access.actor,
            **validated(Grant(data=request.data)),
        )
        return success({"member": member_json(member)}, message="Member changed.")

    @needs(None, only=AccountKind.LIVE)  # members may always remove themselves
    def destroy(self, request: Request, member_id: int) -> Response:
        access = access_of(request)
        members.remove(account=access.account, member_id=member_id, by=access.actor)
        return success(message="Member removed.")


class AccountViewSet(V0ViewSet):
    @needs(None)
    def list(self, request: Request) -> Response:
        """List the accounts of which the person is a member, and the account of the request. A key lists only its own."""
        access = access_of(request)
        mine = Member.objects.filter(user=cast(User, request.user))
        wanted = Q(pk=access.account.pk)
        if access.key is None:
            wanted |= Q(pk__in=mine.values("account"))
        accounts = (
            Account.objects.filter(wanted)
            .annotate(joined_at=Subquery(mine.filter(account=OuterRef("pk")).values("joined_at")))
            .order_by(F("joined_at").asc(nulls_last=True), "pk")
        )
        page = paginate(request, accounts.prefetch_related(Prefetch("members", mine, to_attr="mine")))
        return success(
            {
                "pagination": page.pagination,
                "accounts": [_account_json(account, access) for account in page.items],
            }
        )


def _account_json(account: Account, access: Access) -> dict[str, Any]:
    memberships: list[Member] = account.mine  # type: ignore[attr-defined]  # prefetched
    if memberships:
        preset, granted = memberships[0].preset, memberships[0].granted
    else:  # a department or a test twin, for which the person acts as a member of another account
        granted = access.granted
        preset = OWNER if access.is_owner else preset_of(granted)
    return {
        "id": account.pk,
        "name": account.name,
        "preset": preset,
        "permissions": [one for one in Permission if one in granted],
        "is_current": account.pk == access.account.pk,
        "parent": account.parent_id,
        "twin_of": account.twin_of_id,
    }


def member_json(member: Member) -> dict[str, Any]:
    user = member.user
    return {
        "id": member.pk,
        "email": user.email,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "preset": member.preset,
        "permissions": [one for one in Permission if one in member.granted],
        "joined_at": timezone.localtime(member.joined_at).isoformat(),
    }
