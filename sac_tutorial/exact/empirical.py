"""The MDP that a replay buffer holds: the answer to which a learner on stored transitions converges (lessons 03, 04, 07)."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from sac_tutorial.deep.replay_buffer import Batch
from sac_tutorial.equations import greedy_value
from sac_tutorial.validation import POSITIVE, number


def empirical_q(
    batch: Batch,
    features: Tensor,
    actions: int,
    discount: float,
    *,
    next_value: Callable[[Tensor], Tensor] = greedy_value,
    tolerance: float = 1e-9,
) -> Tensor:
    """Return Q* of each run's empirical MDP, equation (3.14): outcomes have the frequencies with which they are stored.

    A pair of state and action that is not stored keeps the value 0, like an entry of a table that is never updated.

    Args:
        batch: all stored transitions, `replay.stored()`, (R, N, ...).
        features: the observation of each state, shape (S, *observation).
        actions: A.
        discount: γ in [0, 1).
        next_value: from Q (R, S, A) to V (R, S). `partial(soft_value, temperature=0.1)` gives the soft Q*.
        tolerance: the largest remaining error, > 0.

    Returns:
        float64, shape (R, S, A).

    Raises:
        TypeError: If the discount or the tolerance is not a number.
        ValueError: If the discount or the tolerance is out of range, or a reward is not finite.

    Source: the certainty-equivalent model; Sutton and Barto (2018), section 6.3, on batch updating.
    """
    discount, tolerance = number("discount", discount, "[0, 1)"), number("tolerance", tolerance, POSITIVE)
    runs, states = len(batch.reward), len(features)
    state, next_state = nearest_state(batch.observation, features), nearest_state(batch.next_observation, features)
    run, action, reward = torch.arange(runs).unsqueeze(-1), batch.action, batch.reward.double()
    # The model of (1.10): frequencies in place of probabilities
    count, mean_reward = reward.new_zeros(2, runs, states, actions)
    count.index_put_((run, state, action), torch.ones_like(reward), accumulate=True)
    mean_reward.index_put_((run, state, action), reward, accumulate=True)
    continuation = reward.new_zeros(runs, states, actions, states)
    continuation.index_put_((run, state, action, next_state), (~batch.terminated).double(), accumulate=True)
    visits = count.clamp(min=1)
    mean_reward, continuation = mean_reward / visits, continuation / visits.unsqueeze(-1)
    # Value iteration, until the bound (1.16) is below the tolerance
    discounted = discount * continuation.flatten(1, 2)
    q, change = torch.zeros_like(count), torch.inf
    while not change * discount <= tolerance * (1 - discount):
        previous, q = q, mean_reward + (discounted @ next_value(q).unsqueeze(-1)).view_as(q)
        change = (q - previous).abs().max().item()
        if not math.isfinite(change):
            raise ValueError("Rewards and next_value must be finite, and next_value must not expand distances.")
    return q


def nearest_state(observation: Tensor, features: Tensor) -> Tensor:
    """Return for each observation the index of the state with the nearest features: int64.

    Args:
        observation: shape (..., *observation).
        features: the observation of each state, shape (S, *observation).
    """
    flat = features.flatten(1).to(observation)
    # By differences: the quicker way by products loses small differences between large features.
    distance = torch.cdist(observation.reshape(-1, flat.shape[-1]), flat, compute_mode="donot_use_mm_for_euclid_dist")
    return distance.argmin(-1).view(observation.shape[: 1 - features.dim()])
