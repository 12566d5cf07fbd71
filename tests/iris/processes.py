"""Run iris in separate processes, in a clean environment."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def environment(home: Path, **variables: str) -> dict[str, str]:
    """Return our environment without the variables of the tests' settings."""
    ours = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("IRIS_", "DJANGO_", "PYTEST_"))
    }
    return {**ours, "IRIS_HOME": str(home), **variables}


def run_python(script: str, home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return run(["-c", script], home, **variables)


def run(arguments: list[str], home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments, in the folder of manage.py."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment(home, **variables),
        capture_output=True,
        text=True,
        timeout=600,
    )


def manage(home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return run(["manage.py", *arguments], home, **variables)
