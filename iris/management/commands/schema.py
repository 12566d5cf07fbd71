"""`manage.py schema`: update the examples of the OpenAPI document, and compare the document with the routes."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.validation import validate_schema

from iris.api.openapi.document import build, descriptions
from iris.api.openapi.examples import STORED, collected
from iris.api.openapi.routes import routes


class Command(BaseCommand):
    """Fail if a route is not described, if a description has no route, or if the document is not valid OpenAPI 3.1."""

    help = "Updates the examples of the OpenAPI document from tests/golden/, and checks the document."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--check", action="store_true", help="change nothing; fail if the examples are out of date"
        )

    def handle(self, *args: Any, check: bool, **options: Any) -> None:
        if problems := list(differences()):
            raise CommandError("\n".join(problems))
        ids = {key: operation_id for key, (_, operation_id, _) in descriptions().items()}
        examples = collected(settings.BASE_DIR / "tests" / "golden", ids, list(routes()))
        validate_schema(build(examples))
        if GENERATOR_STATS:
            GENERATOR_STATS.emit_summary()
            raise CommandError("The schema has the warnings above.")
        text = json.dumps(examples.stored, indent=1, ensure_ascii=False) + "\n"
        if not check:
            STORED.write_text(text, encoding="utf-8")
        elif not STORED.exists() or text != STORED.read_text(encoding="utf-8"):
            raise CommandError(f"{STORED} is out of date. Run: python manage.py schema")


def differences() -> Iterator[str]:
    """Yield a sentence for each difference between the routes and the descriptions of the apps."""
    served = {(route.name, method.upper()) for route in routes() for method in route.actions}
    described = descriptions()
    for name, method in sorted(served - described.keys()):
        yield f"{method} {name} is served but not described. Add it to the schema.py of its app."
    for name, method in sorted(described.keys() - served):
        yield f"{method} {name} is described but not served. Remove it from the schema.py of its app."
    ids = [operation_id for _, operation_id, _ in described.values()]
    for operation_id in sorted({one for one in ids if ids.count(one) > 1}):
        yield f"Two operations are called {operation_id}."
