"""FiniteMDP: its matrices, its sampler, what it refuses, and the places where a model can come from."""

import copy
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Discrete
from hypothesis import given
from scipy.stats import chi2_contingency, chisquare
from torch import Tensor

from sac_tutorial.worlds.garnet import garnet
from sac_tutorial.worlds.mdp import FiniteMDP, Outcome
from tests.helpers import generator
from tests.oracles import FAST, mdps, random_mdp, three_states


def one_pair(*outcomes: Outcome, states: int = 4, discount: float = 0.9) -> FiniteMDP:
    """An MDP of one action in which state 0 has these outcomes."""
    rest: list[list[list[Outcome]]] = [[[(1.0, state, 0.0, False)]] for state in range(1, states)]
    start = torch.zeros(states, dtype=torch.float64)
    start[0] = 1
    return FiniteMDP.from_outcomes([[list(outcomes)], *rest], start_probability=start, discount=discount)


# Matrices


def test_expected_reward_by_hand() -> None:
    assert three_states().expected_reward.tolist() == [[6, 1], [4, 1], [32, 0]]


def test_matrices_by_hand() -> None:
    mdp = three_states()
    assert mdp.transition_matrix.tolist() == [
        [[0, 0.75, 0.25], [0, 0, 1]],
        [[0.5, 0, 0.5], [0.875, 0.125, 0]],
        [[1, 0, 0], [0.5, 0.25, 0.25]],
    ]
    assert mdp.continuation_matrix.tolist() == [
        [[0, 0.5, 0.25], [0, 0, 1]],
        [[0.5, 0, 0], [0.875, 0.125, 0]],
        [[0, 0, 0], [0.5, 0.25, 0]],
    ]


@FAST
@given(mdp=mdps())
def test_sparse_and_dense_continuation_are_one_matrix(mdp: FiniteMDP) -> None:
    assert torch.allclose(mdp.continuation.to_dense().view(mdp.continuation_matrix.shape), mdp.continuation_matrix)
    assert torch.allclose(mdp.transition_matrix.sum(-1), torch.ones(mdp.states, mdp.actions, dtype=torch.float64))
    assert (mdp.continuation_matrix <= mdp.transition_matrix + 1e-15).all()
    going_on = (mdp.probability * ~mdp.terminated).sum(-1)
    assert torch.allclose(mdp.continuation_matrix.sum(-1), going_on)


def test_labels_default_to_numbers() -> None:
    mdp = random_mdp(0, 3, 2, 4, 0.9)
    assert (mdp.states, mdp.actions, mdp.outcomes) == (3, 2, 4)
    assert mdp.state_labels == ("0", "1", "2")
    assert mdp.action_labels == ("0", "1")


# Live states


def test_live_states_are_those_reached_without_an_end_in_between() -> None:
    mdp = FiniteMDP.from_outcomes(
        [
            [[(0.5, 1, 0.0, False), (0.5, 3, 0.0, True)]],  # 3 is entered by an end only
            [[(1.0, 2, 0.0, False), (0.0, 4, 0.0, False)]],  # 4 with probability 0 only
            [[(1.0, 0, 0.0, False)]],
            [[(1.0, 4, 0.0, False)]],
            [[(1.0, 0, 0.0, False)]],  # leads into the live states, but nothing leads to it
        ],
        start_probability=torch.tensor([0, 1, 0, 0, 0], dtype=torch.float64),
        discount=0.9,
    )
    assert mdp.live.tolist() == [True, True, True, False, False]


@pytest.mark.parametrize(
    ("environment", "live", "states"), [("FrozenLake-v1", 11, 16), ("CliffWalking-v1", 37, 48), ("Taxi-v4", 400, 500)]
)
def test_live_states_of_gymnasiums_environments(environment: str, live: int, states: int) -> None:
    mdp = FiniteMDP.from_gymnasium(environment, discount=0.9)
    assert (int(mdp.live.sum()), mdp.states) == (live, states)


def test_exploring_starts_are_uniform_over_the_live_states_and_change_nothing_else() -> None:
    mdp = FiniteMDP.from_gymnasium("FrozenLake-v1", discount=0.9)
    explored = mdp.exploring_starts()
    assert torch.allclose(explored.start_probability, mdp.live.double() / 11)
    assert explored.probability is mdp.probability
    assert (explored.action_labels, explored.drawing) == (mdp.action_labels, mdp.drawing)
    starts = explored.start(22_000, generator())
    assert set(starts.tolist()) == set(mdp.live.nonzero().flatten().tolist())
    assert chisquare(starts.bincount(minlength=16)[mdp.live].numpy()).pvalue > 1e-6


