"""Django's PostgreSQL backend for the embedded server.

DATABASES has two additional keys: HOME (IRIS_HOME), and SERVER (a dictionary of PostgreSQL's configuration, used by the
process that starts the server).
"""

import os
from collections.abc import Iterable
from typing import Any

import psycopg
from django.core.exceptions import ImproperlyConfigured
from django.db.backends.postgresql.client import DatabaseClient as PostgreSQLClient

from iris.postgresql import base

from . import keeper, server


class DatabaseClient(PostgreSQLClient):
    """`manage.py dbshell`, with the embedded server's own psql."""

    def runshell(self, parameters: Iterable[str]) -> None:
        assert isinstance(self.connection, DatabaseWrapper)
        self.connection.join()
        os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", ""), str(server.programs())])
        super().runshell(parameters)


class DatabaseWrapper(base.DatabaseWrapper):
    client_class = DatabaseClient

    def __init__(self, settings_dict: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        self.folder = server.folder_of(settings_dict["HOME"])
        settings_dict.update(
            USER=keeper.SUPERUSER, PASSWORD="", HOST=str(keeper.socket_folder(self.folder)), PORT=""
        )
        super().__init__(settings_dict, *args, **kwargs)

    def join(self) -> None:
        try:
            server.join(
                self.folder, self.settings_dict["NAME"] or "postgres", self.settings_dict.get("SERVER")
            )
        except server.CannotStart as error:
            raise ImproperlyConfigured(str(error)) from error

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        if server.is_joined(self.folder):
            try:
                return super().get_new_connection(conn_params)
            except psycopg.OperationalError:
                pass  # the server was stopped: start it again
        self.join()
        return super().get_new_connection(conn_params)
