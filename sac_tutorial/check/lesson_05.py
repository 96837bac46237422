"""The exercises of lesson 05, actor–critic: reference answers, cases and misconceptions.

They can be imported and read: they are for learning, not for exams.
"""

# ruff: noqa: ARG001, ARG005 an argument that is not read is what many a misconception comes to

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from sac_tutorial.check.diagnosis import (
    Case,
    Exercise,
    Misconception,
    differentiated,
    flags,
    table,
    with_gradient,
    without_gradient,
)
from sac_tutorial.equations import (
    bootstrapped_return,
    clipped_noise,
    entropy,
    expected_value,
    gaussian_log_density,
    policy_gradient_loss,
    taken_value,
    td_target,
)

# Two runs of three states (or transitions, or episodes) of four actions (or dimensions, or steps).
_RUNS = (torch.arange(24, dtype=torch.float64) * 11 % 24).view(2, 3, 4) / 4
_RUNS_POLICY = table(
    [[0.5, 0.25, 0.125, 0.125], [0.25, 0.25, 0.25, 0.25], [0.125, 0.125, 0.25, 0.5]],
    [[0.75, 0.125, 0.0625, 0.0625], [0.0625, 0.4375, 0.25, 0.25], [0.25, 0.125, 0.5, 0.125]],
)


# Exercise 5.1: the exact gradient of a table of logits


def _logit_gradient(policy: Tensor, q: Tensor, visits: Tensor) -> Tensor:
    """Return d^π(s) π(a|s) (Q^π(s,a) − V^π(s)), equation (5.5)."""
    return visits.unsqueeze(-1) * policy * _advantage(policy, q)


def _advantage(policy: Tensor, q: Tensor) -> Tensor:
    return q - expected_value(q, policy).unsqueeze(-1)


