"""The on-policy loop: play a piece with the present policy, learn from it once, throw it away.

Every run has several environments, which step together: their differences are what makes a batch of on-policy data.

May import: `training`, `vector_env`, `_borders`. Environments come from `vector_env`, agents from `actor_critic`.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import gymnasium
import numpy as np
import torch
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from sac_tutorial.deep.off_policy import check_envs, check_finite
from sac_tutorial.validation import positive_integer, whole_number
from sac_tutorial.worlds.vector_env import observation_shape, within_bounds


class Rollout(NamedTuple):
    """What T steps of N environments brought to each of R runs."""

    observation: Tensor
    """s_t, float32, shape (R, T, N, *observation)."""
    action: Tensor
    """a_t, shape (R, T, N), or (R, T, N, dimensions) where actions are vectors."""
    reward: Tensor
    """r_t, float32, shape (R, T, N)."""
    next_observation: Tensor
    """The true s_{t+1}, float32, shape (R, T, N, *observation)."""
    terminated: Tensor
    """d_t, bool, shape (R, T, N)."""
    ended: Tensor
    """Whether the episode ended with step t, terminated or cut off; bool, shape (R, T, N)."""
    age: Tensor
    """How many steps of its episode lay before step t, int64, shape (R, T, N)."""
    taken: Tensor
    """Whether the step counts, bool, shape (R, T, N): in pieces of whole episodes, the shorter ones are padded."""


class OnPolicyAgent(Protocol):
    """What the loop needs of R runs with N environments each."""

    runs: int
    envs_per_run: int
    device: torch.device
    action_space: gymnasium.Space[Any]
    observation_shape: tuple[int, ...]

    @property
    def piece(self) -> int | None:
        """How many steps make one update; None: whole episodes."""

    def explore(self, observation: Tensor) -> Tensor:
        """Draw actions for observations of shape (R, N, *observation)."""

    def update(self, piece: Rollout) -> Tensor:
        """Learn from a piece; return the losses, shape (R,)."""


class Progress(NamedTuple):
    """What one update of the on-policy loop leaves to look at."""

    updates: int
    """How many there have been, counted from 1."""
    steps: int
    """How many steps each environment has taken."""
    last_return: NDArray[np.float64]
    """The undiscounted return of the latest finished episode of each environment, NaN before the first; (R, N), a copy."""


def train_on_policy(
    envs: VectorEnv, agent: OnPolicyAgent, *, updates: int, seed: int | list[int] | None = 0, progress: bool = True
) -> Iterator[Progress]:
    """Train on the policy's own data: collect a piece, learn from it once, throw it away.

    Who stops iterating, or presses Ctrl-C, loses nothing, and can call again with the same objects to go on (with new
    episodes).

    Args:
        envs: the environments that the agent was made for, with automatic resets off.
        agent: what learns.
        updates: how many, ≥ 1.
        seed: of the environments (environment i gets `seed` + i), or a list of them; None to go on with their generators.
        progress: whether to show a bar.

    Yields:
        A `Progress` after every update.

    Raises (at the first `next`):
        TypeError: for numbers that are none.
        ValueError: for numbers out of range, another number of environments than the agent's, or environments that reset
            themselves.
        EnvironmentFailed: if an observation or a reward is not finite; the message names environment and step.

    Source: Mnih et al. (2016), algorithm S3.
    """
    check_envs(envs)
    positive_integer("updates", updates)
    if not isinstance(seed, list | None):
        whole_number("seed", seed)
    if envs.num_envs != agent.runs * agent.envs_per_run:
        raise ValueError(
            f"The agent has {agent.runs} runs of {agent.envs_per_run} environments each, but there are {envs.num_envs}."
        )
    if envs.single_action_space != agent.action_space or observation_shape(envs) != agent.observation_shape:
        raise ValueError(
            f"The agent was made for observations of shape {agent.observation_shape} and the actions {agent.action_space}, "
            f"but these environments have {observation_shape(envs)} and {envs.single_action_space}."
        )
    collector = _Collector(envs, agent, seed)
    with tqdm(total=updates, disable=not progress, unit="update") as bar:
        for number in range(1, updates + 1):
            agent.update(collector.piece())
            last_return = collector.last_return.reshape(agent.runs, agent.envs_per_run).copy()
            if not np.isnan(last_return).all():
                bar.set_postfix(last_return=f"{np.nanmean(last_return):.4g}", refresh=False)
            bar.update()
            yield Progress(number, collector.steps, last_return)


class _Step(NamedTuple):
    """What one step of all environments brings: the fields of a `Rollout`, arrays of shape (R · N, …)."""

    observation: NDArray[Any]
    action: NDArray[Any]
    reward: NDArray[Any]
    next_observation: NDArray[Any]
    terminated: NDArray[Any]
    ended: NDArray[Any]
    age: NDArray[Any]
    taken: NDArray[Any]


class _Collector:
    """Where all environments stand between one piece and the next; arrays have the shape (R · N, …)."""

    def __init__(self, envs: VectorEnv, agent: OnPolicyAgent, seed: int | list[int] | None) -> None:
        self.envs, self.agent, self.steps = envs, agent, 0
        self.last_return = np.full(envs.num_envs, np.nan)
        self._begin(seed)

    def _begin(self, seed: int | list[int] | None = None) -> None:
        self.observation, _ = self.envs.reset(seed=seed)  # type: ignore[arg-type]  # lists are allowed, as SyncVectorEnv says
        check_finite("The first observation", self.observation, of="environment")
        self.age, self.so_far = np.zeros(self.envs.num_envs, dtype=np.int64), np.zeros(self.envs.num_envs)

    def piece(self) -> Rollout:
        """Take T steps, or whole episodes: until each environment has ended one."""
        length = self.agent.piece
        steps: list[_Step] = []
        taken = np.ones(self.envs.num_envs, dtype=np.bool_)
        while taken.any() and len(steps) != length:
            step = self._step(taken)
            steps.append(step)
            if length is None:
                taken = taken & ~step.ended
        if length is None:
            self._begin()
        return _stack(steps, self.agent)

    def _step(self, taken: NDArray[np.bool_]) -> _Step:
        """Take one step in every environment; the return of an episode is noted where its steps count."""
        self.steps += 1
        observation, age, agent = self.observation, self.age, self.agent
        seen = torch.as_tensor(observation, dtype=torch.float32, device=agent.device)
        action = agent.explore(seen.view(agent.runs, agent.envs_per_run, *seen.shape[1:])).flatten(0, 1).cpu().numpy()
        next_observation, reward, terminated, truncated, _ = self.envs.step(within_bounds(self.envs, action))
        check_finite(f"The observation after step {self.steps}", next_observation, of="environment")
        check_finite(f"The reward of step {self.steps}", reward, of="environment")
        ended = terminated | truncated
        self.observation = next_observation
        self.so_far = self.so_far + reward
        self.age = age + 1
        if ended.any():
            self.last_return[ended & taken] = self.so_far[ended & taken]
            self.so_far[ended] = 0.0
            self.age[ended] = 0
            self.observation, _ = self.envs.reset(options={"reset_mask": ended})
            what = f"The first observation of a new episode, after step {self.steps},"
            check_finite(what, self.observation, of="environment")
        return _Step(observation, action, reward, next_observation, terminated, ended, age, taken)


def _stack(steps: list[_Step], agent: OnPolicyAgent) -> Rollout:
    """Turn what T steps brought, each (R · N, …), into tensors (R, T, N, …)."""
    fields = []
    for name, column in zip(Rollout._fields, zip(*steps, strict=True), strict=True):
        field = torch.as_tensor(np.stack(column), device=agent.device)
        field = field.view(len(steps), agent.runs, agent.envs_per_run, *field.shape[2:]).transpose(0, 1)
        fields.append(field.float() if name in ("observation", "reward", "next_observation") else field)
    return Rollout(*fields)
