"""Answers of learners to the exercises of lesson 02."""

# ruff: noqa: ARG001, ARG005 wrong answers ignore what they are given

from typing import Any

import torch

from tests.students import LEAST, Right, Wrong
from tests.students.common import MAX_OVER_BATCH, ONE_TRUTH, UPSIDE_DOWN, judged


def with_where_and_tie_noise(q: Any, epsilon: Any, generator: Any) -> Any:
    noise = 1e-6 * torch.rand(q.shape, generator=generator)
    explore = torch.rand(len(q), generator=generator) < epsilon
    return torch.where(explore, torch.randint(q.shape[1], (len(q),), generator=generator), (q + noise).argmax(1))


def from_probabilities(q: Any, epsilon: Any, generator: Any) -> Any:
    best = (q == q.amax(-1, keepdim=True)).double()
    probability = (1 - epsilon) * best / best.sum(-1, keepdim=True) + epsilon / q.shape[-1]
    return torch.multinomial(probability, 1, generator=generator).squeeze(-1)


def loop_over_runs(q: Any, state: Any, action: Any, target: Any, step_size: Any) -> Any:
    step_size = torch.as_tensor(step_size).expand(len(q))
    for run in range(len(q)):
        q[run, state[run], action[run]] = (1 - step_size[run]) * q[run, state[run], action[run]] + step_size[
            run
        ] * target[run]
    return q


def by_probabilities(q_next: Any, epsilon: Any) -> Any:
    greedy = torch.nn.functional.one_hot(q_next.argmax(-1), q_next.shape[-1])
    return (((1 - epsilon) * greedy + epsilon / q_next.shape[-1]) * q_next).sum(-1)


def with_where(reward: Any, terminated: Any, truncated: Any, q_next: Any, discount: Any) -> Any:
    return torch.where(terminated, reward, reward + discount * q_next.max(dim=-1).values)


def with_a_float32_mask(reward: Any, terminated: Any, truncated: Any, q_next: Any, discount: Any) -> Any:
    return reward + discount * ~terminated * q_next.max(-1)[0]


def with_one_hot(reward: Any, terminated: Any, q_select: Any, q_evaluate: Any, discount: Any) -> Any:
    chosen = torch.nn.functional.one_hot(q_select.argmax(-1), q_select.shape[-1])
    return reward + discount * (1 - terminated.double()) * (chosen * q_evaluate).sum(-1)


def greedy_without_ties(q: Any, epsilon: Any, generator: Any) -> Any:
    return q.argmax(-1)


def one_tie_break_for_all(q: Any, epsilon: Any, generator: Any) -> Any:
    first = q.argmax(-1)
    last = q.shape[-1] - 1 - q.flip(-1).argmax(-1)
    best = first if torch.rand(1, generator=generator) < 0.5 else last
    explore = torch.rand(len(q), generator=generator) < epsilon
    return torch.where(explore, torch.randint(q.shape[1], (len(q),), generator=generator), best)


def global_generator(q: Any, epsilon: Any, generator: Any) -> Any:
    return from_probabilities(q, epsilon, None)


def best_of_the_first_run(q: Any, epsilon: Any, generator: Any) -> Any:
    return from_probabilities(q, epsilon, generator) * 0 + q.flatten().argmax() % q.shape[-1]


def coins(q: Any, epsilon: Any, generator: Any, *shape: Any) -> Any:
    return torch.rand(shape or (len(q),), generator=generator) < epsilon


def draws(q: Any, generator: Any, actions: Any = None) -> Any:
    return torch.randint(actions or q.shape[-1], (len(q),), generator=generator)


def a_coin_for_each_action(q: Any, epsilon: Any, generator: Any) -> Any:
    candidate = coins(q, epsilon, generator, *q.shape) | (q == q.amax(-1, keepdim=True))
    return torch.where(candidate, torch.rand(q.shape, generator=generator), -1.0).argmax(-1)


def one_lottery_for_all(q: Any, epsilon: Any, generator: Any) -> Any:
    candidate = coins(q, epsilon, generator, len(q), 1) | (q == q.amax(-1, keepdim=True))
    return torch.where(candidate, torch.rand(q.shape[-1], generator=generator), -1.0).argmax(-1)


