"""A real nginx with the site of deploy/nginx.conf, without TLS, on a port of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.live import ROOT, wait_for
from tests.ports import free_port

UPSTREAM = "server 127.0.0.1:8000;"


class Proxy:
    """nginx as a master with one worker process, which `forward_to` reloads as `systemctl reload nginx` does."""

    def __init__(self, program: str, folder: Path) -> None:
        self.program, self.folder, self.port = program, folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        folder.mkdir()
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        folders = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
        # Workers of a master that root runs would otherwise be another user, who cannot enter the tests' folder.
        user = "user root;\n" if os.geteuid() == 0 else ""
        (folder / "nginx.conf").write_text(
            f"{user}daemon off;\nworker_processes 1;\npid {folder}/pid;\nerror_log {folder}/error.log;\nevents {{}}\n"
            f"http {{\naccess_log {folder}/access.log;\n{folders}include {folder}/site.conf;\n}}\n"
        )

    def start(self, *, port: int) -> None:
        self._write_site(port)
        command = [self.program, "-e", f"{self.folder}/error.log", "-c", f"{self.folder}/nginx.conf"]
        self.process = subprocess.Popen([*command, "-p", str(self.folder)], stderr=subprocess.DEVNULL)
        wait_for(self._answers, seconds=30)

    def forward_to(self, port: int) -> None:
        """Send requests to another port of iris from now on. Return when the processes for the old port have ended."""
        old = self._workers()
        self._write_site(port)
        self.process.send_signal(signal.SIGHUP)
        wait_for(lambda: not set(old) & set(self._workers()), seconds=60)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(60)

    def errors(self) -> list[str]:
        """Return the lines of nginx's log about requests that it could not pass on."""
        return [line for line in (self.folder / "error.log").read_text().splitlines() if "[error]" in line]

    def _workers(self) -> list[int]:
        return [int(pid) for pid in self._children_file().read_text().split()]

    def _children_file(self) -> Path:
        return Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")

    def _write_site(self, port: int) -> None:
        site = (ROOT / "deploy" / "nginx.conf").read_text()
        assert UPSTREAM in site
        site = site.replace(UPSTREAM, f"server 127.0.0.1:{port};")
        site = re.sub(r"server \{\s+listen 80;.*?\n\}\n", "", site, count=1, flags=re.DOTALL)
        site = re.sub(r"^\s*ssl_.*\n", "", site, flags=re.MULTILINE)
        site = re.sub(r"listen 443 ssl;", f"listen 127.0.0.1:{self.port};", site)
        (self.folder / "site.conf").write_text(site)

    def _answers(self) -> bool:
        assert self.process.poll() is None, (self.folder / "error.log").read_text()
        try:
            httpx.get(f"{self.url}/health/live", headers={"Host": "iris.example.com"})
        except httpx.TransportError:
            return False
        return True


@contextmanager
def proxy(program: str, folder: Path, *, port: int) -> Iterator[Proxy]:
    """Yield a running nginx that passes requests on to this port of iris."""
    made = Proxy(program, folder)
    made.start(port=port)
    try:
        yield made
    finally:
        made.stop()
