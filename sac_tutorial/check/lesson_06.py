"""The exercises of lesson 06, soft policy iteration: reference answers, cases and misconceptions.

They can be imported and read: they are for learning, not for exams.
"""

# ruff: noqa: ARG001, ARG005 an argument that is not read is what many a misconception comes to

import math
from collections.abc import Callable

import torch
from torch import Tensor

from sac_tutorial.check.diagnosis import Case, Exercise, Misconception, flags, table
from sac_tutorial.check.lesson_03 import crossing
from sac_tutorial.equations import (
    boltzmann_divergence,
    boltzmann_policy,
    entropy,
    expected_value,
    floored_policy,
    greedy_policy,
    soft_policy_value,
    soft_value,
    td_target,
)
from sac_tutorial.exact.dynamic_programming import policy_q, soft_optimal_q
from sac_tutorial.worlds.mdp import FiniteMDP

# As many rows as actions: whoever works along the wrong axis gets numbers, not an exception.
_SQUARE_Q = table([1.0, 5.0, 2.0], [2.0, 8.0, 4.0], [3.0, 6.0, 12.0])
_SQUARE_POLICY = table([0.5, 0.25, 0.25], [0.25, 0.25, 0.5], [0.125, 0.75, 0.125])
# Two runs of three states of four actions.
_RUNS_Q = (torch.arange(24, dtype=torch.float64) * 11 % 24).view(2, 3, 4) / 4
_RUNS_POLICY = table(
    [[0.5, 0.25, 0.125, 0.125], [0.25, 0.25, 0.25, 0.25], [0.125, 0.125, 0.25, 0.5]],
    [[0.75, 0.125, 0.0625, 0.0625], [0.0625, 0.4375, 0.25, 0.25], [0.25, 0.125, 0.5, 0.125]],
)


def _log(policy: Tensor) -> Tensor:
    """Return log π, and 0 where π is 0: whatever it is multiplied by π with is 0 there."""
    return torch.where(policy > 0, policy.log(), 0.0)


# Exercise 6.1: the soft value of a policy


def _value_with_entropy(q: Tensor, policy: Tensor, temperature: float) -> Tensor:
    """Return Σ_a π(a|s) (Q(s,a) − α log π(a|s)), equation (6.8)."""
    return soft_policy_value(q, policy, temperature)


def _sum_of(each: Callable[[Tensor, Tensor, Tensor, float], Tensor]) -> Callable[[Tensor, Tensor, float], Tensor]:
    """Make a value out of what is summed over the actions: `each(Q, π, log π, α)`."""
    return lambda q, policy, temperature: each(q, policy, _log(policy), temperature).sum(-1)


value_with_entropy = Exercise(
    "value_with_entropy",
    _value_with_entropy,
    cases=[
        Case(
            "α is 0",
            (table(2.0, 8.0, 12.0), table(0.5, 0.25, 0.25), 0.0),
            "With α = 0 nothing is paid for entropy, and (6.8) is the average (1.6): each Q with the weight π(a|s).",
        ),
        Case(
            "all Q are 0, two actions are equally likely and α is 1",
            (table(0.0, 0.0), table(0.5, 0.5), 1.0),
            "What is left is H, (6.1): of two equally likely actions it is log 2 = 0.693, in nats and positive.",
        ),
        Case(
            "all Q are 0, one action is likelier than the others and α is 1",
            (table(0.0, 0.0, 0.0), table(0.5, 0.25, 0.25), 1.0),
            "An action's surprise is −log π(a|s). H is the average surprise, (6.1): with which weights?",
        ),
        Case(
            "Q counts, and α is 3",
            (table(2.0, 8.0, 12.0), table(0.5, 0.25, 0.25), 3.0),
            "α says how much a nat of entropy is worth in units of reward. In (6.8), before which of the terms does it stand?",
        ),
        Case(
            "an action is never taken",
            (table(4.0, 6.0, 8.0), table(0.5, 0.0, 0.5), 2.0),
            "Whoever never does a thing is never surprised by it: 0 · log 0 counts as 0, (6.1). What does your program make "
            "of it?",
        ),
        Case(
            "there are three states",
            (_SQUARE_Q, _SQUARE_POLICY, 2.0),
            "There must be one value a state. Which axis holds the actions, and must vanish?",
        ),
        Case(
            "two runs stand in front of the states",
            (_RUNS_Q, _RUNS_POLICY, 2.0),
            "The actions are on the last axis, whatever stands in front of it: count it from the end, as -1.",
        ),
    ],
    # Below: q is Q, p is π, lp is log π, t is α.
    misconceptions=[
        Misconception(
            "entropy charged, not paid",
            _sum_of(lambda q, p, lp, t: p * (q + t * lp)),
            "Your value falls where the policy is undecided: entropy is charged for, not paid. log π is negative; which sign "
            "does (6.8) give it?",
        ),
        Misconception(
            "entropy forgotten",
            _sum_of(lambda q, p, lp, t: p * q),
            "Yours is the value (1.6) of lesson 01, without the entropy of the action that is taken here. Which term of (6.8) "
            "is missing?",
        ),
        Misconception(
            "α forgotten",
            _sum_of(lambda q, p, lp, t: p * (q - lp)),
            "Your value does not depend on α. Who says how much a nat of entropy is worth, in units of reward?",
        ),
        Misconception(
            "α on the whole",
            _sum_of(lambda q, p, lp, t: t * p * (q - lp)),
            "Your α multiplies Q as well. A temperature does not change what rewards are worth; before which term of (6.8) "
            "does it stand?",
        ),
        Misconception(
            "α on Q",
            _sum_of(lambda q, p, lp, t: p * (t * q - lp)),
            "Your α stands before Q, and entropy is paid in full whatever α is. Which of the two does the temperature weigh "
            "in (6.8)?",
        ),
        Misconception(
            "divided by α",
            _sum_of(lambda q, p, lp, t: p * (q / t - lp)),
            "You divide Q by α, as in exp(Q/α), and so get the value in nats. (6.8) has the units of reward: where is α then?",
        ),
        Misconception(
            "bits",
            _sum_of(lambda q, p, lp, t: p * (q - t * lp / math.log(2))),
            "Your entropy is in bits. The course counts in nats, since exp and log are each other's inverse in (6.13): which "
            "logarithm is that?",
        ),
        Misconception(
            "weighted by π twice",
            _sum_of(lambda q, p, lp, t: p * (q - t * p * lp)),
            "Your entropy is weighted by π twice: −Σ π² log π. −π log π is an action's share of the entropy already; how "
            "often does π stand before log π in (6.8)?",
        ),
        Misconception(
            "every surprise counted in full",
            lambda q, p, t: expected_value(q, p) - t * p.log().sum(-1),
            "You add up the surprise −log π of every action, likely or not. An unlikely action surprises much, but seldom: "
            "what is its weight in (6.1)?",
        ),
        Misconception(
            "Q without weights",
            lambda q, p, t: q.mean(-1) + t * entropy(p),
            "Your entropy is right, but your average over Q weighs all actions alike. π stands before the whole bracket of "
            "(6.8).",
        ),
        Misconception(
            "mean for the sum",
            _sum_of(lambda q, p, lp, t: p * (q - t * lp) / q.shape[-1]),
            "You divide by the number of actions although the probabilities sum to 1 already: mean or sum, in (6.8)?",
        ),
        Misconception(
            "entropy as a share of log A",
            lambda q, p, t: expected_value(q, p) + t * entropy(p) / math.log(p.shape[-1]),
            "Your entropy is measured by the largest there can be, so that it ends at 1. (6.2) says that it ends at log A: in "
            "what is α paid, nats or shares?",
        ),
        Misconception(
            "0 · log 0",
            lambda q, p, t: (p * (q - t * p.log())).sum(-1),
            "log 0 is −∞, and 0 · ∞ is no number. An action that is never taken adds nothing, (6.1): torch.special.entr and "
            "torch.xlogy know that.",
        ),
        Misconception(
            "value of the best policy",
            lambda q, p, t: t * torch.logsumexp(q / t, -1),
            "Your value does not ask the policy. It is what the best policy has, (6.14), and comes in exercise 6.3; what is "
            "this one worth?",
        ),
        Misconception(
            "wrong axis",
            lambda q, p, t: (p * (q - t * _log(p))).sum(0),
            "Your answer adds over the first axis and so mixes different states. The actions are on the last axis.",
        ),
        Misconception(
            "axis counted from the front",
            lambda q, p, t: (p * (q - t * _log(p))).sum(min(1, q.dim() - 1)),
            "Your answer adds over axis 1: the actions of a table of states, but not those of a table with runs in front. "
            "Counted from the end, the actions are always axis -1.",
        ),
        Misconception(
            "summed over every axis",
            lambda q, p, t: (p * (q - t * _log(p))).sum(),
            "Your answer is right for one state, but adds all states into one number. What must .sum() be told?",
        ),
    ],
)


