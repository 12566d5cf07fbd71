"""What the entries of the ledger are called for people."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.models import CreditEntry
from telephony.models import Purpose

KINDS: dict[str, Promise] = {
    CreditEntry.Kind.TOPUP: _("Credits added"),
    CreditEntry.Kind.CHARGE: _("Paid at once"),
    CreditEntry.Kind.HOLD: _("Put on hold"),
    CreditEntry.Kind.CAPTURE: _("Paid from what was on hold"),
    CreditEntry.Kind.RELEASE: _("Given back from what was on hold"),
    CreditEntry.Kind.TRANSFER: _("Moved between accounts"),
}
PURPOSES: dict[str, Promise] = {
    Purpose.CAMPAIGN: pgettext_lazy("purpose", "Campaign"),
    Purpose.OTP: pgettext_lazy("purpose", "OTPs"),
    "number": pgettext_lazy("purpose", "Phone number"),
}
