"""Answers of learners to the exercises of lesson 06."""

# ruff: noqa: ARG001, ARG005 wrong answers ignore what they are given

import math
from typing import Any

import torch

from sac_tutorial.equations import entropy
from sac_tutorial.exact.dynamic_programming import expected_target, optimal_q, policy_q
from tests.students import LEAST, Right, Wrong
from tests.students.common import ONE_TRUTH, TABLE, distributions, soft


def by_categorical(q: Any, policy: Any, temperature: Any) -> Any:
    return (policy * q).sum(-1) + temperature * distributions.Categorical(probs=policy).entropy()


def log_of_almost_zero(q: Any, policy: Any, temperature: Any) -> Any:
    return (policy * (q - temperature * (policy + 1e-9).log())).sum(-1)


def as_a_target_with_where(
    reward: Any, terminated: Any, policy: Any, next_policy: Any, next_q: Any, temperature: Any, discount: Any
) -> Any:
    return torch.where(terminated, reward, reward + discount * by_categorical(next_q, next_policy, temperature))


def from_the_policy_that_has_it(q: Any, temperature: Any) -> Any:
    policy = torch.softmax(q / temperature, -1)
    return (policy * q).sum(-1) + temperature * torch.special.entr(policy).sum(-1)


def from_log_softmax(q: Any, temperature: Any) -> Any:
    return q[..., 0] - temperature * torch.log_softmax(q / temperature, -1)[..., 0]


def by_the_gap(q: Any, policy: Any, temperature: Any) -> Any:
    return torch.logsumexp(q / temperature, -1) - by_categorical(q, policy, temperature) / temperature


def kl_div_of_torch(q: Any, policy: Any, temperature: Any) -> Any:
    return torch.nn.functional.kl_div(torch.log_softmax(q / temperature, -1), policy, reduction="none").sum(-1)


def until_nothing_changes(mdp: Any, policy: Any, temperature: Any) -> Any:
    while True:
        improved = torch.softmax(policy_q(mdp, policy, temperature) / temperature, -1)
        if torch.allclose(improved, policy, rtol=0, atol=1e-9):
            return improved
        policy = improved


def improved_by_the_other_convention(mdp: Any, policy: Any, temperature: Any) -> Any:
    for _ in range(100):
        q_plus = policy_q(mdp, policy, temperature) + temperature * entropy(policy).unsqueeze(-1)
        policy = torch.softmax(q_plus / temperature, -1)
    return policy


def evaluated_by_one_sweep(mdp: Any, policy: Any, temperature: Any) -> Any:
    q = torch.zeros_like(policy)
    for _ in range(400):
        q = expected_target(mdp, log_of_almost_zero(q, policy, temperature))
        policy = torch.softmax(q / temperature, -1)
    return policy


def soft_value_iteration_by_hand(mdp: Any, policy: Any, temperature: Any) -> Any:
    q = torch.zeros_like(policy)
    for _ in range(400):
        q = expected_target(mdp, temperature * torch.logsumexp(q / temperature, -1))
    return torch.softmax(q / temperature, -1)


def by_halving(policy: Any, floor: Any) -> Any:
    low, high = torch.zeros_like(policy[..., :1]), torch.ones_like(policy[..., :1])
    for _ in range(40):
        middle = (low + high) / 2
        fits = torch.maximum(middle * policy, torch.tensor(floor)).sum(-1, keepdim=True) <= 1
        low, high = torch.where(fits, middle, low), torch.where(fits, high, middle)
    return torch.maximum(low * policy, torch.tensor(floor))


def one_after_the_other(policy: Any, floor: Any) -> Any:
    low = torch.zeros_like(policy, dtype=torch.bool)
    for _ in range(policy.shape[-1]):
        scale = (1 - floor * low.sum(-1, keepdim=True)) / policy.masked_fill(low, 0).sum(-1, keepdim=True)
        low = low | (scale * policy < floor)
    return torch.where(low, floor, scale * policy)


def clipped_and_normalised_for_ever(policy: Any, floor: Any) -> Any:
    for _ in range(3_000):
        policy = policy.clamp(min=floor)
        policy = policy / policy.sum(-1, keepdim=True)
    return policy


