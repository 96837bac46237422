"""Soft actor-critic: compared with Stable-Baselines3 and SBX at two sizes, and with its own matrix products; cost by size.

All have the same networks, batch, replay buffer, discount, learning rates, Adam and τ, and learn once from every step. The
temperature is fixed. To learn it takes every contestant a few operations on one number.
"""

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.contestants import (
    CORES,
    PEERS,
    Ours,
    Peer,
    Runs,
    Task,
    Theirs,
    algorithm,
    compare,
    parameters_of,
    processes,
)
from benchmarks.timing import in_turns, interleaved
from sac_tutorial.agents.sac import SAC, SACSettings
from sac_tutorial.deep.memory import keep_freed_memory
from sac_tutorial.deep.replay_buffer import Batch
from sac_tutorial.worlds.vector_env import make_envs

DISCOUNT, LEARNING_RATE, TAU, TEMPERATURE = 0.99, 1e-3, 0.005, 0.2
CAPACITY = 20_000


@dataclass(frozen=True)
class Size:
    """An environment, the lengths of its observations and actions, the hidden layers of all networks, and a batch."""

    environment: str
    observation: int
    action: int
    hidden: tuple[int, ...]
    batch: int

    def __str__(self) -> str:
        """Return the title of a table at this size."""
        widths = " x ".join(map(str, self.hidden))
        return f"SAC on {self.environment}, {widths} hidden, batch {self.batch}, one update a step, {CORES} cores"

    @property
    def actor(self) -> tuple[int, ...]:
        """The widths of the actor's layers, input and output included."""
        return (self.observation, *self.hidden, 2 * self.action)

    @property
    def critic(self) -> tuple[int, ...]:
        """The widths of the layers of one critic, input and output included."""
        return (self.observation + self.action, *self.hidden, 1)

    def task(self, *, unmeasured: int, steps: dict[int, int]) -> Task:
        """Return the task of this size."""
        return Task(
            ours=partial(runs, self),
            peer=partial(peer, self),
            parameters=parameters_of(*self.actor) + 2 * parameters_of(*self.critic),
            learning_starts=self.batch,
            unmeasured=unmeasured,
            steps=steps,
        )


COURSE = Size("Pendulum-v1", 3, 1, (64, 64), 128)
PAPER = Size("HalfCheetah-v5", 17, 6, (256, 256), 256)


PARAMETERS = parameters_of(*COURSE.actor) + 2 * parameters_of(*COURSE.critic)


def missing() -> list[str]:
    """Return the name of the simulator that the paper's size needs if it is not installed."""
    return [] if importlib.util.find_spec("mujoco") else ["MuJoCo"]


def runs(size: Size, number: int, device: str = "cpu") -> Runs:
    """Return this package's contestant."""
    envs = make_envs(size.environment, number)
    agent = SAC(envs, settings(size), device=device)
    learned = [agent.actor, agent.critic]
    return Runs(envs, agent, learned, capacity=CAPACITY, learning_starts=size.batch, batch_size=size.batch)


def settings(size: Size) -> SACSettings:
    """Return this package's hyper-parameters, which the peers share."""
    return SACSettings(
        discount=DISCOUNT,
        temperature=TEMPERATURE,
        actor_learning_rate=LEARNING_RATE,
        critic_learning_rate=LEARNING_RATE,
        tau=TAU,
        hidden=size.hidden,
    )


def peer(size: Size, name: str, seed: int) -> Peer:
    """Return one run of a peer."""
    model = algorithm(name, "SAC")(
        "MlpPolicy",
        size.environment,
        learning_rate=LEARNING_RATE,
        buffer_size=CAPACITY,
        learning_starts=size.batch,
        batch_size=size.batch,
        tau=TAU,
        gamma=DISCOUNT,
        train_freq=1,
        gradient_steps=1,
        ent_coef=TEMPERATURE,
        policy_kwargs={"net_arch": list(size.hidden)},
        seed=seed,
        device="cpu",
    )
    policy = model.policy
    learned = [policy.actor_state.params, policy.qf_state.params] if name == "SBX" else [policy.actor, policy.critic]
    return Peer(model, learned)


def course_size() -> Iterator[str]:
    """Yield the comparison of many runs with peers that run once on each core, which is how they are fastest."""
    task = COURSE.task(unmeasured=100, steps={1: 300, 8: 300, 32: 150, 64: 80})
    ours = [*(Ours(number, CORES) for number in task.steps), Ours(8, 1)]
    if torch.cuda.is_available():
        ours += [Ours(number, 1, "cuda") for number in task.steps]
    return compare(task, str(COURSE), ours, [Theirs(name, CORES) for name in PEERS])


