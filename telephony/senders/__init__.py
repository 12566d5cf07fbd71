"""Senders of SMS: their spelling, their approval, and which of them an SMS gets."""
