"""The policy gradient: against autograd, finite differences and all episodes there are, and REINFORCE by its own spread."""

import math
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2, chisquare
from torch import Tensor

from sac_tutorial.equations import bootstrapped_return
from sac_tutorial.exact.policy_gradient import Played, exact_policy_gradient, play, score_gradient
from sac_tutorial.worlds.mdp import FiniteMDP, Outcome
from tests.helpers import generator
from tests.oracles import FAST, mdps, plain_chain, plain_policy_q, plain_soft_policy_q, random_mdp, three_states

SEED = st.integers(0, 2**32 - 1)


def table(*rows: object) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def random_logits(seed: int, mdp: FiniteMDP, *leading: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(*leading, mdp.states, mdp.actions)))


def uniform(mdp: FiniteMDP) -> Tensor:
    return torch.full((mdp.states, mdp.actions), 1 / mdp.actions, dtype=torch.float64)


def one_state(*outcomes: Outcome, discount: float = 0.5) -> FiniteMDP:
    """One state, and an action for each of these outcomes."""
    return FiniteMDP.from_outcomes(
        [[[outcome] for outcome in outcomes]], start_probability=torch.ones(1).double(), discount=discount
    )


def objective(mdp: FiniteMDP, logits: Tensor, temperature: float = 0.0) -> Tensor:
    """J(θ) as one differentiable linear solve, put together outcome by outcome."""
    log_policy = logits - logits.logsumexp(-1, keepdim=True)
    policy = log_policy.exp()
    reward = torch.zeros(mdp.states, mdp.actions, dtype=torch.float64)
    onward = torch.zeros(mdp.states, mdp.actions, mdp.states, dtype=torch.float64)
    for s, a, k in product(range(mdp.states), range(mdp.actions), range(mdp.outcomes)):
        reward[s, a] += mdp.probability[s, a, k] * mdp.reward[s, a, k]
        if not mdp.terminated[s, a, k]:
            onward[s, a, mdp.next_state[s, a, k]] += mdp.probability[s, a, k]
    system = torch.eye(mdp.states, dtype=torch.float64) - mdp.discount * (policy.unsqueeze(-1) * onward).sum(1)
    gain = (policy * (reward - temperature * log_policy)).sum(-1)
    value: Tensor = torch.linalg.solve(system, gain)
    return mdp.start_probability @ value


def slope(mdp: FiniteMDP, logits: Tensor, temperature: float = 0.0) -> Tensor:
    moving = logits.clone().requires_grad_()
    return torch.autograd.grad(objective(mdp, moving, temperature), moving)[0]


# The exact gradient


def test_the_gradient_of_one_state_by_hand() -> None:
    mdp = one_state(*((1.0, 0, reward, True) for reward in (1.0, 2.0, 6.0)))
    logits = table([0, math.log(2), 0])  # π = (1/4, 1/2, 1/4), J = 2.75
    assert exact_policy_gradient(mdp, logits)[0].tolist() == pytest.approx([-1.75 / 4, -0.75 / 2, 3.25 / 4])
    best = exact_policy_gradient(mdp, table([0.5, 1, 3]), 2.0)  # π ∝ exp(r/α) has the largest of return and entropy
    assert best.abs().max() < 1e-12


def test_a_state_counts_as_much_as_it_is_visited_by_hand() -> None:
    # a → b in any case, after one step or, with the second action, after a round more; in b the actions earn 8 and 0.
    mdp = FiniteMDP.from_outcomes(
        [
            [[(1.0, 1, 1.0, False)], [(1.0, 0, 0.0, False)]],
            [[(1.0, 1, 8.0, True)], [(1.0, 1, 0.0, True)]],
        ],
        start_probability=table(1, 0)[:2],
        discount=0.5,
    )
    # With all probabilities 1/2: V(b) = 4, Q(a) = (3, V(a)/2), V(a) = 2; d(a) = 4/3, d(b) = 1/2 · 1/2 · 4/3 = 1/3.
    wanted = table([4 / 3 / 2 * 1, 4 / 3 / 2 * -1], [1 / 3 / 2 * 4, 1 / 3 / 2 * -4])
    torch.testing.assert_close(exact_policy_gradient(mdp, torch.zeros(2, 2, dtype=torch.float64)), wanted)


