"""Who is compared, and how: this package's runs in one process, against one run in each process of a peer.

All do the same work, which is checked before anything is measured: as many parameters, as many updates. Measured is training
alone: libraries are imported, functions compiled and replays begun before. What a peer's processes reach at once is added up.
"""

import importlib.util
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice, pairwise
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any, Protocol

import torch
from gymnasium.vector import VectorEnv

from benchmarks.timing import in_turns, stopwatch
from sac_tutorial.deep.networks import TrainState
from sac_tutorial.deep.off_policy import Agent, train
from sac_tutorial.deep.replay_buffer import ReplayBuffer

PEERS = {"Stable-Baselines3": "stable_baselines3", "SBX": "sbx"}
CORES = 2


def missing() -> list[str]:
    """Return the names of the peers that are not installed."""
    return [name for name, module in PEERS.items() if not importlib.util.find_spec(module)]


class Contestant(Protocol):
    """Somebody who trains."""

    parameters: int
    """That one run learns."""

    @property
    def updates(self) -> int:
        """Gradient steps of each run so far."""

    def train(self, steps: int) -> None:
        """Take as many steps in every run."""


@dataclass(frozen=True)
class Task:
    """What every contestant does. A peer's process gets it too, so that it is made of a module's functions and numbers.

    Args:
        ours: makes this package's contestant of so many runs on a device.
        peer: makes a peer's, by its name and a seed.
        parameters: that one run learns.
        learning_starts: steps without updates.
        unmeasured: steps with updates, before the first round.
        steps: of each round, by the number of runs.
    """

    ours: Callable[[int, str], Contestant]
    peer: Callable[[str, int], Contestant]
    parameters: int
    learning_starts: int
    unmeasured: int
    steps: Mapping[int, int]

    def prepare(self, name: str, contestant: Contestant) -> None:
        """Go past the warm-up; raise unless the contestant learns as much as all others, and once from every step."""
        if contestant.parameters != self.parameters:
            raise AssertionError(f"{name} learns {contestant.parameters} parameters instead of {self.parameters}.")
        contestant.train(self.learning_starts + 20)
        before = contestant.updates
        contestant.train(100)
        if contestant.updates - before != 100:
            raise AssertionError(f"{name} took {contestant.updates - before} gradient steps in 100 steps.")
        contestant.train(self.unmeasured)


@dataclass(frozen=True)
class Ours:
    """This package with all runs in this process: a row of the table."""

    runs: int
    threads: int
    device: str = "cpu"

    def __str__(self) -> str:
        """Name the row."""
        where = "GPU" if self.device == "cuda" else f"{self.threads} thread{'s' * (self.threads > 1)}"
        return f"this package, {self.runs} run{'s' * (self.runs > 1)}, {where}"


@dataclass(frozen=True)
class Theirs:
    """A peer with one run in each of its processes: a row of the table."""

    peer: str
    runs: int
    threads: int = 1

    def __str__(self) -> str:
        """Name the row."""
        threads = f", {self.threads} threads" if self.threads > 1 else ""
        return f"{self.peer}, {self.runs} process{'es' * (self.runs > 1)}{threads}"


def compare(task: Task, title: str, ours: Sequence[Ours], theirs: Sequence[Theirs]) -> Iterator[str]:
    """Yield the lines of a table: how many steps all runs together make in a second, and how that compares."""
    usual = torch.get_num_threads()
    with ExitStack() as stack:
        contestants = {str(row): stack.enter_context(processes(task, row)) for row in theirs}
        rates = in_turns(contestants | {str(row): ready(task, row) for row in ours}, repetitions=7)
    torch.set_num_threads(usual)
    yield title
    yield f"  {'':38}{'run-steps a second':>20}{'us a step':>12}" + "".join(f"{f'to {row.peer}':>22}" for row in theirs)
    for row in (*theirs, *ours):
        rate = rates[str(row)]
        ratios = "".join(f"{rate / rates[str(peer)]:21.2f}x" for peer in theirs)
        yield f"  {row!s:38}{rate:20,.0f}{1e6 * row.runs / rate:12,.0f}{ratios}"


def ready(task: Task, row: Ours) -> Callable[[], float]:
    """Return a function that goes on training and returns this package's run-steps a second."""
    contestant, steps = task.ours(row.runs, row.device), task.steps[row.runs]
    task.prepare(str(row), contestant)

    def rate() -> float:
        torch.set_num_threads(row.threads)
        return row.runs * steps / stopwatch(partial(contestant.train, steps))

    return rate


