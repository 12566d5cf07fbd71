"""A valid request for each endpoint under /api/system, and what makes it invalid."""

from __future__ import annotations

from typing import Any

from campaigns.models import Campaign

CHOSEN = 10**12  # an id that no sequence reaches
LONG = "x" * 60_000  # within the limit of every endpoint
GOOD: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/api/system/phone_numbers/"): {"phone_sid": "0f3c9a5be17d42c68a90b1c2d3e4f506"},
    ("DELETE", "/api/system/phone_numbers/"): {"phone_sid": "1f3c9a5be17d42c68a90b1c2d3e4f506"},
    ("POST", "/api/system/campaigns/"): {
        "name": "Notice",
        "services": "SMS",
        "individual_number": [9800000001],
        "description": "What it is about",
    },
    ("PUT", "/api/system/campaigns/{campaign}/update/"): {
        "name": "New",
        "services": "PHONE",
        "description": "New",
    },
    ("POST", "/api/system/test/voice/"): {"message": "नमस्कार", "voice_input": "np_rija"},
    ("POST", "/api/system/campaigns/{campaign}/begin/"): {
        "message": "Namaste",
        "voice_input": "np_rija",
        "schedule_date": "2050-05-09T17:07",
        "status": ["failed"],
        "individual": [CHOSEN],
        "priority": "message",
        "aud_file": "",
        "audio": "",
    },
    ("POST", "/api/system/campaigns/number/{campaign}/"): {
        "number": 9800000002,
        "available_tags": {"tags_name": "Sita"},
    },
    ("PUT", "/api/system/number/{number}/"): {"number": 9800000002, "available_tags": {"tags_name": "Sita"}},
    ("POST", "/api/system/send/otp/"): {
        "number": "9800000034",
        "message": "Your OTP is {otp}",
        "sms_send_options": "text",
        "otp_options": "personnel",
        "otp": "12345",
        "otp_length": 6,
        "voice_input": "np_rija",
    },
}

# (method, path, field, value): a valid request with one field set to an invalid value.
NO_TEXT: list[Any] = [[], {}, ["a"], {"a": "b"}, True, [[["a"]]], LONG]
BAD: list[tuple[str, str, str, Any]] = [
    *[("POST", "/api/system/campaigns/", "name", value) for value in (*NO_TEXT, None, "", " ", "x" * 201)],
    *[
        ("POST", "/api/system/campaigns/", "services", value)
        for value in (*NO_TEXT, None, "", "FAX", 1, "SMS & PHONE")
    ],
    *[("POST", "/api/system/campaigns/", "description", value) for value in NO_TEXT],
    *[
        ("POST", "/api/system/campaigns/", "individual_number", value)
        for value in (
            None,
            "",
            [],
            {},
            True,
            False,
            "abc",
            [[]],
            [{}],
            [None],
            0,
            -9800000001,
            1.5,
            10**400,
            LONG,
            "[",
            "[]",
        )
    ],
    *[
        ("POST", "/api/system/campaigns/", "send_to_number_file", value)
        for value in ("numbers.xlsx", ["a"], {}, 1, True)
    ],
    *[("PUT", "/api/system/campaigns/{campaign}/update/", "name", value) for value in (*NO_TEXT, "x" * 201)],
    *[
        ("PUT", "/api/system/campaigns/{campaign}/update/", "services", value)
        for value in (*NO_TEXT, "FAX", 1)
    ],
    *[("PUT", "/api/system/campaigns/{campaign}/update/", "description", value) for value in NO_TEXT],
    *[
        ("POST", "/api/system/campaigns/{campaign}/begin/", "message", value)
        for value in (*NO_TEXT, "{tags_x}")
    ],
    *[
        ("POST", "/api/system/campaigns/{campaign}/begin/", "aud_file", value)
        for value in ("a.mp3", ["a"], {}, 1, True)
    ],
    *[
        ("POST", "/api/system/campaigns/{campaign}/begin/", "audio", value)
        for value in ("a.mp3", ["a"], {}, 1, True)
    ],
    *[
        ("POST", "/api/system/campaigns/{campaign}/begin/", "voice_input", value)
        for value in (*NO_TEXT, "robot", 1)
    ],
    *[
        ("POST", "/api/system/campaigns/{campaign}/begin/", "schedule_date", value)
        for value in (*NO_TEXT, 1, "now")
    ],
    *[
        ("POST", "/api/system/campaigns/{campaign}/begin/", "status", value)
        for value in (*NO_TEXT, 1, 1.5, [None])
    ],
    *[
        ("POST", "/api/system/campaigns/{campaign}/begin/", "individual", value)
        for value in (
            [],
            {},
            "x",
            True,
            [True],
            [1.5],
            [None],
            [[1]],
            [{}],
            0,
            -1,
            [2**63],
            10**400,
            ["1; DROP"],
            LONG,
        )
    ],
    *[
        ("POST", "/api/system/campaigns/{campaign}/begin/", "priority", value)
        for value in (*NO_TEXT, "sms", 1)
    ],
    *[
        ("POST", "/api/system/campaigns/number/{campaign}/", "number", value)
        for value in (
            None,
            "",
            [],
            {},
            True,
            "abc",
            "123",
            123,
            1.5,
            -9800000001,
            10**400,
            [9800000001],
            LONG,
            "+",
            "9 8",
        )
    ],
    *[
        ("POST", "/api/system/campaigns/number/{campaign}/", "available_tags", value)
        for value in (
            [],
            True,
            1,
            "x",
            "[]",
            ["tags_name"],
            {"tags_x": 1},
            {"name": 1},
            {"tags_name": []},
            {"tags_name": {}},
            {"tags_name": True},
            {"tags_name": LONG},
            {"": 1},
            '{"tags_name": "\\u0000"}',
            '{"tags_name": "\\ud800"}',
            '{"tags_name": NaN}',
            '{"tags_name": Infinity}',
            '{"tags_name": ' + "[" * 100_000,
        )
    ],
    *[
        ("PUT", "/api/system/number/{number}/", "number", value)
        for value in ([], {}, True, "abc", 123, 1.5, 10**400, [9800000001], LONG)
    ],
    *[
        ("PUT", "/api/system/number/{number}/", "available_tags", value)
        for value in ([], 1, {"tags_x": 1}, {"tags_name": []})
    ],
    *[("POST", "/api/system/phone_numbers/", "phone_sid", value) for value in (*NO_TEXT, None, "")],
    *[("DELETE", "/api/system/phone_numbers/", "phone_sid", value) for value in (*NO_TEXT, None, "")],
    *[("POST", "/api/system/test/voice/", "message", value) for value in (*NO_TEXT, None, "")],
    *[("POST", "/api/system/send/otp/", "number", value) for value in (*NO_TEXT, None, "", 10**400)],
    *[("POST", "/api/system/send/otp/", "message", value) for value in (*NO_TEXT, None, "")],
    *[("POST", "/api/system/send/otp/", "sms_send_options", value) for value in (*NO_TEXT, None, "", 1)],
    *[("POST", "/api/system/send/otp/", "otp_options", value) for value in (*NO_TEXT, 1)],
    *[("POST", "/api/system/send/otp/", "otp", value) for value in (*NO_TEXT, None, "", "12 45")],
    *[("POST", "/api/system/send/otp/", "otp_length", value) for value in (*NO_TEXT, 1.5, "six")],
]