@FAST
@given(mdp=mdps(), seed=SEED, temperature=st.one_of(st.just(0.0), st.floats(0.01, 10)))
def test_the_exact_gradient_is_autograds_through_a_plain_linear_solve(
    mdp: FiniteMDP, seed: int, temperature: float
) -> None:
    logits = random_logits(seed, mdp)
    found = exact_policy_gradient(mdp, logits, temperature)
    torch.testing.assert_close(found, slope(mdp, logits, temperature), rtol=1e-8, atol=1e-9 * (1 + temperature))
    assert torch.allclose(found.sum(-1), torch.zeros(mdp.states, dtype=torch.float64), atol=1e-9 * (1 + temperature))


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_the_exact_gradient_is_that_of_finite_differences_through_plain_sweeps(temperature: float) -> None:
    mdp, step = random_mdp(4, 3, 2, 3, 0.6), 1e-4
    logits = random_logits(5, mdp)

    def height(moved: Tensor) -> float:
        policy = torch.softmax(moved, -1)
        q = plain_soft_policy_q(mdp, policy, temperature) if temperature else plain_policy_q(mdp, policy)
        value = (policy * (q - temperature * policy.log())).sum(-1)
        return (mdp.start_probability * value).sum().item()

    found = exact_policy_gradient(mdp, logits, temperature)
    for place in product(range(3), range(2)):
        push = torch.zeros_like(logits)
        push[place] = step
        assert found[place].item() == pytest.approx(
            (height(logits + push) - height(logits - push)) / (2 * step), abs=1e-8
        )


@pytest.mark.parametrize("temperature", [0.0, 0.3, table([0.1], [2.0])])
def test_many_policies_at_once_have_the_gradients_of_each(temperature: float | Tensor) -> None:
    mdp = random_mdp(0, 5, 4, 3, 0.9)
    logits = random_logits(1, mdp, 3, 2)
    found = exact_policy_gradient(mdp, logits, temperature)
    assert found.shape == (3, 2, 5, 4)
    for first, second in product(range(3), range(2)):
        single = temperature[second].item() if isinstance(temperature, Tensor) else temperature
        torch.testing.assert_close(
            found[first, second], slope(mdp, logits[first, second], single), rtol=1e-9, atol=1e-11
        )


def test_one_policy_at_many_temperatures_has_a_gradient_for_each() -> None:
    mdp = random_mdp(0, 5, 4, 3, 0.9)
    logits, temperatures = random_logits(2, mdp), [0.0, 0.5, 3.0]
    found = exact_policy_gradient(mdp, logits, table(*temperatures).unsqueeze(-1))
    for one, temperature in zip(found, temperatures, strict=True):
        torch.testing.assert_close(one, slope(mdp, logits, temperature), rtol=1e-9, atol=1e-11)


def walk(discount: float = 1.0) -> FiniteMDP:
    """Four places, left or right, with an end beyond either side and a chance to slip."""

    def move(place: int, by: int) -> list[Outcome]:
        there, end = min(max(place + by, 0), 3), not 0 <= place + by <= 3
        return [(0.75, there, by * 1.5 + place, end), (0.25, place, -1.0, False)]

    return FiniteMDP.from_outcomes(
        [[move(place, -1), move(place, 1)] for place in range(4)],
        start_probability=table(0.125, 0.5, 0.25, 0.125)[:4],
        discount=discount,
        state_labels=tuple("abcd"),
    )


