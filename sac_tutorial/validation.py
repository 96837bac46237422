"""The few checks at the public border. Each error names the argument, says what was found and what would be right.

A range is written as in mathematics: "[0, 1)" holds 0 and everything below 1. NumPy scalars and arrays or tensors without
axes count as the numbers that they hold. Inside the package, code trusts its types and calls nothing from here.
"""

import math
from collections.abc import Iterable
from functools import lru_cache
from numbers import Integral, Real
from typing import Any, NamedTuple, TypeVar

import attrs
import numpy as np
import torch

Settings = TypeVar("Settings")

ANY = "(-inf, inf)"
POSITIVE = "(0, inf)"
NON_NEGATIVE = "[0, inf)"
COUNT = "[1, inf)"


class Interval(NamedTuple):
    """The numbers from `low` to `high`, each end open or not."""

    low: float
    high: float
    open_below: bool
    open_above: bool

    def __contains__(self, value: object) -> bool:
        """Say whether a number lies in the interval; NaN lies in none."""
        assert isinstance(value, float)
        above = value > self.low if self.open_below else value >= self.low
        below = value < self.high if self.open_above else value <= self.high
        return above and below


@lru_cache
def interval(text: str) -> Interval:
    """Read an interval such as "(0, 1]"."""
    low, high = text[1:-1].split(",")
    return Interval(float(low), float(high), text[0] == "(", text[-1] == ")")


def number(name: str, value: object, within: str = ANY) -> float:
    """Return `value` as a float.

    Raises:
        TypeError: If the value is not a number.
        ValueError: If the number does not lie in the interval `within`.
    """
    value = _scalar(value)
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, but is {value!r}.")
    try:
        found = float(value)
    except OverflowError as error:
        raise ValueError(f"{name} is too large for a floating-point number.") from error
    if found not in interval(within):
        raise ValueError(f"{name} must {_range(within)}, but is {found!r}.")
    return found


def whole_number(name: str, value: object, within: str = COUNT) -> int:
    """Return `value` as an int.

    Raises:
        TypeError: If the value is not a whole number.
        ValueError: If the number does not lie in the interval `within`.
    """
    value = _scalar(value)
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be a whole number, but is {value!r}.")
    low, high, *_ = interval(within)
    found = int(value)
    if not low <= found <= high:
        raise ValueError(f"{name} must {_range(within).removesuffix(' and finite')}, but is {found}.")
    return found


def seed_number(seed: object, name: str = "seed") -> int:
    """Return a seed as an int in [0, 2⁶³), which every generator takes; errors are those of `whole_number`."""
    found = whole_number(name, seed, NON_NEGATIVE)
    if found >= 2**63:
        raise ValueError(f"{name} must be below 2**63, but is {found}.")
    return found


def flag(name: str, value: object) -> bool:
    """Return `value` as True or False.

    Raises:
        TypeError: If the value is neither.
    """
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, but is {value!r}.")
    return bool(value)


def whole_numbers(name: str, values: object, within: str = COUNT) -> tuple[int, ...]:
    """Return several whole numbers as a tuple, such as the widths of layers.

    Raises:
        TypeError: If the values are not a sequence of whole numbers.
        ValueError: If a number does not lie in the interval `within`.
    """
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise TypeError(f"{name} must be several whole numbers, such as (64, 64), but is {values!r}.")
    return tuple(whole_number(f"every entry of {name}", value, within) for value in values)


def settings_or_default(settings: Any, kind: type[Settings]) -> Settings:
    """Return the settings of an agent, or the default ones for None.

    Raises:
        TypeError: If the settings are of another kind.
    """
    if settings is not None and not isinstance(settings, kind):
        raise TypeError(f"settings must be {kind.__name__}, but is {settings!r}.")
    return kind() if settings is None else settings


# Fields of settings: the default and the range stand on the line of the field


def number_field(default: float = attrs.NOTHING, within: str = ANY, *, shown: bool = True) -> Any:  # type: ignore[assignment]
    """Return a field of an attrs class that holds a number in the interval `within`; it may be left out of the `repr`."""
    return checked_field(default, lambda name, value: number(name, value, within), shown=shown)


def whole_number_field(default: int = attrs.NOTHING, within: str = COUNT) -> Any:  # type: ignore[assignment]
    """Return a field of an attrs class that holds a whole number in the interval `within`."""
    return checked_field(default, lambda name, value: whole_number(name, value, within))


def flag_field(default: bool = attrs.NOTHING) -> Any:  # type: ignore[assignment]
    """Return a field of an attrs class that holds True or False."""
    return checked_field(default, flag)


def widths_field(default: tuple[int, ...] = attrs.NOTHING) -> Any:  # type: ignore[assignment]
    """Return a field of an attrs class that holds widths of hidden layers; () stands for none."""
    return checked_field(default, whole_numbers)


def optional_field(default: Any, check: Any) -> Any:
    """Return a field of an attrs class that holds None or what `check(name, value)` returns."""
    return checked_field(default, lambda name, value: None if value is None else check(name, value))


def checked_field(default: Any, check: Any, *, shown: bool = True) -> Any:
    """Return a field of an attrs class that holds what `check(name, value)` returns."""

    def convert(value: Any, field: "attrs.Attribute[Any]") -> Any:
        return check(field.name, value)

    return attrs.field(default=default, repr=shown, converter=attrs.Converter(convert, takes_field=True))


def _scalar(value: object) -> object:
    """Return the number in a NumPy scalar, or in an array or tensor without axes."""
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray | torch.Tensor) and value.ndim == 0):
        return value.item()
    return value


def _range(within: str) -> str:
    if within == ANY:
        return "be finite"
    low, high, *_ = interval(within)
    if math.isinf(high):
        return f"be {'above' if within[0] == '(' else 'at least'} {low:g} and finite"
    return f"lie in {within}"
