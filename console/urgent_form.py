"""The form that makes the beginning of a campaign urgent. Only people who may begin urgent campaigns see it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from campaigns.messages import PREFIX
from campaigns.models import Campaign, Service
from campaigns.runs.urgent import MAX_REASON_CHARACTERS, UrgentRule


class UrgentForm(forms.Form):
    """Whether the campaign is urgent, why, whom it reaches in addition, and whether calls ask if people have heard it.

    Without `sent`, and if it is not urgent, `rule` is None.
    """

    use_required_attribute = False  # browsers could not ask for fields that are hidden

    urgent = forms.BooleanField(
        label=_("This is urgent: it goes before all other campaigns, and at any time of the day"),
        required=False,
    )
    reason = forms.CharField(
        label=_("Why is it urgent? The audit log shows the reason."),
        required=False,
        max_length=MAX_REASON_CHARACTERS,
    )
    past_opt_outs = forms.BooleanField(label=_("Also reach people who have opted out"), required=False)
    heard = forms.BooleanField(label=_("Ask people to press 1 when they have heard it"), required=False)
    sms = forms.BooleanField(label=_("Send a text message to those who have not heard it"), required=False)
    household = forms.ChoiceField(
        label=_("Numbers of one household have the same:"),
        required=False,
        help_text=_("They are called one after the other until one of them has heard it."),
    )

    def __init__(self, sent: QueryDict | None, *, campaign: Campaign) -> None:
        super().__init__(sent)
        service = Service(campaign.service)
        if not campaign.owner.alerts_past_opt_outs:
            del self.fields["past_opt_outs"]
        if not service.calls or service is Service.SURVEY:
            for name in ("heard", "sms", "household"):
                del self.fields[name]
            return
        if service.texts:
            del self.fields["sms"]
        household = self.fields["household"]
        assert isinstance(household, forms.ChoiceField)
        tags = [(tag, tag.removeprefix(PREFIX).replace("_", " ")) for tag in campaign.tags]
        household.choices = [("", _("nothing: each number is a household of its own")), *tags]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("urgent") and not cleaned.get("reason") and "reason" not in self.errors:
            self.add_error("reason", _("Write why it is urgent."))
        return cleaned

    @property
    def always(self) -> list[forms.BoundField]:
        """The fields of every urgent campaign."""
        return [field for field in self if field.name not in ("urgent", "sms", "household")]

    @property
    def if_heard(self) -> list[forms.BoundField]:
        """The fields that only matter if calls ask whether people have heard it."""
        return [field for field in self if field.name in ("sms", "household")]

    @property
    def rule(self) -> UrgentRule | None:
        """The rule of a valid form. Raises InvalidInput."""
        if not self.is_bound or not self.cleaned_data["urgent"]:
            return None
        cleaned = self.cleaned_data
        heard = {"sms": cleaned.get("sms", False), "household": cleaned.get("household") or None}
        return UrgentRule.parse(
            {
                "reason": cleaned["reason"],
                "past_opt_outs": cleaned.get("past_opt_outs", False),
                "heard": heard if cleaned.get("heard") else None,
            }
        )
