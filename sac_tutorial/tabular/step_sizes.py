"""How far an update moves an entry of the table: η_n, a function of the number of visits n. Lesson 02 derives both."""

from collections.abc import Callable

import torch
from torch import Tensor

from sac_tutorial.validation import POSITIVE, number

StepSize = Callable[[Tensor], Tensor]
"""From the number of visits n ≥ 1 to the step size η_n, for each run: shapes (R,) to (R,)."""


def constant_step(size: float) -> StepSize:
    """Return η_n = `size`, in (0, 1]. It forgets the past at a fixed rate and, with random targets, never settles.

    Source: Sutton and Barto (2018), section 2.5.
    """
    size = number("size", size, "(0, 1]")
    return lambda visits: torch.full_like(visits, size)


def polynomial_step(exponent: float) -> StepSize:
    """Return η_n = n^−`exponent`, equation (2.5). Exponents in (½, 1] meet the conditions of Robbins and Monro.

    The exponent is positive. An exponent of 1 gives the plain average of (2.2).

    Source: Robbins and Monro (1951), conditions 6 and 26; Even-Dar and Mansour (2003).
    """
    exponent = number("exponent", exponent, POSITIVE)
    return lambda visits: visits**-exponent
