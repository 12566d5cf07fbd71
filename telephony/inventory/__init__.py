"""The inventory of phone numbers: the account and the state of each number, and the trunks that can show it."""