@pytest.mark.parametrize("temperature", [0.0, 0.5])
def test_without_a_discount_the_gradient_is_that_of_the_plain_sum_if_the_end_is_certain(temperature: float) -> None:
    logits = random_logits(3, walk())
    torch.testing.assert_close(exact_policy_gradient(walk(), logits, temperature), slope(walk(), logits, temperature))


def test_logits_may_be_large() -> None:
    mdp = three_states()
    for size in (1e3, 1e6):
        logits = size * table([1, -1], [-1, 1], [1, 1])
        for temperature in (0.0, 0.5):
            found = exact_policy_gradient(mdp, logits, temperature)
            assert found.isfinite().all() and found[:2].abs().max() == 0 and found[2].abs().min() > 0.01


# Episodes


def test_the_first_step_is_drawn_from_start_policy_and_model() -> None:
    mdp, runs = random_mdp(3, 4, 3, 2, 0.9), 60_000
    policy = torch.softmax(random_logits(0, mdp), -1)
    played = play(mdp, policy, runs=runs, steps=1, generator=generator())
    assert all(field.shape == (1, runs) for field in played) and played.playing.all()
    found = list(zip(*(field[0].tolist() for field in played[:5]), strict=True))
    counts, wanted = [], []
    for s, a, k in product(range(4), range(3), range(2)):
        outcome = (s, a, *(field[s, a, k].item() for field in (mdp.reward, mdp.next_state, mdp.terminated)))
        counts.append(found.count(outcome))
        wanted.append(runs * (mdp.start_probability[s] * policy[s, a] * mdp.probability[s, a, k]).item())
    assert sum(counts) == runs
    possible = np.array(wanted) > 0
    assert np.array(counts)[~possible].sum() == 0
    assert chisquare(np.array(counts)[possible], np.array(wanted)[possible], sum_check=False).pvalue > 1e-6


def test_later_steps_are_drawn_where_the_episode_has_come() -> None:
    mdp, runs = random_mdp(3, 4, 3, 2, 0.9), 40_000
    policy = torch.softmax(random_logits(0, mdp), -1)
    played = play(mdp, policy, runs=runs, steps=3, generator=generator(1))
    chain, here = np.array(plain_chain(mdp, policy)), mdp.start_probability.numpy()
    for t in range(3):
        going = played.playing[t]
        pair = (3 * played.state[t] + played.action[t])[going].bincount(minlength=12).numpy()
        wanted = (here[:, None] * policy.numpy()).ravel() * runs
        assert (
            chisquare([*pair, runs - pair.sum()][: 12 + (t > 0)], [*wanted, runs - wanted.sum()][: 12 + (t > 0)]).pvalue
            > 1e-6
        )
        here = here @ chain


def test_runs_draw_for_themselves() -> None:
    mdp = one_state(*[(1.0, 0, 0.0, True)] * 3)
    action = play(mdp, table([0.5, 0.25, 0.25]), runs=40_000, steps=1, generator=generator()).action[0]
    pairs = (3 * action[::2] + action[1::2]).bincount(minlength=9)
    chance = np.array([0.5, 0.25, 0.25])
    assert chisquare(pairs.numpy(), 20_000 * np.outer(chance, chance).ravel()).pvalue > 1e-6


def test_an_episode_hangs_together_and_is_padded_after_its_end() -> None:
    mdp = random_mdp(8, 6, 3, 3, 0.9)
    played = play(mdp, uniform(mdp), runs=300, steps=40, generator=generator())
    state, action, reward, following, terminated, playing = played
    assert [field.dtype for field in played] == [
        torch.int64,
        torch.int64,
        torch.float64,
        torch.int64,
        torch.bool,
        torch.bool,
    ]
    assert playing[0].all()
    assert torch.equal(playing[1:], playing[:-1] & ~terminated[:-1])
    assert torch.equal(state[1:][playing[1:]], following[:-1][playing[1:]])
    assert (reward[~playing] == 0).all() and terminated[~playing].all()
    for t, run in playing.nonzero().tolist():
        s, a = int(state[t, run]), int(action[t, run])
        outcomes = zip(
            mdp.next_state[s, a].tolist(), mdp.reward[s, a].tolist(), mdp.terminated[s, a].tolist(), strict=True
        )
        assert (following[t, run].item(), reward[t, run].item(), terminated[t, run].item()) in set(outcomes)
    assert len(set(playing.sum(0).tolist())) > 5 and terminated[-1].all()
    assert len(state) == playing.sum(0).max() < 40  # nobody plays on when all are done


