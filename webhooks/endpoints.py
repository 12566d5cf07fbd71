"""Create, change, rotate, test and delete the endpoints of an account, on behalf of members and API keys."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts import audit
from accounts.models import Account
from iris import outbound
from iris.errors import Conflict, InvalidInput, NotFound
from iris.locks import lock_until_commit
from iris.outbound import is_public, parse_address
from iris.storable import storable
from webhooks import attempts, outbox, signing
from webhooks.events import Event
from webhooks.models import MAX_URL_CHARACTERS, Endpoint, MessageState, OutboxMessage

MAX_ENDPOINTS = 10  # of an account
MAX_NAME_CHARACTERS = 100
OVERLAP = timedelta(days=1)  # after a rotation, requests are signed with both secrets for this long
MAX_REPLAYED = 10_000  # messages of one request


class TooManyEndpoints(Conflict):
    """The account has as many endpoints as it may have."""

    default_code = "too_many_webhooks"


def endpoints_of(account: Account) -> QuerySet[Endpoint]:
    """Return the endpoints of an account, the newest first."""
    return Endpoint.objects.filter(owner=account, deleted_at=None).order_by("-pk")


def find(*, account: Account, endpoint_id: int) -> Endpoint:
    """Return an endpoint of the account. Raises NotFound."""
    found = endpoints_of(account).filter(pk=endpoint_id).first()
    if found is None:
        raise NotFound(f"This account has no webhook endpoint {endpoint_id}.")
    return found


@transaction.atomic
def create(
    *,
    account: Account,
    url: str,
    name: str = "",
    events: Iterable[Event] = (),
) -> Endpoint:
    """Create an endpoint. Its `secret` must be shown now, and never again. Without `events`, it gets all events.

    Raises InvalidInput for an address to which nothing may be sent, and TooManyEndpoints.
    """
    lock_until_commit(f"webhooks:{account.pk}")
    if endpoints_of(account).count() >= MAX_ENDPOINTS:
        raise TooManyEndpoints(
            f"An account can have {MAX_ENDPOINTS} webhook endpoints. Delete one that is not needed any more."
        )
    endpoint = Endpoint(owner=account, secret=signing.new_secret())
    _set(endpoint, url=url, name=name, events=events)
    endpoint.save()
    _note(endpoint, "webhook_created")
    return endpoint


@transaction.atomic
def change(
    *,
    account: Account,
    endpoint_id: int,
    url: str | None = None,
    name: str | None = None,
    events: Iterable[Event] | None = None,
    is_enabled: bool | None = None,
) -> Endpoint:
    """Change the given fields. When an endpoint is enabled, iris also sends the events that still wait for it.

    Raises InvalidInput as `create` does, and NotFound.
    """
    endpoint = _locked(account, endpoint_id)
    _set(endpoint, url=url, name=name, events=events)
    if is_enabled is not None and is_enabled != endpoint.is_enabled:
        endpoint.is_enabled = is_enabled
        endpoint.disabled_reason = "" if is_enabled else "A member of the account has switched it off."
        endpoint.failing_since, endpoint.is_trusted = None, False
    endpoint.save()
    _note(endpoint, "webhook_changed")
    return endpoint


@transaction.atomic
def rotate(*, account: Account, endpoint_id: int) -> Endpoint:
    """Give an endpoint a new secret, which must be shown now. For OVERLAP, requests are signed with the old one, too."""
    endpoint = _locked(account, endpoint_id)
    endpoint.old_secret, endpoint.secret = endpoint.secret, signing.new_secret()
    endpoint.old_secret_until = timezone.now() + OVERLAP
    endpoint.save(update_fields=["old_secret", "secret", "old_secret_until"])
    _note(endpoint, "webhook_rotated")
    return endpoint


@transaction.atomic
def delete(*, account: Account, endpoint_id: int) -> Endpoint:
    """Delete an endpoint and everything that waits for it."""
    endpoint = _locked(account, endpoint_id)
    endpoint.is_enabled, endpoint.deleted_at = False, timezone.now()
    endpoint.secret = endpoint.old_secret = ""
    endpoint.save(update_fields=["is_enabled", "deleted_at", "secret", "old_secret"])
    _note(endpoint, "webhook_deleted")
    return endpoint


@transaction.atomic
def send_test(*, account: Account, endpoint_id: int) -> OutboxMessage:
    """Send a test event to an endpoint, whatever it subscribes to. Raises Conflict if it is disabled."""
    endpoint = _locked(account, endpoint_id)
    _refuse_disabled(endpoint)
    outbox.publish_test(endpoint_id=endpoint.pk)
    return endpoint.messages.latest("pk")


def messages_of(endpoint: Endpoint) -> QuerySet[OutboxMessage]:
    """Return the events of an endpoint, the newest first."""
    return OutboxMessage.objects.filter(endpoint=endpoint).order_by("-pk")


@transaction.atomic
def replay(
    *,
    account: Account,
    endpoint_id: int,
    webhook_id: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> int:
    """Send delivered and given-up events again, either one or all of a period; return how many.

    They keep their id and body, so the receiver can recognize them. Events that still wait are not changed. Raises
    Conflict if the endpoint is disabled, InvalidInput for a wrong period or more than MAX_REPLAYED events, and NotFound for
    an unknown event or endpoint.
    """
    endpoint = _locked(account, endpoint_id)
    _refuse_disabled(endpoint)
    rows = messages_of(endpoint)
    if webhook_id is not None:
        rows = rows.filter(webhook_id=webhook_id)
        if not rows.exists():
            raise NotFound(f"This endpoint has no event {webhook_id[:60]}, or it is not kept any more.")
    else:
        if since is None:
            raise InvalidInput("Say which event to send again, or from which time on.")
        if until is not None and until <= since:
            raise InvalidInput("The end of the time must be after its beginning.")
        rows = rows.filter(created_at__gte=since, created_at__lt=until or timezone.now())
    finished = rows.exclude(state=MessageState.PENDING)
    ids = list(finished.values_list("pk", flat=True)[: MAX_REPLAYED + 1])
    if len(ids) > MAX_REPLAYED:
        raise InvalidInput(
            f"There are more than {MAX_REPLAYED:,} events in this time. Send them again in several shorter times."
        )
    count = attempts.restart(ids)
    audit.note(
        account_id=account.pk,
        action="webhook_replayed",
        kind="webhook",
        object_id=endpoint.pk,
        name=str(endpoint),
        events=count,
    )
    return count


def _set(
    endpoint: Endpoint,
    *,
    url: str | None,
    name: str | None,
    events: Iterable[Event] | None,
) -> None:
    if url is not None:
        endpoint.url = _checked_url(url)
        endpoint.is_trusted = False
    if name is not None:
        endpoint.name = storable(" ".join(name.split()))[:MAX_NAME_CHARACTERS]
    if events is not None:
        endpoint.events = sorted({event.value for event in events})


def _checked_url(url: str) -> str:
    """Return an address to which requests may be sent. The address of its host is checked again before each request."""
    url = url.strip()
    private = settings.IRIS_WEBHOOKS_TO_PRIVATE
    try:
        host = parse_address(url, private=private).host
    except outbound.AddressRefused as error:
        raise InvalidInput(
            f"Nothing can be sent to this address: {error}. Use one that begins with https://."
        ) from error
    looks_like_ip = ":" in host or host.replace(".", "").isdigit()
    if not private and (host == "localhost" or (looks_like_ip and not is_public(host))):
        raise InvalidInput(f"Nothing can be sent to {host}: it is not on the public internet.")
    return url[:MAX_URL_CHARACTERS]


def _locked(account: Account, endpoint_id: int) -> Endpoint:
    find(account=account, endpoint_id=endpoint_id)
    return Endpoint.objects.select_for_update(no_key=True).get(pk=endpoint_id)


def _refuse_disabled(endpoint: Endpoint) -> None:
    if not endpoint.is_enabled:
        raise Conflict("This webhook endpoint is switched off. Switch it on first.", code="webhook_disabled")


def _note(endpoint: Endpoint, action: str) -> None:
    audit.note(
        account_id=endpoint.owner_id, action=action, kind="webhook", object_id=endpoint.pk, name=str(endpoint)
    )
