"""The network that an address of a client stands for, where clients are counted."""

import ipaddress

IPV6_PREFIX = 64  # what a provider gives to one household: its owner has 2^64 addresses to choose from


def network_of(address: str) -> str:
    """Return the text under which requests from this address are counted together.

    An IPv4 address stands for itself, also where it is written as, or tunnelled through, an IPv6 address. An IPv6
    address stands for its /64. A port behind the address is ignored. Text that is no address stands for itself.
    """
    text = address.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return address.strip()
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
    if inner is not None:
        return str(inner)
    return str(ipaddress.IPv6Network((int(found), IPV6_PREFIX), strict=False))
