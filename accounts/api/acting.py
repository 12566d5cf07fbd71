"""Name the actor of a request to the APIs or to a page, for the audit log and for functions that ask who acts."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from rest_framework.request import Request

from accounts import actors, audit
from accounts.actors import Acting, ActorKind
from accounts.addresses import shown_address
from accounts.api.account import Access
from accounts.api.throttles import address_of

CONSOLE = "/console/"
# The first prefix counts.
PAGES = {
    "/admin/": ActorKind.OPERATOR,
    "/accounts/": ActorKind.PERSON,
    f"{CONSOLE}operator/": ActorKind.OPERATOR,
    CONSOLE: ActorKind.PERSON,
}


def actor_of(request: Request) -> Acting:
    """Return the person or the API key that sent an authenticated request, and its address. Executes no query."""
    address = shown_address(address_of(request))
    user = request.user
    if not user.is_authenticated:
        return Acting(address=address)
    key = request.auth.key if isinstance(request.auth, Access) else None
    if key is not None:
        name = key.name or ("v1" if key.is_of_v1 else key.beginning)
        # Only one person used an account in the previous release, which stored no creators and had only keys of v1.
        creator_id = user.pk if key.created_by_id is None and key.is_of_v1 else key.created_by_id
        return Acting(kind=ActorKind.KEY, key_id=key.pk, creator_id=creator_id, name=name, address=address)
    return Acting(
        kind=ActorKind.PERSON, user_id=user.pk, name=audit.name_of(user), email=user.email, address=address
    )


def act_in_pages(
    answer: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Middleware: name the actor of changes that people make in pages. It must come after the authentication middleware.

    In the admin pages and the operator area, people act as operators. In other pages, they act in person.
    """

    def with_actor(request: HttpRequest) -> HttpResponseBase:
        kind = next((kind for prefix, kind in PAGES.items() if request.path.startswith(prefix)), None)
        writes = request.method == "POST"
        # Pages of the console are also read in somebody's name: exports are noted in the audit log.
        if kind is None or not (writes or request.path.startswith(CONSOLE)):
            return answer(request)
        address = shown_address(address_of(request))
        actor = Acting(address=address)
        if request.user.is_authenticated:
            actor = Acting(
                kind=kind,
                user_id=request.user.pk,
                name=audit.name_of(request.user),
                email=request.user.email,
                address=address,
            )
        with actors.acting(actor, writes=writes):
            return answer(request)

    return with_actor
