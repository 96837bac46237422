"""Stochastic policies made of a network: categorical for numbered actions, Gaussian for vectors.

Like a network, a policy is only a shape: it makes parameters and is a pure function of them.

May import: `equations`, `networks`, `_borders`.
"""

from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from sac_tutorial._borders import finite_number
from sac_tutorial.equations import entropy, gaussian_entropy, gaussian_log_density, taken_value
from sac_tutorial.networks import Network, Parameters


class Policy(Protocol):
    """What an actor–critic needs of a policy; its `repr` says which parameters fit it, and stands in saved files."""

    def initial(self, leading: tuple[int, ...], generator: torch.Generator) -> Parameters:
        """Return random parameters with these leading axes."""

    def sample(self, parameters: Parameters, observation: Tensor, generator: torch.Generator) -> Tensor:
        """Draw actions for observations of shape (..., B, *observation)."""

    def mode(self, parameters: Parameters, observation: Tensor) -> Tensor:
        """Return the likeliest actions."""

    def log_probability(self, parameters: Parameters, observation: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Return log π(a|s) of given actions and the entropy H(π(·|s)), both (*leading, B)."""


@dataclass(frozen=True)
class Categorical:
    """π(a|s) ∝ exp of the network's output a, equation (5.1).

    Args:
        network: with one output an action.

    Source: Sutton and Barto (2018), equation 13.2.
    """

    network: Network

    def initial(self, leading: tuple[int, ...], generator: torch.Generator) -> Parameters:
        """Return random parameters of the network."""
        return self.network.initial(leading, generator)

    @torch.no_grad()
    def sample(self, parameters: Parameters, observation: Tensor, generator: torch.Generator) -> Tensor:
        """Draw actions, int64, shape (*leading, B): the largest of logits + Gumbel noise is a draw from their softmax."""
        logits = self.network(parameters, observation)
        noise = torch.rand(logits.shape, generator=generator, device=logits.device, dtype=torch.float64)
        return (logits - (-noise.log()).log()).argmax(-1)

    @torch.no_grad()
    def mode(self, parameters: Parameters, observation: Tensor) -> Tensor:
        """Return the likeliest actions, int64, shape (*leading, B)."""
        return self.network(parameters, observation).argmax(-1)

    def log_probability(self, parameters: Parameters, observation: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Return log π(a|s) and H(π(·|s)), both (*leading, B)."""
        log_policy = torch.log_softmax(self.network(parameters, observation), -1)
        return taken_value(log_policy, action), entropy(log_policy.exp())


@dataclass(frozen=True)
class Gaussian:
    """π(a|s) = N(μ(s), σ²), equation (5.15): the network gives the mean; log σ is one more parameter, the same in all states.

    Args:
        network: with one output a dimension of the action.
        first_log_std: log σ at the start.

    Source: Williams (1992), section 6; Schulman et al. (2015), appendix D, for the state-independent σ.
    """

    network: Network
    first_log_std: float = field(default=0.0, repr=False)  # a beginning: files of agents don't depend on it

    def __post_init__(self) -> None:
        """Check the number."""
        finite_number("first_log_std", self.first_log_std)

    def initial(self, leading: tuple[int, ...], generator: torch.Generator) -> Parameters:
        """Return random parameters of the network, and log σ of shape (*leading, 1, dimensions) behind them."""
        log_std = torch.full((*leading, 1, self.network.outputs), self.first_log_std, device=generator.device)
        return [*self.network.initial(leading, generator), log_std]

    @torch.no_grad()
    def sample(self, parameters: Parameters, observation: Tensor, generator: torch.Generator) -> Tensor:
        """Draw actions a = μ + σ ξ, float32, shape (*leading, B, dimensions)."""
        mean = self.mode(parameters, observation)
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        return mean + parameters[-1].exp() * noise

    @torch.no_grad()
    def mode(self, parameters: Parameters, observation: Tensor) -> Tensor:
        """Return the means, shape (*leading, B, dimensions)."""
        return self.network(parameters[:-1], observation)

    def log_probability(self, parameters: Parameters, observation: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Return the log-density log π(a|s), equation (5.15), and its entropy, both (*leading, B)."""
        mean, log_std = self.network(parameters[:-1], observation), parameters[-1]
        return gaussian_log_density(action, mean, log_std), gaussian_entropy(log_std.expand_as(mean))