# Exercise 6.2: where entropy begins, and where it ends


def _soft_target(
    reward: Tensor,
    terminated: Tensor,
    policy: Tensor,
    next_policy: Tensor,
    next_q: Tensor,
    temperature: float,
    discount: float,
) -> Tensor:
    """Return r + γ (1 − d) Σ_a′ π(a′|s′) (Q(s′,a′) − α log π(a′|s′)), what equation (6.10) averages over outcomes."""
    return td_target(reward, terminated, soft_policy_value(next_q, next_policy, temperature), discount)


_NOW, _NEXT = table([0.9, 0.1], [0.5, 0.5], [0.25, 0.75]), table([0.5, 0.5], [0.75, 0.25], [0.9, 0.1])
_REWARDS, _NEXT_Q = table(1.0, 3.0, 5.0), table([4.0, 8.0], [6.0, 2.0], [-2.0, 10.0])

soft_target = Exercise(
    "soft_target",
    _soft_target,
    cases=[
        Case(
            "α is 0 and three episodes go on",
            (_REWARDS, flags(False, False, False), _NOW, _NEXT, _NEXT_Q, 0.0, 0.5),
            "With α = 0 this is the target of expected SARSA: the reward, plus γ times the average of Q(s′, ·) under the "
            "policy in s′.",
        ),
        Case(
            "nothing but the entropy of the next state is to be had",
            (table(0.0), flags(False), _NOW[:1], _NEXT[:1], table([0.0, 0.0]), 3.0, 0.5),
            "r is 0 and so are all Q, and in s′ two actions are equally likely: the target is γ α log 2. Whose entropy does "
            "(6.10) add, and what stands before it?",
        ),
        Case(
            "three episodes go on, and rewards, values and entropy all count",
            (_REWARDS, flags(False, False, False), _NOW, _NEXT, _NEXT_Q, 3.0, 0.5),
            "Each part was right by itself. Which of them do γ and α multiply in (6.10)?",
        ),
        Case(
            "two of three episodes end",
            (_REWARDS, flags(True, False, True), _NOW, _NEXT, _NEXT_Q, 3.0, 0.5),
            "After an end nobody acts any more, and who does not act has no entropy. What is left of (6.10)?",
        ),
        Case(
            "an action is never taken in the next state",
            (table(1.0), flags(False), _NOW[:1], table([1.0, 0.0]), table([4.0, 8.0]), 3.0, 0.5),
            "0 · log 0 counts as 0, (6.1). Did your function of exercise 6.1 know that?",
        ),
        Case(
            "two runs stand in front of a batch of three",
            (
                table([1.0, 2.0, 3.0], [4.0, 5.0, 6.0]),
                flags([False, True, False], [False, False, False]),
                _RUNS_POLICY.flip(0),
                _RUNS_POLICY,
                _RUNS_Q,
                2.0,
                0.5,
            ),
            "The actions are on the last axis, whatever stands in front of it: count it from the end, as -1.",
        ),
    ],
    # Below: r, d the reward and terminated, p and n the policies in s and in s′, q is Q(s′, ·), t is α, g the discount.
    misconceptions=[
        Misconception(
            "entropy of the first step",
            lambda r, d, p, n, q, t, g: _soft_target(r + t * entropy(p), d, p, n, q, t, g),
            "Your target pays for the entropy in s as well. The Q of this course begins after the first action is chosen: "
            "that entropy is added when V is made of Q, (6.8), and would now be paid twice. With which state does (6.7) begin "
            "to pay?",
        ),
        Misconception(
            "target of the other convention",
            lambda r, d, p, n, q, t, g: td_target(r + t * entropy(p), d, expected_value(q, n), g),
            "That is the target of Q₊, the other convention of (6.9): it pays at s and reads the entropy in s′ out of Q₊(s′, "
            "·). What you are given is Q, which has it not.",
        ),
        Misconception(
            "entropy of the wrong state",
            lambda r, d, p, n, q, t, g: td_target(r, d, expected_value(q, n) + t * entropy(p), g),
            "Your entropy is that of the policy in s. In (6.10) the average over Q and the entropy belong to the same state: "
            "which?",
        ),
        Misconception(
            "policy of the wrong state",
            lambda r, d, p, n, q, t, g: _soft_target(r, d, n, p, q, t, g),
            "You use the policy in s throughout. Q(s′, ·) is averaged over the actions that will be taken in s′: which of the "
            "two policies is that?",
        ),
        Misconception(
            "entropy beyond the end",
            lambda r, d, p, n, q, t, g: td_target(r, d, expected_value(q, n), g) + g * t * entropy(n),
            "Your target pays for entropy after the episode has ended: the mask stands before Q, but not before H. Ending "
            "would be worth something then, and the agent would be paid for choices that it never makes. What does 1 − d "
            "multiply in (6.7)?",
        ),
        Misconception(
            "entropy not discounted",
            lambda r, d, p, n, q, t, g: td_target(r + ~d * (t * entropy(n)), d, expected_value(q, n), g),
            "Your entropy is not discounted. It is had in s′, a step later, like everything in V(s′): what does γ multiply in "
            "(6.7)?",
        ),
        Misconception(
            "entropy as a part of the reward",
            lambda r, d, p, n, q, t, g: td_target(r + t * entropy(n), d, expected_value(q, n), g),
            "You add the entropy in s′ to the reward: neither discounted nor stopped by an end. It is a part of V(s′), (6.8), "
            "and shares that one's factors.",
        ),
        Misconception(
            "entropy charged, not paid",
            lambda r, d, p, n, q, t, g: td_target(r, d, expected_value(q, n) - t * entropy(n), g),
            "Your target falls where the policy in s′ is undecided. log π is negative; which sign does (6.10) give it?",
        ),
        Misconception(
            "entropy forgotten",
            lambda r, d, p, n, q, t, g: td_target(r, d, expected_value(q, n), g),
            "Your target is that of expected SARSA, α or no α. Which term of (6.10) is missing?",
        ),
        Misconception(
            "α forgotten",
            lambda r, d, p, n, q, t, g: _soft_target(r, d, p, n, q, 1.0, g),
            "Your target pays a unit of reward for each nat of entropy, whatever α is. Where is α in (6.10)?",
        ),
        Misconception(
            "α on the whole future",
            lambda r, d, p, n, q, t, g: td_target(r, d, t * soft_policy_value(q, n, 1.0), g),
            "Your α multiplies Q(s′, ·) as well. Rewards to come are worth what they are; before what does α stand in (6.10)?",
        ),
        Misconception(
            "maximum plus entropy",
            lambda r, d, p, n, q, t, g: td_target(r, d, q.amax(-1) + t * entropy(n), g),
            "You take the largest of Q(s′, ·) and add entropy to it. A policy that always takes the best action has none; "
            "(6.10) averages over the policy that there is.",
        ),
        Misconception(
            "value of the best policy",
            lambda r, d, p, n, q, t, g: td_target(r, d, q.amax(-1) if t == 0 else soft_value(q, t), g),
            "Your next-state value does not ask the policy: it is that of the best one, soft Q-learning's, (6.35). Here a "
            "given policy is evaluated.",
        ),
        Misconception(
            "mask dropped",
            lambda r, d, p, n, q, t, g: r + g * soft_policy_value(q, n, t),
            "Your target still contains the value of the next state where the episode has ended. Nothing comes after a "
            "terminal transition, entropy included: which factor of (6.7) says so?",
        ),
        Misconception(
            "mask upside-down",
            lambda r, d, p, n, q, t, g: _soft_target(r, ~d, p, n, q, t, g),
            "Your target adds the future exactly where the episode has ended. (6.7) has 1 − d there: which of terminated and "
            "~terminated is that?",
        ),
        Misconception(
            "the mask wipes the last reward",
            lambda r, d, p, n, q, t, g: ~d * (r + g * soft_policy_value(q, n, t)),
            "Your target loses the reward of the step that ends the episode, often the only one there is. (1 − d) stands "
            "before the value alone.",
        ),
        Misconception(
            "γ on the reward too",
            lambda r, d, p, n, q, t, g: g * (r + ~d * soft_policy_value(q, n, t)),
            "Your target discounts the reward as well. The reward comes now; only what comes after it is a step away.",
        ),
        Misconception(
            "γ forgotten",
            lambda r, d, p, n, q, t, g: _soft_target(r, d, p, n, q, t, 1.0),
            "Your target does not discount: what comes a step later counts in full. Where is γ?",
        ),
        Misconception(
            "mean for the sum",
            lambda r, d, p, n, q, t, g: td_target(r, d, soft_policy_value(q, n, t) / q.shape[-1], g),
            "You divide by the number of actions although the probabilities sum to 1 already: mean or sum, in (6.10)?",
        ),
        Misconception(
            "keepdim",
            lambda r, d, p, n, q, t, g: td_target(r, d.unsqueeze(-1), soft_policy_value(q, n, t).unsqueeze(-1), g),
            "An axis of length 1 was left over, in your value perhaps: (B, 1) met (B,), and every reward the value of every "
            "next state. One target a transition is wanted.",
        ),
    ],
)


