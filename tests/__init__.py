"""Tests of scoutcore."""

from scoutcore.store import journal

# So that all of the tests, and processes that import this, gather small values and put them in their places often.
journal._FEW = 2
journal._KEYS = 100
journal._UNSAFE = 2
