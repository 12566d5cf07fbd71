"""Text templates in the v0 dialect. TingTing's API has none in this dialect; this is an addition of iris."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.account import account_of
from accounts.api.permissions import needs
from accounts.permissions import Permission
from campaigns import text_templates
from campaigns.api.v0.known_fields import KnownFields
from campaigns.api.v0.lookups import campaign_of
from campaigns.messages import MAX_CHARACTERS
from campaigns.models import TextTemplate, TextVersion
from iris.api import parsers
from iris.api.envelope import success
from iris.api.fields import Id, Text, validated
from iris.api.filters import FilterSet, SentFilter
from iris.api.pagination import paginate
from iris.api.viewsets import V0ViewSet, reads
from telephony.api.fields import Message, VoiceName


class TemplateChanges(KnownFields):
    """The fields of a template that can be changed. A request can contain any of them."""

    refuses_empty = ("name", "message")

    name = Text(required=False, max_length=200)
    message = Message(required=False, max_length=MAX_CHARACTERS)
    sms_message = Message(required=False, allow_blank=True, max_length=MAX_CHARACTERS)
    voice_input = VoiceName(required=False, max_length=50, source="voice")


class NewTemplate(TemplateChanges):
    name = Text(max_length=200, error_messages={"required": "Give the template a name, such as “Water cut”."})
    message = Message(
        max_length=MAX_CHARACTERS, error_messages={"required": "Send the words of the template as message."}
    )


class ChosenTemplate(KnownFields):
    """A template for a campaign. Without the number of a version, it is the latest one."""

    template = Id()
    version = Id(required=False)


class TemplateFilter(FilterSet):
    search = SentFilter(Text(max_length=200), field_name="name", lookup_expr="icontains")


class TextTemplateViewSet(V0ViewSet):
    filterset_class = TemplateFilter

    def get_queryset(self) -> QuerySet[Any]:
        return TextTemplate.objects.owned_by(account_of(self.request)).order_by("-id")

    @needs(Permission.VIEW)
    def list(self, request: Request) -> Response:
        page = paginate(request, self.filter_queryset(self.get_queryset()))
        versions = text_templates.latest_versions(page.items)
        shown = [template_json(one, versions[one.pk]) for one in page.items]
        return success({"pagination": page.pagination, "templates": shown})

    @reads(parsers.TEXTS)
    @needs(Permission.PREPARE)
    def create(self, request: Request) -> Response:
        sent = validated(NewTemplate(data=request.data))
        made = text_templates.create_template(account=account_of(request), **sent)
        return _shown(made, "Template created.", status=201)

    @needs(Permission.VIEW)
    def retrieve(self, request: Request, text_template_id: int) -> Response:
        return _shown(text_templates.find_template(account=account_of(request), pk=text_template_id))

    @reads(parsers.TEXTS)
    @needs(Permission.PREPARE)
    def update(self, request: Request, text_template_id: int) -> Response:
        found = text_templates.find_template(account=account_of(request), pk=text_template_id)
        sent = validated(TemplateChanges(data=request.data))
        return _shown(text_templates.update_template(template=found, **sent), "Template changed.")

    @needs(Permission.PREPARE)
    def destroy(self, request: Request, text_template_id: int) -> Response:
        found = text_templates.find_template(account=account_of(request), pk=text_template_id)
        text_templates.delete_template(template=found)
        return success(message="Template deleted. Campaigns that have used it keep their words.")

    @needs(Permission.VIEW)
    def versions(self, request: Request, text_template_id: int) -> Response:
        """List the versions, newest first."""
        found = text_templates.find_template(account=account_of(request), pk=text_template_id)
        page = paginate(request, found.versions.order_by("-number"), count=found.latest)
        return success({"pagination": page.pagination, "versions": [version_json(one) for one in page.items]})

    @reads(parsers.TEXTS)
    @needs(Permission.PREPARE)
    def use(self, request: Request, campaign_id: int) -> Response:
        """Replace the words of a campaign by those of a template."""
        campaign = campaign_of(request, campaign_id)
        sent = validated(ChosenTemplate(data=request.data))
        template = text_templates.find_template(account=account_of(request), pk=sent["template"])
        version = text_templates.find_version(template, sent.get("version"))
        text_templates.use_template(campaign=campaign, version=version)
        return success(
            {"campaign": campaign.pk, "template": template.pk, "version": version.number},
            message="The campaign has the words of the template.",
        )


def template_json(template: TextTemplate, version: TextVersion) -> dict[str, Any]:
    words = version_json(version)
    del words["created_at"]
    return {
        "id": template.pk,
        "name": template.name,
        **words,
        "created_at": timezone.localtime(template.created_at).isoformat(),
        "updated_at": timezone.localtime(template.updated_at).isoformat(),
    }


def version_json(version: TextVersion) -> dict[str, Any]:
    return {
        "version": version.number,
        "message": version.message,
        "sms_message": version.sms_message,
        "voice_input": version.voice or None,
        "created_at": timezone.localtime(version.created_at).isoformat(),
    }


def _shown(template: TextTemplate, message: str | None = None, *, status: int = 200) -> Response:
    template.refresh_from_db()
    shown = template_json(template, text_templates.find_version(template))
    return success({"template": shown}, message=message, status=status)
