"""Contact lists: saved lists of people, from which any number of campaigns get their recipients."""

from __future__ import annotations

from typing import ClassVar, Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from accounts.models import Account
from campaigns.models.campaigns import Campaign


class ContactListQuerySet(models.QuerySet["ContactList"]):
    def owned_by(self, account: Account) -> Self:
        return self.filter(owner=account)

    def with_uses(self) -> Self:
        """Annotate `uses`: the number of campaigns that got recipients from the list and were not deleted."""
        uses = ListUse.objects.filter(contact_list=models.OuterRef("pk"), campaign__deleted_at__isnull=True)
        counted = uses.order_by().values("contact_list").annotate(count=models.Count("pk")).values("count")
        return self.annotate(
            uses=models.functions.Coalesce(models.Subquery(counted), 0, output_field=models.IntegerField())
        )


class ContactList(models.Model):
    """A saved list of people. Campaigns copy its contacts, so later changes of the list do not change a campaign.

    `tags`, `tag_sizes`, `spoken_sizes` and `number_count` have the same meaning as those of a campaign. All processes that
    change the contacts lock the list first.
    """

    owner = models.ForeignKey("accounts.Account", on_delete=models.PROTECT, related_name="contact_lists")
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    tags = ArrayField(models.CharField(max_length=200), default=list)
    tag_sizes = models.JSONField(default=dict)
    spoken_sizes = models.JSONField(default=dict)
    number_count = models.IntegerField(default=0)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(auto_now=True)
    used_at = models.DateTimeField(
        null=True, blank=True, help_text="When a campaign last got recipients from it."
    )

    objects = ContactListQuerySet.as_manager()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["owner", "-id"], name="contact_list_newest_first")]

    def __str__(self) -> str:
        return self.name


class Contact(models.Model):
    """One phone number of a contact list, with its tags."""

    # The list is locked whenever contacts are added or the list is deleted. A constraint would check every row of an import.
    contact_list = models.ForeignKey(
        ContactList, on_delete=models.CASCADE, related_name="contacts", db_index=False, db_constraint=False
    )
    number = models.CharField(max_length=40, help_text="As the client sent it.")
    to = models.CharField(max_length=32, blank=True, help_text="In E.164. Empty if the number cannot exist.")
    tags = models.JSONField(default=dict, db_default=models.Value({}, models.JSONField()))
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["contact_list", "id"], name="contact_of_list"),
            models.Index(fields=["contact_list", "to"], name="contact_by_number"),
        ]

    def __str__(self) -> str:
        return self.number


class ListUse(models.Model):
    """A campaign has got recipients from a list: all contacts up to `last_contact`. So no contact is copied twice."""

    contact_list = models.ForeignKey(
        ContactList, on_delete=models.CASCADE, related_name="list_uses", db_index=False
    )
    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="list_uses")
    last_contact = models.BigIntegerField(
        help_text="Id of the last contact of the list when the campaign got its recipients."
    )
    recipients = models.IntegerField(help_text="Number of recipients that the campaign got.")
    used_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["contact_list", "campaign"], name="one_use_of_list_by_campaign")
        ]

    def __str__(self) -> str:
        return f"list {self.contact_list_id} in campaign {self.campaign_id}"


# Numbers are added to campaigns and to contact lists by the same code.
Audience = Campaign | ContactList