# Exercise 6.3: the soft maximum


def _soft_maximum(q: Tensor, temperature: float) -> Tensor:
    """Return α log Σ_a exp(Q(s,a)/α), equation (6.14)."""
    return soft_value(q, temperature)


def _uniform_value(q: Tensor, temperature: float) -> Tensor:
    return q.mean(-1) + temperature * math.log(q.shape[-1])


def _with_the_table_s_largest(q: Tensor, temperature: float) -> Tensor:
    largest = q.max()
    return largest + temperature * ((q - largest) / temperature).exp().sum(-1).log()


soft_maximum = Exercise(
    "soft_maximum",
    _soft_maximum,
    cases=[
        Case(
            "two actions are equally good and α is 1",
            (table(5.0, 5.0), 1.0),
            "Whoever tosses a coin between the two has 5 whatever comes, and an entropy of log 2 = 0.693 on top. What does "
            "(6.14) say?",
        ),
        Case(
            "three actions differ and α is 1",
            (table(0.0, 1.0, 3.0), 1.0),
            "Exponentiate, add up, take the logarithm, in this order. The result lies a little above the maximum, (6.29).",
        ),
        Case(
            "α is 4",
            (table(0.0, 1.0, 3.0), 4.0),
            "α stands in (6.14) twice: once so that what is exponentiated is a plain number, once so that the result has the "
            "unit of reward again.",
        ),
        Case(
            "α is 1/1000",
            (table(1.0, 2.0, 3.0), 0.001),
            "exp(3000) is larger than the largest number of a computer. The logarithm would bring it back: what can be taken "
            "out of the sum before it is exponentiated?",
        ),
        Case(
            "all values lie below −2000",
            (table(-2001.0, -2002.0), 1.0),
            "exp(−2001) is 0 for a computer, and log 0 is −∞. The same remedy helps as against large numbers.",
        ),
        Case(
            "there are three states of three actions",
            (_SQUARE_Q, 4.0),
            "There must be one value a state. Which axis holds the actions, and must vanish?",
        ),
        Case(
            "one state is worth much more than another",
            (table([1000.0, 999.0], [-1000.0, -1001.0]), 1.0),
            "Each state has a largest value of its own, and that is what must be taken out of its sum.",
        ),
        Case(
            "two runs stand in front of the states",
            (_RUNS_Q, 4.0),
            "The actions are on the last axis, whatever stands in front of it: count it from the end, as -1.",
        ),
    ],
    # Below: q is Q, t is α.
    misconceptions=[
        Misconception(
            "maximum",
            lambda q, t: q.amax(-1),
            "Yours is the hard maximum, the limit α → 0. It is what an agent has that gives up all entropy: would it, when "
            "entropy is paid for? (6.29) says on which side of the maximum the soft value lies.",
        ),
        Misconception(
            "mean for the sum",
            lambda q, t: soft_value(q, t) - t * math.log(q.shape[-1]),
            "You average over the actions before you take the logarithm. With one value for all actions that gives the value "
            "itself; where has the entropy of choosing among them gone? (6.14) has a Σ.",
        ),
        Misconception(
            "α missing outside",
            lambda q, t: torch.logsumexp(q / t, -1),
            "Your result is in nats: log Z. What turns it into units of reward, in (6.14)?",
        ),
        Misconception(
            "α missing inside",
            lambda q, t: t * torch.logsumexp(q, -1),
            "You exponentiate Q itself, in whatever unit rewards come. In (6.14), what is Q divided by before that?",
        ),
        Misconception(
            "α missing",
            lambda q, t: torch.logsumexp(q, -1),
            "Your value does not depend on α. It stands in (6.14) twice; where?",
        ),
        Misconception(
            "α upside-down",
            lambda q, t: torch.logsumexp(t * q, -1) / t,
            "Your α is the inverse of the temperature: with a large one you come near the maximum. What should a hot agent "
            "do? Compare with (6.14).",
        ),
        Misconception(
            "α multiplied in twice",
            lambda q, t: t * torch.logsumexp(t * q, -1),
            "You multiply by α inside as well. A high temperature levels differences between actions, (6.13): what must "
            "become of Q for that?",
        ),
        Misconception(
            "overflow",
            lambda q, t: t * (q / t).exp().sum(-1).log(),
            "Your formula is right, and the computer's numbers end too early for it. For any c, log Σ exp(x) = c + log Σ "
            "exp(x − c): which c keeps every exponential at 1 or below? (Or does PyTorch have such a function?)",
        ),
        Misconception(
            "one largest value for the whole table",
            _with_the_table_s_largest,
            "You take the largest value of the whole table out of each sum. In a state that is worth much less, every "
            "exponential is 0 then: whose largest value must it be?",
        ),
        Misconception(
            "largest value not put back",
            lambda q, t: soft_value(q - q.amax(-1, keepdim=True), t),
            "You have taken the largest value out of the sum, which is wise, and have not put it back.",
        ),
        Misconception(
            "largest value put back in the wrong unit",
            lambda q, t: soft_value(q - q.amax(-1, keepdim=True), t) + t * q.amax(-1),
            "You put the largest value back inside the bracket that α multiplies. In which unit is it: that of Q, or of Q/α?",
        ),
        Misconception(
            "average under the Boltzmann policy",
            lambda q, t: expected_value(q, boltzmann_policy(q, t)),
            "Your value is what the best policy earns, without its entropy. (6.14) has both: which term of (6.8) is missing?",
        ),
        Misconception(
            "value of the uniform policy",
            _uniform_value,
            "Your value is that of a policy that ignores Q: the plain average, and the largest entropy there is. Would a "
            "better policy not prefer some actions, (6.13)?",
        ),
        Misconception(
            "upper bound",
            lambda q, t: q.amax(-1) + t * math.log(q.shape[-1]),
            "Yours is the upper bound of (6.29): the best value and the largest entropy at once. Can one have both when the "
            "actions differ?",
        ),
        Misconception(
            "exp forgotten",
            lambda q, t: t * (q / t).sum(-1).log(),
            "You take the logarithm of a sum of Q/α, and where that is negative there is none. What makes a positive number "
            "of every value, in (6.14)?",
        ),
        Misconception(
            "wrong axis",
            lambda q, t: t * torch.logsumexp(q / t, 0),
            "Your answer adds over the first axis and so mixes different states. The actions are on the last axis.",
        ),
        Misconception(
            "axis counted from the front",
            lambda q, t: t * torch.logsumexp(q / t, min(1, q.dim() - 1)),
            "Your answer adds over axis 1: the actions of a table of states, but not those of a table with runs in front. "
            "Counted from the end, the actions are always axis -1.",
        ),
        Misconception(
            "summed over every axis",
            lambda q, t: t * torch.logsumexp((q / t).flatten(), 0),
            "Your answer is right for one state, but adds all states into one number. Each state has a soft value of its own.",
        ),
    ],
)


