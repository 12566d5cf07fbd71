"""gunicorn's settings, which `gunicorn --config python:iris.webserver.config iris.wsgi` reads.

Only what is the same everywhere; the address, `--workers` and `--threads` belong on the command line. Django's settings
are not read here, since the master process reads this file, and must not keep what its workers read anew.
"""

worker_class = "iris.webserver.worker.BufferingWorker"
threads = 8
# Clients keep connections for about a minute, and one that is closed in the moment of its reuse fails a request. So a
# proxy's own keep-alive time must be shorter than this (docs/operations.md).
keepalive = 75
timeout = 120
sendfile = False  # answers go through the worker's buffers (iris.webserver.outlet)
control_socket_disable = True
worker_connections = 2000
logger_class = "iris.webserver.log.ServerLog"