# Sampling

IMPOSSIBLE = (0.0, 3, math.pi, True)


def fixed_draw(monkeypatch: pytest.MonkeyPatch, draw: float) -> None:
    monkeypatch.setattr(torch, "rand", lambda shape, **options: torch.full(shape, draw, dtype=options.get("dtype")))


@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_an_impossible_outcome_never_happens_wherever_it_stands(place: int, monkeypatch: pytest.MonkeyPatch) -> None:
    possible: list[Outcome] = [(0.25, 0, 1.0, False), (0.25, 1, 2.0, False), (0.5, 2, 3.0, True)]
    mdp = one_pair(*possible[:place], IMPOSSIBLE, *possible[place:])
    zero = torch.zeros(1, dtype=torch.int64)
    for draw, wanted in ((0.0, 0), (0.2499, 0), (0.25, 1), (0.4999, 1), (0.5, 2), (1 - 2**-24, 2)):
        fixed_draw(monkeypatch, draw)
        next_state, reward, terminated = mdp.sample(zero, zero, generator())
        assert (next_state.item(), reward.item(), terminated.item()) == possible[wanted][1:]


def test_smallest_and_largest_draw_take_the_first_and_last_possible_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    mdp = random_mdp(1, 5, 3, 4, 0.9)
    pairs = torch.cartesian_prod(torch.arange(5), torch.arange(3))
    possible = mdp.probability > 0
    order = torch.arange(4)
    for draw, outcome in ((0.0, order.where(possible, 9).amin(-1)), (1 - 2**-24, order.where(possible, -1).amax(-1))):
        fixed_draw(monkeypatch, draw)
        next_state, reward, terminated = mdp.sample(pairs[:, 0], pairs[:, 1], generator())
        wanted = outcome.flatten().unsqueeze(-1)
        for got, field in ((next_state, mdp.next_state), (reward, mdp.reward), (terminated, mdp.terminated)):
            assert torch.equal(got, field.flatten(0, 1).gather(1, wanted).squeeze(1))


def test_sampling_is_exact_among_many_pairs() -> None:
    # Each reward names its pair, so a draw that rounded into a neighbour would show.
    states, actions, outcomes = 20_000, 2, 3
    mdp = garnet(states, actions, outcomes, discount=0.9, generator=generator())
    names = torch.arange(states * actions, dtype=torch.float64).view(states, actions, 1).expand(-1, -1, outcomes)
    mdp = attrs.evolve(mdp, reward=names.contiguous())
    state, action = torch.arange(states).repeat_interleave(actions), torch.arange(actions).repeat(states)
    next_state, reward, _ = mdp.sample(state, action, generator())
    assert torch.equal(reward, (state * actions + action).double())
    assert (next_state.unsqueeze(-1) == mdp.next_state[state, action]).any(-1).all()


@pytest.mark.parametrize(("draw", "start"), [(0.0, 1), (0.49, 1), (0.5, 3), (1 - 2**-24, 3)])
def test_impossible_starts_never_happen(draw: float, start: int, monkeypatch: pytest.MonkeyPatch) -> None:
    start_probability = torch.tensor([0, 0.5, 0, 0.5, 0], dtype=torch.float64)
    mdp = attrs.evolve(random_mdp(0, 5, 1, 1, 0.9), start_probability=start_probability)
    monkeypatch.setattr(torch, "rand", lambda runs, **_: torch.full((runs,), draw))
    assert mdp.start(2, generator()).tolist() == [start, start]


def test_probabilities_that_sum_to_one_up_to_a_rounding_leave_no_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    for rounding in (5e-10, -5e-10):
        mdp = one_pair((0.5, 0, 1.0, False), (0.5 + rounding, 1, 2.0, False), (0.0, 2, 3.0, False))
        fixed_draw(monkeypatch, 1 - 2**-53)
        zero = torch.zeros(1, dtype=torch.int64)
        assert mdp.sample(zero, zero, generator())[1].item() == 2


