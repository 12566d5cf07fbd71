"""Starting processes with valid and with invalid settings."""

import re
import subprocess
from pathlib import Path

from django.conf import settings

from iris.environment import VARIABLES
from iris.management.commands import settingstable
from tests.iris.processes import ROOT, manage, run_python
from tests.ports import free_port

SHOW = "from iris import settings; print(settings.SECRET_KEY)"


def start(home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return run_python(SHOW, home, **variables)


def test_without_a_database_url_the_secret_key_is_generated_once(tmp_path: Path) -> None:
    first, second = start(tmp_path), start(tmp_path)

    assert first.returncode == 0, first.stderr
    assert len(first.stdout.strip()) >= 50
    assert second.stdout == first.stdout


def test_with_a_database_url_a_secret_key_is_required(tmp_path: Path) -> None:
    refused = start(tmp_path, IRIS_DATABASE_URL="postgresql://iris@localhost/iris")

    assert refused.returncode != 0
    assert "IRIS_SECRET_KEY is needed" in refused.stderr


INVALID = [
    ("IRIS_TIME_ZONE", "Asia/Atlantis"),
    ("IRIS_TIME_ZONE", "../etc/passwd"),
    ("IRIS_BROKER_URL", "amqp://localhost"),
    ("IRIS_PUBLIC_URL", "iris.example.com"),
    ("IRIS_PUBLIC_URL", "https://"),
    ("IRIS_LOG_LEVEL", "loud"),
    ("IRIS_SANDBOX_SPEED", "0"),
    ("IRIS_PORT", "70000"),
    ("IRIS_DEBUG", "sometimes"),
    ("IRIS_PHONE_REGION", "XX"),
    ("IRIS_PUBLIC_URL", "http://[bad"),
]
# Imports the settings once for each invalid variable. A failed import is not kept in sys.modules, so the next one starts
# again.
TRY_INVALID = f"""
import os
from django.core.exceptions import ImproperlyConfigured
for name, value in {INVALID}:
    os.environ[name] = value
    try:
        from iris import settings
    except ImproperlyConfigured as error:
        print(error)
    else:
        raise SystemExit(f"{{name}}={{value}} was accepted")
    del os.environ[name]
"""


def test_each_invalid_setting_stops_the_start_and_is_named(tmp_path: Path) -> None:
    done = run_python(TRY_INVALID, tmp_path)

    assert done.returncode == 0, done.stderr
    refusals = done.stdout.splitlines()
    for (name, value), refusal in zip(INVALID, refusals, strict=True):
        assert refusal.startswith(f"{name} must"), (value, refusal)


def test_no_carrier_has_the_name_of_the_trunk_of_test_twins(tmp_path: Path) -> None:
    carriers = tmp_path / "carriers.toml"
    backend = "telephony.carriers.sandbox.SandboxCarrier"
    carriers.write_text(
        f'[carriers.test_twins]\nBACKEND = "{backend}"\n[routes]\ncall = []\nsms = ["test_twins"]\n'
    )
    refused = start(tmp_path, IRIS_CARRIERS_FILE=str(carriers))

    assert refused.returncode != 0
    assert "the name of the trunk for test deliveries. Choose another name." in refused.stderr


def test_commands_report_an_invalid_setting_in_one_sentence(tmp_path: Path) -> None:
    refused = manage(tmp_path, "check", IRIS_PORT="many")

    assert refused.returncode == 1
    assert refused.stderr == "iris cannot start: IRIS_PORT must be a whole number; it is 'many'.\n"


def test_an_unreachable_database_is_reported_without_a_traceback(tmp_path: Path) -> None:
    url = f"postgresql://iris@127.0.0.1:{free_port()}/iris"
    refused = manage(tmp_path, "migrate", IRIS_DATABASE_URL=url, IRIS_SECRET_KEY="k" * 50)

    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].startswith(
        "The database that IRIS_DATABASE_URL names cannot be reached: connection failed"
    )
    assert "Traceback" not in refused.stderr


def test_only_settings_reads_iris_variables() -> None:
    reads = re.compile(r"environ(\.get\(|\[)\s*[\"']IRIS_|getenv\(\s*[\"']IRIS_")

    guilty = [
        str(path.relative_to(ROOT))
        for app in ("iris", "accounts", "webhooks", "telephony", "campaigns", "otp", "console")
        for path in (ROOT / app).rglob("*.py")
        if reads.search(path.read_text())
    ]

    assert guilty == []


def test_every_iris_setting_is_a_documented_variable() -> None:
    derived = {"IRIS_VOICES"}
    names = {name for name in dir(settings) if name.startswith("IRIS_")} - derived

    assert names <= set(VARIABLES)


def test_the_settings_table_of_the_documents_is_up_to_date() -> None:
    document = (ROOT / "docs" / "operations.md").read_text()

    assert settingstable.table() in document, "Run: python manage.py settingstable"
