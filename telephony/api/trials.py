"""The text of somebody who tries a voice, in either dialect."""

from __future__ import annotations

from typing import Any

from iris.api.fields import told_of_this_field
from telephony.api.fields import Message
from telephony.speech import trials


class TrialText(Message):
    """Something to be spoken for its author."""

    def to_internal_value(self, data: Any) -> str:
        with told_of_this_field():
            trials.check_length(
                data.strip() if isinstance(data, str) else ""
            )  # before anything looks into it
        return super().to_internal_value(data)
