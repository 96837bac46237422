"""One sweep of value iteration on random MDPs, against QuantEcon's DiscreteDP on the same model."""

import importlib.util
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse
import torch
from torch import Tensor

from benchmarks.timing import interleaved
from sac_tutorial.equations import greedy_value
from sac_tutorial.exact.dynamic_programming import expected_target
from sac_tutorial.worlds.garnet import garnet
from sac_tutorial.worlds.mdp import FiniteMDP

STATES, ACTIONS, OUTCOMES, DISCOUNT = 100_000, 4, 3, 0.95


def missing() -> list[str]:
    """Return the name of the peer if it is not installed."""
    return [] if importlib.util.find_spec("quantecon") else ["QuantEcon"]


def random_model(states: int) -> FiniteMDP:
    """Without ends, which QuantEcon's model has no place for."""
    return garnet(states, ACTIONS, OUTCOMES, discount=DISCOUNT, generator=torch.Generator().manual_seed(0), ending=0)


def quantecon_model(mdp: FiniteMDP) -> Any:
    """The same MDP as QuantEcon's pairs of state and action, with a sparse transition matrix."""
    from quantecon.markov import DiscreteDP  # type: ignore[import-untyped]  # an extra: needed only here

    pairs, outcomes = mdp.states * mdp.actions, mdp.probability.shape[2]
    transitions = scipy.sparse.csr_matrix(
        (
            mdp.probability.flatten().numpy(),
            mdp.next_state.flatten().numpy(),
            np.arange(0, pairs * outcomes + 1, outcomes),
        ),
        shape=(pairs, mdp.states),
        copy=True,  # or the next line would sort the model's own tensors
    )
    transitions.sum_duplicates()
    state, action = np.repeat(np.arange(mdp.states), mdp.actions), np.tile(np.arange(mdp.actions), mdp.states)
    return DiscreteDP(mdp.expected_reward.flatten().numpy(), transitions, mdp.discount, state, action)


def sweep(mdp: FiniteMDP, value: Tensor) -> Tensor:
    """One sweep as `dynamic_programming` does it, from V to V."""
    return greedy_value(expected_target(mdp, value))


def compare() -> Iterator[str]:
    """Yield the lines of the comparison, after checking that both compute the same."""
    mdp = random_model(STATES)
    theirs = quantecon_model(mdp)
    value = torch.rand(STATES, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    v, out, greedy = value.numpy(), np.empty(STATES), np.empty(STATES, dtype=int)
    if not np.allclose(theirs.bellman_operator(v), sweep(mdp, value).numpy(), rtol=1e-12):
        raise AssertionError("QuantEcon and this package disagree about a sweep: nothing to compare.")
    seconds = interleaved(
        {
            "QuantEcon": partial(theirs.bellman_operator, v, Tv=out),
            "QuantEcon, with the greedy policy": partial(theirs.bellman_operator, v, Tv=out, sigma=greedy),
            "this package": partial(sweep, mdp, value),
        },
        repetitions=60,
    )
    yield f"One sweep of value iteration, {STATES:,} states x {ACTIONS} actions x {OUTCOMES} outcomes (same values)"
    yield f"  {'':36}{'ms a sweep':>12}{'ratio':>10}"
    for name, each in seconds.items():
        yield f"  {name:36}{1e3 * each:12.2f}{seconds['QuantEcon'] / each:9.2f}x"


def cost_by_size() -> Iterator[str]:
    """Yield the cost of a sweep from 10³ to 10⁶ states: linear in outcomes, until memory no longer fits the caches."""
    yield f"The cost of a sweep, {ACTIONS} actions x {OUTCOMES} outcomes"
    yield f"  {'states':>10}{'outcomes':>14}{'ms a sweep':>14}{'ns an outcome':>16}"
    for states in (1_000, 10_000, 100_000, 1_000_000):
        mdp = random_model(states)
        value = torch.rand(states, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        seconds = interleaved({"sweep": partial(sweep, mdp, value)}, repetitions=max(10, 1_000_000 // states))["sweep"]
        outcomes = states * ACTIONS * OUTCOMES
        yield f"  {states:10,}{outcomes:14,}{1e3 * seconds:14.3f}{1e9 * seconds / outcomes:16.2f}"
