"""The one off-policy loop: act, store, update; and the evaluation of what was learnt.

An agent here is whatever can `explore` and `update`, and for an evaluation `exploit`. The loop does not know which it trains.

May import: `replay`, `vector_env`, `_borders`. Environments come from `vector_env`, agents from their own files.
"""

import signal
import threading
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import NamedTuple, Protocol

import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from sac_tutorial.deep.replay_buffer import Batch, ReplayBuffer
from sac_tutorial.validation import number_in, positive_integer, whole_number
from sac_tutorial.worlds.vector_env import observation_shape, within_bounds


class Player(Protocol):
    """What `evaluate` needs of R runs; observations (R, B, *observation), actions (R, B) or (R, B, *action)."""

    runs: int
    device: torch.device

    def exploit(self, observation: Tensor) -> Tensor:
        """Return the best actions that are known."""


class Agent(Player, Protocol):
    """What the loop needs besides."""

    generator: torch.Generator

    def explore(self, observation: Tensor) -> Tensor:
        """Return actions to learn from."""

    def update(self, batch: Batch) -> Tensor:
        """Learn from one batch a run; return the losses, shape (R,)."""


class Step(NamedTuple):
    """What one step of the loop leaves to look at."""

    number: int
    """How many steps there have been in each run, counted from 1, or on from those that were done before."""
    ended: NDArray[np.bool_]
    """Which runs' episodes ended with this step, terminated or cut off; shape (R,)."""
    last_return: NDArray[np.float64]
    """The undiscounted return of each run's latest finished episode, NaN before the first; shape (R,), a copy."""


class EnvironmentFailed(RuntimeError):
    """An environment returned what is no number."""


def train(
    envs: VectorEnv,
    agent: Agent,
    replay: ReplayBuffer,
    *,
    steps: int,
    learning_starts: int,
    batch_size: int,
    done: int = 0,
    seed: int | list[int] | None = 0,
    progress: bool = True,
) -> Iterator[Step]:
    """Train an agent: in each step every run acts once, stores what happened, and learns once from its own batch.

    Everything lives in `agent` and `replay`. Who stops iterating, or presses Ctrl-C, loses nothing, and can call again
    with the same objects to go on (with new episodes). Ctrl-C waits until the step is taken and yielded, so that nothing is
    left half done; pressed twice within a step, it waits no longer. `checkpoint` keeps a training in a file.

    Args:
        envs: one environment a run, with automatic resets off; `make_envs` makes such.
        agent: with as many runs.
        replay: with as many runs.
        steps: steps to take in each run, ≥ 1, those done before included.
        learning_starts: steps before the first update, ≥ 0; with `learning_starts` ≥ `steps`, the replay is filled and nothing learnt.
        batch_size: transitions of each run in one update, ≥ 1.
        done: how many of the steps have been taken before, ≥ 0; those of the warm-up are among them.
        seed: of the environments (run r gets `seed` + r), or a list of them; None to go on with their present generators.
        progress: whether to show a bar.

    Yields:
        A `Step` after every step.

    Raises (at the first `next`):
        TypeError: for numbers that are none.
        ValueError: for numbers out of range, a warm-up that leaves fewer transitions than one batch, another number of runs
            in agent or replay than there are environments, observations of another shape than the replay's, another device,
            or environments that reset themselves or hand out one array again and again.
        EnvironmentFailed: if an observation or a reward is not finite. The message names run and step; what is not finite is
            neither stored nor learnt from.

    Source: Mnih et al. (2015), algorithm 1; Haarnoja et al. (2018), algorithm 1.
    """
    _check(envs, agent, replay, steps=steps, batch_size=batch_size, learning_starts=learning_starts, done=done)
    if not isinstance(seed, list | None):
        whole_number("seed", seed)
    observation, _ = envs.reset(seed=seed)  # type: ignore[arg-type]  # lists are allowed, as SyncVectorEnv says
    check_finite("The first observation", observation)
    so_far, last_return = np.zeros(agent.runs), np.full(agent.runs, np.nan)
    whole = _WholeSteps()
    with tqdm(total=steps, initial=done, disable=not progress, unit="step") as bar:
        for number in range(done + 1, steps + 1):
            with whole:
                action = agent.explore(_tensor(observation, agent).unsqueeze(1)).squeeze(1).cpu().numpy()
                next_observation, reward, terminated, truncated, _ = envs.step(action)
                check_finite(f"The observation after step {number}", next_observation)
                check_finite(f"The reward of step {number}", reward)
                replay.add(observation, action, reward, next_observation, terminated)
                if number > learning_starts:
                    agent.update(replay.sample(batch_size, agent.generator))

                so_far += reward
                observation, ended = next_observation, terminated | truncated
                if ended.any():
                    last_return[ended], so_far[ended] = so_far[ended], 0.0
                    observation, _ = envs.reset(options={"reset_mask": ended})
                    check_finite(f"The first observation of a new episode, after step {number},", observation)
                    bar.set_postfix(last_return=f"{np.nanmean(last_return):.4g}", refresh=False)
                bar.update()
            yield Step(number, ended, last_return.copy())
            if whole.interrupted:
                raise KeyboardInterrupt