def paper_size() -> Iterator[str]:
    """Yield the comparison of single runs that use all cores, and the share of matrix products in our update."""
    task = PAPER.task(unmeasured=50, steps={1: 150})
    yield from compare(task, str(PAPER), [Ours(1, CORES)], [Theirs(name, 1, CORES) for name in PEERS])
    usual = torch.get_num_threads()
    torch.set_num_threads(CORES)
    learn, products = update(PAPER, 1), matrix_products(PAPER, 1)
    operations = flops(products)
    if flops(learn) != operations:
        raise AssertionError(f"An update takes {flops(learn):,} operations in matrix products, not {operations:,}.")
    seconds = interleaved({"update": learn, "products": products}, repetitions=200)
    torch.set_num_threads(usual)
    yield (
        f"  An update takes {1e3 * seconds['update']:.2f} ms and its matrix products alone {1e3 * seconds['products']:.2f} ms "
        f"({operations / 1e6:.0f} MFLOP at {operations / seconds['products'] / 1e9:.0f} GFLOP/s): "
        f"{seconds['products'] / seconds['update']:.0%} of it."
    )


def cost_by_size() -> Iterator[str]:
    """Yield the cost of an update for each run, by the number of runs and the width of the networks."""
    keep_freed_memory()  # as the training loop does
    numbers = (1, 4, 16, 64)
    usual = torch.get_num_threads()
    torch.set_num_threads(CORES)
    yield f"The cost of an update of SAC in ms a run, by the width of two hidden layers, batch {COURSE.batch}, {CORES} cores"
    yield f"  {'width':>10}" + "".join(f"{f'{number} run' + 's' * (number > 1):>12}" for number in numbers)
    for width in (32, 64, 128, 256, 512):
        size = Size(COURSE.environment, COURSE.observation, COURSE.action, (width, width), COURSE.batch)
        cells = []
        for number in numbers:
            repetitions = max(3, 4_000 // (number * width) * 10)
            seconds = interleaved({"update": update(size, number)}, repetitions)["update"]
            cells.append(f"{1e3 * seconds / number:12.3f}")
        yield f"  {width:10}" + "".join(cells)
    torch.set_num_threads(usual)


class Updates:
    """A contestant that takes updates on one batch, with `keep_freed_memory` or without it. That holds for a whole process."""

    def __init__(self, number: int, *, kept: bool) -> None:
        if kept:
            keep_freed_memory()
        self.parameters, self.updates, self._update = PARAMETERS, 0, update(COURSE, number)

    def train(self, updates: int) -> None:
        """Take this number of updates in every run."""
        for _ in range(updates):
            self._update()
        self.updates += updates


def updates(name: str, _: int) -> Updates:
    """Return the contestant of a row of `freed_memory`."""
    return Updates(int(name.split()[0]), kept=name.endswith("kept"))


def freed_memory() -> Iterator[str]:
    """Yield what it is worth to keep freed memory, by the number of runs; see `sac_tutorial.deep.memory`."""
    yield f"The worth of keeping freed memory in updates of SAC, batch {COURSE.batch}, 1 thread"
    yield f"  {'':24}{'updates a second':>18}{'ratio':>10}"
    for number in (1, 8, 32):
        task = Task(
            partial(runs, COURSE), updates, PARAMETERS, learning_starts=0, unmeasured=0, steps={1: 400 // number + 20}
        )
        rows = [f"{number} runs, {how}" for how in ("returned", "kept")]
        with ExitStack() as stack:
            rates = in_turns({row: stack.enter_context(processes(task, Theirs(row, 1))) for row in rows}, repetitions=9)
        for row, rate in rates.items():
            yield f"  {row:24}{rate:18.0f}{rate / rates[rows[0]]:9.2f}x"


def update(size: Size, number: int) -> Callable[[], object]:
    """Return a function that takes one update on a batch of noise."""
    agent = SAC(make_envs(size.environment, number), settings(size))
    draw = partial(torch.randn, generator=torch.Generator().manual_seed(0))
    shape = (number, size.batch)
    batch = Batch(
        observation=draw(*shape, size.observation),
        action=draw(*shape, size.action).tanh(),
        reward=draw(shape),
        next_observation=draw(*shape, size.observation),
        terminated=torch.zeros(shape, dtype=torch.bool),
    )
    return partial(agent.update, batch)


def matrix_products(size: Size, number: int) -> Callable[[], None]:
    """Return a function that does the matrix products of one update, and nothing else.

    Forward, the actor runs twice and the critics three times: for the target, for their own loss and for the actor's. Backward,
    each network needs the gradients of its weights once, and the gradients of each layer's input, except where the input is an
    observation or a stored action. The last layer of a critic has one output, so it is a sum and not a matrix product.
    """
    work: list[Callable[[], object]] = []
    for networks, widths, more in ((number, size.actor, 0), (2 * number, size.critic, 1)):
        for layer, (n, m) in enumerate(pairwise(widths)):
            if m == 1:
                continue
            x, weight, bias = (
                torch.rand(networks, size.batch, n),
                torch.rand(networks, n, m),
                torch.rand(networks, 1, m),
            )
            gradient = torch.rand(networks, size.batch, m)
            work += (2 + more) * [partial(torch.baddbmm, bias, x, weight)]
            work += [partial(torch.bmm, x.mT, gradient)]
            work += (more + (layer > 0)) * [partial(torch.bmm, gradient, weight.mT)]

    def products() -> None:
        for product in work:
            product()

    return products


def flops(work: Callable[[], object]) -> int:
    """Return how many additions and multiplications matrix products in this work take."""
    counter = FlopCounterMode(display=False)
    with counter:
        work()
    return counter.get_total_flops()
