"""The API keys of an account. TingTing's API has one key; these endpoints are an addition of iris."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import apikeys, twins
from accounts.api.account import Access, access_of, account_of
from accounts.api.permissions import needs
from accounts.api.retries import CREATED_KEY
from accounts.models import Account, ApiKey, User
from accounts.permissions import KEY_SCOPES, AccountKind, Permission, check_kind
from iris.api.envelope import success
from iris.api.fields import Moment, Text, sent_value, validated
from iris.api.lists import Words
from iris.api.pagination import paginate
from iris.api.viewsets import V0ViewSet, retries


class Expiry(Moment):
    default_error_messages = {
        "past": "{value} is in the past. Choose a time in the future, or omit this field."
    }


class Flag(serializers.BooleanField):
    default_error_messages = {"invalid": "Send true or false."}

    def get_value(self, dictionary: Mapping[Any, Any]) -> Any:
        return sent_value(dictionary, self.field_name)


class NewKey(serializers.Serializer[Any]):
    name = Text(max_length=100, error_messages={"required": "Give the key a name, such as “website”."})
    scopes = Words({scope.value: scope for scope in KEY_SCOPES})
    expires_at = Expiry(required=False)
    test = Flag(required=False)


class KeyViewSet(V0ViewSet):
    @needs(Permission.MANAGE_ACCOUNT)
    def list(self, request: Request) -> Response:
        """List the keys that were not revoked, including expired ones, and those of the test twin."""
        keys = apikeys.keys_of(account=account_of(request)).filter(revoked_at=None)
        page = paginate(request, keys.select_related("account", "created_by").order_by("-pk"))
        return success({"pagination": page.pagination, "keys": [key_json(key) for key in page.items]})

    @retries(CREATED_KEY)  # a repeated request does not get the key again
    @needs(Permission.MANAGE_ACCOUNT)
    def create(self, request: Request) -> Response:
        new = validated(NewKey(data=request.data))
        scopes = frozenset(new.pop("scopes"))
        access = access_of(request)
        access.actor.check_may_grant(is_owner=False, permissions=scopes)
        account = _account_of_key(access, test=new.pop("test", None))
        row, key = apikeys.create(account=account, created_by=cast(User, request.user), scopes=scopes, **new)
        return success(
            {"key": {**key_json(row), "token": key}},
            message="API key created. It is shown only now, so store it safely.",
            status=201,
        )

    @needs(Permission.MANAGE_ACCOUNT)
    def revoke(self, request: Request, key_id: int) -> Response:
        key = apikeys.revoke_key(account=account_of(request), key_id=key_id)
        return success({"key": key_json(key)}, message="API key revoked.")

    @needs(Permission.MANAGE_ACCOUNT)
    def revoke_all(self, request: Request) -> Response:
        revoked = apikeys.revoke_all(account_ids=[account_of(request).pk])
        return success({"revoked": revoked}, message="All API keys of this account were revoked.")


def _account_of_key(access: Access, *, test: bool | None) -> Account:
    """Return the account of a new key. A test twin has only test keys. Raises LiveAccountNeeded."""
    if access.account.is_twin:
        if test is False:
            check_kind(AccountKind.LIVE, is_twin=True, by_key=access.key is not None)
        return access.account
    return twins.open_twin(account=access.account) if test else access.account


def key_json(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.pk,
        "name": key.name or ("v1" if key.is_of_v1 else ""),
        "test": key.account.is_twin,
        "beginning": key.beginning,
        "scopes": key.scopes,
        "created_by": None if key.created_by is None else key.created_by.email,
        **{
            name: None if moment is None else timezone.localtime(moment).isoformat()
            for name, moment in (
                ("created_at", key.created_at),
                ("expires_at", key.expires_at),
                ("last_used_at", key.last_used_at),
                ("revoked_at", key.revoked_at),
            )
        },
    }
