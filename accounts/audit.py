"""The audit log: append entries about actions that no trigger sees.

Triggers write the entries of changed rows (`accounts.audit_triggers`, and those of `telephony` and `campaigns`). `note`
writes the others, such as sign-ins, exports and money.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.db import connection, transaction

from accounts import actors
from accounts.actors import Acting, ActorKind
from accounts.models import Account, AuditEntry, Member, User

MAX_NAME_CHARACTERS = 255


def note(
    *,
    account_id: int | None,
    action: str,
    kind: str = "",
    object_id: int | None = None,
    name: str = "",
    campaign_id: int | None = None,
    **details: Any,
) -> None:
    """Append an entry by the current actor (`accounts.actors`). Call it in the transaction of the action.

    `details` must be small, and must not contain the secrets that `AuditEntry` lists.
    """
    _entry(
        actors.current(),
        account_id=account_id,
        action=action,
        kind=kind,
        object_id=object_id,
        object_name=name[:MAX_NAME_CHARACTERS],
        campaign_id=campaign_id,
        details={key: value for key, value in details.items() if value is not None},
    ).save()


def note_sign_in(*, user: User, account_id: int | None) -> None:
    """Append an entry: a person has signed in for this account. None stands for a person without an account."""
    _entry(_in_person(user), account_id=account_id, action="signed_in", **_about(user)).save()


def note_sign_out(*, user: User, account_id: int | None) -> None:
    """Append an entry: a person has signed out."""
    _entry(_in_person(user), account_id=account_id, action="signed_out", **_about(user)).save()


def note_browser_sign_in(*, user: User, **kwargs: Any) -> None:
    """Append a sign-in with a browser to the log of the person's first account. A receiver of Django's `user_logged_in`."""
    note_sign_in(user=user, account_id=_first_account_of(user))


def note_browser_sign_out(*, user: User | None, **kwargs: Any) -> None:
    """Append a sign-out with a browser. A receiver of Django's `user_logged_out`."""
    if user is not None:
        note_sign_out(user=user, account_id=_first_account_of(user))


def note_sessions_ended(*, user: User, sessions: int) -> None:
    """Append to the logs of the person's accounts: the person has ended browser sessions from another session."""
    with transaction.atomic():
        concerned: list[int | None] = [*_accounts_of(user)]
        for account_id in concerned or [None]:
            note(
                account_id=account_id,
                action="sessions_ended",
                kind="person",
                object_id=user.pk,
                name=user.email,
                sessions=sessions,
            )


def note_failed_sign_in(*, user: User | None) -> None:
    """Append to the logs of the person's accounts: somebody gave a wrong password, code or key.

    Attempts that `accounts.login_limits` or `accounts.signin.code_limits` refuses are not noted, so an attack does not fill
    the log. If nobody has this e-mail address, the same statements are executed and rolled back, so that the response time
    does not reveal that.
    """
    known = user or User(pk=0)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit TO off")  # the response does not wait for the disk
        accounts = _accounts_of(known)
        for account_id in accounts if user is not None else [0]:
            _entry(actors.current(), account_id=account_id, action="sign_in_failed", **_about(known)).save()
        if user is None:
            transaction.set_rollback(True)


def note_money(*, account: Account, action: str, amount: Decimal, cause: str, reason: str = "") -> None:
    """Append an entry: a person has moved credits. `cause` is the `cause` of the ledger entry."""
    note(
        account_id=account.pk,
        action=action,
        kind="credits",
        amount=f"{amount:f}",
        cause=cause,
        note=reason or None,
    )


def _in_person(user: User) -> Acting:
    now = actors.current()
    return Acting(
        kind=ActorKind.PERSON,
        user_id=user.pk,
        name=name_of(user),
        email=user.email,
        address=now.address,
        request=now.request,
    )


def name_of(user: User) -> str:
    """Return the name of a person in sentences, or else the e-mail address."""
    return (user.get_full_name() or user.email)[: actors.MAX_NAME_CHARACTERS]


def _first_account_of(user: User) -> int | None:
    return (
        Member.objects.filter(user=user).order_by("joined_at", "pk").values_list("account", flat=True).first()
    )


def _accounts_of(user: User) -> list[int]:
    return list(Member.objects.filter(user=user.pk).values_list("account", flat=True))


def _about(user: User) -> dict[str, Any]:
    return {"kind": "person", "object_id": user.pk, "object_name": user.email}


def _entry(actor: Acting, **fields: Any) -> AuditEntry:
    return AuditEntry(
        actor_kind=actor.kind.value,
        user_id=actor.user_id,
        key_id=actor.key_id,
        actor_name=actor.name,
        actor_email=actor.email,
        address=actor.address[: actors.MAX_ADDRESS_CHARACTERS],
        request=actor.request,
        **fields,
    )
