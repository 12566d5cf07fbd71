"""What telephony stores about people: calls and SMS, the inbox, opt-outs."""

from telephony.people.asking import ask
from telephony.people.erasing import erase_deliveries, erase_from_batches, is_mentioned_under_way

__all__ = ["ask", "erase_deliveries", "erase_from_batches", "is_mentioned_under_way"]
