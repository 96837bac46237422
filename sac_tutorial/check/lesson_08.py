"""The exercises of lesson 08, automatic temperature: reference answers, cases and misconceptions.

They can be imported and read: they are for learning, not for exams.
"""

# ruff: noqa: ARG005 an argument that is not read is what many a misconception comes to

import math
from collections.abc import Callable
from numbers import Real
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import brentq, minimize_scalar
from torch import Tensor

from sac_tutorial.check.calls import Answer, FaultFound
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
from sac_tutorial.deep.replay_buffer import Batch
from sac_tutorial.equations import (
    actor_loss,
    boltzmann_policy,
    critic_loss,
    entropy,
    sampled_soft_value,
    td_target,
    temperature_loss,
)

# Two runs of three states, or three runs of four transitions: in quarters.
_TWO_OF_3 = (torch.arange(6, dtype=torch.float64) * 5 % 6).view(2, 3) / 4
_THREE_OF_4 = (torch.arange(12, dtype=torch.float64) * 7 % 12).view(3, 4) / 4


def _first_temperature(temperature: Tensor) -> Tensor:
    return temperature.flatten()[0]


# Exercise 8.1: what a policy is worth at a price


def _lagrangian(visits: Tensor, reward: Tensor, nats: Tensor, temperature: float, target_entropy: float) -> Tensor:
    """Return Σ_s d(s) (r̄(s) + α (H(s) − H̄)), equation (8.2), by visits."""
    return (visits * (reward + temperature * (nats - target_entropy))).sum(-1)


_Lagrangian = Callable[[Tensor, Tensor, Tensor, float, float], Tensor]


def _weighed(each: Callable[[Tensor, Tensor, float, float], Tensor]) -> _Lagrangian:
    """Make a Lagrangian out of what is weighed by the visits: `each(r̄, H, α, H̄)`."""
    return lambda d, r, h, t, target: (d * each(r, h, t, target)).sum(-1)


_VISITS, _REWARD, _NATS = table([2.0, 0.5, 1.5]), table([1.0, -4.0, 2.0]), table([0.25, 1.0, 0.5])
_SIXES = (torch.arange(24, dtype=torch.float64) * 11 % 24).view(2, 3, 4) / 8

lagrangian = Exercise(
    "lagrangian",
    _lagrangian,
    cases=[
        Case(
            "the price is 0",
            (_VISITS, _REWARD, _NATS, 0.0, 0.5),
            "At the price 0 only rewards count: the return, (6.4), is the reward of each state times the visits to it.",
        ),
        Case(
            "nothing is earned and the target is 0",
            (_VISITS, 0 * _REWARD, _NATS, 1.0, 0.0),
            "What is left of (8.2) is D, the discounted entropy: that of each state, as often as the state is visited.",
        ),
        Case(
            "nothing is earned and nothing is left to chance",
            (_VISITS, 0 * _REWARD, 0 * _NATS, 1.0, 0.5),
            "Each visit costs the target here, and there are L = Σ d(s) = 4 of them. Which sign has the target in (8.2)?",
        ),
        Case(
            "all terms count and the price is 3",
            (_VISITS, _REWARD, _NATS, 3.0, 0.25),
            "Each part was right by itself. What does the price multiply in (8.2), and what not?",
        ),
        Case(
            "two runs of three policies have four states",
            (_SIXES, _SIXES.flip(-1) - 1, _SIXES.flip(0) / 2, 2.0, 0.75),
            "The states are on the last axis, whatever stands in front of it: count it from the end, as -1.",
        ),
    ],
    # Below: d are visits, r rewards, h entropies, t is α.
    misconceptions=[
        Misconception(
            "target forgotten",
            _weighed(lambda r, h, t, target: r + t * h),
            "Yours is the soft objective, (6.3): all entropy is paid for. What is paid for in (8.2) is the entropy beyond the "
            "target.",
        ),
        Misconception(
            "target's sign",
            _weighed(lambda r, h, t, target: r + t * (h + target)),
            "You add the target, so that whoever asks for more entropy gets a better policy by asking. Of what is a policy "
            "with less than the target to be charged?",
        ),
        Misconception(
            "constraint's sign",
            _weighed(lambda r, h, t, target: r - t * (h - target)),
            "At your price entropy is a cost: the more of it beyond the target, the less your policy is worth. Which way "
            "round does the constraint (8.1) stand?",
        ),
        Misconception(
            "target once, not at each step",
            lambda d, r, h, t, target: (d * (r + t * h)).sum(-1) - t * target,
            "You charge the target once an episode. The constraint of (8.1) is about an *average*: multiplied by L = Σ d(s), "
            "how often does the target stand in it?",
        ),
        Misconception(
            "target without its price",
            _weighed(lambda r, h, t, target: r + t * h - target),
            "You subtract nats from units of reward. The target is an amount of entropy; what makes units of reward of it?",
        ),
        Misconception(
            "price on rewards too",
            _weighed(lambda r, h, t, target: t * (r + h - target)),
            "Your price multiplies the rewards as well. They are in units of reward already; before which term of (8.2) does "
            "α stand?",
        ),
        Misconception(
            "visits as shares",
            lambda d, r, h, t, target: _lagrangian(d / d.sum(-1, keepdim=True), r, h, t, target),
            "You divide by the number of steps: yours is worth per step. (8.2) adds up over an episode, so that a long one "
            "counts for more; where has the division gone on the way from (8.1)?",
        ),
        Misconception(
            "visits forgotten",
            lambda d, r, h, t, target: (r + t * (h - target)).sum(-1),
            "All states count alike in yours. How often is the policy in each of them, (6.4)?",
        ),
        Misconception(
            "summed over every axis",
            lambda d, r, h, t, target: _lagrangian(d, r, h, t, target).sum(),
            "Your answer is right for one policy, but adds all policies into one number. What must .sum() be told?",
        ),
    ],
)


# Exercise 8.2: the loss of the temperature


def _alpha_loss(log_probability: Tensor, temperature: Tensor, target_entropy: float) -> Tensor:
    """Return the mean of −α log π − α H̄, equation (8.6), with a gradient to α alone."""
    return temperature_loss(log_probability, temperature, target_entropy)


_TemperatureLoss = Callable[[Tensor, Tensor, float], Tensor]


def _averaged(each: Callable[[Tensor, Tensor, float], Tensor]) -> _TemperatureLoss:
    """Make a loss out of what is averaged over the batch: `each(log π, α, H̄)`."""
    return lambda lp, t, target: each(lp.detach(), t, target).mean(-1)


def _by_the_first(answer: Answer, log_probability: Tensor, temperature: Tensor, target_entropy: float) -> object:
    """Observe the loss or, where arguments carry gradients, its derivative by the first of them."""
    if not log_probability.requires_grad:
        by_the_last = differentiated(lambda lp, t, target: lp[..., 0])
        return by_the_last(answer, log_probability, temperature, target_entropy)
    by_the_last = differentiated(lambda t, lp: lp[..., 0])
    return by_the_last(lambda t, lp: answer(lp, t, target_entropy), temperature, log_probability)


