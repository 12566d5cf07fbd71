"""The section "Several machines" of docs/operations.md agrees with itself and with the code."""

import re

import pytest

from iris.deploychecks import MAX_CLOCK_DIFFERENCE_SECONDS
from tests.live import ROOT

DOCUMENT = (ROOT / "docs" / "operations.md").read_text()
SECTION = DOCUMENT.split("### Several machines\n")[1].split("\n### ")[0]
EXAMPLES = re.findall(r"^\| [^|]+ \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", SECTION, re.MULTILINE)


@pytest.mark.parametrize("example", EXAMPLES, ids="-".join)
def test_the_examples_of_connections_follow_the_formula(example: tuple[str, ...]) -> None:
    web, workers, trunks, connections = map(int, example)
    assert connections == 11 * web + 2 * workers + 4 * trunks + 10


def test_the_formula_is_the_same_in_both_places() -> None:
    assert "max_connections = 11 × web processes + 2 × worker processes + 4 × trunks + 10" in SECTION
    assert "web processes × 11 + worker processes × 2 + trunks × 4 + 10" in DOCUMENT
    assert len(EXAMPLES) == 4


def test_the_check_of_clocks_is_as_strict_as_the_document() -> None:
    assert "must agree within a second" in SECTION
    assert MAX_CLOCK_DIFFERENCE_SECONDS == 1.0
