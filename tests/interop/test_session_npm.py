"""A session as it goes over a socket, read by the unmodified npm decoder; and what the npm encoder makes, imported."""

from __future__ import annotations

import io
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from threading import Thread

import scoutcore
from scoutcore import changes, dat
from scoutcore.codec.columns import Change
from tests.waiting import SECONDS, wait_until

from .npm import Npm

KEY = "the key of the troop that both gateways hear"


class Tap:
    """Stands between two ends of a connection, and keeps what each says, piece by piece as it came."""

    def __init__(self, port: int) -> None:
        self.said: list[list[bytes]] = [[], []]
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._peer = port
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        ends = [self._listener.accept()[0], socket.create_connection(("127.0.0.1", self._peer))]
        threads = [Thread(target=self._carry, args=(side, *ends[:: 1 - 2 * side]), daemon=True) for side in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SECONDS)
        for end in ends:
            end.close()

    def _carry(self, side: int, source: socket.socket, target: socket.socket) -> None:
        while data := source.recv(1 << 16):
            self.said[side].append(data)
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._listener.close()
        self._thread.join(SECONDS)


@contextmanager
def tapped(url: str) -> Iterator[tuple[Tap, str]]:
    tap = Tap(int(url.rpartition(":")[2]))
    try:
        yield tap, f"tcp://127.0.0.1:{tap.port}"
    finally:
        tap.close()


def filled(path: Path, scout: int, reports: int) -> scoutcore.Database:
    db = scoutcore.open(path)
    db.troops.create(key=KEY, name="caf\u00e9")
    db.ingest({"troop": 1, "scout": scout, "report": "temp", "data": "x" * 50, "t": n} for n in range(reports))
    return db


def test_every_byte_of_a_live_session(npm: Npm, tmp_path: Path) -> None:
    secret = b"sixteen bytes or more"
    with (
        filled(tmp_path / "one.scout", 1, 20_000) as one,
        filled(tmp_path / "two.scout", 2, 3_000) as two,
        one.serve("tcp://127.0.0.1:0", secret=secret) as server,
        tapped(server.addresses[0]) as (tap, url),
    ):
        with two.sync(url, live=True, secret=secret) as handle:
            handle.wait_synced(SECONDS)
            for number in range(20):
                one.report(1, 3, "temp", number)
                two.report(1, 4, "temp", number)
                wait_until(lambda number=number: len(list(two.history(1, 3, "temp"))) == number + 1)  # type: ignore[misc]
            wait_until(lambda: len(list(one.history(1, 4, "temp"))) == 20)
            wait_until(lambda: all(b"\x12\x03ack" in b"".join(said) for said in tap.said))
        tap.close()
        assert list(one.dump()) == list(two.dump())
        writers = [db.id.replace("-", "") for db in (two, one)]
    for side, writer in enumerate(writers):
        data = b"".join(tap.said[side])
        cuts = list(accumulate(map(len, tap.said[side])))[:-1]
        whole, live = npm.dat_decode(data, [(), cuts])
        assert whole.finalized
        assert live == whole
        encoder = dat.Encoder()
        again = b"".join(encoder.change(one) if isinstance(one, Change) else encoder.blob(one) for one in live.items)
        assert again == data, "npm has seen every byte, and as what it is"
        found = [one for one in live.items if isinstance(one, Change)]
        said = [one.key for one in found if one.subset == "session"]
        assert said[:3] == ["hello", "auth", "have"]
        assert said[-1] == "bye"
        assert {"ack", "synced"} <= set(said)
        numbers = [one.change for one in found if one.subset in ("sensor", "troop")]
        assert numbers == list(range(1, len(numbers) + 1)), "its own log, once and in order"
        assert len(numbers) >= 21
        blobs = [one for one in live.items if not isinstance(one, Change)]
        assert {blob.hex() for blob in blobs} == {writer}


def test_what_the_npm_encoder_makes_is_imported(npm: Npm, tmp_path: Path) -> None:
    with filled(tmp_path / "one.scout", 1, 2_000) as one:
        one.scouts.update(1, 1, name="door")
        one.pack()
        log = tmp_path / "one.scout" / "changes" / one.id
        uuid, written = bytes.fromhex(one.id.replace("-", "")), list(changes.open(log))
        data = npm.dat_encode([uuid, *written])
        with scoutcore.open(tmp_path / "two.scout") as two:
            found = two.import_changes(io.BytesIO(data))
            assert (found.new, found.gaps, found.problems) == (len(written), [], [])
            assert list(two.dump()) == list(one.dump())
            two.pack()
            (copied,) = (tmp_path / "two.scout" / "changes" / one.id).glob("*.changes")
            assert copied.read_bytes() == next(log.glob("*.changes")).read_bytes(), "packed to the same bytes"
            assert two.import_changes(io.BytesIO(data)).new == 0
