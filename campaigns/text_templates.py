"""Text templates: write messages once, and use them in any number of campaigns. Each change makes a new version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from accounts import actors, audit
from accounts.models import Account
from campaigns import services
from campaigns.messages import parse_message
from campaigns.models import Campaign, Service, TextTemplate, TextVersion
from iris.errors import InvalidInput, NotFound
from telephony import speech

WORDS = ("message", "sms_message", "voice")  # the fields of a version that people write


def create_template(
    *, account: Account, name: str, message: str, sms_message: str = "", voice: str = ""
) -> TextTemplate:
    """Create a template with its first version. Raises InvalidInput."""
    words = _checked({"message": message, "sms_message": sms_message, "voice": voice})
    with transaction.atomic():
        template = TextTemplate.objects.create(owner=account, name=name)
        _add_version(template, words)
        _note(template, "template_created")
    return template


def find_template(*, account: Account, pk: int) -> TextTemplate:
    """Return a template of the account. Raises NotFound."""
    found = TextTemplate.objects.owned_by(account).filter(pk=pk).first() if pk < 2**63 else None
    if found is None:
        raise NotFound(
            "You have no template with this id. The list of templates has all that you have.",
            code="no_such_template",
        )
    return found


def find_version(template: TextTemplate, number: int | None = None) -> TextVersion:
    """Return a version of a template by its number, or the latest one. Raises NotFound."""
    wanted = template.latest if number is None else number
    found = template.versions.filter(number=wanted).first() if wanted < 2**31 else None
    if found is None:
        raise NotFound(
            f"This template has the versions 1 to {template.latest}. Choose one of them.",
            code="no_such_version",
        )
    return found


def latest_versions(templates: Sequence[TextTemplate]) -> dict[int, TextVersion]:
    """Return the latest version of each template by the id of the template. Takes one query."""
    latest = TextVersion.objects.filter(
        template__in=[one.pk for one in templates], number=F("template__latest")
    )
    return {one.template_id: one for one in latest}


def update_template(*, template: TextTemplate, name: str | None = None, **words: str) -> TextTemplate:
    """Change the name, the words, or both. If the words change, they become a new version; older versions stay.

    Fields that are not given do not change. Campaigns keep the version that they have. Raises InvalidInput and NotFound.
    """
    with transaction.atomic():
        locked = TextTemplate.objects.select_for_update(of=("self",), no_key=True)
        found = locked.filter(pk=template.pk, deleted_at=None).first()
        if found is None:
            raise NotFound("This template was deleted.", code="no_such_template")
        latest = find_version(found)
        before = {field: getattr(latest, field) for field in WORDS}
        after = {**before, **_checked(words)}
        if after != before:
            _add_version(found, after)
        if name is not None and name != found.name:
            found.name = name
            found.save(update_fields=["name", "updated_at"])
            _note(found, "template_renamed")
        if after != before:
            _note(found, "template_changed", version=found.latest)
    return found


def delete_template(*, template: TextTemplate) -> None:
    """Remove a template from the list of templates. Campaigns keep the words that they got from it."""
    with transaction.atomic():
        deleted = TextTemplate.objects.filter(pk=template.pk, deleted_at=None).update(
            deleted_at=timezone.now()
        )
        if deleted:
            _note(template, "template_deleted")


def use_template(*, campaign: Campaign, version: TextVersion) -> Campaign:
    """Replace the words of a campaign by those of a version. The campaign remembers the version.

    Raises the errors of `services.update_campaign`, and InvalidInput for a survey, which has questions instead.
    """
    if campaign.service == Service.SURVEY:
        raise InvalidInput(
            "A survey has questions instead of one message. Choose another kind of campaign.",
            code="survey_has_no_message",
        )
    fields: dict[str, Any] = {"text_version": version, "message": version.message}
    if campaign.service == Service.BOTH:
        fields["sms_message"] = version.sms_message
    if version.voice:
        fields["voice"] = version.voice
    return services.update_campaign(campaign=campaign, **fields)


def is_changed(campaign: Campaign) -> bool:
    """Return whether the campaign's words differ from those of the version that it got."""
    version = campaign.text_version
    if version is None:
        return False
    texts = campaign.message == version.message and (not version.voice or campaign.voice == version.voice)
    return not texts or (
        campaign.service == Service.BOTH and (campaign.sms_message or "") != (version.sms_message or "")
    )


def _checked(words: Mapping[str, str]) -> dict[str, str]:
    """Return these fields as they are stored. Raises InvalidInput."""
    for field in ("message", "sms_message"):
        parse_message(words.get(field, ""))
    if not words.get("message", "…").strip():
        raise InvalidInput("The template has no message. Write one.", code="no_message")
    voice = words.get("voice")
    return {**words, "voice": speech.resolve(voice)} if voice else dict(words)


def _add_version(template: TextTemplate, words: dict[str, str]) -> None:
    template.latest += 1
    TextVersion.objects.create(
        template=template, number=template.latest, author=actors.current().author_id, **words
    )
    template.save(update_fields=["latest", "updated_at"])


def _note(template: TextTemplate, action: str, **details: Any) -> None:
    audit.note(
        account_id=template.owner_id,
        action=action,
        kind="template",
        object_id=template.pk,
        name=template.name,
        **details,
    )