@pytest.mark.parametrize(("state", "action"), [(0, 0), (1, 1), (2, 1)])
def test_frequencies_are_the_probabilities(state: int, action: int) -> None:
    mdp, draws = three_states(), 20_000
    next_state, reward, terminated = mdp.sample(torch.full((draws,), state), torch.full((draws,), action), generator(3))
    counts, expected = [], []
    outcomes = zip(
        *(field[state, action].tolist() for field in (mdp.probability, mdp.next_state, mdp.reward, mdp.terminated)),
        strict=True,
    )
    for p, n, r, d in outcomes:
        if p > 0:
            counts.append(int(((next_state == n) & (reward == r) & (terminated == d)).sum()))
            expected.append(p * draws)
    assert sum(counts) == draws  # nothing that is not on the list
    assert chisquare(counts, expected).pvalue > 1e-6


def test_sample_keeps_runs_apart_and_types_as_gymnasium_has_them() -> None:
    mdp = three_states()
    state, action = torch.tensor([0, 2, 0, 2, 0]), torch.tensor([1, 0, 1, 0, 1])  # certain outcomes
    next_state, reward, terminated = mdp.sample(state, action, generator())
    assert (next_state.dtype, reward.dtype, terminated.dtype) == (torch.int64, torch.float64, torch.bool)
    assert next_state.tolist() == [2, 0, 2, 0, 2]
    assert reward.tolist() == [1, 32, 1, 32, 1]
    assert terminated.tolist() == [False, True, False, True, False]


def test_starts_follow_their_distribution() -> None:
    starts = three_states().start(10_000, generator(1))
    assert (starts.dtype, starts.shape) == (torch.int64, (10_000,))
    counts = starts.bincount(minlength=3)
    assert counts[1] == 0
    assert chisquare(counts[[0, 2]].numpy()).pvalue > 1e-6
    one = one_pair((1.0, 0, 0.0, False))
    assert one.start(3, generator()).tolist() == [0, 0, 0]
    later = FiniteMDP.from_gymnasium("CliffWalking-v1", discount=0.9)
    assert later.start(2, generator()).tolist() == [36, 36]


def test_draws_share_no_memory_with_the_mdp() -> None:
    one = one_pair((1.0, 0, 0.0, False))
    with torch.inference_mode():
        one.start(2, generator())
        one.sample(torch.tensor([0]), torch.tensor([0]), generator())
    starts = one.start(2, generator())  # cached in inference mode, yet a tensor that may be changed
    starts[0] = 3
    assert starts.tolist() == [3, 0]
    assert one.start(1, generator()).tolist() == [0]
    next_state, reward, _ = one.sample(torch.tensor([0]), torch.tensor([0]), generator())
    next_state += 1
    reward.requires_grad_()


@pytest.mark.parametrize(
    ("environment", "state", "action"),
    [
        ("FrozenLake-v1", 14, 2),
        ("FrozenLake-v1", 0, 1),
        ("FrozenLake-v1", 9, 3),
        ("CliffWalking-v1", 25, 2),
        ("Taxi-v4", 17, 5),
    ],
)
def test_sampling_agrees_with_gymnasiums_own_steps(environment: str, state: int, action: int) -> None:
    draws = 3_000
    env: Any = gymnasium.make(environment).unwrapped
    env.reset(seed=5)
    theirs = np.zeros((2, env.observation_space.n, 2), dtype=int)
    rewards: list[set[float]] = [set(), set()]
    for _ in range(draws):
        env.s, env.lastaction = state, None
        next_state, reward, terminated, _, _ = env.step(action)
        theirs[0, next_state, int(terminated)] += 1
        rewards[0].add(float(reward))
    mdp = FiniteMDP.from_gymnasium(environment, discount=0.9)
    next_states, got, ends = mdp.sample(torch.full((draws,), state), torch.full((draws,), action), generator(6))
    np.add.at(theirs[1], (next_states.numpy(), ends.long().numpy()), 1)
    rewards[1] = set(got.tolist())
    assert rewards[0] == rewards[1]
    seen = theirs.reshape(2, -1)[:, theirs.sum(0).ravel() > 0]
    assert seen.shape[1] == 1 or chi2_contingency(seen).pvalue > 1e-6


# From Gymnasium