_LOGS = table([-1.0, 0.5, -2.5])

alpha_loss = Exercise(
    "alpha_loss",
    _alpha_loss,
    cases=[
        Case(
            "one action was drawn, and the target is 0",
            (table([-2.0]), table([1.0]), 0.0),
            "−log π is the surprise of one draw: an estimate of the entropy, here 2 nats. At the price 1 and with no target, "
            "(8.6) is that number.",
        ),
        Case(
            "the policy has exactly the entropy that is asked for",
            (table([-2.0]), table([3.0]), 2.0),
            "Nothing to spare and nothing missing: (8.6) is 0 whatever the price. Which sign has H̄ beside log π?",
        ),
        Case(
            "the target is negative, as for vectors",
            (_LOGS, table([1.0]), -0.5),
            "H − H̄ is how far the entropy is above the target: 1 − (−½) here. Is a target of −½ one to be above of, or below?",
        ),
        Case(
            "the price is 3",
            (_LOGS, table([3.0]), 0.25),
            "α stands before both terms of (8.6), log π and H̄.",
        ),
        Case(
            "the loss is differentiated by the temperature",
            (_LOGS, with_gradient(table([3.0])), 0.25),
            "By (8.6) the slope is H − H̄. It is positive where the policy is more random than asked for, so that a descent "
            "makes entropy cheaper. Does your loss say that, and is the way back to α open?",
        ),
        Case(
            "the loss is differentiated by log π",
            (with_gradient(_LOGS), with_gradient(table([3.0])), 0.25),
            "The policy is held fixed in (8.6). If this loss may move it, what becomes of its entropy?",
        ),
        Case(
            "each of three runs of four draws has its temperature",
            (_THREE_OF_4 - 1, table([0.5], [3.0], [1.0]), 0.25),
            "One loss a run is wanted, (R,): the batch vanishes by the mean, and α is (R, 1), so that it meets every draw of "
            "its own run.",
        ),
        Case(
            "there are as many runs as draws, with a temperature each",
            (_THREE_OF_4[:, :3] - 1, table([0.5], [3.0], [1.0]), 0.25),
            "Here a temperature that lies along the wrong axis is no error for PyTorch, and wrong all the same.",
        ),
        Case(
            "two runs of three states have four draws each",
            (_SIXES - 1, table([[0.5], [2.0], [1.0]], [[3.0], [0.25], [4.0]]), 0.25),
            "The batch is on the last axis, whatever stands in front of it: count it from the end, as -1.",
        ),
    ],
    # Below: lp is log π, t is α.
    misconceptions=[
        Misconception(
            "sign of the loss",
            _averaged(lambda lp, t, target: t * (lp + target)),
            "Who descends your loss makes entropy dearer where the policy is too random already: α runs away. Where H is "
            "above H̄, which way is α to go?",
        ),
        Misconception(
            "target's sign",
            _averaged(lambda lp, t, target: -t * (lp - target)),
            "Your slope is H + H̄. It would hold the entropy at −H̄: asked for −1 nat a dimension, your α would rise until "
            "there is 1 nat, which no policy in [−1, 1] has.",
        ),
        Misconception(
            "log π for the entropy",
            _averaged(lambda lp, t, target: t * (lp - target)),
            "You compare log π with the target. Entropy is the mean of −log π; which sign is missing?",
        ),
        Misconception(
            "gradient into the actor",
            lambda lp, t, target: (t * (-lp - target)).mean(-1),
            "Your loss may move the policy, too: it pushes the entropy down wherever it is paid for. In (8.6) the policy is "
            "held fixed; which word of PyTorch makes a number of log π?",
        ),
        Misconception(
            "no gradient to the temperature",
            lambda lp, t, target: -(t.detach() * (lp + target)).mean(-1),
            "You have cut the wrong side: α is a mere number in your loss. What is to learn here, the price or the policy?",
        ),
        Misconception(
            "without the temperature",
            _averaged(lambda lp, t, target: -lp - target + 0 * t),
            "Yours is H − H̄, the slope that is wanted, but not a loss that has it: it does not depend on α.",
        ),
        Misconception(
            "log α in place of α",
            _averaged(lambda lp, t, target: t.log() * (-lp - target)),
            "You multiply by log α. Some programs do, (8.7) without its factor α: the zero is the same, the number is not. "
            "(8.6) has the price itself, and who steps in log α takes exp first.",
        ),
        Misconception(
            "target without its price",
            _averaged(lambda lp, t, target: -t * lp - target),
            "In yours α stands before log π alone. Then the slope is H, which for numbered actions is never negative: the "
            "price could only fall.",
        ),
        Misconception(
            "gap without its sign",
            _averaged(lambda lp, t, target: t * (-lp - target).abs()),
            "You take the distance from the target. A price must know on which side the entropy lies: too much makes it fall, "
            "too little makes it rise.",
        ),
        Misconception(
            "gap squared",
            lambda lp, t, target: t.squeeze(-1) * (-lp.detach() - target).mean(-1).square(),
            "You square the gap between entropy and target. Then its sign is lost and with it the direction: the price would "
            "fall on both sides. (8.6) is a straight line in α.",
        ),
        Misconception(
            "sum over the batch",
            lambda lp, t, target: temperature_loss(lp, t, target) * lp.shape[-1],
            "Your loss grows with the batch. (8.6) has an expectation, which a mean estimates.",
        ),
        Misconception(
            "mean over the runs too",
            lambda lp, t, target: (t * (-lp.detach() - target)).mean(),
            "Your mean is over everything, the runs included: one number for learners that have nothing to do with each "
            "other. What must .mean() be told?",
        ),
        Misconception(
            "one temperature for all runs",
            lambda lp, t, target: (_first_temperature(t) * (-lp.detach() - target)).mean(-1),
            "All your runs have the temperature of the first one. α is (R, 1): what does PyTorch do with it beside (R, B), if "
            "you let it?",
        ),
        Misconception(
            "temperature along the batch",
            _averaged(lambda lp, t, target: -t.squeeze(-1) * (lp + target)),
            "You have taken the last axis of α away. What is left, (R,), lies along the batch of (R, B): an error where R and "
            "B differ, and nonsense without a word where they don't. What is that axis of length 1 for?",
        ),
    ],
    observe=_by_the_first,
)


# Exercise 8.3: a step in log α, and one in α

_LEAST = 0.125


def _temperature_steps(
    temperature: Tensor, nats: Tensor, target_entropy: float, step_size: float, least: float
) -> Tensor:
    """Return α after a plain step in log α, (8.7), and after one in α, (8.6), projected to at least `least`: (…, 2)."""
    gap = nats - target_entropy
    in_log = temperature * torch.exp(-step_size * temperature * gap)
    return torch.stack((in_log, (temperature - step_size * gap).clamp(min=least)), -1)


