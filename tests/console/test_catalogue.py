"""Every sentence of the pages has a Nepali translation, and the compiled catalogue is that of the text file."""

from __future__ import annotations

import ast
import gettext
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "locale/ne/LC_MESSAGES"
SOURCES = ("accounts", "console", "iris")
CALLS = {
    "_": 1,
    "gettext": 1,
    "gettext_lazy": 1,
    "pgettext_lazy": 2,
    "ngettext": 1,
    "ngettext_lazy": 1,
    "gettext_noop": 1,
}
TAG = re.compile(r"""\{%\s*translate\s+(?:"([^"]*)"|'([^']*)')(?:\s+context\s+"([^"]*)")?""")
BLOCK = re.compile(r"\{%\s*blocktranslate\b.*?%\}(.*?)\{%\s*endblocktranslate\s*%\}", re.DOTALL)
PLURAL = re.compile(r"\{%\s*plural\s*%\}")
PLACES = re.compile(r"%\((\w+)\)s")


def in_templates() -> Iterator[str]:
    for folder in SOURCES:
        for path in (ROOT / folder / "templates").rglob("*.html"):
            text = path.read_text(encoding="utf-8")
            for found in TAG.finditer(text):
                sentence = found[1] or found[2]
                yield f"{found[3]}\x04{sentence}" if found[3] else sentence
            for found in BLOCK.finditer(text):
                singular = PLURAL.split(found[1])[0].replace("%", "%%")
                yield re.sub(r"\{\{\s*(\w+)\s*\}\}", r"%(\1)s", singular)


def in_code() -> Iterator[str]:
    for folder in SOURCES:
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                    continue
                place = CALLS.get(node.func.id)
                texts = [one.value for one in node.args if isinstance(one, ast.Constant)]
                if place is not None and len(texts) >= place and isinstance(texts[place - 1], str):
                    yield "\x04".join(str(text) for text in texts[:place])


def read_text_file() -> dict[str | tuple[str, int], str]:
    """Return the catalogue as `gettext` reads the compiled one. Plural forms are keyed by their number."""
    catalogue: dict[str | tuple[str, int], str] = {}
    for block in (FOLDER / "django.po").read_text(encoding="utf-8").split("\n\n"):
        fields: dict[str, str] = {}
        name = ""
        for line in block.splitlines():
            if found := re.match(r"(msg\w+(?:\[\d\])?) (\".*\")$", line):
                name = found[1]
                fields[name] = ast.literal_eval(found[2])
            elif line.startswith('"'):
                fields[name] += ast.literal_eval(line)
        if not fields.get("msgid"):
            continue
        key = f"{fields['msgctxt']}\x04{fields['msgid']}" if "msgctxt" in fields else fields["msgid"]
        if "msgid_plural" in fields:
            catalogue |= {(key, form): fields[f"msgstr[{form}]"] for form in (0, 1)}
        else:
            catalogue[key] = fields["msgstr"]
    return catalogue


@pytest.fixture(scope="module")
def nepali() -> dict[str | tuple[str, int], str]:
    with (FOLDER / "django.mo").open("rb") as file:
        catalogue = dict(gettext.GNUTranslations(file)._catalog)  # type: ignore[attr-defined]
    catalogue.pop("", None)
    return catalogue


def test_the_compiled_catalogue_is_that_of_the_text_file(nepali: dict[str | tuple[str, int], str]) -> None:
    """Run `manage.py makemessages -l ne` and `manage.py compilemessages` after a change."""
    assert nepali == read_text_file()


@pytest.mark.parametrize("sources", [in_templates, in_code])
def test_every_sentence_is_translated(sources: object, nepali: dict[str | tuple[str, int], str]) -> None:
    sentences = set(sources())  # type: ignore[operator]
    assert len(sentences) > 100
    assert {text for text in sentences if not nepali.get(text, nepali.get((text, 0)))} == set()


def test_translations_have_the_places_of_their_sentences(
    nepali: dict[str | tuple[str, int], str],
) -> None:
    for key, text in nepali.items():
        sentence = key[0] if isinstance(key, tuple) else key
        assert set(PLACES.findall(text)) == set(PLACES.findall(sentence)), sentence
        assert "%%" not in sentence or "%%" in text
        assert re.findall(r"</?\w+>", text) == re.findall(r"</?\w+>", sentence)
        assert re.search(r"[\u0900-\u097f]", text), sentence
