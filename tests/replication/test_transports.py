"""Sessions over TCP, TLS and a child's standard input and output: who gets in, who does not, and what is said of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import trustme

import scoutcore
from scoutcore.errors import InvalidError, SyncError
from scoutcore.replication import Tls
from scoutcore.replication.client import Sync
from scoutcore.replication.link import Timing
from scoutcore.replication.session import Options
from tests.replication.wire import dump, new

KEY = "k" * 32
SECRET = b"the secret of the mesh"
PATIENCE = 60.0


class Authority:
    """One that signs certificates; its files."""

    def __init__(self, directory: Path, name: str) -> None:
        self._ca = trustme.CA()
        self._directory = directory
        self._name = name
        self.path = directory / f"{name}.pem"
        self._ca.cert_pem.write_to_path(self.path)

    def tls(self, authorities: Path | None, *names: str) -> Tls:
        """A side's files: a certificate for *names* if there are any, and whom it believes."""
        if not names:
            return Tls(authorities=authorities)
        certificate = self._ca.issue_cert(*names)
        files = [self._directory / f"{self._name}-{names[0]}.{kind}" for kind in ("crt", "key")]
        certificate.cert_chain_pems[0].write_to_path(files[0])
        certificate.private_key_pem.write_to_path(files[1])
        return Tls(files[0], files[1], authorities)


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "ours")


@pytest.fixture
def others(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "others")


def pair() -> tuple[scoutcore.Database, scoutcore.Database]:
    one, other = new(), new()
    one.troops.create(key=KEY)
    one.report(1, 1, "temp", 1)
    return one, other


@pytest.mark.parametrize("mutual", [True, False])
def test_over_tls(ours: Authority, mutual: bool) -> None:
    one, other = pair()
    served = ours.tls(ours.path if mutual else None, "127.0.0.1")
    with one, other, one.serve("tls://127.0.0.1:0", tls=served) as server:
        client = ours.tls(ours.path, "client") if mutual else ours.tls(ours.path)
        other.sync(server.addresses[0], tls=client).wait(PATIENCE)
        assert dump(one) == dump(other)


def test_a_server_that_others_vouch_for_is_not_trusted(ours: Authority, others: Authority) -> None:
    one, other = pair()
    with one, other, one.serve("tls://127.0.0.1:0", tls=others.tls(None, "127.0.0.1")) as server:
        with pytest.raises(SyncError, match="cannot be trusted"):
            other.sync(server.addresses[0], tls=ours.tls(ours.path)).wait(PATIENCE)
        assert not other.troops


def test_a_server_of_another_name_is_not_trusted(ours: Authority) -> None:
    one, other = pair()
    with one, other, one.serve("tls://127.0.0.1:0", tls=ours.tls(None, "gateway.example")) as server:
        with pytest.raises(SyncError, match="cannot be trusted"):
            other.sync(server.addresses[0], tls=ours.tls(ours.path)).wait(PATIENCE)
        assert not other.troops


@pytest.mark.parametrize("strange", [True, False])
def test_a_client_without_a_certificate_that_counts_gets_nothing(
    ours: Authority, others: Authority, strange: bool
) -> None:
    one, other = pair()
    with one, other, one.serve("tls://127.0.0.1:0", tls=ours.tls(ours.path, "127.0.0.1")) as server:
        client = others.tls(ours.path, "client") if strange else ours.tls(ours.path)
        with pytest.raises(SyncError):
            other.sync(server.addresses[0], tls=client).wait(PATIENCE)
        assert not other.troops


@pytest.mark.parametrize("scheme", ["tls", "tcp"])
def test_tls_and_plain_do_not_understand_each_other(ours: Authority, scheme: str) -> None:
    one, other = pair()
    tls = ours.tls(None, "127.0.0.1")
    with one, other, one.serve(f"{scheme}://127.0.0.1:0", tls=tls) as server:
        url = server.addresses[0].replace(scheme, "tcp" if scheme == "tls" else "tls")
        with pytest.raises(SyncError):
            Sync(other, url, Options(), ours.tls(ours.path), Timing(introduction=1.0)).wait(PATIENCE)
        assert not other.troops


@pytest.mark.parametrize("url", ["tcp://0.0.0.0:0", "tls://0.0.0.0:0", "tcp://[::]:0"])
def test_nobody_listens_to_strangers(ours: Authority, url: str) -> None:
    """From elsewhere than this machine one needs a secret, or a certificate."""
    one, _ = pair()
    with one:
        with pytest.raises(InvalidError, match="it needs a shared secret, or TLS that asks for certificates"):
            one.serve(url, tls=ours.tls(None, "127.0.0.1"))
        if "[" not in url:
            one.serve(url, secret=SECRET, tls=ours.tls(None, "127.0.0.1")).cancel()
    with new() as another:
        another.serve("tls://0.0.0.0:0", tls=ours.tls(ours.path, "127.0.0.1")).cancel()


@pytest.mark.parametrize("secret", [b"another secret of a mesh", None])
def test_without_the_secret_there_is_an_error_that_does_not_show_it(
    secret: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = pair()
    with one, other, one.serve("tcp://127.0.0.1:0", secret=SECRET) as server:
        sync = other.sync(server.addresses[0], secret=secret)
        with pytest.raises(SyncError) as problem:
            sync.wait(PATIENCE)
        told = [server.next(PATIENCE) for _ in range(2)]
        assert "secret" in str(problem.value)
        assert not other.troops
        for text in (str(problem.value), repr(problem.value), repr(sync), repr(server), repr(told), caplog.text):
            assert SECRET.decode() not in text
            assert (secret or SECRET).decode() not in text


def test_over_a_childs_standard_input_and_output(tmp_path: Path) -> None:
    path = tmp_path / "gateway.scout"
    with scoutcore.open(path) as db:
        db.troops.create(key=KEY)
        db.report(1, 1, "temp", 1)
        before = dump(db)
    _, other = pair()
    with other:
        other.sync(f"exec:{sys.executable} -m scoutcore sync --stdio {path}").wait(PATIENCE)
        assert dump(other) == before
        other.report(1, 1, "temp", 2)
        other.sync(f"exec:{sys.executable} -m scoutcore sync --stdio {path}").wait(PATIENCE)
        after = dump(other)
    with scoutcore.open(path) as db:
        assert dump(db) == after


def test_a_child_that_fails_is_named_with_its_exit_code() -> None:
    _, other = pair()
    with other, pytest.raises(SyncError, match="exit code 3"):
        other.sync(f"exec:{sys.executable} -c 'raise SystemExit(3)'").wait(PATIENCE)


@pytest.mark.parametrize("given", ["file", "environment"])
@pytest.mark.parametrize("secret", ["another secret of a mesh", "too short: 15"])
def test_the_command_line_does_not_show_a_secret(given: str, secret: str, tmp_path: Path) -> None:
    one, _ = pair()
    file = tmp_path / "secret"
    file.write_text(secret)
    words = [sys.executable, "-m", "scoutcore", "sync", str(tmp_path / "other.scout")]
    with one, one.serve("tcp://127.0.0.1:0", secret=SECRET) as server:
        done = subprocess.run(
            [*words, server.addresses[0], *(["--secret-file", str(file)] if given == "file" else [])],
            env={**os.environ, **({"SCOUTCORE_SECRET": secret} if given == "environment" else {})},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    assert done.returncode
    said = done.stdout + done.stderr
    assert "secret" in said
    assert "Traceback" not in said
    assert secret not in said
    assert SECRET.decode() not in said