_Steps = Callable[[Tensor, Tensor, float, float, float], Tensor]


def _step(
    in_log: Callable[[Tensor, Tensor], Tensor] = lambda t, move: t * torch.exp(t * move),
    itself: Callable[[Tensor, Tensor, float], Tensor] = lambda t, move, least: (t + move).clamp(min=least),
) -> _Steps:
    """Make both steps out of what each makes of α and −η (H − H̄)."""
    return lambda t, h, target, eta, least: torch.stack(
        (in_log(t, -eta * (h - target)), itself(t, -eta * (h - target), least)), -1
    )


temperature_steps = Exercise(
    "temperature_steps",
    _temperature_steps,
    cases=[
        Case(
            "the entropy is what was asked for",
            (table(0.5), table(1.5), 1.5, 0.5, _LEAST),
            "Where H = H̄ both slopes are 0, and neither form moves: they have the same fixed point. What you return is α in "
            "both columns, not its logarithm.",
        ),
        Case(
            "α is 1, and the policy is too random",
            (table(1.0), table(2.0), 1.0, 0.5, _LEAST),
            "Entropy is to become cheaper. With α = 1 the factor of (8.7) is 1: log α, which is 0, goes to −½, and α itself "
            "goes from 1 to ½.",
        ),
        Case(
            "α is 1, and the policy is too sure",
            (table(1.0), table(0.5), 1.0, 1.0, _LEAST),
            "Too little entropy makes it dearer, in both forms.",
        ),
        Case(
            "α is 2",
            (table(2.0), table(2.0), 1.0, 0.25, _LEAST),
            "Here the forms part: the slope by log α is α (H − H̄), (8.7), and that by α has no such factor, (8.6). And a step "
            "in log α becomes a factor of α.",
        ),
        Case(
            "the step in α would lead below 0",
            (table(0.25), table(3.0), 1.0, 0.5, _LEAST),
            "At a price below 0 certainty would be paid for. So the second form is projected: to what, at the least? The "
            "first form has no need of it.",
        ),
        Case(
            "log α may go below the least",
            (table(0.125), table(5.0), 1.0, 4.0, _LEAST),
            "The least value is a wall for the second form alone. An exp is positive by itself.",
        ),
        Case(
            "two runs of three temperatures",
            (_TWO_OF_3 + 0.25, 2 - _TWO_OF_3.flip(-1), 0.75, 0.5, _LEAST),
            "Each temperature moves by its own entropy, and both results stand side by side on a new last axis, (…, 2).",
        ),
    ],
    # Below: t is α, h the entropy, move is −η (H − H̄).
    misconceptions=[
        Misconception(
            "both signs",
            _step(lambda t, move: t * torch.exp(-t * move), lambda t, move, least: (t - move).clamp(min=least)),
            "Your prices rise where the policy is too random. A descent goes *against* the slope; which sign has η?",
        ),
        Misconception(
            "the factor α left out",
            _step(lambda t, move: t * torch.exp(move)),
            "Your step in log α has the slope H − H̄, as some programs do. What does the chain rule say, with α = exp λ, (8.7)?",
        ),
        Misconception(
            "α² for α",
            _step(lambda t, move: t * torch.exp(t.square() * move)),
            "You have the factor α twice: once by the chain rule, and once more. The α² of the lesson's table is what becomes "
            "of α after the exp.",
        ),
        Misconception(
            "step added, not multiplied",
            _step(lambda t, move: t + t * move),
            "You take the step (8.7) from α itself. It was to be taken from log α, and then α = exp(log α − …).",
        ),
        Misconception(
            "log α returned",
            _step(lambda t, move: t.log() + t * move),
            "Your first column is log α after the step. Wanted is α: what makes a price of it?",
        ),
        Misconception(
            "step in α multiplied",
            _step(itself=lambda t, move, least: (t * torch.exp(move)).clamp(min=least)),
            "Your second column is a step in log α. (8.6) steps in α itself: new α = α − η (H − H̄).",
        ),
        Misconception(
            "α in both slopes",
            _step(itself=lambda t, move, least: (t + t * move).clamp(min=least)),
            "You have the factor α in the slope by α, too. In (8.6) the loss is a straight line in α; what is its slope?",
        ),
        Misconception(
            "not projected",
            _step(itself=lambda t, move, least: t + move),
            "Your second price may become negative, and then certainty is paid for. What keeps it at `least`?",
        ),
        Misconception(
            "projected to 0",
            _step(itself=lambda t, move, least: (t + move).clamp(min=0)),
            "You project to 0. A price of exactly 0 makes actors as hard as they can be, and a division by α impossible: "
            "which least value are you given?",
        ),
        Misconception(
            "projected from above",
            _step(itself=lambda t, move, least: (t + move).clamp(max=least)),
            "Your clamp is the wrong way round: it keeps the price from being *more* than `least`.",
        ),
        Misconception(
            "mirrored at 0",
            _step(itself=lambda t, move, least: (t + move).abs()),
            "You take the absolute value: a step that leads far below 0 then makes entropy dear. It was to become as cheap as "
            "it may.",
        ),
        Misconception(
            "both projected",
            _step(lambda t, move: (t * torch.exp(t * move)).clamp(min=_LEAST)),
            "You project both columns. The form in log α is positive by itself, and may go below `least`.",
        ),
        Misconception(
            "columns swapped",
            lambda t, h, target, eta, least: _temperature_steps(t, h, target, eta, least).flip(-1),
            "Both steps are there, in the wrong order: first the one in log α, then the one in α.",
        ),
        Misconception(
            "stacked in front",
            lambda t, h, target, eta, least: (
                _temperature_steps(t, h, target, eta, least).movedim(-1, 0).reshape(*t.shape, 2)
            ),
            "Your steps are right, but the numbers of different temperatures have got mixed. On which axis are the two to "
            "stand, and what must stack be told?",
        ),
    ],
)


# Exercise 8.4: which target?


def _continuous_target_entropy(low: Tensor, high: Tensor) -> Tensor:
    """Return Σ_i (−1 + log((high_i − low_i)/2)): −1 a dimension in [−1, 1], in the units of the actions."""
    target: Tensor = ((high - low) / 2).log().sum(-1) - low.shape[-1]
    return target


def _discrete_target_entropy(actions: int, favourite: Tensor) -> Tensor:
    """Return the entropy of n actions, one of them with the probability p and the others with (1 − p)/(n − 1) each."""
    others = 1 - favourite
    nats: Tensor = -torch.special.xlogy(favourite, favourite) - torch.special.xlogy(others, others / (actions - 1))
    return nats


