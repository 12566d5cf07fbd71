"""Senders of SMS: their spelling, their approval, and the choice of a sender for each SMS."""
