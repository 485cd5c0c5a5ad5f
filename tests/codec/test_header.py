"""The numbers in ``csrc/scoutcore.h`` are those of the Python side."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import pytest

from scoutcore import errors
from scoutcore.codec import constants
from scoutcore.codec.status import Status, error

HEADER = (Path(__file__).parents[2] / "csrc" / "scoutcore.h").read_text()


def test_statuses():
    enum = re.search(r"typedef enum sc_status \{(.*?)\} sc_status;", HEADER, re.DOTALL)
    found = {name: int(number) for name, number in re.findall(r"SC_(\w+) = (\d+)", enum[1])}
    assert found == {status.name: status.value for status in Status}


def test_constants():
    found = {name: int(number) for name, number in re.findall(r"#define SC_(\w+) (\d+)\b", HEADER)}
    shared = {name: number for name, number in found.items() if hasattr(constants, name)}
    assert {"FRAME_CHANGE", "MAX_FRAME", "MAX_DATA", "MAX_BLOCK_SPAN", "MARKER_BYTES", "CHECK_BYTES"} <= shared.keys()
    assert shared == {name: getattr(constants, name) for name in shared}
    assert constants.MAX_BLOCK < constants.MAX_FRAME


@pytest.mark.parametrize("status", [status for status in Status if status])
def test_errors(status):
    problem = error(status, 7)
    assert isinstance(problem, errors.CodecError)
    assert isinstance(problem, ValueError)
    assert str(problem) == f"{problem.reason} at {problem.where} 7"
    again = pickle.loads(pickle.dumps(problem))
    assert (type(again), str(again), again.offset) == (type(problem), str(problem), 7)
    encoding = error(status, 7, encoding=True)
    assert type(encoding) is errors.EncodeError
    assert str(encoding) == f"{problem.reason} at item 7"
