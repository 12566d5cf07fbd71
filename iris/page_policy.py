"""The Content-Security-Policy of pages."""

from collections.abc import Mapping

# Pages load everything from this server and contain no inline styles or scripts. The only exception is a style that
# Django's admin writes into lists without actions; it is allowed by its hash.
ADMIN_LIST_STYLE = "'sha256-blvLUW3UscWqsXGByNOqdBboM+ShWAuugp2mC/wbafU='"
POLICY: dict[str, str] = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": f"'self' {ADMIN_LIST_STYLE}",
    "img-src": "'self' data:",  # the icons in the style sheets of the admin and of Swagger UI
    "font-src": "'self'",
    "connect-src": "'self'",
    "media-src": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
    "base-uri": "'none'",
}


def as_header(policy: Mapping[str, str]) -> str:
    """Return the value of the header `Content-Security-Policy`."""
    return "; ".join(f"{directive} {sources}" for directive, sources in policy.items())
