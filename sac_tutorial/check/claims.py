"""`verdict`: a claim of a lesson, with its threshold, that raises when it does not hold.

May import: `_borders`, torch.
"""

from typing import Any

import torch

from sac_tutorial.validation import positive_integer


class ClaimFailed(AssertionError):
    """A claim of a lesson did not hold; the message says by how much."""


def verdict(claim: str, condition: Any, at_least: int | None = None) -> None:
    """Print ✓ and the claim if it holds; raise if it does not, so that a failed claim is never stored as an output.

    The text names the number of runs that was demanded, never the number that was found: it is the same on every machine.

    Args:
        claim: what is claimed, with its threshold, in words.
        condition: one true or false; with `at_least`, one for each run, shape (R,).
        at_least: in how many of the R runs the claim must hold, 1 … R. None: the condition is a single one.

    Raises:
        ClaimFailed: if the claim does not hold.
        TypeError: for a claim that is no text, a condition that is not true or false, an `at_least` that is no whole number.
        ValueError: for several conditions without `at_least`, one condition with it, or an `at_least` out of range.
    """
    if not isinstance(claim, str):
        raise TypeError(f"claim must be a text, but is {claim!r}.")
    held = _truths(condition)
    if at_least is None:
        if held.ndim:
            raise ValueError(
                f"The condition has the shape {tuple(held.shape)}; say in how many runs it must hold: at_least=…"
            )
        if not held:
            raise ClaimFailed(f"✗ {claim}")
        print(f"✓ {claim}")
        return
    demanded = positive_integer("at_least", at_least)
    if held.ndim != 1:
        raise ValueError(
            f"With at_least, the condition must have one entry a run, but its shape is {tuple(held.shape)}."
        )
    runs, found = len(held), int(held.sum())
    if demanded > runs:
        raise ValueError(f"at_least must lie in 1 … {runs}, the number of runs, but is {demanded}.")
    where = f"all {runs} runs" if demanded == runs else f"at least {demanded} of {runs} runs"
    if found < demanded:
        raise ClaimFailed(f"✗ {claim} ({where}): it held in {found} of {runs}.")
    print(f"✓ {claim} ({where})")


def _truths(condition: Any) -> torch.Tensor:
    """Turn true or false, or an array of them, into a bool tensor; numbers are not truths."""
    try:
        held = torch.as_tensor(condition)
    except (TypeError, ValueError, RuntimeError):
        held = None
    if held is None or held.dtype != torch.bool:
        kind = (
            type(condition).__name__ if held is None or held.ndim == 0 else f"{held.dtype} of shape {tuple(held.shape)}"
        )
        raise TypeError(f"The condition must be true or false, or one such value a run, but is {kind}.")
    return held
