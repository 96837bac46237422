"""Answers of learners to the exercises of lesson 03."""

# ruff: noqa: ARG001, ARG005 wrong answers ignore what they are given

import math
from typing import Any

import torch

from tests.students import LEAST, Right, Wrong
from tests.students.common import MAX_OVER_BATCH, ONE_TRUTH, TABLE


def by_autograd(weights: Any, features: Any, action: Any, target: Any, step_size: Any) -> Any:
    weights = weights.clone().requires_grad_()
    q = weights[torch.arange(len(weights)), action].mul(features).sum(-1)
    (gradient,) = torch.autograd.grad((0.5 * (target - q) ** 2).sum(), weights)
    return (weights - step_size * gradient).detach()


def loop_over_the_runs_of_a_linear_q(weights: Any, features: Any, action: Any, target: Any, step_size: Any) -> Any:
    weights = weights.clone()
    for run, a in enumerate(action.tolist()):
        error = target[run] - weights[run, a] @ features[run]
        weights[run, a] += step_size * error * features[run]
    return weights


def without_remembering(reward: Any, terminated: Any, online_next_q: Any, target_next_q: Any, discount: Any) -> Any:
    with torch.no_grad():
        return reward + discount * (1 - terminated.double()) * target_next_q.max(-1)[0]


def detached_at_the_end(reward: Any, terminated: Any, online_next_q: Any, target_next_q: Any, discount: Any) -> Any:
    return torch.where(terminated, reward, reward + discount * target_next_q.amax(-1)).detach()


def q_of(weights: Any, features: Any) -> Any:
    return (weights @ features.unsqueeze(-1)).squeeze(-1)


def changes_the_weights(w: Any, f: Any, a: Any, y: Any, n: Any) -> Any:
    w[torch.arange(len(w)), a] += n * (y - (w[torch.arange(len(w)), a] * f).sum(-1)).unsqueeze(-1) * f
    return w


def at_every_run(w: Any, f: Any, a: Any, y: Any, n: Any) -> Any:
    new = w.clone()
    new[:, a] += n * (y - (w[:, a] * f.unsqueeze(1)).sum(-1)).unsqueeze(-1) * f.unsqueeze(1)
    return new


def by_autograd_of(loss: Any) -> Any:
    def step(w: Any, f: Any, a: Any, y: Any, n: Any) -> Any:
        w = w.clone().requires_grad_()
        error = y - (w[torch.arange(len(w)), a] * f).sum(-1)
        return (w - n * torch.autograd.grad(loss(error), w)[0]).detach()

    return step


def with_the_mean_for_the_sum(w: Any, f: Any, a: Any, y: Any, n: Any) -> Any:
    new, run = w.clone(), torch.arange(len(w))
    new[run, a] += n * (y - (w[run, a] * f).mean(-1)).unsqueeze(-1) * f
    return new


RIGHT: Right = {
    "semi_gradient_step": [by_autograd, loop_over_the_runs_of_a_linear_q],
    "dqn_target": [without_remembering, detached_at_the_end],
    "transition": [
        lambda s, a, r, n, b, d, c: [s, a, r, n, d & (d | c)],
        lambda s, a, r, n, b, d, c: (s, a, r, torch.where((d | c).unsqueeze(-1), n, b), d),
    ],
    "polyak_update": [lambda t, o, r: torch.lerp(t, o, r).detach(), lambda t, o, r: (1 - r) * t.data + r * o.data],
}

