"""Experience replay: the latest transitions of every run, from which batches are drawn uniformly."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import psutil
import torch
from gymnasium.spaces import Discrete
from gymnasium.vector import VectorEnv
from numpy.typing import ArrayLike
from torch import Tensor

from sac_tutorial.deep.state import State, Stateful, check_like
from sac_tutorial.validation import whole_number
from sac_tutorial.worlds.spaces import action_shape, observation_shape


class Batch(NamedTuple):
    """B transitions of every run."""

    observation: Tensor
    """s, float32, shape (R, B, *observation)."""
    action: Tensor
    """a: int64 of shape (R, B) for discrete actions, float32 of shape (R, B, *action) for continuous actions."""
    reward: Tensor
    """r, float32, shape (R, B)."""
    next_observation: Tensor
    """s′, the true one, also where an episode ended; float32, shape (R, B, *observation)."""
    terminated: Tensor
    """d, bool, shape (R, B). False where a time limit cut the episode off."""


class ReplayBuffer(Stateful):
    """The last `capacity` transitions of each run. Batches are drawn uniformly, with replacement.

    The buffer takes all its memory at once: R · capacity · (8 · observation + 4 · action + 5) bytes with continuous actions.
    Eight runs of CartPole take 360 kB for each 1,000 transitions.

    Args:
        envs: The environments, for the number of runs and the spaces.
        capacity: The number of transitions kept for each run. After that, the oldest make room.
        device: Where the transitions are kept.

    Raises:
        TypeError: If the capacity is not a whole number, or if the spaces are neither boxes nor discrete.
        ValueError: If the capacity is below 1.
        MemoryError: If the device does not have enough memory; the message says how much is needed.

    Source: Lin (1992); Mnih et al. (2015), Methods, "Training algorithm".
    """

    fixed_names = ("runs", "capacity")

    def __init__(self, envs: VectorEnv, capacity: int, *, device: str | torch.device = "cpu") -> None:
        self.runs, self.capacity = envs.num_envs, whole_number("capacity", capacity)
        self.observation_shape, self.device = observation_shape(envs), torch.device(device)
        action_type = torch.int64 if isinstance(envs.single_action_space, Discrete) else torch.float32
        layout = {
            "observation": (self.observation_shape, torch.float32),
            "action": (action_shape(envs), action_type),
            "reward": ((), torch.float32),
            "next_observation": (self.observation_shape, torch.float32),
            "terminated": ((), torch.bool),
        }
        _check_memory(self.runs, self.capacity, layout, self.device)
        self.fields = Batch(
            **{
                name: torch.zeros(self.runs, self.capacity, *shape, dtype=kind, device=self.device)
                for name, (shape, kind) in layout.items()
            }
        )
        # The first place of each run, when all places are counted in a row.
        self._first = self.capacity * torch.arange(self.runs, device=self.device).unsqueeze(-1)
        self._size = self._position = 0

    def __len__(self) -> int:
        """Return how many transitions of each run are stored."""
        return self._size

    def add(
        self,
        observation: ArrayLike | Tensor,
        action: ArrayLike | Tensor,
        reward: ArrayLike | Tensor,
        next_observation: ArrayLike | Tensor,
        terminated: ArrayLike | Tensor,
    ) -> None:
        """Store one transition of every run.

        Args:
            observation: s, shape (R, *observation).
            action: a, shape (R,) or (R, *action).
            reward: r, shape (R,).
            next_observation: s′, shape (R, *observation): where the step led, not where the next episode begins.
            terminated: d, shape (R,). False where a time limit cut the episode off.
        """
        values = (observation, action, reward, next_observation, terminated)
        for field, value in zip(self.fields, values, strict=True):
            field[:, self._position] = torch.as_tensor(value)
        self._position = (self._position + 1) % self.capacity
        self._size = min(self._size + 1, self.capacity)

    def sample(self, batch_size: int, generator: torch.Generator) -> Batch:
        """Draw transitions of each run, uniformly and with replacement.

        Args:
            batch_size: B.
            generator: The source of the randomness, on the buffer's device. It draws for all runs at once.

        Raises:
            ValueError: If the buffer is empty.
        """
        if not self._size:
            raise ValueError("The replay buffer is empty. Add a transition before you draw a batch.")
        index = torch.randint(self._size, (self.runs, batch_size), generator=generator, device=self.device)
        return self._at(index)

    def stored(self) -> Batch:
        """Return everything that is stored, oldest first, as one batch of len(buffer) transitions a run."""
        order = torch.arange(self._position - self._size, self._position, device=self.device) % self.capacity
        return self._at(order.expand(self.runs, -1))

    def termination_rate(self) -> Tensor:
        """Return the share of the stored transitions that ended their episode, shape (R,); NaN where nothing is stored.

        If nothing ever terminates, all policies live equally long, and SAC's usual temperature rule is the dual of its
        constrained problem. Where this share is above 0 and depends on the policy, compare the rule with the one that keeps
        the episode-length term, equation (8.8): `LearnedTemperature(episode_length_term=True)`.
        """
        return self.fields.terminated[:, : self._size].float().mean(-1)

    def _at(self, index: Tensor) -> Batch:
        """Return the transitions at these places of each run, shape (R, B)."""
        flat = (index + self._first).flatten()
        return Batch(
            *(field.flatten(0, 1).index_select(0, flat).view(*index.shape, *field.shape[2:]) for field in self.fields)
        )

    def state_dict(self) -> State:
        """Return what is stored. Its tensors are views of the buffer."""
        stored = {name: field[:, : self._size] for name, field in self.fields._asdict().items()}
        return {"stored": stored, "size": self._size, "position": self._position}

    def check_state_dict(self, state: Mapping[str, Any]) -> None:
        """Check that a state fits; see `Stateful.check_state_dict`."""
        size = state.get("size")
        if not isinstance(size, int) or not 0 <= size <= self.capacity:
            raise ValueError(f"The entry 'size' must lie in [0, {self.capacity}], but is {size!r}.")
        if state.get("position") not in ([size] if size < self.capacity else range(self.capacity)):
            raise ValueError(
                f"The entry 'position' does not fit a buffer with {size} transitions: {state.get('position')!r}."
            )
        stored = {name: field[:, :size] for name, field in self.fields._asdict().items()}
        check_like({"stored": stored, "size": 0, "position": 0}, state)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Replace what is stored; errors are those of `check_state_dict`."""
        self.check_state_dict(state)
        self._size, self._position = state["size"], state["position"]
        for name, field in self.fields._asdict().items():
            field[:, : self._size] = state["stored"][name].to(self.device)


def _check_memory(
    runs: int, capacity: int, layout: Mapping[str, tuple[tuple[int, ...], torch.dtype]], device: torch.device
) -> None:
    needed = sum(runs * capacity * torch.Size(shape).numel() * kind.itemsize for shape, kind in layout.values())
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
    if needed > free:
        raise MemoryError(
            f"A replay buffer of {capacity:,} transitions in each of {runs} runs takes {needed / 1e9:,.1f} GB, "
            f"but {device.type} has {free / 1e9:,.1f} GB left. Choose a smaller capacity."
        )
