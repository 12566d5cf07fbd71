"""SIP trunks need the extra `iris[sip]`. Without it their tests are skipped, or fail where IRIS_REQUIRE_SERVICES=1 says
so, as those without `sipp` do (`tests.conftest.require_program`).
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Any

import pytest

LACKING = "baresip-python is not installed: pip install --require-hashes -r requirements/sip.txt."


def require_stack() -> None:
    if find_spec("baresip") is not None:
        return
    if os.environ.get("IRIS_REQUIRE_SERVICES") == "1":
        pytest.fail(f"{LACKING} IRIS_REQUIRE_SERVICES=1 asks for it.", pytrace=False)
    pytest.skip(LACKING)


@pytest.fixture(autouse=True, scope="session")
def _stack() -> None:
    require_stack()


@pytest.fixture(autouse=True)
def _carriers_of_this_test(settings: Any) -> None:
    settings.CARRIERS = dict(settings.CARRIERS)
