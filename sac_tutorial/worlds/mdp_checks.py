"""What FiniteMDP refuses: fields that check themselves, and the checks that need several fields at once."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import attrs
import torch
from torch import Tensor

from sac_tutorial.validation import checked_field

if TYPE_CHECKING:
    from sac_tutorial.worlds.mdp import FiniteMDP


def tensor_field(kind: torch.dtype, axes: int = 3) -> Any:
    """Return a field of an attrs class that holds a tensor of this dtype with so many axes, none of them empty."""

    def check(name: str, value: object) -> Tensor:
        if not isinstance(value, Tensor):
            raise TypeError(f"{name} must be a torch.Tensor, but is a {type(value).__name__}.")
        if value.dtype != kind:
            raise TypeError(f"{name} must be a tensor of {kind}, but is one of {value.dtype}.")
        if value.dim() != axes or 0 in value.shape:
            meaning = "(states, actions, outcomes)" if axes == 3 else "(states,)"
            raise ValueError(f"{name} must have the shape {meaning}, none of them 0, but has {tuple(value.shape)}.")
        return value

    return checked_field(attrs.NOTHING, check)


def labels_field(axis: int) -> Any:
    """Return a field that holds one name for each entry of this axis of `probability`; the default is "0", "1" and so on."""

    def convert(values: object, mdp: Any, field: "attrs.Attribute[Any]") -> tuple[str, ...]:
        count = mdp.probability.shape[axis]
        names = strings(field.name, values) or tuple(str(number) for number in range(count))
        if len(names) != count or len(set(names)) != count:
            raise ValueError(f"{field.name} must be {count} different names, but is {names}.")
        return names

    return attrs.field(default=(), converter=attrs.Converter(convert, takes_self=True, takes_field=True))


def strings(name: str, values: object) -> tuple[str, ...]:
    """Return several strings as a tuple."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise TypeError(f"{name} must be several strings, but is {values!r}.")
    found = tuple(values)
    if not all(isinstance(value, str) for value in found):
        raise TypeError(f"{name} must be several strings, but is {found!r}.")
    return found


def check_shapes(mdp: "FiniteMDP") -> None:
    """Refuse tensors and drawings whose sizes do not match those of `probability`."""
    shape = tuple(mdp.probability.shape)
    for name in ("next_state", "reward", "terminated"):
        found = tuple(getattr(mdp, name).shape)
        if found != shape:
            raise ValueError(f"{name} must have the shape of probability, {shape}, but has {found}.")
    if len(mdp.start_probability) != mdp.states:
        raise ValueError(
            f"start_probability must have the shape ({mdp.states},), but has {tuple(mdp.start_probability.shape)}."
        )
    if mdp.drawing and sum(character != "#" for line in mdp.drawing for character in line) != mdp.states:
        raise ValueError(f"drawing must hold one character other than '#' for each of the {mdp.states} states.")


def check_outcomes(mdp: "FiniteMDP") -> None:
    """Refuse outcomes that are impossible; the message names the first state and action that have one."""
    total = mdp.probability.sum(-1)
    for fault, what in (
        (~mdp.probability.isfinite().all(-1), "a probability that is not finite"),
        ((mdp.probability < 0).any(-1), "a negative probability"),
        ((total - 1).abs() > 1e-9, "probabilities that don't sum to 1"),
        (((mdp.next_state < 0) | (mdp.next_state >= mdp.states)).any(-1), "a next state out of range"),
        (~mdp.reward.isfinite().all(-1), "a reward that is not finite"),
    ):
        if fault.any():
            state, action = fault.nonzero()[0].tolist()
            raise ValueError(
                f"State {mdp.state_labels[state]!r}, action {mdp.action_labels[action]!r} has {what}: "
                f"probabilities {mdp.probability[state, action].tolist()} (sum {total[state, action]:.12g}), "
                f"next states {mdp.next_state[state, action].tolist()} of {mdp.states}, "
                f"rewards {mdp.reward[state, action].tolist()}."
            )


def check_start(mdp: "FiniteMDP") -> None:
    """Refuse a start distribution that is not one."""
    start = mdp.start_probability
    wrong = ~(start >= 0)  # NaN is wrong too
    if wrong.any():
        state = int(wrong.nonzero()[0])
        raise ValueError(
            f"start_probability must be non-negative, but is {start[state]:g} in state {mdp.state_labels[state]!r}."
        )
    if not abs(float(start.sum()) - 1) <= 1e-9:
        raise ValueError(f"start_probability must sum to 1, but sums to {start.sum():.12g}.")