# Exercise 6.4: how far a policy is from the one that improvement wants


def _policy_divergence(q: Tensor, policy: Tensor, temperature: float) -> Tensor:
    """Return KL(π(·|s) ‖ exp(Q(s,·)/α)/Z(s)), equation (6.15)."""
    return boltzmann_divergence(q, policy, temperature)


def _log_boltzmann(q: Tensor, temperature: float) -> Tensor:
    return torch.log_softmax(q / temperature, -1)


def _compared(
    each: Callable[[Tensor, Tensor, Tensor], Tensor],
) -> Callable[[Tensor, Tensor, float], Tensor]:
    """Make an answer out of what is summed over the actions: `each(π, log π, log B)`."""
    return lambda q, policy, temperature: each(policy, _log(policy), _log_boltzmann(q, temperature)).sum(-1)


policy_divergence = Exercise(
    "policy_divergence",
    _policy_divergence,
    cases=[
        Case(
            "the policy is the Boltzmann policy itself",
            (table(2.0, 2.0, 2.0, 2.0), table(0.25, 0.25, 0.25, 0.25), 1.0),
            "All Q are equal, so that B is uniform, and so is π. From where one stands there is no way to go: the divergence "
            "is 0. Z sees to that: which number is it here, (6.13)?",
        ),
        Case(
            "all Q are 0 and one action is likelier than the other",
            (table(0.0, 0.0), table(0.875, 0.125), 1.0),
            "B is uniform. (6.15) averages log π − log B: over the actions of which of the two policies?",
        ),
        Case(
            "the Q of two actions differ and α is 1",
            (table(1.0, 3.0), table(0.75, 0.25), 1.0),
            "Write log B(a|s) out: Q(s,a)/α − log Z(s), (6.13). Each action's log π − log B counts as often as π takes it.",
        ),
        Case(
            "α is 4",
            (table(1.0, 3.0), table(0.75, 0.25), 4.0),
            "In B, (6.13), Q is divided by α. Where else does α stand in (6.15)?",
        ),
        Case(
            "an action is never taken",
            (table(1.0, 3.0, 2.0), table(0.5, 0.5, 0.0), 4.0),
            "What π never does cannot be held against it: 0 · log 0 counts as 0. torch.xlogy(p, p) knows that.",
        ),
        Case(
            "B is too small for a computer's numbers",
            (table(0.0, 2000.0), table(0.5, 0.5), 1.0),
            "exp(−2000) is 0 for a computer, and log 0 is −∞. But log B = Q/α − log Z is an honest −2000: torch.log_softmax "
            "never makes the detour.",
        ),
        Case(
            "there are three states of three actions",
            (_SQUARE_Q, _SQUARE_POLICY, 4.0),
            "Each state has a policy, a B and a divergence of its own. Which axis holds the actions?",
        ),
        Case(
            "two runs stand in front of the states",
            (_RUNS_Q, _RUNS_POLICY, 4.0),
            "The actions are on the last axis, whatever stands in front of it: count it from the end, as -1.",
        ),
    ],
    # Below: q is Q, p is π, lp is log π, lb is log B, t is α.
    misconceptions=[
        Misconception(
            "the other direction",
            _compared(lambda p, lp, lb: lb.exp() * (lb - torch.where(p > 0, p.log(), -math.inf))),
            "You average over the actions of B: that is KL(B ‖ π), and it is infinite as soon as π leaves out an action. "
            "Whose actions does (6.15) average over? An agent can draw from π; from B it often can't.",
        ),
        Misconception(
            "log Z forgotten",
            lambda q, p, t: (p * (_log(p) - q / t)).sum(-1),
            "You compare π with exp(Q/α), which does not sum to 1. Such a number may be negative, which no divergence is. "
            "What is missing from log B?",
        ),
        Misconception(
            "log Z with the wrong sign",
            lambda q, p, t: (p * (_log(p) - q / t)).sum(-1) - torch.logsumexp(q / t, -1),
            "Your log Z has the wrong sign. log B = Q/α − log Z, and the whole of it is subtracted.",
        ),
        Misconception(
            "Z as a mean",
            lambda q, p, t: boltzmann_divergence(q, p, t) - math.log(q.shape[-1]),
            "Your Z is the mean of exp(Q/α), so that exp(Q/α)/Z sums to the number of actions. What must B sum to, (6.13)?",
        ),
        Misconception(
            "loss of an actor",
            lambda q, p, t: (p * (t * _log(p) - q)).sum(-1),
            "Yours is Σ π (α log π − Q), minus the value of (6.8). It is smallest for the same policy, and a network will be "
            "trained on it later in the course; but it is in units of reward, and lacks what (6.16) adds to make it 0 for B.",
        ),
        Misconception(
            "soft value in place of log Z",
            lambda q, p, t: (p * (_log(p) - q / t)).sum(-1) + soft_value(q, t),
            "You mix units: Q/α is in nats, the soft value in units of reward. How does log Z follow from (6.14)?",
        ),
        Misconception(
            "α upside-down",
            lambda q, p, t: boltzmann_divergence(q, p, 1 / t),
            "Your B is made of Q · α: the hotter, the greedier. What does (6.13) exponentiate?",
        ),
        Misconception(
            "α forgotten",
            lambda q, p, t: boltzmann_divergence(q, p, 1.0),
            "Your B does not depend on α. What does (6.13) exponentiate?",
        ),
        Misconception(
            "times α",
            lambda q, p, t: t * boltzmann_divergence(q, p, t),
            "Yours is the gap of (6.16), in units of reward: what π lacks of the soft value. The divergence itself is in nats.",
        ),
        Misconception(
            "sign",
            lambda q, p, t: -boltzmann_divergence(q, p, t),
            "Your divergence is negative. log π is what one has, log B what one is measured by: which is subtracted from "
            "which, in (6.15)?",
        ),
        Misconception(
            "bits",
            lambda q, p, t: boltzmann_divergence(q, p, t) / math.log(2),
            "Your divergence is in bits. The course counts in nats: which logarithm undoes the exp of (6.13)?",
        ),
        Misconception(
            "cross-entropy",
            _compared(lambda p, lp, lb: -p * lb),
            "Yours is −Σ π log B, the cross-entropy. The policy that makes it smallest always takes the best action: which "
            "term of (6.15) speaks for entropy?",
        ),
        Misconception(
            "entropy alone",
            _compared(lambda p, lp, lb: p * lp),
            "Your answer does not depend on Q. Which of the two policies of (6.15) is missing?",
        ),
        Misconception(
            "without weights",
            _compared(lambda p, lp, lb: lp - lb),
            "You add up log π − log B of all actions alike, likely or not. Whose average is (6.15)?",
        ),
        Misconception(
            "mean for the sum",
            _compared(lambda p, lp, lb: p * (lp - lb) / p.shape[-1]),
            "You divide by the number of actions although the probabilities sum to 1 already: mean or sum, in (6.15)?",
        ),
        Misconception(
            "total variation",
            _compared(lambda p, lp, lb: (p - lb.exp()).abs() / 2),
            "You add up how much the probabilities differ. That is a distance too, but another one: (6.15) compares "
            "logarithms.",
        ),
        Misconception(
            "squared distance",
            _compared(lambda p, lp, lb: (p - lb.exp()).square()),
            "You add up squared differences of probabilities. An action of probability 10⁻⁹ or 10⁻³ is all the same to them; "
            "(6.15) compares logarithms.",
        ),
        Misconception(
            "0 · log 0",
            lambda q, p, t: (p * (p.log() - _log_boltzmann(q, t))).sum(-1),
            "log 0 is −∞, and 0 · ∞ is no number. An action that π never takes adds nothing, (6.15): torch.xlogy(p, p) knows "
            "that.",
        ),
        Misconception(
            "logarithm of a rounded B",
            lambda q, p, t: (torch.xlogy(p, p) - torch.xlogy(p, boltzmann_policy(q, t))).sum(-1),
            "Your B was rounded to 0 before you took its logarithm. Can log B be had without B, from (6.13)?",
        ),
        Misconception(
            "greedy policy for B",
            lambda q, p, t: (torch.xlogy(p, p) - torch.xlogy(p, greedy_policy(q))).sum(-1),
            "You measure π by the greedy policy, which leaves actions out: whoever takes one of them is infinitely far away. "
            "Does (6.13) leave anything out?",
        ),
        Misconception(
            "B over the wrong axis",
            lambda q, p, t: (p * (_log(p) - torch.log_softmax(q / t, 0))).sum(-1),
            "Your Z adds over states. In (6.13) each state shares out a probability of 1 among its actions: which axis is "
            "theirs?",
        ),
        Misconception(
            "wrong axis",
            lambda q, p, t: (p * (_log(p) - torch.log_softmax(q / t, 0))).sum(0),
            "Your answer works along the first axis throughout and so mixes different states. The actions are on the last "
            "axis.",
        ),
        Misconception(
            "axis counted from the front",
            lambda q, p, t: (p * (_log(p) - torch.log_softmax(q / t, min(1, q.dim() - 1)))).sum(min(1, q.dim() - 1)),
            "Your answer works along axis 1: the actions of a table of states, but not those of a table with runs in front. "
            "Counted from the end, the actions are always axis -1.",
        ),
        Misconception(
            "summed over every axis",
            _compared(lambda p, lp, lb: (p * (lp - lb)).sum().unsqueeze(0)),
            "Your answer is right for one state, but adds the divergences of all states. Improvement is made state by state, "
            "(6.17), and so is this.",
        ),
    ],
)


