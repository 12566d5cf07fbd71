"""Read sheets of phone numbers, with tags in the other columns.

The content decides the format; the file's name and content type are ignored. Supported are .xlsx, .xls, .xlsb, .ods, and
text with commas, semicolons, tabs or |, or with one number per line.

* The first worksheet that is not empty is read, up to 256 columns.
* `columns` decides which row is the heading and which column has the numbers.
* Every other column with a heading is a tag: `Full name` becomes `tags_Full_name`, and a second `name` becomes
  `tags_name_2`. Without a heading, the tags are `tags_column1`, `tags_column2`, … by position.
* Blank rows are skipped. Rows with an invalid number are skipped and reported. A number that occurs twice is two
  recipients.
* Errors such as #N/A become empty values, dates become ISO 8601, and invisible characters are removed.
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
