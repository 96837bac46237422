"""Answers of learners to the exercises of lesson 01."""

# ruff: noqa: ARG005 wrong answers ignore what they are given

import math
from typing import Any

import numpy as np
import torch

from tests.students import LEAST, Right, Wrong
from tests.students.common import RETURN, TABLE, UPSIDE_DOWN


def loop_from_the_end(reward: Any, discount: Any) -> Any:
    total = torch.zeros(reward.shape[:-1], dtype=torch.float64)
    for step in reversed(range(reward.shape[-1])):
        total = reward[..., step] + discount * total
    return total


def count_up(discount: Any, tolerance: Any, first_error: Any) -> Any:
    sweeps, error = 0, first_error
    while error > tolerance:
        sweeps, error = sweeps + 1, error * discount
    return sweeps


def many_sweeps(policy: Any, expected_reward: Any, continuation_matrix: Any, discount: Any) -> Any:
    value = torch.zeros(len(policy), dtype=torch.float64)
    for _ in range(200):
        value = (policy * (expected_reward + discount * (continuation_matrix @ value))).sum(-1)
    return value


def loop_over_outcomes(
    probability: Any, next_state: Any, reward: Any, terminated: Any, value: Any, discount: Any
) -> Any:
    q = torch.zeros(probability.shape[:2], dtype=torch.float64)
    for s in range(q.shape[0]):
        for a in range(q.shape[1]):
            for k in range(probability.shape[2]):
                future = 0.0 if terminated[s, a, k] else discount * value[next_state[s, a, k]]
                q[s, a] += probability[s, a, k] * (reward[s, a, k] + future)
    return q


def returns_in_the_loop(reward: Any, discount: Any) -> Any:
    total = 0
    for k in range(reward.shape[-1]):
        total = total + discount**k * reward[..., k]
        return total  # noqa: RET504
    return None


def loop_that_ends_early(reward: Any, discount: Any) -> Any:
    return sum(discount**k * reward[..., k] for k in range(reward.shape[-1] - 1))


def multiplies_while_not_below(discount: Any, tolerance: Any, first_error: Any) -> Any:
    sweeps = 0
    while first_error >= tolerance:
        first_error, sweeps = first_error * discount, sweeps + 1
    return sweeps


def gives_up_after_a_hundred(discount: Any, tolerance: Any, first_error: Any) -> Any:
    for sweeps in range(100):
        if discount**sweeps * first_error <= tolerance:
            return sweeps
    return None


def sweeps_of(count: Any) -> Any:
    def iterated(policy: Any, expected_reward: Any, continuation_matrix: Any, discount: Any) -> Any:
        value = torch.zeros(len(policy), dtype=torch.float64)
        for _ in range(count):
            value = (policy * (expected_reward + discount * (continuation_matrix @ value))).sum(-1)
        return value

    return iterated


def ones_for_the_identity(p: Any, r: Any, c: Any, g: Any) -> Any:
    return torch.linalg.solve(1 - g * torch.einsum("sa,sat->st", p, c), (p * r).sum(-1))


RIGHT: Right = {
    "discounted_return": [loop_from_the_end, lambda r, g: (g ** torch.arange(r.shape[-1]) * r).sum(-1)],
    "state_value": [lambda q, p: torch.einsum("...a,...a->...", q, p)],
    "expected_backup": [loop_over_outcomes],
    "sweeps_needed": [
        count_up,
        lambda g, t, e: max(0.0, float(math.ceil(math.log(t / e, g)))),
        lambda g, t, e: np.maximum(0, np.ceil(np.log(t / e) / np.log(g))),
        lambda g, t, e: torch.tensor(t / e).log().div(math.log(g)).ceil().clamp(min=0),
    ],
    "solve_policy": [many_sweeps],
}

