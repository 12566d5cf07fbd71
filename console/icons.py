"""The pictures of the console: lines in a square of 24. They are decoration; words say the same."""

PHONE = "M6.5 4h3.5l1.5 4.5-2.2 1.6a11 11 0 0 0 4.6 4.6l1.6-2.2L20 14v3.5a2 2 0 0 1-2.2 2A15 15 0 0 1 4.5 6.2 2 2 0 0 1 6.5 4z"

PATHS = {
    "home": "M3 11.5 12 4l9 7.5M5.5 10v9.5h13V10M10 19.5v-6h4v6",
    "campaigns": "M4 9.5v5h3.5l8.5 4.5V5L7.5 9.5zM19 9a4 4 0 0 1 0 6M7.5 14.5l1.5 5h2.5",
    "inbox": "M4 13.5 6.5 5h11l2.5 8.5V19H4zM4 13.5h5l1 2.5h4l1-2.5h5",
    "otps": "M6 10.5h12V20H6zM8.5 10.5V8a3.5 3.5 0 0 1 7 0v2.5M12 14v2.5",
    "numbers": PHONE,
    "credits": "M12 4c4.4 0 8 1.3 8 3s-3.6 3-8 3-8-1.3-8-3 3.6-3 8-3zM4 7v5c0 1.7 3.6 3 8 3s8-1.3 8-3V7M4 12v5c0 1.7 3.6 3 8 3s8-1.3 8-3v-5",
    "call": PHONE,
    "sms": "M4 5h16v11h-9l-4.5 4v-4H4zM8 9h8M8 12h5",
    "both": "M3 4h11v8H8l-3 2.8V12H3zM17 9h4v7h-2v2.8L16 16h-5",
    "survey": "M5 4h14v16H5zM8.5 9l1.3 1.3L12 8M14.5 9.5H16M8.5 15l1.3 1.3L12 14M14.5 15.5H16",
    "plus": "M12 5v14M5 12h14",
    "next": "M9 5l7 7-7 7",
    "down": "M6 9.5l6 6 6-6",
    "back": "M15 5l-7 7 7 7",
    "menu": "M4 7h16M4 12h16M4 17h16",
    "account": "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4.5 20a7.5 7.5 0 0 1 15 0",
    "language": "M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17zM3.5 12h17M12 3.5c3 3 3 14 0 17M12 3.5c-3 3-3 14 0 17",
    "search": "M10.5 4.5a6 6 0 1 0 0 12 6 6 0 0 0 0-12zM15 15l5 5",
    "check": "M5 12.5l4.5 4.5L19 7.5",
    "warning": "M12 4 2.5 20h19zM12 10v5M12 17.2v.3",
    "wait": "M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17zM12 7.5V12l3 2",
    "download": "M12 4v11M7.5 10.5 12 15l4.5-4.5M5 19.5h14",
}
