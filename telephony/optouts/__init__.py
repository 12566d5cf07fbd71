"""Opt-outs: the recipients whom an account must no longer contact, and the operator's list of blocked numbers."""

from telephony.optouts.keywords import Keyword, keyword_in
from telephony.optouts.lists import NewOptOut, add, opted_out, remove

__all__ = ["Keyword", "NewOptOut", "add", "keyword_in", "opted_out", "remove"]
