"""Files on this machine's disk."""

import contextlib
import os
from typing import Any

from django.core.files.storage import FileSystemStorage


class MediaStorage(FileSystemStorage):
    """Django's storage, which leaves nothing behind of a file that it could not write to its end."""

    def _save(self, name: str, content: Any) -> str:
        there = self.exists(name)
        try:
            saved: str = super()._save(name, content)  # type: ignore[misc]  # the stubs do not know it
        except OSError:
            if not there:
                with contextlib.suppress(OSError):
                    os.unlink(self.path(name))
            raise
        return saved
