"""Squashed Gaussians on a grid of actions: the restricted family of policies in which lesson 07 looks for the exact answer."""

import math

import torch
from torch import Tensor

from sac_tutorial.validation import whole_number


def cell_probabilities(mean: Tensor, log_std: Tensor, actions: int) -> Tensor:
    """Return the probability that tanh(μ + σ ξ) falls into each of A equal cells of [−1, 1].

    artanh takes the edges of the cells back to the Gaussian. The probability between two edges is a difference of two
    values of the normal distribution function.

    Args:
        mean: μ, shape (...).
        log_std: log σ, shape (...).
        actions: A ≥ 1.

    Returns:
        Shape (..., A), float64, summing to 1.

    Raises:
        TypeError: If `actions` is not a whole number.
        ValueError: If `actions` is below 1.
    """
    edges = torch.linspace(-1, 1, whole_number("actions", actions) + 1, dtype=torch.float64).atanh()
    scaled = (edges - mean.double().unsqueeze(-1)) / log_std.double().exp().unsqueeze(-1)
    # Each tail is computed from the side where it is small: next to 1, small differences would be rounded away.
    upper = _below(-scaled[..., :-1]) - _below(-scaled[..., 1:])
    lower = _below(scaled[..., 1:]) - _below(scaled[..., :-1])
    return torch.where(scaled[..., :-1] > 0, upper, lower)


def _below(x: Tensor) -> Tensor:
    """The normal distribution function; PyTorch's own, `ndtr`, is 1 + erf and has no digits left from −8 on."""
    below: Tensor = torch.special.erfc(-x / math.sqrt(2)) / 2
    return below


class SquashedGaussians:
    """The family of squashed Gaussians on a grid of actions: a table of candidates, in which the nearest one is looked up.

    Args:
        actions: A ≥ 1, the number of cells.
        means: candidates for μ. Default: 241 from −3 to 3.
        log_stds: candidates for log σ. Default: 81 from −4 to 1.

    Attributes:
        mean, log_std: of each candidate, shape (candidates,).
        probability: of the cells, shape (candidates, A).
    """

    def __init__(self, actions: int, means: Tensor | None = None, log_stds: Tensor | None = None) -> None:
        means = torch.linspace(-3, 3, 241, dtype=torch.float64) if means is None else means
        log_stds = torch.linspace(-4, 1, 81, dtype=torch.float64) if log_stds is None else log_stds
        self.mean, self.log_std = torch.cartesian_prod(means, log_stds).unbind(-1)
        self.probability = cell_probabilities(self.mean, self.log_std, actions)
        self._negative_entropy = torch.special.xlogy(self.probability, self.probability).sum(-1)

    def nearest(self, policy: Tensor) -> Tensor:
        """Return which candidate p has the smallest KL(p ‖ B) to each B, equation (6.15): B of shape (..., A), int64 (...)."""
        logs = policy.double().clamp(min=torch.finfo(torch.float64).tiny).log()
        nearest: Tensor = (self._negative_entropy - logs @ self.probability.T).argmin(-1)
        return nearest

    def project(self, policy: Tensor) -> Tensor:
        """Return the probabilities of the nearest candidates, shape (..., A): the `project` of `soft_policy_iteration`."""
        return self.probability[self.nearest(policy)]
