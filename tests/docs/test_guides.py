"""Test the guides: their examples run against a live iris, in every language, and print what the guide says.

All examples use one inbox, one after the other: an example also works if it ran before, maybe in another language.
The walk in README.md runs, too.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live import LiveIris, live_iris

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
TEXTS = {path.stem: path.read_text(encoding="utf-8") for path in sorted(GUIDES.glob("*.md"))}
LANGUAGES = ("sh", "python", "javascript")
SETUP = "<!-- setup -->\n"
PRINTED = "<!-- printed -->\n"
# The address of `make sandbox`, in the setup of the quick start.
ADDRESS = "IRIS_URL=http://127.0.0.1:8000"


def blocks(guide: str, language: str, *, after: str = "") -> list[str]:
    """Return the code of a language in a guide: what stands behind the mark `after`, or behind no mark."""
    fences = re.findall(r"(<!-- \w+ -->\n)?```(\w+)\n(.*?)^```", TEXTS[guide], re.DOTALL | re.MULTILINE)
    return [code for mark, found, code in fences if found == language and mark == after]


def printed(guide: str) -> str:
    return "".join(blocks(guide, "text", after=PRINTED))


def run(*command: str, stdin: str, url: str, key: str = "") -> str:
    """Run an example with the environment that the quick start sets. Return what it prints."""
    environment = {
        **os.environ,
        # The examples call `python3`.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "IRIS_URL": url,
        "IRIS_KEY": key,
    }
    done = subprocess.run(
        command, input=stdin, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def setup(iris: LiveIris) -> str:
    """Return the code that the quick start asks the reader to run first, with the address of this iris."""
    (code,) = blocks("quick-start", "sh", after=SETUP)
    assert ADDRESS in code
    return code.replace(ADDRESS, f"IRIS_URL={iris.url}")


@pytest.fixture(scope="module")
def iris(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveIris]:
    with live_iris(tmp_path_factory.mktemp("iris"), IRIS_SANDBOX_SPEED="100") as running:
        yield running


@pytest.fixture(scope="module")
def key(iris: LiveIris) -> str:
    """Create a test key with the scopes that the quick start chooses."""
    scopes = ["view", "prepare", "send", "manage_account"]
    created = iris.demo.post("/api/system/keys/", json={"name": "Guides", "test": True, "scopes": scopes})
    created.raise_for_status()
    return str(created.json()["data"]["key"]["token"])


@pytest.mark.parametrize("guide", TEXTS)
def test_every_guide_has_as_many_examples_in_each_language(guide: str) -> None:
    assert len({len(blocks(guide, language)) for language in LANGUAGES}) == 1
    assert blocks(guide, "python")
    assert printed(guide)


@pytest.mark.parametrize("guide", TEXTS)
def test_examples_with_curl_print_what_the_guide_says(
    guide: str, iris: LiveIris, require_program: Callable[[str], str]
) -> None:
    require_program("curl")
    code = "\n".join(["set -euo pipefail", setup(iris), *blocks(guide, "sh")])
    assert run("bash", stdin=code, url=iris.url) == printed(guide)


@pytest.mark.parametrize("guide", TEXTS)
def test_examples_in_python_print_what_the_guide_says(guide: str, iris: LiveIris, key: str) -> None:
    code = "".join(blocks(guide, "python"))
    assert run(sys.executable, "-", stdin=code, url=iris.url, key=key) == printed(guide)


@pytest.mark.parametrize("guide", TEXTS)
def test_examples_in_javascript_print_what_the_guide_says(
    guide: str, iris: LiveIris, key: str, require_program: Callable[[str], str]
) -> None:
    code = "".join(blocks(guide, "javascript"))
    assert run(
        require_program("node"), "--input-type=module", "-", stdin=code, url=iris.url, key=key
    ) == printed(guide)


def test_the_walk_of_the_readme_calls_the_numbers_of_its_own_campaign(
    iris: LiveIris, require_program: Callable[[str], str]
) -> None:
    """The demo account has had a campaign before, as the example campaigns of `make sandbox`."""
    require_program("curl")
    iris.demo.post(
        "/api/system/campaigns/",
        json={"name": "Earlier", "services": "SMS", "individual_number": [9841000051]},
    ).raise_for_status()
    text = (GUIDES.parents[1] / "README.md").read_text(encoding="utf-8")
    walk = re.search(r"^## A walk through the API\n(.*?)^## ", text, re.DOTALL | re.MULTILINE)
    assert walk is not None
    login, create, begin, numbers, inbox = re.findall(r"^```sh\n(.*?)^```", walk[1], re.DOTALL | re.MULTILINE)

    def answer(code: str, **values: object) -> Any:
        names = "".join(f"{name}={value}\n" for name, value in values.items())
        stated = re.sub(r"^(TOKEN|CAMPAIGN)=.*\n", "", code, flags=re.MULTILINE)
        stated = stated.replace("http://127.0.0.1:8000", iris.url).replace(
            "curl ", "curl -sS --fail-with-body "
        )
        return json.loads(run("sh", stdin=names + stated, url=iris.url))

    token = answer(login)["data"]["token"]["access"]
    campaign = answer(create, TOKEN=token)["data"]["details"][0]["id"]
    assert "CAMPAIGN=" in begin
    assert "Dinner" in answer(begin, TOKEN=token, CAMPAIGN=campaign)["data"]["hold amount"]
    listed = answer(numbers, TOKEN=token, CAMPAIGN=campaign)["data"]["number-lists"]
    assert {row["number"] for row in listed} == {9801234567, 9801239901}
    assert isinstance(answer(inbox), list)