WRONG: Wrong = {
    "discounted_return": [
        ("mixed", lambda r, g: g * r.sum(-1), (LEAST, "discounts the very first reward already")),
        ("mixed", lambda r, g: (g ** torch.arange(r.shape[-1]) * r.abs()).sum(-1), "Costs are rewards too"),
        (
            "mixed",
            lambda r, g: ((torch.arange(r.shape[-1]) * torch.tensor(g).double().log()).exp() * r).sum(-1),
            "Where γ is 0: your answer contains NaN",
        ),
        ("prints", lambda r, g: print(r), RETURN, "not attempted"),
        ("returns in the loop", returns_in_the_loop, "does the `return` stand inside"),
        ("ends early", loop_that_ends_early, "leaves out the last reward"),
        ("γ once", lambda r, g: (g * r).sum(-1), (LEAST, "discounts the very first")),
        (
            "not summed",
            lambda r, g: g ** torch.arange(r.shape[-1]) * r,
            ("(), one number,", "Which axis should be summed or averaged away?"),
            TABLE,
        ),
        (".item()", lambda r, g: r.sum().item(), "is there an .item()?"),
        ("NumPy", lambda r, g: r.numpy().sum(-1), "it returns a NumPy number.", "float64"),
        ("pair", lambda r, g: r.max(-1), "a pair (values, indices)"),
    ],
    "state_value": [
        ("mixed", lambda q, p: (p * q).abs().sum(-1), "An average of negative numbers is negative"),
        ("mixed", lambda q, p: q.amax(-1) / q.shape[-1], "Actions that are never taken must not count"),
        ("axis 1", lambda q, p: (q * p).sum(1), "Count the axis from the end: -1.", "Actions that are never taken"),
        ("matrix product", lambda q, p: q @ p.T, "a matrix product (@)"),
    ],
    "expected_backup": [
        ("mixed", lambda p, n, r, d, v, g: (r + g * v[n]).mean(-1), (LEAST, "Your answer weighs all outcomes alike")),
        ("mixed", lambda p, n, r, d, v, g: (p * (r - g * ~d * v[n])).sum(-1), "With one outcome, Q is its"),
        (
            "not summed",
            lambda p, n, r, d, v, g: p * (r + g * ~d * v[n]),
            "one axis too many. Which axis should be summed or averaged away?",
            (TABLE, "keepdim"),
        ),
        (
            "likeliest target",
            lambda p, n, r, d, v, g: (p * (r + g * ~d * v[n])).amax(-1),
            "With one outcome, Q is its target",
            "likeliest",
        ),
        ("mean", lambda p, n, r, d, v, g: (p * (r + g * ~d * v[n])).mean(-1), "mean or sum?"),
        ("no γ", lambda p, n, r, d, v, g: (p * (r + ~d * v[n])).sum(-1), "Where is γ?"),
        ("mask", lambda p, n, r, d, v, g: (p * (r + g * d * v[n])).sum(-1), UPSIDE_DOWN),
        (
            "mean of rewards",
            lambda p, n, r, d, v, g: r.mean(-1) + g * (p * ~d * v[n]).sum(-1),
            (LEAST, "weighs all outcomes alike"),
        ),
    ],
    "sweeps_needed": [
        ("mixed", lambda g, t, e: math.ceil(math.log(t / e, g)), "nobody can do a negative number"),
        ("mixed", lambda g, t, e: math.floor(math.log(t, g)), (LEAST, "Your answer stops one sweep early")),
        ("while ≥", multiplies_while_not_below, "equal to it is good enough"),
        ("int + 1", lambda g, t, e: max(0, int(math.log(t / e) / math.log(g)) + 1), "equal to it is good enough"),
        ("gives up", gives_up_after_a_hundred, ("Where γ is 0.99:", RETURN), "−log γ"),
    ],
    "solve_policy": [
        ("mixed", lambda p, r, c, g: r.mean(-1), (LEAST, "averages the rewards of the actions without asking")),
        ("sixty sweeps", sweeps_of(60), "The future is long"),
        ("1 for I", ones_for_the_identity, "see torch.eye", "Nothing follows"),
        ("π P", lambda p, r, c, g: p @ c.sum(-1), "a matrix product (@)"),
    ],
}
