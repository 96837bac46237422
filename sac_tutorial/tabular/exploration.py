"""How a learner acts: ε-greedy (lesson 02) and by the Boltzmann policy (lesson 06).

ε and the temperature are a number, or a tensor with one entry for each run. Each run has its own row of every draw.
"""

import torch
from torch import Tensor


def epsilon_greedy(q: Tensor, epsilon: float | Tensor, generator: torch.Generator) -> Tensor:
    """Draw actions from the ε-greedy policy, equation (2.9). Ties are broken at random.

    Args:
        q: Q(s, ·), shape (R, A).
        epsilon: ε in [0, 1], a number or of shape (R,).
        generator: source of the randomness.

    Returns:
        Actions, int64, shape (R,).

    Source: Sutton and Barto (2018), section 2.2.
    """
    greedy = torch.rand(len(q), generator=generator) >= epsilon
    excluded = (q < q.amax(-1, keepdim=True)) & greedy.unsqueeze(-1)
    return torch.rand(q.shape, generator=generator).masked_fill_(excluded, -1).argmax(-1)  # below every draw


def boltzmann(q: Tensor, temperature: float | Tensor, epsilon: float | Tensor, generator: torch.Generator) -> Tensor:
    """Draw actions from (1 − ε) · Boltzmann policy, equation (6.13), + ε · uniform policy.

    The action with the largest Q/α + Gumbel noise is a draw from exp(Q/α)/Z. The noise alone gives a uniform draw.

    Args:
        q: Q(s, ·), float64, shape (R, A).
        temperature: α > 0, a number or of shape (R,).
        epsilon: ε in [0, 1], a number or of shape (R,).
        generator: source of the randomness.

    Returns:
        Actions, int64, shape (R,).

    Source: Gumbel (1954); Haarnoja et al. (2017), section 3.
    """
    alpha = torch.as_tensor(temperature, dtype=q.dtype).unsqueeze(-1)
    explore = torch.rand(len(q), generator=generator) < epsilon
    gumbel = -(-torch.rand(q.shape, generator=generator, dtype=q.dtype).log()).log()
    return ((q / alpha).masked_fill(explore.unsqueeze(-1), 0.0) + gumbel).argmax(-1)
