"""Problems with one number as state and one as action: continuous for those who learn, a FiniteMDP on a grid for the answer.

On a grid of actions, a density is the probability of a cell over the cell's width, equation (7.18). So the solvers of
`dynamic_programming` solve these problems, soft optimum and restricted families included.

May import: `mdp`, `vector_env`, `_borders`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray
from torch import Tensor

from sac_tutorial.validation import number_in, positive_integer
from sac_tutorial.worlds.mdp import FiniteMDP, digest

Elementwise = Callable[[Tensor, Tensor], Tensor]
"""A function of states and actions of one shape that returns a number for each."""


@dataclass(frozen=True)
class LineProblem:
    """A state x in [−1, 1] and an action a in [−1, 1]; where the next state is depends on both, without chance.

    Args:
        reward: r(x, a).
        move: x′(x, a); what leaves [−1, 1] is put back on its edge. None: every episode ends after one action, a bandit.
        discount: γ in [0, 1).

    Raises:
        TypeError, ValueError: for a discount out of range.
    """

    reward: Elementwise
    move: Elementwise | None = None
    discount: float = 0.9

    def __post_init__(self) -> None:
        """Check the number."""
        number_in("discount", self.discount, 0, 1, open_above=True)

    def next_state(self, state: Tensor, action: Tensor) -> Tensor:
        """Return x′, within [−1, 1]."""
        return state if self.move is None else self.move(state, action).clamp(-1, 1)

    def on_grid(self, states: int, actions: int) -> FiniteMDP:
        """Return the problem on evenly spaced states, the edges included, and the midpoints of as many cells of actions.

        A next state between two of the grid goes to either of them, in proportion to its nearness: values are interpolated
        linearly. Every state is equally likely at the start. The error falls with the square of both spacings.

        Args:
            states: S ≥ 2.
            actions: A ≥ 1.

        Raises:
            TypeError, ValueError: for what are no such whole numbers; for rewards that are not finite.
        """
        x, a = torch.broadcast_tensors(grid(states)[:, None], midpoints(actions))  # type: ignore[no-untyped-call]
        place = (self.next_state(x, a) + 1) / 2 * (states - 1)
        below = place.floor().clamp(max=states - 2)
        return FiniteMDP(
            probability=torch.stack([below + 1 - place, place - below], -1),
            next_state=torch.stack([below, below + 1], -1).long(),
            reward=self.reward(x, a).unsqueeze(-1).repeat(1, 1, 2),
            terminated=torch.full((states, actions, 2), self.move is None),
            start_probability=torch.full((states,), 1 / states, dtype=torch.float64),
            discount=self.discount,
        )


def grid(states: int) -> Tensor:
    """Return the states of a grid, from −1 to 1, both included, shape (S,), S ≥ 2, float64."""
    if positive_integer("states", states) < 2:
        raise ValueError("states must be at least 2, the edges of the line, but is 1.")
    return torch.linspace(-1, 1, states, dtype=torch.float64)


def midpoints(actions: int) -> Tensor:
    """Return the middles of A cells that share [−1, 1] evenly, shape (A,), float64."""
    width = 2 / positive_integer("actions", actions)
    return -1 + width * (torch.arange(actions, dtype=torch.float64) + 0.5)


def cell_probabilities(mean: Tensor, log_std: Tensor, actions: int) -> Tensor:
    """Return how likely tanh(μ + σ ξ) is to fall into each of A cells that share [−1, 1] evenly.

    The edges go back through artanh, and between them lies a difference of two values of the normal distribution function.

    Args:
        mean: μ, shape (...).
        log_std: log σ, shape (...).
        actions: A ≥ 1.

    Returns:
        Shape (..., A), float64, summing to 1.

    Raises:
        TypeError, ValueError: for what is no such whole number.
    """
    edges = torch.linspace(-1, 1, positive_integer("actions", actions) + 1, dtype=torch.float64).atanh()
    scaled = (edges - mean.double().unsqueeze(-1)) / log_std.double().exp().unsqueeze(-1)
    # Both tails are computed where they are small: far above the mean the distribution function is 1 and would leave nothing.
    upper = _below(-scaled[..., :-1]) - _below(-scaled[..., 1:])
    lower = _below(scaled[..., 1:]) - _below(scaled[..., :-1])
    return torch.where(scaled[..., :-1] > 0, upper, lower)


def _below(x: Tensor) -> Tensor:
    """The normal distribution function; PyTorch's own, `ndtr`, is 1 + erf and has no digits left from −8 on."""
    below: Tensor = torch.special.erfc(-x / math.sqrt(2)) / 2
    return below


