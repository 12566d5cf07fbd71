"""The web server: gunicorn with a worker in which slow clients do not occupy threads.

`gunicorn --config python:iris.webserver.config iris.wsgi` runs it in production and in the sandbox.
"""