# Exercise 6.5: soft policy iteration

ROUNDS = 100
"""More than a wrong answer below needs to settle: the reference is there after seven on every case."""


def _soft_policy_rounds(mdp: FiniteMDP, policy: Tensor, temperature: float) -> Tensor:
    """Return π* = exp((Q* − V*)/α), equation (6.25), which evaluation (6.12) and improvement (6.17) in turns lead to."""
    return boltzmann_policy(soft_optimal_q(mdp, temperature), temperature)


def _in_turns(
    evaluate: Callable[[FiniteMDP, Tensor, float], Tensor],
    improve: Callable[[Tensor, float, Tensor], Tensor] = lambda q, temperature, policy: boltzmann_policy(
        q, temperature
    ),
    rounds: int = ROUNDS,
) -> Callable[[FiniteMDP, Tensor, float], Tensor]:
    """Make an answer out of its two halves, `evaluate(mdp, π, α)` and `improve(Q, α, π)`."""

    def iterate(mdp: FiniteMDP, policy: Tensor, temperature: float) -> Tensor:
        for _ in range(rounds):
            policy = improve(evaluate(mdp, policy, temperature), temperature, policy)
        return policy

    return iterate


def _until_the_best_action_stays(mdp: FiniteMDP, policy: Tensor, temperature: float) -> Tensor:
    while True:
        improved = boltzmann_policy(policy_q(mdp, policy, temperature), temperature)
        if torch.equal(improved.argmax(-1), policy.argmax(-1)):
            return improved
        policy = improved


def _evaluated(matrix: Callable[[FiniteMDP], Tensor]) -> Callable[[FiniteMDP, Tensor, float], Tensor]:
    """Make an evaluation by (6.12) with `matrix(mdp)` for P̃, which, unlike the package's, takes any table for a policy."""

    def evaluate(mdp: FiniteMDP, policy: Tensor, temperature: float) -> Tensor:
        follows = mdp.discount * matrix(mdp)
        chain = torch.einsum("sa,sat->st", policy, follows)
        reward = (policy * (mdp.expected_reward - temperature * _log(policy))).sum(-1)
        value = torch.linalg.solve(torch.eye(mdp.states, dtype=torch.float64) - chain, reward)
        q: Tensor = mdp.expected_reward + follows @ value
        return q

    return evaluate