@contextmanager
def processes(task: Task, row: Theirs) -> Iterator[Callable[[], float]]:
    """Hold a peer's processes ready, as a function that lets all train at once and returns the sum of their steps a second."""
    start = multiprocessing.get_context("spawn")  # a fork would inherit this process's threads, which don't survive it
    started: list[tuple[SpawnProcess, Connection]] = []
    steps = task.steps[1]

    def answers() -> list[float]:
        try:
            return [connection.recv() for _, connection in started]
        except EOFError:
            raise RuntimeError(f"A process of {row.peer} has failed; it says above why.") from None

    def rate() -> float:
        for _, connection in started:
            connection.send(steps)
        return sum(steps / seconds for seconds in answers())

    try:
        for number in range(row.runs):
            here, there = start.Pipe()
            process = start.Process(target=serve, args=(task, row, number, there), daemon=True)
            process.start()
            there.close()  # or the end of a process that fails would not be noticed
            started.append((process, here))
        answers()
        yield rate
    finally:
        for process, connection in started:
            process.terminate()
            process.join()
            connection.close()


def serve(task: Task, row: Theirs, number: int, connection: Connection) -> None:
    """Be a peer's process: get ready, say so, and then answer numbers of steps with the seconds that they took."""
    one = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1" if row.threads == 1 else ""
    os.environ |= {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": one}
    torch.set_num_threads(row.threads)
    if hasattr(os, "sched_setaffinity"):  # on cores of its own, SBX is fastest and steadiest
        cores = sorted(os.sched_getaffinity(0))
        first = number * row.threads
        os.sched_setaffinity(0, {cores[core % len(cores)] for core in range(first, first + row.threads)})
    contestant = task.peer(row.peer, number)
    task.prepare(row.peer, contestant)
    connection.send(0.0)
    while True:
        connection.send(stopwatch(partial(contestant.train, connection.recv())))


class Runs:
    """Runs of this package: an agent and its replay in the one off-policy loop."""

    def __init__(
        self,
        envs: VectorEnv,
        agent: Agent,
        learnables: Sequence[TrainState],
        *,
        capacity: int,
        learning_starts: int,
        batch_size: int,
    ) -> None:
        self.agent, self.learnables = agent, learnables
        self.replay = ReplayBuffer(envs, capacity, device=agent.device)
        learnt = [parameter for learnable in learnables for parameter in learnable.parameters]
        self.parameters = sum(parameter.numel() for parameter in learnt) // agent.runs
        self._steps = train(envs, agent, self.replay, steps=10**9, learning_starts=learning_starts, batch_size=batch_size, progress=False)

    @property
    def updates(self) -> int:
        """Gradient steps of each run so far."""
        return min(learnable.steps for learnable in self.learnables)

    def train(self, steps: int) -> None:
        """Take as many steps in every run."""
        deque(islice(self._steps, steps), maxlen=0)
        if self.agent.device.type == "cuda":
            torch.cuda.synchronize()


class Peer:
    """One run of a peer.

    Args:
        model: an off-policy algorithm of Stable-Baselines3 or SBX.
        learnt: what it learns: modules of PyTorch, or trees of JAX's arrays.
    """

    def __init__(self, model: Any, learnt: Sequence[Any]) -> None:
        self.model = model
        self.parameters = sum(_numbers(part) for part in learnt)

    @property
    def updates(self) -> int:
        """Gradient steps so far."""
        return int(self.model._n_updates)

    def train(self, steps: int) -> None:
        """Go on where the last call stopped; nothing is logged."""
        self.model.learn(steps, log_interval=10**9, reset_num_timesteps=False)


def algorithm(peer: str, name: str) -> Any:
    """Return an algorithm of a peer."""
    return getattr(importlib.import_module(PEERS[peer]), name)


def parameters_of(*widths: int) -> int:
    """Return how many parameters a multilayer perceptron has, from its input to its output."""
    return sum((n + 1) * m for n, m in pairwise(widths))


def _numbers(part: Any) -> int:
    if isinstance(part, torch.nn.Module):
        return sum(parameter.numel() for parameter in part.parameters())
    from jax.tree_util import tree_leaves

    return sum(leaf.size for leaf in tree_leaves(part))
