"""Environments in tensors: the one place where a training loop meets Gymnasium's NumPy arrays.

Automatic resets are off. `Stepper` resets an environment after its episode has ended. So s′ is always the true next
observation.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from torch import Tensor
from tqdm import tqdm

from sac_tutorial.deep.guards import check_finite, environment_seed
from sac_tutorial.worlds.spaces import within_bounds


class Transition(NamedTuple):
    """One step of each of E environments."""

    observation: Tensor
    """s, float32, shape (E, *observation)."""
    action: Tensor
    """a, as the agent gave it, shape (E,) or (E, *action)."""
    reward: Tensor
    """r, float32, shape (E,)."""
    next_observation: Tensor
    """s′, the true one, float32, shape (E, *observation)."""
    terminated: Tensor
    """d, bool, shape (E,)."""


class Stepper:
    """E environments that step together.

    Args:
        envs: The environments, with automatic resets off.
        device: Where the tensors live.
        seed: The environments' seed (environment i gets `seed` + i), a list with one seed for each environment, or None to go
            on with their generators. Our own environments have one generator for all, which takes the first seed.

    Attributes:
        observation: What the agent sees now, float32, shape (E, *observation).
        age: How many steps of the present episode have been taken, int64, shape (E,).
        reward: The rewards of the last step as the environments gave them, float64, shape (E,).
        ended: Whether the last step ended the episode, by termination or by a time limit; bool, shape (E,).
        last_return: The undiscounted return of the latest finished episode, float64, NaN before the first; shape (E,).

    Raises:
        EnvironmentFailed: If an observation or a reward is not finite, here or in a step.
    """

    def __init__(self, envs: VectorEnv, device: torch.device, seed: int | list[int] | None) -> None:
        self.envs, self.device, self.steps = envs, device, 0
        self.last_return = torch.full((envs.num_envs,), torch.nan, dtype=torch.float64)
        self.begin(environment_seed(seed, envs))

    def begin(self, seed: int | list[int] | None = None) -> None:
        """Begin a new episode in every environment."""
        observation, _ = self.envs.reset(seed=seed)  # type: ignore[arg-type]  # SyncVectorEnv takes lists, and says so
        self.observation = self._seen("The first observation", observation)
        self.age = torch.zeros(self.envs.num_envs, dtype=torch.int64)
        self.ended = torch.zeros(self.envs.num_envs, dtype=torch.bool)
        self._so_far = torch.zeros(self.envs.num_envs, dtype=torch.float64)

    def step(self, action: Tensor) -> Transition:
        """Take one step in every environment, and begin a new episode where one ended.

        Args:
            action: Shape (E,) or (E, *action). The environments get it clipped to their bounds.
        """
        self.steps += 1
        observation = self.observation
        arrays = self.envs.step(within_bounds(self.envs, action.cpu().numpy()))
        next_observation = self._seen(f"The observation after step {self.steps}", arrays[0])
        self.reward, terminated, truncated = (torch.from_numpy(np.asarray(array)) for array in arrays[1:4])
        reward = self.reward.float()
        check_finite(f"The reward of step {self.steps}", reward)
        self._count(terminated | truncated)
        self.observation = next_observation
        if self.ended.any():
            begun, _ = self.envs.reset(options={"reset_mask": self.ended.numpy()})
            self.observation = self._seen(f"The first observation of a new episode, after step {self.steps},", begun)
        return Transition(observation, action, reward.to(self.device), next_observation, terminated.to(self.device))

    def _count(self, ended: Tensor) -> None:
        self.ended, self.age, self._so_far = ended, self.age + 1, self._so_far + self.reward
        if ended.any():
            self.last_return = torch.where(ended, self._so_far, self.last_return)
            self.age, self._so_far = self.age * ~ended, self._so_far * ~ended

    def _seen(self, what: str, observation: Any) -> Tensor:
        seen = torch.as_tensor(observation, dtype=torch.float32)
        check_finite(what, seen)
        return seen.to(self.device)


def show_return(bar: "tqdm[Any]", last_return: Tensor) -> None:
    """Show the mean of the latest returns behind a progress bar, once there is one."""
    if not last_return.isnan().all():
        bar.set_postfix(last_return=f"{last_return.nanmean():.4g}", refresh=False)
