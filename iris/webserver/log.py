"""gunicorn's logger, in the format of all other log lines."""

from typing import Any

from gunicorn.glogging import Logger

from iris.logs import LineFormatter


class ServerLog(Logger):  # type: ignore[misc]  # gunicorn has no types
    """Log no requests, because their paths contain phone numbers."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(LineFormatter())

    def access(self, resp: Any, req: Any, environ: Any, request_time: Any) -> None:
        """Write nothing."""