def _q_at_the_end(mdp: FiniteMDP, policy: Tensor, temperature: float) -> Tensor:
    return soft_optimal_q(mdp, temperature)


def _uniform(mdp: FiniteMDP) -> Tensor:
    return torch.full((mdp.states, mdp.actions), 1 / mdp.actions, dtype=torch.float64)


def _one_choice() -> FiniteMDP:
    """One state whose three actions end the episode with the rewards 0, 1 and 2."""
    ends = [[(1.0, 0, reward, True)] for reward in (0.0, 1.0, 2.0)]
    return FiniteMDP.from_outcomes([ends], start_probability=table(1.0), discount=0.5)


def _choice_to_come() -> FiniteMDP:
    """In state 0 one may take 1 at once, or go where 2 is had in either of two ways: as good, with γ = ½ and no entropy."""
    first = [[(1.0, 1, 1.0, True)], [(1.0, 1, 0.0, False)]]
    second = [[(1.0, 1, 2.0, True)], [(1.0, 1, 2.0, True)]]
    return FiniteMDP.from_outcomes([first, second], start_probability=table(1.0, 0.0), discount=0.5)


def _corridor(states: int) -> FiniteMDP:
    """Left and right along a corridor, whose right end pays 1 and ends the episode."""
    rows = [
        [
            [(1.0, max(state - 1, 0), 0.0, False)],
            [(1.0, state, 1.0, True) if state == states - 1 else (1.0, state + 1, 0.0, False)],
        ]
        for state in range(states)
    ]
    start = torch.zeros(states, dtype=torch.float64)
    start[0] = 1
    return FiniteMDP.from_outcomes(rows, start_probability=start, discount=0.9)


_ONE_CHOICE, _CHOICE_TO_COME, _CORRIDOR, _CROSSING = _one_choice(), _choice_to_come(), _corridor(30), crossing()

soft_policy_rounds = Exercise(
    "soft_policy_rounds",
    _soft_policy_rounds,
    cases=[
        Case(
            "there is one state and every action ends the episode",
            (_ONE_CHOICE, _uniform(_ONE_CHOICE), 0.5),
            "Nothing follows, so that Q is the reward and one improvement is all there is to do: exp(Q/α)/Z, (6.13).",
        ),
        Case(
            "one of two equally good actions leads to a choice",
            (_CHOICE_TO_COME, _uniform(_CHOICE_TO_COME), 0.5),
            "A future with a choice in it is worth more than the same rewards without, as (6.12) knows: its right-hand side "
            "is r^π + αH^π.",
        ),
        Case(
            "the first policy always walks away from the goal at the end of a corridor",
            (_CORRIDOR, table([1.0, 0.0]).expand(30, 2).clone(), 0.005),
            "News from the goal takes several rounds to come through, since a policy is improved by what it itself is worth. "
            "When may one stop?",
        ),
        Case(
            "it is the crossing, and α is 0.1",
            (_CROSSING, _uniform(_CROSSING), 0.1),
            "Evaluate the policy that you have *now*, with the entropy it has; improve; begin again, until nothing changes.",
        ),
        Case(
            "it is the crossing, and α is 1",
            (_CROSSING, _uniform(_CROSSING), 1.0),
            "Which action is the likeliest is settled early here. How likely each is, is not: what must stop changing?",
        ),
    ],
    misconceptions=[
        Misconception(
            "evaluated without entropy",
            _in_turns(lambda mdp, policy, temperature: policy_q(mdp, policy)),
            "Your policy is improved by a Q without entropy: choices to come are worth nothing to it. Which Q does (6.17) "
            "improve by, and what does (6.12) have on its right-hand side?",
        ),
        Misconception(
            "one round",
            _in_turns(policy_q, rounds=1),
            "You have evaluated the first policy and improved it once. The new policy has another Q: what does Theorem 1 say "
            "of going on?",
        ),
        Misconception(
            "three rounds",
            _in_turns(policy_q, rounds=3),
            "Your policy is nearly there, but still on the move. How do you know when to stop?",
        ),
        Misconception(
            "stops when the best actions stay",
            _until_the_best_action_stays,
            "You stop when the best action of every state stays what it was, as hard policy iteration does. Soft policies go "
            "on moving after that: what must stop changing?",
        ),
        Misconception(
            "greedy improvement",
            _in_turns(policy_q, lambda q, temperature, policy: greedy_policy(q)),
            "Your improvement is greedy, and a policy that is certain has no entropy: that is hard policy iteration, (1.22). "
            "Which policy is the nearest to exp(Q/α)/Z, (6.17), when all policies may be taken?",
        ),
        Misconception(
            "α forgotten in the improvement",
            _in_turns(policy_q, lambda q, temperature, policy: boltzmann_policy(q, 1.0)),
            "Your improvement is the same for every α. What does (6.13) exponentiate?",
        ),
        Misconception(
            "α upside-down in the improvement",
            _in_turns(policy_q, lambda q, temperature, policy: torch.softmax(q * temperature, -1)),
            "Your improvement multiplies Q by α: the colder, the more random. What does (6.13) exponentiate?",
        ),
        Misconception(
            "α forgotten in the evaluation",
            _in_turns(lambda mdp, policy, temperature: policy_q(mdp, policy, 1.0)),
            "Your evaluation pays a unit of reward for a nat of entropy, whatever α is, and your improvement does not. "
            "Evaluation (6.12) and improvement (6.13) must mean the same α.",
        ),
        Misconception(
            "improvement over states",
            _in_turns(
                _evaluated(lambda mdp: mdp.continuation_matrix),
                lambda q, temperature, policy: torch.softmax(q / temperature, 0),
            ),
            "Your Z adds over states. In (6.13) each state shares out a probability of 1 among its actions: which axis is "
            "theirs?",
        ),
        Misconception(
            "the old policy multiplied in",
            _in_turns(policy_q, lambda q, temperature, policy: torch.softmax(policy.log() + q / temperature, -1)),
            "Your new policy is the old one times exp(Q/α): it stays near where it was, and in the end becomes greedy. Does "
            "the old policy stand in (6.13)?",
        ),
        Misconception(
            "paid after the end",
            _in_turns(_evaluated(lambda mdp: mdp.transition_matrix)),
            "In your evaluation the agent goes on after an episode has ended, and is paid for its entropy there for ever. P̃ "
            "of (6.12) counts only what goes on: continuation_matrix, not transition_matrix.",
        ),
        Misconception(
            "Q in place of the policy",
            _q_at_the_end,
            "What you return are values, soft Q*. What does (6.25) make of them?",
        ),
        Misconception(
            "the first policy",
            lambda mdp, policy, temperature: policy,
            "You return the policy that you were given. Is the improved one ever put in its place?",
        ),
    ],
)


# Exercise 6.6: the nearest policy with a floor


def _policy_with_floor(policy: Tensor, floor: float) -> Tensor:
    """Return π = max(f, c B) with the c that makes it sum to 1, equation (6.21)."""
    return floored_policy(policy, floor)


def _clipped(policy: Tensor, floor: float) -> Tensor:
    return policy.clamp(min=floor)


