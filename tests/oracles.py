"""Independent ways to the same numbers, and the MDPs that the tests share: plain loops, enumeration, linear programming."""

import math
from collections.abc import Callable, Sequence
from decimal import Decimal, localcontext
from itertools import product
from typing import Any

import numpy as np
import torch
from hypothesis import Phase, settings
from hypothesis import strategies as st
from scipy.optimize import brentq, linprog, minimize

from sac_tutorial.worlds.mdp import FiniteMDP

# The same examples everywhere, and none made smaller: a seed has no smaller neighbour that fails for the same reason.
FAST = settings(max_examples=25, deadline=None, derandomize=True, phases=(Phase.explicit, Phase.generate))


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


def minimized(function: Callable[[Any], float], start: Any, **options: Any) -> Any:
    """SciPy's smallest value, for the types' sake: its stubs know too many overloads."""
    return minimize(function, start, **options)


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


# Soft values, in plain Python


def plain_entropy(policy: Sequence[float]) -> float:
    """−Σ p log p, where 0 · log 0 = 0."""
    return -math.fsum(p * math.log(p) for p in policy if p > 0)


def plain_soft_value(row: Sequence[float], temperature: float) -> float:
    """α log Σ exp(q/α), with the largest taken out."""
    top = max(row)
    return top + temperature * math.log(math.fsum(math.exp((q - top) / temperature) for q in row))


def plain_soft_policy_value(row: Sequence[float], policy: Sequence[float], temperature: float) -> float:
    """Σ p (q − α log p) over the actions that are possible."""
    return math.fsum(p * (q - temperature * math.log(p)) for p, q in zip(policy, row, strict=True) if p > 0)


def plain_floored_policy(row: Sequence[float], floor: Sequence[float], temperature: float) -> list[float]:
    """The policy with π ≥ f that maximises Σ π (q − α log π): max(f, exp((q − λ)/α)), with λ found by bisection."""

    def policy(multiplier: float) -> list[float]:
        return [max(f, math.exp((q - multiplier) / temperature)) for q, f in zip(row, floor, strict=True)]

    low, high = (
        max(row),
        max(row) + temperature * 50,
    )  # one action alone has all there, and nothing beside its floor here
    return policy(brentq(lambda multiplier: sum(policy(multiplier)) - 1, low, high, xtol=1e-14))


def plain_fixed_point(mdp: FiniteMDP, value: Callable[[int, list[float]], float]) -> torch.Tensor:
    """The fixed point of Q = E[r + γ (1 − d) value(s′, Q(s′, ·))] by plain sweeps, until nothing is left of the start."""
    outcomes = [
        [list(zip(*pair, strict=True)) for pair in zip(*rows, strict=True)]
        for rows in zip(
            *(t.tolist() for t in (mdp.probability, mdp.next_state, mdp.reward, mdp.terminated)), strict=True
        )
    ]
    q = [[0.0] * mdp.actions for _ in range(mdp.states)]
    for _ in range(2 + int(np.ceil(-40 / np.log(max(mdp.discount, 1e-9))))):  # γ^k < e^-40
        v = [value(state, row) for state, row in enumerate(q)]
        q = [
            [sum(p * (r if d else r + mdp.discount * v[n]) for p, n, r, d in pair) for pair in state]
            for state in outcomes
        ]
    return torch.tensor(q, dtype=torch.float64)


def plain_soft_policy_q(mdp: FiniteMDP, policy: torch.Tensor, temperature: float) -> torch.Tensor:
    """Soft Q^π by plain sweeps."""
    rows = policy.tolist()
    return plain_fixed_point(mdp, lambda state, q: plain_soft_policy_value(q, rows[state], temperature))


def plain_soft_optimal_q(mdp: FiniteMDP, temperature: float) -> torch.Tensor:
    """Soft Q* by plain sweeps."""
    return plain_fixed_point(mdp, lambda _, q: plain_soft_value(q, temperature))


