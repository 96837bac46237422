"""How training is compared: this package's runs in one process with one run in each process of a peer.

Everyone does the same work: the numbers of parameters and of updates are checked before anything is measured. Importing,
compiling and the first steps are not measured. The rates of a peer's processes, which train at the same time, are added up.
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
from sac_tutorial.deep.off_policy import Agent, train
from sac_tutorial.deep.replay_buffer import ReplayBuffer
from sac_tutorial.deep.train_state import TrainState

PEERS = {"Stable-Baselines3": "stable_baselines3", "SBX": "sbx"}
CORES = 2


def missing() -> list[str]:
    """Return the names of the peers that are not installed."""
    return [name for name, module in PEERS.items() if not importlib.util.find_spec(module)]


class Contestant(Protocol):
    """Something that trains one or several runs."""

    parameters: int
    """The number of parameters that one run learns."""

    @property
    def updates(self) -> int:
        """The number of gradient steps of each run so far."""

    def train(self, steps: int) -> None:
        """Take this number of steps in every run."""


@dataclass(frozen=True)
class Task:
    """What every contestant does. A task is sent to a peer's processes, so it holds module-level functions and numbers only.

    Args:
        ours: Makes this package's contestant from a number of runs and a device.
        peer: Makes a peer's contestant from its name and a seed.
        parameters: The number of parameters that one run learns.
        learning_starts: The number of steps before the first update.
        unmeasured: The number of steps with updates before the first round.
        steps: The number of steps in each round, by the number of runs.
    """

    ours: Callable[[int, str], Contestant]
    peer: Callable[[str, int], Contestant]
    parameters: int
    learning_starts: int
    unmeasured: int
    steps: Mapping[int, int]

    def prepare(self, name: str, contestant: Contestant) -> None:
        """Take the steps that are not measured.

        Raises:
            AssertionError: If the contestant learns another number of parameters, or not once from every step.
        """
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
    """A row of the table: this package with all runs in this process."""

    runs: int
    threads: int
    device: str = "cpu"

    def __str__(self) -> str:
        """Name the row."""
        where = "GPU" if self.device == "cuda" else f"{self.threads} thread{'s' * (self.threads > 1)}"
        return f"this package, {self.runs} run{'s' * (self.runs > 1)}, {where}"


@dataclass(frozen=True)
class Theirs:
    """A row of the table: a peer with one run in each of its processes."""

    peer: str
    runs: int
    threads: int = 1

    def __str__(self) -> str:
        """Name the row."""
        threads = f", {self.threads} threads" if self.threads > 1 else ""
        return f"{self.peer}, {self.runs} process{'es' * (self.runs > 1)}{threads}"


def compare(task: Task, title: str, ours: Sequence[Ours], theirs: Sequence[Theirs]) -> Iterator[str]:
    """Yield the lines of a table: the steps of all runs together in a second, and their ratio to each peer's."""
    usual = torch.get_num_threads()
    with ExitStack() as stack:
        contestants = {str(row): stack.enter_context(processes(task, row)) for row in theirs}
        rates = in_turns(contestants | {str(row): ready(task, row) for row in ours}, repetitions=7)
    torch.set_num_threads(usual)
    yield title
    yield f"  {'':38}{'run-steps a second':>20}{'us a step':>12}" + "".join(f"{f'to {row.peer}':>22}" for row in theirs)
    rows: list[Ours | Theirs] = [*theirs, *ours]
    for row in rows:
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
    """Start a peer's processes; yield a function that lets them train at the same time and returns the sum of their rates."""
    start = multiprocessing.get_context("spawn")  # a forked process would lack the threads that this one has started
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
            there.close()  # otherwise a process that fails would not be noticed
            started.append((process, here))
        answers()
        yield rate
    finally:
        for process, connection in started:
            process.terminate()
            process.join()
            connection.close()


def serve(task: Task, row: Theirs, number: int, connection: Connection) -> None:
    """Run in a peer's process: prepare, report it, and then answer each number of steps with the seconds that it took."""
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
    """Runs of this package: an agent and its replay buffer in the one off-policy loop."""

    def __init__(
        self,
        envs: VectorEnv,
        agent: Agent,
        learned: Sequence[TrainState],
        *,
        capacity: int,
        learning_starts: int,
        batch_size: int,
    ) -> None:
        self.agent, self.learned = agent, learned
        buffer = ReplayBuffer(envs, capacity, device=agent.device)
        self.parameters = sum(parameter.numel() for each in learned for parameter in each.parameters) // agent.runs
        counts = {"steps": 10**9, "learning_starts": learning_starts, "batch_size": batch_size}
        self._steps = train(envs, agent, buffer, **counts, progress=False)

    @property
    def updates(self) -> int:
        """The number of gradient steps of each run so far."""
        return min(each.updates for each in self.learned)

    def train(self, steps: int) -> None:
        """Take this number of steps in every run."""
        deque(islice(self._steps, steps), maxlen=0)
        if self.agent.device.type == "cuda":
            torch.cuda.synchronize()


class Peer:
    """One run of a peer.

    Args:
        model: An off-policy algorithm of Stable-Baselines3 or SBX.
        learned: The modules of PyTorch or the trees of JAX's arrays that it learns.
    """

    def __init__(self, model: Any, learned: Sequence[Any]) -> None:
        self.model = model
        self.parameters = sum(_numbers(part) for part in learned)

    @property
    def updates(self) -> int:
        """The number of gradient steps so far."""
        return int(self.model._n_updates)

    def train(self, steps: int) -> None:
        """Take this number of steps more, without logging."""
        self.model.learn(steps, log_interval=10**9, reset_num_timesteps=False)


def algorithm(peer: str, name: str) -> Any:
    """Return an algorithm of a peer."""
    return getattr(importlib.import_module(PEERS[peer]), name)


def parameters_of(*widths: int) -> int:
    """Return the number of parameters of a multilayer perceptron with these widths, input and output included."""
    return sum((n + 1) * m for n, m in pairwise(widths))


def _numbers(part: Any) -> int:
    if isinstance(part, torch.nn.Module):
        return sum(parameter.numel() for parameter in part.parameters())
    from jax.tree_util import tree_leaves

    return sum(leaf.size for leaf in tree_leaves(part))
