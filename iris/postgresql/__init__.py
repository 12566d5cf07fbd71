"""Django's PostgreSQL backend, with the errors of a server that takes no changes sorted as an outage."""
