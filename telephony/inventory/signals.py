"""Signals that the inventory sends. The inventory does not know their receivers."""

from django.dispatch import Signal

# Sent in the transaction that takes numbers away from accounts. `taken` is a list of (id of the account, number).
numbers_retired = Signal()
