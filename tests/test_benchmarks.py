"""The comparisons compare equal work. Speed itself is not tested."""

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from time import sleep

import pytest
import torch

from benchmarks import (
    __main__,
    contestants,
    deep_q_learning,
    soft_actor_critic,
    soft_value_iteration,
    tabular_learning,
    value_iteration,
)
from benchmarks.contestants import PEERS, Ours, Task, Theirs
from benchmarks.timing import in_turns, interleaved
from sac_tutorial.equations import soft_value
from sac_tutorial.exact.dynamic_programming import optimal_q
from sac_tutorial.exact.dynamic_programming import soft_value_iteration as soft_value_iteration_of
from sac_tutorial.worlds.mdp import FiniteMDP


def test_contestants_take_turns_and_the_first_round_is_not_measured() -> None:
    calls: list[str] = []
    seconds = interleaved({name: partial(calls.append, name) for name in "ab"}, repetitions=3)
    assert calls == list("abababab")
    assert set(seconds) == {"a", "b"}
    assert all(0 <= each < 1 for each in seconds.values())


def test_the_median_of_what_contestants_return_counts() -> None:
    returned = iter([100.0, 1.0, 9.0, 2.0])
    assert in_turns({"a": lambda: next(returned)}, repetitions=3) == {"a": 2.0}


def test_quantecon_solves_the_same_model() -> None:
    pytest.importorskip("quantecon")
    mdp = value_iteration.random_model(30)
    kept = mdp.probability.clone(), mdp.next_state.clone()
    theirs = value_iteration.quantecon_model(mdp)
    assert torch.equal(mdp.probability, kept[0]) and torch.equal(mdp.next_state, kept[1])
    value = torch.linspace(-5, 5, 30, dtype=torch.float64)
    swept = torch.from_numpy(theirs.bellman_operator(value.numpy()))
    assert torch.allclose(swept, value_iteration.sweep(mdp, value), rtol=1e-12)
    solved = torch.from_numpy(theirs.solve(method="policy_iteration").v)
    assert torch.allclose(solved, optimal_q(mdp).amax(-1), rtol=1e-10)


