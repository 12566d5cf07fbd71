"""Queries whose SQL is built once in each process.

For a query with joins and subqueries, Django takes several times as long to build the SQL as PostgreSQL to execute it. Every
request executes such queries to find who sends it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar, cast

from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.models.query import ModelIterable, QuerySet
from django.db.models.sql.compiler import SQLCompiler

M = TypeVar("M", bound=models.Model)
# The SQL is built with these values in place of the arguments, and no query contains them otherwise.
SAMPLES: dict[type, Callable[[int], int | str]] = {
    int: lambda place: 9_000_000_000_000_000_000 + place,
    str: lambda place: f"argument {place}",
}


@dataclass(frozen=True)
class _Statement:
    """Stand for the query of a QuerySet: the SQL exists already."""

    compiler: SQLCompiler
    sql: str
    parameters: tuple[Any, ...]

    def get_compiler(self, using: str) -> SQLCompiler:
        compiler = copy.copy(self.compiler)
        compiler.connection = connections[using]
        vars(compiler)["as_sql"] = lambda: (self.sql, self.parameters)
        return compiler


class PreparedQuery(Generic[M]):
    """A query with arguments. `build` returns the QuerySet for given arguments, which have these types, int or str."""

    def __init__(self, build: Callable[..., QuerySet[M]], *types: type) -> None:
        self._build = build
        self._samples = [SAMPLES[kind](place) for place, kind in enumerate(types)]

    @cached_property
    def _statement(self) -> _Statement:
        compiler = self._build(*self._samples).query.get_compiler(DEFAULT_DB_ALIAS)
        sql, parameters = compiler.as_sql()
        assert set(self._samples) <= set(parameters)
        return _Statement(compiler, sql, tuple(parameters))

    def rows(self, *arguments: int | str) -> list[M]:
        """Execute the query with these arguments. Return its rows, as the QuerySet would."""
        statement = self._statement
        given = dict(zip(self._samples, arguments, strict=True))
        # Numbers keep the type with which Django sends them to PostgreSQL.
        filled = tuple(
            type(one)(given[one]) if isinstance(one, int | str) and one in given else one
            for one in statement.parameters
        )
        query = cast(Any, _Statement(statement.compiler, statement.sql, filled))
        return list(
            ModelIterable(QuerySet(statement.compiler.query.model, query=query, using=DEFAULT_DB_ALIAS))
        )

    def first(self, *arguments: int | str) -> M | None:
        """Return the first row, or None. The QuerySet must have an order and a limit."""
        return next(iter(self.rows(*arguments)), None)