def large_tie_noise(q: Any, epsilon: Any, generator: Any) -> Any:
    greedy = (q + 0.5 * torch.rand(q.shape, generator=generator)).argmax(-1)
    return torch.where(coins(q, epsilon, generator), draws(q, generator), greedy)


def four_actions_always(q: Any, epsilon: Any, generator: Any) -> Any:
    greedy = (q + 1e-9 * torch.rand(q.shape, generator=generator)).argmax(-1)
    return torch.where(coins(q, epsilon, generator), draws(q, generator, 4), greedy)


def seeds_anew(q: Any, epsilon: Any, generator: Any) -> Any:
    return from_probabilities(q, epsilon, generator.manual_seed(0))


def best_value(q: Any, epsilon: Any, generator: Any) -> Any:
    return torch.where(coins(q, epsilon, generator), draws(q, generator), q.max(-1).values)


def branches(r: Any, d: Any, c: Any, q: Any, g: Any) -> Any:
    if d:
        return r
    return r + g * q.amax(-1)


def any_end_ends_all(r: Any, d: Any, c: Any, q: Any, g: Any) -> Any:
    return r if d.any() else r + g * q.amax(-1)


def at_the_visited(write: Any) -> Any:
    def update(q: Any, state: Any, action: Any, target: Any, step_size: Any) -> Any:
        write(q, (torch.arange(len(q)), state, action), target, step_size)

    return update


def changes_a_copy(q: Any, here: Any, y: Any, n: Any) -> Any:
    old = q[here]
    old += n * (y - old)


def from_the_row_maximum(q: Any, here: Any, y: Any, n: Any) -> Any:
    q[here] += n * (y - q[here[:2]].amax(-1))


def step_in_place_of_estimate(q: Any, here: Any, y: Any, n: Any) -> Any:
    q[here] = n * (y - q[here])


RIGHT: Right = {
    "q_learning_target": [with_where, with_a_float32_mask],
    "epsilon_greedy_action": [with_where_and_tie_noise, from_probabilities],
    "q_update": [loop_over_runs],
    "expected_sarsa_value": [by_probabilities],
    "double_q_target": [with_one_hot],
}

