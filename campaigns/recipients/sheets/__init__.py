"""Sheets of phone numbers, with tags in the other columns.

What a file is, its content says; its name and content type are not looked at. Read are .xlsx (also .xls,
.xlsb and .ods), and text with commas, semicolons, tabs or |, or with one number a line.

* The first sheet with anything in it counts, and 256 columns of it. Its first row that isn't blank is the
  heading.
* The numbers are in the column called number, numbers, phone, mobile or the like, else in the first one.
* Every other column with a heading is a tag: `Full name` becomes `tags_Full_name`, a second `name` becomes
  `tags_name_2`.
* When no column is called so, and the first row has a phone number in it, there is no heading. The numbers
  are in that column, and the others become `tags_column1`, `tags_column2`, … by their place in the sheet.
* Blank rows are left out; rows with a wrong number too, and are reported. The same number twice is two
  people.
* Errors such as #N/A are empty values, dates are ISO 8601, and characters that cannot be seen are taken out.
"""

from campaigns.recipients.sheets.budget import Budget, OverBudget, in_background, in_request
from campaigns.recipients.sheets.grid import NotASheet, SheetTooLarge
from campaigns.recipients.sheets.sheet import Sheet, SheetRow, open_sheet

__all__ = [
    "Budget",
    "NotASheet",
    "OverBudget",
    "Sheet",
    "SheetRow",
    "SheetTooLarge",
    "in_request",
    "in_background",
    "open_sheet",
]
