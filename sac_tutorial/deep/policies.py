"""Stochastic policies made of a network: categorical for discrete actions, Gaussian and squashed Gaussian for continuous ones.

Like a network, a policy is only a shape: it makes parameters, and it is a pure function of them.
"""

from typing import Protocol

import attrs
import torch
from torch import Tensor

from sac_tutorial.deep.networks import Network
from sac_tutorial.deep.target_network import Parameters
from sac_tutorial.equations import entropy, gaussian_entropy, gaussian_log_density, squash, taken_value
from sac_tutorial.validation import number_field, whole_number_field


class Policy(Protocol):
    """What an actor–critic needs of a policy."""

    def initial(self, leading: tuple[int, ...], generator: torch.Generator) -> Parameters:
        """Return random parameters with these leading axes."""

    def sample(self, parameters: Parameters, observation: Tensor, generator: torch.Generator) -> Tensor:
        """Draw actions for observations of shape (..., B, *observation)."""

    def mode(self, parameters: Parameters, observation: Tensor) -> Tensor:
        """Return the most likely actions."""

    def log_probability(self, parameters: Parameters, observation: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Return log π(a|s) of given actions and the entropy H(π(·|s)), both (*leading, B)."""


@attrs.frozen
class Categorical:
    """π(a|s) ∝ exp(z_a), where z_a is output a of the network, equation (5.1).

    Args:
        network: It has one output for each action.

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
        """Return the most likely actions, int64, shape (*leading, B)."""
        return self.network(parameters, observation).argmax(-1)

    def probabilities(self, parameters: Parameters, observation: Tensor) -> Tensor:
        """Return π(·|s), shape (*leading, B, actions)."""
        return torch.softmax(self.network(parameters, observation), -1)

    def log_probability(self, parameters: Parameters, observation: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Return log π(a|s) and H(π(·|s)), both (*leading, B)."""
        log_policy = torch.log_softmax(self.network(parameters, observation), -1)
        return taken_value(log_policy, action), entropy(log_policy.exp())


@attrs.frozen
class Gaussian:
    """π(a|s) = N(μ(s), σ²), equation (5.15). The network gives μ; log σ is one more parameter, the same in all states.

    Args:
        network: It has one output for each dimension of the action.
        first_log_std: log σ at the start.

    Source: Williams (1992), section 6; Schulman et al. (2015), appendix D, for the state-independent σ.
    """

    network: Network
    first_log_std: float = number_field(0.0, shown=False)  # only the initial value: a saved state does not depend on it

    def initial(self, leading: tuple[int, ...], generator: torch.Generator) -> Parameters:
        """Return random parameters of the network, and log σ of shape (*leading, 1, dimensions) behind them."""
        log_std = torch.full(
            (*leading, 1, self.network.outputs), self.first_log_std, dtype=torch.float32, device=generator.device
        )
        return [*self.network.initial(leading, generator), log_std]

    @torch.no_grad()
    def sample(self, parameters: Parameters, observation: Tensor, generator: torch.Generator) -> Tensor:
        """Draw actions a = μ + σ ξ, float32, shape (*leading, B, dimensions)."""
        mean = self.mode(parameters, observation)
        noise = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=torch.float32)
        return mean + parameters[-1].exp() * noise

    @torch.no_grad()
    def mode(self, parameters: Parameters, observation: Tensor) -> Tensor:
        """Return the means, shape (*leading, B, dimensions)."""
        return self.network(parameters[:-1], observation)

    def log_probability(self, parameters: Parameters, observation: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Return the log-density log π(a|s), equation (5.15), and its entropy, both (*leading, B)."""
        mean, log_std = self.network(parameters[:-1], observation), parameters[-1]
        return gaussian_log_density(action, mean, log_std), gaussian_entropy(log_std.expand_as(mean))


LOG_STD_RANGE = (-20.0, 2.0)
"""log σ of a `SquashedGaussian` is clamped to this range. Outside it, the network's output has no effect on σ."""


@attrs.frozen
class SquashedGaussian:
    """a = tanh(u), u ~ N(μ(s), σ(s)²), equation (7.11): the policy of soft actor-critic, inside [−1, 1].

    Args:
        network: It has two outputs for each dimension of the action, first all means and then all log σ. With one output for
            each dimension, σ is the same in all states, and log σ is a parameter of its own.
        dimensions: The dimensions of the action.

    Raises:
        TypeError: If `dimensions` is not a whole number.
        ValueError: If `dimensions` is below 1, or if the network has another number of outputs.

    Source: Haarnoja et al. (2018a), appendix C; log σ is clamped as in their code.
    """

    network: Network
    dimensions: int = whole_number_field()

    def __attrs_post_init__(self) -> None:
        """Check the sizes."""
        if self.network.outputs not in (self.dimensions, 2 * self.dimensions):
            raise ValueError(
                f"An action of {self.dimensions} dimensions needs a network of {2 * self.dimensions} outputs, means and log σ, "
                f"or of {self.dimensions} for a σ that is the same in all states, but this one has {self.network.outputs}."
            )

    @property
    def state_dependent(self) -> bool:
        """Whether σ depends on the state."""
        return self.network.outputs > self.dimensions

    def initial(self, leading: tuple[int, ...], generator: torch.Generator) -> Parameters:
        """Return random parameters. A σ that is the same in all states begins at 1, shape (*leading, 1, dimensions)."""
        parameters = self.network.initial(leading, generator)
        if self.state_dependent:
            return parameters
        return [*parameters, torch.zeros((*leading, 1, self.dimensions), device=generator.device)]

    def gaussian(self, parameters: Parameters, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Return μ, shape (*leading, B, dimensions), and log σ, broadcast with it, of the Gaussian before the tanh."""
        if self.state_dependent:
            mean, log_std = self.network(parameters, observation).chunk(2, -1)
        else:
            mean, log_std = self.network(parameters[:-1], observation), parameters[-1]
        return mean, log_std.clamp(*LOG_STD_RANGE)

    def draw(self, parameters: Parameters, observation: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return actions, shape (*leading, B, dimensions), and their log-densities, (*leading, B), both with gradients."""
        mean, log_std = self.gaussian(parameters, observation)
        return squash(
            mean, log_std, torch.randn(mean.shape, generator=generator, device=mean.device, dtype=torch.float32)
        )

    @torch.no_grad()
    def sample(self, parameters: Parameters, observation: Tensor, generator: torch.Generator) -> Tensor:
        """Return the actions that `draw` would return, equation (7.11). Acting needs no log-densities."""
        mean, log_std = self.gaussian(parameters, observation)
        noise = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=torch.float32)
        return (mean + log_std.exp() * noise).tanh()

    def median(self, parameters: Parameters, observation: Tensor) -> Tensor:
        """Return tanh μ, the median of each dimension. The most likely action lies further out, where u = μ + 2σ² tanh u."""
        return self.gaussian(parameters, observation)[0].tanh()
