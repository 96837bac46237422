"""The policy gradient of a FiniteMDP: exactly, and as REINFORCE estimates it from sampled episodes (lesson 05).

The policy is a table of logits θ, π(a|s) ∝ exp θ(s,a), so every gradient has the shape of the table.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from sac_tutorial.equations import expected_value
from sac_tutorial.exact.borders import check_policy, check_table
from sac_tutorial.exact.dynamic_programming import policy_q
from sac_tutorial.exact.visitation import visits
from sac_tutorial.validation import whole_number
from sac_tutorial.worlds.mdp import FiniteMDP, cumulative


def exact_policy_gradient(mdp: FiniteMDP, logits: Tensor, temperature: float | Tensor = 0.0) -> Tensor:
    """Return ∂J/∂θ(s,a) = d^π(s) π(a|s) A(s,a), equation (5.5), with A = Q^π − α log π − V^π.

    Args:
        mdp: the model, with γ < 1, or γ = 1 if the policy ends every episode with certainty.
        logits: θ, finite, float64, shape (..., S, A).
        temperature: α ≥ 0, a number or of shape (..., 1). With α > 0, J is the return plus α times the entropy.

    Returns:
        The gradient of J, the expected discounted return from the start, shape (..., S, A).

    Raises:
        TypeError: If the logits are not a tensor of float64.
        ValueError: If a logit is not finite, or `policy_q` or `visits` refuse the policy or the temperature.

    Source: Sutton et al. (2000), theorem 1; Agarwal et al. (2021), lemma C.1.
    """
    _check_logits(mdp, logits)
    policy = torch.softmax(logits, -1)
    surprise = torch.as_tensor(temperature, dtype=torch.float64).unsqueeze(-1) * torch.log_softmax(logits, -1)
    soft_q = policy_q(mdp, policy, temperature) - surprise
    advantage = soft_q - expected_value(soft_q, policy).unsqueeze(-1)
    return visits(mdp, policy).unsqueeze(-1) * policy * advantage


class Played(NamedTuple):
    """One episode of each of R runs, step by step; entries after its end are padding."""

    state: Tensor
    """s_t, int64, shape (T, R)."""
    action: Tensor
    """a_t, int64, shape (T, R)."""
    reward: Tensor
    """r_t, float64, shape (T, R); 0 after the end."""
    next_state: Tensor
    """s_{t+1}, int64, shape (T, R)."""
    terminated: Tensor
    """d_t, bool, shape (T, R); true from the end on."""
    playing: Tensor
    """bool, shape (T, R): true for the steps that were taken."""


def play(mdp: FiniteMDP, policy: Tensor, *, runs: int, steps: int, generator: torch.Generator) -> Played:
    """Play one episode in each run, cut off after `steps` steps. The rest is worth at most γ^steps r_max/(1 − γ), (4.8).

    Args:
        mdp: the model that is sampled.
        policy: π, float64, shape (S, A).
        runs: R ≥ 1.
        steps: T ≥ 1.
        generator: source of the randomness.

    Raises:
        TypeError: If a count is not a whole number, or the policy is not a tensor of float64.
        ValueError: If a count is below 1, or a row of the policy is not a distribution.
    """
    runs, steps = whole_number("runs", runs), whole_number("steps", steps)
    _check_one_policy(mdp, policy)
    boundaries = cumulative(policy)[:, :-1]
    state, playing = mdp.start(runs, generator), torch.ones(runs, dtype=torch.bool)
    recorded = []
    for _ in range(steps):
        draw = torch.rand(runs, 1, generator=generator, dtype=torch.float64)
        action = (boundaries[state] <= draw).sum(-1)
        next_state, reward, terminated = mdp.sample(state, action, generator)
        recorded.append((state, action, reward * playing, next_state, terminated | ~playing, playing))
        state, playing = next_state, playing & ~terminated
        if not playing.any():
            break
    return Played(*(torch.stack(each) for each in zip(*recorded, strict=True)))


def score_gradient(played: Played, policy: Tensor, weight: Tensor) -> Tensor:
    """Return Σ_t w_t ∂log π(a_t|s_t)/∂θ of each run's episode, equation (5.7): with w_t = γ^t G_t this is REINFORCE.

    For logits the score is ∂log π(a|s)/∂θ(s,b) = 1[a = b] − π(b|s), equation (5.6).

    Args:
        played: the episodes, (T, R).
        policy: the π that played, shape (S, A).
        weight: w, float64, shape (T, R); padding is not read.

    Returns:
        One estimate for each run, shape (R, S, A).

    Raises:
        TypeError: If the weights are not of float64.
        ValueError: If the weights have another shape.

    Source: Williams (1992), section 5.
    """
    _check_weight(played, weight)
    runs, (states, actions) = weight.shape[1], policy.shape
    run, weight = torch.arange(runs), torch.where(played.playing, weight, 0)
    taken = weight.new_zeros(runs, states, actions)
    taken.index_put_((run, played.state, played.action), weight, accumulate=True)
    visited = weight.new_zeros(runs, states)
    visited.index_put_((run, played.state), weight, accumulate=True)
    return taken - visited.unsqueeze(-1) * policy


# Checks


def _check_logits(mdp: FiniteMDP, logits: Tensor) -> None:
    check_table("logits", logits, mdp)
    if not logits.isfinite().all():
        state, action = (~logits.isfinite()).nonzero()[0, -2:].tolist()
        raise ValueError(
            f"logits must be finite, but in state {mdp.state_labels[state]!r} that of action "
            f"{mdp.action_labels[action]!r} is not."
        )


def _check_one_policy(mdp: FiniteMDP, policy: Tensor) -> None:
    check_policy(mdp, policy)
    if policy.dim() != 2:
        raise ValueError(
            f"policy must have the shape ({mdp.states}, {mdp.actions}), the same for all runs, but has {tuple(policy.shape)}."
        )


def _check_weight(played: Played, weight: Tensor) -> None:
    if weight.dtype != torch.float64:
        raise TypeError(f"weight must be a tensor of torch.float64, but is one of {weight.dtype}.")
    if weight.shape != played.playing.shape:  # (R,) and (T,) would broadcast
        raise ValueError(f"weight must have the shape {tuple(played.playing.shape)}, but has {tuple(weight.shape)}.")
