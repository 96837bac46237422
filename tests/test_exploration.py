"""Draws of actions: their frequencies, run by run, and their independence."""

import math

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

from sac_tutorial.equations import boltzmann_policy, epsilon_greedy_policy
from sac_tutorial.tabular.exploration import boltzmann, epsilon_greedy
from tests.helpers import generator

DRAWS = 30_000


def rows(row: list[float]) -> Tensor:
    return torch.tensor(row, dtype=torch.float64).expand(DRAWS, -1)


def assert_drawn(action: Tensor, policy: Tensor) -> None:
    """Raise unless these actions are draws from the policy; actions of probability 0 must not occur."""
    assert action.dtype == torch.int64
    counts, possible = action.bincount(minlength=len(policy)), policy > 0
    assert not counts[~possible].any()
    if possible.sum() > 1:
        assert chisquare(counts[possible].tolist(), (len(action) * policy[possible]).tolist()).pvalue > 1e-6


@pytest.mark.parametrize("epsilon", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("row", [[-1, -2, -3], [3, -1, 3, 2], [-7, -7]], ids=["one best", "two best", "all equal"])
def test_frequencies_of_epsilon_greedy(row: list[float], epsilon: float) -> None:
    q = rows(row)
    assert_drawn(epsilon_greedy(q, epsilon, generator()), epsilon_greedy_policy(q[0], epsilon))


@pytest.mark.parametrize("epsilon", [0.0, 0.4])
@pytest.mark.parametrize("temperature", [0.5, 2.0, 1e12])
@pytest.mark.parametrize("offset", [0.0, -1e5])
def test_frequencies_of_boltzmann(temperature: float, epsilon: float, offset: float) -> None:
    q = rows([1, 3, 2, 0]) + offset
    policy = (1 - epsilon) * boltzmann_policy(q[0], temperature) + epsilon / 4
    assert_drawn(boltzmann(q, temperature, epsilon, generator()), policy)


def test_a_cold_draw_is_greedy_and_shares_ties_evenly() -> None:
    half = torch.tensor([0.5, 0, 0, 0.5], dtype=torch.float64)
    assert_drawn(boltzmann(rows([3e4, 1e4, 2.9e4, 3e4]), 1e-3, 0.0, generator()), half)


def test_every_run_has_its_own_epsilon_and_temperature() -> None:
    q = rows([1, 0, 2])
    settings = [(0.5, 0.0), (5.0, 0.5), (1.0, 1.0)]
    temperature, epsilon = torch.tensor(settings, dtype=torch.float64).repeat(DRAWS // 3, 1).T
    greedy, soft = epsilon_greedy(q, epsilon, generator()), boltzmann(q, temperature, epsilon, generator())
    for place, (alpha, rate) in enumerate(settings):
        assert_drawn(greedy[place::3], epsilon_greedy_policy(q[0], rate))
        assert_drawn(soft[place::3], (1 - rate) * boltzmann_policy(q[0], alpha) + rate / 3)


@pytest.mark.parametrize("learner", ["epsilon-greedy", "boltzmann"])
def test_runs_and_steps_draw_independently(learner: str) -> None:
    draw, policy = generator(), torch.tensor([0.25, 0.75], dtype=torch.float64)
    q = policy.log().expand(2, -1)  # with a temperature of 1 these are the probabilities, with ε = ½ too
    actions = torch.stack(
        [
            epsilon_greedy(q, 0.5, draw) if learner == "epsilon-greedy" else boltzmann(q, 1.0, 0.0, draw)
            for _ in range(2000)
        ]
    )
    pairs = torch.outer(policy, policy).flatten()
    assert_drawn(2 * actions[:, 0] + actions[:, 1], pairs)
    assert_drawn(2 * actions[:-1, 0] + actions[1:, 0], pairs)
    assert math.isclose(pairs.sum(), 1)
