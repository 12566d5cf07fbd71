"""Signals that accounts send. Accounts do not know their receivers."""

from django.dispatch import Signal

# Sent in the transaction that created a test twin, with `twin`: its account.
twin_opened = Signal()

# Sent in the transaction that noted that balances have fallen below the levels of accounts, with `account_ids`: a list.
credits_fell_low = Signal()
