"""A short notation for the JSON of responses.

A dict describes an object, a list of one item describes an array, and a `Schema` is JSON Schema as it is::

    V0_LIST = named("V0List", {"id": INT, "name": TEXT, "tags": [TEXT], "import?": {"status": TEXT}})

A key that ends with a question mark can be missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


class Schema(dict[str, Any]):
    """A piece of JSON Schema."""


Shape = Schema | dict[str, Any] | list[Any]

TEXT = Schema(type="string")
INT = Schema(type="integer")
NUMBER = Schema(type="number")
BOOL = Schema(type="boolean")
ANY = Schema()
MOMENT = Schema(type="string", format="date-time")
DAY = Schema(type="string", format="date")
URL = Schema(type="string", format="uri")
NULL = Schema(type="null")
TRUE = Schema(const=True)
FALSE = Schema(const=False)

NAMED: dict[str, Schema] = {}  # the shapes that `named` has defined, by name


def schema_of(shape: Shape) -> Schema:
    """Return the JSON Schema of a shape."""
    if isinstance(shape, Schema):
        return shape
    if isinstance(shape, list):
        (item,) = shape
        return Schema(type="array", items=schema_of(item))
    properties = {key.removesuffix("?"): schema_of(value) for key, value in shape.items()}
    required = [key for key in shape if not key.endswith("?")]
    return Schema(type="object", properties=properties, **({"required": required} if required else {}))


def named(name: str, shape: Shape, *, about: str = "") -> Schema:
    """Define a shape that several responses share, and return a reference to it."""
    assert name not in NAMED, f"The schema has two shapes that are called {name}."
    described = {"description": about} if about else {}
    NAMED[name] = Schema(described | schema_of(shape))
    return Schema({"$ref": f"#/components/schemas/{name}"})


def words(listed: Iterable[object]) -> Schema:
    """Return the schema of one of a few words. A word that is listed twice counts once."""
    return Schema(type="string", enum=[str(word) for word in dict.fromkeys(listed)])


def nullable(shape: Shape) -> Schema:
    """Return the schema of a value that can be null."""
    schema = schema_of(shape)
    if isinstance(schema.get("type"), str) and "enum" not in schema:
        return Schema({**schema, "type": [schema["type"], "null"]})
    return Schema(anyOf=[schema, NULL])


def mapping(value: Shape) -> Schema:
    """Return the schema of an object with any keys."""
    return Schema(type="object", additionalProperties=schema_of(value))


def either(*shapes: Shape) -> Schema:
    """Return the schema of a value that has one of several shapes."""
    return Schema(anyOf=[schema_of(shape) for shape in shapes])


def about(description: str, shape: Shape) -> Schema:
    """Return the schema with a description."""
    return Schema({**schema_of(shape), "description": description})


def file(media_type: str) -> dict[str, Schema]:
    """Return the content of a response that is a file."""
    return {media_type: TEXT if media_type.startswith("text/") else Schema(type="string", format="binary")}


CREDITS = about("Credits. Whole credits are an integer.", NUMBER)
TAGS = about("The tags of a number by name.", mapping(either(TEXT, NUMBER)))
PHONE_NUMBER = about(
    "A phone number. It is a number if it was sent as plain digits, otherwise text.", either(TEXT, INT)
)

PAGINATION: dict[str, Shape] = {
    "total_items": INT,
    "total_pages": INT,
    "page_number": INT,
    "has_next": BOOL,
    "has_previous": BOOL,
    "links": [URL],
}
V0_PAGINATION = named("V0Pagination", PAGINATION)
V0_ERROR_ITEM = named(
    "V0ErrorItem",
    {"field?": TEXT, "row?": INT, "message": TEXT},
    about="What is wrong with one field of the request, or with one row of a sheet.",
)


def enveloped(data: Shape | None = None) -> Schema:
    """Return the v0 envelope of a successful response around its data."""
    return schema_of(
        {
            "status": INT,
            "success": TRUE,
            "message": nullable(TEXT),
            "errors": [V0_ERROR_ITEM],
            "data": schema_of({} if data is None else data),
        }
    )


def v1_page(results: Shape, more: Mapping[str, Shape] | None = None, *, total_pages: bool = True) -> Schema:
    """Return the keys that v1 has around a page of a list, and `more` beside them."""
    return schema_of(
        {
            "count": INT,
            **({"total_pages": INT} if total_pages else {}),
            "next": nullable(URL),
            "previous": nullable(URL),
            "results": results,
            **(more or {}),
        }
    )
