"""The list of a person's browser sessions: note in the audit log if sessions were ended from another session."""

from __future__ import annotations

from collections.abc import Sequence

from allauth.usersessions.adapter import DefaultUserSessionsAdapter
from allauth.usersessions.models import UserSession
from django.db import transaction

from accounts import audit


class SessionsAdapter(DefaultUserSessionsAdapter):
    def end_sessions(self, sessions: Sequence[UserSession]) -> None:
        """End the sessions of one person. Sessions that have ended by themselves are deleted without an entry."""
        with transaction.atomic():
            alive = [session for session in sessions if session.exists()]
            if alive:
                audit.note_sessions_ended(user=alive[0].user, sessions=len(alive))
            super().end_sessions(sessions)