continuous_target_entropy = Exercise(
    "continuous_target_entropy",
    _continuous_target_entropy,
    cases=[
        Case(
            "there is one dimension, from −1 to 1",
            (table([-1.0]), table([1.0])),
            "This is the course's own unit: −1 nat a dimension, an even spread over e⁻¹ of a length of 2.",
        ),
        Case(
            "there are three dimensions, all from −1 to 1",
            (table([-1.0, -1.0, -1.0]), table([1.0, 1.0, 1.0])),
            "Dimensions are drawn independently, and then their entropies add up.",
        ),
        Case(
            "the torque goes from −2 to 2",
            (table([-2.0]), table([2.0])),
            "With b = 2a, densities are divided by 2, and H(b) = H(a) + log 2: the same policy has more entropy in these "
            "units. Has your target?",
        ),
        Case(
            "a pedal goes from 0 to ½",
            (table([0.0]), table([0.5])),
            "Only the length of the range counts, not where it lies, and a shorter one has less entropy. By which factor is "
            "this range shorter than [−1, 1]?",
        ),
        Case(
            "two dimensions have different ranges",
            (table([-8.0, 1.0]), table([8.0, 1.5])),
            "Each dimension has its own factor, and each factor adds its own logarithm.",
        ),
        Case(
            "two runs of three robots have four dimensions",
            (-1 - _SIXES, 1 + _SIXES.flip(-1)),
            "The dimensions are on the last axis, whatever stands in front of it: count it from the end, as -1.",
        ),
    ],
    misconceptions=[
        Misconception(
            "wrong sign",
            lambda low, high: low.shape[-1] + ((high - low) / 2).log().sum(-1),
            "You ask for +1 nat a dimension. In [−1, 1] no density has more than log 2 = 0.69: α would rise for ever. What "
            "is −1 nat as an even spread?",
        ),
        Misconception(
            "units forgotten",
            lambda low, high: torch.full_like(low[..., 0], -low.shape[-1]),
            "Yours is −dim A, whatever the ranges are. That was meant for [−1, 1]; in other units the same number asks for "
            "another policy.",
        ),
        Misconception(
            "units the wrong way",
            lambda low, high: -low.shape[-1] - ((high - low) / 2).log().sum(-1),
            "Your target falls where the range grows. A density over more room is lower, and its entropy −E log π higher: "
            "which sign has the logarithm of the factor?",
        ),
        Misconception(
            "whole range for its half",
            lambda low, high: -low.shape[-1] + (high - low).log().sum(-1),
            "For [−1, 1] itself you answer more than −1 a dimension: its length is 2, and that is the range to compare with.",
        ),
        Misconception(
            "upper end for the range",
            lambda low, high: -low.shape[-1] + high.log().sum(-1),
            "You look at the upper end alone. A range from 0 to ½ is not one from −½ to ½: how long is it?",
        ),
        Misconception(
            "factor without its logarithm",
            lambda low, high: -low.shape[-1] * ((high - low) / 2).prod(-1),
            "You multiply the target by the factor of the range. Densities are multiplied; what becomes of a factor in "
            "−E log π?",
        ),
        Misconception(
            "one factor for all dimensions",
            lambda low, high: -low.shape[-1] + ((high - low) / 2).mean(-1).log(),
            "You take one logarithm for all dimensions together. Each has been stretched by its own factor, and each shifts "
            "the entropy.",
        ),
        Misconception(
            "mean over the dimensions",
            lambda low, high: -1 + ((high - low) / 2).log().mean(-1),
            "Your answer is for an average dimension. log π of a vector is a sum over its dimensions, (7.13); so is its "
            "entropy.",
        ),
        Misconception(
            "binary logarithm",
            lambda low, high: -low.shape[-1] + ((high - low) / 2).log2().sum(-1),
            "You shift by bits: twice the range is log 2 = 0.69 nats, and 1 bit. Which of them does α price?",
        ),
    ],
)

_Numbered = Callable[[int, Tensor], Tensor]

discrete_target_entropy = Exercise(
    "discrete_target_entropy",
    _discrete_target_entropy,
    cases=[
        Case(
            "there are two actions, and no favourite",
            (2, table(0.5)),
            "Two equally likely actions have the entropy log 2 = 0.693, in nats and positive.",
        ),
        Case(
            "there are four actions, and no favourite",
            (4, table(0.25)),
            "Four equally likely actions have log 4, the most that there is. How likely are the other three, taken together?",
        ),
        Case(
            "there are two actions, and one has ¾",
            (2, table(0.75)),
            "Two terms −p log p, one for ¾ and one for ¼.",
        ),
        Case(
            "there are four actions, and one has ¾",
            (4, table(0.75)),
            "What is left, ¼, goes to three actions, 1/12 each. Which probability stands in the logarithm, and how many such "
            "terms are there?",
        ),
        Case(
            "the favourite is certain",
            (4, table(1.0)),
            "Nothing is left to chance: the entropy is 0, and 0 · log 0 counts as 0.",
        ),
        Case(
            "two runs of three favourites among six actions",
            (6, (_TWO_OF_3 + 0.25) / 2),
            "Each entry of p is a question of its own; nothing is to be summed over them.",
        ),
    ],
    # Below: n are actions, p is the favourite's probability.
    misconceptions=[
        Misconception(
            "−dim for numbered actions",
            lambda n, p: 0 * p - n,
            "You ask for −n, the rule for vectors. Numbered actions have an entropy between 0 and log n: below 0 there is "
            "none, and α would fall for ever.",
        ),
        Misconception(
            "log n",
            lambda n, p: 0 * p + math.log(n),
            "Yours is the most that n actions have. Asked for all of it, the policy must be uniform, and α would rise for "
            "ever. What does the favourite take away from it?",
        ),
        Misconception(
            "share of log n",
            lambda n, p: p * math.log(n),
            "You have taken the favourite's probability for a share of log n. What is the entropy of the policy in which it "
            "has that probability?",
        ),
        Misconception(
            "sign",
            lambda n, p: -_discrete_target_entropy(n, p),
            "Yours is Σ π log π, which is negative. Entropy is minus that, (6.1).",
        ),
        Misconception(
            "favourite's term alone",
            lambda n, p: -torch.special.xlogy(p, p),
            "You count the surprise of the favourite alone. The others surprise as well, and by more.",
        ),
        Misconception(
            "favourite against the rest",
            lambda n, p: -torch.special.xlogy(p, p) - torch.special.xlogy(1 - p, 1 - p),
            "Yours is the entropy of a coin: favourite or not. Which of the others it will be is uncertain, too.",
        ),
        Misconception(
            "rest shared by all",
            lambda n, p: -torch.special.xlogy(p, p) - torch.special.xlogy(1 - p, (1 - p) / n),
            "You share the rest among n actions. The favourite has its own; how many others are there?",
        ),
        Misconception(
            "one of the others",
            lambda n, p: -torch.special.xlogy(p, p) - torch.special.xlogy((1 - p) / (n - 1), (1 - p) / (n - 1)),
            "You count one of the others. There are n − 1 of them, all alike.",
        ),
        Misconception(
            "surprise of the favourite",
            lambda n, p: -p.log(),
            "Yours is the surprise when the favourite is taken. Entropy is the average surprise, over all actions.",
        ),
        Misconception(
            "bits",
            lambda n, p: _discrete_target_entropy(n, p) / math.log(2),
            "Yours is right in bits. α is a price per nat, and log π is a natural logarithm everywhere.",
        ),
        Misconception(
            "0 · log 0",
            lambda n, p: -p * p.log() - (1 - p) * ((1 - p) / (n - 1)).log(),
            "You multiply 0 by the logarithm of 0, which is −∞ and gives no number. torch.special.xlogy(x, y) is x log y with "
            "0 for x = 0; or keep the logarithm's argument away from 0.",
        ),
    ],
)


