"""Clients that generators make of the OpenAPI document compile, and walk through the API as the README does."""

from __future__ import annotations

import compileall
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pytest_django.live_server_helper import LiveServer

from accounts.models import Account
from iris.api.openapi.document import document
from tests.conftest import require_program
from tests.engine import run_to_the_end
from tests.factories import make_account
from tests.scale import IS_FIELD

pytestmark = [
    pytest.mark.field,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not IS_FIELD, reason="Generating clients takes long: make field does it."),
]
MESSAGE = "नमस्कार, रात्रिभोज पाँच बजे छ।"
RESULTS = ["unanswered", "completed"]  # newest first: the number that ends in 9901 is busy


@pytest.fixture
def sita() -> Account:
    return make_account(email="sita@example.com", password="secret-password", credits=100)


@pytest.fixture
def described(tmp_path: Path) -> Path:
    path = tmp_path / "iris.json"
    path.write_text(json.dumps(document()), encoding="utf-8")
    return path


def run(*command: str, folder: Path, **environment: str) -> str:
    result = subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, timeout=600
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


def test_a_python_client_walks_through_the_api(
    live_server: LiveServer, described: Path, sita: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = require_program("openapi-python-client")
    options = ["--path", str(described), "--meta", "none", "--output-path", "iris_client"]
    said = run(generator, "generate", *options, folder=described.parent)
    assert "Cannot parse" not in said, said
    assert compileall.compile_dir(described.parent / "iris_client", quiet=1)
    monkeypatch.syspath_prepend(described.parent)
    package = importlib.import_module("iris_client")
    models = importlib.import_module("iris_client.models")

    def call(name: str, *arguments: Any, client: Any, **options: Any) -> Any:
        module = importlib.import_module(f"iris_client.api.{name}")
        return module.sync(*arguments, client=client, **options)

    visitor = package.Client(base_url=live_server.url)
    body = models.V0Login(email="sita@example.com", password="secret-password")
    token = call("v0_login.v0_login", client=visitor, body=body).data.token.access
    client = package.AuthenticatedClient(base_url=live_server.url, token=token)
    plan = {"name": "Dinner", "services": "PHONE", "individual_number": [9801234567, 9801239901]}
    created = call(
        "v0_campaigns.v0_create_campaign", client=client, body=models.V0NewCampaign.from_dict(plan)
    )
    campaign_id = created.data.details[0].id
    call(
        "v0_campaigns.v0_begin_campaign",
        campaign_id,
        client=client,
        body=models.V0Beginning(message=MESSAGE),
    )
    run_to_the_end()
    listed = call("v0_numbers.v0_list_numbers", campaign_id, client=client)
    assert [one.status.value for one in listed.data.number_lists] == RESULTS
    for name in [name for name in sys.modules if name.startswith("iris_client")]:
        del sys.modules[name]


def test_a_typescript_client_walks_through_the_api(
    live_server: LiveServer, described: Path, sita: Account
) -> None:
    generator, compiler, node = map(require_program, ("openapi-typescript", "tsc", "node"))
    folder = described.parent
    (folder / "walk.mts").write_bytes(Path(__file__).with_name("walk.ts").read_bytes())
    (folder / "node.d.ts").write_text(
        "declare const process: { argv: string[]; env: Record<string, string> };"
    )
    run(generator, str(described), "--output", "iris.d.ts", folder=folder)
    options = ["--strict", "--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom"]
    run(compiler, *options, "walk.mts", "node.d.ts", folder=folder)
    begun = json.loads(run(node, "walk.mjs", live_server.url, "begin", folder=folder))
    run_to_the_end()
    campaign = str(begun["campaign"])
    shown = run(node, "walk.mjs", live_server.url, "show", campaign, folder=folder, TOKEN=begun["token"])
    assert json.loads(shown) == RESULTS
