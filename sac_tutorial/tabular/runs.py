"""The run axis of the learners: tables, settings and functions with one entry for each run."""

from collections.abc import Callable

import torch
from torch import Tensor

from sac_tutorial.validation import number


def zeros(*shape: int) -> Tensor:
    """Return a table of zeros in float64. Learners run in inference mode, but everyone may write to this table."""
    with torch.inference_mode(False):
        return torch.zeros(shape, dtype=torch.float64)


def per_run(name: str, setting: float | Tensor, runs: int, within: str) -> Tensor:
    """Return a setting in float64: one number for all runs, shape (), or one for each run, shape (R,).

    Raises:
        TypeError: If the setting is not a number.
        ValueError: If a number does not lie in the interval `within`, or if the tensor has another shape.
    """
    if not isinstance(setting, Tensor) or setting.dim() == 0:
        return torch.tensor(number(name, setting, within), dtype=torch.float64)
    if setting.shape != (runs,):
        raise ValueError(
            f"{name} must be a number or have the shape ({runs},), but has the shape {tuple(setting.shape)}."
        )
    return torch.tensor([number(f"every {name}", each, within) for each in setting.tolist()], dtype=torch.float64)


def check_one_per_run(name: str, function: Callable[[Tensor], Tensor], argument: Tensor) -> None:
    """Raise unless the function turns its argument, of shape (R, ...), into one number for each run, shape (R,).

    Raises:
        TypeError: If it is not a function.
        ValueError: If it returns something else.
    """
    if not callable(function):
        raise TypeError(f"{name} must be a function, but is {function!r}.")
    found = function(argument)
    if not isinstance(found, Tensor) or found.shape != argument.shape[:1]:
        shape = f"the shape {tuple(found.shape)}" if isinstance(found, Tensor) else repr(found)
        raise ValueError(
            f"{name} must turn the shape {tuple(argument.shape)} into {tuple(argument.shape[:1])}, but returned {shape}."
        )
