"""Contact lists and text templates for tests."""

from __future__ import annotations

from typing import Any

from accounts.models import Account
from campaigns import text_templates
from campaigns.models import ContactList, TextTemplate
from campaigns.recipients import lists

ROWS: tuple[tuple[object, dict[str, Any]], ...] = (
    ("9841000001", {"tags_name": "सीता", "tags_ward": 5}),
    ("9841000002", {"tags_name": "Ram", "tags_ward": 7}),
)


def make_list(*, owner: Account, name: str = "Parents", rows: Any = ROWS) -> ContactList:
    """Create a list with these (number, tags)."""
    return lists.create_list(account=owner, name=name, rows=rows).contact_list


def make_text_template(
    *, owner: Account, name: str = "Water cut", message: str = "Namaste {name}", **words: str
) -> TextTemplate:
    return text_templates.create_template(account=owner, name=name, message=message, **words)
