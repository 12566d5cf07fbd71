"""iris, a self-hosted server for voice and SMS campaigns. This package is the wiring."""

from .celery import app as celery_app

# The one place of the version: pyproject.toml and /health read it, and the top section of CHANGELOG.md names it.
__version__ = "0.1.0"

__all__ = ["__version__", "celery_app"]
