"""Map a client's IP address to its network. Limits count the requests of a network together."""

import ipaddress

IPV6_PREFIX = 64  # providers give a /64 to each household, so one client can choose among 2^64 addresses


def network_of(address: str) -> str:
    """Return the text under which requests from this address are counted together.

    An IPv4 address is returned unchanged, also when it is mapped into an IPv6 address or tunnelled through one (6to4,
    Teredo). An IPv6 address is replaced by its /64. A port after the address is ignored. Text that is not an address
    is returned unchanged.
    """
    ip = _parsed(address)
    if ip is None:
        return address.strip()
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    embedded_ipv4 = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
    if embedded_ipv4 is not None:
        return str(embedded_ipv4)
    return str(ipaddress.IPv6Network((int(ip), IPV6_PREFIX), strict=False))


def shown_address(address: str) -> str:
    """Return the address without port and zone, as the audit log shows it, or "" for text that is not an address."""
    ip = _parsed(address)
    return "" if ip is None else str(getattr(ip, "ipv4_mapped", None) or ip)


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    text = address.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
