"""The checks of `exact`: what tables, policies and temperatures must be before an answer is computed from them."""

import torch
from torch import Tensor

from sac_tutorial.validation import number
from sac_tutorial.worlds.mdp import FiniteMDP


def check_discount(mdp: FiniteMDP) -> None:
    """Refuse a discount of 1."""
    if mdp.discount >= 1:
        raise ValueError(
            f"discount must be below 1 for an exact answer, but is {mdp.discount:g}: without it the backup is no contraction."
        )


def check_table(name: str, table: Tensor, mdp: FiniteMDP) -> None:
    """Refuse anything but a float64 tensor of shape (..., S, A)."""
    if not isinstance(table, Tensor) or table.dtype != torch.float64:
        found = f"one of {table.dtype}" if isinstance(table, Tensor) else f"a {type(table).__name__}"
        raise TypeError(f"{name} must be a tensor of torch.float64, but is {found}.")
    if table.shape[-2:] != (mdp.states, mdp.actions):
        raise ValueError(
            f"{name} must have the shape (..., {mdp.states}, {mdp.actions}), but has {tuple(table.shape)}."
        )


def check_policy(mdp: FiniteMDP, policy: Tensor, name: str = "policy") -> None:
    """Refuse anything but a float64 tensor of shape (..., S, A) whose rows are non-negative and sum to 1."""
    check_table(name, policy, mdp)
    wrong = ~((policy >= 0).all(-1) & ((policy.sum(-1) - 1).abs() <= 1e-9))  # NaN is wrong too
    if wrong.any():
        place = tuple(wrong.nonzero()[0].tolist())
        raise ValueError(
            f"{name} must be non-negative and sum to 1 in every state, "
            f"but in state {mdp.state_labels[place[-1]]!r} it is {policy[place].tolist()}."
        )


def aligned(temperature: float | Tensor, *, limit: str | None = None, **tables: Tensor) -> tuple[Tensor, ...]:
    """Return α of shape (..., 1) and the tables (..., S, A), all with the same leading axes.

    Args:
        temperature: a number, or a float64 tensor of shape (..., 1).
        limit: the function to which α → 0 leads; it refuses α = 0. None: α may be 0.
        tables: by the names that an error shows.

    Raises:
        TypeError: If the temperature is neither a number nor a tensor of float64.
        ValueError: If α is negative, not finite, or of another shape, or if the leading axes don't broadcast.
    """
    if not isinstance(temperature, Tensor):
        temperature = torch.tensor(number("temperature", temperature), dtype=torch.float64)
    if temperature.dtype != torch.float64:
        raise TypeError(
            f"temperature must be a number or a tensor of torch.float64, but is one of {temperature.dtype}."
        )
    alpha = temperature.view(-1) if temperature.dim() == 0 else temperature
    if alpha.shape[-1] != 1:
        raise ValueError(
            f"temperature must be a number or have the shape (..., 1), the 1 for the states, but has {tuple(alpha.shape)}."
        )
    right = alpha.isfinite() & ((alpha > 0) if limit else (alpha >= 0))
    if not right.all():
        raise ValueError(
            f"temperature must be {'above' if limit else 'at least'} 0 and finite, but is {alpha[~right][0]:g}."
            f"{f' The limit of a vanishing temperature is {limit}.' if limit else ''}"
        )
    lead = {"temperature": alpha.shape[:-1]} | {name: table.shape[:-2] for name, table in tables.items()}
    try:
        common = torch.broadcast_shapes(*lead.values())  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        raise ValueError(
            f"{' and '.join(lead)} must agree in front of states and actions, "
            f"but have {' and '.join(str(tuple(shape)) for shape in lead.values())} there."
        ) from error
    return alpha.expand(*common, 1), *(table.expand(*common, *table.shape[-2:]) for table in tables.values())
