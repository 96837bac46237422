"""`verdict`: state a claim of a lesson with its threshold, and raise an error if the claim does not hold."""

from typing import Any

import torch

from sac_tutorial.validation import whole_number


class ClaimFailed(AssertionError):
    """A claim of a lesson does not hold; the message says by how much."""


def verdict(claim: str, condition: Any, at_least: int | None = None) -> None:
    """Print ✓ and the claim if the claim holds; raise an error if it does not.

    A failed claim can therefore never be stored as the output of a notebook. The printed text names the number of runs that
    is required, not the number that was found, so that the text is the same on every machine.

    Args:
        claim: The claim in words, with its threshold.
        condition: True or False; with `at_least`, one such value for each run, shape (R,).
        at_least: In how many of the R runs the claim must hold, 1 … R. None: the condition is a single value.

    Raises:
        ClaimFailed: If the claim does not hold.
        TypeError: If the claim is not a text, the condition not true or false, or `at_least` not a whole number.
        ValueError: If there are several conditions without `at_least`, one condition with it, or `at_least` is out of range.
    """
    if not isinstance(claim, str):
        raise TypeError(f"claim must be a text, but is {claim!r}.")
    held = _as_bools(condition)
    if at_least is None:
        if held.ndim:
            raise ValueError(
                f"The condition has the shape {tuple(held.shape)}; say in how many runs it must hold: at_least=…"
            )
        if not held:
            raise ClaimFailed(f"✗ {claim}")
        print(f"✓ {claim}")
        return
    if held.ndim != 1:
        raise ValueError(
            f"With at_least, the condition must have one entry a run, but its shape is {tuple(held.shape)}."
        )
    runs, found = len(held), int(held.sum())
    required = whole_number("at_least", at_least, f"[1, {runs}]")
    where = f"all {runs} runs" if required == runs else f"at least {required} of {runs} runs"
    if found < required:
        raise ClaimFailed(f"✗ {claim} ({where}): it held in {found} of {runs}.")
    print(f"✓ {claim} ({where})")


def _as_bools(condition: Any) -> torch.Tensor:
    """Return true or false, or an array of such values, as a bool tensor; numbers are refused."""
    kind = type(condition).__name__
    try:
        held = torch.as_tensor(condition)
        if held.dtype == torch.bool:
            return held
        kind = f"{held.dtype} of shape {tuple(held.shape)}" if held.ndim else kind
    except (TypeError, ValueError, RuntimeError):
        pass
    raise TypeError(f"The condition must be true or false, or one such value a run, but is {kind}.")