def swept_for_entropy(expected_reward: Any, continuation_matrix: Any, discount: Any) -> Any:
    h = torch.zeros(len(expected_reward), dtype=torch.float64)
    for _ in range(800):
        h = (discount * continuation_matrix @ h).exp().sum(-1).log()
    weight = (discount * continuation_matrix @ h).exp()
    return weight / weight.sum(-1, keepdim=True)


def very_hot(expected_reward: Any, continuation_matrix: Any, discount: Any) -> Any:
    q = torch.zeros_like(expected_reward)
    for _ in range(800):
        q = expected_reward + discount * continuation_matrix @ (1e8 * torch.logsumexp(q / 1e8, -1))
    return torch.softmax(q / 1e8, -1)


def in_rounds(evaluate: Any = policy_q, improve: Any = lambda q, t: torch.softmax(q / t, -1), rounds: Any = 100) -> Any:
    def iterate(mdp: Any, policy: Any, temperature: Any) -> Any:
        for _ in range(rounds):
            policy = improve(evaluate(mdp, policy, temperature), temperature)
        return policy

    return iterate


def hot(r: Any, c: Any, g: Any, sweeps: Any, scale: Any = 0.0) -> Any:
    q = torch.zeros_like(r)
    for _ in range(sweeps):
        q = scale * r + g * c @ torch.logsumexp(q, -1)
    return q


def clip_and_divide(p: Any, f: Any) -> Any:
    return p.clamp(min=f) / p.clamp(min=f).sum(-1, keepdim=True)


RIGHT: Right = {
    "value_with_entropy": [by_categorical, log_of_almost_zero],
    "soft_target": [as_a_target_with_where],
    "soft_maximum": [from_the_policy_that_has_it, from_log_softmax],
    "policy_divergence": [by_the_gap, kl_div_of_torch],
    "soft_policy_rounds": [
        until_nothing_changes,
        improved_by_the_other_convention,
        evaluated_by_one_sweep,
        soft_value_iteration_by_hand,
    ],
    "policy_with_floor": [by_halving, one_after_the_other, clipped_and_normalised_for_ever],
    "hottest_policy": [swept_for_entropy, very_hot],
}

