"""Schedules: straight lines, numbers that stay, and the intervals in which both must lie."""

import math
from collections.abc import Callable
from typing import Any

import attrs
import numpy as np
import pytest
import torch

from sac_tutorial.deep.schedule import LinearSchedule, Schedule, schedule, schedule_field, value_after

INF, NAN = math.inf, math.nan


@attrs.frozen
class Settings:
    """Settings with one schedule."""

    epsilon: Schedule = schedule_field(0.1, "[0, 1]")


def test_a_line_goes_from_its_first_value_to_its_last_and_stays_there() -> None:
    line = LinearSchedule(2.0, -6.0, updates=4)
    assert [line(done) for done in (0, 1, 2, 3, 4, 5, 10**9)] == [2, 0, -2, -4, -6, -6, -6]
    assert [LinearSchedule(0, 1, updates=1)(done) for done in (0, 1, 2)] == [0, 1, 1]


def test_a_line_ends_exactly_at_its_last_number() -> None:
    for last in (0.05, 0.1, 1 / 3):
        assert LinearSchedule(1.0, last, updates=7)(7) == last


def test_a_number_stays() -> None:
    assert [value_after(0.3, done) for done in (0, 5, 10**9)] == [0.3] * 3
    assert value_after(LinearSchedule(1.0, 0.0, updates=4), 1) == 0.75


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.array, torch.tensor])
def test_numbers_of_numpy_and_tensors_without_axes_are_numbers(kind: Callable[[float], Any]) -> None:
    line = LinearSchedule(kind(1.0), kind(0.25), updates=np.int64(4))  # type: ignore[arg-type]
    assert line == LinearSchedule(1.0, 0.25, updates=4)
    assert repr(line) == "LinearSchedule(first=1.0, last=0.25, updates=4)"
    assert type(schedule("rate", kind(0.5), "(0, 1]")) is float
    assert Settings(kind(0.5)) == Settings(0.5)


def test_a_schedule_may_begin_and_end_at_the_ends_of_a_closed_interval() -> None:
    for value in (0, 1, LinearSchedule(1, 0, updates=4), LinearSchedule(0, 1, updates=4)):
        assert schedule("rate", value, "[0, 1]") == value
        assert Settings(value).epsilon == value


def test_only_the_last_value_may_be_the_lower_end_of_an_open_interval() -> None:
    line = LinearSchedule(0.5, 0.0, updates=4)
    assert schedule("learning_rate", line, "(0, inf)") is line


def lines(first: Any, last: Any, updates: Any = 4) -> Callable[[], object]:
    return lambda: LinearSchedule(first, last, updates)


def within(value: Any, interval: str) -> Callable[[], object]:
    return lambda: schedule("rate", value, interval)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lines("1", 0.0), TypeError, "first must be a number, but is '1'"),
        (lines(1.0, None), TypeError, "last must be a number, but is None"),
        (lines(True, 0.0), TypeError, "first must be a number, but is True"),
        (lines(INF, 0.0), ValueError, "first must be finite, but is inf"),
        (lines(1.0, -INF), ValueError, "last must be finite, but is -inf"),
        (lines(1.0, NAN), ValueError, "last must be finite, but is nan"),
        (lines(1.0, 0.0, 0), ValueError, "updates must be at least 1, but is 0"),
        (lines(1.0, 0.0, 4.0), TypeError, "updates must be a whole number, but is 4.0"),
        (within(0.0, "(0, inf)"), ValueError, "rate must be above 0 and finite, but is 0.0"),
        (within(INF, "(0, inf)"), ValueError, "rate must be above 0 and finite, but is inf"),
        (within(NAN, "(0, inf)"), ValueError, "rate must be above 0 and finite, but is nan"),
        (within("1", "(0, inf)"), TypeError, "rate must be a number, but is '1'"),
        (within(math.exp, "(0, inf)"), TypeError, "rate must be a number"),
        (within(LinearSchedule(0, 1, 2), "(0, inf)"), ValueError, "the first rate must be above 0 .* but is 0.0"),
        (within(LinearSchedule(1, -1e-9, 2), "(0, inf)"), ValueError, "the last rate must be above 0 .* but is -1e-09"),
        (within(LinearSchedule(1, 1.5, 2), "[0, 1]"), ValueError, r"the last rate must lie in \[0, 1\], but is 1.5"),
        (lambda: Settings(1.5), ValueError, r"epsilon must lie in \[0, 1\], but is 1.5"),
        (lambda: Settings(LinearSchedule(2, 0, 2)), ValueError, r"the first epsilon must lie in \[0, 1\], but is 2.0"),
    ],
)
def test_values_out_of_range_are_refused(call: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
