"""Create, look up and revoke API keys."""

import hashlib
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, Q, QuerySet
from django.utils import timezone

from accounts.models import Account, ApiKey, Member, User
from accounts.permissions import KEY_SCOPES, Permission
from accounts.prepared import PreparedQuery
from iris.errors import Conflict, InvalidInput, NotAuthenticated, NotFound

# `last_used_at` may lag by this much, so that a client with ten requests a second does not cause ten writes a second.
LAST_USED_PRECISION = timedelta(minutes=1)
TEST_PREFIX = "test_"  # of the keys of test twins
MAX_KEYS = 100  # valid keys of one account


class KeyExpired(NotAuthenticated):
    """The key has expired."""

    default_code = "key_expired"


class OwnersDeactivated(NotAuthenticated):
    """The operator has deactivated every owner of the account."""

    default_code = "user_inactive"


def create(
    *,
    account: Account,
    created_by: User | None,
    name: str,
    scopes: frozenset[Permission],
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """Create a key and return its row and the key itself. Only its hash is stored, so the key cannot be shown again.

    Raises InvalidInput (no scope, a scope that keys cannot have, or an expiry in the past) and Conflict (too many keys).
    """
    if not scopes:
        raise _invalid("scopes", f"Give the key at least one scope of: {', '.join(KEY_SCOPES)}.")
    if not scopes <= set(KEY_SCOPES):
        raise _invalid("scopes", f"A key can have only these scopes: {', '.join(KEY_SCOPES)}.")
    if expires_at is not None and expires_at <= timezone.now():
        raise _invalid("expires_at", "The key would already have expired. Choose a later time, or none.")
    with transaction.atomic():
        # The lock makes a simultaneous second call wait, so that it counts the key of the first call.
        Account.objects.select_for_update(no_key=True).get(pk=account.pk)
        if valid(account=account).count() >= MAX_KEYS:
            raise Conflict(
                f"An account can have {MAX_KEYS} valid keys. Revoke one that is no longer used.",
                code="too_many_keys",
            )
        return _create(
            account=account,
            created_by=created_by,
            name=name,
            scopes=[scope.value for scope in KEY_SCOPES if scope in scopes],
            is_of_v1=False,
            expires_at=expires_at,
        )


def generate(*, account: Account, created_by: User | None = None, scopes: Iterable[str] = KEY_SCOPES) -> str:
    """Create the account's key for v1, revoke the previous one that this function made, and return the new one."""
    with transaction.atomic():
        # The lock makes a simultaneous second call wait. Its key then replaces the key of the first call.
        Account.objects.select_for_update(no_key=True).get(pk=account.pk)
        ApiKey.objects.filter(account=account, revoked_at=None, is_of_v1=True).update(
            revoked_at=timezone.now()
        )
        _, key = _create(
            account=account, created_by=created_by, scopes=[*map(str, scopes)], is_of_v1=True, expires_at=None
        )
    return key


def keys_of(*, account: Account) -> QuerySet[ApiKey]:
    """Return all keys of an account, and those of its test twin."""
    twins = Account.objects.filter(twin_of=account)
    return ApiKey.objects.filter(Q(account=account) | Q(account__in=twins))


def revoke_key(*, account: Account, key_id: int) -> ApiKey:
    """Revoke one key of an account or of its test twin, with immediate effect. Raises NotFound.

    Revoking a revoked key changes nothing.
    """
    keys_of(account=account).filter(pk=key_id, revoked_at=None).update(revoked_at=timezone.now())
    key = keys_of(account=account).filter(pk=key_id).select_related("account").first()
    if key is None:
        raise NotFound("This account has no such API key.", code="no_such_key")
    return key


def revoke_all(*, account_ids: Iterable[int]) -> int:
    """Revoke all keys of these accounts and of their test twins with immediate effect. Return their number."""
    ids = list(account_ids)
    twins = Account.objects.filter(twin_of__in=ids)
    keys = ApiKey.objects.filter(Q(account__in=ids) | Q(account__in=twins), revoked_at=None)
    return keys.update(revoked_at=timezone.now())


def valid(*, account: Account) -> QuerySet[ApiKey]:
    """Return the keys that are neither revoked nor expired."""
    return ApiKey.objects.filter(
        Q(expires_at=None) | Q(expires_at__gt=timezone.now()), account=account, revoked_at=None
    )


def current(*, account: Account) -> ApiKey | None:
    """Return the account's valid key for v1 as a row, or None. The row does not contain the key itself."""
    return ApiKey.objects.filter(account=account, revoked_at=None, is_of_v1=True).first()


def _by_digest(digest: str) -> QuerySet[ApiKey]:
    """Return the row of a key. `has_owner` says whether an owner of its account may log in."""
    owners = Member.objects.acting_for_account_of("account").filter(is_owner=True, user__is_active=True)
    return (
        ApiKey.objects.select_related("account__parent", "account__twin_of__parent", "created_by")
        .annotate(has_owner=Exists(owners))
        .filter(digest=digest, revoked_at=None)
        .order_by("pk")[:1]
    )


_BY_DIGEST = PreparedQuery(_by_digest, str)


def find(key: str) -> ApiKey | None:
    """Return the row of a key that was not revoked, with its account and the person who created it.

    Keys of any shape are accepted, because some were generated by other systems and imported.
    Raises KeyExpired, and OwnersDeactivated if no owner of the account may log in any more.
    """
    api_key = _BY_DIGEST.first(_digest(key))
    if api_key is None:
        return None
    if not getattr(api_key, "has_owner"):  # noqa: B009  (an annotation)
        raise OwnersDeactivated("This account is switched off. Ask the operator of this server.")
    now = timezone.now()
    if api_key.expires_at is not None and api_key.expires_at <= now:
        raise KeyExpired(
            f"This API key expired on {timezone.localtime(api_key.expires_at):%Y-%m-%d %H:%M}. Create a new key."
        )
    if api_key.last_used_at is None or api_key.last_used_at < now - LAST_USED_PRECISION:
        outdated = Q(last_used_at=None) | Q(last_used_at__lt=now - LAST_USED_PRECISION)
        ApiKey.objects.filter(outdated, pk=api_key.pk).update(last_used_at=now)
    return api_key


def person_of(key: ApiKey) -> User | None:
    """Return the person for whom requests with this key act: the key's creator, or else the first owner of its account."""
    if key.created_by is not None:
        return key.created_by
    owners = Member.objects.acting_for(key.account_id).filter(is_owner=True)
    owner = owners.select_related("user").first()
    return None if owner is None else owner.user


def _create(*, account: Account, **fields: object) -> tuple[ApiKey, str]:
    prefix = TEST_PREFIX if account.is_twin else ""
    key = prefix + secrets.token_hex(32)
    beginning = key[: len(prefix) + 8]
    return ApiKey.objects.create(account=account, digest=_digest(key), beginning=beginning, **fields), key


def _digest(key: str) -> str:
    # A key has 256 random bits and cannot be guessed. A slow hash would add no protection and would slow every request.
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


def _invalid(field: str, message: str) -> InvalidInput:
    return InvalidInput(message, errors=[{"field": field, "message": message}])
