"""Seed numbers show what carriers really deliver: people of the account see the SMS on their own phones, or miss it."""