def _clipped_and_normalised(policy: Tensor, floor: float) -> Tensor:
    return _clipped(policy, floor) / _clipped(policy, floor).sum(-1, keepdim=True)


def _mixed(policy: Tensor, floor: float) -> Tensor:
    return (1 - policy.shape[-1] * floor) * policy + floor


def _one_pass(policy: Tensor, floor: float) -> Tensor:
    low = policy < floor
    rest = 1 - floor * low.sum(-1, keepdim=True)
    return torch.where(low, floor, rest * policy / policy.masked_fill(low, 0.0).sum(-1, keepdim=True))


def _the_best_pays(policy: Tensor, floor: float) -> Tensor:
    clipped = _clipped(policy, floor)
    return clipped.scatter_add(-1, clipped.argmax(-1, keepdim=True), 1 - clipped.sum(-1, keepdim=True))


def _euclidean(policy: Tensor, floor: float) -> Tensor:
    """Return max(f, B − τ) with the τ that makes it sum to 1: the nearest policy with a floor by the sum of squares."""
    low, high = torch.zeros_like(policy[..., :1]), torch.ones_like(policy[..., :1])
    for _ in range(60):
        middle = (low + high) / 2
        too_much = _clipped(policy - middle, floor).sum(-1, keepdim=True) > 1
        low, high = torch.where(too_much, middle, low), torch.where(too_much, high, middle)
    return _clipped(policy - high, floor)


def _one_scale_for_all(policy: Tensor, floor: float) -> Tensor:
    flat = policy.flatten()
    states = flat.numel() // policy.shape[-1]
    return states * floored_policy(flat / states, floor / states).view_as(policy)


policy_with_floor = Exercise(
    "policy_with_floor",
    _policy_with_floor,
    cases=[
        Case(
            "every action is above the floor already",
            (table(0.5, 0.375, 0.125), 0.1),
            "B is of the family, and nothing is nearer to B than B. Does your answer leave it alone?",
        ),
        Case(
            "one action lies below the floor",
            (table(0.75, 0.15, 0.1), 0.125),
            "What is below must rise to the floor, and the others must pay for it, each in proportion to what it has, (6.21): "
            "three quarters to fifteen hundredths, before and after.",
        ),
        Case(
            "an action is pushed below the floor by what the others need",
            (table(0.6, 0.21, 0.19, 0.0), 0.2),
            "0.21 is above the floor of 0.2, but not after paying its share: c · 0.21 is below. (6.21) has a max in every "
            "action: c must fit the policy that comes out.",
        ),
        Case(
            "the floor is 0",
            (table(0.0, 0.25, 0.75), 0.0),
            "A floor of 0 asks for nothing.",
        ),
        Case(
            "the floor takes everything",
            (table(0.5, 0.25, 0.25, 0.0), 0.25),
            "With four actions and a floor of ¼ there is only one such policy, and nothing is left to share.",
        ),
        Case(
            "B is certain",
            (table(0.0, 1.0, 0.0), 0.2),
            "Where B is 0, c · B is 0 too, whatever c: what does the max of (6.21) say?",
        ),
        Case(
            "there are three states of three actions",
            (table([0.75, 0.15, 0.1], [0.05, 0.05, 0.9], [0.25, 0.5, 0.25]), 0.125),
            "Each state has floors, and a c, of its own, and its actions are on the last axis.",
        ),
        Case(
            "two runs stand in front of the states",
            (_RUNS_POLICY, 0.15),
            "The actions are on the last axis, whatever stands in front of it: count it from the end, as -1.",
        ),
    ],
    # Below: p is B, f the floor.
    misconceptions=[
        Misconception(
            "floor ignored",
            lambda p, f: p,
            "Your policy is B itself, which may not be of the family. What must hold for every action?",
        ),
        Misconception(
            "clipped",
            _clipped,
            "Your actions keep their floors, but the probabilities of a state sum to more than 1. Who pays for what was added?",
        ),
        Misconception(
            "clipped, then normalised",
            _clipped_and_normalised,
            "You lift what is below the floor and then divide everything by the sum, what you have just lifted included: it "
            "falls below the floor again. In (6.21), what does c multiply, and what not?",
        ),
        Misconception(
            "mixture with the uniform policy",
            _mixed,
            "Your policy is a mixture of B and the uniform policy. Each action keeps its floor, but those that were above it "
            "are changed for nothing: the nearest policy of the family, (6.17), leaves B alone where it can.",
        ),
        Misconception(
            "ε-greedy",
            lambda p, f: _mixed(greedy_policy(p), f),
            "Your policy is ε-greedy: of B it keeps which action is the best, and nothing else. What do the actions that are "
            "not on their floor share in (6.21), and in which proportions?",
        ),
        Misconception(
            "one pass",
            _one_pass,
            "You set to the floor what lies below it, and share the rest among the others once. One of them may have fallen "
            "below the floor by that: are you done?",
        ),
        Misconception(
            "the best action pays",
            _the_best_pays,
            "You take all that is missing from the likeliest action. In (6.21) the actions that are not on their floor keep "
            "their proportions: who pays?",
        ),
        Misconception(
            "all pay alike",
            _euclidean,
            "You take the same amount from every action that can pay: that is the nearest policy by the sum of squares. By "
            "the KL divergence of (6.17) it is proportions that are kept, (6.21).",
        ),
        Misconception(
            "floor divided once more",
            lambda p, f: floored_policy(p, f / p.shape[-1]),
            "Your floor is too low by the number of actions. ε/A is what each of A actions keeps; what you are given is that "
            "number already.",
        ),
        Misconception(
            "softmax of the clipped",
            lambda p, f: torch.softmax(_clipped(p, f), -1),
            "You have sent probabilities through a softmax, which takes exponentials of them and levels all differences. "
            "Which number makes them sum to 1, (6.21)?",
        ),
        Misconception(
            "uniform where a floor is needed",
            lambda p, f: torch.where((p < f).any(-1, keepdim=True), 1 / p.shape[-1], p),
            "Where one action is below the floor you give up B altogether. What do the others know that is worth keeping?",
        ),
        Misconception(
            "one c for all states",
            _one_scale_for_all,
            "You look for one c for all states together: probability flows from one state to another. Each state must sum to "
            "1 by itself.",
        ),
        Misconception(
            "wrong axis",
            lambda p, f: floored_policy(p.transpose(0, -1), f).transpose(0, -1),
            "Your answer shares out along the first axis and so mixes different states. The actions are on the last axis.",
        ),
    ],
)


# Exercise 6.7: the hottest policy


def _hottest_policy(expected_reward: Tensor, continuation_matrix: Tensor, discount: float) -> Tensor:
    """Return π ∝ exp(γ E[(1 − d) h(s′)]) with h(s) = log Σ_a exp(γ E[(1 − d) h(s′)]), equation (6.32)."""
    return _soft_optimal(lambda q: torch.logsumexp(q, -1))(expected_reward, continuation_matrix, discount)


def _iterated(
    next_value: Callable[[Tensor], Tensor],
    scale: float = 0.0,
    sweeps: int | None = None,
) -> Callable[[Tensor, Tensor, float], Tensor]:
    """Make a function that iterates h = next_value(scale · r̄ + γ P̃ h) and returns what `next_value` was given last.

    As many sweeps as asked for; None: until nothing changes.
    """

    def iterate(expected_reward: Tensor, continuation_matrix: Tensor, discount: float) -> Tensor:
        q, count = torch.zeros_like(expected_reward), 0
        while count != sweeps:
            previous, q = q, scale * expected_reward + discount * continuation_matrix @ next_value(q)
            count += 1
            if (q - previous).abs().max() < 1e-12 * (1 + q.abs().max()):
                break
        return q

    return iterate


