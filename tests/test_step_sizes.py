"""Step sizes by hand, and what is refused."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from sac_tutorial.tabular.step_sizes import constant_step, polynomial_step


def test_step_sizes_by_hand() -> None:
    visits = torch.tensor([1, 4, 16], dtype=torch.float64)
    assert constant_step(0.25)(visits).tolist() == [0.25, 0.25, 0.25]
    assert constant_step(1)(visits).tolist() == [1, 1, 1]
    assert polynomial_step(np.float64(0.5))(visits).tolist() == [1, 0.5, 0.25]
    assert polynomial_step(1)(visits).tolist() == [1, 0.25, 0.0625]


@pytest.mark.parametrize(
    ("make", "argument", "error", "words"),
    [
        (constant_step, 0, ValueError, r"size must lie in \(0, 1\], but is 0"),
        (constant_step, 1.5, ValueError, r"size must lie in \(0, 1\], but is 1.5"),
        (constant_step, math.nan, ValueError, "size must .* but is nan"),
        (constant_step, "big", TypeError, "size must be a number, but is 'big'"),
        (polynomial_step, 0, ValueError, "exponent must be above 0 and finite, but is 0"),
        (polynomial_step, math.inf, ValueError, "exponent must be above 0 and finite, but is inf"),
        (polynomial_step, None, TypeError, "exponent must be a number, but is None"),
    ],
)
def test_bad_step_sizes_are_refused(
    make: Callable[[Any], Any], argument: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        make(argument)
