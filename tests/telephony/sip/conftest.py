"""Skip the SIP tests if the extra `iris[sip]` is not installed, or fail them if IRIS_REQUIRE_SERVICES=1.

`tests.conftest.require_program` does the same for the program `sipp`.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Any

import pytest

MISSING_STACK = "baresip-python is not installed: pip install --require-hashes -r requirements/sip.txt."


def require_stack() -> None:
    if find_spec("baresip") is not None:
        return
    if os.environ.get("IRIS_REQUIRE_SERVICES") == "1":
        pytest.fail(f"{MISSING_STACK} IRIS_REQUIRE_SERVICES=1 asks for it.", pytrace=False)
    pytest.skip(MISSING_STACK)


@pytest.fixture(autouse=True, scope="session")
def _stack() -> None:
    require_stack()


@pytest.fixture(autouse=True)
def _carriers_of_this_test(settings: Any) -> None:
    settings.CARRIERS = dict(settings.CARRIERS)
