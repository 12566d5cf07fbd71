"""The fixtures of the tests of the sign-in pages: a real browser, for the tests that need one."""

from tests.browser import axe, chromium, look, open_page, page, playwright

__all__ = ["axe", "chromium", "look", "open_page", "page", "playwright"]
