"""Name the actor of a request for the audit log, and for functions that ask who acts."""

from __future__ import annotations

from rest_framework.request import Request

from accounts import audit
from accounts.actors import Acting, ActorKind
from accounts.addresses import shown_address
from accounts.api.account import Access
from accounts.api.throttles import address_of


def actor_of(request: Request) -> Acting:
    """Return the person or the API key that sent an authenticated request, and its address. Executes no query."""
    address = shown_address(address_of(request))
    user = request.user
    if not user.is_authenticated:
        return Acting(address=address)
    key = request.auth.key if isinstance(request.auth, Access) else None
    if key is not None:
        name = key.name or ("v1" if key.is_of_v1 else key.beginning)
        return Acting(kind=ActorKind.KEY, key_id=key.pk, name=name, address=address)
    return Acting(
        kind=ActorKind.PERSON, user_id=user.pk, name=audit.name_of(user), email=user.email, address=address
    )
