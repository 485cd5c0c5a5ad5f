"""InfluxDB 1.6 (Debian's package ``influxdb``) over HTTP: a server of our own, on loopback, in its own directory."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

_CONFIG = """
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
  dir = "{directory}/meta"
[data]
  dir = "{directory}/data"
  wal-dir = "{directory}/wal"
  index-version = "inmem"
  cache-snapshot-write-cold-duration = "5s"
  compact-full-write-cold-duration = "5s"
[monitor]
  store-enabled = false
[http]
  bind-address = "127.0.0.1:{http}"
  log-enabled = false
  max-body-size = 0
[subscriber]
  enabled = false
[continuous_queries]
  enabled = false
[retention]
  enabled = false
"""
_START_SECONDS = 20.0
_SETTLE_SECONDS = 60.0


class Influx:
    """The server, and a connection to it."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        port, rpc = _free_ports(2)
        config = directory / "influxdb.conf"
        config.write_text(_CONFIG.format(directory=directory.absolute(), http=port, rpc=rpc))
        command = ["influxd", "run", "-config", str(config)]
        self._server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._http = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        until = time.monotonic() + _START_SECONDS
        while True:
            try:
                self._ask("GET", "/ping")
                break
            except OSError:
                self._http.close()
                if time.monotonic() > until or self._server.poll() is not None:
                    raise
                time.sleep(0.05)
        self._ask("POST", "/query", {"q": "CREATE DATABASE bench"})

    def _ask(self, method: str, path: str, query: dict[str, str] | None = None, body: bytes | None = None) -> bytes:
        self._http.request(method, path + ("?" + urlencode(query) if query else ""), body)
        answer = self._http.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"InfluxDB says {answer.status}: {text[:200]!r}")
        return text

    def write(self, lines: Iterable[bytes]) -> None:
        """Write lines of its protocol, milliseconds; it has synced them to disk when this returns."""
        self._ask("POST", "/write", {"db": "bench", "precision": "ms"}, b"\n".join(lines))

    def query(self, text: str) -> Iterator[list[Any]]:
        """The rows of one statement's result."""
        query = {"db": "bench", "epoch": "ms", "chunked": "true", "chunk_size": "10000", "q": text}
        for line in self._ask("GET", "/query", query).splitlines():
            for series in json.loads(line)["results"][0].get("series", ()):
                yield from series["values"]

    @property
    def cpu(self) -> float:
        """CPU seconds of the server so far."""
        fields = Path(f"/proc/{self._server.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def settle(self) -> None:
        """Wait until what it has is in compressed files and no more in its write-ahead log."""
        until = time.monotonic() + _SETTLE_SECONDS
        while any(file.stat().st_size for file in (self._directory / "wal").rglob("*.wal")):
            if time.monotonic() > until:
                break
            time.sleep(0.2)

    def close(self) -> int:
        """End the server; its peak memory in KiB."""
        found = re.search(r"VmHWM:\s*(\d+)", Path(f"/proc/{self._server.pid}/status").read_text())
        self._http.close()
        self._server.terminate()
        self._server.wait()
        return int(found[1]) if found else 0


def line_of(report: dict[str, Any]) -> bytes:
    """A report as a line of its protocol: the kind of reading is the measurement, troop and scout are tags."""
    fields = [f"{name}={value}" for name, value in report["data"].items()]
    if "b" in report:
        fields += [f"boot={report['b']}i", f"ms={report['ms']}i"]
    return (
        f"{report['report']},troop={report['troop']},scout={report['scout']} {','.join(fields)} {report['t']}".encode()
    )


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
