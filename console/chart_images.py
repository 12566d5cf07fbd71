"""Draw charts as SVG images, with pygal. They have the colours of the pages, light and dark, and contain no script.

An image cannot use the style sheets of the page that shows it, so it contains the rules that it needs.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from math import ceil
from pathlib import Path
from typing import Any

import pygal
from django.contrib.staticfiles import finders
from django.utils.translation import get_language
from pygal.style import Style

from console.charts import Chart, key_of
from console.numerals import grouped
from console.vocabulary import RECIPIENT


@dataclass(frozen=True, kw_only=True)
class Size:
    """Width and height of an image in pixels, and the widest window that it is for, if there are wider ones.

    An image is scaled with its letters, so windows of different widths need different images.
    """

    width: int
    height: int
    window: str = ""


SIZES = {
    "small": Size(width=320, height=190, window="30rem"),
    "medium": Size(width=540, height=220, window="62rem"),
    "large": Size(width=900, height=250),
}
LETTERS = 13  # the height of letters in pixels
LABEL_GAP = 12  # between two labels of the horizontal axis, in pixels
PLOT_SHARE = 0.7  # of the width of an image is left for bars, beside the numbers of the vertical axis
MAX_STEPS = 4  # of the vertical axis

STYLE = Style(
    font_family="var(--sans)",
    label_font_size=LETTERS,
    major_label_font_size=LETTERS,
    guide_stroke_color="var(--line)",
    major_guide_stroke_color="var(--line)",
    guide_stroke_dasharray="none",
    major_guide_stroke_dasharray="none",
)
RULES = """
svg { background: var(--card); }
text { fill: var(--quiet); }
.background { fill: none; }
.axis .line { stroke: var(--line); fill: none; }
"""
_COLOURS = re.compile(r":root \{[^}]*\}|@media \(prefers-color-scheme: dark\) \{\s*:root \{[^}]*\}\s*\}")
_OF_LEGEND = re.compile(r"\.legend (\.\w+ \{ fill: [^}]*\})")


def draw(chart: Chart, size: Size) -> bytes:
    """Return the image, as a document of SVG in UTF-8. At least one bar must have a height."""
    steps = steps_to(chart.highest.total)
    labels = [bar.at_axis for bar in chart.bars]
    drawing = pygal.StackedBar(
        width=size.width,
        height=size.height,
        style=STYLE,
        css=["file://graph.css", f"inline:{colours()}{RULES}"],
        js=[],
        no_prefix=True,
        show_legend=False,  # the page has it
        margin=8,
        x_labels=labels,
        x_labels_major=_some(labels, size.width),
        show_minor_x_labels=False,
        truncate_label=-1,
        y_labels=steps,
        range=(0, steps[-1]),
        value_formatter=lambda value: grouped(round(value)),
    )
    for place, outcome in enumerate(chart.outcomes):
        word = RECIPIENT[outcome].label
        drawing.add(
            key_of(outcome),
            [
                {
                    "value": bar.counts[place],
                    "tooltip": f"{bar.label}: {word} {grouped(bar.counts[place])}",
                }
                for bar in chart.bars
            ],
        )
    drawing.add_xml_filter(lambda root: _finish(root, chart))
    return bytes(drawing.render())


def steps_to(highest: int) -> list[int]:
    """Return whole numbers for the vertical axis, from 0 to at least `highest`, at most MAX_STEPS + 1 of them."""
    step, powers = 1, 0
    while step * MAX_STEPS < highest:
        powers += 1
        step = (1, 2, 5)[powers % 3] * 10 ** (powers // 3)
    return list(range(0, max(highest, 1) + step, step))


@cache
def colours() -> str:
    """Return the rules of the pages' style sheets for the colours, light and dark, and for those of the legend."""
    sheets = {}
    for name in ("iris/look.css", "console/console.css"):
        path = finders.find(name)
        if path is None:
            raise FileNotFoundError(f"The static file {name} is missing.")
        sheets[name] = Path(path).read_text(encoding="utf-8")
    return "".join(
        _COLOURS.findall(sheets["iris/look.css"]) + _OF_LEGEND.findall(sheets["console/console.css"])
    )


def _some(labels: list[str], width: int) -> list[str]:
    """Return the labels that have room in an image of this width: one for each group of bars, in its middle."""
    widest = max(_letters(label) for label in labels) * LETTERS * 0.6 + LABEL_GAP
    group = min(ceil(len(labels) * widest / (PLOT_SHARE * width)), len(labels))
    return labels[(group - 1) // 2 : len(labels) // group * group : group]


def _letters(text: str) -> int:
    """Count what takes room: signs above and below letters take none."""
    return sum(unicodedata.category(character) != "Mn" for character in text)


def _finish(root: Any, chart: Chart) -> Any:
    """Remove what only pygal's own script needs, and its comments; name the image, and colour its bars by outcome."""
    for parent in list(root.iter()):
        for child in list(parent):
            if _is_needless(child):
                parent.remove(child)
    for part in root.iter("g"):
        if found := re.match(r"series \w+-(\d+)", part.get("class", "")):
            part.set("class", key_of(chart.outcomes[int(found[1])]))
    for bar in root.iter("rect"):
        for name in ("class", "rx", "ry") if bar.get("class") != "background" else ():
            bar.attrib.pop(name, None)
        for name in ("x", "y", "width", "height"):
            bar.set(name, f"{float(bar.get(name)):.2f}")
    root.find("title").text = str(chart.title)
    root.attrib.pop("id")
    root.set("lang", get_language() or "en")
    root.set("role", "img")
    return root


def _is_needless(node: Any) -> bool:
    if not isinstance(node.tag, str):
        return True  # a comment
    kind = node.get("class", "")
    is_empty = kind == "bar" and float(node.find("rect").get("height")) == 0
    return is_empty or node.tag in ("script", "desc") or "tooltip-overlay" in kind
