"""Independent ways to the same numbers, and the MDPs that the tests share: plain loops, enumeration, linear programming."""

from itertools import product

import numpy as np
import torch
from hypothesis import Phase, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from sac_tutorial.mdp import FiniteMDP

# The same examples everywhere, and none made smaller: a seed has no smaller neighbour that fails for the same reason.
FAST = settings(max_examples=40, deadline=None, derandomize=True, phases=(Phase.explicit, Phase.generate))


def three_states() -> FiniteMDP:
    """Three states, two actions, up to four outcomes; repeated next states, an end in the middle, dyadic numbers."""
    return FiniteMDP.from_outcomes(
        [
            [
                [(0.25, 1, 4.0, False), (0.25, 1, 8.0, True), (0.25, 2, -4.0, False), (0.25, 1, 16.0, False)],
                [(1.0, 2, 1.0, False)],
            ],
            [
                [(0.5, 0, 2.0, False), (0.5, 2, 6.0, True)],
                [(0.125, 1, 8.0, False), (0.875, 0, 0.0, False)],
            ],
            [
                [(1.0, 0, 32.0, True)],
                [(0.5, 0, -2.0, False), (0.25, 1, 0.0, False), (0.25, 2, 4.0, True)],
            ],
        ],
        start_probability=torch.tensor([0.5, 0.0, 0.5], dtype=torch.float64),
        discount=0.5,
        state_labels=("hut", "lake", "peak"),
        action_labels=("walk", "ride"),
    )


def random_mdp(seed: int, states: int, actions: int, outcomes: int, discount: float) -> FiniteMDP:
    """An MDP with impossible outcomes in any position, repeated next states, ends, and rewards of both signs."""
    rng = np.random.default_rng(seed)
    shape = (states, actions, outcomes)
    weight = rng.exponential(size=shape) * (rng.random(shape) < 0.7)
    certain = rng.integers(outcomes, size=(states, actions, 1))
    np.put_along_axis(weight, certain, 1.0, -1)  # at least one outcome is possible
    return FiniteMDP(
        probability=torch.from_numpy(weight / weight.sum(-1, keepdims=True)),
        next_state=torch.from_numpy(rng.integers(states, size=shape)),
        reward=torch.from_numpy(rng.normal(size=shape)),
        terminated=torch.from_numpy(rng.random(shape) < 0.2),
        start_probability=torch.from_numpy(rng.dirichlet(np.ones(states))),
        discount=discount,
    )


def mdps(
    *, states: int = 5, actions: int = 4, outcomes: int = 4, discount: float = 0.95
) -> st.SearchStrategy[FiniteMDP]:
    """Random MDPs up to these sizes and this discount."""
    return st.builds(
        random_mdp,
        st.integers(0, 2**32 - 1),
        st.integers(1, states),
        st.integers(1, actions),
        st.integers(1, outcomes),
        st.floats(0, discount),
    )


def random_q(seed: int, mdp: FiniteMDP, scale: float = 10.0) -> torch.Tensor:
    """A table of normal values."""
    return torch.from_numpy(np.random.default_rng(seed).normal(scale=scale, size=(mdp.states, mdp.actions)))


def random_policy(seed: int, mdp: FiniteMDP) -> torch.Tensor:
    """A policy drawn uniformly from the simplices."""
    return torch.from_numpy(np.random.default_rng(seed).dirichlet(np.ones(mdp.actions), size=mdp.states))


def plain_backup(mdp: FiniteMDP, value: torch.Tensor) -> torch.Tensor:
    """The averaged target, outcome by outcome, as equation (1.9) reads aloud."""
    q = torch.zeros(mdp.states, mdp.actions, dtype=torch.float64)
    for s, a, k in product(range(mdp.states), range(mdp.actions), range(mdp.probability.shape[2])):
        target = mdp.reward[s, a, k].item()
        if not mdp.terminated[s, a, k]:
            target += mdp.discount * value[mdp.next_state[s, a, k]].item()
        q[s, a] += mdp.probability[s, a, k].item() * target
    return q


def plain_policy_q(mdp: FiniteMDP, policy: torch.Tensor) -> torch.Tensor:
    """Q^π by plain sweeps for so long that nothing is left of the start."""
    q = torch.zeros(mdp.states, mdp.actions, dtype=torch.float64)
    for _ in range(2 + int(np.ceil(-40 / np.log(max(mdp.discount, 1e-9))))):  # γ^k < e^-40
        q = plain_backup(mdp, (policy * q).sum(1))
    return q


def best_of_all_policies(mdp: FiniteMDP) -> torch.Tensor:
    """Q* by trying every deterministic policy: the largest V^π in every state, solved in NumPy."""
    p, n, r, d = (t.numpy() for t in (mdp.probability, mdp.next_state, mdp.reward, mdp.terminated))
    best = np.full(mdp.states, -np.inf)
    for choice in product(range(mdp.actions), repeat=mdp.states):
        system, reward = np.eye(mdp.states), np.zeros(mdp.states)
        for s, a in enumerate(choice):
            for k in range(p.shape[2]):
                reward[s] += p[s, a, k] * r[s, a, k]
                system[s, n[s, a, k]] -= mdp.discount * p[s, a, k] * (not d[s, a, k])
        best = np.maximum(best, np.linalg.solve(system, reward))
    return plain_backup(mdp, torch.from_numpy(best))


def linear_program(mdp: FiniteMDP) -> torch.Tensor:
    """Q* by linear programming: the smallest V with V(s) ≥ r̄(s,a) + γ Σ P̃ V for every s and a."""
    p, n, r, d = (t.numpy() for t in (mdp.probability, mdp.next_state, mdp.reward, mdp.terminated))
    rows, limits = [], []
    for s, a in product(range(mdp.states), range(mdp.actions)):
        row, limit = np.zeros(mdp.states), 0.0
        row[s] -= 1
        for k in range(p.shape[2]):
            row[n[s, a, k]] += mdp.discount * p[s, a, k] * (not d[s, a, k])
            limit -= p[s, a, k] * r[s, a, k]
        rows.append(row)
        limits.append(limit)
    answer = linprog(np.ones(mdp.states), A_ub=np.array(rows), b_ub=limits, bounds=(None, None), method="highs")
    assert answer.success, answer.message
    return plain_backup(mdp, torch.from_numpy(answer.x))
