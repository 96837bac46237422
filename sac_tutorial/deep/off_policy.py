"""The off-policy loop, and the evaluation of what was learnt. The loop does not know which algorithm it trains."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import torch
from gymnasium.vector import VectorEnv
from torch import Tensor
from tqdm import tqdm

from sac_tutorial.deep.guards import Interrupts, check_envs, check_training
from sac_tutorial.deep.memory import keep_freed_memory
from sac_tutorial.deep.replay_buffer import Batch, ReplayBuffer
from sac_tutorial.deep.stepper import Stepper, show_return
from sac_tutorial.validation import number, seed_number


class Player(Protocol):
    """What `evaluate` needs of R runs. Observations are (R, B, *observation), actions (R, B) or (R, B, *action)."""

    runs: int
    device: torch.device

    def exploit(self, observation: Tensor) -> Tensor:
        """Return the best actions that the agent knows."""


class Agent(Player, Protocol):
    """What `train` needs in addition."""

    generator: torch.Generator

    def explore(self, observation: Tensor) -> Tensor:
        """Return actions to learn from."""

    def update(self, batch: Batch) -> Tensor:
        """Learn from one batch a run and return the losses, shape (R,)."""


class Step(NamedTuple):
    """What the loop reports after one step."""

    number: int
    """How many steps each run has taken, those before `start_step` included."""
    ended: Tensor
    """Which runs' episodes ended with this step, terminated or cut off; bool, shape (R,)."""
    last_return: Tensor
    """The undiscounted return of each run's latest finished episode, NaN before the first; float64, shape (R,)."""


def train(
    envs: VectorEnv,
    agent: Agent,
    buffer: ReplayBuffer,
    *,
    steps: int,
    learning_starts: int,
    batch_size: int,
    start_step: int = 0,
    seed: int | list[int] | None = 0,
    progress: bool = True,
) -> Iterator[Step]:
    """Train an agent. In each step every run acts once, stores the transition, and learns once from its own batch.

    All that is learnt lives in `agent` and `buffer`. You can stop iterating, or press Ctrl-C, without losing anything, and call
    `train` again with the same objects to go on with new episodes. Ctrl-C waits until the present step has been taken and
    yielded; a second Ctrl-C does not wait. `sac_tutorial.files.state_file` keeps a training in a file.

    Args:
        envs: One environment a run, with automatic resets off; see `make_envs`.
        agent: An agent with as many runs.
        buffer: A replay buffer with as many runs.
        steps: The number of steps of each run, those before `start_step` included.
        learning_starts: The number of steps before the first update. If it is at least `steps`, nothing is learnt.
        batch_size: The number of transitions of each run in one update.
        start_step: How many of the steps have been taken before.
        seed: The environments' seed (run r gets `seed` + r), a list of seeds, or None to go on with their generators.
        progress: Whether to show a progress bar.

    Yields:
        A `Step` after every step.

    Raises:
        TypeError: If a count is not a whole number, or if `envs` are not vector environments.
        ValueError: If a count is out of range, if the first update would find fewer transitions than one batch, if the numbers
            of runs, the observations or the devices differ, or if the environments reset themselves or hand out one array
            again and again.
        EnvironmentFailed: If an observation or a reward is not finite; the message names environment and step.

    Errors appear at the first `next`.

    Source: Mnih et al. (2015), algorithm 1; Haarnoja et al. (2018b), algorithm 1.
    """
    counts = {"steps": steps, "learning_starts": learning_starts, "batch_size": batch_size, "start_step": start_step}
    check_training(envs, agent, buffer, **counts, seed=seed)
    keep_freed_memory()
    stepper, interrupts = Stepper(envs, agent.device, seed), Interrupts()
    with tqdm(total=steps, initial=start_step, disable=not progress, unit="step") as bar:
        for step in range(start_step + 1, steps + 1):
            with interrupts.held_back():
                action = agent.explore(stepper.observation.unsqueeze(1)).squeeze(1)
                buffer.add(*stepper.step(action))
                if step > learning_starts:
                    agent.update(buffer.sample(batch_size, agent.generator))
                if stepper.ended.any():
                    show_return(bar, stepper.last_return)
                bar.update()
            yield Step(step, stepper.ended, stepper.last_return)
            interrupts.deliver()


def evaluate(agent: Player, envs: VectorEnv, *, seed: int = 0, discount: float = 1.0) -> Tensor:
    """Return the returns of whole episodes in which the agent exploits what it knows, float64, shape (R, episodes).

    The episodes are played side by side. Environments of Gymnasium are seeded so that all runs meet the same episodes. In
    environments of a FiniteMDP one generator draws for all; there `sac_tutorial.exact` has the exact values.

    Args:
        agent: An agent with R runs.
        envs: R × episodes environments. Each plays one episode, so each episode must end, if only by a time limit.
        seed: The episodes have the seeds `seed`, `seed` + 1, …
        discount: γ in [0, 1]. Below 1, an episode that is cut off after T steps leaves out up to γ^T r_max/(1 − γ).

    Raises:
        TypeError: If a number is of the wrong type.
        ValueError: If the discount is out of range, if the environments reset themselves, or if their number is not a multiple
            of the agent's runs.
    """
    discount, seed = number("discount", discount, "[0, 1]"), seed_number(seed)
    check_envs(envs)
    if envs.num_envs % agent.runs:
        raise ValueError(
            f"The number of envs must be a multiple of the agent's {agent.runs} runs, one environment for each episode, "
            f"but is {envs.num_envs}."
        )
    episodes = envs.num_envs // agent.runs
    stepper = Stepper(envs, agent.device, [seed + episode for episode in range(episodes)] * agent.runs)
    total, weight, playing = torch.zeros(envs.num_envs, dtype=torch.float64), 1.0, torch.ones(envs.num_envs).bool()
    while playing.any():
        action = agent.exploit(stepper.observation.view(agent.runs, episodes, *stepper.observation.shape[1:]))
        stepper.step(action.flatten(0, 1))
        total += torch.where(playing, weight * stepper.reward, 0.0)
        weight *= discount
        playing &= ~stepper.ended  # every environment steps on until all have ended; its rewards no longer count
    return total.view(agent.runs, episodes)
