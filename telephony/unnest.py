"""Rows sent along with a statement, as a FROM item."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def rowset(alias: str, columns: dict[str, tuple[str, Sequence[Any]]]) -> tuple[str, list[Any]]:
    """SQL of a subquery called `alias` with these columns, each `name: (type, values)`, and its parameters.

    A column with one value throughout is sent once: turning values into an array's text is a good part of what a
    statement with a thousand rows costs on our side, and most columns of most sets are constant.
    """
    selected: list[str] = []
    arrays: list[str] = []
    names: list[str] = []
    constants: list[Any] = []
    varying: list[Any] = []
    for name, (kind, values) in columns.items():
        if kind == "float8":  # psycopg makes no array of ints and floats
            values = [None if value is None else float(value) for value in values]
        first = values[0]
        if not names or any(value != first for value in values):
            selected.append(f'varying."{name}"')
            arrays.append(f"%s::{kind}[]")
            names.append(f'"{name}"')
            varying.append(list(values))
        else:
            selected.append(f'%s::{kind} AS "{name}"')
            constants.append(first)
    sql = f"(SELECT {', '.join(selected)} FROM unnest({', '.join(arrays)}) AS varying({', '.join(names)})) AS {alias}"
    return sql, constants + varying
