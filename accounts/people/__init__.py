"""What an account stores about people whom it reaches: export and erasure of one phone number, and retention.

This package knows the account and the number. What is stored about it, the apps know that register a `Holder`.
"""
