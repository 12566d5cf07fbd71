"""gunicorn's settings, for `gunicorn --config python:iris.webserver.config iris.wsgi`.

Contains only settings that are the same everywhere. The address, `--workers` and `--threads` belong on the command line.
Django's settings must not be imported here: gunicorn's master process loads this file, and its workers would inherit
outdated settings after a reload.
"""

worker_class = "iris.webserver.worker.BufferingWorker"
threads = 8
# Longer than the keep-alive time of clients and proxies, about a minute: a request fails if the server closes the
# connection at the moment of its reuse (docs/operations.md).
keepalive = 75
timeout = 120
sendfile = False  # responses pass through the worker's buffers (iris.webserver.outlet)
control_socket_disable = True
worker_connections = 2000
logger_class = "iris.webserver.log.ServerLog"