def _gradient_of(each: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Make a gradient out of `each(π, Q, d)`, d with an axis of length 1 for the actions."""
    return lambda policy, q, visits: each(policy, q, visits.unsqueeze(-1))


# As many rows as actions: whoever works along the wrong axis gets numbers, not an exception.
_SQUARE_Q = table([1.0, 5.0, 2.0], [2.0, 8.0, 4.0], [3.0, 6.0, 12.0])
_SQUARE_POLICY = table([0.5, 0.25, 0.25], [0.25, 0.25, 0.5], [0.125, 0.75, 0.125])

logit_gradient = Exercise(
    "logit_gradient",
    _logit_gradient,
    cases=[
        Case(
            "one state is visited once and its two actions are equally likely",
            (table([0.5, 0.5]), table([2.0, 8.0]), table(1.0)),
            "V is 5, the average of Q under π. So one action is better by 3 than what the policy has anyway, the other worse "
            "by 3, (5.5): how much does the average move with each?",
        ),
        Case(
            "all actions are equally good",
            (table([0.25, 0.25, 0.5]), table([5.0, 5.0, 5.0]), table(1.0)),
            "Whatever is done here earns 5: no change of the policy gains anything. What is A = Q − V, (5.5)?",
        ),
        Case(
            "one action is likelier than the others",
            (table([0.5, 0.25, 0.25]), table([2.0, 8.0, 12.0]), table(1.0)),
            "π stands in (5.5) twice: in V, the average of Q, and before the advantage.",
        ),
        Case(
            "the state is visited two and a half times",
            (table([0.5, 0.5]), table([2.0, 8.0]), table(2.5)),
            "A choice that is met more often counts for more: as often as d^π says, (5.5).",
        ),
        Case(
            "there are three states, of which one is never visited",
            (_SQUARE_POLICY, _SQUARE_Q, table(2.0, 0.5, 0.0)),
            "Each state has a V and a number of visits of its own: one number a row, (S, 1), beside tables of (S, A).",
        ),
        Case(
            "two runs stand in front of the states",
            (_RUNS_POLICY, _RUNS, table([2.0, 1.0, 0.5], [0.25, 4.0, 1.0])),
            "The actions are on the last axis, whatever stands in front of it: count it from the end, as -1.",
        ),
    ],
    # Below: p is π, q is Q, d the visits.
    misconceptions=[
        Misconception(
            "Q for A",
            _gradient_of(lambda p, q, d: d * p * q),
            "Your gradient has Q where (5.5) has the advantage: it raises every logit whose action earns anything at all. But "
            "one action can only become likelier at the expense of others; with what must Q(s, a) be compared?",
        ),
        Misconception(
            "derivative by π",
            _gradient_of(lambda p, q, d: d * q),
            "You differentiate by the probabilities, as if each could be moved by itself. The table holds logits, (5.1): if "
            "one of them rises, what becomes of the other probabilities?",
        ),
        Misconception(
            "π forgotten",
            _gradient_of(lambda p, q, d: d * _advantage(p, q)),
            "Your gradient weighs all actions alike. By (5.1) a logit moves its probability by a share of what it has: what "
            "stands between d and A in (5.5)?",
        ),
        Misconception(
            "visits forgotten",
            _gradient_of(lambda p, q, d: p * _advantage(p, q)),
            "Every state counts alike, even one to which the policy never comes. Which factor of (5.5) is missing?",
        ),
        Misconception(
            "visits as shares",
            _gradient_of(lambda p, q, d: d / d.sum(-2, keepdim=True) * p * _advantage(p, q)),
            "You have made shares of the visits, which sum to 1. The direction is right, but J adds up rewards over all "
            "visits, (5.2): how many are there?",
        ),
        Misconception(
            "wrong sign",
            _gradient_of(lambda p, q, d: -d * p * _advantage(p, q)),
            "Your gradient leads downhill, as that of a loss does. J is to be climbed: what should become of the logit of an "
            "action with A > 0?",
        ),
        Misconception(
            "value of the uniform policy",
            _gradient_of(lambda p, q, d: d * p * (q - q.mean(-1, keepdim=True))),
            "You compare Q with its plain mean. V^π is what the policy has that acts here, (1.6): which weights has its "
            "average?",
        ),
        Misconception(
            "value of the best action",
            _gradient_of(lambda p, q, d: d * p * (q - q.amax(-1, keepdim=True))),
            "You compare Q with the largest of the row, so that no action has an advantage above 0. V^π is the value of the "
            "policy that acts, not of the best one.",
        ),
        Misconception(
            "own derivative only",
            _gradient_of(lambda p, q, d: d * p * (1 - p) * q),
            "π(1 − π) is how an action's probability moves with its own logit. It moves with the others' logits too, (5.6): "
            "collect what θ(s, b) does to every action, and V will appear.",
        ),
        Misconception(
            "own derivative, of A",
            _gradient_of(lambda p, q, d: d * p * (1 - p) * _advantage(p, q)),
            "Your 1 − π is there a second time: what the other actions lose is in A already, as the V that is taken from Q, "
            "(5.5).",
        ),
        Misconception(
            "log π for π",
            _gradient_of(lambda p, q, d: d * p.log() * _advantage(p, q)),
            "You multiply the advantage by log π. That is what REINFORCE differentiates, (5.10); here all is differentiated "
            "already, and what is left of the policy, (5.5), is positive.",
        ),
        Misconception(
            "one value for all states",
            _gradient_of(lambda p, q, d: d * p * (q - (p * q).sum((-2, -1), keepdim=True))),
            "Your V is one number for all states together. Each state has its own, the average over its own row.",
        ),
        Misconception(
            "average over the states",
            _gradient_of(lambda p, q, d: d * p * (q - (p * q).sum(-2, keepdim=True))),
            "Your V adds up a column, one action in all states. V(s) belongs to a state: over which axis does it average?",
        ),
        Misconception(
            "visits along the actions",
            lambda p, q, d: d.unsqueeze(-2) * p * _advantage(p, q),
            "Your visits lie along the actions: d(s) should multiply row s and multiplies a column. Which axis must be "
            "added to (S,) to meet (S, A) in its rows?",
        ),
    ],
)


# Exercise 5.2: what REINFORCE multiplies each score with


def _reinforce_weight(reward: Tensor, baseline: Tensor, discount: float) -> Tensor:
    """Return γ^t (G_t − b_t), what equations (5.7) and (5.9) multiply the score of step t with."""
    return _powers(reward, discount) * (_to_go(reward, discount) - baseline)


def _to_go(reward: Tensor, discount: float) -> Tensor:
    """Return G_t, the discounted rewards from step t on, (1.2)."""
    return _backwards(lambda r, d, c, n, following, later, last, g: r + g * later, last_later=torch.zeros_like)(
        reward, *4 * [reward], discount
    )


def _powers(reward: Tensor, discount: float) -> Tensor:
    return discount ** torch.arange(reward.shape[-1], dtype=reward.dtype)


def _weighted(advantage: Callable[[Tensor, Tensor, float], Tensor]) -> Callable[[Tensor, Tensor, float], Tensor]:
    """Make weights γ^t · advantage(r, b, γ)."""
    return lambda reward, baseline, discount: _powers(reward, discount) * advantage(reward, baseline, discount)


def _return_of_all(reward: Tensor, discount: float) -> Tensor:
    return (_powers(reward, discount) * reward).sum(-1, keepdim=True)


def _next_baseline(baseline: Tensor) -> Tensor:
    return torch.cat([baseline[..., 1:], torch.zeros_like(baseline[..., :1])], -1)


def _standardised(reward: Tensor, baseline: Tensor, discount: float) -> Tensor:
    returns = _to_go(reward, discount)
    return (returns - returns.mean(-1, keepdim=True)) / (returns.std(-1, keepdim=True) + 1e-8)


def _time_in_front(answer: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Make an answer that takes the first axis for time."""

    def turned(*arguments: object) -> Tensor:
        return answer(*(x.movedim(0, -1) if isinstance(x, Tensor) else x for x in arguments)).movedim(-1, 0)

    return turned


_REWARDS, _BASELINE, _NO_BASELINE = table(1.0, 2.0, 4.0), table(9.0, 1.0, 2.0), table(0.0, 0.0, 0.0)

reinforce_weight = Exercise(
    "reinforce_weight",
    lambda reward, baseline, discount: _reinforce_weight(reward, baseline, discount),
    cases=[
        Case(
            "the episode has one step",
            (table(3.0), table(1.0), 0.5),
            "One action, one reward: what it earned, less what was to be expected, (5.9).",
        ),
        Case(
            "γ is 1 and the baseline is 0",
            (_REWARDS, _NO_BASELINE, 1.0),
            "An action has no part in what was earned before it. What is left for the second one, and for the third?",
        ),
        Case(
            "γ is 1 and there is a baseline",
            (_REWARDS, _BASELINE, 1.0),
            "Each step has a return and a baseline of its own, and what counts is by how much the return was better, or worse, "
            "(5.9).",
        ),
        Case(
            "γ is ½ and the baseline is 0",
            (_REWARDS, _NO_BASELINE, 0.5),
            "γ is at work twice: inside G_t it discounts what comes after step t, and before it γ^t discounts step t itself, "
            "(5.7).",
        ),
        Case(
            "γ is ½ and there is a baseline",
            (_REWARDS, _BASELINE, 0.5),
            "G_t and b(s_t) are both worth what they are seen from step t. What does γ^t multiply, (5.7) with (5.9)?",
        ),
        Case(
            "γ is 0",
            (_REWARDS, _BASELINE, 0.0),
            "Who discounts everything to nothing cares for the first reward alone, and γ⁰ is 1 whatever γ is.",
        ),
        Case(
            "two runs of three episodes stand in front of four steps",
            (_RUNS, _RUNS.flip(-1) / 2, 0.5),
            "Time is the last axis, whatever stands in front of it: count it from the end, as -1.",
        ),
    ],
    # Below: r is the reward, b the baseline, g the discount.
    misconceptions=[
        Misconception(
            "γ^t forgotten",
            lambda r, b, g: _to_go(r, g) - b,
            "Your weights are those of A2C, (5.11): late steps count as much as early ones. J is discounted from the start of "
            "the episode; which factor of (5.7) says so?",
        ),
        Misconception(
            "whole return for every step",
            _weighted(lambda r, b, g: _return_of_all(r, g) - b),
            "Every action is credited with the whole return of the episode, also with what was earned before it, which it "
            "can't have changed. Which rewards are in G_t, (1.2)?",
        ),
        Misconception(
            "whole return, and γ^t forgotten",
            lambda r, b, g: _return_of_all(r, g) - b,
            "Every action gets the return from the start of the episode. The mean is right even so, since what was earned "
            "before an action depends on it as little as a baseline does, (5.8); but it is noise. Which rewards has γ^t G_t?",
        ),
        Misconception(
            "returns not discounted",
            _weighted(lambda r, b, g: _to_go(r, 1.0) - b),
            "Your γ^t is there, but inside your returns nothing is discounted. G_t is the return of lesson 01, (1.2), seen "
            "from step t.",
        ),
        Misconception(
            "γ forgotten",
            lambda r, b, g: _to_go(r, 1.0) - b,
            "Nothing of yours depends on γ. It stands in G_t, (1.2), and before it, (5.7).",
        ),
        Misconception(
            "baseline added",
            _weighted(lambda r, b, g: _to_go(r, g) + b),
            "You add the baseline to the return. By (5.8) the mean would survive even that; but by how much was an action "
            "better than expected, (5.9)?",
        ),
        Misconception(
            "expected minus found",
            _weighted(lambda r, b, g: b - _to_go(r, g)),
            "Your weights are positive where the return was worse than the baseline: you would make bad actions likelier. "
            "Which of the two is subtracted from which, (5.9)?",
        ),
        Misconception(
            "baseline forgotten",
            _weighted(lambda r, b, g: _to_go(r, g)),
            "That is (5.7), and its mean is right. The baseline is what takes most of the noise out of it, (5.9): where is "
            "it?",
        ),
        Misconception(
            "baseline not discounted",
            lambda r, b, g: _powers(r, g) * _to_go(r, g) - b,
            "Your returns are discounted from the start of the episode, your baseline is not: two things are compared that "
            "are seen from different steps. What does γ^t multiply?",
        ),
        Misconception(
            "baseline taken from every reward",
            _weighted(lambda r, b, g: _to_go(r - b, g)),
            "You take a baseline from every single reward. b(s_t) stands for the whole return from step t on: how often is "
            "it taken from G_t, (5.9)?",
        ),
        Misconception(
            "γ^t twice",
            _weighted(lambda r, b, g: _powers(r, g) * _to_go(r, g) - b),
            "Your returns are discounted from the start of the episode already, and then γ^t comes once more. In (5.7), G_t "
            "is seen from step t: its first reward is not discounted.",
        ),
        Misconception(
            "γ^(t+1)",
            lambda r, b, g: g * _powers(r, g) * (_to_go(r, g) - b),
            "Your weights are discounted by one step too much. At t = 0 nothing has passed yet: what is γ^t there?",
        ),
        Misconception(
            "what was earned so far",
            _weighted(lambda r, b, g: (_powers(r, g) * r).cumsum(-1) - b),
            "You add up what was earned up to step t. That is what the action can't have changed any more: in which direction "
            "does G_t look?",
        ),
        Misconception(
            "own reward left out",
            _weighted(lambda r, b, g: _to_go(r, g) - r - b),
            "Your returns begin one step late. The reward r_t is what the action a_t earned first of all, (1.2).",
        ),
        Misconception(
            "own reward only",
            _weighted(lambda r, b, g: r - b),
            "Each action is credited with the reward of its own step alone. Rewards often come late: what else is in G_t?",
        ),
        Misconception(
            "TD error",
            _weighted(lambda r, b, g: r + g * _next_baseline(b) - b),
            "You let the baseline of the next step stand for what follows. That is a critic, (5.12), which may be wrong; "
            "REINFORCE has waited for the end and knows what followed.",
        ),
        Misconception(
            "standardised",
            _standardised,
            "You have standardised the returns of an episode with their own mean and deviation. A single step has no "
            "deviation; and the mean of an episode's returns depends on its actions, which (5.8) does not allow. Which "
            "baseline are you given?",
        ),
        Misconception(
            "time reversed",
            _weighted(lambda r, b, g: _to_go(r, g).flip(-1) - b),
            "Your returns stand in the wrong order: who goes backwards through time and appends has the last step first.",
        ),
        Misconception(
            "wrong axis",
            _time_in_front(_reinforce_weight),
            "You take the first axis for time. As long as there is only one axis that does not show; counted from the end, "
            "time is axis -1.",
        ),
    ],
)


# Exercise 5.3: what a piece of an episode says about the future

_Follow = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, bool, float], Tensor]


