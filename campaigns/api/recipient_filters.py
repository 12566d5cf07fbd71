"""Filters for a campaign's numbers or contacts in both dialects: `?status=`, `?number=`, `?tag=` and `?before=`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.db.models import QuerySet
from django.http import QueryDict
from django_filters.utils import translate_validation
from rest_framework import serializers
from rest_framework.fields import empty
from rest_framework.request import Request

from campaigns.api.words import RECIPIENT_STATUSES
from campaigns.messages import to_tag_name
from campaigns.models import Campaign, Recipient
from campaigns.reports.recipient_search import Criteria, Stretch, search, search_all
from iris.api.fields import MAX_TAG_CHARACTERS, quoted
from iris.api.filters import FilterSet, SentFilter
from iris.api.lists import LARGEST_ID, Words
from telephony import numbering
from telephony.api.fields import Number

MAX_TAG_FILTERS = 10

MEANINGS = {
    word: frozenset(meaning for meaning, its in RECIPIENT_STATUSES.items() if its == word)
    for word in RECIPIENT_STATUSES.values()
}


class TagValues(serializers.Field[Any, Any, Any, Any]):
    """Tag values, each as NAME:VALUE, such as `tags_ward:5`, with or without the prefix. A recipient must match all."""

    json_schema = {
        "type": "array",
        "items": {"type": "string"},
        "maxItems": MAX_TAG_FILTERS,
        "description": "Values of tags, each as `tags_ward:5`. A number must have all of them.",
    }
    default_error_messages = {
        "unreadable": "{value} is not a tag with a value. Write it as tags_ward:5.",
        "many": "This search has too many tags. It can have at most {most}.",
    }

    def get_value(self, dictionary: Mapping[Any, Any]) -> Any:
        assert isinstance(dictionary, QueryDict)
        names = (self.field_name or "", f"{self.field_name}[]")
        return [text for name in names for text in dictionary.getlist(name) if text.strip()] or empty

    def to_internal_value(self, data: list[str]) -> dict[str, str]:
        if len(data) > MAX_TAG_FILTERS:
            self.fail("many", most=MAX_TAG_FILTERS)
        return dict(self._pair(text) for text in data)

    def _pair(self, text: str) -> tuple[str, str]:
        name, colon, value = text.partition(":")
        tag = to_tag_name(name[:MAX_TAG_CHARACTERS])
        if not colon or not tag:
            self.fail("unreadable", value=quoted(text))
        return tag, value.strip()


class RecipientId(serializers.Field[Any, Any, Any, Any]):
    json_schema = {
        "type": "integer",
        "minimum": 1,
        "description": "Where a search goes on: the id that the response to the search before has under `before`.",
    }
    default_error_messages = {"invalid": "{value} is not an id. Ids are whole numbers above 0."}

    def to_internal_value(self, data: str) -> int:
        text = data.strip()
        if not (text.isascii() and text.isdecimal() and len(text) <= 19 and 0 < int(text) <= LARGEST_ID):
            self.fail("invalid", value=quoted(data))
        return int(text)


class RecipientFilter(FilterSet):
    """The conditions and the start of a search in a campaign's recipients.

    One search examines only a part of the campaign's recipients, a *stretch*. `qs` contains the matches in one stretch.
    """

    status = SentFilter(Words(MEANINGS))
    number = SentFilter(Number())
    tag = SentFilter(TagValues())
    before = SentFilter(RecipientId())

    @classmethod
    def of(cls, request: Request, campaign: Campaign) -> RecipientFilter | None:
        """Return the filters of a request, or None if it has none. Raises ValidationError for invalid values."""
        if not cls.is_named_by(request):
            return None
        filters = cls(request.query_params, campaign.recipients.all(), request=request)
        if not filters.is_valid():
            raise translate_validation(filters.errors)
        filters.campaign = campaign
        filters._check_tags()
        return filters

    campaign: Campaign

    @property
    def criteria(self) -> Criteria:
        sent = self.form.cleaned_data
        return Criteria(
            statuses=None if sent["status"] is None else frozenset().union(*sent["status"]),
            number=None if sent["number"] is None else numbering.parse(sent["number"]),
            tags=sent["tag"] or {},
        )

    def search(self) -> Stretch:
        """Search the stretch that begins at the request's `before`."""
        return search(self.campaign, self.criteria, before=self.form.cleaned_data["before"])

    def search_all(self) -> Iterator[QuerySet[Recipient]]:
        """Search from `before` to the end of the campaign, and yield the matches stretch by stretch."""
        return search_all(self.campaign, self.criteria, before=self.form.cleaned_data["before"])

    @property
    def qs(self) -> Any:
        return self.search().rows

    def _check_tags(self) -> None:
        unknown = [tag for tag in self.criteria.tags if tag not in self.campaign.tags]
        if unknown:
            has = (
                f"This campaign has: {', '.join(self.campaign.tags)}."
                if self.campaign.tags
                else "This campaign has none."
            )
            raise serializers.ValidationError({"tag": [f"Unknown tag {quoted(unknown[0])}. {has}"]})
