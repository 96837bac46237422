"""The MDP that a replay holds: what a learner on stored transitions converges to, whatever the world may be.

May import: `equations`, `replay`, `_borders`.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from sac_tutorial.deep.replay_buffer import Batch
from sac_tutorial.equations import greedy_value
from sac_tutorial.validation import number_in, positive_number


def nearest_state(observation: Tensor, features: Tensor) -> Tensor:
    """Return for each observation the number of the state whose features are nearest: int64.

    Args:
        observation: shape (..., *observation).
        features: what is shown of each state, shape (S, *observation).
    """
    flat = features.flatten(1).to(observation)
    # By differences: the quicker way by products loses small ones between large features.
    distance = torch.cdist(observation.reshape(-1, flat.shape[-1]), flat, compute_mode="donot_use_mm_for_euclid_dist")
    return distance.argmin(-1).view(observation.shape[: 1 - features.dim()])


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

    A pair of state and action that is not stored has the value 0, as in a table that begins at 0 and never hears of it.

    Args:
        batch: all that is stored, `replay.stored()`, (R, N, ...).
        features: what is shown of each state, shape (S, *observation).
        actions: A.
        discount: γ in [0, 1).
        next_value: from Q (R, S, A) to V (R, S); with `partial(soft_value, temperature=0.1)` it is the soft Q*.
        tolerance: the largest error that is left.

    Returns:
        float64, shape (R, S, A).

    Raises:
        TypeError, ValueError: for a discount or a tolerance out of range.

    Source: the certainty-equivalent model; Sutton and Barto (2018), section 6.3, says so of batch updating.
    """
    number_in("discount", discount, 0, 1, open_above=True)
    positive_number("tolerance", tolerance)
    states, runs = len(features), len(batch.reward)
    pair = nearest_state(batch.observation, features) * actions + batch.action
    follows = pair * states + nearest_state(batch.next_observation, features)
    reward = batch.reward.double()
    count = reward.new_zeros(runs, states * actions).scatter_add_(-1, pair, torch.ones_like(reward))
    visits = count.clamp(min=1).unsqueeze(-1)
    mean_reward = torch.zeros_like(count).scatter_add_(-1, pair, reward).unsqueeze(-1) / visits
    goes_on = reward.new_zeros(runs, states * actions * states)
    continuation = goes_on.scatter_add_(-1, follows, (~batch.terminated).double()).view(runs, -1, states) / visits
    q, change = reward.new_zeros(runs, states, actions), torch.inf
    while not change * discount <= tolerance * (1 - discount):  # the bound (1.16) of value iteration
        backed_up = mean_reward + discount * continuation @ next_value(q).unsqueeze(-1)
        previous, q = q, backed_up.view_as(q)
        change = (q - previous).abs().max().item()
    return q
