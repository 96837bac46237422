"""Problems on a line: the grid against closed forms, squashed Gaussians against SciPy, and the vector environments."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.optimize import minimize
from scipy.stats import kstest, norm
from torch import Tensor
from torch.distributions import Normal, TanhTransform, TransformedDistribution

from sac_tutorial.equations import entropy, soft_policy_value, soft_value
from sac_tutorial.exact.dynamic_programming import policy_q, soft_optimal_q, soft_policy_iteration
from sac_tutorial.worlds.line_problem import LineProblem, grid, midpoints
from sac_tutorial.worlds.line_vector_env import LineVectorEnv
from sac_tutorial.worlds.mdp import FiniteMDP
from sac_tutorial.worlds.squashed_gaussians import SquashedGaussians, cell_probabilities
from tests.helpers import generator

RUNS = 5


def double(values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


# On a grid


def test_a_small_grid_by_hand() -> None:
    problem = LineProblem(lambda x, a: 10 * x + a, lambda x, a: x + a, discount=0.5)
    mdp = problem.on_grid(3, 4)  # states −1, 0, 1; actions −3/4, −1/4, 1/4, 3/4
    assert grid(3).tolist() == [-1, 0, 1] and midpoints(4).tolist() == [-0.75, -0.25, 0.25, 0.75]
    assert mdp.discount == 0.5 and mdp.start_probability.tolist() == [1 / 3] * 3 and not mdp.terminated.any()
    expected = [
        [[1, 0, 0], [1, 0, 0], [0.75, 0.25, 0], [0.25, 0.75, 0]],  # a move beyond −1 stops at −1
        [[0.75, 0.25, 0], [0.25, 0.75, 0], [0, 0.75, 0.25], [0, 0.25, 0.75]],
        [[0, 0.75, 0.25], [0, 0.25, 0.75], [0, 0, 1], [0, 0, 1]],
    ]
    torch.testing.assert_close(mdp.transition_matrix, double(expected))
    for state, x in enumerate((-1, 0, 1)):
        for action, a in enumerate((-0.75, -0.25, 0.25, 0.75)):
            assert mdp.reward[state, action].tolist() == [10 * x + a] * 2


def test_a_problem_without_moves_ends_after_one_action() -> None:
    mdp = LineProblem(lambda x, a: x * a).on_grid(4, 3)
    assert mdp.terminated.all() and (mdp.states, mdp.actions) == (4, 3)
    assert torch.equal(mdp.expected_reward, grid(4)[:, None] * midpoints(3))
    torch.testing.assert_close(mdp.transition_matrix, torch.eye(4, dtype=torch.float64).unsqueeze(1).expand(4, 3, 4))
    torch.testing.assert_close(policy_q(mdp, torch.full((4, 3), 1 / 3, dtype=torch.float64)), mdp.expected_reward)


@pytest.mark.parametrize("where", [-5.0, -1.0, 1.0, 5.0])
def test_moves_beyond_an_edge_stop_at_the_edge(where: float) -> None:
    problem = LineProblem(torch.mul, lambda x, a: torch.full_like(x + a, where))
    edge = max(-1.0, min(1.0, where))
    assert problem.next_state(double([0.3]), double([0.2])).tolist() == [edge]
    chance = problem.on_grid(5, 2).transition_matrix
    assert (chance[..., 0 if where < 0 else -1] == 1).all() and (chance.sum(-1) == 1).all()


def orders(error: Callable[[int], float], size: int) -> list[float]:
    """By which power of the spacing the error falls, from each halving to the next."""
    errors = [error(size * 2**k) for k in range(4)]
    return [math.log2(one / other) for one, other in pairwise(errors)]


def test_values_of_a_policy_on_the_grid_converge_with_the_square_of_the_spacing() -> None:
    # With a even on [−1, 1] and x′ = (x + a)/2, E x′² = x²/4 + 1/12, so V = c x² + d, where r = x² − a².
    discount = 0.9
    c = 1 / (1 - discount / 4)
    d = (discount * c / 12 - 1 / 3) / (1 - discount)
    problem = LineProblem(lambda x, a: x**2 - a**2, lambda x, a: (x + a) / 2, discount=discount)

    def error(size: int) -> float:
        states, actions = size + 1, size
        mdp = problem.on_grid(states, actions)
        q = policy_q(mdp, torch.full((states, actions), 1 / actions, dtype=torch.float64))
        x, a = grid(states)[:, None], midpoints(actions)
        exact = x**2 - a**2 + discount * (c * ((x + a) / 2) ** 2 + d)
        return (q - exact).abs().max().item()

    assert error(160) < 1e-3
    assert orders(error, 10) == pytest.approx([2, 2, 2], abs=0.1)


@pytest.mark.parametrize("temperature", [0.2, 1.0])
def test_the_soft_optimum_on_the_grid_converges_once_cells_are_densities(temperature: float) -> None:
    # r = a in every state: V = α log ∫ exp((a + γ V)/α) da, the same everywhere, and π ∝ exp(a/α).
    discount, one = 0.8, 1 / temperature
    exact = temperature * math.log(2 * math.sinh(one) / one) / (1 - discount)
    problem = LineProblem(lambda x, a: a + 0 * x, lambda x, a: a + 0 * x, discount=discount)

    def error(size: int) -> float:
        mdp, width = problem.on_grid(size + 1, size), 2 / size
        mdp = attrs.evolve(mdp, reward=mdp.reward + discount * temperature * math.log(width))  # equation (7.18)
        value = soft_value(soft_optimal_q(mdp, temperature), temperature) + temperature * math.log(width)
        return (value - exact).abs().max().item()

    assert orders(error, 10) == pytest.approx([2, 2, 2], abs=0.1)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda problem: problem.on_grid(1, 3), ValueError, "states must be at least 2, but is 1"),
        (lambda problem: problem.on_grid(2.0, 3), TypeError, "states must be a whole number"),
        (lambda problem: problem.on_grid(3, 0), ValueError, "actions must be at least 1"),
        (lambda problem: problem.on_grid(3, 1.5), TypeError, "actions must be a whole number"),
        (
            lambda problem: attrs.evolve(problem, reward=lambda x, a: 1 / (0 * x * a)).on_grid(3, 3),
            ValueError,
            "finite",
        ),
        (lambda problem: attrs.evolve(problem, discount=1.0), ValueError, r"discount must lie in \[0, 1\)"),
        (lambda problem: attrs.evolve(problem, discount=math.nan), ValueError, "discount must lie in"),
        (lambda problem: attrs.evolve(problem, discount="0.9"), TypeError, "discount must be a number"),
        (lambda _: cell_probabilities(torch.zeros(1), torch.zeros(1), 0), ValueError, "actions must be at least 1"),
        (lambda _: SquashedGaussians(2.5), TypeError, "actions must be a whole number"),  # type: ignore[arg-type]
    ],
)
def test_bad_numbers_are_refused(call: Callable[[LineProblem], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call(LineProblem(lambda x, a: x + a, lambda x, a: x * a))


def test_the_smallest_grids_there_are() -> None:
    mdp = LineProblem(lambda x, a: x + a, lambda x, a: x / 2 + a).on_grid(2, 1)
    assert mdp.transition_matrix.tolist() == [[[0.75, 0.25]], [[0.25, 0.75]]]
    assert mdp.expected_reward.tolist() == [[-1], [1]]


# The cells of a squashed Gaussian

MEANS, LOG_STDS = double([[0.0, 0.7, -1.5], [3.0, -6.0, 0.1]]), double([[0.0, -1.0, 0.5], [-2.0, -0.5, -5.0]])


def test_cells_have_the_integral_of_the_density_over_them() -> None:
    actions = 7
    found = cell_probabilities(MEANS, LOG_STDS, actions)
    assert found.shape == (2, 3, actions) and found.dtype == torch.float64
    torch.testing.assert_close(found.sum(-1), torch.ones(2, 3, dtype=torch.float64), rtol=0, atol=1e-14)
    edges = np.linspace(-1, 1, actions + 1)
    for place in np.ndindex(2, 3):
        mean, std = MEANS[place].item(), LOG_STDS[place].exp().item()

        def density(a: float, mean: float = mean, std: float = std) -> float:
            return norm.pdf(math.atanh(a), mean, std) / (1 - a * a)

        peak = math.tanh(mean)
        for cell in range(actions):
            low, high = max(edges[cell], -1 + 1e-15), min(edges[cell + 1], 1 - 1e-15)
            width = std * (1 - peak**2)  # the density is as narrow as that where it is high
            points = [peak + k * width for k in (-8, -3, -1, 0, 1, 3, 8) if low < peak + k * width < high]
            wanted, _ = quad(density, low, high, points=points or None, limit=400, epsabs=1e-13)
            assert found[place][cell].item() == pytest.approx(wanted, abs=1e-9)


def test_cells_far_in_either_tail_keep_their_digits() -> None:
    actions = 8
    edges = np.array([-np.inf, *np.arctanh(np.linspace(-1, 1, actions + 1)[1:-1]), np.inf])
    for mean, std in ((-3.0, 0.3), (3.0, 0.3), (0.0, 0.05), (0.5, 0.04), (-0.5, 0.04)):
        found = cell_probabilities(double(mean), double(math.log(std)), actions)
        low, high = (edges[:-1] - mean) / std, (edges[1:] - mean) / std
        below, above = norm.cdf(high) - norm.cdf(low), norm.sf(low) - norm.sf(high)
        wanted = np.where(low > 0, above, below)
        assert (wanted > 0).sum() >= 4 and wanted.min() < 1e-15
        np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-9)
        mirrored = cell_probabilities(double(-mean), double(math.log(std)), actions).flip(-1)
        np.testing.assert_allclose(found.numpy(), mirrored.numpy(), rtol=1e-9)


def test_cells_have_the_frequencies_of_draws() -> None:
    mean, log_std, actions, count = torch.tensor(0.4), torch.tensor(-0.3), 6, 200_000
    drawn = torch.tanh(mean + log_std.exp() * torch.randn(count, generator=generator()))
    share = torch.histc(drawn, actions, -1, 1) / count
    chance = cell_probabilities(mean, log_std, actions)
    assert ((share - chance).abs() < 6 * (chance / count).sqrt()).all()


def test_a_single_cell_is_certain_and_a_narrow_gaussian_lies_in_the_cell_of_its_median() -> None:
    assert cell_probabilities(double([0.3, -9.0]), double([-1.0, 1.0]), 1).tolist() == [[1], [1]]
    narrow = cell_probabilities(midpoints(10).atanh(), torch.full((10,), -20.0), 10)
    torch.testing.assert_close(narrow, torch.eye(10, dtype=torch.float64))


# The nearest of the family


def plain_divergence(policy: Tensor, boltzmann: Tensor) -> float:
    pairs = zip(policy.tolist(), boltzmann.tolist(), strict=True)
    return sum(p * math.log(p / b) if b > 0 else math.inf for p, b in pairs if p > 0)


def test_the_nearest_candidate_has_the_smallest_divergence_to_the_policy() -> None:
    family = SquashedGaussians(9, torch.linspace(-1, 1, 5).double(), torch.linspace(-2, 0.5, 4).double())
    assert family.mean.shape == family.log_std.shape == (20,) and family.probability.shape == (20, 9)
    assert len({(m, s) for m, s in zip(family.mean.tolist(), family.log_std.tolist(), strict=True)}) == 20
    torch.testing.assert_close(family.probability, cell_probabilities(family.mean, family.log_std, 9))
    draw = generator()
    boltzmann = torch.softmax(2 * torch.randn(3, 6, 9, generator=draw, dtype=torch.float64), -1)
    nearest = family.nearest(boltzmann)
    assert nearest.shape == (3, 6) and nearest.dtype == torch.int64 and len(set(nearest.flatten().tolist())) > 4
    other_way = 0
    for place in np.ndindex(3, 6):
        distances = [plain_divergence(row, boltzmann[place]) for row in family.probability]
        assert nearest[place] == int(np.argmin(distances))
        other_way += int(
            np.argmin([plain_divergence(boltzmann[place], row) for row in family.probability]) != nearest[place]
        )
    assert other_way > 3  # the divergence from the policy to the candidate finds others
    assert torch.equal(family.project(boltzmann), family.probability[nearest])
    assert torch.equal(family.nearest(boltzmann[0].float()), nearest[0])


def test_members_of_the_family_are_nearest_to_themselves() -> None:
    family = SquashedGaussians(50)
    assert family.mean.min() == -3 and family.mean.max() == 3 and len(family.mean) == 241 * 81
    assert family.log_std.min() == -4 and family.log_std.max() == 1
    some = torch.arange(3 * 81 + 40, 241 * 81, 997)
    torch.testing.assert_close(family.project(family.probability[some]), family.probability[some])


def test_cells_of_probability_zero_are_avoided() -> None:
    family = SquashedGaussians(40)
    half = torch.zeros(40, dtype=torch.float64)
    half[20:] = 1 / 20
    (policy,) = family.project(half.unsqueeze(0))
    assert policy.isfinite().all() and policy[:20].sum() < 0.01 and policy[20:].max() < 0.2


def quadrature(q: Callable[[Tensor], Tensor], temperature: float) -> tuple[float, float]:
    """Return μ and log σ of the squashed Gaussian that maximises E Q − α log π for the values q(a), by Gauss–Hermite."""
    node, weight = (double(part) for part in np.polynomial.hermite_e.hermegauss(80))
    weight = weight / weight.sum()

    def loss(parameters: Any) -> float:
        mean, std = double(parameters[0]), double(math.exp(parameters[1]))
        transform = TanhTransform(cache_size=1)
        action = transform(mean + std * node)
        log_density: Tensor = TransformedDistribution(Normal(mean, std), [transform]).log_prob(action)  # type: ignore[no-untyped-call]
        return float((weight * (temperature * log_density - q(action))).sum())

    found = minimize(loss, [0.1, -0.5], method="Nelder-Mead", options={"xatol": 1e-3, "fatol": 1e-7})
    return float(found.x[0]), float(found.x[1])


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_the_nearest_candidate_is_the_best_squashed_gaussian(temperature: float) -> None:
    def q(action: Tensor) -> Tensor:
        return -((action - 0.35) ** 2) + 0.3 * torch.sin(2 * action)

    mean, log_std = quadrature(q, temperature)
    cells = 100
    family = SquashedGaussians(cells, mean + torch.arange(-20, 21) * 0.01, log_std + torch.arange(-20, 21) * 0.01)
    nearest = family.nearest(torch.softmax(q(midpoints(cells)) / temperature, -1))
    assert abs(family.mean[nearest] - mean) < 0.021 and abs(family.log_std[nearest] - log_std) < 0.021
    usual = SquashedGaussians(cells)  # its candidates lie 0.025 and 0.0625 apart
    nearest = usual.nearest(torch.softmax(q(midpoints(cells)) / temperature, -1))
    assert abs(usual.mean[nearest] - mean) < 0.051 and abs(usual.log_std[nearest] - log_std) < 0.13


def test_the_largest_entropy_of_the_family_is_just_below_that_of_the_uniform_density() -> None:
    cells = 2_000
    family = SquashedGaussians(cells, double([-0.1, 0.0, 0.1]), torch.linspace(-0.3, 0.0, 61, dtype=torch.float64))
    nearest = family.nearest(torch.full((cells,), 1 / cells, dtype=torch.float64))
    assert family.mean[nearest] == 0 and family.log_std[nearest].exp().item() == pytest.approx(0.87, abs=0.01)
    most = entropy(family.probability[nearest]).item() + math.log(2 / cells)
    assert most == pytest.approx(0.6836, abs=1e-4) and most < math.log(2)
    assert most == pytest.approx((entropy(family.probability) + math.log(2 / cells)).max().item())


def test_soft_policy_iteration_within_the_family_improves_and_stays_below_the_optimum() -> None:
    states, cells, temperature = 21, 40, 0.3
    mdp = walk().on_grid(states, cells)
    family = SquashedGaussians(cells)
    first = family.project(torch.full((states, cells), 1 / cells, dtype=torch.float64))
    rounds = list(soft_policy_iteration(mdp, temperature, policy=first, project=family.project))
    values = [soft_policy_value(policy_q(mdp, one.policy, temperature), one.policy, temperature) for one in rounds]
    for before, after in pairwise(values):
        assert (after > before - 1e-9).all()
    best = soft_value(soft_optimal_q(mdp, temperature), temperature)
    assert (values[-1] < best).all() and (values[-1] - values[0]).max() > 0.1
    assert (best - values[-1]).max() < 0.2


# The vector environments; tests/test_vector_env.py tests what they share with those of a FiniteMDP


def walk() -> LineProblem:
    return LineProblem(lambda x, a: -(x**2) - 0.1 * a**2, lambda x, a: x + 0.5 * a, discount=0.8)


def acts(*values: float) -> NDArray[np.float32]:
    return np.array(values, dtype=np.float32).reshape(-1, 1)


def test_it_plays_the_problem() -> None:
    envs = LineVectorEnv(walk(), RUNS)
    assert envs.single_observation_space == envs.single_action_space == Box(-1, 1, (1,), dtype=np.float32)
    assert envs.time_limit == 20
    envs.reset(seed=0)
    envs.state = double([-1.0, -0.5, 0.0, 0.5, 0.9])
    seen, reward, terminated, truncated, _ = envs.step(acts(-1, 1, 0.5, 0.25, 1))
    assert seen.tolist() == [[-1], [0], [0.25], [0.625], [1]]
    np.testing.assert_allclose(
        reward, [-1.1, -0.35, -0.025, -0.25625, -0.91], rtol=1e-12
    )  # of the state before the move
    assert not (terminated | truncated).any()
    assert envs.state.dtype == torch.float64 and envs.state.tolist() == [-1, 0, 0.25, 0.625, 1]


def test_episodes_begin_evenly_and_independently() -> None:
    envs = LineVectorEnv(walk(), 4_000)
    first = envs.reset(seed=0)[0]
    later = envs.reset(options={"reset_mask": np.ones(4_000, dtype=np.bool_)})[0]
    for seen in (first, later):
        assert kstest(seen[:, 0], "uniform", (-1, 2)).pvalue > 1e-6 and seen.min() < -0.99 and seen.max() > 0.99
    assert abs(np.corrcoef(first[:, 0], later[:, 0])[0, 1]) < 6 / math.sqrt(4_000)


@pytest.mark.parametrize("limit", [1, 20])
def test_without_moves_every_step_terminates_and_stays_in_its_state(limit: int) -> None:
    envs = LineVectorEnv(LineProblem(lambda x, a: 2 * x + a), RUNS, time_limit=limit)
    first, _ = envs.reset(seed=0)
    seen, reward, terminated, truncated, _ = envs.step(acts(-1, -0.5, 0, 0.5, 1))
    assert np.array_equal(first, seen) and terminated.all() and not truncated.any()
    np.testing.assert_allclose(reward, 2 * first[:, 0] + [-1, -0.5, 0, 0.5, 1], rtol=1e-6)


def test_rewards_share_no_memory_with_later_states() -> None:
    def stay(x: Tensor, _: Tensor) -> Tensor:
        return x  # the very tensor that the environment keeps

    for problem in (LineProblem(stay), LineProblem(stay, stay)):
        envs = LineVectorEnv(problem, RUNS)
        envs.reset(seed=0)
        seen, reward, *_ = envs.step(acts(*[0.5] * RUNS))
        kept = seen.copy(), reward.copy()
        envs.step(acts(*[-0.5] * RUNS))
        envs.reset()
        assert np.array_equal(seen, kept[0]) and np.array_equal(reward, kept[1])


@pytest.mark.parametrize(
    "actions",
    [
        np.zeros(RUNS, dtype=np.float32),
        np.zeros((1, 1), dtype=np.float32),
        np.zeros((RUNS, 2), dtype=np.float32),
        acts(0, 0, 1.001, 0, 0),
        acts(0, -1.5, 0, 0, 0),
        acts(0, 0, 0, 0, math.nan),
    ],
)
def test_actions_outside_the_action_space_are_refused_and_change_nothing(actions: NDArray[np.float32]) -> None:
    envs = LineVectorEnv(walk(), RUNS)
    envs.reset(seed=0)
    before = envs.state.clone()
    with pytest.raises(ValueError, match=r"actions must have the shape \(5, 1\) and lie in \[-1, 1\], but are"):
        envs.step(actions)
    assert torch.equal(envs.state, before)


def played(seed: Any, first_action: float = 0.3, time_limit: int = 4) -> list[NDArray[Any]]:
    """Observations, and what 30 steps return; run 0 takes `first_action`, the other runs 0.3."""
    envs = LineVectorEnv(walk(), RUNS, time_limit=time_limit)
    kept: list[NDArray[Any]] = [envs.reset(seed=seed)[0]]
    for number in range(1, 31):
        seen, reward, terminated, truncated, _ = envs.step(acts(first_action, *[0.3] * (RUNS - 1)))
        assert (truncated == (number % time_limit == 0)).all() and not terminated.any()
        kept += [seen, reward]
        if truncated.any():
            kept.append(envs.reset(options={"reset_mask": truncated})[0])
    return kept


def test_no_run_depends_on_the_actions_of_another_run() -> None:
    for calm, disturbed in zip(played(3), played(3, first_action=-0.8), strict=True):
        assert np.array_equal(calm[1:], disturbed[1:])
    assert not np.array_equal(played(3)[1][0], played(3, first_action=-0.8)[1][0])


@pytest.mark.parametrize("seed", [7, [7, 8, 9, 10, 11], [7, None, None, None, None]])
def test_a_seed_repeats_the_draws(seed: Any) -> None:
    for one, other in zip(played(seed), played(7), strict=True):
        assert np.array_equal(one, other)
    assert not np.array_equal(played(seed)[0], played(8)[0])
    assert not np.array_equal(played(None)[0], played(None)[0])


def test_the_grid_and_the_environments_are_the_same_problem() -> None:
    # If each next state is a grid point, the steps of both agree.
    problem = LineProblem(lambda x, a: x * a + a**2, lambda x, a: x + 2 * a)
    states, actions = 9, 8  # states ¼ apart, and actions −7/8, …, 7/8, so that 2a is a multiple of ¼
    mdp = problem.on_grid(states, actions)
    assert isinstance(mdp, FiniteMDP) and set(mdp.probability.flatten().tolist()) == {0.0, 1.0}
    envs = LineVectorEnv(problem, states)
    for action, a in enumerate(midpoints(actions).tolist()):
        envs.reset(seed=0)
        envs.state = grid(states)
        seen, reward, *_ = envs.step(acts(*[a] * states))
        torch.testing.assert_close(torch.from_numpy(reward), mdp.expected_reward[:, action])
        wanted = mdp.transition_matrix[:, action] @ grid(states)
        torch.testing.assert_close(torch.from_numpy(seen[:, 0]).double(), wanted)