def _rollout_return(
    reward: Tensor, terminated: Tensor, truncated: Tensor, value: Tensor, next_value: Tensor, discount: float
) -> Tensor:
    """Return r_t + γ (1 − d_t) (V(s_{t+1}) where the episode was cut off or the piece ends, else G_{t+1}), (5.12)."""
    r, d, ended, after = (part.unsqueeze(-1) for part in (reward, terminated, terminated | truncated, next_value))
    return bootstrapped_return(r, d, ended, after, discount).squeeze(-1)


def _backwards(step: _Follow, last_later: Callable[[Tensor], Tensor] = lambda after: after) -> Callable[..., Tensor]:
    """Make a return out of `step(r, d, c, V(s_{t+1}), V of what is seen next, G_{t+1}, whether t is the last step, γ)`.

    `last_later` makes G_{t+1} of the last step from the value of its next state.
    """

    def returns(r: Tensor, d: Tensor, c: Tensor, v: Tensor, n: Tensor, g: float) -> Tensor:
        found, later = [], last_later(n[..., -1])
        seen_next = torch.cat([v[..., 1:], n[..., -1:]], -1)
        for t in reversed(range(r.shape[-1])):
            last = t == r.shape[-1] - 1
            later = step(r[..., t], d[..., t], c[..., t], n[..., t], seen_next[..., t], later, last, g)
            found.append(later)
        return torch.stack(found[::-1], -1)

    return returns


