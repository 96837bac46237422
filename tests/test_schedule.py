"""Schedules: straight lines, and numbers that stay."""

import math
from typing import Any

import pytest

from sac_tutorial.deep.schedule import Linear, ends, value_after


def test_a_line_goes_from_its_first_value_to_its_last_and_stays_there() -> None:
    line = Linear(2.0, -6.0, updates=4)
    assert [line(done) for done in (0, 1, 2, 3, 4, 5, 10**9)] == [2, 0, -2, -4, -6, -6, -6]
    assert [Linear(0, 1, updates=1)(done) for done in (0, 1, 2)] == [0, 1, 1]


def test_a_line_ends_exactly_where_it_is_said_to() -> None:
    for last in (0.1, 0.05, 1 / 3):
        assert Linear(1.0, last, updates=7)(7) == pytest.approx(last, abs=1e-16)


def test_a_number_stays() -> None:
    assert [value_after(0.3, done) for done in (0, 5, 10**9)] == [0.3] * 3
    assert value_after(Linear(1.0, 0.0, updates=4), 1) == 0.75


def test_ends_are_the_first_and_the_last_value() -> None:
    assert ends(Linear(1.0, 0.25, updates=4)) == (1, 0.25)
    assert ends(0.3) == (0.3, 0.3)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("1", 0.0, 4), TypeError, "first must be a number, but is '1'"),
        ((1.0, None, 4), TypeError, "last must be a number, but is None"),
        ((1.0, 0.0, 0), ValueError, "updates must be at least 1, but is 0"),
        ((1.0, 0.0, 4.0), TypeError, "updates must be a whole number"),
    ],
)
def test_what_makes_no_line_is_refused(arguments: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Linear(*arguments)


@pytest.mark.parametrize("end", [math.inf, -math.inf, math.nan])
def test_a_line_ends_at_finite_numbers(end: float) -> None:
    for ends_at in ((end, 1.0), (1.0, end)):
        with pytest.raises(ValueError, match="must be finite"):
            Linear(*ends_at, updates=3)


def test_a_line_ends_exactly_at_its_last_number() -> None:
    assert Linear(1.0, 0.05, updates=5_000)(5_000) == 0.05