def test_what_goes_on_is_cut_off_and_no_end() -> None:
    mdp = walk(0.9)
    played = play(mdp, uniform(mdp), runs=200, steps=3, generator=generator())
    assert played.state.shape == (3, 200)
    late = played.playing[-1] & ~played.terminated[-1]
    assert late.any() and not late.all()
    forever = one_state((1.0, 0, 2.0, False))
    played = play(forever, table([1.0]), runs=2, steps=7, generator=generator())
    assert played.reward.tolist() == [[2, 2]] * 7 and played.playing.all() and not played.terminated.any()


@pytest.mark.parametrize(
    "row", [[0.0, 0.5, 0.0, 0.5, 0.0], [0.0, 0.0, 1.0, 0.0, 0.0], [1.0, 0, 0, 0, 0], [0, 0, 0, 0, 1.0]]
)
def test_actions_of_probability_zero_are_never_taken(row: list[float]) -> None:
    mdp = one_state(*[(1.0, 0, 0.0, True)] * 5)
    action = play(mdp, table(row), runs=2_000, steps=1, generator=generator()).action
    assert set(action.flatten().tolist()) == {index for index, chance in enumerate(row) if chance}


def test_a_seed_repeats_the_episodes_and_another_does_not() -> None:
    mdp = random_mdp(8, 6, 3, 3, 0.9)
    first, again, other = (play(mdp, uniform(mdp), runs=50, steps=20, generator=generator(seed)) for seed in (1, 1, 2))
    assert all(map(torch.equal, first, again))
    assert not torch.equal(first.state[:2], other.state[:2])


FLAT = torch.zeros(3, 2, dtype=torch.float64)


def started(**changed: object) -> object:
    usual: dict[str, Any] = {"policy": uniform(three_states()), "runs": 3, "steps": 4} | changed
    return play(three_states(), generator=generator(), **usual)


