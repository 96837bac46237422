"""One sweep of value iteration on random MDPs, against QuantEcon's DiscreteDP on the same model."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
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
    from quantecon.markov import DiscreteDP  # an extra: needed only here

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
    """Yield the lines of the comparison, after checking that both compute the same.

    On a machine of its own every thread helps. Beside another busy program, threads that wait for each other cost more than
    they bring. A change of the number of threads is not free either, so each number has its own rounds.
    """
    mdp = random_model(STATES)
    theirs = quantecon_model(mdp)
    value = torch.rand(STATES, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    v, out = value.numpy(), np.empty(STATES)
    if not np.allclose(theirs.bellman_operator(v), sweep(mdp, value).numpy(), rtol=1e-12):
        raise AssertionError("QuantEcon and this package disagree about a sweep: nothing to compare.")
    contestants = {"theirs": partial(theirs.bellman_operator, v, Tv=out), "ours": partial(sweep, mdp, value)}
    yield f"One sweep of value iteration, {STATES:,} states x {ACTIONS} actions x {OUTCOMES} outcomes (same values)"
    yield f"  {'ms a sweep':40}{'QuantEcon':>12}{'this package':>14}{'ratio':>10}"
    for company, beside in ((nullcontext(), ""), (busy_program(), ", beside a busy program")):
        with company:
            for count in sorted({1, os.cpu_count() or 1}):
                with threads(count):
                    seconds = interleaved(contestants, repetitions=60)
                name = f"{count} thread{'s' * (count > 1)}{beside}"
                ratio = seconds["theirs"] / seconds["ours"]
                yield f"  {name:40}{1e3 * seconds['theirs']:12.2f}{1e3 * seconds['ours']:14.2f}{ratio:9.2f}x"


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let PyTorch use so many threads. QuantEcon's first sweep must come before: it resets the number for all libraries."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def busy_program() -> Iterator[None]:
    """Keep one core busy with another program, as a browser does on a learner's laptop."""
    program = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        program.kill()
        program.wait()


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
