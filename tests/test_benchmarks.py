"""The comparisons compare like with like. How fast they are is no test."""

from functools import partial

import pytest
import torch

from benchmarks import __main__, deep_q_learning, soft_value_iteration, tabular_learning, value_iteration
from benchmarks.timing import in_turns, interleaved
from sac_tutorial.dynamic_programming import optimal_q
from sac_tutorial.dynamic_programming import soft_value_iteration as soft_value_iteration_of
from sac_tutorial.equations import soft_value
from sac_tutorial.mdp import FiniteMDP


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
    monkeypatch.setattr(soft_value_iteration, "TEMPERATURES", 3)
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


@pytest.mark.parametrize("name", ["this package", *deep_q_learning.PEERS])
def test_every_contestant_has_the_same_network_and_learns_once_from_every_step(name: str) -> None:
    if name in deep_q_learning.missing():
        pytest.skip(f"{name} is not installed")
    contestant = deep_q_learning.Peer(name, seed=0) if name in deep_q_learning.PEERS else deep_q_learning.Ours(2)
    assert contestant.parameters == (4 + 1) * 64 + (64 + 1) * 64 + (64 + 1) * 2
    contestant.train(deep_q_learning.WARMUP)
    assert contestant.updates == 0
    contestant.train(30)
    assert contestant.updates == 30


class Slacker:
    """Learns from every second step only."""

    parameters = 4610
    taken = 0

    @property
    def updates(self) -> int:
        return self.taken // 2

    def train(self, steps: int) -> None:
        self.taken += steps


def test_who_does_less_work_is_not_compared() -> None:
    with pytest.raises(AssertionError, match="slacker took 50 gradient steps in 100 steps"):
        deep_q_learning.check("slacker", Slacker())
    small = Slacker()
    small.parameters = 4000
    with pytest.raises(AssertionError, match="small learns 4000 parameters instead of 4610"):
        deep_q_learning.check("small", small)


def test_processes_of_a_peer_train_at_once_and_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "Stable-Baselines3"
    if name in deep_q_learning.missing():
        pytest.skip(f"{name} is not installed")
    monkeypatch.setitem(deep_q_learning.STEPS, 1, 50)
    with deep_q_learning.processes(name, unmeasured=10) as rate:
        assert rate() > 0


def test_a_process_that_fails_is_noticed() -> None:
    with (
        pytest.raises(RuntimeError, match="A process of no such package has failed"),
        deep_q_learning.processes("no such package"),
    ):
        pass


@pytest.mark.parametrize("absent", [["Stable-Baselines3"], ["QuantEcon", "SBX"]])
def test_without_a_peer_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch, absent: list[str]) -> None:
    monkeypatch.setattr(value_iteration, "missing", lambda: absent[:1])
    monkeypatch.setattr(deep_q_learning, "missing", lambda: absent[1:])
    with pytest.raises(SystemExit, match=rf"with {' and '.join(absent)}, which (is|are) not installed here.*\[bench\]"):
        __main__.main()
