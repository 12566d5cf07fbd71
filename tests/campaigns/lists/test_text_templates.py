"""Text templates: each change makes a version, and campaigns remember the version that they got."""

from __future__ import annotations

import pytest

from accounts.models import Account, AuditEntry
from campaigns import services, text_templates
from campaigns.models import Service, TextVersion
from iris.errors import InvalidInput, NotFound
from tests.campaigns.lists.making import make_text_template
from tests.campaigns.surveys.surveying import make_survey
from tests.factories import make_account, make_empty_campaign

pytestmark = pytest.mark.django_db


@pytest.fixture
def sita() -> Account:
    return make_account(credits=100)


def test_each_change_of_the_words_is_a_version_and_old_ones_stay(sita: Account) -> None:
    made = make_text_template(owner=sita)
    text_templates.update_template(template=made, message="Namaste {name}, water at 5.")
    text_templates.update_template(template=made, name="Water")
    changed = text_templates.update_template(template=made, message="Namaste {name}, water at 5.")
    assert (changed.latest, changed.name) == (2, "Water")
    assert [version.message for version in changed.versions.order_by("number")] == [
        "Namaste {name}",
        "Namaste {name}, water at 5.",
    ]
    assert text_templates.find_version(changed, 1).message == "Namaste {name}"
    assert list(
        AuditEntry.objects.filter(kind="template").order_by("pk").values_list("action", flat=True)
    ) == [
        "template_created",
        "template_changed",
        "template_renamed",
    ]


@pytest.mark.parametrize(
    "words", [{"message": ""}, {"message": " "}, {"voice": "nobody"}, {"message": "x" * 10_001}]
)
def test_wrong_words_change_nothing(sita: Account, words: dict[str, str]) -> None:
    made = make_text_template(owner=sita)
    with pytest.raises(InvalidInput):
        text_templates.update_template(template=made, **words)
    made.refresh_from_db()
    assert (made.latest, TextVersion.objects.count()) == (1, 1)


def test_a_campaign_remembers_its_version(sita: Account) -> None:
    made = make_text_template(owner=sita, sms_message="SMS {name}", voice="np_binod")
    campaign = make_empty_campaign(owner=sita, service=Service.BOTH)
    version = text_templates.find_version(made)
    campaign = text_templates.use_template(campaign=campaign, version=version)
    assert (campaign.message, campaign.sms_message, campaign.voice) == (
        "Namaste {name}",
        "SMS {name}",
        "np_binod",
    )
    text_templates.update_template(template=made, message="Another")
    campaign.refresh_from_db()
    assert (campaign.message, campaign.text_version) == ("Namaste {name}", version)
    assert not text_templates.is_changed(campaign)
    campaign = services.update_campaign(campaign=campaign, message="Mine")
    assert text_templates.is_changed(campaign)
    assert campaign.text_version == version
    text_templates.delete_template(template=made)
    campaign.refresh_from_db()
    assert campaign.text_version == version
    for find in (
        lambda: text_templates.find_template(account=sita, pk=made.pk),
        lambda: text_templates.update_template(template=made, name="x"),
        lambda: text_templates.find_version(made, 9),
    ):
        with pytest.raises(NotFound):
            find()


def test_a_campaign_that_sends_sms_keeps_its_other_words(sita: Account) -> None:
    campaign = make_empty_campaign(owner=sita, service=Service.SMS, voice="np_rija")
    version = text_templates.find_version(make_text_template(owner=sita, sms_message="For both"))
    campaign = text_templates.use_template(campaign=campaign, version=version)
    assert (campaign.message, campaign.sms_message, campaign.voice) == ("Namaste {name}", "", "np_rija")
    assert not text_templates.is_changed(campaign)


def test_a_survey_has_no_template(sita: Account) -> None:
    version = text_templates.find_version(make_text_template(owner=sita))
    with pytest.raises(InvalidInput, match="survey"):
        text_templates.use_template(campaign=make_survey(owner=sita), version=version)