@pytest.mark.parametrize(
    ("ask", "error", "message"),
    [
        (lambda: exact_policy_gradient(three_states(), FLAT.float()), TypeError, "logits must be .* torch.float64"),
        (lambda: exact_policy_gradient(three_states(), FLAT.mT), ValueError, r"logits must .* but has \(2, 3\)"),
        (
            lambda: exact_policy_gradient(three_states(), FLAT.index_fill(1, torch.tensor([1]), -math.inf)),
            ValueError,
            "logits must be finite, but in state 'hut' that of action 'ride' is not",
        ),
        (lambda: exact_policy_gradient(three_states(), FLAT, -0.1), ValueError, "temperature must be at least 0"),
        (
            lambda: exact_policy_gradient(one_state((1.0, 0, 1.0, False), discount=1.0), FLAT[:1, :1]),
            ValueError,
            "With a discount of 1 the end must be certain",
        ),
        (lambda: started(runs=0), ValueError, "runs must be at least 1"),
        (lambda: started(steps=2.5), TypeError, "steps must be a whole number"),
        (lambda: started(policy=FLAT + 1), ValueError, "policy must be non-negative and sum to 1"),
        (lambda: started(policy=(FLAT + 0.5).expand(4, 3, 2)), ValueError, r"policy must have the shape \(3, 2\)"),
    ],
)
def test_what_has_no_meaning_is_refused(ask: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ask()


# Scores


@FAST
@given(mdp=mdps(), seed=SEED)
def test_the_score_is_autograds_of_the_weighted_log_probabilities(mdp: FiniteMDP, seed: int) -> None:
    logits = random_logits(seed, mdp).requires_grad_()
    policy = torch.softmax(logits.detach(), -1)
    played = play(mdp, policy, runs=3, steps=7, generator=generator(seed % 1_000))
    weight = torch.randn(played.reward.shape, generator=generator(1), dtype=torch.float64)
    found = score_gradient(played, policy, weight)
    assert found.shape == (3, mdp.states, mdp.actions)
    for run in range(3):
        total = torch.zeros((), dtype=torch.float64)
        for t in range(int(played.playing[:, run].sum())):
            log_policy = torch.log_softmax(logits[played.state[t, run]], -1)
            total = total + weight[t, run] * log_policy[played.action[t, run]]
        torch.testing.assert_close(found[run], torch.autograd.grad(total, logits)[0], rtol=1e-10, atol=1e-12)


def every_pair(mdp: FiniteMDP) -> Played:
    """A step of each state and action, one a run, in the order of the table."""
    pairs = mdp.states * mdp.actions
    state, action = (torch.arange(pairs) // mdp.actions).unsqueeze(0), (torch.arange(pairs) % mdp.actions).unsqueeze(0)
    yes = torch.ones(1, pairs, dtype=torch.bool)
    return Played(state, action, torch.zeros(1, pairs, dtype=torch.float64), state, yes, yes)


@FAST
@given(mdp=mdps(), seed=SEED)
def test_a_baseline_of_the_state_adds_exactly_nothing_and_one_of_the_action_does(mdp: FiniteMDP, seed: int) -> None:
    policy = torch.softmax(random_logits(seed, mdp), -1)
    baseline = 10 * random_logits(seed + 1, mdp)
    of_state = baseline[:, :1].expand_as(baseline)
    added = [
        score_gradient(every_pair(mdp), policy, (policy * each).reshape(1, -1)).sum(0) for each in (of_state, baseline)
    ]
    assert added[0].abs().max() < 1e-13
    torch.testing.assert_close(added[1], policy * (baseline - (policy * baseline).sum(-1, keepdim=True)))


# REINFORCE


def ladder(seed: int) -> FiniteMDP:
    """Five states in three layers, so that every episode ends by its third step and all episodes can be listed."""
    rng = np.random.default_rng(seed)
    below = {0: (2, 3), 1: (3, 2), 2: (4, 4), 3: (4, 4), 4: (4, 4)}

    def outcomes(state: int) -> list[Outcome]:
        chance, (one, other) = rng.uniform(0.2, 0.8), below[state]
        ends = rng.random(2) < 0.3 if state < 4 else (True, True)
        rewards = rng.normal(size=2) * 3
        return [
            (chance, one, float(rewards[0]), bool(ends[0])),
            (1 - chance, other, float(rewards[1]), bool(ends[1])),
        ]

    return FiniteMDP.from_outcomes(
        [[outcomes(state) for _ in range(3)] for state in range(5)],
        start_probability=torch.tensor([0.6, 0.3, 0.1, 0, 0], dtype=torch.float64),
        discount=0.7,
    )


Step = tuple[int, int, float, int, bool]


def all_episodes(mdp: FiniteMDP, policy: Tensor) -> list[tuple[float, list[Step]]]:
    """Every episode there can be, with its probability."""
    finished: list[tuple[float, list[Step]]] = []
    open_ones = [(p, list[Step](), s) for s, p in enumerate(mdp.start_probability.tolist()) if p]
    while open_ones:
        chance, steps, s = open_ones.pop()
        for a, k in product(range(mdp.actions), range(mdp.outcomes)):
            p = chance * policy[s, a].item() * mdp.probability[s, a, k].item()
            then, end = int(mdp.next_state[s, a, k]), bool(mdp.terminated[s, a, k])
            more = [*steps, (s, a, mdp.reward[s, a, k].item(), then, end)]
            if p and end:
                finished.append((p, more))
            elif p:
                open_ones.append((p, more, then))
    return finished


def as_played(episodes: list[list[Step]]) -> Played:
    length = max(map(len, episodes))
    padded = [[*episode, *[(0, 0, 0.0, 0, True)] * (length - len(episode))] for episode in episodes]
    kinds = (torch.int64, torch.int64, torch.float64, torch.int64, torch.bool)
    fields = [
        torch.tensor([[step[field] for step in episode] for episode in padded], dtype=kind).T
        for field, kind in enumerate(kinds)
    ]
    playing = torch.tensor([[t < len(episode) for t in range(length)] for episode in episodes]).T
    return Played(*fields, playing)  # type: ignore[call-arg]


def returns_to_go(played: Played, discount: float) -> Tensor:
    nothing = torch.zeros_like(played.reward)
    return bootstrapped_return(played.reward, played.terminated, played.terminated, nothing, discount)


def ages(played: Played) -> Tensor:
    return torch.arange(len(played.reward), dtype=torch.float64).unsqueeze(-1)


@pytest.mark.parametrize("seed", range(4))
def test_over_all_episodes_there_are_the_estimates_average_to_the_exact_gradient(seed: int) -> None:
    mdp = ladder(seed)
    policy = torch.softmax(random_logits(seed, mdp), -1)
    chance, episodes = zip(*all_episodes(mdp, policy), strict=True)
    assert sum(chance) == pytest.approx(1) and len({len(episode) for episode in episodes}) >= 2
    played, exact = as_played(list(episodes)), slope(mdp, policy.log())
    g, weigh = returns_to_go(played, mdp.discount), mdp.discount ** ages(played)
    baseline = 100 * torch.randn(mdp.states, generator=generator(seed), dtype=torch.float64)[played.state]

    def mean(weight: Tensor) -> Tensor:
        return (table(*chance).view(-1, 1, 1) * score_gradient(played, policy, weight)).sum(0)

    torch.testing.assert_close(mean(weigh * g), exact, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(mean(weigh * (g - baseline)), exact, rtol=1e-9, atol=1e-10)
    assert (mean(g) - exact).norm() > 0.05 * exact.norm()  # what A2C drops


def improbability(estimates: Tensor, exact: Tensor) -> float:
    """How probable a mean is that lies as far from `exact`: Hotelling's test, over the directions that vary at all."""
    flat = (estimates - exact).flatten(1)
    mean, covariance = flat.mean(0), torch.cov(flat.T)
    spread, axes = torch.linalg.eigh(covariance)
    varies = spread > 1e-9 * spread.max()
    off = mean @ axes
    assert off[~varies].abs().max() < 1e-9 if (~varies).any() else True  # scores of a state sum to 0
    return float(chi2.sf(len(flat) * (off[varies] ** 2 / spread[varies]).sum().item(), int(varies.sum())))


Weight = Callable[[Played, FiniteMDP, Tensor], Tensor]


def reinforce(played: Played, mdp: FiniteMDP, _: Tensor) -> Tensor:
    return mdp.discount ** ages(played) * returns_to_go(played, mdp.discount)


def with_baseline(played: Played, mdp: FiniteMDP, q: Tensor) -> Tensor:
    return mdp.discount ** ages(played) * (returns_to_go(played, mdp.discount) - q.mean(-1)[played.state])


def with_true_advantage(played: Played, mdp: FiniteMDP, q: Tensor) -> Tensor:
    policy = torch.softmax(random_logits(1, mdp), -1)
    advantage = q - (policy * q).sum(-1, keepdim=True)
    return mdp.discount ** ages(played) * advantage[played.state, played.action]


def time_not_weighed(played: Played, mdp: FiniteMDP, _: Tensor) -> Tensor:
    return returns_to_go(played, mdp.discount)


def baseline_of_the_action(played: Played, mdp: FiniteMDP, q: Tensor) -> Tensor:
    return mdp.discount ** ages(played) * (returns_to_go(played, mdp.discount) - q[played.state, played.action] / 2)


def wrong_sign(played: Played, mdp: FiniteMDP, q: Tensor) -> Tensor:
    return -reinforce(played, mdp, q)


def returns_not_discounted(played: Played, mdp: FiniteMDP, _: Tensor) -> Tensor:
    return mdp.discount ** ages(played) * returns_to_go(played, 1.0)


def reward_alone(played: Played, mdp: FiniteMDP, _: Tensor) -> Tensor:
    return mdp.discount ** ages(played) * played.reward


RUNS, STEPS = 20_000, 60  # 0.7^60 = 5e-10


def sampled(seed: int, weight: Weight) -> float:
    mdp = random_mdp(seed, 4, 3, 2, 0.7)
    logits = random_logits(1, mdp)
    policy = torch.softmax(logits, -1)
    played = play(mdp, policy, runs=RUNS, steps=STEPS, generator=generator(seed))
    return improbability(
        score_gradient(played, policy, weight(played, mdp, plain_policy_q(mdp, policy))), slope(mdp, logits)
    )


@pytest.mark.parametrize("weight", [reinforce, with_baseline, with_true_advantage])
@pytest.mark.parametrize("seed", [10, 11])
def test_the_mean_of_reinforce_is_the_exact_gradient_within_its_own_confidence_region(
    seed: int, weight: Weight
) -> None:
    assert sampled(seed, weight) > 1e-6


@pytest.mark.parametrize(
    "weight", [time_not_weighed, baseline_of_the_action, wrong_sign, returns_not_discounted, reward_alone]
)
def test_the_confidence_region_is_narrow_enough_to_exclude_what_is_wrong(weight: Weight) -> None:
    assert sampled(10, weight) < 1e-12


def test_a_baseline_takes_variance_away() -> None:
    mdp = random_mdp(10, 4, 3, 2, 0.7)
    moved = FiniteMDP(mdp.probability, mdp.next_state, mdp.reward + 5, mdp.terminated, mdp.start_probability, 0.7)
    policy = torch.softmax(random_logits(1, mdp), -1)
    played = play(moved, policy, runs=2_000, steps=STEPS, generator=generator())
    q = plain_policy_q(moved, policy)
    without, with_one = (
        score_gradient(played, policy, weight(played, moved, q)).var(0).sum() for weight in (reinforce, with_baseline)
    )
    assert with_one < without / 4


def test_weights_of_another_shape_or_kind_are_refused_and_padding_is_never_read() -> None:
    mdp = one_state((1.0, 0, 1.0, True), (1.0, 0, 0.0, False))
    policy = torch.tensor([[0.5, 0.5]], dtype=torch.float64)
    played = play(mdp, policy, runs=3, steps=40, generator=generator())
    weight = torch.where(played.playing, 1.0, math.nan).double()
    assert score_gradient(played, policy, weight).isfinite().all()
    with pytest.raises(ValueError, match="weight must have the shape"):
        score_gradient(played, policy, weight[0])
    with pytest.raises(TypeError, match=r"weight must be a tensor of torch\.float64"):
        score_gradient(played, policy, weight.float())


@pytest.mark.parametrize(("draw", "row"), [(1 - 1e-12, [0.5, 0.5 - 9e-10, 0.0]), (0.0, [0.0, 1.0, 0.0])])
def test_an_action_of_probability_0_is_never_drawn_even_at_the_ends_of_the_draws(
    draw: float, row: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    mdp = one_state(*[(1.0, 0, 0.0, True)] * 3)
    monkeypatch.setattr(torch, "rand", lambda *_, **__: torch.full((4, 1), draw, dtype=torch.float64))
    assert play(mdp, table(row), runs=4, steps=1, generator=torch.Generator()).action.tolist() == [[1, 1, 1, 1]]
