"""The start lesson's look at what is installed."""

import sys
from importlib import metadata

import pytest

from sac_tutorial import readiness


def test_nothing_is_missing_here() -> None:
    assert readiness.missing() == []


def test_what_is_missing_or_too_old_is_said_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ["no-such-package>=1", "numpy>=999", "pytest>=999; extra == 'test'", "also-missing; extra == 'notebooks'"]
    monkeypatch.setattr(metadata, "requires", lambda _: wanted)
    assert readiness.missing() == [
        "The package no-such-package is not installed.",
        f"The package numpy has the version {metadata.version('numpy')}, but the course needs >=999.",
        "The package also-missing is not installed.",
    ]
    assert len(readiness.missing(extras=())) == 2


def test_an_old_python_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 1))
    assert readiness.missing()[0].startswith("The course needs Python 3.11 or newer")
