"""The comparisons compare like with like. How fast they are is no test."""

from functools import partial

import pytest
import torch

from benchmarks import __main__, tabular_learning, value_iteration
from benchmarks.timing import interleaved
from sac_tutorial.dynamic_programming import optimal_q
from sac_tutorial.mdp import FiniteMDP


def test_contestants_take_turns_and_the_first_round_is_not_measured() -> None:
    calls: list[str] = []
    seconds = interleaved({name: partial(calls.append, name) for name in "ab"}, repetitions=3)
    assert calls == list("abababab")
    assert set(seconds) == {"a", "b"}
    assert all(0 <= each < 1 for each in seconds.values())


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


def test_the_plain_loop_learns_what_the_runs_learn() -> None:
    mdp = FiniteMDP.from_gymnasium("FrozenLake-v1", discount=tabular_learning.DISCOUNT)
    plain = torch.tensor(tabular_learning.plain_loop(40_000), dtype=torch.float64)
    many = tabular_learning.many_runs(mdp, 32, 3_000)
    assert plain.shape == many.shape[1:]
    assert (plain >= 0).all() and (many >= 0).all()
    assert not plain[~mdp.live].any() and not many[:, ~mdp.live].any()
    assert (plain[mdp.live].amax(-1) > 0).all()


def test_without_quantecon_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(value_iteration, "missing", lambda: True)
    with pytest.raises(SystemExit, match=r"QuantEcon, which is not installed here.*\[bench\]"):
        __main__.main()