@pytest.mark.parametrize("environment", ["FrozenLake-v1", "CliffWalking-v1", "Taxi-v4"])
def test_the_model_is_the_environments_own(environment: str) -> None:
    bare: Any = gymnasium.make(environment).unwrapped
    mdp = FiniteMDP.from_gymnasium(environment, discount=0.97)
    assert mdp.discount == 0.97
    assert (mdp.states, mdp.actions) == (bare.observation_space.n, bare.action_space.n)
    assert mdp.start_probability.tolist() == pytest.approx(list(bare.initial_state_distrib), abs=1e-12)
    assert len(mdp.action_labels) == bare.action_space.n and mdp.action_labels[0] != "0"
    fields = [field.tolist() for field in (mdp.probability, mdp.next_state, mdp.reward, mdp.terminated)]
    for s, actions in bare.P.items():
        for a, outcomes in actions.items():
            mine = list(zip(*(field[s][a] for field in fields), strict=True))
            assert mine[: len(outcomes)] == [(float(p), int(n), float(r), bool(d)) for p, n, r, d in outcomes]
            assert all(p == 0 for p, *_ in mine[len(outcomes) :])


def test_an_environment_or_options_may_be_given() -> None:
    env = gymnasium.make("FrozenLake-v1", is_slippery=False, map_name="8x8")
    given_env = FiniteMDP.from_gymnasium(env, discount=0.9)
    by_options = FiniteMDP.from_gymnasium("FrozenLake-v1", discount=0.9, is_slippery=False, map_name="8x8")
    assert given_env.states == by_options.states == 64
    assert torch.equal(given_env.next_state, by_options.next_state)
    assert by_options.probability.shape[2] == 1
    assert by_options.drawing[0] == "SFFFFFFF" and len(by_options.drawing) == 8
    assert by_options.action_labels == ("left", "down", "right", "up")
    assert FiniteMDP.from_gymnasium("Taxi-v4", discount=0.9).drawing == ()


class NoModel(gymnasium.Env[np.int64, np.int64]):
    observation_space = Discrete(2)
    action_space = Discrete(2)