def _soft_optimal(
    next_value: Callable[[Tensor], Tensor], scale: float = 0.0, sweeps: int | None = None
) -> Callable[[Tensor, Tensor, float], Tensor]:
    """Make an answer that takes the softmax of what `_iterated` returns."""
    iterate = _iterated(next_value, scale, sweeps)
    return lambda expected_reward, continuation_matrix, discount: torch.softmax(
        iterate(expected_reward, continuation_matrix, discount), -1
    )


def _nats_ahead(q: Tensor) -> Tensor:
    return torch.logsumexp(q, -1)


def _likely_to_go_on(expected_reward: Tensor, continuation_matrix: Tensor, discount: float) -> Tensor:
    goes_on = continuation_matrix.sum(-1)
    total = goes_on.sum(-1, keepdim=True)
    return torch.where(total > 0, goes_on / total.clamp(min=1e-300), 1 / goes_on.shape[-1])


_STAY_OR_END = table([[1.0], [0.0]])
"""One state: its first action leads back to it, its second ends the episode."""

hottest_policy = Exercise(
    "hottest_policy",
    _hottest_policy,
    cases=[
        Case(
            "one of two actions ends the episode, and nothing pays",
            (table([0.0, 0.0]), _STAY_OR_END, 0.5),
            "Whoever stays may choose again. With x = exp(γ h), (6.32) says x² = x + 1 here, whose solution is an old friend.",
        ),
        Case(
            "the action that ends the episode pays 10",
            (table([0.0, 10.0]), _STAY_OR_END, 0.5),
            "However much is paid: with α → ∞ a nat of entropy is worth more. What is 10/α then?",
        ),
        Case(
            "γ is 0",
            (table([1.0, 2.0, 3.0]), table([[1.0], [0.0], [0.5]]), 0.0),
            "Only the present counts, and in the present every policy but one has less entropy.",
        ),
        Case(
            "an action may end the episode or not",
            (table([0.0, 0.0], [1.0, 0.0]), table([[0.5, 0.0], [0.0, 1.0]], [[0.25, 0.25], [1.0, 0.0]]), 0.5),
            "A row of P̃ sums to the probability that the episode goes on; h(s′) counts as much as it is likely to be reached.",
        ),
        Case(
            "it is the crossing",
            (_CROSSING.expected_reward, _CROSSING.continuation_matrix, 0.9),
            "The entropy to be had from s on is that of this step and γ times all that is to come, the best policy's, (6.32). "
            "If you iterate: is h still growing when you stop?",
        ),
        Case(
            "it is the crossing, and γ is 0.97",
            (_CROSSING.expected_reward, _CROSSING.continuation_matrix, 0.97),
            "The future is long: (1.14) says how many sweeps such a γ takes. When may one stop?",
        ),
    ],
    # Below: r is r̄, c is P̃, g the discount.
    misconceptions=[
        Misconception(
            "uniform",
            lambda r, c, g: torch.full_like(r, 1 / r.shape[-1]),
            "Yours is the uniform policy, which has the most entropy *in this step*. The objective adds up entropy over all "
            "steps, (6.3): what if an action ends them?",
        ),
        Misconception(
            "rewards kept",
            _soft_optimal(_nats_ahead, scale=1.0),
            "You have solved the problem with its rewards, at the temperature 1. By (6.33) that is as good as any other "
            "temperature with scaled rewards: what becomes of r/α when α → ∞?",
        ),
        Misconception(
            "a large temperature",
            _soft_optimal(_nats_ahead, scale=0.01),
            "Your temperature is large, but it is one: rewards still matter a little. What exactly is left of them in the "
            "limit, (6.32)?",
        ),
        Misconception(
            "entropy of the next step alone",
            _soft_optimal(_nats_ahead, sweeps=2),
            "You look one step ahead: the entropy in s′, but not what comes after. (6.32) has h on both sides: when is it "
            "solved?",
        ),
        Misconception(
            "too few sweeps",
            _soft_optimal(_nats_ahead, sweeps=21),
            "Your h is still growing when you stop. With which factor do errors fall from sweep to sweep, (1.13)?",
        ),
        Misconception(
            "entropy of the uniform policy",
            _soft_optimal(lambda q: q.mean(-1) + math.log(q.shape[-1])),
            "Your h is the entropy that the *uniform* policy gathers, and your policy is the first improvement on it. A "
            "policy that avoids ends gathers more: whose entropy is (6.32)?",
        ),
        Misconception(
            "maximum plus log A",
            _soft_optimal(lambda q: q.amax(-1) + math.log(q.shape[-1])),
            "Your h adds the largest entropy of this step to the best of what can follow. One cannot have both, (6.29): who "
            "chooses at random does not always take the best way on.",
        ),
        Misconception(
            "entropy as if nothing ever ended",
            lambda r, c, g: torch.softmax(g * c.sum(-1) * math.log(r.shape[-1]) / (1 - g), -1),
            "You give every state the entropy log A/(1 − γ) of a life of free choices that never ends. Which states are there "
            "from which it may end soon? (6.32) knows each by its own h.",
        ),
        Misconception(
            "the longest life",
            lambda r, c, g: greedy_policy(_iterated(lambda q: q.amax(-1) + 1)(r, c, g).round(decimals=9)),
            "Your policy makes the episode last as long as it can, and is certain of what it does. To have much entropy later "
            "it gives up all of it now, and always: what is added up, time or entropy, (6.32)?",
        ),
        Misconception(
            "greedy at the end",
            lambda r, c, g: greedy_policy(_iterated(_nats_ahead)(r, c, g).round(decimals=9)),
            "Your h is right, and then you take the best action for certain: with that policy no entropy is ever had. Which "
            "policy has the soft value h, (6.13)?",
        ),
        Misconception(
            "likely to go on",
            _likely_to_go_on,
            "You prefer actions by how likely the episode goes on after them. Where it goes on to matters as well: what is to "
            "be had there, (6.32)?",
        ),
        Misconception(
            "γ forgotten in the policy",
            lambda r, c, g: torch.softmax(_iterated(_nats_ahead)(r, c, g) / g if g else r * 0, -1),
            "Your h is right, but your policy takes what follows undiscounted. In (6.32) π and h have the same exponent.",
        ),
        Misconception(
            "not normalised",
            lambda r, c, g: _iterated(_nats_ahead)(r, c, g).exp(),
            "Your numbers are exp(γ E[(1 − d) h(s′)]), to which π is *proportional*, (6.32). What makes a policy of them?",
        ),
        Misconception(
            "exponents in place of the policy",
            _iterated(_nats_ahead),
            "You return the exponents γ E[(1 − d) h(s′)] of (6.32). What makes probabilities of them?",
        ),
        Misconception(
            "softmax over states",
            lambda r, c, g: torch.softmax(_iterated(_nats_ahead)(r, c, g), 0),
            "Your softmax runs over the states. In (6.32) each state shares out a probability of 1 among its actions: which "
            "axis is theirs?",
        ),
    ],
)
