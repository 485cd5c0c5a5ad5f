"""Databases in processes of their own, in several shapes of a mesh, some of them killed again and again."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme

import scoutcore
from tests.database.logs import files_of

ROUNDS = int(os.environ.get("SCOUTCORE_PROCESS_ROUNDS", "4"))
"""How often somebody is killed; many more by hand."""
PATIENCE = 60.0
SHAPES = {
    "line": [(0, 1), (1, 2), (2, 3), (3, 4)],
    "ring": [(0, 1), (1, 2), (2, 3), (3, 4), (4, 0)],
    "star": [(1, 0), (2, 0), (3, 0), (4, 0)],
    "mesh": [(one, other) for one in range(5) for other in range(one)],
}


def free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def certificate(directory: Path) -> dict[str, str]:
    """What all gateways show to each other, and ask for."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    files = {name: directory / f"{name}.pem" for name in ("certificate", "key", "authorities")}
    issued.cert_chain_pems[0].write_to_path(files["certificate"])
    issued.private_key_pem.write_to_path(files["key"])
    authority.cert_pem.write_to_path(files["authorities"])
    return {name: str(path) for name, path in files.items()}


@dataclass
class Gateway:
    wanted: dict[str, Any]
    stored: set[int] = field(default_factory=set)
    """What it has said to have stored."""
    told: set[int] = field(default_factory=set)

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.replication.gateway", json.dumps(self.wanted)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        assert self._answer() == "ready"

    def _answer(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def tell(self, order: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(f"{order}\n")

    def store(self, number: int) -> None:
        self.tell(str(number))
        self.stored.add(int(self._answer()))

    def heads(self) -> Any:
        self.tell("heads")
        return json.loads(self._answer())

    def kill(self, numbers: list[int]) -> None:
        """Kill it while it stores *numbers*: those that it has confirmed are stored."""
        for number in numbers:
            self.tell(str(number))
        self.stored.add(int(self._answer()))
        self.process.kill()
        assert self.process.stdout
        self.stored.update(int(line) for line in self.process.stdout.read().split("\n")[:-1])
        self._close()

    def stop(self) -> None:
        self.tell("stop")
        self._close()

    def _close(self) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        self.process.wait(PATIENCE)
        self.process.stdout.close()


@pytest.fixture
def stopped() -> Iterator[list[Gateway]]:
    """Gateways that do not outlive the test."""
    found: list[Gateway] = []
    yield found
    for gateway in found:
        with gateway.process as process:
            process.kill()


@pytest.mark.parametrize("shape", SHAPES)
def test_all_end_up_the_same(shape: str, tmp_path: Path, stopped: list[Gateway]) -> None:
    choose = random.Random(shape)
    ports = free_ports(5)
    secret = "00112233445566778899aabbccddeeff" if shape in ("ring", "mesh") else None
    tls = certificate(tmp_path) if shape in ("line", "mesh") else None
    scheme = "tls" if tls else "tcp"
    gateways = [
        Gateway(
            {
                "path": str(tmp_path / f"{number}.scout"),
                "listen": f"{scheme}://127.0.0.1:{ports[number]}",
                "peers": [f"{scheme}://127.0.0.1:{ports[other]}" for one, other in SHAPES[shape] if one == number],
                "secret": secret,
                "tls": tls,
            }
        )
        for number in range(5)
    ]
    for gateway in gateways:
        gateway.start()
        stopped.append(gateway)
    number = 0
    for _ in range(ROUNDS):
        for _ in range(40):
            number += choose.random() < 0.7  # else another gateway hears the same again
            choose.choice(gateways).store(number)
        victim = choose.choice(gateways)
        victim.kill(list(range(number + 1, number + 21)))
        number += 20
        victim.start()
    begin = time.monotonic()
    while len({json.dumps(gateway.heads()) for gateway in gateways}) > 1:
        assert time.monotonic() < begin + PATIENCE, [gateway.heads() for gateway in gateways]
        time.sleep(0.05)
    for gateway in gateways:
        gateway.stop()
    stored = set[int]().union(*(gateway.stored for gateway in gateways))
    dumps, files = [], []
    for gateway in gateways:
        path = Path(gateway.wanted["path"])
        with scoutcore.open(path) as db:
            dumps.append(list(db.dump()))
            db.pack()
            files.append(files_of(path))
    points = [int(item["point"]["data"]) for item in dumps[0] if "point" in item]
    assert len(points) == len(set(points)), "a reading is there twice"
    assert stored <= set(points), "what was confirmed is lost"
    assert all(dump == dumps[0] for dump in dumps)
    assert all(file == files[0] for file in files)
