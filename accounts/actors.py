"""Who acts: the person, the API key or the operator on whose behalf this process changes something at the moment.

Requests, admin pages and management commands name their actor once, with `acting`. The audit log names it in its entries,
and a run stores the people who began it. Triggers see the actor in the setting `iris.actor` of the database session. A
process that names no actor, such as a worker or one of the previous release, still leaves entries: those of the server.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from django.db import DatabaseError, InterfaceError, connection
from structlog.contextvars import get_contextvars

MAX_NAME_CHARACTERS, MAX_ADDRESS_CHARACTERS = 254, 64


class ActorKind(StrEnum):
    PERSON = "person"
    KEY = "key"
    OPERATOR = "operator"
    SERVER = "server"


def _request_id() -> str:
    """Return the id that the log lines of the present request have; a new one outside of requests."""
    bound: str | None = get_contextvars().get("request")
    return bound or uuid.uuid4().hex


@dataclass(frozen=True, kw_only=True)
class Acting:
    """An actor, and the request in which it acts. `user_id` is set for people, `key_id` for API keys.

    `creator_id` is the person who created the key, if known.
    `name` is how sentences call the actor. All of it is stored as it was at that time, because people and keys change.
    """

    kind: ActorKind = ActorKind.SERVER
    user_id: int | None = None
    key_id: int | None = None
    creator_id: int | None = None
    name: str = ""
    email: str = ""
    address: str = ""
    request: str = field(default_factory=_request_id)

    @property
    def person_id(self) -> int | None:
        """Return the id of the person who acts in person, or None for keys, operators and the server."""
        return self.user_id if self.kind is ActorKind.PERSON else None

    @property
    def author_id(self) -> int | None:
        """Return the id of the responsible person: the person who acts, or the creator of the key that acts."""
        return self.creator_id if self.kind is ActorKind.KEY else self.person_id


SERVER = Acting(request="")
_current: ContextVar[Acting] = ContextVar("iris_actor", default=SERVER)


def current() -> Acting:
    """Return the actor of this request, command or task."""
    return _current.get()


def operator(name: str, **known: Any) -> Acting:
    """Return the actor for an operator, who works on the machine or in the admin pages."""
    return Acting(kind=ActorKind.OPERATOR, name=name[:MAX_NAME_CHARACTERS], **known)


@contextmanager
def acting(actor: Acting, *, writes: bool = True) -> Iterator[None]:
    """Let `actor` act inside the block. With `writes`, triggers of the database see it too, which takes two statements.

    In a transaction, begin the block before the transaction or end it before the transaction ends.
    """
    token = _current.set(actor)
    try:
        if writes:
            _tell_database(actor)
        yield
    finally:
        _current.reset(token)
        if writes:
            _tell_database(_current.get())


def name_for_process(actor: Acting) -> None:
    """Let `actor` act for the rest of this process, also in database connections that are opened later."""
    _current.set(actor)
    if connection.connection is not None:
        _tell_database(actor)


def tell_new_connection(**kwargs: Any) -> None:
    """Set the actor for a database connection that was opened while the actor acts. A receiver of `connection_created`."""
    if _current.get() is not SERVER and kwargs["connection"].alias == connection.alias:
        _tell_database(_current.get())


def _tell_database(actor: Acting) -> None:
    """Set `iris.actor` of the session. If that fails, close the connection, so that no later request inherits the actor."""
    if connection.connection is None and actor is SERVER:
        return  # a new connection has no actor
    if connection.in_atomic_block and connection.needs_rollback:
        return  # the rollback restores the setting
    told = "" if actor is SERVER else json.dumps({**asdict(actor), "kind": actor.kind.value})
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('iris.actor', %s, false)", [told])
    except (DatabaseError, InterfaceError):
        if actor is not SERVER:
            raise
        connection.close()
