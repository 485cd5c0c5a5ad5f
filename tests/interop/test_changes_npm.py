"""What a database packs, the unmodified npm decoder reads: every change, and every point in them."""

from __future__ import annotations

import subprocess
import sys
from array import array
from pathlib import Path

import pytest

import scoutcore
from scoutcore import codec
from scoutcore.codec.columns import Change

from .npm import Npm

REPORTS = 60_000
LIBRARY1 = Path(__file__).parents[3] / "shared" / "data" / "library1_to_ndjson.py"


def lines(count: int) -> bytes:
    """Reports of 20 scouts: of half of them in blocks of codec 1, of the others, whose texts differ, in codec 0."""
    return b"".join(
        b'{"troop":1,"scout":%d,"report":"temp","data":{"value":%d.5,"door":"%s"},"t":%d,"b":1,"ms":%d}\n'
        % (number % 20, number % 90, doors[number % 2 and number // 20 % 2], 1_700_000_000_000 + 100 * number, number)
        for doors in ([b"open", b"shut"],)
        for number in range(count)
    )


def test_every_change_and_point_of_a_packed_database(npm: Npm, tmp_path: Path) -> None:
    with scoutcore.open(tmp_path / "a.scout", pack=False) as db:
        db.troops.create(name="caf\u00e9")
        assert db.ingest(lines(REPORTS)).accepted == REPORTS
        db.scouts.update(1, 3, name="door")
        db.report(1, 3, "temp", None)
        packed = db.pack()
        log = tmp_path / "a.scout" / "changes" / db.id
        history = {scout: [point.raw for point in db.history(1, scout, "temp")] for scout in range(20)}
    data = b"".join(path.read_bytes() for path in sorted(log.glob("*.changes")))

    outcome = npm.dat_decode(data)[0]
    assert outcome.finalized
    changes = [item for item in outcome.items if isinstance(item, Change)]
    blobs = [item for item in outcome.items if not isinstance(item, Change)]
    assert [change.change for change in changes] == list(range(1, packed + 1))
    assert changes == list(scoutcore.changes.open(log))
    assert {len(blob) for blob in blobs} == {16, 32}
    assert [change.subset for change in changes[:2]] == ["troop", "sensor"]

    found: dict[int, list[bytes]] = {scout: [] for scout in range(20)}
    for change in changes:
        if change.subset == "sensor":
            assert change.value is not None
            block = codec.decode_blocks(change.value, array("Q", [0]), array("Q", [len(change.value)]))
            texts = codec.cut(block.points.data, block.points.starts, block.points.ends)
            found[int(change.key.split("/")[1])] += texts
    assert found == history


@pytest.mark.skipif(not LIBRARY1.exists(), reason="the Library 1 data is not here: it lies beside the repository")
def test_every_change_and_point_of_a_real_mesh(npm: Npm, tmp_path: Path) -> None:
    archive = LIBRARY1.with_name("library1data.tgz")
    made = subprocess.run([sys.executable, LIBRARY1, archive], capture_output=True, check=True)
    with scoutcore.open(tmp_path / "a.scout", pack=False) as db:
        db.troops.create()
        assert db.ingest(made.stdout).accepted == 178_212
        packed = db.pack()
        log = tmp_path / "a.scout" / "changes" / db.id
    data = b"".join(path.read_bytes() for path in sorted(log.glob("*.changes")))
    outcome = npm.dat_decode(data)[0]
    changes = [item for item in outcome.items if isinstance(item, Change)]
    assert outcome.finalized
    assert changes == list(scoutcore.changes.open(log))
    assert len(changes) == packed
    assert sum(change.to - change.from_ for change in changes if change.subset == "sensor") == 178_212
