"""DQN on CartPole-v1: many runs in one process, against one run a process of Stable-Baselines3 and of SBX.

All have the same network, batch, replay, exploration, Huber loss, Adam and target period, and learn once from every step.
Measured is training alone: libraries are imported, functions compiled and replays begun before. The peers get a process for
every core and one thread in each, which is how they are fastest; what their processes reach at once is added up.
"""

import importlib.util
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import islice
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any, Protocol

import torch

from benchmarks.timing import in_turns, stopwatch
from sac_tutorial.dqn import DQN, DQNSettings
from sac_tutorial.equations import huber_loss
from sac_tutorial.networks import MLP
from sac_tutorial.replay import Replay
from sac_tutorial.training import train
from sac_tutorial.vector_env import make_envs

ENVIRONMENT, HIDDEN = "CartPole-v1", (64, 64)
DISCOUNT, LEARNING_RATE, EPSILON = 0.99, 1e-3, 0.05
BATCH, CAPACITY, TARGET_PERIOD = 64, 10_000, 250
WARMUP, UNMEASURED = 200, 300  # steps without updates, and then with updates, before the first round
STEPS = {1: 1_000, 8: 1_000, 32: 400, 64: 200}  # of each round, by runs
PEERS = {"Stable-Baselines3": "stable_baselines3", "SBX": "sbx"}
CORES = 2


def missing() -> list[str]:
    """Return the names of the peers that are not installed."""
    return [name for name, module in PEERS.items() if not importlib.util.find_spec(module)]


class Contestant(Protocol):
    """Somebody who trains."""

    parameters: int
    """Of the online network of one run."""

    @property
    def updates(self) -> int:
        """Gradient steps of each run so far."""

    def train(self, steps: int) -> None:
        """Take as many steps in every run."""


class Ours:
    """This package: all runs in this process."""

    def __init__(self, runs: int, *, device: str = "cpu", seed: int = 0) -> None:
        envs = make_envs(ENVIRONMENT, runs)
        settings = DQNSettings(
            discount=DISCOUNT, learning_rate=LEARNING_RATE, epsilon=EPSILON, target_period=TARGET_PERIOD
        )
        network = MLP(4, HIDDEN, 2)
        self.agent = DQN(envs, settings, network=network, loss=huber_loss, seed=seed, device=device)
        self.parameters = sum(parameter[0].numel() for parameter in self.agent.online.parameters)
        replay = Replay(envs, CAPACITY, device=device)
        self._steps = train(
            envs, self.agent, replay, steps=10**9, warmup=WARMUP, batch_size=BATCH, seed=seed, progress=False
        )

    @property
    def updates(self) -> int:
        """Gradient steps of each run so far."""
        return self.agent.updates

    def train(self, steps: int) -> None:
        """Take as many steps in every run."""
        deque(islice(self._steps, steps), maxlen=0)
        if self.agent.device.type == "cuda":
            torch.cuda.synchronize()


class Peer:
    """One run of Stable-Baselines3 or SBX."""

    def __init__(self, name: str, seed: int) -> None:
        self.model: Any = importlib.import_module(PEERS[name]).DQN(
            "MlpPolicy",
            ENVIRONMENT,
            learning_rate=LEARNING_RATE,
            buffer_size=CAPACITY,
            learning_starts=WARMUP,
            batch_size=BATCH,
            gamma=DISCOUNT,
            train_freq=1,
            gradient_steps=1,
            target_update_interval=TARGET_PERIOD,
            exploration_initial_eps=EPSILON,
            exploration_final_eps=EPSILON,
            policy_kwargs={"net_arch": list(HIDDEN)},
            seed=seed,
            device="cpu",
        )
        if name == "SBX":
            from jax.tree_util import tree_leaves

            self.parameters = sum(leaf.size for leaf in tree_leaves(self.model.policy.qf_state.params))
        else:
            self.parameters = sum(parameter.numel() for parameter in self.model.q_net.parameters())

    @property
    def updates(self) -> int:
        """Gradient steps so far."""
        return int(self.model._n_updates)

    def train(self, steps: int) -> None:
        """Go on where the last call stopped; nothing is logged."""
        self.model.learn(steps, log_interval=10**9, reset_num_timesteps=False)


