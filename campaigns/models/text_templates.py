"""Text templates: messages that are written once and used by any number of campaigns. Each change makes a new version."""

from __future__ import annotations

from typing import ClassVar, Self

from django.db import models
from django.db.models.functions import Now

from accounts.models import Account


class TextTemplateQuerySet(models.QuerySet["TextTemplate"]):
    def owned_by(self, account: Account) -> Self:
        return self.filter(owner=account, deleted_at__isnull=True)


class TextTemplate(models.Model):
    """A message for campaigns. Its words are in its versions. The latest version has the number `latest`."""

    owner = models.ForeignKey("accounts.Account", on_delete=models.PROTECT, related_name="text_templates")
    name = models.CharField(max_length=200)
    latest = models.IntegerField(
        default=0, help_text="The number of the latest version, and of all versions."
    )
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(
        null=True, blank=True, help_text="Campaigns keep referring to the versions of a deleted template."
    )

    objects = TextTemplateQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["owner", "-id"],
                condition=models.Q(deleted_at__isnull=True),
                name="text_template_newest_first",
            )
        ]

    def __str__(self) -> str:
        return self.name


class TextVersion(models.Model):
    """The words of a template from one change to the next. A version never changes."""

    template = models.ForeignKey(
        TextTemplate, on_delete=models.CASCADE, related_name="versions", db_index=False
    )
    number = models.IntegerField(help_text="The first version of a template has the number 1.")
    message = models.TextField(blank=True, help_text="The words of the call or the SMS.")
    sms_message = models.TextField(
        blank=True, help_text="The words of the SMS of campaigns that call and send SMS. If empty, `message`."
    )
    voice = models.CharField(max_length=50, blank=True, help_text="If empty, campaigns keep their voice.")
    author = models.BigIntegerField(
        null=True,
        blank=True,
        help_text="Id of the person who wrote it, or who created the API key that did.",
    )
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["template", "number"], name="one_version_of_each_number")
        ]

    def __str__(self) -> str:
        return f"version {self.number} of template {self.template_id}"