def filled(path: str, campaign: Campaign) -> str:
    return path.format(campaign=campaign.pk, number=campaign.recipients.get().pk)


ANYTHING: list[Any] = [
    None, True, False, 0, -1, 1.5, 1e300, 2**31, 2**63, 10**400, "", " ", "0", "abc", "💥", "नमस्ते", "\\",
    "'", '"', "%s", "{", "}", "{}", "{otp}", "{tags_name}", "{0}", "[", "[[1]]", '{"a": 1}', "null", "NaN",
    "1e9", "-1", "1,2,,3", ",", "\n", "\u202e", [], [[]], [None], [True], [0], ["x"], ["", ""], [1, [2]], {},
    {"": ""}, {"a": {"b": []}}, {"tags_name": None}, "9" * 5000, "2026-13-45T99:99", "0000-00-00T00:00",
    "9999-12-31T23:59", "<script>", "a" * 5000,
]  # fmt: skip


IN_FORMS = [
    "",
    " ",
    "0",
    "-1",
    "abc",
    "💥",
    "[1",
    "[[1]]",
    '{"a": 1}',
    "null",
    "1,2,,3",
    "\u202e",
    "9" * 5000,
    "{tags_name}",
]
FILES = [b"", b"text", b"PK\x03\x04", b"\xff\xfb\x90\x00" * 50, b"RIFF\x00\x00\x00\x00WAVE", b"<html>" * 99]


# By what is wrong: the body, its content type, and the status of the refusal.
RAW: dict[str, tuple[bytes, str, int]] = {
    "truncated": (b"{", "application/json", 400),
    "no JSON": (b"nonsense", "application/json", 400),
    "a list": (b"[1, 2]", "application/json", 400),
    "a string": (b'"text"', "application/json", 400),
    "a number": (b"7", "application/json", 400),
    "null": (b"null", "application/json", 400),
    "NaN": (b'{"message": NaN}', "application/json", 400),
    "infinity": (b'{"message": 1e999}', "application/json", 400),
    "5000 digits": (b'{"number": ' + b"9" * 5000 + b"}", "application/json", 400),
    "nested": (b"[" * 50_000, "application/json", 400),
    "nested objects": (b'{"a":' * 10_000, "application/json", 400),
    "no UTF-8": (b'{"message": "\xff\xfe"}', "application/json", 400),
    "NUL": (b'{"message": "a\\u0000b", "name": "\\u0000"}', "application/json", 400),
    "half a character": (b'{"message": "\\ud800"}', "application/json", 400),
    "NUL in a form": (b"message=%00", "application/x-www-form-urlencoded", 400),
    "no UTF-8 in a form": (b"message=%ff%fe", "application/x-www-form-urlencoded", 400),
    "20,000 fields": (b"&".join([b"a="] * 20_000), "application/x-www-form-urlencoded", 400),
    "multipart without a boundary": (b"no parts", "multipart/form-data", 400),
    "multipart cut off": (b"--x\r\n", "multipart/form-data; boundary=x", 400),
    "XML": (b"<xml/>", "text/xml", 415),
    "text": (b"message=hello", "text/plain", 415),
    "a charset that is none": (b"{}", "application/json; charset=no-such-charset", 400),
}
