"""Braces in messages: `{name}` is a place for something; a brace that opens a word and is never closed is a slip."""

import re

from iris.errors import InvalidInput

# Possessive: a long text is read once, whatever it holds.
_UNCLOSED = re.compile(r"\{(\w[^\s{},.;:!?।|]*+)[^{}]*+(?:\{|\Z)")


def refuse_unclosed(text: str) -> None:
    """Raises InvalidInput for `Hello {name`: people would hear or read it so. A brace on its own is text."""
    if found := _UNCLOSED.search(text):
        name = found[1][:30]
        raise InvalidInput(
            f"“{{{name}” has no closing brace. Write {{{name}}}, or leave the brace away.",
            code="unclosed_tag",
        )
