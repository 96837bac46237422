"""Experience replay: what happened in every run, kept in one tensor and drawn from uniformly.

May import: `vector_env`, `_borders`.
"""

from typing import NamedTuple

import numpy as np
import psutil
import torch
from gymnasium.spaces import Box
from gymnasium.vector import VectorEnv
from numpy.typing import ArrayLike
from torch import Tensor

from sac_tutorial.validation import positive_integer
from sac_tutorial.worlds.vector_env import action_shape, observation_shape


class Batch(NamedTuple):
    """B transitions of every run."""

    observation: Tensor
    """s, float32, shape (R, B, *observation)."""
    action: Tensor
    """a: int64 of shape (R, B) where actions are numbered, float32 of shape (R, B, *action) where they are vectors."""
    reward: Tensor
    """r, float32, shape (R, B)."""
    next_observation: Tensor
    """s′, the true one, also where an episode ended; float32, shape (R, B, *observation)."""
    terminated: Tensor
    """d, bool, shape (R, B). An episode that was merely cut off is not terminated."""


class ReplayBuffer:
    """The last `capacity` transitions of each run, from which batches are drawn uniformly, with replacement.

    A transition is one row of float32, so that a batch is one gather: observation, next observation, action, reward,
    terminated. Memory: 4 · R · capacity · (2 · observation + action + 2) bytes, taken at once; 8 runs of CartPole (4 numbers
    an observation, 1 an action) take 352 kB per 1,000 transitions. Whole numbers up to 2²⁴ survive float32 exactly.

    Args:
        envs: the environments, for the number of runs and the shapes.
        capacity: transitions kept for each run, ≥ 1; then the oldest make room.
        device: where the transitions are kept.

    Raises:
        TypeError: for a capacity that is no whole number, or spaces that don't fit into a row.
        ValueError: for a capacity below 1.
        MemoryError: if the device has not that much memory; the message says how much was asked for.

    Source: Lin (1992); Mnih et al. (2015), Methods, "Training algorithm".
    """

    def __init__(self, envs: VectorEnv, capacity: int, *, device: str | torch.device = "cpu") -> None:
        self.observation_shape, self.action_shape = observation_shape(envs), action_shape(envs)
        self.runs, self.capacity = envs.num_envs, positive_integer("capacity", capacity)
        self.device = torch.device(device)
        self.numbered = not isinstance(envs.single_action_space, Box)
        observation, action = int(np.prod(self.observation_shape)), int(np.prod(self.action_shape))
        self._widths = (observation, observation, action, 1, 1)
        width = sum(self._widths)
        self._check_memory(4 * self.runs * self.capacity * width)
        self._storage = torch.zeros(self.runs, self.capacity, width, device=self.device)
        # One step of all runs is written in NumPy, where environments speak, and moved at once: `fields` are views of it.
        self._row = np.zeros((self.runs, width), dtype=np.float32)
        shapes = (self.observation_shape, self.observation_shape, self.action_shape, (), ())
        parts = np.split(self._row, np.cumsum(self._widths)[:-1], axis=1)
        self._fields = [part.reshape(self.runs, *shape) for part, shape in zip(parts, shapes, strict=True)]
        self._offset = self.capacity * torch.arange(self.runs, device=self.device).unsqueeze(-1)
        self._size = self._position = 0

    def _check_memory(self, asked: int) -> None:
        if self.device.type == "cuda":
            free: int = torch.cuda.mem_get_info(self.device)[0]
        else:
            free = psutil.virtual_memory().available
        if asked > free:
            raise MemoryError(
                f"A replay of {self.capacity:,} transitions in each of {self.runs} runs takes {asked / 1e9:,.1f} GB, "
                f"but {self.device.type} has {free / 1e9:,.1f} GB left. Choose a smaller capacity."
            )

    def __len__(self) -> int:
        """Return how many transitions of each run are stored."""
        return self._size

    def add(
        self,
        observation: ArrayLike,
        action: ArrayLike,
        reward: ArrayLike,
        next_observation: ArrayLike,
        terminated: ArrayLike,
    ) -> None:
        """Store one transition of every run; the oldest makes room when all places are taken.

        Args:
            observation: s, shape (R, *observation).
            action: a, shape (R,) or (R, *action).
            reward: r, shape (R,).
            next_observation: s′, shape (R, *observation): where the step led, not where the next episode begins.
            terminated: d, shape (R,): true where the episode truly ended; not where it was cut off.
        """
        values = (observation, next_observation, action, reward, terminated)
        for field, value in zip(self._fields, values, strict=True):
            field[...] = value
        self._storage[:, self._position] = torch.from_numpy(self._row)
        self._position = (self._position + 1) % self.capacity
        self._size = min(self._size + 1, self.capacity)

    def sample(self, batch_size: int, generator: torch.Generator) -> Batch:
        """Draw `batch_size` of the stored transitions of each run, uniformly and with replacement.

        Args:
            batch_size: B ≥ 1.
            generator: source of the randomness, on the device of the replay; draws for all runs at once.

        Raises:
            TypeError: for a batch size that is no whole number.
            ValueError: for one below 1, or if fewer transitions are stored.
        """
        if self._size < positive_integer("batch_size", batch_size):
            raise ValueError(
                f"A batch of {batch_size} was asked for, but only {self._size} transitions of each run are stored."
            )
        index = torch.randint(self._size, (self.runs, batch_size), generator=generator, device=self.device)
        return self._rows((index + self._offset).flatten(), batch_size)

    def stored(self) -> Batch:
        """Return everything that is stored, oldest first, as one batch of len(replay) transitions a run."""
        order = torch.arange(self._position - self._size, self._position, device=self.device) % self.capacity
        return self._rows((order + self._offset).flatten(), self._size)

    @property
    def position(self) -> int:
        """Where the next transition goes, in [0, capacity)."""
        return self._position

    def rows(self, size: int) -> Tensor:
        """Return the first `size` places of each run as they are kept, a view: what a checkpoint writes and fills."""
        return self._storage[:, :size]

    def resume(self, size: int, position: int) -> None:
        """Say how many places are taken and where the next transition goes, after `rows` have been filled."""
        self._size, self._position = size, position

    def _rows(self, index: Tensor, count: int) -> Batch:
        rows = self._storage.flatten(0, 1).index_select(0, index).view(self.runs, count, sum(self._widths))
        observation, next_observation, action, reward, terminated = torch.split(rows, list(self._widths), -1)
        return Batch(
            observation.reshape(self.runs, count, *self.observation_shape),
            action.squeeze(-1).long() if self.numbered else action.reshape(self.runs, count, *self.action_shape),
            reward.squeeze(-1),
            next_observation.reshape(self.runs, count, *self.observation_shape),
            terminated.squeeze(-1) != 0,
        )
