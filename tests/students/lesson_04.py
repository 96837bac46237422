"""Answers of learners to the exercises of lesson 04."""

# ruff: noqa: ARG005 wrong answers ignore what they are given

import math
from typing import Any

import numpy as np
import torch

from tests.students import LEAST, Right, Wrong
from tests.students.common import RETURN, judged


def halves_by_hand(samples: Any) -> Any:
    middle = samples.shape[-2] // 2
    best = samples[..., :middle, :].sum(-2).argmax(-1)
    chosen = torch.nn.functional.one_hot(best, samples.shape[-1])
    return (chosen * samples[..., middle:, :].mean(-2)).sum(-1)


def play_on(discount: Any, largest_reward: Any, tolerance: Any) -> Any:
    steps = 0
    while discount**steps * largest_reward / (1 - discount) > tolerance:
        steps += 1
    return steps


RIGHT: Right = {
    "uniform_bias": [lambda m, e, g: g * (e - 2 * e / (m + 1))],
    "double_dqn_value": [lambda o, t: torch.take_along_dim(t, o.max(-1, True).indices, -1)[..., 0]],
    "double_estimate": [halves_by_hand],
    "needed_steps": [play_on, lambda g, r, t: max(0.0, np.ceil(np.log(t * (1 - g) / r) / np.log(g)))],
}

WRONG: Wrong = {
    "uniform_bias": [
        ("mixed", lambda m, e, g: e * m / (m + 1), (LEAST, "What does that become in [−1, 1]?")),
        ("mixed", lambda m, e, g: -e * (m + 1) / m, "Four draws cut the way from −1 to 1 into five pieces"),
        (".item()", lambda m, e, g: g * e.sum().item() * (m - 1) / (m + 1), "is there an .item()?"),
        (
            "whole future",
            lambda m, e, g: g * e * (m - 1) / (m + 1) / (1 - g),
            ("is there a division by 0?", "added up over a whole future"),
        ),
        (
            "whole future after γ",
            lambda m, e, g: g / (1 - g) * e * (m - 1) / (m + 1),
            ("ZeroDivisionError", "You divide by 1 − γ"),
        ),
        ("whole division", lambda m, e, g: g * e * ((m - 1) // (m + 1)), "still 0 on average?"),
    ],
    "double_dqn_value": [
        ("mixed", lambda o, t: torch.maximum(o, t).amax(-1), "The online network names the action"),
        ("mixed", lambda o, t: 2 * t.amax(-1), "The online network names the action"),
        ("argmax", lambda o, t: o.argmax(-1), ("whole numbers (int64)", "What is it worth, and who says so?")),
        ("index", lambda o, t: t[:, o.argmax(-1)], "an index such as [:, best]"),
        (
            "squeeze",
            lambda o, t: t.gather(-1, o.argmax(-1, keepdim=True)).squeeze(),
            "squeeze() removes every axis of length 1",
            "negative",
        ),
        (
            "arange",
            lambda o, t: t[torch.arange(len(t)), o.argmax(-1)],
            "torch.gather(-1, …) picks one for each row",
            "squeeze()",
        ),
        (
            "smallest of the tied",
            lambda o, t: torch.where((o == o.amax(-1, keepdim=True)).sum(-1) > 1, t.amin(-1) - 1, judged(o, t)),
            "Either of the two may be chosen, and here the target network says the same of both",
            "only one of them",
        ),
        ("all tied", lambda o, t: ((o == o.amax(-1, keepdim=True)) * t).sum(-1), "argmax names one"),
    ],
    "double_estimate": [
        ("mixed", lambda x: x.amax(-2).amax(-1), "what did the second sample find there?"),
        ("mixed", lambda x: x[0].mean(-1), "what did the second sample find there?"),
        (
            "axes from the front",
            lambda x: judged(*(half.mean(0) for half in x.chunk(2, 0))),
            ("Where there are two runs", "−1 and −2"),
        ),
        (
            "two samples choose",
            lambda x: judged(x[..., :2, :].mean(-2), x[..., 2:, :].mean(-2)),
            "your answer contains NaN",
        ),
        (
            "the best number",
            lambda x: x.chunk(2, -2)[0].mean(-2).argmax(-1),
            "What does the second half say that it pays?",
        ),
    ],
    "needed_steps": [
        ("mixed", lambda g, r, t: math.floor(math.log(t / r, g)), "count by hand until 0.5 is left"),
        ("mixed", lambda g, r, t: round(1 / (1 - g)) + 50, "count by hand until 0.5 is left"),
        (
            "a fraction",
            lambda g, r, t: math.log(t * (1 - g) / r) / math.log(g),
            "must return a whole number, but it returns 10.32",
        ),
        ("one reward", lambda g, r, t: next(k for k in range(9_999) if g**k * r <= t), "what is the sum of them?"),
        (
            "sign",
            lambda g, r, t: math.ceil(math.log(t * (1 - g) / r) / -math.log(g)),
            "is negative where there is something to play",
            "count by hand",
        ),
        (
            "sign, clamped",
            lambda g, r, t: max(0, math.ceil(math.log(r / (t * (1 - g)), g))),
            "has 0 hidden a wrong sign?",
            "count by hand",
        ),
        (
            "never plays",
            lambda g, r, t: next(k for k in range(9_999) if g**k * r / (1 - g) >= min(t, r)),
            (LEAST, "In a loop: when does it stop?"),
            "count by hand",
        ),
        (
            "size of the logarithm",
            lambda g, r, t: abs(math.ceil(math.log(t * (1 - g) / r) / math.log(g))),
            ("Where the tolerance is larger than all that can come (you: 3,", "nobody can play a negative number"),
            "1/(1 − γ) steps",
        ),
        (
            "below",
            lambda g, r, t: next(k for k in range(9_999) if g**k * r / (1 - g) < t),
            "Is it ≤ or < in what was asked?",
        ),
        (
            "gives up",
            lambda g, r, t: next((k for k in range(100) if g**k * r / (1 - g) <= t), None),
            ("Where γ is 0.99", RETURN),
            "−log γ",
        ),
    ],
}
