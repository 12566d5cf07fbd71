"""Test that every carriers.toml in the documents works unchanged."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from iris.checks import carriers_can_be_used, routes_lead_to_carriers
from iris.environment import carriers_from_file

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLES = [
    pytest.param(text, id=f"{path.stem}-{place}")
    for path in sorted(DOCS.glob("*.md"))
    for place, text in enumerate(
        re.findall(r"```toml\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)
    )
    if "[carriers." in text
]


@pytest.mark.parametrize("text", EXAMPLES)
def test_carriers_file_in_the_docs_is_usable(text: str, tmp_path: Path, settings: Any) -> None:
    file = tmp_path / "carriers.toml"
    file.write_text(text, encoding="utf-8")
    settings.CARRIERS, settings.ROUTES = carriers_from_file("IRIS_CARRIERS_FILE", file)
    assert carriers_can_be_used(None) == []
    assert routes_lead_to_carriers(None) == []


def test_docs_show_a_carriers_file_with_sip_and_smpp() -> None:
    texts = [str(example.values[0]) for example in EXAMPLES]
    assert any("SipCarrier" in text and "SmppCarrier" in text for text in texts)
