"""Read the audit log, from the database and from the API."""

from __future__ import annotations

from typing import Any

from rest_framework.test import APIClient

from accounts.models import AuditEntry

PATH = "/api/system/audit/"


def latest(action: str) -> AuditEntry:
    return AuditEntry.objects.filter(action=action).latest("pk")


def entries(client: APIClient, **query: Any) -> list[dict[str, Any]]:
    answer = client.get(PATH, query)
    assert answer.status_code == 200, answer.content
    return answer.json()["data"]["entries"]
