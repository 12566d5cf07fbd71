"""Convert between 16-bit samples and the bytes of G.711.

The phone's process imports this module, so it imports nothing of iris, which would take a second at each start.
"""

from __future__ import annotations

from bisect import bisect


def _linear(code: int) -> int:
    """Decode a byte of G.711 A-law to a 16-bit sample."""
    code ^= 0x55
    magnitude, segment = (code & 0x0F) << 4, (code & 0x70) >> 4
    magnitude += 8 if segment == 0 else 0x108
    if segment > 1:
        magnitude <<= segment - 1
    return magnitude if code & 0x80 else -magnitude


def _linear_of_mu_law(code: int) -> int:
    """Decode a byte of G.711 mu-law to a 16-bit sample."""
    code ^= 0xFF
    magnitude = ((((code & 0x0F) << 3) + 0x84) << ((code & 0x70) >> 4)) - 0x84
    return -magnitude if code & 0x80 else magnitude


LINEAR = [_linear(code) for code in range(256)]
_CODES = sorted((value, code) for code, value in enumerate(LINEAR))


def a_law_code(sample: int) -> int:
    """Return the byte of G.711 A-law that is nearest to a 16-bit sample."""
    place = bisect(_CODES, (sample, 0))
    near = _CODES[max(0, place - 1) : place + 1]
    return min(near, key=lambda one: abs(one[0] - sample))[1]


A_LAW_OF_MU_LAW = bytes(a_law_code(_linear_of_mu_law(code)) for code in range(256))
