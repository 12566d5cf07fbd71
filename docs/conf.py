"""How Sphinx makes a site of the documents in this folder: `make docs`."""

from __future__ import annotations

import re
from pathlib import Path

project = "iris"
copyright = "the authors of iris, Apache License 2.0"
release = re.findall(r'__version__ = "(.+)"', (Path(__file__).parents[1] / "iris/__init__.py").read_text())[0]

extensions = ["myst_parser"]
# Links such as api-v0.md#begin lead to headings, as they do on a code host.
myst_heading_anchors = 4
# The examples of responses contain placeholders such as <int>, so they are not quite JSON.
suppress_warnings = ["misc.highlighting_failure"]

html_theme = "furo"
html_title = f"iris {release}"
html_show_sphinx = False
html_copy_source = False
html_theme_options: dict[str, list[object]] = {"footer_icons": []}