# Exercise 8.5: α* by root finding

SoftQ = Callable[[float], Tensor]
"""From α to soft Q*, (S, A)."""
LOWEST, HIGHEST = 0.001, 100.0
"""Between these the price lies."""


def _root(function: Callable[[float], float]) -> float:
    """Return an α at which the function is 0 or, if it has one sign at both ends, the end that is nearer to it."""
    low, high = math.log(LOWEST), math.log(HIGHEST)
    below, above = function(LOWEST), function(HIGHEST)
    if (below < 0) == (above < 0):
        return LOWEST if abs(below) < abs(above) else HIGHEST
    return math.exp(brentq(lambda log_alpha: function(math.exp(log_alpha)), low, high, xtol=1e-12))


def _lowest(function: Callable[[float], float]) -> float:
    """Return the α at which the function is lowest: the best of a grid, and then the best around it."""
    logs = np.linspace(math.log(LOWEST), math.log(HIGHEST), 200)
    best = int(np.argmin([function(math.exp(log_alpha)) for log_alpha in logs]))
    around = logs[max(best - 1, 0)], logs[min(best + 1, len(logs) - 1)]
    found = minimize_scalar(lambda log_alpha: function(math.exp(log_alpha)), bounds=around, options={"xatol": 1e-9})
    return math.exp(found.x)


def _mean_entropy(q: Tensor, share: Tensor, alpha: float) -> float:
    return float((share * entropy(boltzmann_policy(q, alpha))).sum())


def _optimal_temperature(soft_q: SoftQ, share: Tensor, target_entropy: float) -> float:
    """Return the α at which the mean entropy of the Boltzmann policies of soft Q*, (6.25), over these shares is H̄."""
    return _root(lambda alpha: _mean_entropy(soft_q(alpha), share, alpha) - target_entropy)


def _at(gap: Callable[[SoftQ, Tensor, float, float], float]) -> Callable[[SoftQ, Tensor, float], float]:
    """Make an answer that returns where `gap(soft Q*, shares, H̄, α)` is 0."""
    return lambda soft_q, share, target: _root(lambda alpha: gap(soft_q, share, target, alpha))


def _as_number(answer: Answer, *arguments: object) -> Tensor:
    """Observe a price: any real number, or a tensor that holds one, as float64."""
    result = answer(*arguments)
    if isinstance(result, Tensor) and result.numel() == 1 and result.dtype != torch.bool:
        result = result.item()
    if isinstance(result, bool) or not isinstance(result, Real):
        raise FaultFound("type", f"your function must return one number, but it returns a {type(result).__name__}.")
    return torch.tensor(float(result), dtype=torch.float64)


def _fixed(*rows: list[float]) -> SoftQ:
    """Return a soft Q* that does not depend on α: nothing comes after the action."""
    q = table(*rows)
    return lambda alpha: q


def _two_steps(alpha: float) -> Tensor:
    """State 0: go on to state 1, or stop with 1. State 1: end with 0 or ½. What state 1 is worth depends on α."""
    last = table(0.0, 0.5)
    value = alpha * torch.logsumexp(last / alpha, -1)
    return torch.stack((torch.stack((value, torch.ones_like(value))), last))


_COIN_H = 0.75 * math.log(4 / 3) + 0.25 * math.log(4)
"""The entropy of (¾, ¼)."""
_ONE, _EVEN2 = table(1.0), table(0.5, 0.5)

optimal_temperature = Exercise(
    "optimal_temperature",
    _optimal_temperature,
    cases=[
        Case(
            "there is one state with two actions, 1 apart",
            (_fixed([1.0, 0.0]), _ONE, _COIN_H),
            "The target is the entropy of (¾, ¼). For the Boltzmann policy that means exp(1/α) = 3, so that α = 1/log 3 = "
            "0.91.",
        ),
        Case(
            "the rewards are ten times as large",
            (_fixed([10.0, 0.0]), _ONE, _COIN_H),
            "α is a price in units of reward: ten times the rewards, ten times the price, for the same entropy.",
        ),
        Case(
            "two states count alike",
            (_fixed([1.0, 0.0], [0.25, 0.0]), _EVEN2, _COIN_H),
            "Neither state need have the target's entropy; their mean does. Entropy first, then the mean over the states.",
        ),
        Case(
            "one state is visited three times as often",
            (_fixed([1.0, 0.0], [0.25, 0.0]), table(0.75, 0.25), _COIN_H),
            "The mean is over the shares that you are given. The states in one's replay are not all equally frequent.",
        ),
        Case(
            "what comes after depends on α",
            (_two_steps, _EVEN2, _COIN_H),
            "Soft Q* itself holds what later entropy is worth, so it is another table at every α. When is it asked for?",
        ),
        Case(
            "there are three actions, and a target near the most",
            (_fixed([1.0, 0.0, 0.5]), _ONE, 0.98 * math.log(3)),
            "Near log 3 the curve is flat, and the price is high: is the range in which you look large enough, and the "
            "answer exact enough?",
        ),
    ],
    # Below: soft is the function from α to Q*, share the shares, h the target.
    misconceptions=[
        Misconception(
            "shares ignored",
            _at(lambda soft, share, h, a: entropy(boltzmann_policy(soft(a), a)).mean().item() - h),
            "Your mean gives every state the same weight. What do the shares say?",
        ),
        Misconception(
            "entropy of the mean policy",
            _at(lambda soft, share, h, a: entropy(share @ boltzmann_policy(soft(a), a)).item() - h),
            "You average the policies and take the entropy of that. Two states in which different actions are certain would "
            "look random. What is averaged in (6.5)?",
        ),
        Misconception(
            "summed over the states",
            _at(lambda soft, share, h, a: entropy(boltzmann_policy(soft(a), a)).sum().item() - h),
            "You add the entropies of all states up. The target is the entropy of *one* step, an average one.",
        ),
        Misconception(
            "Q* of one temperature",
            _at(lambda soft, share, h, a: _mean_entropy(soft(1.0), share, a) - h),
            "You ask for soft Q* once, and then cool or heat the policy alone. What comes later is valued by the same α: at "
            "which moment must Q* be asked for?",
        ),
        Misconception(
            "rewards without entropy",
            _at(lambda soft, share, h, a: _mean_entropy(soft(LOWEST), share, a) - h),
            "Your Q* is that of α → 0, without what later entropy is worth. In (6.25) policy and Q* have the same α.",
        ),
        Misconception(
            "policy at temperature 1",
            _at(lambda soft, share, h, a: _mean_entropy(soft(a), share, 1.0) - h),
            "Your policy is the softmax of Q itself. Before it comes into an exp, what is Q divided by, (6.13)?",
        ),
        Misconception(
            "α multiplies Q",
            _at(lambda soft, share, h, a: _mean_entropy(soft(a), share, 1 / a) - h),
            "You multiply Q by α, so that a hot policy is the sure one. What is done with α in (6.13)?",
        ),
        Misconception(
            "lowest α (H − H̄)",
            lambda soft, share, h: _lowest(lambda a: a * (_mean_entropy(soft(a), share, a) - h)),
            'You have minimised α (H(π_α) − H̄), with the policy following the price. "Hold the policy fixed" is part of '
            "(8.6); what is wanted is where its slope is 0, that is H = H̄.",
        ),
        Misconception(
            "logarithm of the price",
            lambda soft, share, h: math.log(_optimal_temperature(soft, share, h)),
            "Yours is log α*. To look for it among logarithms is wise; what makes a price of it in the end?",
        ),
        Misconception(
            "a price of nats in bits",
            _at(lambda soft, share, h, a: _mean_entropy(soft(a), share, a) / math.log(2) - h),
            "You measure entropy in bits and compare it with nats.",
        ),
        Misconception(
            "target's sign",
            _at(lambda soft, share, h, a: _mean_entropy(soft(a), share, a) + h),
            "You look for H + H̄ = 0, and no policy over numbered actions has a negative entropy: at the end of your range "
            "there is no root. Which difference is to vanish?",
        ),
    ],
    observe=_as_number,
    tolerance=1e-4,
)


