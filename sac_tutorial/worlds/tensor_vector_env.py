"""The base of our own vector environments: R episodes side by side, all their states in one tensor.

A subclass says in tensors how episodes begin, what a step does and what is observed. NumPy arrays, which Gymnasium's
interface asks for, come and go here alone.
"""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray
from torch import Tensor

from sac_tutorial.validation import whole_number


class TensorVectorEnv(ABC, VectorEnv[NDArray[np.float32], NDArray[Any], NDArray[Any]]):
    """R runs of one problem; one generator draws for all of them.

    A subclass sets what its methods need before it calls this constructor.

    Args:
        num_envs: R, the number of runs, ≥ 1.
        observation_space: of one run.
        action_space: of one run.
        time_limit: steps after which an episode is truncated, ≥ 1. None: never.

    Attributes:
        state: the state of each run, shape (R,).

    Raises:
        TypeError: If a number is not a whole number.
        ValueError: If a number is below 1.
    """

    def __init__(
        self, num_envs: int, observation_space: Box, action_space: Box | Discrete, time_limit: int | None
    ) -> None:
        self.num_envs = whole_number("num_envs", num_envs)
        self.time_limit = None if time_limit is None else whole_number("time_limit", time_limit)
        self.metadata = {"autoreset_mode": AutoresetMode.DISABLED}
        self.single_observation_space, self.single_action_space = observation_space, action_space
        self.observation_space = batch_space(observation_space, self.num_envs)
        self.action_space = batch_space(action_space, self.num_envs)
        self.generator = torch.Generator()
        self.generator.seed()
        self.state = self._start()
        self._age = torch.zeros(self.num_envs, dtype=torch.int64)

    @abstractmethod
    def _start(self) -> Tensor:
        """Draw the states in which all runs begin an episode, shape (R,)."""

    def _restart(self) -> Tensor:
        """Return the states in which runs begin an episode while other runs go on, shape (R,)."""
        return self._start()

    @abstractmethod
    def _step(self, action: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return next state, reward and terminated of each run; the action has the shape (R, *action)."""

    @abstractmethod
    def _observation(self) -> Tensor:
        """Return what is observed in each run's state, float32, shape (R, *observation)."""

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begin a new episode in every run, or in the runs that `options["reset_mask"]` marks.

        The same seed gives the same draws. Of a list of seeds, only the first is used.
        """
        first = seed[0] if isinstance(seed, list) else seed
        if first is not None:
            self.generator.manual_seed(first)
        mask = (options or {}).get("reset_mask")
        if mask is None:
            self.state, self._age = self._start(), torch.zeros_like(self._age)
        else:
            resets = torch.from_numpy(mask)
            self.state = torch.where(resets, self._restart(), self.state)
            self._age = self._age.masked_fill(resets, 0)
        return self._observation().numpy(), {}

    def step(
        self, actions: NDArray[Any]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]:
        """Take one action in every run; actions have the shape (R, *action)."""
        self._check(actions)
        self.state, reward, terminated = self._step(torch.as_tensor(actions))
        self._age = self._age + 1  # not in place: this tensor may have been made in inference mode
        late = torch.zeros_like(terminated) if self.time_limit is None else self._age >= self.time_limit
        return self._observation().numpy(), reward.numpy(), terminated.numpy(), (late & ~terminated).numpy(), {}

    def _check(self, actions: NDArray[Any]) -> None:
        space = self.single_action_space
        low, high = (0, int(space.n) - 1) if isinstance(space, Discrete) else (-1, 1)
        shape = self.action_space.shape
        if np.shape(actions) != shape or not (low <= np.min(actions) and np.max(actions) <= high):
            raise ValueError(f"actions must have the shape {shape} and lie in [{low}, {high}], but are {actions}.")