class SquashedGaussians:
    """The family of tanh-Gaussians on a grid of actions, as a table of candidates: what is nearest is looked up.

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


class LineVectorEnv(VectorEnv[NDArray[np.float32], NDArray[np.float32], NDArray[Any]]):
    """A LineProblem played by many runs at once. Episodes begin anywhere in [−1, 1], evenly.

    Args:
        problem: the problem.
        num_envs: R, the number of runs, ≥ 1.
        time_limit: steps after which an episode is cut off (truncated, never terminated), ≥ 1.

    Attributes:
        state: x of each run, float64, shape (R,).

    Raises:
        TypeError, ValueError: for what are no such whole numbers.
    """

    def __init__(self, problem: LineProblem, num_envs: int, *, time_limit: int = 20) -> None:
        self.problem, self.num_envs = problem, positive_integer("num_envs", num_envs)
        self.time_limit = positive_integer("time_limit", time_limit)
        self.metadata = {"autoreset_mode": AutoresetMode.DISABLED}
        self.single_observation_space = self.single_action_space = Box(-1, 1, (1,), dtype=np.float32)
        self.observation_space = self.action_space = batch_space(self.single_observation_space, num_envs)
        self.generator = torch.Generator()
        self.generator.seed()
        self.state = torch.zeros(num_envs, dtype=torch.float64)
        self._age = np.zeros(num_envs, dtype=np.int64)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin a new episode in every run, or where `options["reset_mask"]` says; with a seed, the draws repeat.

        One generator draws for all runs: of a list of seeds, only the first is used.
        """
        first = seed[0] if isinstance(seed, list) else seed
        if first is not None:
            self.generator.manual_seed(first)
        mask = (options or {}).get("reset_mask", np.ones(self.num_envs, dtype=np.bool_))
        begin = 2 * torch.rand(self.num_envs, generator=self.generator, dtype=torch.float64) - 1
        self.state = torch.where(torch.from_numpy(mask), begin, self.state)
        self._age[mask] = 0
        return self._observe(), {}

    def step(
        self, actions: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Take one action in every run, in [−1, 1], of shape (R, 1)."""
        if np.shape(actions) != (self.num_envs, 1) or not (np.abs(actions) <= 1).all():
            raise ValueError(f"actions must be {self.num_envs} × 1 numbers in [-1, 1], but are {actions}.")
        action = torch.as_tensor(actions, dtype=torch.float64).squeeze(-1)
        reward = self.problem.reward(self.state, action).numpy()
        self.state = self.problem.next_state(self.state, action)
        self._age += 1
        terminated = np.full(self.num_envs, self.problem.move is None)
        return self._observe(), reward, terminated, (self._age >= self.time_limit) & ~terminated, {}

    @property
    def description(self) -> str:
        """What it is, in words: by this a checkpoint knows it again. Its functions are known by some of their values."""
        x, a = torch.broadcast_tensors(grid(9)[:, None], midpoints(8))  # type: ignore[no-untyped-call]
        values = digest(self.problem.reward(x, a), self.problem.next_state(x, a))
        ends = "after one action" if self.problem.move is None else f"after {self.time_limit} steps"
        return f"LineProblem {values} of discount {self.problem.discount:g} that ends {ends}"

    def _observe(self) -> NDArray[np.float32]:
        seen: NDArray[np.float32] = self.state.float().unsqueeze(-1).numpy()
        return seen
