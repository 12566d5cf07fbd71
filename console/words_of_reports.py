"""The words of reports, in the language of whoever asks for them."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from campaigns.models import ReportFormat
from campaigns.report_files.rows import Labels
from console import vocabulary

FORMATS: dict[str, Promise] = {
    ReportFormat.XLSX: gettext_lazy("Excel (XLSX)"),
    ReportFormat.CSV: gettext_lazy("Table as text (CSV)"),
}


def labels() -> Labels:
    """Return the headings and words of a report in the current language."""
    return Labels(
        columns={
            "number": _("Phone number"),
            "status": _("Outcome"),
            "cause": _("Why"),
            "attempts": _("Calls and text messages"),
            "call_duration": _("Seconds"),
            "playback": _("Heard (%)"),
            "credits": _("Credits"),
            "updated_at": _("Last change"),
        },
        statuses={
            "" if status is None else str(int(status)): str(word.label)
            for status, word in vocabulary.RECIPIENT.items()
        },
        causes={str(cause): str(sentence) for cause, sentence in vocabulary.CAUSES.items()},
        recorded=_("recorded"),
        title=_("People"),
    )
