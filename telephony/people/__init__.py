"""What telephony stores about people: calls and SMS, the inbox, opt-outs."""

from telephony.people.asking import ask
from telephony.people.erasing import erase_deliveries

__all__ = ["ask", "erase_deliveries"]
