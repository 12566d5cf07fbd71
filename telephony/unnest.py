"""Send rows along with a SQL statement, as a FROM item."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def rowset(alias: str, columns: dict[str, tuple[str, Sequence[Any]]]) -> tuple[str, list[Any]]:
    """Return SQL of a subquery named `alias` with these columns, and its parameters.

    Columns are `name: (type, values)`.

    A constant column is sent as a single value. In most statements most columns are constant. For 1,000 rows, converting
    values to array text would take a large part of the client's time.
    """
    selected: list[str] = []
    arrays: list[str] = []
    names: list[str] = []
    constants: list[Any] = []
    varying: list[Any] = []
    for name, (kind, values) in columns.items():
        if kind == "float8":  # psycopg cannot convert a list that mixes ints and floats
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
