"""Which backend is taken, and what it needs."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.conftest import load_codec

WITHOUT = "import sys; sys.modules['{}'] = None; "
SHOW = "import scoutcore.codec as c; print(c.backend, c.pack.__module__.split('.')[-1])"


def run(code, backend=None):
    environment = {name: value for name, value in os.environ.items() if name != "SCOUTCORE_BACKEND"}
    if backend is not None:
        environment["SCOUTCORE_BACKEND"] = backend
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1]


def test_python():
    assert run(SHOW, "python") == "python reference"


@pytest.mark.parametrize("choice", [None, "auto", "c"])
def test_c(native, choice):
    assert run(SHOW, choice) == "c native"


def test_without_the_c_module():
    without = WITHOUT.format("scoutcore._native") + SHOW
    assert run(without) == run(without, "auto") == "python reference"
    error = "ImportError: SCOUTCORE_BACKEND is 'c', but scoutcore was installed without its C module"
    assert run(without, "c") == error


@pytest.mark.parametrize("choice", ["", "C", "native"])
def test_other_choices_are_refused(choice):
    assert run(SHOW, choice) == f"ImportError: SCOUTCORE_BACKEND is {choice!r}; it can be auto, c, python"


@pytest.mark.parametrize("backend", ["python", "c"])
def test_without_leveldb(backend):
    load_codec(backend)
    code = WITHOUT.format("plyvel") + "import scoutcore; print(scoutcore.multibuffer.pack([b'a']), scoutcore.backend)"
    assert run(code, backend) == rf"b'\x01a' {backend}"
