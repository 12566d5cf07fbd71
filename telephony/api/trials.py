"""The text of a voice trial, for both dialects."""

from __future__ import annotations

from typing import Any

from iris.api.fields import errors_for_this_field
from telephony.api.fields import Message
from telephony.speech import trials


class TrialText(Message):
    """A text to try a voice with."""

    def to_internal_value(self, data: Any) -> str:
        with errors_for_this_field():
            # Checks the length first, so that no other check has to read a very long text.
            trials.check_length(data.strip() if isinstance(data, str) else "")
        return super().to_internal_value(data)
