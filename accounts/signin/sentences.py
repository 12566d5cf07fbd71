"""Say errors of the domain in the language of the person. In English, the domain's own sentences are shown."""

from __future__ import annotations

from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _

from iris.errors import IrisError, Throttled

# By the code of the error.
SENTENCES: dict[str, Promise] = {
    "not_authenticated": _("The e-mail address or the password is wrong. Check both and try again."),
    "user_inactive": _("This account is switched off. Ask the operator of this server."),
}


def sentence_of(error: IrisError) -> str:
    """Return what to tell a person about an error."""
    if get_language() == settings.LANGUAGE_CODE:
        return error.message
    if isinstance(error, Throttled):
        wait = 60 if error.wait is None else round(error.wait)
        return gettext("Too many attempts in a short time. Wait %(wait)s seconds and try again.") % {
            "wait": wait
        }
    known = SENTENCES.get(error.code)
    return error.message if known is None else str(known)