WRONG: Wrong = {
    "q_learning_target": [
        ("mixed", lambda r, d, c, q, g: g * (r + q.mean(-1)), "The target is the reward plus γ times the best value"),
        ("mixed", lambda r, d, c, q, g: r + q.amax(-1), (LEAST, "Your target does not discount")),
        (
            "mixed",
            lambda r, d, c, q, g: r + g * ~(d ^ c) * q.amax(-1),
            (LEAST, "Where three episodes are cut off by a time limit"),
        ),
        ("1 − d", lambda r, d, c, q, g: r + g * (1 - d) * q.amax(-1), "`~`", MAX_OVER_BATCH),
        ("not d", lambda r, d, c, q, g: r + g * (not d) * q.amax(-1), ONE_TRUTH, MAX_OVER_BATCH),
        ("if d", branches, ONE_TRUTH, MAX_OVER_BATCH),
        ("Python's max", lambda r, d, c, q, g: r + g * ~d * max(q), ONE_TRUTH, MAX_OVER_BATCH),
        ("over the batch", lambda r, d, c, q, g: r + g * ~d * q.max(0).values, MAX_OVER_BATCH),
        ("any end", any_end_ends_all, "row by row?", "on the last axis"),
        ("argmax", lambda r, d, c, q, g: r + g * ~d * q.max(-1)[1], "the number of the best action"),
        ("one maximum", lambda r, d, c, q, g: r + g * ~d * q.max(), "one maximum of everything"),
        ("mask", lambda r, d, c, q, g: r + g * d * q.amax(-1), UPSIDE_DOWN),
        ("pair", lambda r, d, c, q, g: r + g * ~d * q.max(-1), "a pair (values, ind"),
        (
            "two mistakes",
            lambda r, d, c, q, g: r + g * ~(d | c) * q.mean(-1),
            (LEAST, "averages over the next actions"),
        ),
        (
            "every action",
            lambda r, d, c, q, g: r[..., None] + g * ~d[..., None] * q,
            "perhaps an axis is still there",
            "left over",
        ),
    ],
    "epsilon_greedy_action": [
        ("mixed", greedy_without_ties, (LEAST, "Your actions are always greedy")),
        ("mixed", one_tie_break_for_all, "Two actions share the first place"),
        ("mixed", global_generator, "Draw from the generator that is handed over"),
        ("mixed", best_of_the_first_run, "every run takes the best action of its own row"),
        ("mixed", lambda q, e, g: from_probabilities(q, e, g) + 2, "must return actions 0 … 3, but has others"),
        ("coins", a_coin_for_each_action, "You toss a coin for each action"),
        ("one lottery", one_lottery_for_all, "do the runs share one draw?", "always greedy"),
        ("noise", large_tie_noise, "however close the second"),
        ("four actions", four_actions_always, "must return actions 0 … 2, but has others"),
        ("seeds", seeds_anew, "it must not seed a generator", "1 − ε"),
        ("values", best_value, "as argmax returns it, while max returns values", "dtype="),
        (
            "int32",
            lambda q, e, g: from_probabilities(q, e, g).int(),
            "must return int64 numbers, but it returns int32.",
            "argmax",
        ),
    ],
    "q_update": [
        ("mixed", lambda q, s, a, y, n: q[:, s, a].add_(n * y) if q.shape[0] > 1 else q[0, s, a], "does not change q"),
        ("mixed", lambda q, s, a, y, n: q.add_(1), "leave all other entries as they are"),
        ("copy", at_the_visited(changes_a_copy), "makes a copy, so assign to q[…] itself", "not attempted"),
        ("row", at_the_visited(from_the_row_maximum), "Go a quarter of the way"),
        ("step", at_the_visited(step_in_place_of_estimate), "= or +=?", "does not change q"),
    ],
    "expected_sarsa_value": [
        ("mixed", lambda q, e: (1 - e) * q.amax(-1) + e * q.amin(-1), "With ε = 1 all actions"),
        ("mixed", lambda q, e: e * q.amax(-1) + (1 - e) * q.sum(-1), "Without exploration the best"),
        (
            "four",
            lambda q, e: (1 - e) * q.amax(-1) + e * q.sum(-1) / 4,
            ("there are three actions", "uniform over the three"),
        ),
        ("pair", lambda q, e: (1 - e) * q.max(-1) + e * q.mean(-1), "a pair (values, indices)"),
    ],
    "double_q_target": [
        ("mixed", lambda r, d, s, e, g: r + g * e.amax(-1), (LEAST, "takes the maximum of q_evaluate")),
        ("mixed", lambda r, d, s, e, g: r + g * e.amin(-1), "q_select names the action with its largest"),
        (
            "γ on the reward",
            lambda r, d, s, e, g: g * (r + ~d * judged(s, e)),
            "discounts the reward as well",
            "swapped",
        ),
        ("no γ", lambda r, d, s, e, g: r + ~d * judged(s, e), "Where is γ?", "averages the tables"),
        ("lost reward", lambda r, d, s, e, g: ~d * (r + g * judged(s, e)), "loses the reward of the step that ends"),
        ("mask", lambda r, d, s, e, g: r + g * d * judged(s, e), UPSIDE_DOWN),
        ("argmax", lambda r, d, s, e, g: r + g * ~d * s.argmax(-1), "the number of the action that q_select names"),
        ("index", lambda r, d, s, e, g: r + g * ~d * e[:, s.argmax(-1)], "an index such as [:, best]"),
        (
            "squeeze",
            lambda r, d, s, e, g: r + g * ~d * e.gather(-1, s.argmax(-1, keepdim=True)).squeeze(),
            "squeeze() removes every axis of length 1",
        ),
        (
            "arange",
            lambda r, d, s, e, g: r + g * ~d * e[torch.arange(len(e)), s.argmax(-1)],
            "torch.gather(-1, …) picks one for each row",
            "squeeze()",
        ),
        (
            "larger maximum",
            lambda r, d, s, e, g: r + g * ~d * torch.maximum(s, e).amax(-1),
            "q_select names the action",
            "plain Q-learning",
        ),
    ],
}