def _following(follow: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """Make a return r + γ · follow(d, c, V(s_{t+1}), V of what is seen next, G_{t+1})."""
    return _backwards(lambda r, d, c, n, seen, later, last, g: r + g * follow(d, c, n, seen, later))


def _value_not_discounted(
    r: Tensor, d: Tensor, c: Tensor, n: Tensor, seen: Tensor, later: Tensor, last: bool, g: float
) -> Tensor:
    return r + ~d * torch.where(c | torch.tensor(last), n, g * later)


def _from_where_it_stands(r: Tensor, d: Tensor, c: Tensor, v: Tensor, n: Tensor, g: float) -> Tensor:
    """Bootstrap from V(s_t) in place of V(s_{t+1})."""
    return _rollout_return(r, d, c, v, v, g)


_GOES_ON, _FOUR = flags(False, False, False, False), table(1.0, 2.0, 4.0, 8.0)
_VALUES, _NEXT_VALUES = table(10.0, 20.0, 30.0, 50.0), table(20.0, 36.0, 50.0, 64.0)
"""V(s_t) and V(s_{t+1}): they agree but for the second step, where 30 belongs to the beginning of the next episode."""
_GOING_ON = table(20.0, 30.0, 50.0, 64.0)

rollout_return = Exercise(
    "rollout_return",
    _rollout_return,
    cases=[
        Case(
            "the piece is one step long and the episode goes on",
            (table(3.0), flags(False), flags(False), table(4.0), table(10.0), 0.5),
            "We have seen one reward, and the critic says what is to come from the state that was reached: with which factor?",
        ),
        Case(
            "the piece is one step long and the episode ends with it",
            (table(3.0), flags(True), flags(False), table(4.0), table(10.0), 0.5),
            "Nothing comes after a terminal step, whatever the critic says about it. Which factor of (5.12) knows that?",
        ),
        Case(
            "the piece is one step long and a time limit cuts the episode off",
            (table(3.0), flags(False), flags(True), table(4.0), table(10.0), 0.5),
            "The clock ran out, the world did not end, (2.12): the state that was reached still has its value.",
        ),
        Case(
            "four steps of one episode are a piece",
            (_FOUR, _GOES_ON, _GOES_ON, _VALUES, _GOING_ON, 0.5),
            "Go backwards: after the last step the critic speaks, before it G_{t+1} is known already, (5.12).",
        ),
        Case(
            "an episode ends with the second of four steps and another begins",
            (_FOUR, flags(False, True, False, False), _GOES_ON, _VALUES, _NEXT_VALUES, 0.5),
            "The third step is of another episode. What does the second one know of its rewards?",
        ),
        Case(
            "an episode is cut off with the second of four steps and another begins",
            (_FOUR, _GOES_ON, flags(False, True, False, False), _VALUES, _NEXT_VALUES, 0.5),
            "The third step belongs to another episode, and so does what is seen there. Which value stands for what the "
            "first episode would still have earned?",
        ),
        Case(
            "an end falls on the last step before the time limit",
            (_FOUR, flags(False, True, False, False), flags(False, True, False, False), _VALUES, _NEXT_VALUES, 0.5),
            "The episode did end, whatever the clock said: both flags may be true, and one of them decides.",
        ),
        Case(
            "two runs of three environments stand in front of four steps",
            (
                _RUNS,
                flags(
                    [[False, False, True, False], [False, False, False, False], [True, False, False, False]],
                    [[False, False, False, True], [False, True, False, False], [False, False, False, False]],
                ),
                flags(
                    [[False, False, False, False], [False, True, False, False], [False, False, False, True]],
                    [[True, False, False, False], [False, True, False, False], [False, False, False, False]],
                ),
                _RUNS.flip(0) * 2,
                _RUNS.flip(-1) * 4,
                0.5,
            ),
            "Time is the last axis, and each environment has ends of its own: torch.where decides entry by entry.",
        ),
    ],
    # Below: r, d, c the reward and the flags, v is V(s_t), n is V(s_{t+1}), g the discount.
    misconceptions=[
        Misconception(
            "mask dropped",
            _following(lambda d, c, n, seen, later: torch.where(d | c, n, later)),
            "You ask the critic what a terminal state is worth. It may say anything: nothing is ever learnt about a state in "
            "which nobody acts. Which factor of (5.12) silences it?",
        ),
        Misconception(
            "truncation taken for an end",
            _following(lambda d, c, n, seen, later: ~(d | c) * later),
            "Where a time limit cuts an episode off, you say that nothing more would have come. That is our limit, not the "
            "world's, (2.12): what does (5.12) put in the place of what we did not wait for?",
        ),
        Misconception(
            "end of the piece forgotten",
            _backwards(
                lambda r, d, c, n, seen, later, last, g: r + g * (~d * torch.where(c, n, later)),
                last_later=torch.zeros_like,
            ),
            "After the last step of the piece you count nothing, as if the world ended with our patience. The episode goes "
            "on: who knows what it will bring, (5.12)?",
        ),
        Misconception(
            "no critic",
            _backwards(
                lambda r, d, c, n, seen, later, last, g: r + g * (~(d | c) * later), last_later=torch.zeros_like
            ),
            "You add up rewards alone, and so everything that was not waited for counts as 0. That is right for whole "
            "episodes that end; where does (5.12) ask the critic?",
        ),
        Misconception(
            "one step only",
            _following(lambda d, c, n, seen, later: ~d * n),
            "You ask the critic after every single step, although you have seen what came next. (5.12) uses rewards as long "
            "as there are some, and V only where they end.",
        ),
        Misconception(
            "runs on after a cut",
            _following(lambda d, c, n, seen, later: ~d * later),
            "Where an episode was cut off, your return runs on into the next one. G_{t+1} belongs to another episode there: "
            "what stands in its place?",
        ),
        Misconception(
            "runs on after every end",
            _following(lambda d, c, n, seen, later: later),
            "Your return runs through all ends, as if the piece were one episode. Its steps only happen to stand side by side: "
            "which two flags say where one episode stops and the next begins?",
        ),
        Misconception(
            "value of the next episode's start",
            _following(lambda d, c, n, seen, later: ~d * torch.where(c, seen, later)),
            "Where an episode was cut off, you take the value of what is seen next: V of step t + 1. The agent was carried to "
            "a new start before that. Which value is that of the state which the action reached?",
        ),
        Misconception(
            "value of the state it stands in",
            _from_where_it_stands,
            "You end with V(s_t), the value of the state in which the last action was taken. Its reward is counted already: "
            "from which state on does the critic have to speak?",
        ),
        Misconception(
            "flags in each other's place",
            lambda r, d, c, v, n, g: _rollout_return(r, c, d, v, n, g),
            "You let the critic speak where the episode ended, and nobody where the clock cut it off. Which of the two flags "
            "means that nothing can come, (5.12)?",
        ),
        Misconception(
            "truncation before termination",
            _following(lambda d, c, n, seen, later: torch.where(c, n, ~d * later)),
            "Where both flags are true you believe the clock, and give a terminal state a value. In (5.12), what does 1 − d "
            "multiply?",
        ),
        Misconception(
            "value not discounted",
            _backwards(_value_not_discounted),
            "What the critic says is not discounted. s_{t+1} is a step away, as G_{t+1} is: what does γ multiply in (5.12)?",
        ),
        Misconception(
            "γ forgotten",
            lambda r, d, c, v, n, g: _rollout_return(r, d, c, v, n, 1.0),
            "Your return does not discount: what comes a step later counts in full. Where is γ?",
        ),
        Misconception(
            "γ on the reward too",
            lambda r, d, c, v, n, g: _backwards(
                lambda r, d, c, n, seen, later, last, g: g * (r + ~d * torch.where(c, n, later))
            )(r, d, c, v, n, g),
            "Your return discounts the reward of its own step. The reward comes now; only what comes after it is a step away.",
        ),
        Misconception(
            "mask upside-down",
            lambda r, d, c, v, n, g: _backwards(
                lambda r, d, c, n, seen, later, last, g: r + g * (d * torch.where(c | d, n, later))
            )(r, d, c, v, n, g),
            "Your return has a future exactly where the episode ended. (5.12) has 1 − d there: which of terminated and "
            "~terminated is that?",
        ),
        Misconception(
            "the mask wipes the last reward",
            lambda r, d, c, v, n, g: _backwards(
                lambda r, d, c, n, seen, later, last, g: ~d * (r + g * torch.where(c, n, later))
            )(r, d, c, v, n, g),
            "The reward of the step that ends an episode is lost, often the only one there is. (1 − d) stands before the "
            "future alone.",
        ),
        Misconception(
            "advantage",
            lambda r, d, c, v, n, g: _rollout_return(r, d, c, v, n, g) - v,
            "Yours is the advantage of (5.9), the return less what was expected. The return itself is wanted: the critic "
            "learns from it.",
        ),
        Misconception(
            "γ^t as well",
            lambda r, d, c, v, n, g: _powers(r, g) * _rollout_return(r, d, c, v, n, g),
            "You discount each return once more, by its place in the piece. Where a piece begins is chance: G_t is seen from "
            "step t.",
        ),
        Misconception(
            "first return for every step",
            lambda r, d, c, v, n, g: _rollout_return(r, d, c, v, n, g)[..., :1].expand_as(r),
            "Every step of the piece has the return of the first one. What was earned before a step is not in its return: "
            "(5.12) has one G for every t.",
        ),
        Misconception(
            "wrong axis",
            _time_in_front(_rollout_return),
            "You take the first axis for time. As long as there is only one axis that does not show; counted from the end, "
            "time is axis -1.",
        ),
    ],
)


# Exercise 5.4: the loss of an actor


def _a2c_actor_loss(logits: Tensor, action: Tensor, advantage: Tensor, entropy_bonus: float) -> Tensor:
    """Return −mean log π(a|s) Â − β mean H(π(·|s)), equations (5.10) and (5.14); Â without gradient."""
    log_policy = torch.log_softmax(logits, -1)
    loss = policy_gradient_loss(taken_value(log_policy, action), advantage)
    return loss - entropy_bonus * entropy(log_policy.exp()).mean(-1)


def _loss_of(
    push: Callable[[Tensor, Tensor, Tensor], Tensor],
    bonus: Callable[[Tensor, Tensor, float], Tensor] = lambda lp, a, beta: beta * entropy(lp.exp()),
) -> Callable[[Tensor, Tensor, Tensor, float], Tensor]:
    """Make a loss out of push(log π, a, Â), and bonus(log π, a, β), both (…, B), with the mean over the batch."""

    def loss(logits: Tensor, action: Tensor, advantage: Tensor, entropy_bonus: float) -> Tensor:
        log_policy = torch.log_softmax(logits, -1)
        return -(push(log_policy, action, advantage.detach()) + bonus(log_policy, action, entropy_bonus)).mean(-1)

    return loss


def _taken_times(log_policy: Tensor, action: Tensor, advantage: Tensor) -> Tensor:
    return taken_value(log_policy, action) * advantage


def _raw_logits(logits: Tensor, action: Tensor, advantage: Tensor, entropy_bonus: float) -> Tensor:
    bonus = entropy_bonus * entropy(torch.softmax(logits, -1)).mean(-1)
    return policy_gradient_loss(taken_value(logits, action), advantage) - bonus


def _softmax_over_the_batch(logits: Tensor, action: Tensor, advantage: Tensor, entropy_bonus: float) -> Tensor:
    log_policy = torch.log_softmax(logits, -2)
    bonus = entropy_bonus * entropy(log_policy.exp()).mean(-1)
    return policy_gradient_loss(taken_value(log_policy, action), advantage) - bonus


def _column_meets_row(logits: Tensor, action: Tensor, advantage: Tensor, entropy_bonus: float) -> Tensor:
    log_policy = torch.log_softmax(logits, -1)
    column = log_policy.gather(-1, action.unsqueeze(-1))
    bonus = entropy_bonus * entropy(log_policy.exp()).mean(-1)
    return -(column * advantage.detach().unsqueeze(-2)).mean((-2, -1)) - bonus


def _standardised_advantage(logits: Tensor, action: Tensor, advantage: Tensor, entropy_bonus: float) -> Tensor:
    centred = advantage - advantage.mean(-1, keepdim=True)
    scaled = centred / (advantage.std(-1, keepdim=True, correction=0) + 1e-8)
    return _a2c_actor_loss(logits, action, scaled, entropy_bonus)


def _gradient_through_the_advantage(logits: Tensor, action: Tensor, advantage: Tensor, entropy_bonus: float) -> Tensor:
    log_policy = torch.log_softmax(logits, -1)
    bonus = entropy_bonus * entropy(log_policy.exp()).mean(-1)
    return -(taken_value(log_policy, action) * advantage).mean(-1) - bonus


_LOGITS, _ACTIONS, _ADVANTAGES = _SQUARE_POLICY.log(), torch.tensor([0, 2, 1]), table(4.0, -2.0, 1.0)

a2c_actor_loss = Exercise(
    "a2c_actor_loss",
    _a2c_actor_loss,
    cases=[
        Case(
            "two actions were taken, each of two equally likely ones, and β is 0",
            (table([0.0, 0.0], [0.0, 0.0]), torch.tensor([1, 0]), table(4.0, 2.0), 0.0),
            "log ½ is −0.693, and the advantages are 3 on average. A loss is to be made small, where the log-probability of a "
            "good action is to become large, (5.10).",
        ),
        Case(
            "three actions were taken and β is 0",
            (_LOGITS, _ACTIONS, _ADVANTAGES, 0.0),
            "Each state has logits of its own, and (5.1) makes probabilities of them. The log-probability of the action that "
            "was taken is multiplied by its advantage, and the mean of these is the loss, but for its sign.",
        ),
        Case(
            "all advantages are 0 and β is 1",
            (_LOGITS, _ACTIONS, table(0.0, 0.0, 0.0), 1.0),
            "What is left is the bonus, (5.14): the mean over the batch of H = −Σ π log π, in nats. J + β H is to be climbed: "
            "what does the *loss* do then?",
        ),
        Case(
            "advantages and entropy both count, and β is ½",
            (_LOGITS, _ACTIONS, _ADVANTAGES, 0.5),
            "Each part was right by itself. What does β multiply in (5.14), and what not?",
        ),
        Case(
            "the loss is differentiated by the logits and β is 0",
            (with_gradient(_LOGITS), _ACTIONS, _ADVANTAGES, 0.0),
            "It is for its gradient that there is a loss: Â times the score (5.6), with a minus. Is the way from your loss "
            "back to the logits open?",
        ),
        Case(
            "the loss is differentiated by the logits, and only entropy counts",
            (with_gradient(_LOGITS), _ACTIONS, table(0.0, 0.0, 0.0), 1.0),
            "The gradient of the entropy leads towards equal probabilities, in every state and whatever action was drawn "
            "there. Is the way from H back to the logits open?",
        ),
        Case(
            "the loss is differentiated by the advantage, which came from a critic and carries a gradient",
            (with_gradient(_LOGITS), _ACTIONS, with_gradient(_ADVANTAGES), 0.5),
            "The advantage is a number here: who makes this loss smaller by changing Â has taught the critic to say that all "
            "went well.",
        ),
        Case(
            "two runs stand in front of a batch of three",
            (_RUNS, torch.tensor([[0, 3, 1], [2, 2, 0]]), table([4.0, -2.0, 1.0], [0.5, 3.0, -1.0]), 0.5),
            "One loss a run is wanted: the mean is over the batch, which is the last axis once an action has been picked.",
        ),
    ],
    # Below: lp is log π, a the action, A the advantage, b is β.
    misconceptions=[
        Misconception(
            "wrong sign",
            _loss_of(lambda lp, a, adv: -_taken_times(lp, a, adv)),
            "Descending your loss makes good actions rarer: the log-probability of an action with Â > 0 falls. An optimiser "
            "descends, and J is to be climbed: where is the minus of (5.10)?",
        ),
        Misconception(
            "both signs wrong",
            _loss_of(lambda lp, a, adv: -_taken_times(lp, a, adv), lambda lp, a, b: -b * entropy(lp.exp())),
            "You return the objective, which is to be climbed. An optimiser descends: what makes a loss of it, (5.10)?",
        ),
        Misconception(
            "probability for its logarithm",
            _loss_of(lambda lp, a, adv: _taken_times(lp.exp(), a, adv)),
            "You multiply the advantage by π, not by log π. The action was drawn from π already, so that likely actions come "
            "often; ∇π would count that twice. What does (5.6) say that makes the difference good?",
        ),
        Misconception(
            "logits for log-probabilities",
            _raw_logits,
            "You multiply the advantage by the logit of the action. A logit can be raised without end, and the others don't "
            "notice: what makes probabilities of logits, (5.1)?",
        ),
        Misconception(
            "all actions",
            _loss_of(lambda lp, a, adv: lp.sum(-1) * adv),
            "You raise or lower all actions of a state together. The advantage is that of the one action which was taken: how "
            "is its entry picked?",
        ),
        Misconception(
            "likeliest action",
            _loss_of(lambda lp, a, adv: lp.amax(-1) * adv),
            "You credit the likeliest action with what another one may have earned. Whose advantage is it?",
        ),
        Misconception(
            "sum for the mean",
            lambda logits, action, adv, b: _a2c_actor_loss(logits, action, adv, b) * action.shape[-1],
            "Your loss grows with the batch. (5.10) has a mean, so that the learning rate need not know how many steps there "
            "were.",
        ),
        Misconception(
            "entropy charged, not paid",
            _loss_of(_taken_times, lambda lp, a, b: -b * entropy(lp.exp())),
            "Your loss becomes small where the policy is certain of what it does. (5.14) pays for entropy, and what is paid "
            "for stands in a loss with a minus.",
        ),
        Misconception(
            "entropy forgotten",
            _loss_of(_taken_times, lambda lp, a, b: 0 * b * lp[..., 0]),
            "Your loss does not depend on β. Which term does (5.14) add to the objective?",
        ),
        Misconception(
            "β forgotten",
            _loss_of(_taken_times, lambda lp, a, b: entropy(lp.exp())),
            "Entropy is paid in full whatever β is. Before which term does it stand in (5.14)?",
        ),
        Misconception(
            "β on the whole",
            lambda logits, action, adv, b: b * _a2c_actor_loss(logits, action, adv, 1.0),
            "Your β multiplies what the advantages say as well. It is the price of entropy: before which term of (5.14) does "
            "it stand?",
        ),
        Misconception(
            "entropy of the action drawn",
            _loss_of(_taken_times, lambda lp, a, b: -b * taken_value(lp, a)),
            "−log π of the action drawn has the entropy as its mean. But its gradient has the mean 0, by (5.8) with b = 1: "
            "averaged over draws, your bonus does nothing. Over which actions does H add up?",
        ),
        Misconception(
            "entropy without gradient",
            _loss_of(_taken_times, lambda lp, a, b: b * entropy(lp.exp()).detach()),
            "Your bonus is there as a number, but nothing is learnt from it: the way from H back to the logits is cut. Of the "
            "three factors of (5.10) and (5.14), which one is a mere number?",
        ),
        Misconception(
            "advantage forgotten",
            _loss_of(lambda lp, a, adv: taken_value(lp, a)),
            "Your loss makes every action likelier that was taken, whatever came of it: the policy imitates itself. Which "
            "factor of (5.10) says how good an action was?",
        ),
        Misconception(
            "entropy not averaged",
            lambda logits, action, adv, b: (
                policy_gradient_loss(taken_value(torch.log_softmax(logits, -1), action), adv)
                - b * entropy(torch.softmax(logits, -1)).sum(-1)
            ),
            "Your entropies are added up over the batch, your advantages averaged: the larger the batch, the more a nat is "
            "paid. Which of the two is meant?",
        ),
        Misconception(
            "softmax over the batch",
            _softmax_over_the_batch,
            "Your probabilities sum to 1 over the states of the batch. Each state shares out a probability of 1 among its "
            "actions: which axis is theirs?",
        ),
        Misconception(
            "column meets row",
            _column_meets_row,
            "A column of log-probabilities, (B, 1), met a row of advantages, (B,), and every action was multiplied by the "
            "advantage of every other. Nothing crashes, and nothing is learnt. Where is an axis left over?",
        ),
        Misconception(
            "standardised advantage",
            _standardised_advantage,
            "You subtract the batch's mean from the advantages and divide by their deviation, as many programs do. That is "
            "another loss, and mixes the samples; (5.10) takes the advantages as they come.",
        ),
        Misconception(
            "gradient through the advantage",
            _gradient_through_the_advantage,
            "Who descends your loss may also change the advantages: through the critic that they came from, towards whatever "
            "makes the loss small. In (5.10) Â is a number. Which word of PyTorch makes one of it?",
        ),
        Misconception(
            "no gradient at all",
            lambda logits, action, adv, b: _a2c_actor_loss(logits.detach(), action, adv, b),
            "Your number is right and leads nowhere: no gradient reaches the logits. What must be cut off, the advantage or "
            "the log-probability?",
        ),
        Misconception(
            "mean over the runs too",
            lambda logits, action, adv, b: _a2c_actor_loss(logits, action, adv, b).mean(),
            "Your mean is over everything, the runs included: one number for learners that have nothing to do with each "
            "other. What must .mean() be told?",
        ),
        Misconception(
            "mean over the first axis",
            lambda logits, action, adv, b: (
                -_taken_times(torch.log_softmax(logits, -1), action, adv.detach()).mean(0)
                - b * entropy(torch.softmax(logits, -1)).mean(0)
            ),
            "Your mean is over the first axis: that of the batch, until runs stand in front of it. Counted from the end it is "
            "-1, whatever stands in front.",
        ),
    ],
    observe=differentiated(lambda logits, action, advantage, entropy_bonus: advantage[..., 0]),
)


# Exercise 5.5: an objective through which gradients reach μ and σ


def _pathwise_objective(function: Callable[[Tensor], Tensor], mean: Tensor, log_std: Tensor, noise: Tensor) -> Tensor:
    """Return the mean of f(μ + σ ξ) over draws, whose derivatives by μ and log σ are the estimates (5.17)."""
    return function(_sample(mean, log_std, noise)).mean(-1)


def _sample(mean: Tensor, log_std: Tensor, noise: Tensor) -> Tensor:
    return mean.unsqueeze(-2) + log_std.exp().unsqueeze(-2) * noise


def _at(
    sample: Callable[[Tensor, Tensor, Tensor], Tensor],
) -> Callable[[Callable[[Tensor], Tensor], Tensor, Tensor, Tensor], Tensor]:
    """Make an objective out of sample(μ, log σ, ξ), the first two with an axis for the draws."""
    return lambda function, mean, log_std, noise: function(
        sample(mean.unsqueeze(-2), log_std.unsqueeze(-2), noise)
    ).mean(-1)


def _score_function(function: Callable[[Tensor], Tensor], mean: Tensor, log_std: Tensor, noise: Tensor) -> Tensor:
    action = _sample(mean, log_std, noise).detach()
    density = gaussian_log_density(action, mean.unsqueeze(-2), log_std.unsqueeze(-2))
    return (function(action).detach() * density).mean(-1)


def _hill(action: Tensor) -> Tensor:
    """A function with a first derivative that changes and no symmetry: its mean is not its value at the mean."""
    return (3 * action + action.square() / 2).sum(-1)


_MEAN, _LOG_STD = table(1.0, -2.0), table(2.0, 0.5).log()
_NOISE = table([1.0, -2.0], [0.5, 1.0], [-3.0, 1.0])

pathwise_objective = Exercise(
    "pathwise_objective",
    _pathwise_objective,
    cases=[
        Case(
            "all noise is 0",
            (_hill, _MEAN, _LOG_STD, torch.zeros(3, 2, dtype=torch.float64)),
            "Without noise every action is μ, and so the mean is f(μ). Is ξ the noise that you were given?",
        ),
        Case(
            "σ is 1",
            (_hill, _MEAN, table(0.0, 0.0), _NOISE),
            "log σ is 0, so that a = μ + ξ, each dimension with its own noise. f is asked at every action, and then the mean "
            "is taken: in this order.",
        ),
        Case(
            "σ is 2 in one dimension and ½ in the other",
            (_hill, _MEAN, _LOG_STD, _NOISE),
            "What you are given is log σ. In (5.17) the noise is multiplied by σ: what makes one of the other?",
        ),
        Case(
            "the objective is differentiated by μ",
            (_hill, with_gradient(_MEAN), _LOG_STD, _NOISE),
            "When μ moves by a little, every action moves by as much, and f with it, (5.17): is the way from f back to μ open?",
        ),
        Case(
            "the objective is differentiated by log σ",
            (_hill, _MEAN, with_gradient(_LOG_STD), _NOISE),
            "When log σ moves, an action moves by σ ξ times that, (5.17): is the way from f back to log σ open?",
        ),
        Case(
            "two runs of three draws have four dimensions",
            (_hill, _RUNS[:, 0], -_RUNS[:, 1] / 4, _RUNS.flip(0) - 3),
            "Each run has one μ and one σ, (R, D), and many draws, (R, B, D): which axis is missing, and where?",
        ),
    ],
    # Below: f is the function, m the mean, k the log σ, x the noise.
    misconceptions=[
        Misconception(
            "log σ for σ",
            _at(lambda m, k, x: m + k * x),
            "You multiply the noise by log σ, which may even be negative. What makes σ of it?",
        ),
        Misconception(
            "variance for σ",
            _at(lambda m, k, x: m + (2 * k).exp() * x),
            "You multiply the noise by σ². The deviation of σ ξ is σ: which of the two has the unit of an action?",
        ),
        Misconception(
            "log σ taken for a log-variance",
            _at(lambda m, k, x: m + (k / 2).exp() * x),
            "Your noise is multiplied by √σ, as if you had been given the logarithm of the variance. What are you given?",
        ),
        Misconception(
            "σ forgotten",
            _at(lambda m, k, x: m + x),
            "Your noise is that of σ = 1 whatever σ is. What does (5.17) multiply it by?",
        ),
        Misconception(
            "noise forgotten",
            _at(lambda m, k, x: m + 0 * (k.exp() * x)),
            "You ask f at μ alone. That is the deterministic actor of (5.19); a Gaussian one is judged by the mean of f over "
            "its draws.",
        ),
        Misconception(
            "σ on the mean too",
            _at(lambda m, k, x: k.exp() * (m + x)),
            "Your σ stretches the mean as well. Around which point do the draws scatter, (5.17)?",
        ),
        Misconception(
            "f of the mean action",
            lambda f, m, k, x: f(_sample(m, k, x).mean(-2)),
            "You average the actions and ask f once. The mean of f is not f of the mean, unless f is linear: what is "
            "averaged in (5.17)?",
        ),
        Misconception(
            "noise drawn anew",
            _at(lambda m, k, x: m + k.exp() * torch.randn_like(x)),
            "You draw noise of your own in place of what was handed over. Its law is right; but (5.17) differentiates at given "
            "ξ, and a test, or a comparison of two estimators, needs to know which.",
        ),
        Misconception(
            "sample without gradient",
            lambda f, m, k, x: f(_sample(m, k, x).detach()).mean(-1),
            "Your number is right, but your actions have forgotten how they were made, as those of .sample() have: f can tell "
            "where it would like them, and neither μ nor σ hears of it. Which of the steps must stay open, (5.17)?",
        ),
        Misconception(
            "σ without gradient",
            _at(lambda m, k, x: m + k.exp().detach() * x),
            "μ learns, σ does not: the way from f back to log σ is cut. (5.17) has a part for each.",
        ),
        Misconception(
            "μ without gradient",
            _at(lambda m, k, x: m.detach() + k.exp() * x),
            "σ learns, μ does not: the way from f back to μ is cut. (5.17) has a part for each.",
        ),
        Misconception(
            "score-function estimator",
            _score_function,
            "That is the other estimator, (5.16): f times log p, with f as a mere number. It has the same mean and much more "
            "noise, and does not use that f can be differentiated. Through what does (5.17) differentiate?",
        ),
        Misconception(
            "loss for objective",
            lambda f, m, k, x: -_pathwise_objective(f, m, k, x),
            "You return a loss, with a minus. Here the objective itself is wanted, which is to be climbed.",
        ),
        Misconception(
            "sum for the mean",
            lambda f, m, k, x: f(_sample(m, k, x)).sum(-1),
            "Your objective grows with the number of draws. An expectation is estimated by a mean.",
        ),
        Misconception(
            "one objective for all runs",
            lambda f, m, k, x: f(_sample(m, k, x)).mean(),
            "Your mean is over everything, the runs included. What must .mean() be told?",
        ),
    ],
    observe=differentiated(lambda function, mean, log_std, noise: noise[..., 0, 0]),
)


# Exercise 5.6: the target of TD3


class Networks(NamedTuple):
    """What the check hands over as `online` and as `target`."""

    actor: Callable[[Tensor], Tensor]
    """From observations (…, B, O) to actions in [−1, 1], (…, B, D)."""
    critics: Callable[[Tensor, Tensor], Tensor]
    """From observations and actions to the values of both critics, (2, …, B)."""


def _td3_target(
    reward: Tensor,
    terminated: Tensor,
    next_observation: Tensor,
    noise: Tensor,
    clip: float,
    online: Networks,
    target: Networks,
    discount: float,
) -> Tensor:
    """Return r + γ (1 − d) min_i Q̄_i(s′, clip(μ̄(s′) + clip(ξ, −c, c), −1, 1)), equation (5.21), without gradient."""
    return _target_of()(reward, terminated, next_observation, noise, clip, online, target, discount)


def _target_of(
    act: Callable[[Tensor, Tensor, float], Tensor] = clipped_noise,
    pick: Callable[[Tensor], Tensor] = lambda q: q.amin(0),
    back: Callable[[Tensor, Tensor, Tensor, float], Tensor] = td_target,
    actor_of: Callable[[Networks, Networks], Networks] = lambda online, target: target,
    critics_of: Callable[[Networks, Networks], Networks] = lambda online, target: target,
) -> Callable[..., Tensor]:
    """Make a target out of act(μ(s′), ξ, c), pick(Q(s′, a′)), back(r, d, V, γ) and whose networks are asked."""

    def answer(
        r: Tensor, d: Tensor, s: Tensor, noise: Tensor, clip: float, online: Networks, target: Networks, g: float
    ) -> Tensor:
        action = act(actor_of(online, target).actor(s), noise, clip)
        return back(r, d, pick(critics_of(online, target).critics(s, action)), g).detach()

    return answer


def _online(online: Networks, target: Networks) -> Networks:
    return online


def _lower_on_average(q: Tensor) -> Tensor:
    """Return the values of the critic whose mean over the batch is the lower one."""
    return torch.where(q[0].mean(-1, keepdim=True) < q[1].mean(-1, keepdim=True), q[0], q[1])


def _carrying_gradients(*arguments: object) -> Tensor:
    r, d, s, noise, clip, _, target, g = arguments
    assert isinstance(target, Networks) and isinstance(clip, float) and isinstance(g, float)
    assert isinstance(r, Tensor) and isinstance(d, Tensor) and isinstance(s, Tensor) and isinstance(noise, Tensor)
    action = clipped_noise(target.actor(s), noise, clip)
    return td_target(r, d, target.critics(s, action).amin(0), g)


def linear_critics(first: Tensor, second: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    """Make two critics, Q_i(s, a) = w_i0 + w_i1 Σ s + w_i2 a_0 + w_i3 Σ a."""

    def judge(observation: Tensor, action: Tensor) -> Tensor:
        return torch.stack(
            [w[0] + w[1] * observation.sum(-1) + w[2] * action[..., 0] + w[3] * action.sum(-1) for w in (first, second)]
        )

    return judge


_FIRST, _SECOND = table(6.0, 1.0, 4.0, 1.0), table(5.0, -2.0, 2.0, 3.0)
_AGREEING = Networks(lambda s: s / 2, linear_critics(_FIRST, _FIRST))
_TARGETS = Networks(lambda s: s / 2, linear_critics(_FIRST, _SECOND))
_ONLINES = Networks(lambda s: -s / 4, linear_critics(_SECOND + 3, _FIRST - 2))
_OTHER_ACTOR, _OTHER_CRITICS = Networks(_ONLINES.actor, _TARGETS.critics), Networks(_TARGETS.actor, _ONLINES.critics)
_LEARNING = Networks(lambda s: s / 2, linear_critics(with_gradient(_FIRST), with_gradient(_SECOND)))
_PAID, _ON = table(1.0, 3.0, 5.0), flags(False, False, False)
_SEEN = table([0.5, -1.0], [-1.5, 0.5], [1.0, 1.0])
_STILL = torch.zeros(3, 2, dtype=torch.float64)
_LITTLE = table([0.125, -0.25], [-0.125, 0.125], [0.25, 0.0])
_MUCH = table([0.75, -0.5], [1.0, -2.0], [-0.5, -1.0])

td3_target = Exercise(
    "td3_target",
    _td3_target,
    cases=[
        Case(
            "there is no noise, and all critics agree",
            (_PAID, _ON, _SEEN, _STILL, 0.25, _AGREEING, _AGREEING, 0.75),
            "The actor says what it would do in s′, the critics what that is worth, and the target is the reward plus γ times "
            "it. Is ξ the noise that you were given?",
        ),
        Case(
            "the twins disagree",
            (_PAID, _ON, _SEEN, _STILL, 0.25, _TARGETS, _TARGETS, 0.75),
            "Two opinions about each next action, and the actor will find whichever errs upwards. Which of the two does (5.21) "
            "believe, transition by transition?",
        ),
        Case(
            "the online actor would act otherwise",
            (_PAID, _ON, _SEEN, _STILL, 0.25, _OTHER_ACTOR, _TARGETS, 0.75),
            "There is a bar over μ in (5.21): whose actor acts in s′?",
        ),
        Case(
            "the online critics judge otherwise",
            (_PAID, _ON, _SEEN, _STILL, 0.25, _OTHER_CRITICS, _TARGETS, 0.75),
            "There is a bar over Q in (5.21): whose critics judge?",
        ),
        Case(
            "there is a little noise",
            (_PAID, _ON, _SEEN, _LITTLE, 0.25, _TARGETS, _TARGETS, 0.75),
            "The noise smears the action in s′ before it is judged, (5.21).",
        ),
        Case(
            "the noise is larger than its bound",
            (_PAID, _ON, _SEEN / 4, _MUCH, 0.25, _TARGETS, _TARGETS, 0.75),
            "The noise must not lead far from what the actor would do: no further than c in any dimension, to either side, "
            "(5.21).",
        ),
        Case(
            "the noise leads out of the action space",
            (_PAID, _ON, 2 * _SEEN, _LITTLE, 0.25, _TARGETS, _TARGETS, 0.75),
            "No action is above 1 or below −1, also none with noise on it: critics have never seen such a thing. (5.21) has "
            "two clips.",
        ),
        Case(
            "two of three episodes end",
            (_PAID, flags(True, False, True), _SEEN, _LITTLE, 0.25, _ONLINES, _TARGETS, 0.75),
            "Nothing comes after a terminal transition, but its reward was earned. Which factor of (5.21) says so, row by row?",
        ),
        Case(
            "the target networks carry gradients",
            (_PAID, _ON, _SEEN, _LITTLE, 0.25, _ONLINES, _LEARNING, 0.75),
            "A target is an answer to approach, not a thing to move. What does .detach() do, or `with torch.no_grad():`?",
        ),
        Case(
            "two runs stand in front of a batch of three",
            (
                table([1.0, 3.0, 5.0], [2.0, -1.0, 0.0]),
                flags([False, True, False], [False, False, False]),
                _RUNS / 3 - 1,
                _RUNS.flip(-1) / 4 - 0.75,
                0.25,
                _ONLINES,
                _TARGETS,
                0.75,
            ),
            "The critics come first, (2, R, B): the lower of the two is taken over axis 0, and nothing else vanishes.",
        ),
    ],
    misconceptions=[
        Misconception(
            "larger of the twins",
            _target_of(pick=lambda q: q.amax(0)),
            "You believe the higher of the two critics: the error that the actor climbs would be fed back into both. Why are "
            "there two, (5.21)?",
        ),
        Misconception(
            "mean of the twins",
            _target_of(pick=lambda q: q.mean(0)),
            "You average the two critics. That halves their noise, but the actor still climbs what is left of it: what does "
            "(5.21) take?",
        ),
        Misconception(
            "DDPG's critic",
            _target_of(pick=lambda q: q[0]),
            "You ask the first critic alone, as DDPG does, (5.20). What is the second one for?",
        ),
        Misconception(
            "second critic",
            _target_of(pick=lambda q: q[1]),
            "You ask the second critic alone. An error of one critic is found by asking the other too: which of the two is "
            "believed in (5.21)?",
        ),
        Misconception(
            "lower on average",
            _target_of(pick=_lower_on_average),
            "You choose one critic for the whole batch, that with the lower mean. Each transition has a lower one of its own.",
        ),
        Misconception(
            "one minimum for all",
            _target_of(pick=lambda q: q.amin()),
            "You take one minimum of everything, and every next state is worth as little as the worst of them. Over which axis "
            "do the twins stand?",
        ),
        Misconception(
            "online actor",
            _target_of(actor_of=_online),
            "In your target the online actor acts: it moves with every step, and the answer moves with it. Which actor in "
            "(5.21) has a bar?",
        ),
        Misconception(
            "online critics",
            _target_of(critics_of=_online),
            "In your target the online critics judge, which are just being drawn towards it. Which critics in (5.21) have a "
            "bar?",
        ),
        Misconception(
            "online networks",
            _target_of(actor_of=_online, critics_of=_online),
            "Your target asks the online networks throughout, which chase themselves then. What were the delayed copies made "
            "for, (3.10)?",
        ),
        Misconception(
            "noise forgotten",
            _target_of(act=lambda a, x, c: a),
            "Your next action has no noise. A critic may have a narrow peak that the actor will find: what does (5.21) do so "
            "that a peak is not believed?",
        ),
        Misconception(
            "noise not clipped",
            _target_of(act=lambda a, x, c: (a + x).clamp(-1, 1)),
            "Your noise may be as large as it likes. Far from what the actor would do, Q says nothing about it: which clip of "
            "(5.21) is missing?",
        ),
        Misconception(
            "action not clipped",
            _target_of(act=lambda a, x, c: a + x.clamp(-c, c)),
            "Your next action may leave [−1, 1], where critics have never seen one and say anything. Which clip of (5.21) is "
            "missing?",
        ),
        Misconception(
            "neither clipped",
            _target_of(act=lambda a, x, c: a + x),
            "Neither your noise nor your action knows a bound. (5.21) has two clips: what is each of them for?",
        ),
        Misconception(
            "action clipped to the noise's bound",
            _target_of(act=lambda a, x, c: (a + x).clamp(-c, c)),
            "You clip the action with the bound of the noise: the actor may hardly do anything. In (5.21), what is between −c "
            "and c?",
        ),
        Misconception(
            "noise scaled by its bound",
            _target_of(act=lambda a, x, c: (a + c * x).clamp(-1, 1)),
            "You multiply the noise by c. c is a bound and no deviation: noise that is smaller stays as it is.",
        ),
        Misconception(
            "noise clipped to 1",
            _target_of(act=lambda a, x, c: (a + x.clamp(-1, 1)).clamp(-1, 1)),
            "You clip the noise to [−1, 1], which is the bound of actions. That of the noise was handed over: where does it "
            "stand in (5.21)?",
        ),
        Misconception(
            "noise clipped from above only",
            _target_of(act=lambda a, x, c: (a + x.clamp(max=c)).clamp(-1, 1)),
            "Your noise has a bound above and none below. (5.21) clips it to [−c, c].",
        ),
        Misconception(
            "noise without its sign",
            _target_of(act=lambda a, x, c: (a + x.abs().clamp(max=c)).clamp(-1, 1)),
            "Your noise only ever pushes upwards: where has its sign gone?",
        ),
        Misconception(
            "noise subtracted",
            _target_of(act=lambda a, x, c: clipped_noise(a, -x, c)),
            "You subtract the noise. Its law is the same on both sides, but (5.21) has a plus.",
        ),
        Misconception(
            "mask dropped",
            _target_of(back=lambda r, d, v, g: r + g * v),
            "Your target still contains the value of the next state where the episode has ended. Nothing comes after a "
            "terminal transition: which factor of (5.21) says so?",
        ),
        Misconception(
            "mask upside-down",
            _target_of(back=lambda r, d, v, g: td_target(r, ~d, v, g)),
            "Your target adds the future exactly where the episode has ended. (5.21) has 1 − d there: which of terminated and "
            "~terminated is that?",
        ),
        Misconception(
            "the mask wipes the last reward",
            _target_of(back=lambda r, d, v, g: ~d * (r + g * v)),
            "Your target loses the reward of the step that ends the episode, often the only one there is. (1 − d) stands "
            "before the value alone.",
        ),
        Misconception(
            "γ forgotten",
            _target_of(back=lambda r, d, v, g: td_target(r, d, v, 1.0)),
            "Your target does not discount: what comes a step later counts in full. Where is γ?",
        ),
        Misconception(
            "γ on the reward too",
            _target_of(back=lambda r, d, v, g: g * (r + ~d * v)),
            "Your target discounts the reward as well. The reward comes now; only what comes after it is a step away.",
        ),
        Misconception(
            "gradient through the target",
            _carrying_gradients,
            "Descending the loss, the optimiser would also pull the target towards the estimate, (3.4). Which word of PyTorch "
            "makes a number of it that is merely known?",
        ),
    ],
    observe=without_gradient,
)
