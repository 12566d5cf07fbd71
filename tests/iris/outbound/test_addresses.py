"""URLs that clients chose: which are valid, and which addresses are public."""

from __future__ import annotations

import socket

import pytest

from iris.errors import InvalidInput
from iris.outbound import AddressRefused, Deadline, is_public, parse_address, request


@pytest.mark.parametrize(
    "address",
    [
        "",
        "   ",
        "https://",
        "https:///path",
        "example.com/x",
        "//example.com/x",
        "ftp://example.com/x",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "gopher://example.com/",
        "http://example.com:22/",
        "http://example.com:8000/",
        "http://example.com:99999/",
        "http://example.com:-1/",
        "http://example.com:x/",
        "http://user@example.com/",
        "http://user:password@example.com/",
        "http://:@example.com/",
        "http://example.com@10.0.0.1/",
        "http://exa mple.com/",
        "http://example.com/a b",
        "http://example.com/\r\nX: y",
        "http://example.com\t/",
        "http://example.com\\@10.0.0.1/",
        "http:\\\\example.com/",
        "http://example.com%2f@10.0.0.1/",
        "http://exam%70le.com/",
        "http://example..com/",
        "http://.example.com/",
        "http://-example.com/",
        "http://" + "a" * 64 + ".com/",
        "http://" + "a." * 130 + "com/",
        "http://" + "ü" * 1900 + ".com/",
        "http://example.com/" + "a" * 2000,
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://127.1/",
        "http://127.0.0.01/",
        "http://1.2.3.4.5/",
        "http://example.0x1/",
        "http://1.2.3.256/",
        "http://[::1/",
        "http://[::1%25eth0]/",
        "http://[fe80::1%eth0]/",
        "http://[1.2.3.4]/",
        "http://[v1.x]/",
        "http://\x00/",
        "http://\ud800/",
        "http://１２７.1/",
    ],
)
def test_a_malformed_url_is_refused_without_a_lookup(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", None)
    with pytest.raises(AddressRefused) as refused:
        request("GET", address, deadline=Deadline(5), max_bytes=10)
    assert isinstance(refused.value, InvalidInput)


@pytest.mark.parametrize(
    ("address", "host", "path"),
    [
        ("https://example.com", "example.com", "/"),
        (" HTTPS://Example.COM./A?b=c#d ", "example.com", "/A?b=c"),
        ("http://8.8.8.8:443/x", "8.8.8.8", "/x"),
        ("http://[2606:4700::1111]/", "2606:4700::1111", "/"),
        ("https://bücher.example/ä?ö=%20", "xn--bcher-kva.example", "/%C3%A4?%C3%B6=%20"),
        ("https://उदाहरण.example/", "xn--p1b6ci4b4b3a.example", "/"),
        ("https://my_host.example/a@b", "my_host.example", "/a@b"),
    ],
)
def test_a_valid_url_is_parsed(address: str, host: str, path: str) -> None:
    target = parse_address(address)
    assert (target.host, target.path) == (host, path)


@pytest.mark.parametrize(
    "ip", ["8.8.8.8", "1.1.1.1", "103.10.28.1", "2606:4700::1111", "2400:1a00::1", "2a00:1450::1"]
)
def test_globally_routable_addresses_are_public(ip: str) -> None:
    assert is_public(ip)


@pytest.mark.parametrize(
    "ip",
    [
        "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.0.1",
        "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.200", "192.0.2.1", "192.88.99.1",
        "192.168.1.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255",
        "240.0.0.1", "255.255.255.255",
        "::", "::1", "::7f00:1", "::8.8.8.8", "::ffff:10.0.0.1", "::ffff:8.8.8.8", "::ffff:0:8.8.8.8",
        "64:ff9b::8.8.8.8", "64:ff9b::a00:1", "64:ff9b:1::a00:1", "100::1", "2001::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:db8::1", "2001:10::1", "2001:20::1", "2002:a00:1::", "2002:808:808::1", "3fff::1", "5f00::1", "4000::1",
        "fc00::1", "fd00::1", "fe80::1", "fe80::1%eth0", "fec0::1", "feff::1", "ff02::1", "ff0e::1",
        "2606:4700::5efe:a00:1", "2606:4700::200:5efe:10.0.0.1", "2606:4700::1111%1",
        "", "x", "8.8.8", "08.8.8.8",
    ],
)  # fmt: skip
def test_other_addresses_are_not_public(ip: str) -> None:
    assert not is_public(ip)
