"""Django's PostgreSQL backend, which treats the errors of a read-only server as an outage."""
