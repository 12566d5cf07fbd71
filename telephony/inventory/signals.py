"""Signals that the inventory sends. It does not know their receivers."""

from django.dispatch import Signal

# Sent in the transaction that took numbers from their accounts, with `taken`: a list of (id of the account, number).
numbers_retired = Signal()
