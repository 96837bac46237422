"""Numbers that change with the updates: an exploration rate that falls, a step size that ends at zero.

May import: `_borders`.
"""

from dataclasses import dataclass

from sac_tutorial.validation import finite_number, positive_integer


@dataclass(frozen=True)
class Linear:
    """A straight line from `first` to `last` over `updates` updates, and `last` from then on.

    Args:
        first: the value before the first update.
        last: the value after `updates` updates.
        updates: ≥ 1.

    Raises:
        TypeError, ValueError: for what is no finite number, or fewer than 1 update.
    """

    first: float
    last: float
    updates: int

    def __post_init__(self) -> None:
        """Check the numbers."""
        finite_number("first", self.first)
        finite_number("last", self.last)
        positive_integer("updates", self.updates)

    def __call__(self, done: int) -> float:
        """Return the value after `done` updates, ≥ 0."""
        return self.last if done >= self.updates else self.first + done / self.updates * (self.last - self.first)


Schedule = float | Linear
"""A number that stays, or one that changes with the updates."""


def ends(schedule: Schedule) -> tuple[float, float]:
    """Return the first and the last value, between which all others lie."""
    return (schedule.first, schedule.last) if isinstance(schedule, Linear) else (schedule, schedule)


def value_after(schedule: Schedule, done: int) -> float:
    """Return the value of the schedule after `done` updates."""
    return schedule(done) if isinstance(schedule, Linear) else schedule
