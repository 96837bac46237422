"""The on-policy loop: collect a rollout with the present policy, learn from it once, and throw it away.

Every run has several environments that step together. Their differences make a batch of on-policy data.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import gymnasium
import torch
from gymnasium.vector import VectorEnv
from torch import Tensor
from tqdm import tqdm

from sac_tutorial.deep.guards import Interrupts, check_envs, environment_seed
from sac_tutorial.deep.memory import keep_freed_memory
from sac_tutorial.deep.stepper import Stepper, show_return
from sac_tutorial.validation import whole_number
from sac_tutorial.worlds.spaces import observation_shape


class Rollout(NamedTuple):
    """T steps of N environments of each of R runs."""

    observation: Tensor
    """s_t, float32, shape (R, T, N, *observation)."""
    action: Tensor
    """a_t, shape (R, T, N), or (R, T, N, dimensions) for continuous actions."""
    reward: Tensor
    """r_t, float32, shape (R, T, N)."""
    next_observation: Tensor
    """The true s_{t+1}, float32, shape (R, T, N, *observation)."""
    terminated: Tensor
    """d_t, bool, shape (R, T, N)."""
    ended: Tensor
    """Whether the episode ended with step t, terminated or cut off; bool, shape (R, T, N)."""
    age: Tensor
    """How many steps of its episode came before step t, int64, shape (R, T, N)."""
    taken: Tensor
    """Whether the step counts, bool, shape (R, T, N). In rollouts of whole episodes the shorter ones are padded."""


class OnPolicyAgent(Protocol):
    """What the loop needs of R runs with N environments each."""

    runs: int
    envs_per_run: int
    device: torch.device
    action_space: gymnasium.Space[Any]
    observation_shape: tuple[int, ...]

    @property
    def rollout_length(self) -> int | None:
        """How many steps make one update. None stands for whole episodes."""

    def explore(self, observation: Tensor) -> Tensor:
        """Draw actions for observations of shape (R, N, *observation)."""

    def update(self, rollout: Rollout) -> Tensor:
        """Learn from a rollout and return the losses, shape (R,)."""


class Progress(NamedTuple):
    """What the loop reports after one update."""

    updates: int
    """How many there have been, counted from 1."""
    steps: int
    """How many steps each environment has taken."""
    last_return: Tensor
    """The undiscounted return of the latest finished episode of each environment, NaN before the first; float64, (R, N)."""


def train_on_policy(
    envs: VectorEnv, agent: OnPolicyAgent, *, updates: int, seed: int | list[int] | None = 0, progress: bool = True
) -> Iterator[Progress]:
    """Train on the policy's own data: collect a rollout, learn from it once, throw it away.

    You can stop iterating, or press Ctrl-C, without losing anything, and call again with the same objects to go on with new
    episodes. Ctrl-C waits until the present update has been taken and yielded; a second Ctrl-C does not wait.

    Args:
        envs: The environments that the agent was made for, with automatic resets off.
        agent: The agent.
        updates: How many updates to take.
        seed: The environments' seed (environment i gets `seed` + i), a list of seeds, or None to go on with their generators.
        progress: Whether to show a progress bar.

    Yields:
        A `Progress` after every update.

    Raises:
        TypeError: If a number is of the wrong type.
        ValueError: If a number is out of range, if the agent was made for other environments, or if the environments reset
            themselves.
        EnvironmentFailed: If an observation or a reward is not finite; the message names environment and step.

    Errors appear at the first `next`.

    Source: Mnih et al. (2016), algorithm S3.
    """
    _check(envs, agent, updates, seed)
    keep_freed_memory()
    stepper, interrupts = Stepper(envs, agent.device, seed), Interrupts()
    last_return = stepper.last_return
    with tqdm(total=updates, disable=not progress, unit="update") as bar:
        for number in range(1, updates + 1):
            with interrupts.held_back():
                rollout, last_return = collect(stepper, agent, last_return)
                agent.update(rollout)
                show_return(bar, last_return)
                bar.update()
            yield Progress(number, stepper.steps, last_return.view(agent.runs, agent.envs_per_run))
            interrupts.deliver()


def collect(stepper: Stepper, agent: OnPolicyAgent, last_return: Tensor) -> tuple[Rollout, Tensor]:
    """Take T steps in every environment, or whole episodes: until each environment has ended one.

    Returns:
        The rollout, and the latest return of each environment whose episode counts, shape (R · N,).
    """
    steps: list[tuple[Tensor, ...]] = []
    taken = torch.ones_like(stepper.ended)
    while taken.any() and len(steps) != agent.rollout_length:
        age = stepper.age
        seen = stepper.observation.view(agent.runs, agent.envs_per_run, *stepper.observation.shape[1:])
        transition = stepper.step(agent.explore(seen).flatten(0, 1))
        steps.append((*transition, stepper.ended, age, taken))
        last_return = torch.where(stepper.ended & taken, stepper.last_return, last_return)
        if agent.rollout_length is None:
            taken = taken & ~stepper.ended
    if agent.rollout_length is None:
        stepper.begin()
    fields = (torch.stack(column).to(agent.device) for column in zip(*steps, strict=True))
    shape = (len(steps), agent.runs, agent.envs_per_run)
    return Rollout(*(field.view(*shape, *field.shape[2:]).transpose(0, 1) for field in fields)), last_return


def _check(envs: VectorEnv, agent: OnPolicyAgent, updates: int, seed: object) -> None:
    check_envs(envs)
    environment_seed(seed, envs)
    whole_number("updates", updates)
    if envs.num_envs != agent.runs * agent.envs_per_run:
        raise ValueError(
            f"The agent has {agent.runs} runs with {agent.envs_per_run} environments each, but there are {envs.num_envs}."
        )
    if envs.single_action_space != agent.action_space or observation_shape(envs) != agent.observation_shape:
        raise ValueError(
            f"The agent was made for observations of shape {agent.observation_shape} and the actions {agent.action_space}, "
            f"but these environments have {observation_shape(envs)} and {envs.single_action_space}."
        )
