"""The last API requests of an account, for people who write programs that call the APIs.

Test accounts have this log on every server, and other accounts where the operator has switched it on (`IRIS_REQUEST_LOG`).
"""
