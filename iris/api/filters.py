"""Filters of lists: django-filter's `FilterSet`s. The serializer fields that parse bodies also parse their values.

    class CampaignFilter(FilterSet):
        name = SentFilter(Text(), field_name="name", lookup_expr="icontains")

So a filter accepts the same spellings of a value as a body, and refuses other values with the same error messages. Empty and
unknown filters are ignored.
"""

from __future__ import annotations

from typing import Any

import django_filters
from django import forms
from django.db.models import QuerySet
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import serializers
from rest_framework.fields import empty
from rest_framework.request import Request


class _Sent(forms.Widget):
    """Pass the whole query and the field's name to the field, because clients spell the name of a list in several ways."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> tuple[Any, str]:
        return data, name


class SentField(forms.Field):
    """A form field whose value is parsed by a serializer field."""

    widget = _Sent

    def __init__(self, *, reader: serializers.Field[Any, Any, Any, Any], **options: Any) -> None:
        super().__init__(**options)
        self.reader = reader

    def clean(self, value: tuple[Any, str]) -> Any:
        query, self.reader.field_name = value
        sent = self.reader.get_value(query)
        if sent is empty or (isinstance(sent, str) and not sent.strip()):
            return None
        try:
            return self.reader.run_validation(sent)
        except serializers.ValidationError as error:
            # django-filter interpolates parameters into these error messages, so "%" must be escaped.
            raise forms.ValidationError(
                [str(sentence).replace("%", "%%") for sentence in error.detail]
            ) from error


class SentFilter(django_filters.Filter):  # type: ignore[misc]
    """A filter with the serializer field that parses its values."""

    field_class = SentField

    def __init__(self, reader: serializers.Field[Any, Any, Any, Any], **options: Any) -> None:
        super().__init__(label="", reader=reader, **options)


class FilterSet(django_filters.FilterSet):  # type: ignore[misc]
    """The filters of one list."""

    @classmethod
    def unfiltered(cls, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows for a request without filters."""
        return rows

    @classmethod
    def is_named_by(cls, request: Request) -> bool:
        """Return whether the query has one of these filters, in any spelling (`status`, `status[]`, `status[0]`)."""
        return any(name.partition("[")[0] in cls.base_filters for name in request.query_params)


class FilterBackend(DjangoFilterBackend):  # type: ignore[misc]
    """Filter the list of a ViewSet by its `filterset_class`.

    The form of the filters is created only if the request names a filter, because that takes longer than reading a page.
    """

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: Any) -> QuerySet[Any]:
        filters = self.get_filterset_class(view, queryset)
        if filters is not None and not filters.is_named_by(request):
            rows: QuerySet[Any] = filters.unfiltered(queryset)
        else:
            rows = super().filter_queryset(request, queryset, view)
        return rows
