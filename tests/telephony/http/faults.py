"""What goes wrong with a number, and the credentials that the far end accepts."""

from __future__ import annotations

TOKEN = "the-token-of-the-account"
ACCOUNT = "AC" + "0123456789abcdef" * 2

# What goes wrong with a number. `taken` means that the server accepts it all the same.
FAULTS = {
    "9901": "429",
    "9904": "invalid",
    "9911": "500",
    "9912": "500 taken",
    "9913": "reset taken",
    "9914": "reset",
    "9915": "huge taken",
    "9916": "broken json taken",
    "9917": "html taken",
    "9918": "silent taken",
    "9919": "drip taken",
    "9920": "503 later",
    "9921": "503",
    "9922": "redirect",
    "9923": "html 403",
    "9924": "html 502 taken",
    "9925": "gzip taken",
    "9926": "login",
    "9927": "funds",
    "9928": "unknown code",
    "9929": "deep json taken",
    "9930": "list json taken",
    "9931": "cut off taken",
    "9932": "closed",
}
