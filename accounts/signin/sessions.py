"""The list of a person's browser sessions: note in the audit log which of them were ended from another one."""

from __future__ import annotations

from collections.abc import Sequence

from allauth.usersessions.adapter import DefaultUserSessionsAdapter
from allauth.usersessions.models import UserSession
from django.db import transaction

from accounts import audit


class SessionsAdapter(DefaultUserSessionsAdapter):
    def end_sessions(self, sessions: Sequence[UserSession]) -> None:
        """End the sessions of one person. Sessions that have ended by themselves are forgotten without an entry."""
        with transaction.atomic():
            alive = [session for session in sessions if session.exists()]
            if alive:
                audit.note_sessions_ended(user=alive[0].user, sessions=len(alive))
            super().end_sessions(sessions)