WRONG: Wrong = {
    "semi_gradient_step": [
        (
            "mixed",
            lambda w, f, a, y, n: w - n * (y - q_of(w, f).amax(-1))[:, None, None] * f.unsqueeze(1),
            "One entry of the table moves",
        ),
        (
            "mixed",
            lambda w, f, a, y, n: w + n * (y - q_of(w, f).amax(-1))[:, None, None] * f.unsqueeze(1),
            (LEAST, "The weights of all actions move"),
        ),
        ("in place", changes_the_weights, "your function changes its argument weights", "not attempted"),
        ("every run", at_every_run, "torch.arange(R) pairs run 0 with", "The weights of all"),
        ("square", by_autograd_of(lambda e: (e**2).sum()), "differentiated the square"),
        (
            "mean",
            by_autograd_of(lambda e: (e**2).mean() / 2),
            ("Where there are two runs", "divided by the number of runs"),
        ),
        ("signs", by_autograd_of(lambda e: e.abs().sum()), "a quarter of the way from 3 to 7"),
        (
            "mean in Q",
            with_the_mean_for_the_sum,
            ("is the mean of features times weights", "(3.1) has a Σ"),
            "a quarter of the way",
        ),
        (
            "sign and 2",
            lambda w, f, a, y, n: 2 * w - by_autograd_of(lambda e: (e**2).sum())(w, f, a, y, n),
            "twice as long and leads away from the target",
            "a quarter of the way",
        ),
    ],
    "dqn_target": [
        ("mixed", lambda r, d, o, t, g: r + g * t.amax(-1), (LEAST, "Your target still contains the value")),
        ("mixed", lambda r, d, o, t, g: r + g * ~d * o.amax(-1), (LEAST, "it moves with every step that is made")),
        ("mixed", lambda r, d, o, t, g: (r + ~d * o.mean(-1)).detach(), "The target is the reward plus γ times"),
        (
            "squeeze",
            lambda r, d, o, t, g: (r + g * ~d * t.detach().amax(-1)).squeeze(),
            ("Where two runs stand in front of a batch of one", "squeeze() removes every axis of length 1"),
            "on the last axis, whatever",
        ),
        (
            "detach_",
            lambda r, d, o, t, g: r + g * ~d * t.detach_().amax(-1),
            ("your function changes its argument target_next_q", "whose name ends in _"),
            "an answer to approach",
        ),
        ("1 − d", lambda r, d, o, t, g: r + g * (1 - d) * t.detach().amax(-1), "`~`", MAX_OVER_BATCH),
        ("pair", lambda r, d, o, t, g: r + g * ~d * t.max(-1), "a pair (values, ind", "held fixed"),
        (
            "NumPy",
            lambda r, d, o, t, g: r + g * ~d * torch.from_numpy(t.numpy().max(-1)),
            ("Use tensor.detach()", "an answer to approach"),
        ),
        (
            "column",
            lambda r, d, o, t, g: r + g * ~d * t.detach().max(-1, keepdim=True).values,
            (TABLE, "(B, 1) met (B,)"),
        ),
        (
            "axis 1",
            lambda r, d, o, t, g: r + g * ~d * t.detach().max(1).values,
            ("Where two runs stand in front", "always axis -1"),
        ),
        (
            "minus Q",
            lambda r, d, o, t, g: (r + g * ~d * t.amax(-1) - o.amax(-1)).detach(),
            "largest value that the target network gives",
            "online network: it moves",
        ),
    ],
    "transition": [
        ("mixed", lambda s, a, r, n, b, d, c: (s, a, -r, b, d ^ c), "are they still what they were?"),
        ("done", lambda s, a, r, n, b, d, c: (s, a, r, n, d | c), "as older code's `done` was"),
        ("four", lambda s, a, r, n, b, d, c: (s, a, r, n), ("five tensors", "it returns 4."), "order"),
        ("dict", lambda s, a, r, n, b, d, c: {"s": s}, ("five tensors", "returns a dict."), "order"),
        (
            "d as numbers",
            lambda s, a, r, n, b, d, c: (s, a, r, n, d.float()),
            "for d, your function must return True and False (torch.bool), but it returns float32",
            "bool numbers",
        ),
        ("s′ before r", lambda s, a, r, n, b, d, c: (s, a, n, r, d), "Your s′ stands before your r"),
        (
            "r before a",
            lambda s, a, r, n, b, d, c: (s, r, a, n, d),
            ("for a, your function must return int64 numbers", "Your r stands before your a"),
            "argmax",
        ),
        (
            "a as numbers",
            lambda s, a, r, n, b, d, c: (s, a.double(), r, n, d),
            "for a, your function must return int64 numbers, but it returns float64.",
            ("Your r stands before", "argmax"),
        ),
        ("column", lambda s, a, r, n, b, d, c: (s, a, r.unsqueeze(-1), n, d), ("for r,", "one axis too many"), "order"),
        ("NaN", lambda s, a, r, n, b, d, c: (s, a, r, n * math.nan, d), "for s′, your answer con"),
        ("if", lambda s, a, r, n, b, d, c: (s, a, r, b if d else n, d), ONE_TRUTH, "carry the agent back"),
        (
            "reset where cut off",
            lambda s, a, r, n, b, d, c: (s, a, r, torch.where(c.unsqueeze(-1), b, n), d),
            (LEAST, "did we carry the agent back?"),
        ),
        (
            "nothing after an end",
            lambda s, a, r, n, b, d, c: (s, a, r, ~d.unsqueeze(-1) * n, d),
            "Even at an end, s′ is where the step led",
        ),
    ],
    "polyak_update": [
        ("mixed", lambda t, o, r: r * t + (1 - r) * o, (LEAST, "With a small τ, which of the two should hardly move?")),
        ("mixed", lambda t, o, r: (t + r * o + r * t).detach(), "4 becomes 5 when the online network says 8"),
        ("in place", lambda t, o, r: t.lerp_(o.detach(), r), "your function changes its argument target"),
        ("no .detach()", lambda t, o, r: t + r * (o - t), ("your result carries a gradient", "cuts the tie")),
        (
            "detach_",
            lambda t, o, r: (1 - r) * t + r * o.detach_(),
            ("your function changes its argument online", "whose name ends in _"),
            "every earlier θ",
        ),
        ("step not added", lambda t, o, r: r * (o - t), (LEAST, "You return the step itself"), "A quarter of the new"),
        ("brackets", lambda t, o, r: 1 - r * t + r * o.detach(), "where are the brackets?", "A quarter of the new"),
        ("stands still", lambda t, o, r: t, "A quarter of the new"),
    ],
}
