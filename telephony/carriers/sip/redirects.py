"""Decide which target of a redirect (3xx) is called.

Without a check, whoever can send a redirect could make iris call expensive numbers (toll fraud), or make it send the trunk's
password to any host. So iris follows redirects only to hosts of the trunk, and to the same number or one that costs the
same.
"""

from __future__ import annotations

import re

import phonenumbers

from telephony.carriers.sip.messages import SipMessage
from telephony.carriers.sip.options import SipOptions

MAX_REDIRECTS = 5  # of one call
_SIP_URI = re.compile(
    r'(sips?):(?:([^@\s<>"]*)@)?(\[[0-9a-f:.]*\]|[^:;?@\s<>"]+)(:\d{1,5})?([;?].*)?', re.IGNORECASE
)
_IPV6 = re.compile(r"\[([^\]]*)\](?::\d{1,5})?")
_COSTLY = {phonenumbers.PhoneNumberType.PREMIUM_RATE, phonenumbers.PhoneNumberType.SHARED_COST}


def target_of(response: SipMessage, *, options: SipOptions, to: str, came_from: str) -> tuple[str, str]:
    """Return (the URI to call, "") or ("", the reason why none of the targets is called).

    `to` is the recipient in E.164. `came_from` is the address that sent the response. Redirects to it are allowed, because
    the call already went there.
    """
    hosts = {_host(host) for host in (options.host, options.proxy, came_from, *options.redirect_hosts)}
    refusal = "it names no target"
    for uri in response.contacts():
        found = _SIP_URI.fullmatch(uri)
        if found is None:
            refusal = f"{_scheme(uri)} is not a SIP address"
        elif _host(found[3]) not in hosts:
            refusal = f"{found[3]} is not a host of this trunk"
        elif not found[2]:
            refusal = "it names no number"
        elif not _costs_the_same(found[2], to):
            refusal = "its number may cost more than the recipient's"
        else:
            # Keep the trunk's transport: a downgrade would show the call to others.
            return f"sip:{found[2]}@{found[3]}{found[4] or ''};transport={options.transport}", ""
    return "", refusal


def _costs_the_same(user: str, to: str) -> bool:
    """Return whether the user part of a target is a number of the recipient's country at no special rate, or a name."""
    number = re.sub(r"[\s().-]", "", user.partition(";")[0])
    if not number:
        return False
    if not re.fullmatch(r"\+?\d{5,15}", number):
        return not any(sign.isdigit() for sign in number[:1]) and not number.startswith("+")
    called = phonenumbers.parse(to)
    if number.lstrip("+") in (to.lstrip("+"), phonenumbers.national_significant_number(called)):
        return True
    region = phonenumbers.region_code_for_number(called)
    for written in (f"+{number.lstrip('+')}", number):
        try:
            parsed = phonenumbers.parse(written, region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(parsed):
            same_country = parsed.country_code == called.country_code
            return same_country and phonenumbers.number_type(parsed) not in _COSTLY
    return False


def _host(host: str) -> str:
    """Return a host without its port and brackets, in lower case."""
    if bracketed := _IPV6.fullmatch(host):
        return bracketed[1].lower()
    return (host if host.count(":") > 1 else host.partition(":")[0]).lower()


def _scheme(uri: str) -> str:
    return uri.partition(":")[0][:10] or "the target"
