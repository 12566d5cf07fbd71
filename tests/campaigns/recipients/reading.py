"""Read sheets from memory."""

import io
from typing import Any

import openpyxl
import pytest

from campaigns.recipients.sheets import NotASheet, Sheet, SheetTooLarge, open_sheet

RAM = ("9841234567", "+9779841234567")
SITA = ("9801234567", "+9779801234567")


def opened(content: bytes | str) -> Sheet:
    return open_sheet(io.BytesIO(content.encode() if isinstance(content, str) else content))


def saved(*tables: list[list[Any]]) -> bytes:
    """Return the bytes of a workbook with these tables, saved by openpyxl."""
    workbook = openpyxl.Workbook()
    workbook.remove(workbook.active)
    for table in tables:
        sheet = workbook.create_sheet()
        for row in table:
            sheet.append(row)
    file = io.BytesIO()
    workbook.save(file)
    return file.getvalue()


def rejection_message(content: bytes | str) -> str:
    """Return the message with which the file, or the reading of its rows, is refused."""
    with pytest.raises((NotASheet, SheetTooLarge)) as refused:
        list(opened(content))
    return refused.value.message
