"""Parse JSON within limits, and check text. Every error says what to change."""

import json
import math
from collections.abc import Iterable
from typing import Any, NoReturn

from iris.errors import InvalidInput
from iris.storable import is_storable

MAX_VALUES = 600_000  # in one JSON text
# Lists and objects in one JSON text: each needs several times the memory of a number.
MAX_CONTAINERS = 100_000
MAX_DEPTH = 60


def json_value(text: str) -> Any:
    """Parse JSON text from a body or a form field. Raises InvalidInput.

    Refuses more than MAX_VALUES values or MAX_CONTAINERS containers, nesting deeper than MAX_DEPTH, NaN, infinities, and
    integers of thousands of digits. If an object repeats a key, the last value is used.
    """
    # Checked before parsing, because parsed JSON can need ten times its size in memory.
    if text.count(",") > MAX_VALUES or text.count("[") + text.count("{") > MAX_CONTAINERS:
        raise InvalidInput(
            f"The JSON has more than {MAX_VALUES:,} values, or {MAX_CONTAINERS:,} lists and objects. Send it in several"
            " requests.",
            code="json_too_large",
        )
    try:
        value: Any = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except RecursionError as error:
        raise InvalidInput("The JSON body is nested too deeply.", code="json_too_deep") from error
    except json.JSONDecodeError as error:
        raise InvalidInput(
            f"The body is not valid JSON: {error.msg} in line {error.lineno}, column {error.colno}.",
            code="invalid_json",
        ) from error
    except ValueError as error:  # NaN, an infinity, or an integer with more digits than int() accepts
        raise InvalidInput(
            "The JSON body has a number that is too large or not finite.", code="invalid_json_number"
        ) from error
    _check_depth(value)
    return value


def _check_depth(value: Any) -> None:
    """Refuse deep nesting, so that other code may traverse the value recursively. Raises InvalidInput."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [child for item in level for child in _children(item) if isinstance(child, dict | list)]
        if not level:
            return
    raise InvalidInput("The JSON body is nested too deeply.", code="json_too_deep")


def _children(item: Any) -> Iterable[Any]:
    return item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()


def json_object(raw: bytes) -> dict[str, Any]:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise not_utf8() from error
    if not text.strip():
        return {}
    value = json_value(text)
    if not isinstance(value, dict):
        raise InvalidInput('The JSON body must be an object, such as {"key": "value"}.', code="not_an_object")
    # Only escapes can contain such characters: a raw NUL is not valid JSON, and an unpaired surrogate not valid UTF-8.
    if "\\u" in text:
        check_text(_texts(value))
    return value


def _texts(value: object) -> Iterable[str]:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            yield from item
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def check_text(texts: Iterable[str]) -> None:
    """Refuse text that PostgreSQL cannot store. Raises InvalidInput."""
    for text in texts:
        if not is_storable(text):
            raise InvalidInput(
                "Text with a NUL byte or a broken character cannot be stored. Remove it and try again.",
                code="unstorable_text",
            )


def not_utf8() -> InvalidInput:
    return InvalidInput("The body has bytes that are not UTF-8. Send all text as UTF-8.", code="not_utf8")