WRONG: Wrong = {
    "value_with_entropy": [
        ("mixed", lambda q, p, t: t * (p * (q + p.log())).sum(-1), (LEAST, "Your α multiplies Q as well")),
        ("mixed", lambda q, p, t: q.amax(-1) - t * entropy(p), "With α = 0 nothing is paid for entropy"),
        (
            "log",
            lambda q, p, t: (p * (q - t * p.log())).sum(-1),
            ("Where an action is never taken", "contains NaN", "An action that is never taken adds nothing"),
        ),
        ("sign", lambda q, p, t: (p * (q + t * p.log())).sum(-1), (LEAST, "entropy is charged for, not paid"), "NaN"),
        ("minus H", lambda q, p, t: (p * q).sum(-1) - t * entropy(p), "entropy is charged for, not paid"),
        (
            "log2",
            lambda q, p, t: (p * (q - t * p.log2())).sum(-1),
            (LEAST, "(you: 1, expected: 0.6931)", "Your entropy is in bits"),
            "NaN",
        ),
        (
            "a large ε in the logarithm",
            lambda q, p, t: (p * (q - t * (p + 1e-3).log())).sum(-1),
            ("(you: 0.6911, expected: 0.6931)", "it is log 2 = 0.693"),
        ),
        (
            "not weighted",
            lambda q, p, t: (p * q).sum(-1) - t * p.clamp(min=1e-30).log().mean(-1),
            "H is the average surprise, (6.1): with which weights?",
        ),
        ("entropy of a softmax", lambda q, p, t: soft(q, torch.softmax(p, -1), t), "each Q with the weight π(a|s)"),
        (
            "not summed",
            lambda q, p, t: p * q + t * torch.special.entr(p),
            ("(), one number,", "Which axis should be summed or averaged away?"),
            TABLE,
        ),
        (
            "axis 1",
            lambda q, p, t: (p * q + t * torch.special.entr(p)).sum(1),
            "Count the axis from the end: -1.",
            "nothing is paid",
        ),
        (".item()", lambda q, p, t: soft(q, p, t).sum().item(), "is there an .item()?"),
    ],
    "soft_target": [
        (
            "mixed",
            lambda r, d, p, n, q, t, g: r + t * entropy(p) + g * soft(q, n, t),
            (LEAST, "pays for the entropy in s as well"),
        ),
        ("mixed", lambda r, d, p, n, q, t, g: g * (r + q.amax(-1)), "plus γ times the average of Q(s′, ·)"),
        ("1 − d", lambda r, d, p, n, q, t, g: r + g * (1 - d) * soft(q, n, t), "`~`"),
        ("not d", lambda r, d, p, n, q, t, g: r + g * (not d) * soft(q, n, t), ONE_TRUTH, "expected SARSA"),
        (
            "both conventions",
            lambda r, d, p, n, q, t, g: r + t * entropy(p) + g * ~d * soft(q, n, t),
            "would now be paid twice",
        ),
        (
            "the other convention",
            lambda r, d, p, n, q, t, g: r + t * entropy(p) + g * ~d * (n * q).sum(-1),
            "That is the target of Q₊",
        ),
        (
            "paid after the end",
            lambda r, d, p, n, q, t, g: r + g * torch.where(d, t * entropy(n), soft(q, n, t)),
            "the mask stands before Q, but not before H",
        ),
        (
            "undiscounted",
            lambda r, d, p, n, q, t, g: r + ~d * (t * entropy(n) + g * (n * q).sum(-1)),
            "Your entropy is not discounted",
        ),
        (
            "log",
            lambda r, d, p, n, q, t, g: r + g * ~d * (n * (q - t * n.log())).sum(-1),
            ("Where an action is never taken", "Did your function of exercise 6.1 know that?"),
        ),
        (
            "mask outside, log",
            lambda r, d, p, n, q, t, g: ~d * (r + g * (n * (q - t * n.log())).sum(-1)),
            (LEAST, "Where two of three episodes end", "loses the reward of the step that ends"),
            "NaN",
        ),
        (
            "Q averaged in s, entropy in s′",
            lambda r, d, p, n, q, t, g: r + g * ~d * ((p * q).sum(-1) + t * entropy(n)),
            (LEAST, "Q(s′, ·) is averaged over the actions that will be taken in s′"),
        ),
        (
            "column",
            lambda r, d, p, n, q, t, g: r + g * ~d * (n * q + t * torch.special.entr(n)).sum(-1, keepdim=True),
            (TABLE, "(B, 1) met (B,)"),
        ),
        (
            "α and γ swapped",
            lambda r, d, p, n, q, t, g: r + t * ~d * soft(q, n, g),
            (LEAST, "Rewards to come are worth what they are"),
        ),
    ],
    "soft_maximum": [
        ("mixed", lambda q, t: t * (q / t).exp().mean(-1).log(), (LEAST, "You average over the actions before")),
        ("mixed", lambda q, t: -t * torch.logsumexp(-q / t, -1), "Whoever tosses a coin between the two"),
        (
            "log sum exp",
            lambda q, t: t * (q / t).exp().sum(-1).log(),
            ("Where α is 1/1000", "the computer's numbers end too early for it"),
        ),
        (
            "clamped",
            lambda q, t: t * (q / t).clamp(max=700).exp().sum(-1).log(),
            ("Where α is 1/1000 (you: 0.7011, expected: 3)", "what can be taken out of the sum"),
        ),
        (
            "mean taken out",
            lambda q, t: q.mean(-1) + t * ((q - q.mean(-1, keepdim=True)) / t).exp().sum(-1).log(),
            ("Where α is 1/1000", "what can be taken out of the sum"),
        ),
        (
            "largest of all",
            lambda q, t: q.max() + t * ((q - q.max()) / t).exp().sum(-1).log(),
            ("Where one state is worth much more", "whose largest value must it be?"),
        ),
        (
            "taken out above 0 only",
            lambda q, t: q.amax(-1).clamp(min=0) + t * ((q - q.amax(-1, True).clamp(min=0)) / t).exp().sum(-1).log(),
            ("Where all values lie below −2000", "The same remedy helps as against large numbers"),
        ),
        (
            "largest, α lost",
            lambda q, t: q.amax(-1) + ((q - q.amax(-1, keepdim=True)) / t).exp().sum(-1).log(),
            ("Where α is 4", "α stands in (6.14) twice"),
        ),
        (
            "column",
            lambda q, t: t * torch.logsumexp(q / t, -1, keepdim=True),
            "there is one axis too many. Look for keepdim=True",
            "tosses a coin",
        ),
        ("policy", lambda q, t: torch.softmax(q / t, -1), "Which axis should be summed or averaged away?"),
        ("earnings", lambda q, t: (torch.softmax(q / t, -1) * q).sum(-1), "without its entropy"),
        ("math", lambda q, t: t * math.log(sum(math.exp(x / t) for x in q.flatten())), "is there an .item()?"),
    ],
    "policy_divergence": [
        (
            "mixed",
            lambda q, p, t: (torch.softmax(q / t, -1) * (torch.softmax(q / t, -1) / p).log()).sum(-1) / math.log(2),
            "over the actions of which of the two policies?",
        ),
        (
            "mixed",
            lambda q, p, t: (p * (p.log() + torch.log_softmax(q / t, -1))).sum(-1),
            "From where one stands there is no way to go",
        ),
        (
            "quotient",
            lambda q, p, t: (p * (p / torch.softmax(q / t, -1)).log()).sum(-1),
            ("Where an action is never taken: your answer contains NaN", "cannot be held against it"),
        ),
        (
            "kl_div the wrong way",
            lambda q, p, t: torch.nn.functional.kl_div(p.log(), torch.softmax(q / t, -1), reduction="none").sum(-1),
            "that is KL(B ‖ π)",
        ),
        ("no Z", lambda q, p, t: (p * (p.log() - q / t)).sum(-1), (LEAST, "which does not sum to 1"), "NaN"),
        ("an actor's loss", lambda q, p, t: -soft(q, p, t), "a network will be trained on it later"),
        (
            "Z as a mean",
            lambda q, p, t: (torch.xlogy(p, p) - p * q / t).sum(-1) + (q / t).exp().mean(-1).log(),
            (LEAST, "Your Z is the mean of exp(Q/α)"),
            "does not depend on Q",
        ),
        (
            "small numbers added",
            lambda q, p, t: (p * ((p + 1e-9).log() - (torch.softmax(q / t, -1) + 1e-9).log())).sum(-1),
            ("Where B is too small", "torch.log_softmax never makes the detour"),
        ),
        ("gap", lambda q, p, t: t * torch.logsumexp(q / t, -1) - soft(q, p, t), "Yours is the gap of (6.16)"),
        (
            "one number",
            lambda q, p, t: (torch.xlogy(p, p) - p * torch.log_softmax(q / t, -1)).sum(),
            ("Where there are three states", "adds the divergences of all states"),
        ),
    ],
    "soft_policy_rounds": [
        (
            "mixed",
            in_rounds(lambda m, p, t: policy_q(m, p), lambda q, t: torch.softmax(q, -1)),
            (LEAST, "Your improvement is the same for every α"),
        ),
        ("mixed", in_rounds(lambda m, p, t: policy_q(m, p), rounds=2), (LEAST, "Which Q does (6.17) improve by")),
        ("hard", in_rounds(lambda m, p, t: policy_q(m, p)), "improved by a Q without entropy"),
        (
            "Q of the first policy for ever",
            lambda m, p, t: [torch.softmax(q / t, -1) for q in 9 * [policy_q(m, p, t)]][-1],
            "improved it once",
        ),
        ("five rounds", in_rounds(rounds=5), ("Where the first policy always walks away", "When may one stop?")),
        (
            "argmax",
            in_rounds(improve=lambda q, t: torch.nn.functional.one_hot(q.argmax(-1), q.shape[-1]).double()),
            (LEAST, "Your improvement is greedy"),
        ),
        (
            "softmax over states",
            in_rounds(improve=lambda q, t: torch.softmax(q / t, 0)),
            "raised ValueError: policy must be non-negative and sum to 1 in every state",
            "Nothing follows",
        ),
        ("in place", lambda m, p, t: p.copy_(in_rounds()(m, p, t)), "your function changes its argument policy"),
        (
            "hard Q*",
            lambda m, p, t: torch.softmax(optimal_q(m) / t, -1),
            (LEAST, "Where one of two equally good actions", "improved by a Q without entropy"),
        ),
        (
            "V of another policy",
            in_rounds(improve=lambda q, t: ((q - q.amax(-1, keepdim=True)) / t).exp()),
            "raised ValueError: policy must be non-negative and sum to 1",
        ),
    ],
    "policy_with_floor": [
        (
            "mixed",
            lambda p, f: (lambda c: c / c.sum(-1))(p.clamp(min=f)),
            (LEAST, "what you have just lifted included"),
        ),
        ("mixed", lambda p, f: p.clamp(min=2 * f), "nothing is nearer to B than B"),
        (
            "clip and divide",
            lambda p, f: p.clamp(min=f) / p.clamp(min=f).sum(-1, keepdim=True),
            "it falls below the floor again",
        ),
        (
            "twice",
            lambda p, f: clip_and_divide(clip_and_divide(p, f), f),
            ("Where one action lies below the floor", "the others must pay for it, each in proportion"),
        ),
        (
            "one pass",
            lambda p, f: torch.where(
                p < f, f, p * (1 - f * (p < f).sum(-1, keepdim=True)) / (p * (p >= f)).sum(-1, keepdim=True)
            ),
            ("Where an action is pushed below the floor by what the others need", "are you done?"),
        ),
        (
            "if",
            lambda p, f: p if p.min() >= f else (1 - p.shape[-1] * f) * p + f,
            (LEAST, "a mixture of B and the uniform policy"),
        ),
        (
            "shares",
            lambda p, f: torch.where(p < f, f, p * (1 - (f - p).clamp(min=0).sum(-1, keepdim=True))),
            "the others must pay for it, each in proportion",
        ),
        (
            "equal shares",
            lambda p, f: torch.where(
                p < f, f, p - (f - p).clamp(min=0).sum(-1, keepdim=True) / (p >= f).sum(-1, keepdim=True)
            ),
            (LEAST, "the nearest policy by the sum of squares"),
        ),
        (
            "not a thought of 0/0",
            lambda p, f: one_after_the_other(p, f) + 0 * (p / p.masked_fill(one_after_the_other(p, f) <= f, 0)).sum(),
            "your answer contains NaN",
            "Python",
        ),
    ],
    "hottest_policy": [
        ("mixed", lambda r, c, g: torch.softmax(r + g * c.sum(-1), -1), "Whoever stays may choose again"),
        (
            "mixed",
            lambda r, c, g: torch.softmax(r / 50 + hot(r, c, g, 400), -1),
            "a nat of entropy is worth more. What is 10/α then?",
        ),
        (
            "uniform",
            lambda r, c, g: torch.full(r.shape, 1 / r.shape[-1], dtype=torch.float64),
            "the most entropy *in this step*",
        ),
        (
            "a temperature of 100",
            lambda r, c, g: torch.softmax(hot(r, c, g, 2_000, scale=0.01), -1),
            "Your temperature is large, but it is one",
        ),
        (
            "a temperature of 1000",
            lambda r, c, g: torch.softmax(hot(r, c, g, 2_000, scale=0.001), -1),
            ("Where the action that ends the episode pays 10", "What is 10/α then?"),
        ),
        (
            "forty sweeps",
            lambda r, c, g: torch.softmax(hot(r, c, g, 40), -1),
            ("Where it is the crossing", "is h still growing when you stop?"),
        ),
        (
            "two hundred sweeps",
            lambda r, c, g: torch.softmax(hot(r, c, g, 200), -1),
            ("and γ is 0.97", "(1.14) says how many sweeps such a γ takes"),
        ),
        (
            "γ lost",
            lambda r, c, g: torch.softmax(c @ torch.logsumexp(hot(r, c, g, 2_000), -1), -1),
            (LEAST, "takes what follows undiscounted"),
        ),
        ("h", lambda r, c, g: torch.logsumexp(hot(r, c, g, 900), -1), "but (1, 2) is expected"),
    ],
}
