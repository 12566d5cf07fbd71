"""What serves HTTP: gunicorn, with a worker in which slow clients cost no thread.

`gunicorn --config python:iris.webserver.config iris.wsgi` runs it, in production and in the sandbox alike.
"""
