"""Who is there: nobody without the secret gets in, whatever he records, reflects, relays or changes on the way."""

from __future__ import annotations

import logging
import secrets

import pytest

from scoutcore import codec
from scoutcore.database import Database
from scoutcore.replication import messages
from scoutcore.replication.messages import Auth, Hello, Message, ProtocolError
from scoutcore.replication.replica import replica_of
from scoutcore.replication.session import Connected, Ended, Options, Session
from tests.replication.wire import Wire, new

SECRET = b"the secret of the mesh"
MORE_THAN_ALLOWED = 1025


def first(value: int = 1) -> Database:
    db = new()
    db.troops.create(key="k" * 32)
    db.report(1, 1, "temp", value)
    return db


def side(
    initiator: bool, *, secret: bytes | None = SECRET, nonce: bytes | None = None, db: Database | None = None
) -> Session:
    replica = replica_of(db or first())
    return Session(replica, Options(secret=secret), initiator=initiator, nonce=nonce)


def said(data: bytes) -> list[Message | None]:
    """The messages in what a side has said."""
    return [messages.decode(change) for change in codec.decode_changes(data, codec.scan_frames(data)).to_objects()]


def assert_refused(session: Session, reason: str = "") -> None:
    """It has ended, did not trust anybody, and told nothing of what it holds."""
    events = session.events()
    assert session.ended
    assert not any(isinstance(event, Connected) for event in events)
    (end,) = [event for event in events if isinstance(event, Ended)]
    assert end.error
    assert reason in end.error
    kinds = [type(message).__name__ for message in said(session.output())]
    assert set(kinds) <= {"Hello", "Auth", "Failure"}


def test_with_the_same_secret_they_get_together() -> None:
    wire = Wire(first(), first(), Options(secret=SECRET)).run()
    assert [wire.of(number, Ended)[0].error for number in range(2)] == [None, None]


@pytest.mark.parametrize("others", [b"another secret of a mesh", None])
@pytest.mark.parametrize("initiator", [True, False])
def test_with_another_or_none_they_do_not(others: bytes | None, initiator: bool) -> None:
    one, other = Options(secret=SECRET), Options(secret=others)
    sides = (one, other) if initiator else (other, one)
    wire = Wire(first(), first(2), *sides).run()
    for number in range(2):
        assert wire.of(number, Ended)[0].error
        assert not wire.of(number, Connected)
        assert {type(message) for data in wire.carried[number] for message in said(data)} <= {
            Hello,
            Auth,
            messages.Failure,
        }


def test_a_secret_has_a_length() -> None:
    with pytest.raises(ProtocolError, match="at least 16 bytes"):
        side(True, secret=b"15 bytes: short")


def test_the_listener_shows_nothing_before_the_initiator_has() -> None:
    listener = side(False)
    listener.output()
    listener.receive(side(True).output())
    assert listener.output() == b""


@pytest.mark.parametrize("initiator", [True, False])
def test_what_it_says_is_not_taken_from_others(initiator: bool) -> None:
    """Reflection of all that is said."""
    victim = side(initiator)
    victim.receive(victim.output())
    assert_refused(victim, "repeats")


def test_equal_nonces_are_refused() -> None:
    nonce = secrets.token_bytes(32)
    sides = [side(True, nonce=nonce), side(False, nonce=nonce)]
    hellos = [one.output() for one in sides]
    for one, hello in zip(sides, reversed(hellos), strict=True):
        one.receive(hello)
        assert_refused(one, "repeats")


def test_an_initiator_does_not_take_its_own_proof() -> None:
    """Reflection by somebody with a nonce of his own."""
    victim = side(True)
    victim.output()
    victim.receive(messages.encode(Hello((1, 1), secrets.token_hex(32), secret=True)))
    proof = victim.output()
    assert [type(message) for message in said(proof)] == [Auth]
    victim.receive(proof)
    assert_refused(victim, "another shared secret")


@pytest.mark.parametrize("initiator", [True, False])
def test_a_recorded_session_gets_nobody_in(initiator: bool) -> None:
    """Replay of all that one side has said, to somebody who has what its peer had."""
    db = first()
    wire = Wire(first(2), first(3), Options(secret=SECRET)).run()
    before = list(db.dump())
    victim = side(initiator, db=db)
    victim.output()
    for data in wire.carried[1 if initiator else 0]:
        victim.receive(data[:1000])
    assert_refused(victim, "another shared secret")
    assert list(db.dump()) == before


