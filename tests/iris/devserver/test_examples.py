"""What the demo account of a sandbox has to look at."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.models import Account
from campaigns import text_templates
from campaigns.models import Campaign, ContactList, RunStatus, TextTemplate
from iris.devserver import examples, seed

pytestmark = pytest.mark.django_db


def test_the_demo_account_has_campaigns_a_saved_list_and_templates_with_versions() -> None:
    seed.seed()
    assert examples.add_examples()
    account = Account.objects.get(members__user__email=seed.DEMO_EMAIL)
    campaigns: Any = Campaign.objects.filter(owner=account).with_status()
    statuses = sorted(campaigns.values_list("draft", "run_status"), key=str)
    assert statuses == [
        (False, RunStatus.RUNNING),
        (False, RunStatus.RUNNING),
        (False, RunStatus.SCHEDULED),
        (True, None),
        (True, None),
    ]
    contacts = ContactList.objects.with_uses().get(owner=account)
    assert contacts.number_count == 32
    templates = TextTemplate.objects.filter(owner=account).order_by("pk")
    assert [one.latest for one in templates] == [2, 2]
    used = Campaign.objects.get(owner=account, text_version__isnull=False)
    assert used.number_count == 32
    assert not text_templates.is_changed(used)
    assert not examples.add_examples()  # a second start adds nothing
    assert Campaign.objects.filter(owner=account).count() == 5