# Exercise 8.6: the target that keeps the cost


def _costly_target(
    reward: Tensor,
    terminated: Tensor,
    next_value: Tensor,
    temperature: Tensor,
    target_entropy: float,
    discount: float,
) -> Tensor:
    """Return r + γ (1 − d) (V(s′) − α H̄), equation (8.8), without gradient."""
    return td_target(reward, terminated, next_value - temperature * target_entropy, discount).detach()


_Target = Callable[[Tensor, Tensor, Tensor, Tensor, float, float], Tensor]


def _made_of(each: Callable[[Tensor, Tensor, Tensor, Tensor, float], Tensor]) -> _Target:
    """Make a target out of `each(r, 1 − d, V(s′), α H̄, γ)`."""
    return lambda r, d, v, t, target, g: each(r, 1 - d.to(r.dtype), v.detach(), t.detach() * target, g)


_R, _V = table([1.0, -2.0, 0.5]), table([4.0, 8.0, -2.0])
_LIVE, _DONE, _MIXED = flags([False, False, False]), flags([True, True, True]), flags([False, True, False])

costly_target = Exercise(
    "costly_target",
    _costly_target,
    cases=[
        Case(
            "the price is 0",
            (_R, _MIXED, _V, table([0.0]), 0.5, 0.75),
            "At the price 0 (8.8) is the target of lesson 1: reward, and the discounted value of s′ if there is one.",
        ),
        Case(
            "nothing is earned and nobody stops",
            (0 * _R, _LIVE, 0 * _V, table([2.0]), 0.5, 0.75),
            "What is left is the cost of the step from s′ on: α H̄, one step later. Which sign has it, and what is it "
            "multiplied by?",
        ),
        Case(
            "every episode ends",
            (_R, _DONE, _V, table([2.0]), 0.5, 0.75),
            "After the end no action is taken. Who has to pay for a step then?",
        ),
        Case(
            "some end, and all terms count",
            (_R, _MIXED, _V, table([3.0]), 0.25, 0.5),
            "Each part was right by itself. What does 1 − d multiply in (8.8)?",
        ),
        Case(
            "the target is negative, as for vectors",
            (_R, _MIXED, _V, table([3.0]), -0.25, 0.5),
            "A negative target makes the cost a gain: with H̄ = −1 a step is paid for. The equation is the same.",
        ),
        Case(
            "values carry gradients",
            (_R, _MIXED, with_gradient(_V), with_gradient(table([3.0])), 0.25, 0.5),
            "A target is a number to approach: nothing in it may be learnt through it.",
        ),
        Case(
            "each of three runs of four transitions has its temperature",
            (_THREE_OF_4, _THREE_OF_4 > 2, 4 * _THREE_OF_4.flip(-1), table([0.5], [3.0], [1.0]), 0.25, 0.5),
            "α is (R, 1), so that it meets every transition of its run by itself.",
        ),
        Case(
            "two runs of three prices have four transitions",
            (_SIXES, _SIXES > 2, _SIXES.flip(-1), table([[0.5], [2.0], [1.0]], [[3.0], [0.25], [4.0]]), 0.25, 0.5),
            "Whatever stands in front comes along by itself: is there an axis in your answer that you have counted from the "
            "front?",
        ),
        Case(
            "there are as many runs as transitions",
            (
                _THREE_OF_4[:, :3],
                _THREE_OF_4[:, :3] > 2,
                _THREE_OF_4[:, 1:],
                table([0.5], [3.0], [1.0]),
                0.25,
                0.5,
            ),
            "Here a temperature that lies along the wrong axis is no error for PyTorch, and wrong all the same.",
        ),
    ],
    # Below: r is the reward, on 1 − d, v is V(s′), c is α H̄, g is γ.
    misconceptions=[
        Misconception(
            "cost forgotten",
            _made_of(lambda r, on, v, c, g: r + g * on * v),
            "Yours is SAC's own target, in which steps cost nothing. Which term has (8.8) more than (7.16)?",
        ),
        Misconception(
            "cost after the end",
            _made_of(lambda r, on, v, c, g: r + g * (on * v - c)),
            "In yours the cost is outside of (1 − d): whoever falls into a hole goes on paying for steps that nobody takes. "
            "Then all policies pay alike, and the cost changes nothing.",
        ),
        Misconception(
            "cost of this step",
            _made_of(lambda r, on, v, c, g: r - c + g * on * v),
            "You charge for the step at hand, in s. Q leaves out the entropy of its own step, and the cost goes with the "
            "entropy: in which state are both of them due?",
        ),
        Misconception(
            "cost in both places",
            _made_of(lambda r, on, v, c, g: r - c + g * on * (v - c)),
            "You charge twice: with the reward, and in V. Once is enough.",
        ),
        Misconception(
            "cost not discounted",
            _made_of(lambda r, on, v, c, g: r + on * (g * v - c)),
            "The cost falls due in s′, a step later than the reward. What is everything that comes a step later multiplied "
            "by?",
        ),
        Misconception(
            "cost paid out",
            _made_of(lambda r, on, v, c, g: r + g * on * (v + c)),
            "You pay α H̄ for each step in place of charging it: who lives long has more. Which sign has it in (8.8)?",
        ),
        Misconception(
            "cost without its price",
            lambda r, d, v, t, target, g: td_target(r, d, v - target, g).detach(),
            "You subtract nats from units of reward. What makes units of reward of H̄?",
        ),
        Misconception(
            "price for the cost",
            lambda r, d, v, t, target, g: td_target(r, d, v - t, g).detach(),
            "You charge α a step, as if the target were 1 nat. How many nats is a step to have?",
        ),
        Misconception(
            "end for no end",
            _made_of(lambda r, on, v, c, g: r + g * (1 - on) * (v - c)),
            "Yours goes on where the episode has ended, and nowhere else.",
        ),
        Misconception(
            "discount forgotten",
            _made_of(lambda r, on, v, c, g: r + on * (v - c)),
            "Your target does not discount. Which factor stands before (1 − d)?",
        ),
        Misconception(
            "gradient into the target",
            lambda r, d, v, t, target, g: td_target(r, d, v - t * target, g),
            "Your numbers are right, but whoever differentiates the loss would differentiate the target, too. Which word of "
            "PyTorch makes a number of it?",
        ),
        Misconception(
            "one temperature for all runs",
            lambda r, d, v, t, target, g: _costly_target(r, d, v, _first_temperature(t), target, g),
            "All your runs pay the price of the first one. α is (R, 1): what does PyTorch do with it beside (R, B), if you "
            "let it?",
        ),
        Misconception(
            "temperature along the batch",
            lambda r, d, v, t, target, g: _costly_target(r, d, v, t.squeeze(-1), target, g),
            "You have taken the last axis of α away, so that it lies along the batch: an error where R and B differ, and "
            "nonsense without a word where they don't.",
        ),
    ],
    observe=without_gradient,
)