class _WholeSteps:
    """While a step is taken, Ctrl-C is only noted; a second one interrupts at once, for a step that doesn't end.

    Python hands signals to its main thread alone, and who has a handler of their own keeps it.
    """

    interrupted = False

    def __enter__(self) -> None:
        self._here = (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        )
        if self._here:
            signal.signal(signal.SIGINT, self._note)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._here:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.interrupted:
            signal.default_int_handler(number, frame)
        self.interrupted = True


def evaluate(agent: Player, envs: VectorEnv, *, seed: int = 0, discount: float = 1.0) -> NDArray[np.float64]:
    """Return the returns of whole episodes in which the agent exploits what it knows, shape (R, episodes).

    They are played side by side. Environments of Gymnasium are seeded so that all runs meet the same episodes; those of a
    FiniteMDP, of which one generator draws for all, are not (its exact values are in `dynamic_programming`).

    Args:
        agent: with R runs.
        envs: R × episodes environments; every one plays one episode. Its end must come: by a time limit, if by nothing else.
        seed: of the episodes, which are seeded `seed`, `seed + 1`, …
        discount: γ in [0, 1]. Below 1, an episode that is cut off after T steps leaves out up to γ^T r_max/(1 − γ).

    Raises:
        TypeError, ValueError: for a discount out of range, environments that reset themselves, or a number of them that is
            no multiple of the agent's runs.
    """
    number_in("discount", discount, 0, 1)
    whole_number("seed", seed)
    check_envs(envs)
    if envs.num_envs % agent.runs:
        raise ValueError(
            f"envs must be a multiple of the agent's {agent.runs} runs, one for each episode of each, but are {envs.num_envs}."
        )
    episodes = envs.num_envs // agent.runs
    seeds = [seed + episode for _ in range(agent.runs) for episode in range(episodes)]
    observation, _ = envs.reset(seed=seeds)  # type: ignore[arg-type]  # SyncVectorEnv takes lists, and says so
    total, weight, playing, number = np.zeros(envs.num_envs), 1.0, np.ones(envs.num_envs, dtype=np.bool_), 0
    while playing.any():
        number += 1
        action = agent.exploit(_tensor(observation, agent).view(agent.runs, episodes, *observation.shape[1:]))
        observation, reward, terminated, truncated, _ = envs.step(
            within_bounds(envs, action.flatten(0, 1).cpu().numpy())
        )
        check_finite(f"The observation after step {number}", observation)
        check_finite(f"The reward of step {number}", reward)
        total += np.where(playing, weight * reward, 0.0)
        weight *= discount
        ended = terminated | truncated
        playing &= ~ended
        if ended.any():  # who is ready steps on until all are: what it earns then doesn't count
            observation, _ = envs.reset(options={"reset_mask": ended})
    return total.reshape(agent.runs, episodes)


def _tensor(observation: NDArray[np.float32], agent: Player) -> Tensor:
    return torch.as_tensor(observation, dtype=torch.float32, device=agent.device)


def _check(
    envs: VectorEnv, agent: Agent, replay: ReplayBuffer, *, steps: int, batch_size: int, learning_starts: int, done: int
) -> None:
    check_envs(envs)
    if whole_number("done", done) > positive_integer("steps", steps):
        raise ValueError(f"done must be at most the {steps} steps that there are to take, but is {done}.")
    if not envs.num_envs == agent.runs == replay.runs:
        raise ValueError(
            f"Each run needs its own environment and its own part of the replay, but there are {envs.num_envs} environments, "
            f"an agent of {agent.runs} runs and a replay of {replay.runs}."
        )
    if observation_shape(envs) != replay.observation_shape:
        raise ValueError(
            f"The replay holds observations of shape {replay.observation_shape}, but these have {observation_shape(envs)}."
        )
    if agent.device.type != replay.device.type:
        raise ValueError(f"Agent and replay must be on one device, but are on {agent.device} and {replay.device}.")
    positive_integer("batch_size", batch_size)
    whole_number("learning_starts", learning_starts)
    stored = min(len(replay) + max(learning_starts - done, 0) + 1, replay.capacity)
    if stored < batch_size:
        raise ValueError(
            f"The first update would find {stored} transitions of each run, fewer than a batch of {batch_size}: "
            f"choose a longer learning_starts (it is {learning_starts}), a larger replay (it holds {replay.capacity}) or a smaller batch."
        )


def check_envs(envs: VectorEnv) -> None:
    """Refuse environments that reset themselves, or hand out one array again and again."""
    if envs.metadata.get("autoreset_mode") is not AutoresetMode.DISABLED:
        raise ValueError(
            "envs must not reset themselves, since the last observation of an episode would be lost: "
            "make them with make_envs, or with autoreset_mode=AutoresetMode.DISABLED."
        )
    if not getattr(envs, "copy", True):
        raise ValueError("envs must hand out new arrays: with copy=False, an observation changes with the next step.")


def check_finite(what: str, values: NDArray[np.float32] | NDArray[np.float64], of: str = "run") -> None:
    """Raise an EnvironmentFailed that names the run (or what else `of` says) whose values are not finite."""
    finite = np.isfinite(values)
    if not finite.all():
        number = int(finite.reshape(len(values), -1).all(1).argmin())
        raise EnvironmentFailed(
            f"{what} of {of} {number} is {values[number].tolist()}, which is not finite. It was neither stored nor learnt from."
        )
