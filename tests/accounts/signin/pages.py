"""A browser without JavaScript for the sign-in pages, and the codes of an authenticator app."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import struct
import time
from typing import Any

from django.test import Client

from accounts import links
from accounts.models import OutgoingMail

PASSWORD = "secret-password"
NEW_PASSWORD = "another-good-password"


class Browser:
    """A person's browser, at one address."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        self.client = Client(REMOTE_ADDR=address, HTTP_USER_AGENT="Firefox")

    def get(self, path: str, *, status: int = 200) -> str:
        response = self.client.get(path)
        assert response.status_code == status, (response.status_code, response.headers.get("Location"))
        return response.content.decode()

    def post(self, path: str, data: Any = None, *, status: int = 200, follow: bool = True) -> str:
        """Send a form and return the page that follows."""
        response = self.client.post(path, data or {}, follow=follow)
        assert response.status_code == status, (response.status_code, response.content.decode()[-1500:])
        return response.content.decode()

    def sign_in(self, email: str, password: str = PASSWORD, *, status: int = 200) -> str:
        return self.post("/accounts/login/", {"login": email, "password": password}, status=status)

    def confirm(self, password: str = PASSWORD) -> str:
        """Enter the password again, before something important."""
        return self.post("/accounts/reauthenticate/", {"password": password})

    @property
    def signed_in(self) -> bool:
        return self.client.get("/accounts/").status_code == 200


def totp(secret: str) -> str:
    """Return the code that an authenticator app shows now (RFC 6238)."""
    counter = struct.pack(">Q", int(time.time()) // 30)
    digest = hmac.new(base64.b32decode(secret), counter, hashlib.sha1).digest()
    start = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[start : start + 4])[0] & 0x7FFFFFFF) % 10**6:06}"


def turn_on_totp(browser: Browser) -> tuple[str, list[str]]:
    """Set up an authenticator app as a signed-in person. Return its secret and the recovery codes."""
    browser.client.get("/accounts/two-step/app/activate/")
    browser.confirm()
    page = browser.get("/accounts/two-step/app/activate/")
    found = re.search(r"<code>([A-Z2-7]{32})</code>", page)
    assert found is not None, page
    page = browser.post("/accounts/two-step/app/activate/", {"code": totp(found[1])})
    codes = re.findall(r"<code>(\d{8})</code>", page)
    assert len(codes) == 10, page
    return found[1], codes


def mails() -> list[OutgoingMail]:
    """Return the e-mails that wait to be sent, after the worker has written those that were asked for."""
    links.write_requested()
    return list(OutgoingMail.objects.order_by("pk"))


def link_in(text: str) -> str:
    """Return the path of the only link in an e-mail."""
    (link,) = re.findall(r"^http://127\.0\.0\.1:8000(/accounts/\S+)$", text, re.MULTILINE)
    return str(link)
