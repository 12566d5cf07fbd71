"""iris, a self-hosted server for voice and SMS campaigns. This package is the Django project."""

import gc

# Until all apps are loaded, do not collect garbage. There is hardly any, and looking for it among all classes and functions
# would take a fifth of the processor time of each start. `IrisConfig.ready` restores the thresholds.
USUAL_GC_THRESHOLDS = gc.get_threshold()
gc.set_threshold(100_000_000)

from .celery import app as celery_app  # noqa: E402

# The only definition of the version: pyproject.toml and /health read it. The top section of CHANGELOG.md names it too.
__version__ = "0.1.0"

__all__ = ["__version__", "celery_app"]