def decimal_soft_optimum(
    mdp: FiniteMDP, temperature: float, digits: int = 50
) -> tuple[list[list[Decimal]], list[list[Decimal]]]:
    """Soft Q* and π* to many digits: soft policy iteration in decimal arithmetic, equations solved by elimination."""
    with localcontext(prec=digits):
        discount, alpha = Decimal(mdp.discount), Decimal(temperature)
        pairs = list(product(range(mdp.states), range(mdp.actions)))
        reward, chain = {pair: Decimal(0) for pair in pairs}, {pair: [Decimal(0)] * mdp.states for pair in pairs}
        for (s, a), k in product(pairs, range(mdp.outcomes)):
            chance = Decimal(mdp.probability[s, a, k].item())
            reward[s, a] += chance * Decimal(mdp.reward[s, a, k].item())
            chain[s, a][int(mdp.next_state[s, a, k])] += chance * (not mdp.terminated[s, a, k])
        policy = [[1 / Decimal(mdp.actions)] * mdp.actions] * mdp.states
        while True:
            system: Any = [
                [(s == t) - discount * sum(p * chain[s, a][t] for a, p in enumerate(row)) for t in range(mdp.states)]
                + [sum(p * (reward[s, a] - alpha * p.ln()) for a, p in enumerate(row) if p)]
                for s, row in enumerate(policy)
            ]
            for s, t in product(range(mdp.states), repeat=2):  # I − γ P̃ is diagonally dominant: no need to pivot
                if s != t:
                    factor = system[t][s] / system[s][s]
                    system[t] = [x - factor * y for x, y in zip(system[t], system[s], strict=True)]
            value = [row[-1] / row[s] for s, row in enumerate(system)]
            q = [
                [
                    reward[s, a] + discount * sum((p * v for p, v in zip(chain[s, a], value, strict=True)), Decimal(0))
                    for a in range(mdp.actions)
                ]
                for s in range(mdp.states)
            ]
            weight = [[((x - max(row)) / alpha).exp() for x in row] for row in q]
            policy = [[w / sum(row) for w in row] for row in weight]
            best = (max(row) + alpha * sum(w, Decimal(0)).ln() for row, w in zip(q, weight, strict=True))
            if max(map(Decimal.__sub__, best, value)) < Decimal(10) ** -(digits // 2):  # the error is its square
                return q, policy


# Chains, step by step


def plain_chain(mdp: FiniteMDP, policy: torch.Tensor) -> list[list[float]]:
    """P̃^π(s′|s), outcome by outcome."""
    chain = [[0.0] * mdp.states for _ in range(mdp.states)]
    for s, a, k in product(range(mdp.states), range(mdp.actions), range(mdp.outcomes)):
        if not mdp.terminated[s, a, k]:
            chain[s][int(mdp.next_state[s, a, k])] += policy[s, a].item() * mdp.probability[s, a, k].item()
    return chain


def plain_visits(mdp: FiniteMDP, policy: torch.Tensor) -> list[float]:
    """Σ_t γ^t P(S_t = s), by following the distribution of S_t until nothing of it is left."""
    chain, now = plain_chain(mdp, policy), mdp.start_probability.tolist()
    count = [0.0] * mdp.states
    while sum(now) > 1e-17:
        count = [total + share for total, share in zip(count, now, strict=True)]
        now = [mdp.discount * sum(now[s] * chain[s][t] for s in range(mdp.states)) for t in range(mdp.states)]
    return count


def discounted_sum(mdp: FiniteMDP, policy: torch.Tensor, bonus: torch.Tensor) -> torch.Tensor:
    """E_π[Σ_t γ^t bonus(S_t) | S_0 = s] for every s, solved in NumPy."""
    system = np.eye(mdp.states) - mdp.discount * np.array(plain_chain(mdp, policy))
    return torch.from_numpy(np.linalg.solve(system, bonus.numpy()))
