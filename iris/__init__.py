"""iris, a self-hosted server for voice and SMS campaigns. This package is the Django project."""

from .celery import app as celery_app

# The only definition of the version: pyproject.toml and /health read it. The top section of CHANGELOG.md names it too.
__version__ = "0.1.0"

__all__ = ["__version__", "celery_app"]
