"""API keys: making one, knowing it again, and whose it is."""

import hashlib
import secrets
from collections.abc import Iterable
from datetime import timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.models import ApiKey, User

# What `last_used_at` may be behind: a client that asks ten times a second does not write ten times a second.
LAST_USED_WITHIN = timedelta(minutes=1)


def generate(*, user: User) -> str:
    """A new key for an account, which revokes the one before. Only here is it ever known: what is stored is its hash."""
    key = secrets.token_hex(32)
    with transaction.atomic():
        User.objects.select_for_update(of=("self",)).get(pk=user.pk)  # of two at once the second one wins
        ApiKey.objects.filter(user=user, revoked_at=None).update(revoked_at=timezone.now())
        ApiKey.objects.create(user=user, digest=_digest(key), beginning=key[:8])
    return key


def revoke_of(*, user_ids: Iterable[int]) -> int:
    """Revoke the keys of these accounts, at once; return how many there were."""
    return ApiKey.objects.filter(user__in=user_ids, revoked_at=None).update(revoked_at=timezone.now())


def current(*, user: User) -> ApiKey | None:
    """The account's key that works, without the key."""
    return ApiKey.objects.filter(user=user, revoked_at=None).first()


def owner_of(key: str) -> User | None:
    """The account whose key this is, switched off or not. Whatever the key looks like: other systems made some."""
    found = ApiKey.objects.select_related("user").filter(digest=_digest(key), revoked_at=None).first()
    if found is None:
        return None
    now = timezone.now()
    if found.last_used_at is None or found.last_used_at < now - LAST_USED_WITHIN:
        unused = Q(last_used_at=None) | Q(last_used_at__lt=now - LAST_USED_WITHIN)
        ApiKey.objects.filter(unused, pk=found.pk).update(last_used_at=now)
    return found.user


def _digest(key: str) -> str:
    # Of 256 random bits nobody can guess any: a slow hash would protect nothing, and cost every request.
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
