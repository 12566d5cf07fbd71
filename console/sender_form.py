"""The form with which an account asks for a sender of its text messages."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from console import vocabulary
from telephony.models import SenderOperator
from telephony.numbering import Operator


class SenderForm(forms.Form):
    """A sender to ask for. No operator stands for all of them."""

    address = forms.CharField(
        label=_("Name or number"),
        max_length=40,
        help_text=_(
            "What people see as the sender of your text messages: a name of up to 11 Latin letters and digits, a phone"
            " number of yours with its country code, or a short code of 3 to 6 digits."
        ),
    )
    operators = forms.MultipleChoiceField(
        label=_("For the numbers of which operators?"),
        required=False,
        choices=[
            (one.value, vocabulary.OPERATORS[Operator[one.name]]) for one in SenderOperator if one.value
        ],
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Choose none of them to ask for every operator."),
    )
    note = forms.CharField(
        label=_("Note"),
        max_length=300,
        required=False,
        help_text=_(
            "The operator of this server reads it, such as the letter with which you registered the name."
        ),
    )
