"""The forms of the page of credits: move credits to departments, make departments, and be warned when few are left."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.departments import Direction
from accounts.models import MONEY_DIGITS, MONEY_PLACES, Account
from console.words_of_settings import SETTINGS

CENT = Decimal("0.01")
DIRECTIONS = (
    (Direction.TO_DEPARTMENT.value, _("to the department")),
    (Direction.FROM_DEPARTMENT.value, _("back from the department")),
)


class TransferForm(forms.Form):
    """Credits to move. `cause` comes from the page, so that sending the form twice moves them once."""

    department = forms.ChoiceField(label=_("Department"))
    direction = forms.ChoiceField(
        label=_("Which way?"), choices=DIRECTIONS, widget=forms.RadioSelect, initial=DIRECTIONS[0][0]
    )
    amount = forms.DecimalField(
        label=pgettext_lazy("credits", "How many credits?"),
        min_value=CENT,
        max_digits=MONEY_DIGITS,
        decimal_places=MONEY_PLACES,
    )
    note = forms.CharField(
        label=_("Note"),
        max_length=200,
        required=False,
        help_text=_("Both statements show it, such as what the credits are for."),
    )
    cause = forms.UUIDField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, departments: Sequence[Account], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["cause"].initial = uuid.uuid4
        department = self.fields["department"]
        assert isinstance(department, forms.ChoiceField)
        department.choices = [(str(one.pk), str(one)) for one in departments if not one.is_suspended]


class DepartmentForm(forms.Form):
    """A department to make."""

    name = forms.CharField(
        label=_("Name of the new department"), max_length=255, help_text=_("Such as Ward 5, or Accounts.")
    )


class AlertForm(forms.Form):
    """The credits below which people are told. An empty field switches it off."""

    low_credit_level = forms.DecimalField(
        label=SETTINGS["low_credit_level"],
        required=False,
        min_value=CENT,
        max_digits=MONEY_DIGITS,
        decimal_places=MONEY_PLACES,
        help_text=_(
            "Those who may manage credits get one e-mail each time the credits that are left fall below it. Leave it empty"
            " if nobody wants to know."
        ),
    )