def test_a_soft_sweep_is_the_one_that_soft_value_iteration_takes() -> None:
    mdp = value_iteration.random_model(30)
    q = torch.randn(30, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    sweep = next(soft_value_iteration_of(mdp, soft_value_iteration.TEMPERATURE, start=q))
    value = soft_value(q, soft_value_iteration.TEMPERATURE)
    assert torch.allclose(
        soft_value_iteration.soft_sweep(mdp, value), soft_value(sweep.q, soft_value_iteration.TEMPERATURE)
    )


def test_all_temperatures_are_solved_at_once_and_singly_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(soft_value_iteration, "TEMPERATURES", 2)
    monkeypatch.setattr(soft_value_iteration, "interleaved", lambda work, repetitions: dict.fromkeys(work, repetitions))
    _, _, *rows = soft_value_iteration.temperatures()
    assert [row.split()[1] for row in rows] == ["policy", "value"]
    monkeypatch.setattr(soft_value_iteration, "soft_optimal_q", lambda *_: torch.rand(1))
    with pytest.raises(AssertionError, match="soft policy iteration gives another answer"):
        list(soft_value_iteration.temperatures())


def test_the_plain_loop_learns_what_the_runs_learn() -> None:
    mdp = FiniteMDP.from_gymnasium("FrozenLake-v1", discount=tabular_learning.DISCOUNT)
    plain = torch.tensor(tabular_learning.plain_loop(40_000), dtype=torch.float64)
    many = tabular_learning.many_runs(mdp, 32, 3_000)
    assert plain.shape == many.shape[1:]
    assert (plain >= 0).all() and (many >= 0).all()
    assert not plain[~mdp.live].any() and not many[:, ~mdp.live].any()
    assert (plain[mdp.live].amax(-1) > 0).all()


TASKS = {
    "DQN": deep_q_learning.TASK,
    "SAC at the course's size": soft_actor_critic.COURSE.task(unmeasured=10, steps={1: 20, 2: 20}),
    "SAC at the paper's size": soft_actor_critic.PAPER.task(unmeasured=10, steps={1: 20}),
}
PARAMETERS = {
    "DQN": (4 + 1) * 64 + (64 + 1) * 64 + (64 + 1) * 2,
    "SAC at the course's size": (3 + 1) * 64
    + (64 + 1) * 64
    + (64 + 1) * 2
    + 2 * ((4 + 1) * 64 + (64 + 1) * 64 + 64 + 1),
    "SAC at the paper's size": (17 + 1) * 256
    + (256 + 1) * 256
    + (256 + 1) * 12
    + 2 * ((23 + 1) * 256 + (256 + 1) * 256 + 256 + 1),
}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", ["this package", *PEERS])
def test_every_contestant_has_the_same_networks_and_learns_once_from_every_step(name: str, task: str) -> None:
    if absent := {name}.intersection(contestants.missing()) or ("paper" in task and soft_actor_critic.missing()):
        pytest.skip(f"{' and '.join(absent)} is not installed")
    contestant = TASKS[task].peer(name, 0) if name in PEERS else TASKS[task].ours(2, "cpu")
    assert contestant.parameters == TASKS[task].parameters == PARAMETERS[task]
    if "paper" in task:
        return  # the same code as at the course's size, and slow
    contestant.train(TASKS[task].learning_starts)
    assert contestant.updates == 0
    contestant.train(30)
    assert contestant.updates == 30


@pytest.mark.parametrize("name", PEERS)
def test_soft_actor_critic_has_the_same_numbers_everywhere(name: str) -> None:
    if name in contestants.missing():
        pytest.skip(f"{name} is not installed")
    theirs = soft_actor_critic.peer(soft_actor_critic.COURSE, name, seed=0).model
    ours = soft_actor_critic.settings(soft_actor_critic.COURSE)
    assert (theirs.gamma, theirs.tau, theirs.learning_rate) == (ours.discount, ours.tau, ours.actor_learning_rate)
    assert theirs.batch_size == soft_actor_critic.COURSE.batch
    assert (theirs.ent_coef_init if name == "SBX" else theirs.ent_coef) == ours.temperature
    assert ours.actor_learning_rate == ours.critic_learning_rate and ours.critics == 2


def test_an_update_of_soft_actor_critic_does_the_matrix_products_that_it_is_compared_with() -> None:
    size = soft_actor_critic.Size("Pendulum-v1", observation=3, action=1, hidden=(7, 11), batch=5)
    products = soft_actor_critic.matrix_products(size, 4)
    actor, critic = (3 * 7, 7 * 11, 11 * 2), (4 * 7, 7 * 11)  # the critic's last layer is a sum
    forward = 2 * sum(actor) + 3 * 2 * sum(critic)
    weights = sum(actor) + 2 * sum(critic)
    entering = sum(actor[1:]) + 2 * (critic[1] + sum(critic))
    assert soft_actor_critic.flops(products) == 2 * 4 * 5 * (forward + weights + entering)
    assert soft_actor_critic.flops(soft_actor_critic.update(size, 4)) == soft_actor_critic.flops(products)


class Idle:
    """A contestant that counts steps and does nothing else."""

    def __init__(self, parameters: int, *, updates_a_step: float) -> None:
        self.parameters, self.updates_a_step, self.taken = parameters, updates_a_step, 0

    @property
    def updates(self) -> int:
        return int(self.updates_a_step * self.taken)

    def train(self, steps: int) -> None:
        self.taken += steps


PAUSE = 0.3


class Slow(Idle):
    """A contestant that takes its time for every call."""

    def train(self, steps: int) -> None:
        super().train(steps)
        sleep(PAUSE)


def slow(*_: object) -> Slow:
    return Slow(13, updates_a_step=1)


def ours(*_: object) -> Idle:
    return Idle(13, updates_a_step=1)


IDLERS = Task(ours=ours, peer=slow, parameters=13, learning_starts=3, unmeasured=5, steps={1: 7, 4: 2})


def test_a_contestant_that_does_less_work_is_refused() -> None:
    with pytest.raises(AssertionError, match="slacker took 50 gradient steps in 100 steps"):
        deep_q_learning.TASK.prepare("slacker", Idle(4610, updates_a_step=0.5))
    with pytest.raises(AssertionError, match="small learns 4000 parameters instead of 4610"):
        deep_q_learning.TASK.prepare("small", Idle(4000, updates_a_step=1))


def test_a_contestant_takes_the_unmeasured_steps_first() -> None:
    contestant = Idle(4610, updates_a_step=1)
    deep_q_learning.TASK.prepare("worker", contestant)
    assert contestant.taken == deep_q_learning.LEARNING_STARTS + 20 + 100 + deep_q_learning.TASK.unmeasured


def test_processes_of_a_peer_train_at_once_and_add_up() -> None:
    with contestants.processes(IDLERS, Theirs("a peer", runs=2)) as rate:
        assert 1.3 * 7 / PAUSE < rate() <= 2 * 7 / PAUSE


def test_a_process_that_fails_is_noticed() -> None:
    with (
        pytest.raises(RuntimeError, match="A process of no such package has failed"),
        contestants.processes(deep_q_learning.TASK, Theirs("no such package", runs=1)),
    ):
        pass


def test_a_table_compares_the_steps_of_all_runs_with_every_peer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    @contextmanager
    def processes(_: Task, row: Theirs) -> Iterator[Callable[[], float]]:
        yield lambda: {"Stable-Baselines3": 250.0, "SBX": 1000.0}[row.peer]

    monkeypatch.setattr(contestants, "processes", processes)
    monkeypatch.setattr(contestants, "stopwatch", lambda work: work() or 0.004)
    threads = torch.get_num_threads()
    rows = [Theirs("Stable-Baselines3", 2), Theirs("SBX", 1, threads=2)]
    title, head, *lines = contestants.compare(IDLERS, "Idlers", [Ours(1, 1), Ours(4, 2)], rows)
    assert title == "Idlers"
    assert head.split()[-4:] == ["to", "Stable-Baselines3", "to", "SBX"]
    assert [" ".join(line.split()) for line in lines] == [
        "Stable-Baselines3, 2 processes 250 8,000 1.00x 0.25x",
        "SBX, 1 process, 2 threads 1,000 1,000 4.00x 1.00x",
        "this package, 1 run, 1 thread 1,750 571 7.00x 1.75x",
        "this package, 4 runs, 2 threads 2,000 2,000 8.00x 2.00x",
    ]
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("absent", [["Stable-Baselines3"], ["QuantEcon", "SBX"], ["QuantEcon", "SBX", "MuJoCo"]])
def test_without_a_peer_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch, absent: list[str]) -> None:
    monkeypatch.setattr(value_iteration, "missing", lambda: absent[:1])
    monkeypatch.setattr(contestants, "missing", lambda: absent[1:2])
    monkeypatch.setattr(soft_actor_critic, "missing", lambda: absent[2:])
    with pytest.raises(SystemExit, match=rf"need {' and '.join(absent)}, which (is|are) not installed here.*\[bench\]"):
        __main__.main()


@pytest.mark.parametrize("module", ["stable_baselines3", "sbx", "mujoco"])
def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == module else object())
    named = {"stable_baselines3": "Stable-Baselines3", "sbx": "SBX", "mujoco": "MuJoCo"}[module]
    assert [*contestants.missing(), *soft_actor_critic.missing()] == [named]


def test_all_ratios_stand_together_at_the_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in (value_iteration, contestants, soft_actor_critic):
        monkeypatch.setattr(module, "missing", list)
    compared = ["Race", "  runner  speed", "  hare  2  1.00x", "  snail  1  0.50x", "  a remark"]
    monkeypatch.setattr(
        __main__, "COMPARISONS", (lambda: iter(compared), lambda: iter(["Cost", "  width  ms", "  8  1.00"]))
    )
    __main__.main()
    live, _, table = capsys.readouterr().out.partition("All ratios:\n")
    assert all(line in live for line in [*compared, "  8  1.00"])
    assert table.split("\n") == ["", *compared[:-1], ""]