def check(name: str, contestant: Contestant) -> None:
    """Raise unless the contestant has the network of the others and learns once from every step after the warm-up."""
    inputs, outputs = (4, *HIDDEN), (*HIDDEN, 2)
    parameters = sum((n + 1) * m for n, m in zip(inputs, outputs, strict=True))
    if contestant.parameters != parameters:
        raise AssertionError(f"{name} learns {contestant.parameters} parameters instead of {parameters}.")
    contestant.train(WARMUP + 20)
    before = contestant.updates
    contestant.train(100)
    if contestant.updates - before != 100:
        raise AssertionError(f"{name} took {contestant.updates - before} gradient steps in 100 steps.")


def serve(name: str, seed: int, unmeasured: int, connection: Connection) -> None:
    """Be a peer's process: get ready, say so, and then answer numbers of steps with the seconds that they took."""
    os.environ |= {
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    }
    torch.set_num_threads(1)
    if hasattr(os, "sched_setaffinity"):  # on a core of its own, SBX is fastest and steadiest
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[seed % len(cores)]})
    peer = Peer(name, seed)
    check(name, peer)
    peer.train(unmeasured)
    connection.send(0.0)
    while True:
        connection.send(stopwatch(partial(peer.train, connection.recv())))


@contextmanager
def processes(name: str, unmeasured: int = UNMEASURED) -> Iterator[Callable[[], float]]:
    """Hold a peer's processes ready, as a function that lets all train at once and returns the sum of their steps a second."""
    start = multiprocessing.get_context("spawn")  # a fork would inherit this process's threads, which don't survive it
    started: list[tuple[SpawnProcess, Connection]] = []

    def answers() -> list[float]:
        try:
            return [connection.recv() for _, connection in started]
        except EOFError:
            raise RuntimeError(f"A process of {name} has failed; it says above why.") from None

    def rate() -> float:
        for _, connection in started:
            connection.send(STEPS[1])
        return sum(STEPS[1] / seconds for seconds in answers())

    try:
        for seed in range(CORES):
            here, there = start.Pipe()
            process = start.Process(target=serve, args=(name, seed, unmeasured, there), daemon=True)
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


def ready(runs: int, threads: int, device: str = "cpu") -> Callable[[], float]:
    """Return a function that goes on training and returns this package's run-steps a second."""
    contestant = Ours(runs, device=device)
    check(f"this package with {runs} runs", contestant)
    contestant.train(UNMEASURED)

    def rate() -> float:
        torch.set_num_threads(threads)
        return runs * STEPS[runs] / stopwatch(partial(contestant.train, STEPS[runs]))

    return rate


def compare() -> Iterator[str]:
    """Yield the lines of the comparison."""
    usual = torch.get_num_threads()
    wanted = [(runs, CORES, "cpu") for runs in STEPS] + [
        (8, threads, "cpu") for threads in sorted({1, usual} - {CORES})
    ]
    if torch.cuda.is_available():
        wanted += [(runs, 1, "cuda") for runs in STEPS]
    with ExitStack() as stack:
        contestants = {f"{name}, {CORES} processes": stack.enter_context(processes(name)) for name in PEERS}
        ours = {title(*each): each for each in wanted}
        rates = in_turns(contestants | {name: ready(*each) for name, each in ours.items()}, repetitions=7)
    torch.set_num_threads(usual)
    yield f"DQN on {ENVIRONMENT}, {' x '.join(map(str, HIDDEN))} hidden, batch {BATCH}, one update a step, {CORES} cores"
    yield f"  {'':36}{'run-steps a second':>20}{'us a step':>12}" + "".join(f"{f'to {name}':>22}" for name in PEERS)
    for name, rate in rates.items():
        together = ours[name][0] if name in ours else CORES
        ratios = "".join(f"{rate / rates[peer]:21.2f}x" for peer in contestants)
        yield f"  {name:36}{rate:20,.0f}{1e6 * together / rate:12,.0f}{ratios}"


def title(runs: int, threads: int, device: str) -> str:
    """Name a contestant of this package in the table."""
    where = "GPU" if device == "cuda" else f"{threads} thread{'s' * (threads > 1)}"
    return f"this package, {runs} run{'s' * (runs > 1)}, {where}"
