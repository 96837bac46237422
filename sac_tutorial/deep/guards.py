"""What keeps a training loop safe: preconditions, finite numbers, and Ctrl-C that waits for the end of a step.

The loops call each of these in one line.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from gymnasium.vector import AutoresetMode, VectorEnv
from torch import Tensor

from sac_tutorial.deep.replay_buffer import ReplayBuffer
from sac_tutorial.validation import seed_number, whole_number
from sac_tutorial.worlds.spaces import observation_shape

if TYPE_CHECKING:
    from sac_tutorial.deep.off_policy import Agent


class EnvironmentFailed(RuntimeError):
    """An environment returned a number that is not finite."""


def check_finite(what: str, values: Tensor) -> None:
    """Check the numbers that came out of the environments, shape (E, ...).

    Raises:
        EnvironmentFailed: If a number is not finite; the message names the environment.
    """
    finite = values.isfinite()
    if not finite.all():
        place = int((~finite).nonzero()[0, 0])
        raise EnvironmentFailed(
            f"{what} of environment {place} is {values[place].tolist()}, which is not finite. "
            "It was neither stored nor learnt from."
        )


def check_envs(envs: VectorEnv) -> None:
    """Check that a loop can step these environments.

    Raises:
        TypeError: If they are not vector environments.
        ValueError: If they reset themselves, or if they hand out one array again and again.
    """
    if not isinstance(envs, VectorEnv):
        raise TypeError(f"envs must be a vector environment, as make_envs(id, runs) makes it, but is {envs!r}.")
    if envs.metadata.get("autoreset_mode") is not AutoresetMode.DISABLED:
        raise ValueError(
            "envs must not reset themselves, because the last observation of an episode would be lost. "
            "Make them with make_envs, or with autoreset_mode=AutoresetMode.DISABLED."
        )
    if not getattr(envs, "copy", True):
        raise ValueError("envs must hand out new arrays. With copy=False, an observation changes with the next step.")


def environment_seed(seed: object, envs: VectorEnv) -> int | list[int] | None:
    """Return the seed of environments: a whole number, a list with one for each environment, or None.

    Raises:
        TypeError: If a seed is not a whole number.
        ValueError: If a seed is negative, or if the list has another length.
    """
    if not isinstance(seed, list):
        return None if seed is None else seed_number(seed)
    if len(seed) != envs.num_envs:
        raise ValueError(f"seed must have one entry for each of the {envs.num_envs} environments, but has {len(seed)}.")
    return [seed_number(each, "every entry of seed") for each in seed]


def check_training(
    envs: VectorEnv,
    agent: "Agent",
    buffer: ReplayBuffer,
    *,
    steps: int,
    learning_starts: int,
    batch_size: int,
    start_step: int,
    seed: object,
) -> None:
    """Check everything that `train` needs; its docstring lists the errors."""
    check_envs(envs)
    environment_seed(seed, envs)
    whole_number("steps", steps)
    whole_number("learning_starts", learning_starts, "[0, inf)")
    whole_number("batch_size", batch_size)
    if whole_number("start_step", start_step, "[0, inf)") > steps:
        raise ValueError(f"start_step must be at most steps, which is {steps}, but is {start_step}.")
    if not envs.num_envs == agent.runs == buffer.runs:
        raise ValueError(
            f"Each run needs one environment and its own part of the replay buffer, but there are {envs.num_envs} "
            f"environments, an agent with {agent.runs} runs and a replay buffer with {buffer.runs} runs."
        )
    if observation_shape(envs) != buffer.observation_shape:
        raise ValueError(
            f"The replay buffer holds observations of shape {buffer.observation_shape}, but the environments have "
            f"{observation_shape(envs)}."
        )
    if agent.device.type != buffer.device.type:
        raise ValueError(f"Agent and buffer must be on one device, but are on {agent.device} and {buffer.device}.")
    if max(learning_starts, start_step) >= steps:  # nothing will be learnt
        return
    stored = min(len(buffer) + max(learning_starts - start_step, 0) + 1, buffer.capacity)
    if stored < batch_size:
        raise ValueError(
            f"The first update would find {stored} transitions of each run, fewer than a batch of {batch_size}. Choose a "
            f"larger learning_starts (it is {learning_starts}), a larger buffer (it holds {buffer.capacity}), or smaller "
            "batches."
        )


class Interrupts:
    """Holds Ctrl-C back while a step is taken, so that no step is left half done. A second Ctrl-C interrupts at once.

    Python delivers signals to its main thread alone. A handler of the caller's own is left in place.
    """

    def __init__(self) -> None:
        self.pressed = False

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """Run the body of one step; Ctrl-C is only noted."""
        ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if not ours or threading.current_thread() is not threading.main_thread():
            yield
            return
        signal.signal(signal.SIGINT, self._note)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def deliver(self) -> None:
        """Raise a KeyboardInterrupt if Ctrl-C was pressed during a step."""
        if self.pressed:
            raise KeyboardInterrupt

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.pressed:
            signal.default_int_handler(number, frame)
        self.pressed = True
