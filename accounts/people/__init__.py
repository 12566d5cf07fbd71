"""What an account stores about people whom it reaches: export and erasure of one phone number, and retention.

This package knows only the account and the number. Each app that stores something about the number registers a `Holder`.
"""
