"""Checks of what comes in from outside, shared by the public functions; each error says what was found and what is right.

May import: numpy, torch. Inside the package, code trusts its types and does not call these.
"""

import math
from numbers import Integral, Real

import numpy as np
from torch import Tensor


def whole_number(name: str, value: object, least: int = 0) -> int:
    """Return `value` as an int ≥ `least`, or raise a TypeError or ValueError that names it."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be a whole number, but is {value!r}.")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, but is {value}.")
    return int(value)


def positive_integer(name: str, value: object) -> int:
    """Return `value` as an int ≥ 1, or raise a TypeError or ValueError that names it."""
    return whole_number(name, value, least=1)


def number(name: str, value: object) -> float:
    """Return `value` as a float, or raise a TypeError or ValueError that names it."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, but is {value!r}.")
    try:
        return float(value)
    except OverflowError as error:
        raise ValueError(f"{name} is too large for a floating-point number.") from error


def finite_number(name: str, value: object) -> float:
    """Return `value` as a finite float, or raise a TypeError or ValueError that names it."""
    found = number(name, value)
    if not math.isfinite(found):
        raise ValueError(f"{name} must be finite, but is {found!r}.")
    return found


def number_in(name: str, value: object, low: float, high: float, *, open_above: bool = False) -> float:
    """Return `value` as a float in [low, high] (or [low, high)), or raise a TypeError or ValueError that names it."""
    found = number(name, value)
    if not (low <= found < high if open_above else low <= found <= high):  # NaN fails both
        raise ValueError(f"{name} must lie in [{low:g}, {high:g}{')' if open_above else ']'}, but is {found!r}.")
    return found


def positive_number(name: str, value: object) -> float:
    """Return `value` as a finite float > 0, or raise a TypeError or ValueError that names it."""
    found = number(name, value)
    if not (found > 0 and math.isfinite(found)):
        raise ValueError(f"{name} must be positive and finite, but is {found!r}.")
    return found


def check_temperature(temperature: Tensor, *, limit: str = "", zero: bool = False) -> None:
    """Raise a ValueError unless every α is finite and > 0; `limit` names what α → 0 leads to, `zero` lets α be 0."""
    # Every update of SAC comes through here, with a handful of numbers: for these Python is faster than tensors are.
    alphas = temperature.flatten().tolist()
    right = [0 < alpha < math.inf or (zero and alpha == 0) for alpha in alphas]  # NaN is wrong too
    if not all(right):
        place = [int(index) for index in np.unravel_index(right.index(False), temperature.shape)]
        raise ValueError(
            f"temperature must be {'non-negative' if zero else 'positive'} and finite, "
            f"but is {temperature[tuple(place)]:g}{f' at {place}' if place else ''}."
            f"{limit and f' The limit of a vanishing temperature is {limit}.'}"
        )
