"""SIP trunks need the extra `iris[sip]`; without it their tests are left out."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import pytest

collect_ignore_glob = [] if find_spec("baresip") else ["test_*.py"]


@pytest.fixture(autouse=True)
def _carriers_of_this_test(settings: Any) -> None:
    settings.CARRIERS = dict(settings.CARRIERS)