# Exercise 8.7: one update of soft actor-critic

RATE, TAU = 0.125, 0.25


class PlainTrainState:
    """Parameters that take plain gradient steps, in place of Adam's: results can be computed by hand.

    Attributes:
        parameters: a list of tensors.
    """

    def __init__(self, *parameters: Tensor) -> None:
        self.parameters = [with_gradient(parameter) for parameter in parameters]

    def minimize(self, loss: Tensor) -> None:
        """Take one step of the size `RATE` against the gradient of these parameters, and of no others."""
        gradients = torch.autograd.grad(loss.sum(), self.parameters)
        with torch.no_grad():
            for parameter, gradient in zip(self.parameters, gradients, strict=True):
                parameter -= RATE * gradient


class _Settings(NamedTuple):
    discount: float
    tau: float


class SmallAgent:
    """An agent with a number or two for each thing that learns, and draws without chance: an update of it is arithmetic.

    The actor's parameter w, (R, 1), plays a = w s, with the log-density w + s. A critic's, (2, R, 1) twice, say w (s + a) + b.

    Attributes:
        actor, critic, log_alpha: each a `PlainTrainState`.
        target_critic: the critics' delayed copies, a list of tensors.
        target_entropy: H̄.
        settings: with `discount` and `tau`.
    """

    def __init__(self, runs: int) -> None:
        step = torch.arange(runs, dtype=torch.float64).unsqueeze(-1) / 4
        self.actor = PlainTrainState(0.5 + step)
        self.critic = PlainTrainState(torch.stack((1 - step, 0.75 + step)), torch.stack((step, 0.5 - step)))
        self.log_alpha = PlainTrainState(-0.5 - step)
        self.target_critic = [torch.stack((step - 0.5, 0.25 - step)), torch.stack((0.25 - step, step))]
        self.target_entropy, self.settings = 0.5, _Settings(0.75, TAU)

    @property
    def alpha(self) -> Tensor:
        """α as it is now, (R, 1), with a gradient to log α."""
        return self.log_alpha.parameters[0].exp()

    def draw(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Return the actions in these states and their log-densities."""
        (weight,) = self.actor.parameters
        return weight.unsqueeze(-1) * observation, weight + observation.squeeze(-1)

    def judge(self, parameters: list[Tensor], observation: Tensor, action: Tensor) -> Tensor:
        """Return what the critics with these parameters say, (2, R, B, 1)."""
        weight, bias = parameters
        return weight.unsqueeze(-1) * (observation + action) + bias.unsqueeze(-1)

    def __deepcopy__(self, memo: object) -> "SmallAgent":
        """Stay the same: an update is to change it."""
        return self

    def __eq__(self, other: object) -> bool:
        """Don't be told apart from before: an update is to change it."""
        return isinstance(other, SmallAgent)

    __hash__ = None  # type: ignore[assignment]


def small_batch(runs: int, size: int, *, ended: bool = False) -> Batch:
    """Return transitions of so many runs, with round numbers; every third one ended, or all of them."""
    number = torch.arange(runs * size, dtype=torch.float64).view(runs, size)
    observation, following = number * 5 % 7 / 8 - 0.25, number * 3 % 5 / 4 - 0.5
    terminated = (number % 3 == 2) | ended
    return Batch(
        observation.unsqueeze(-1),
        (following / 2 - 0.25).unsqueeze(-1),
        number % 4 / 2 - 0.5,
        following.unsqueeze(-1),
        terminated,
    )


class _Ways(NamedTuple):
    """What may be done otherwise in an update; as it stands, it is right."""

    target_parameters: str = "target_critic"
    climbed_parameters: str = "critic"
    climbed_action: str = "drawn now"
    target_density: bool = True
    price_by: str = "drawn now"
    price_by_itself: bool = False
    order: str = "critic actor log_alpha copies"
    copies: str = "follow"
    descends: str = "critic actor log_alpha"


def _update(agent: SmallAgent, batch: Batch, ways: _Ways = _Ways()) -> Tensor:  # noqa: B008 - it can't be changed
    networks = {"target_critic": agent.target_critic, "critic": agent.critic.parameters}
    settings, result = agent.settings, torch.zeros(())
    drawn_log = agent.draw(batch.observation)[1]
    for part in ways.order.split():
        next_action, next_log = agent.draw(batch.next_observation)
        if part == "critic":
            next_q = (
                agent.judge(networks[ways.target_parameters], batch.next_observation, next_action).squeeze(-1).amin(0)
            )
            next_value = sampled_soft_value(next_q, next_log if ways.target_density else 0 * next_log, agent.alpha)
            y = td_target(batch.reward, batch.terminated, next_value, settings.discount).detach()
            loss = critic_loss(agent.judge(agent.critic.parameters, batch.observation, batch.action).squeeze(-1), y)
            result = loss.detach()
            if part in ways.descends:
                agent.critic.minimize(loss)
        if part == "actor":
            action, log_density = agent.draw(batch.observation)
            drawn_log = log_density
            action = batch.action if ways.climbed_action == "replay's" else action
            q = agent.judge(networks[ways.climbed_parameters], batch.observation, action).squeeze(-1).amin(0)
            if part in ways.descends:
                agent.actor.minimize(actor_loss(log_density, q, agent.alpha))
        if part == "log_alpha" and part in ways.descends:
            log_density = next_log if ways.price_by == "next" else drawn_log
            (parameter,) = agent.log_alpha.parameters
            alpha = parameter if ways.price_by_itself else agent.alpha
            agent.log_alpha.minimize((alpha * (-log_density.detach() - agent.target_entropy)).mean(-1))
        if part == "copies" and ways.copies != "none":
            rate = {"follow": settings.tau, "swapped": 1 - settings.tau, "at once": 1.0}[ways.copies]
            pairs = zip(agent.target_critic, agent.critic.parameters, strict=True)
            agent.target_critic = [(1 - rate) * old + rate * new.detach() for old, new in pairs]
    return result


def _one_update(agent: SmallAgent, batch: Batch) -> Tensor:
    """Take one step of critics, actor, temperature and copies, in this order; return the critics' loss, (R,)."""
    return _update(agent, batch)


def _otherwise(**ways: str | bool) -> Callable[[SmallAgent, Batch], Tensor]:
    return lambda agent, batch: _update(agent, batch, _Ways(**ways))  # type: ignore[arg-type]


def _after(answer: Answer, runs: int, batch: Batch, part: str) -> object:
    """Observe one part of a small agent after an update, or what the update returns."""
    agent = SmallAgent(runs)
    result = answer(agent, batch)
    if part == "loss":
        return without_gradient(lambda: result)
    tensors = {
        "critic": agent.critic.parameters,
        "actor": agent.actor.parameters,
        "log_alpha": agent.log_alpha.parameters,
        "copies": agent.target_critic,
    }
    parts = [tensors[part]] if part in tensors else list(tensors.values())
    copies: object = agent.target_critic
    if not isinstance(copies, list) or [isinstance(copy, Tensor) for copy in copies] != [True, True]:
        raise FaultFound(
            "copies", "agent.target_critic must stay a list of tensors, one for each of agent.critic.parameters."
        )
    return torch.cat([tensor.detach().flatten() for some in parts for tensor in some])


_ALL = "everything"

one_update = Exercise(
    "one_update",
    _one_update,
    cases=[
        Case(
            "every episode ends: the critics",
            (1, small_batch(1, 4, ended=True), "critic"),
            "Without a next state the target is the reward. agent.critic.minimize(…) must be called once, with the twin loss "
            "of Q(s, a), a the action in the batch.",
        ),
        Case(
            "most episodes go on: the critics",
            (1, small_batch(1, 4), "critic"),
            "The target is (7.16): next states, actions drawn there by agent.draw, and the opinion of the delayed copies.",
        ),
        Case(
            "the actor has stepped",
            (1, small_batch(1, 4), "actor"),
            "The actor steps after the critics, (7.7): actions drawn in s now, judged by the critics as they are now.",
        ),
        Case(
            "the temperature has stepped",
            (1, small_batch(1, 4), "log_alpha"),
            "The temperature steps last of the three, by the log-densities of the same draws as the actor, (8.7): the loss is "
            "given agent.alpha, and log_alpha descends.",
        ),
        Case(
            "the copies have followed",
            (1, small_batch(1, 4), "copies"),
            "At the end each copy goes a part τ of the way to the critic that it copies, (3.11). A list of tensors is wanted "
            "in agent.target_critic.",
        ),
        Case(
            "three runs have batches of four: everything",
            (3, small_batch(3, 4), _ALL),
            "Each run is an agent of its own, and your functions keep runs apart. Is there anything in your update that "
            "mixes them?",
        ),
        Case(
            "three runs have batches of four: what is returned",
            (3, small_batch(3, 4), "loss"),
            "The loss of the critics is returned, before their step, one number a run, (R,), and detached.",
        ),
    ],
    misconceptions=[
        Misconception(
            "no copies in the target",
            _otherwise(target_parameters="critic"),
            "Your critics chase their own opinions about s′. Whose opinion does the bar over Q in (7.16) ask for?",
        ),
        Misconception(
            "target without entropy",
            _otherwise(target_density=False),
            "In your target no entropy is paid for. Which of the two results of agent.draw is left unused?",
        ),
        Misconception(
            "copies stay",
            _otherwise(copies="none"),
            "Your copies stay where they began, and with them all that is known of the future. Who moves them, (3.11)?",
        ),
        Misconception(
            "copies at the wrong rate",
            _otherwise(copies="swapped"),
            "Your copies leap almost onto the critics: they go 1 − τ of the way. Which of the two is the target in "
            "my_polyak_step(target, online, rate)?",
        ),
        Misconception(
            "copies at once",
            _otherwise(copies="at once"),
            "Your copies are the critics themselves after each update. How far are they to go, (3.11)?",
        ),
        Misconception(
            "actor climbs the copies",
            _otherwise(climbed_parameters="target_critic"),
            "Your actor asks the delayed copies. They are there for targets; (7.7) has Q without a bar.",
        ),
        Misconception(
            "actor judged by the replay's action",
            _otherwise(climbed_action="replay's"),
            "Your actor is judged by the action in the batch, which it can't change: from Q it learns nothing, and only its "
            "entropy grows. Which action stands in (7.7)?",
        ),
        Misconception(
            "price by the next states",
            _otherwise(price_by="next"),
            "Your temperature looks at the draws in s′, which were made for the critics' target. Which draws does the "
            "actor's step use?",
        ),
        Misconception(
            "price stays",
            _otherwise(descends="critic actor"),
            "Your temperature never moves. What is left of this lesson then?",
        ),
        Misconception(
            "log α for α",
            _otherwise(price_by_itself=True),
            "You hand log α to the loss in place of α. log_alpha is what descends; the price is its exp, agent.alpha.",
        ),
        Misconception(
            "price before the actor",
            _otherwise(order="critic log_alpha actor copies"),
            "Your temperature steps before the actor. That is no mistake in principle, but an update has to be like another "
            "to be compared: critics, actor, temperature, copies.",
        ),
        Misconception(
            "actor before the critics",
            _otherwise(order="actor critic log_alpha copies"),
            "Your actor steps before the critics. That is no mistake in principle, but an update has to be like another to "
            "be compared: critics, actor, temperature, copies.",
        ),
        Misconception(
            "copies before the critics",
            _otherwise(order="copies critic actor log_alpha"),
            "Your copies follow first and miss what the critics learn in this update. They come last.",
        ),
        Misconception(
            "actor stays",
            _otherwise(descends="critic log_alpha"),
            "Your actor never moves: is there an agent.actor.minimize(…)?",
        ),
    ],
    observe=_after,
)
