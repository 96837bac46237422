"""The Markov chain that a policy makes of an MDP, and whether it is sure to end; the checks of what is a policy.

May import: `mdp`.
"""

import torch
from torch import Tensor

from sac_tutorial.worlds.mdp import FiniteMDP


def policy_chain(mdp: FiniteMDP, policy: Tensor) -> Tensor:
    """Return P̃^π(s′|s) = Σ_a π(a|s) P̃(s′|s,a), shape (..., S, S): what a policy makes of an MDP is a Markov chain.

    A row sums to the probability that the episode goes on.

    Args:
        mdp: the model.
        policy: π, float64, shape (..., S, A), rows that sum to 1.

    Raises:
        TypeError: for a policy that is no tensor of float64.
        ValueError: for a policy that is none.

    Source: Puterman (1994), equation 5.6.4, without what ends the episode.
    """
    check_policy(mdp, policy)
    return torch.einsum("...sa,sat->...st", policy, mdp.continuation_matrix)


def reachable(chain: Tensor, start: Tensor) -> Tensor:
    """Return which states a chain can come to from one of `start`, itself included.

    Args:
        chain: P̃^π or any matrix that is positive where a step is possible, shape (..., S, S).
        start: bool, shape (..., S).

    Returns:
        bool, shape (..., S).
    """
    steps, found = chain > 0, start.expand(chain.shape[:-1])
    while True:
        wider = found | (steps & found.unsqueeze(-1)).any(-2)
        if torch.equal(wider, found):
            return found
        found = wider


def discounted_sum(mdp: FiniteMDP, chain: Tensor, per_step: Tensor) -> Tensor:
    """Return x with (I − γ M) x = b, equations (1.17), (6.4) and (6.12): what b adds up to along the chain M, discounted.

    Args:
        mdp: whose γ.
        chain: M, P̃^π for what is to come, or its transpose for what has been; shape (..., S, S).
        per_step: b, shape (..., S).

    Returns:
        x, shape (..., S).

    Raises:
        ValueError: if γ = 1 and the end is so unlikely that the sum can't be told from an infinite one.
    """
    system = torch.eye(mdp.states, dtype=torch.float64) - mdp.discount * chain
    # beside the sum the number of steps, which says how many of its digits are right: all but about log10 of it
    columns = torch.stack((per_step, torch.ones_like(per_step)), -1)
    solution, singular = torch.linalg.solve_ex(system, columns)
    total: Tensor = solution[..., 0]
    steps = solution[..., 1]
    if singular.any() or (mdp.discount == 1 and not ((steps > 0) & (steps < 1e12)).all()):
        raise ValueError(
            "The end is certain, but takes more steps than floating-point numbers can count. Take a discount below 1."
        )
    return total


def check_end(mdp: FiniteMDP, policy: Tensor, chain: Tensor, states: Tensor) -> None:
    """Refuse a policy under which one of `states`, bool of shape (..., S), has no way to an end.

    Where each has one, and all that follow are among them, the end is certain, and sums without a discount are finite.

    Raises:
        ValueError: naming the state.

    Source: Bertsekas and Tsitsiklis (1991), on proper policies.
    """
    ends = (policy * (mdp.probability * mdp.terminated).sum(-1)).sum(-1) > 0
    stuck = states & ~reachable(chain.mT, ends)
    if stuck.any():
        label = mdp.state_labels[stuck.nonzero()[0, -1]]
        raise ValueError(
            f"With a discount of 1 the end must be certain, but under this policy no way leads from state {label!r} to an end. "
            "Take a discount below 1, or a policy that ends every episode."
        )


def check_table(name: str, table: Tensor, mdp: FiniteMDP) -> None:
    """Refuse what is no float64 tensor of shape (..., S, A)."""
    if not isinstance(table, Tensor) or table.dtype != torch.float64:
        found = f"one of {table.dtype}" if isinstance(table, Tensor) else f"a {type(table).__name__}"
        raise TypeError(f"{name} must be a tensor of torch.float64, but is {found}.")
    if table.shape[-2:] != (mdp.states, mdp.actions):
        raise ValueError(
            f"{name} must have the shape (..., {mdp.states}, {mdp.actions}), but has {tuple(table.shape)}."
        )


def check_policy(mdp: FiniteMDP, policy: Tensor, name: str = "policy") -> None:
    """Refuse what is no policy: a float64 tensor of shape (..., S, A) whose rows are non-negative and sum to 1."""
    check_table(name, policy, mdp)
    wrong = ~((policy >= 0).all(-1) & ((policy.sum(-1) - 1).abs() <= 1e-9))  # NaN is wrong too
    if wrong.any():
        place = tuple(wrong.nonzero()[0].tolist())
        raise ValueError(
            f"{name} must be non-negative and sum to 1 in every state, "
            f"but in state {mdp.state_labels[place[-1]]!r} it is {policy[place].tolist()}."
        )
