"""A policy turns an MDP into a Markov chain. Values and visits are sums along this chain (lessons 01, 05 and 06).

Policies are float64 tensors of shape (..., S, A), so several policies share one call.
"""

import torch
from torch import Tensor

from sac_tutorial.exact.borders import check_policy
from sac_tutorial.worlds.mdp import FiniteMDP


def policy_chain(mdp: FiniteMDP, policy: Tensor) -> Tensor:
    """Return P̃^π(s′|s) = Σ_a π(a|s) P̃(s′|s,a); a row sums to the probability that the episode goes on.

    Args:
        mdp: the model.
        policy: π, shape (..., S, A).

    Returns:
        The chain, shape (..., S, S).

    Raises:
        TypeError: If the policy is not a tensor of float64.
        ValueError: If a row of the policy is not a distribution.

    Source: Puterman (1994), equation 5.6.4, without the probability of an end.
    """
    check_policy(mdp, policy)
    return torch.einsum("...sa,sat->...st", policy, mdp.continuation_matrix)


def discounted_sum(mdp: FiniteMDP, chain: Tensor, per_step: Tensor) -> Tensor:
    """Return x with (I − γ M) x = b, equations (1.17), (6.4) and (6.12): the discounted sum of b along the chain M.

    Args:
        mdp: the model with the discount γ.
        chain: M, P̃^π to add up the future, or its transpose to add up the past; shape (..., S, S).
        per_step: b, shape (..., S).

    Returns:
        x, shape (..., S).

    Raises:
        ValueError: If γ = 1 and the end is so unlikely that the sum cannot be told from an infinite one.
    """
    system = torch.eye(mdp.states, dtype=torch.float64) - mdp.discount * chain
    # The second column counts the steps: their number says how many digits of the sum are right.
    columns = torch.stack((per_step, torch.ones_like(per_step)), -1)
    solution, singular = torch.linalg.solve_ex(system, columns)
    total: Tensor = solution[..., 0]
    steps = solution[..., 1]
    if singular.any() or (mdp.discount == 1 and not ((steps > 0) & (steps < 1e12)).all()):
        raise ValueError(
            "The end is certain, but takes more steps than floating-point numbers can count. Take a discount below 1."
        )
    return total


def reachable(chain: Tensor, start: Tensor) -> Tensor:
    """Return the states that the chain can reach from the states `start`, which are among them.

    Args:
        chain: a matrix that is positive where a step is possible, shape (..., S, S).
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


def check_end(mdp: FiniteMDP, policy: Tensor, chain: Tensor, states: Tensor) -> None:
    """Refuse a policy under which one of `states`, bool of shape (..., S), has no way to an end.

    If all states that the policy visits have a way to an end, then the end is certain and sums without a discount are finite.

    Raises:
        ValueError: If a state has no way to an end.

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