@pytest.mark.parametrize(
    ("field", "value"),
    [("secret", False), ("v", (0, 1)), ("v", (1, 2)), ("give", False), ("take", False), ("live", True), ("base", True)],
)
@pytest.mark.parametrize("changed", [0, 1, 2])
def test_nothing_of_an_introduction_is_changed_on_the_way(field: str, value: object, changed: int) -> None:
    """Downgrade: by changing the initiator's, the listener's or both."""

    def change(number: int, data: bytes) -> bytes:
        (message, *_) = said(data)
        if not isinstance(message, Hello) or changed not in (number, 2):
            return data
        setattr(message, field, value)
        return messages.encode(message)

    wire = Wire(first(), first(2), Options(secret=SECRET), change=change).run()
    for number in range(2):
        assert wire.of(number, Ended)[0].error
        assert not wire.of(number, Connected)


@pytest.mark.parametrize("versions", [(0, 0), (2, 3)])
def test_another_version_is_refused_and_named(versions: tuple[int, int]) -> None:
    victim = side(False, secret=None)
    victim.output()
    victim.receive(messages.encode(Hello(versions, secrets.token_hex(32))))
    assert_refused(victim, f"the peer speaks versions {versions[0]} to {versions[1]} of the session, we speak 1")


def test_later_versions_are_refused_only_where_ours_is_not_spoken() -> None:
    victim = side(False, secret=None)
    victim.output()
    victim.receive(messages.encode(Hello((1, 7), secrets.token_hex(32))))
    assert not victim.ended


def test_proofs_of_crossed_connections_count_for_nothing() -> None:
    """Somebody in the middle of two connections gives each side the proof that was made for the other."""
    ones = [side(True), side(False)], [side(True), side(False)]
    for pair in ones:
        hellos = [one.output() for one in pair]
        for one, hello in zip(pair, reversed(hellos), strict=True):
            one.receive(hello)
    proofs = [pair[0].output() for pair in ones]
    assert all(proofs)
    for pair, proof in zip(ones, reversed(proofs), strict=True):
        pair[1].receive(proof)
        assert_refused(pair[1], "another shared secret")


def test_the_listeners_proof_of_a_crossed_connection_counts_for_nothing() -> None:
    ones = [side(True), side(False)], [side(True), side(False)]
    for pair in ones:
        hellos = [one.output() for one in pair]
        for one, hello in zip(pair, reversed(hellos), strict=True):
            one.receive(hello)
        pair[1].receive(pair[0].output())
    proofs = [pair[1].output() for pair in ones]
    for pair, proof in zip(ones, reversed(proofs), strict=True):
        pair[0].receive(proof)
        assert_refused(pair[0], "another shared secret")


@pytest.mark.parametrize("initiator", [True, False])
def test_a_proof_is_not_left_out(initiator: bool) -> None:
    victim = side(initiator)
    victim.output()
    victim.receive(messages.encode(Hello((1, 1), secrets.token_hex(32), secret=True)))
    victim.output()
    victim.receive(messages.encode(messages.Have(own="ab" * 16, digest="cd" * 16)))
    assert_refused(victim, "has not shown")


@pytest.mark.parametrize("introduced", [True, False])
def test_a_stranger_is_read_for_one_kibibyte(introduced: bool) -> None:
    victim = side(False)
    victim.output()
    hello = messages.encode(Hello((1, 1), secrets.token_hex(32), secret=True)) if introduced else b""
    victim.receive(hello)
    # A frame of 4,000 bytes that never ends.
    rest = b"\xa0\x1f\x01" + b"x" * (MORE_THAN_ALLOWED - 3 - len(hello))
    victim.receive(rest[:-1])
    assert not victim.ended
    victim.receive(rest[-1:])
    assert_refused(victim, "more than 1024 bytes")


def test_who_is_known_may_say_more_at_once() -> None:
    one, other = first(), first(2)
    one.ingest([{"troop": 1, "scout": 1, "report": "temp", "data": "x" * 1000}] * 10)
    wire = Wire(one, other, Options(secret=SECRET)).run()
    assert max(map(len, wire.carried[0])) > MORE_THAN_ALLOWED
    assert wire.of(1, Ended)[0].error is None


@pytest.mark.parametrize("others", [SECRET, b"another secret of a mesh", None])
def test_a_secret_is_shown_nowhere(others: bytes | None, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    one, other = Options(secret=SECRET), Options(secret=others)
    wire = Wire(first(), first(2), one, other).run()
    shown = [repr(one), repr(wire.events), str(wire.events), caplog.text, repr(wire.sessions), str(wire.sessions)]
    for data in [*wire.carried[0], *wire.carried[1], *(text.encode() for text in shown)]:
        for secret in (SECRET, others or SECRET):
            assert secret not in data
            assert secret.hex().encode() not in data
    with pytest.raises(ProtocolError) as problem:
        side(True, secret=SECRET[:15])
    assert SECRET[:15].decode() not in repr(problem.value)
