"""Numbers that change with the updates: an exploration rate that falls, a learning rate that ends at zero."""

from typing import Any

import attrs

from sac_tutorial.validation import COUNT, checked_field, interval, number, number_field, whole_number_field


@attrs.frozen
class LinearSchedule:
    """A straight line from `first` to `last` over `updates` updates, and `last` from then on.

    Args:
        first: The value before the first update.
        last: The value after `updates` updates.
        updates: At least 1.

    Raises:
        TypeError: If a value is not a number.
        ValueError: If a value is not finite, or if there are no updates.
    """

    first: float = number_field()
    last: float = number_field()
    updates: int = whole_number_field(within=COUNT)

    def __call__(self, done: int) -> float:
        """Return the value after `done` updates."""
        return self.last if done >= self.updates else self.first + done / self.updates * (self.last - self.first)


Schedule = float | LinearSchedule
"""A number that stays the same, or one that changes with the updates."""


def value_after(schedule: Schedule, done: int) -> float:
    """Return the value of the schedule after `done` updates."""
    return schedule(done) if isinstance(schedule, LinearSchedule) else schedule


def schedule(name: str, value: object, within: str) -> Schedule:
    """Return a schedule whose values all lie in an interval; the last one may also be the interval's lower end.

    So a learning rate in "(0, inf)" may end at 0.

    Raises:
        TypeError: If the value is neither a number nor a `LinearSchedule`.
        ValueError: If a number does not lie in the interval.
    """
    if not isinstance(value, LinearSchedule):
        return number(name, value, within)
    number(f"the first {name}", value.first, within)
    if value.last != interval(within).low:
        number(f"the last {name}", value.last, within)
    return value


def schedule_field(default: Schedule, within: str) -> Any:
    """Return a field of an attrs class that holds a schedule with values in the interval `within`."""
    return checked_field(default, lambda name, value: schedule(name, value, within))
