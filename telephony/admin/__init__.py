"""Admin pages of telephony."""

from telephony.admin import pages, tariffs
from telephony.admin.lists import MAX_COUNTED, CappedPaginator, ReadOnlyAdmin

__all__ = ["MAX_COUNTED", "CappedPaginator", "ReadOnlyAdmin", "pages", "tariffs"]