@pytest.mark.parametrize(
    ("environment", "error", "words"),
    [
        ("NoSuchLake-v1", ValueError, "NoSuchLake"),
        ("FrozenLake-v99", ValueError, "FrozenLake-v99"),
        ("not an id", ValueError, "not an id"),
        ("CartPole-v1", TypeError, "CartPole-v1 .*observation space Box.*Discrete"),
        ("Pendulum-v1", TypeError, "Pendulum-v1 .*observation space Box.*Discrete"),
        ("Blackjack-v1", TypeError, "Blackjack-v1 .*observation space Tuple.*Discrete"),
        (NoModel(), ValueError, "NoModel keeps no model.*env.unwrapped.P"),
        (42, TypeError, "environment.*42"),
        ("nomodule:Foo-v0", ValueError, "Gymnasium can't make the environment"),
        (":", ValueError, "Gymnasium can't make the environment"),
    ],
)
def test_environments_that_are_not_finite_mdps_are_refused(
    environment: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        FiniteMDP.from_gymnasium(environment, discount=0.9)


def test_bad_options_for_gymnasium_are_refused() -> None:
    with pytest.raises(ValueError, match="Gymnasium can't make the environment"):
        FiniteMDP.from_gymnasium("FrozenLake-v1", discount=0.9, map_name="9x9")
    with pytest.raises(
        TypeError, match=r"Options go with an id, but .* is made already: leave {'is_slippery': False} out"
    ):
        FiniteMDP.from_gymnasium(gymnasium.make("FrozenLake-v1"), discount=0.9, is_slippery=False)


# What FiniteMDP refuses


def changed(**fields: Any) -> FiniteMDP:
    """The MDP of three states with some fields replaced; a function changes a clone."""
    mdp = three_states()
    for name, value in list(fields.items()):
        if callable(value):
            fields[name] = getattr(mdp, name).clone()
            value(fields[name])
    return attrs.evolve(mdp, **fields)


def put(index: tuple[int, ...] | int, value: float) -> Callable[[Tensor], None]:
    return lambda tensor: tensor.__setitem__(index, value)


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({"probability": put((1, 0, 0), 0.75)}, ValueError, "'lake', action 'walk'.*sum to 1.*1.25"),
        ({"probability": put((2, 1, 0), 0.4999999)}, ValueError, "'peak', action 'ride'.*sum to 1"),
        ({"probability": put((0, 0), -0.25)}, ValueError, "'hut', action 'walk' has a negative probability.*-0.25"),
        ({"probability": put((0, 1, 0), math.nan)}, ValueError, "'hut', action 'ride'.*not finite"),
        ({"probability": put((0, 1, 0), math.inf)}, ValueError, "'hut', action 'ride'.*not finite"),
        ({"next_state": put((2, 0, 0), 3)}, ValueError, "'peak', action 'walk' has a next state out of range.*of 3"),
        ({"next_state": put((2, 1, 3), -1)}, ValueError, "'peak', action 'ride' has a next state out of range"),
        ({"reward": put((1, 1, 1), math.inf)}, ValueError, "'lake', action 'ride' has a reward that is not finite"),
        ({"reward": put((1, 1, 1), math.nan)}, ValueError, "'lake', action 'ride' has a reward that is not finite"),
        (
            {"probability": torch.ones(3, 2, dtype=torch.float64)},
            ValueError,
            r"\(states, actions, outcomes\).*\(3, 2\)",
        ),
        ({"probability": torch.ones(0, 2, 4, dtype=torch.float64)}, ValueError, r"none of them 0.*\(0, 2, 4\)"),
        ({"next_state": torch.zeros(3, 2, 3, dtype=torch.int64)}, ValueError, r"next_state .*\(3, 2, 4\).*\(3, 2, 3\)"),
        ({"reward": torch.zeros(2, 3, 4, dtype=torch.float64)}, ValueError, r"reward .*\(3, 2, 4\).*\(2, 3, 4\)"),
        ({"terminated": torch.zeros(3, 2, 4)}, TypeError, "terminated must be a tensor of torch.bool.*float32"),
        ({"terminated": torch.zeros(3, 2, 4, dtype=torch.int64)}, TypeError, "terminated .*torch.bool.*int64"),
        ({"next_state": torch.zeros(3, 2, 4)}, TypeError, "next_state must be a tensor of torch.int64"),
        ({"reward": torch.zeros(3, 2, 4)}, TypeError, "reward must be a tensor of torch.float64.*float32"),
        ({"probability": torch.full((3, 2, 4), 0.25)}, TypeError, "probability must be .*float64.*float32"),
        ({"reward": np.zeros((3, 2, 4))}, TypeError, "reward must be a torch.Tensor, but is a ndarray"),
        ({"probability": [[1.0]]}, TypeError, "probability must be a torch.Tensor, but is a list"),
        ({"start_probability": torch.full((3,), 1 / 3)}, TypeError, "start_probability .*float64.*float32"),
        (
            {"start_probability": torch.ones(2, dtype=torch.float64) / 2},
            ValueError,
            r"start_probability .*\(3,\).*\(2,\)",
        ),
        ({"start_probability": put(1, 0.5)}, ValueError, "start_probability must sum to 1, but sums to 1.5"),
        ({"start_probability": put(1, -0.5)}, ValueError, "start_probability .*non-negative.*-0.5 in state 'lake'"),
        ({"start_probability": put(2, math.nan)}, ValueError, "start_probability .*nan in state 'peak'"),
        ({"discount": 1.5}, ValueError, r"discount must lie in \[0, 1\], but is 1.5"),
        ({"discount": -0.1}, ValueError, r"discount must lie in \[0, 1\]"),
        ({"discount": math.nan}, ValueError, r"discount must lie in \[0, 1\], but is nan"),
        ({"discount": "0.9"}, TypeError, "discount must be a number, but is '0.9'"),
        ({"discount": True}, TypeError, "discount must be a number, but is True"),
        ({"state_labels": "hut"}, TypeError, "state_labels must be several strings, but is 'hut'"),
        ({"action_labels": (1, 2)}, TypeError, r"action_labels must be several strings, but is \(1, 2\)"),
        ({"drawing": "..."}, TypeError, "drawing must be several strings, but is '...'"),
        ({"state_labels": ("a", "b")}, ValueError, "state_labels must be 3 different names"),
        ({"state_labels": ("a", "b", "a")}, ValueError, "state_labels must be 3 different names"),
        ({"action_labels": ("a", "b", "c")}, ValueError, "action_labels must be 2 different names"),
        ({"drawing": ("S.",)}, ValueError, "drawing .* each of the 3 states"),
    ],
)
def test_bad_fields_are_refused(fields: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        changed(**fields)


def test_good_fields_are_taken() -> None:
    mdp = changed(drawing=["S#.", "#.#"], discount=np.float32(1), state_labels=())
    assert (mdp.drawing, mdp.state_labels) == (("S#.", "#.#"), ("0", "1", "2"))
    assert (type(mdp.discount), mdp.discount) == (float, 1)
    assert changed(probability=put((1, 0, 0), 0.5 + 1e-12)).states == 3  # rounding is allowed


def test_a_changed_copy_computes_its_own_matrices() -> None:
    mdp = three_states()
    cached = mdp.expected_reward, mdp.continuation, mdp.continuation_matrix, mdp.live, mdp.start(5, generator())
    doubled = attrs.evolve(mdp, reward=2 * mdp.reward, terminated=torch.ones_like(mdp.terminated))
    assert torch.equal(doubled.expected_reward, 2 * cached[0])
    assert doubled.continuation_matrix.sum() == doubled.continuation.to_dense().sum() == 0
    assert doubled.live.tolist() == [True, False, True]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        mdp.discount = 0.9  # type: ignore[misc]


def test_outcomes_are_padded_with_impossible_ones() -> None:
    mdp = three_states()
    assert mdp.probability.shape == (3, 2, 4)
    assert mdp.probability[2].tolist() == [[1, 0, 0, 0], [0.5, 0.25, 0.25, 0]]
    assert mdp.next_state[0, 0].tolist() == [1, 1, 2, 1]
    assert mdp.reward[0, 0].tolist() == [4, 8, -4, 16]
    assert mdp.terminated[0, 0].tolist() == [False, True, False, False]
    assert mdp.start_probability.tolist() == [0.5, 0, 0.5]


MUST_LIST = r"State 0, action 0 must list \(probability, next_state, reward, terminated\)"


@pytest.mark.parametrize(
    ("outcomes", "words"),
    [
        ([], "at least one state"),
        ([[]], "at least one action"),
        ([[[(1.0, 0, 0.0, False)]], []], "State 1 has 0 actions, but state 0 has 1"),
        ([[[(1.0, 0, 0.0, False)], []]], "State '0', action '1' has probabilities that don't sum to 1"),
        ([[[(1.0, 0, 0.0)]]], MUST_LIST),
        ([[[(1.0, 0.7, 0.0, False)]]], MUST_LIST),
        ([[[(1.0, "0", 0.0, False)]]], MUST_LIST),
        ([[[(1.0, 0, 0.0, "False")]]], MUST_LIST),
        ([[[1.0]]], MUST_LIST),
    ],
)
def test_broken_outcome_lists_are_refused(outcomes: Any, words: str) -> None:
    start = torch.ones(len(outcomes), dtype=torch.float64)
    with pytest.raises(ValueError, match=words):
        FiniteMDP.from_outcomes(outcomes, start_probability=start, discount=0.9)


# From a file


def document(**changes: Any) -> dict[str, Any]:
    outcomes: dict[str, Any] = {
        "hut": {"walk": [[0.25, "lake", 1, False], [0.75, "hut", -2.5, False]], "ride": [[1, "lake", 3.0, True]]},
        "lake": {"walk": [[1.0, "lake", 0, True]], "ride": [[1.0, "lake", 0.0, True]]},
    }
    whole = {
        "discount": 0.5,
        "states": ["hut", "lake"],
        "actions": ["walk", "ride"],
        "start": {"hut": 1},
        "outcomes": outcomes,
    }
    return whole | changes


def without(key: str) -> dict[str, Any]:
    whole = document()
    del whole[key]
    return whole


def with_walk(outcomes: Any) -> dict[str, Any]:
    whole = document()
    whole["outcomes"]["hut"]["walk"] = outcomes
    return whole


def with_outcomes(**changes: Any) -> dict[str, Any]:
    whole = document()
    whole["outcomes"] = whole["outcomes"] | changes
    return whole


def written(folder: Path, content: Any) -> Path:
    path = folder / "village.json"
    if isinstance(content, dict | list):
        content = json.dumps(content)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_json_is_read_as_it_is_written(tmp_path: Path) -> None:
    mdp = FiniteMDP.from_json(written(tmp_path, document(about="a village", drawing=["S.", "##"])))
    assert (mdp.state_labels, mdp.action_labels, mdp.drawing) == (("hut", "lake"), ("walk", "ride"), ("S.", "##"))
    assert mdp.discount == 0.5
    assert mdp.start_probability.tolist() == [1, 0]
    assert mdp.probability[0].tolist() == [[0.25, 0.75], [1, 0]]
    assert mdp.next_state[0].tolist() == [[1, 0], [1, 0]]
    assert mdp.reward[0].tolist() == [[1, -2.5], [3, 0]]
    assert mdp.terminated[0].tolist() == [[False, False], [True, False]]
    assert FiniteMDP.from_json(str(tmp_path / "village.json")).states == 2


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ("{", "it is not JSON: Expecting property name"),
        ("", "it is not JSON"),
        (b"\x80", "it is not JSON"),
        ('{"discount": 0.9, "discount": 0.5}', "the key 'discount' is there twice"),
        (document(about=3), "about must be a string, but is 3"),
        ("[1, 2]", "must be a table of keys and values"),
        (without("discount"), "lacks the key 'discount'"),
        (without("outcomes"), "lacks the key 'outcomes'"),
        (document(gamma=0.9), "unknown key 'gamma'"),
        (document(discount=1.2), r"discount must lie in \[0, 1\], but is 1.2"),
        (document(discount="high"), "discount must be a number, but is 'high'"),
        (document(states="hut"), "states must be a list of strings, but is 'hut'"),
        (document(states=[]), "states must name at least one"),
        (document(actions=[]), "actions must name at least one"),
        (document(actions=[1, 2]), "actions must be a list of strings"),
        (document(states=["hut", "hut"]), "hut"),
        (document(drawing=["S"]), "drawing"),
        (document(start={"sea": 1.0}), "start has the unknown key 'sea'"),
        (document(start={"hut": "all"}), "start.hut must be a number, but is 'all'"),
        (document(start={"hut": 0.5}), "start_probability must sum to 1, but sums to 0.5"),
        (document(start=[1, 0]), "start must be a table"),
        (document(outcomes=[]), "outcomes must be a table"),
        (with_outcomes(sea={}), "outcomes has the unknown key 'sea'"),
        (with_outcomes(hut={"walk": [[1, "hut", 0, False]]}), "outcomes.hut lacks the key 'ride'"),
        (with_outcomes(hut=3), "outcomes.hut must be a table"),
        (with_walk([]), "outcomes.hut.walk must be a list of at least one outcome"),
        (with_walk({"p": 1}), "outcomes.hut.walk must be a list"),
        (
            with_walk([[1.0, "hut", 0]]),
            r"outcomes.hut.walk must list \[probability, next state, reward, true or false\]",
        ),
        (with_walk([[1.0, "hut", 0, 1]]), "outcomes.hut.walk must list"),
        (with_walk([["1", "hut", 0, False]]), "outcomes.hut.walk must list"),
        (with_walk([[1, "hut", None, False]]), "outcomes.hut.walk must list"),
        (with_walk([[True, "hut", 0, False]]), "outcomes.hut.walk must list"),
        (with_walk([[1, ["hut"], 0, False]]), "outcomes.hut.walk must list"),
        (with_walk([[1, 0, 0, False]]), "outcomes.hut.walk must list"),
        (with_walk([[1, "sea", 0, False]]), "outcomes.hut.walk leads to 'sea'.*'hut', 'lake'"),
        (with_walk([[0.5, "hut", 0, False]]), "'hut', action 'walk' has probabilities that don't sum to 1.*0.5"),
        (with_walk([[math.nan, "hut", 0, False]]), "'hut', action 'walk' has a probability that is not finite"),
    ],
)
def test_broken_files_are_named_with_the_key(tmp_path: Path, broken: Any, words: str) -> None:
    with pytest.raises(ValueError, match=f"^village.json: .*{words}"):
        FiniteMDP.from_json(written(tmp_path, broken))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.json"):
        FiniteMDP.from_json(tmp_path / "nowhere.json")


# Copies and words


def test_copies_share_the_model() -> None:
    mdp = FiniteMDP.from_gymnasium("FrozenLake-v1", discount=0.9)
    assert mdp.continuation.shape == (64, 16)
    assert copy.deepcopy(mdp) is mdp


def test_the_repr_fits_on_a_line() -> None:
    mdp = FiniteMDP.from_gymnasium("FrozenLake-v1", discount=0.9)
    assert repr(mdp) == "FiniteMDP(16 states, 4 actions, 3 outcomes each, discount 0.9)"
