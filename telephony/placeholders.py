"""Check the braces of messages: `{name}` is a placeholder; a brace before a word that is never closed is a mistake."""

import re

from iris.errors import InvalidInput

# Possessive, so that any text is read in linear time.
_UNCLOSED = re.compile(r"\{(\w[^\s{},.;:!?।|]*+)[^{}]*+(?:\{|\Z)")


def reject_unclosed_braces(text: str) -> None:
    """Raise InvalidInput for `Hello {name`, which recipients would hear or read literally. A single brace is text."""
    if found := _UNCLOSED.search(text):
        name = found[1][:30]
        raise InvalidInput(
            f"“{{{name}” has no closing brace. Write {{{name}}}, or remove the brace.",
            code="unclosed_tag",
        )
