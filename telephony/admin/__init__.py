"""Admin pages of telephony."""

from telephony.admin import numbers, pages, senders, tariffs, trunks
from telephony.admin.lists import MAX_COUNTED, CappedPaginator, ReadOnlyAdmin

__all__ = [
    "MAX_COUNTED",
    "CappedPaginator",
    "ReadOnlyAdmin",
    "numbers",
    "pages",
    "senders",
    "tariffs",
    "trunks",
]
