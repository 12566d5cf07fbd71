"""Read from the source code which errors it raises, with their codes and sentences."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from iris import errors
from iris.api.exceptions import BAD_CREDENTIAL, NOT_FOUND, STATUS_OF_KIND
from iris.api.openapi.errors import ErrorCode

APPS = ("iris", "accounts", "webhooks", "telephony", "campaigns", "otp")
# Code that responds to no request of the API.
OTHER_PARTS = {
    "migrations",
    "management",
    "admin",
    "signin",
    "devserver",
    "carriers",
    "inventory",
    "outbound",
}
VALUE = "…"
# The errors of REST framework, whose sentences are in `iris.api.exceptions`.
OF_FRAMEWORK = {
    "authentication_failed": (401, BAD_CREDENTIAL),
    "bad_authorization_header": (
        401,
        "The Authorization header cannot be read. It must be: Authorization: Bearer <token>.",
    ),
    "method_not_allowed": (405, f"{VALUE} is not possible at this address. Send one of: {VALUE}."),
    "not_authenticated": (
        401,
        "Log in first, and send the access token, or an API key, as: Authorization: Bearer <token>.",
    ),
    "throttled": (429, f"Too many requests in a short time. Wait {VALUE} seconds and try again."),
    "token_not_valid": (401, BAD_CREDENTIAL),
    "unsupported_media_type": (
        415,
        "Send the body as application/json, as a form or as multipart/form-data.",
    ),
    "user_inactive": (401, "This account is switched off. Ask the operator of this server."),
    "user_not_found": (401, BAD_CREDENTIAL),
}
ABOUT = {
    "error": "A bug in iris, which it has logged.",
    "invalid": "Values of the request are invalid. The body names each wrong field.",
    "not_found": NOT_FOUND,
    "not_waiting": "The campaign does not wait for its next wave.",
    "too_many_tags": "The campaign or the list would have too many tags.",
    "unknown_host": "The host name of the request is not one of this server's.",
}


@dataclass
class _Kind:
    """An error class: its status, its code, and what it means."""

    status: int
    code: str
    about: str = ""


@dataclass
class _Found:
    statuses: set[int] = field(default_factory=set)
    about: str = ""
    sentences: list[str] = field(default_factory=list)


def found_in(base: Path) -> list[ErrorCode]:
    """Return the codes of all errors that the API sends, in alphabetical order."""
    trees = [(path, ast.parse(path.read_text(encoding="utf-8"))) for path in _files(base)]
    kinds = _kinds([tree for _, tree in trees])
    found: dict[str, _Found] = {}
    for code, (status, sentence) in OF_FRAMEWORK.items():
        _note(found, code, status, sentence)
    for _, tree in trees:
        constants = _constants(tree)
        for call in ast.walk(tree):
            if isinstance(call, ast.Call):
                _read(call, kinds, constants, found)
    for code, one in found.items():
        one.about = ABOUT.get(code, one.about)
    return [
        ErrorCode(
            code=code,
            statuses=" or ".join(map(str, sorted(one.statuses))),
            about=one.about,
            sentences=tuple(sorted(set(one.sentences))),
        )
        for code, one in sorted(found.items())
    ]


def _files(base: Path) -> Iterator[Path]:
    for app in APPS:
        for path in sorted((base / app).rglob("*.py")):
            if not OTHER_PARTS & set(path.relative_to(base).parts[:-1]) and path.stem not in OTHER_PARTS:
                yield path


def _kinds(trees: list[ast.Module]) -> dict[str, _Kind]:
    """Return the error classes by name: those of `iris.errors`, and their subclasses."""
    kinds = {
        kind.__name__: _Kind(status=status, code=kind.default_code) for kind, status in STATUS_OF_KIND.items()
    }
    kinds["InProgress"] = _Kind(status=409, code=errors.InProgress.default_code)
    classes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    before = -1
    while before != len(kinds):  # until no class is left whose base is known
        before = len(kinds)
        for node in classes:
            bases = [_name(base) for base in node.bases]
            base = next((kinds[name] for name in bases if name in kinds), None)
            if base is not None and node.name not in kinds:
                code = next(
                    (
                        line.value.value
                        for line in node.body
                        if isinstance(line, ast.Assign)
                        and _name(line.targets[0]) == "default_code"
                        and isinstance(line.value, ast.Constant)
                    ),
                    base.code,
                )
                about = (ast.get_docstring(node) or "").partition("\n\n")[0]
                kinds[node.name] = _Kind(base.status, str(code), re.sub(r"\s+", " ", about))
    return kinds


def _read(
    call: ast.Call, kinds: dict[str, _Kind], constants: dict[str, ast.expr], found: dict[str, _Found]
) -> None:
    name = _name(call.func)
    keywords = {one.arg: one.value for one in call.keywords if one.arg}
    code = keywords.get("code")
    text = keywords.get("message") if name == "Failure" or not call.args else call.args[0]
    if name == "Failure" and isinstance(status := keywords.get("status"), ast.Constant):
        if isinstance(code, ast.Constant):
            _note(found, str(code.value), int(str(status.value)), _sentence(text, constants))
    elif name in kinds and (code is None or isinstance(code, ast.Constant)):
        kind = kinds[name]
        own = kind.code if code is None else str(code.value)
        _note(found, own, kind.status, _sentence(text, constants), about=kind.about if code is None else "")


def _note(found: dict[str, _Found], code: str, status: int, sentence: str | None, *, about: str = "") -> None:
    one = found.setdefault(code, _Found())
    one.statuses.add(status)
    one.about = one.about or about
    if sentence is not None:
        one.sentences.append(sentence)


def _constants(tree: ast.Module) -> dict[str, ast.expr]:
    return {
        _name(line.targets[0]): line.value
        for line in tree.body
        if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name)
    }


def _sentence(text: ast.expr | None, constants: dict[str, ast.expr]) -> str | None:
    """Return the sentence with “…” in place of values, or None if it is not written where the error is raised."""
    if isinstance(text, ast.Name):
        text = constants.get(text.id)
    if isinstance(text, ast.Constant) and isinstance(text.value, str):
        return text.value
    if isinstance(text, ast.JoinedStr):
        parts = [part.value if isinstance(part, ast.Constant) else VALUE for part in text.values]
        sentence = "".join(map(str, parts))
        return sentence if re.search(r"\w{2}", sentence) else None
    return None


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
