"""Serve the OpenAPI document, and the pages that show it: Swagger UI, Redoc and the list of error codes.

Everyone may read them, because they contain nothing of an account.
"""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import condition, require_safe
from drf_spectacular.renderers import OpenApiYamlRenderer

from iris.api.openapi.document import document
from iris.api.openapi.errors import error_codes
from iris.page_policy import POLICY, as_header

JSON, YAML = "application/vnd.oai.openapi+json; version=3.1", "application/vnd.oai.openapi; version=3.1"
MAX_AGE_SECONDS = 300
# Redoc's script creates <style> elements: empty ones, which it fills with rules, and one whose text is always the same.
# They are allowed by the hashes of their texts. The test in a browser finds others.
REDOC_STYLES = (
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='",
    "'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='",
)
REDOC_POLICY = as_header({**POLICY, "style-src": " ".join(("'self'", *REDOC_STYLES))})


@lru_cache(maxsize=2)
def rendered(*, yaml: bool) -> tuple[bytes, str]:
    """Return the document of this release, and its entity tag. The first call takes about a second of CPU time."""
    body: bytes = (
        OpenApiYamlRenderer().render(document())
        if yaml
        else json.dumps(document(), ensure_ascii=False).encode()
    )
    return body, f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def wants_yaml(request: HttpRequest) -> bool:
    """Return whether a request asks for YAML, by `?format=yaml` or by its Accept header."""
    if "format" in request.GET:
        return request.GET["format"] == "yaml"
    return "yaml" in request.headers.get("Accept", "")


def _etag(request: HttpRequest) -> str:
    return rendered(yaml=wants_yaml(request))[1]


@require_safe
@condition(etag_func=_etag)
def schema(request: HttpRequest) -> HttpResponse:
    yaml = wants_yaml(request)
    response = HttpResponse(rendered(yaml=yaml)[0], content_type=YAML if yaml else JSON)
    response.headers["Cache-Control"] = f"max-age={MAX_AGE_SECONDS}"
    patch_vary_headers(response, ["Accept"])
    return response


@require_safe
def swagger(request: HttpRequest) -> HttpResponse:
    return render(request, "iris/api/swagger.html")


@require_safe
def redoc(request: HttpRequest) -> HttpResponse:
    response = render(request, "iris/api/redoc.html")
    response.headers["Content-Security-Policy"] = REDOC_POLICY
    return response


@require_safe
def errors(request: HttpRequest) -> HttpResponse:
    return render(request, "iris/api/errors.html", {"codes": error_codes().values()})


@require_safe
def error(request: HttpRequest, code: str) -> HttpResponse:
    found = error_codes().get(code)
    if found is None:
        raise Http404
    return render(request, "iris/api/errors.html", {"codes": [found], "single": True})
