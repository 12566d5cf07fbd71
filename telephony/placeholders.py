"""Read the braces of messages: `{name}` is a placeholder, in campaigns and OTPs alike.

`{{name}}` and `{{{name}}}` of other template languages mean the same. Ambiguous braces are refused, with an error message
that shows the right spelling, because recipients would hear or read them literally.
"""

import re

from iris.errors import InvalidInput

# Possessive, so that any text is read in linear time.
_UNCLOSED = re.compile(r"\{(\w[^\s{},.;:!?।|]*+)[^{}]*+(?:\{|\Z)")
_DOUBLED = re.compile(r"(?<!\{)(?:\{\{([^{}]++)\}\}|\{\{\{([^{}]++)\}\}\})(?!\})")
_DOLLAR = re.compile(r"\$\{\s*+(\w[^{}]{0,99}+)\}")


def with_single_braces(text: str) -> str:
    """Return the text with `{{name}}` and `{{{name}}}` written as `{name}`."""
    return _DOUBLED.sub(lambda found: "{" + (found[1] or found[2]).strip() + "}", text)


def read_placeholders(text: str) -> str:
    """Return the text with each placeholder in single braces.

    Raises InvalidInput for a placeholder that is not closed (`Hello {name`), and for `${name}`, which may be a placeholder
    or an amount of dollars. A brace that belongs to no placeholder is ordinary text.
    """
    text = with_single_braces(text)
    if found := _DOLLAR.search(text):
        name = found[1].strip()[:30]
        raise InvalidInput(
            f"“{found[0][:33]}” may mean two things. Write {{{name}}} for the value alone, or put a space between the sign"
            " and the brace.",
            code="unclear_placeholder",
        )
    if found := _UNCLOSED.search(text):
        name = found[1][:30]
        raise InvalidInput(
            f"“{{{name}” has no closing brace. Write {{{name}}}, or remove the brace.",
            code="unclosed_tag",
        )
    return text
