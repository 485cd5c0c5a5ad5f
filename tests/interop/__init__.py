"""Tests against the real npm packages and PyPI ``protobuf``."""
