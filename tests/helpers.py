"""What many tests need: seeded draws, environments that are only spaces, batches of noise, PyTorch's own networks."""

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import VectorEnv
from torch import Tensor, nn

from sac_tutorial.deep.replay_buffer import Batch
from sac_tutorial.deep.target_network import Parameters

RUNS, BATCH, INPUTS, HIDDEN, ACTIONS, DIMENSIONS = 3, 7, 4, 5, 6, 2
"""No two sizes are equal, so that a wrong axis changes a shape or a number."""


def generator(seed: int = 0) -> torch.Generator:
    """A generator of its own for each test."""
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 1) -> Tensor:
    """Standard normal numbers in float64."""
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def double(parameters: Parameters) -> Parameters:
    """In float64 two ways to the same number agree in almost every digit."""
    return [parameter.detach().double().requires_grad_() for parameter in parameters]


def spaces(
    action: gymnasium.Space[Any] | None = None, *, environments: int = RUNS, observation: tuple[int, ...] = (INPUTS,)
) -> VectorEnv:
    """Environments that have nothing but the spaces that an agent or a buffer asks for."""
    envs: VectorEnv = VectorEnv()
    envs.num_envs = environments
    envs.single_observation_space = Box(-np.inf, np.inf, observation)
    envs.single_action_space = action or Discrete(ACTIONS)
    return envs


def continuous(dimensions: int = DIMENSIONS) -> Box:
    """The action space that `make_envs` gives to continuous actions."""
    return Box(-1, 1, (dimensions,))


def batch(
    *, discrete: bool, seed: int = 0, runs: int = RUNS, size: int = BATCH, kind: torch.dtype = torch.float64
) -> Batch:
    """Random transitions, about half of them terminal."""
    draw = generator(seed)

    def noise(*shape: int) -> Tensor:
        return torch.randn(shape, generator=draw, dtype=torch.float64).to(kind)

    observation = noise(runs, size, INPUTS)
    action = (
        torch.randint(ACTIONS, (runs, size), generator=draw) if discrete else noise(runs, size, DIMENSIONS).clamp(-1, 1)
    )
    return Batch(
        observation,
        action,
        noise(runs, size),
        noise(runs, size, INPUTS),
        torch.rand(runs, size, generator=draw) < 0.5,
    )


def module(parameters: Parameters, *place: int) -> nn.Sequential:
    """PyTorch's own multilayer perceptron with the parameters at one place of the leading axes."""
    layers: list[nn.Module] = []
    for weight, bias in zip(parameters[::2], parameters[1::2], strict=True):
        layer = nn.Linear(weight.shape[-2], weight.shape[-1], dtype=weight.dtype)
        layer.weight.data, layer.bias.data = weight[place].detach().T.clone(), bias[place][0].detach().clone()
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def assert_same(mine: Parameters, place: tuple[int, ...], theirs: nn.Module, *, atol: float = 1e-7) -> None:
    """Compare one network of ours with PyTorch's; Adam divides rounding by tiny gradients, hence the tolerance."""
    for one, other in zip(module(mine, *place).parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=atol)
