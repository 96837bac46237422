"""The exercises of lesson 07, soft actor-critic: reference answers, cases and misconceptions.

They can be imported and read: they are for learning, not for exams.
"""

# ruff: noqa: ARG001, ARG005 an argument that is not read is what many a misconception comes to

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import huber_loss, softplus

from sac_tutorial.check.calls import Answer
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
from sac_tutorial.check.lesson_05 import linear_critics
from sac_tutorial.equations import (
    actor_loss,
    critic_loss,
    entropy,
    expected_value,
    sampled_soft_value,
    soft_policy_value,
    squared_loss,
    squash,
    taken_value,
    td_target,
)

# Two runs of three states (or draws) of four dimensions (or actions); or two critics for three runs of four transitions.
_RUNS = (torch.arange(24, dtype=torch.float64) * 11 % 24).view(2, 3, 4) / 4
_HALF = math.log(1 / 2)
"""log σ of σ = ½."""


_Of3 = Callable[[Tensor, Tensor, Tensor], Tensor]


def _lower_on_average(q: Tensor) -> Tensor:
    """Return the values of the critic whose mean over the batch is the lower one."""
    return torch.where(q[0].mean(-1, keepdim=True) < q[1].mean(-1, keepdim=True), q[0], q[1])


def _first_temperature(temperature: Tensor) -> Tensor:
    return temperature.flatten()[0]


_ONE_TEMPERATURE = (
    "All your runs have the temperature of the first one. α is (R, 1): what does PyTorch do with it beside (R, B), if you "
    "let it?"
)


def _misplaced_temperatures(
    answer: Callable[[Callable[[Tensor], Tensor]], Answer],
) -> tuple[Misconception, Misconception]:
    """Return two misconceptions about the axes of α, by answers that use place(α)."""
    return (
        Misconception("one temperature for all runs", answer(_first_temperature), _ONE_TEMPERATURE),
        Misconception(
            "temperature along the batch",
            answer(lambda temperature: temperature.squeeze(-1)),
            "You have taken the last axis of α away. What is left, (R,), lies along the batch of (R, B): an error where R "
            "and B differ, and nonsense without a word where they don't. What is that axis of length 1 for?",
        ),
    )


def _misplaced_alpha(value: str, equation: str, answer: Callable[[_Of3], Answer]) -> tuple[Misconception, ...]:
    """Return three misconceptions about where α stands, by answers that use each(min Q, log π, α)."""
    return (
        Misconception(
            "α forgotten",
            answer(lambda q, lp, t: q - lp),
            f"Your {value} does not depend on α. Who says how much a nat of entropy is worth, in units of reward?",
        ),
        Misconception(
            "α on Q",
            answer(lambda q, lp, t: t * q - lp),
            "Your α stands before Q, and entropy is paid in full whatever α is. Which of the two does the temperature weigh?",
        ),
        Misconception(
            "α on the whole",
            answer(lambda q, lp, t: t * (q - lp)),
            "Your α multiplies Q as well. A temperature does not change what rewards are worth; before which term of "
            f"({equation}) does it stand?",
        ),
    )


# Exercise 7.1: how likely is an action that went through tanh?


def _squashed_log_density(mean: Tensor, log_std: Tensor, noise: Tensor) -> Tensor:
    """Return log π(a) of a = tanh(μ + σ ξ), equation (7.13), by (7.14)."""
    return squash(mean, log_std, noise)[1]


def _normal(mean: Tensor, log_std: Tensor, noise: Tensor) -> Tensor:
    """Return log N(u; μ, σ²) of u = μ + σ ξ in each dimension."""
    return -noise.square() / 2 - log_std - math.log(2 * math.pi) / 2


def _log_slope(before: Tensor) -> Tensor:
    """Return log(1 − tanh² u), by (7.14)."""
    return 2 * (math.log(2) - before - softplus(-2 * before))


def _before(mean: Tensor, log_std: Tensor, noise: Tensor) -> Tensor:
    return mean + log_std.exp() * noise


def _density_of(gaussian: _Of3 = _normal, log_slope: Callable[[Tensor], Tensor] = _log_slope) -> _Of3:
    """Make a log-density out of that of u, by dimension, and of log da/du."""
    return lambda mean, log_std, noise: (gaussian(mean, log_std, noise) - log_slope(_before(mean, log_std, noise))).sum(
        -1
    )


def _log_std_for_std(mean: Tensor, log_std: Tensor, noise: Tensor) -> Tensor:
    return (_normal(mean, log_std, noise) - _log_slope(mean + log_std * noise)).sum(-1)


def _log_variance(mean: Tensor, log_std: Tensor, noise: Tensor) -> Tensor:
    return _squashed_log_density(mean, log_std / 2, noise)


def _action_held_fixed(mean: Tensor, log_std: Tensor, noise: Tensor) -> Tensor:
    before = _before(mean, log_std, noise).detach()
    return _squashed_log_density(mean, log_std, (before - mean) / log_std.exp())


squashed_log_density = Exercise(
    "squashed_log_density",
    _squashed_log_density,
    cases=[
        Case(
            "μ, log σ and ξ are all 0",
            (table([0.0]), table([0.0]), table([0.0])),
            "This is the middle of a standard normal, and there tanh changes no length. So what is left of (7.13) is the "
            "height of a normal density at its mean, 1/√(2π), as a logarithm.",
        ),
        Case(
            "u is 0 and the noise is 2",
            (table([-2.0]), table([0.0]), table([2.0])),
            "A draw two deviations out is rarer than one in the middle. Which term of (7.13) says by how much?",
        ),
        Case(
            "u is 0 and σ is ½",
            (table([-1.0]), table([_HALF]), table([2.0])),
            "A narrow Gaussian is a high one: half the σ, twice the density. Which term of (7.13) says so, and with which "
            "sign?",
        ),
        Case(
            "u is 1",
            (table([1.0]), table([0.0]), table([0.0])),
            "tanh makes 0.42 of a small step at u = 1, and the same probability on less room is a higher density. (7.12) "
            "divides by 1 − tanh² u; what becomes of a divisor in a logarithm?",
        ),
        Case(
            "μ, σ and the noise all count",
            (table([0.25], [-0.5], [0.5]), table([_HALF], [_HALF], [-1.0]), table([1.0], [-0.5], [-1.5])),
            "Each part was right by itself. In (7.13) the noise stands as it was drawn, and u is where it has led, (7.11).",
        ),
        Case(
            "actions have three dimensions",
            (table([0.25, -0.5, 1.0]), table([_HALF, 0.0, -1.0]), table([1.0, -0.5, 0.25])),
            "Dimensions are drawn independently, so that their densities multiply. What do logarithms do then, (7.13)?",
        ),
        Case(
            "two runs of three draws have four dimensions",
            (_RUNS / 4 - 0.75, -_RUNS.flip(-1) / 8, _RUNS.flip(0) / 4 - 0.75),
            "The dimensions are on the last axis, whatever stands in front of it: count it from the end, as -1.",
        ),
        Case(
            "u is 8",
            (table([8.0]), table([0.0]), table([0.0])),
            "1 − tanh² 8 is 4.5 · 10⁻⁷: small, but a number, and its logarithm is −14.61. What was done to it so that it "
            "can't be 0? (7.14) needs no such thing.",
        ),
        Case(
            "u is 20, or −20",
            (table([20.0], [-20.0]), table([0.0], [0.0]), table([0.0], [0.0])),
            "For the computer tanh 20 is 1, and what is left of 1 − tanh² u is 0. (7.14) says the same without taking "
            "anything from 1: does yours hold for large u of both signs?",
        ),
        Case(
            "u is 8, or −20, and numbers are float32",
            (torch.tensor([[8.0], [-20.0]]), torch.zeros(2, 1), torch.zeros(2, 1)),
            "Networks compute in float32, and there 1 − tanh² u has lost its digits at u = 8 already: they are those of 1. "
            "What does (7.14) make of it?",
        ),
        Case(
            "the log-density is differentiated by μ, and u is 0.75, 20 or −20",
            (with_gradient(table([0.25], [20.0], [-20.0])), table([_HALF], [0.0], [0.0]), table([1.0], [0.0], [0.0])),
            "When μ moves and ξ stays, u moves with it, and 1 − tanh² u too: log π rises by 2 tanh u, which is finite "
            "everywhere. Is that way open, and only that?",
        ),
        Case(
            "the log-density is differentiated by log σ",
            (table([0.25], [-0.5]), with_gradient(table([_HALF], [0.0])), table([1.0], [-0.5])),
            "log σ stands in (7.13) twice: by itself, and in u. Are both ways open?",
        ),
    ],
    # Below: m is the mean μ, k is log σ, x the noise ξ, u what is squashed.
    misconceptions=[
        Misconception(
            "Jacobian forgotten",
            _density_of(log_slope=lambda u: 0 * u),
            "Yours is the density of u, before the tanh. The same probability lies on less room afterwards: what does "
            "(7.12) divide by?",
        ),
        Misconception(
            "Jacobian's sign",
            _density_of(log_slope=lambda u: -_log_slope(u)),
            "You add log(1 − tanh² u), so that your density falls towards ±1, where tanh crowds the actions together. Does "
            "a density rise or fall when the same probability gets less room, (7.12)?",
        ),
        Misconception(
            "Jacobian at the action",
            _density_of(log_slope=lambda u: _log_slope(u.tanh())),
            "You have applied tanh twice: 1 − tanh² a in place of 1 − a². Which of u and a is (7.13)'s last term about?",
        ),
        Misconception(
            "Jacobian at the mean",
            lambda m, k, x: (_normal(m, k, x) - _log_slope(m)).sum(-1),
            "Your 1 − tanh² is that at μ for every draw. tanh is steep here and flat there: at which point was the action "
            "squashed?",
        ),
        Misconception(
            "Jacobian at the noise",
            lambda m, k, x: (_normal(m, k, x) - _log_slope(x)).sum(-1),
            "Your 1 − tanh² is that at ξ. It is not the noise that goes through tanh, but u = μ + σ ξ, (7.11).",
        ),
        Misconception(
            "tanh not squared",
            _density_of(log_slope=lambda u: (1 - u.tanh()).log()),
            "You take the logarithm of 1 − tanh u, which is more than 1 for negative u: as if tanh made lengths longer "
            "there. What is the derivative of tanh?",
        ),
        Misconception(
            "half the logarithm",
            _density_of(log_slope=lambda u: _log_slope(u) / 2),
            "Your log(1 − tanh² u) is half of what it should be: −0.43 at u = 1, where 1 − tanh² u is 0.42. Which factor "
            "stands before the bracket of (7.14)?",
        ),
        Misconception(
            "softplus of the wrong sign",
            _density_of(log_slope=lambda u: 2 * (math.log(2) - u - softplus(2 * u))),
            "Your log(1 − tanh² u) is the same as (7.14)'s at 0, and falls without end to one side where it should fall to "
            "both. What does softplus get in (7.14)?",
        ),
        Misconception(
            "Jacobian without its logarithm",
            _density_of(log_slope=lambda u: 1 - u.tanh().square()),
            "You subtract 1 − tanh² u itself. The density is divided by it, (7.12); what does that become in a logarithm?",
        ),
        Misconception(
            "scale forgotten",
            _density_of(lambda m, k, x: _normal(m, 0 * k, x)),
            "Your density is as high for a narrow Gaussian as for a wide one: it is that of ξ, not of u. What does "
            "stretching by σ do to a density, (7.13)?",
        ),
        Misconception(
            "scale added",
            _density_of(lambda m, k, x: _normal(m, -k, x)),
            "You add log σ, so that a wide Gaussian is high. All densities have the same area: which sign has log σ in "
            "(7.13)?",
        ),
        Misconception(
            "σ for log σ",
            _density_of(lambda m, k, x: _normal(m, k.exp(), x)),
            "You subtract σ where (7.13) subtracts its logarithm. What you are given is log σ already: where does it need "
            "an exp, and where not?",
        ),
        Misconception(
            "log σ for σ",
            _log_std_for_std,
            "You multiply the noise by log σ, which may even be negative. What makes σ of it, (7.11)?",
        ),
        Misconception(
            "log σ taken for a log-variance",
            _log_variance,
            "You halve log σ, as if you had been given the logarithm of the variance. What are you given?",
        ),
        Misconception(
            "noise divided by σ once more",
            _density_of(lambda m, k, x: _normal(m, k, x / k.exp())),
            "You divide ξ by σ. It is (u − μ)/σ that stands in a Gaussian's exponent, and that is ξ itself: it was drawn "
            "from N(0, 1).",
        ),
        Misconception(
            "density at the noise",
            _density_of(lambda m, k, x: _normal(m, k, (x - m) / k.exp())),
            "You ask the Gaussian N(μ, σ²) about ξ. What was drawn from it is u = μ + σ ξ; ξ comes from N(0, 1).",
        ),
        Misconception(
            "density at the action",
            _density_of(lambda m, k, x: _normal(m, k, (_before(m, k, x).tanh() - m) / k.exp())),
            "You ask the Gaussian about a. What was drawn from it is u, before the tanh, (7.11); and (u − μ)/σ need not be "
            "worked out, since it is ξ.",
        ),
        Misconception(
            "noise of its own",
            lambda m, k, x: _squashed_log_density(m, k, torch.randn_like(x)),
            "You draw noise yourself, and answer for another action each time. The action in question came from the ξ that "
            "you are given: where does it enter (7.13)?",
        ),
        Misconception(
            "½ forgotten",
            _density_of(lambda m, k, x: _normal(m, k, math.sqrt(2) * x)),
            "Your density falls twice as fast with ξ² as a Gaussian's. Which factor has ξ² in (7.13)?",
        ),
        Misconception(
            "½ log 2π forgotten",
            _density_of(lambda m, k, x: _normal(m, k, x) + math.log(2 * math.pi) / 2),
            "You leave out ½ log 2π. No gradient would miss it, but the entropy would be wrong by 0.92 in every dimension, "
            "and with it everything that α pays for.",
        ),
        Misconception(
            "log 2π for its half",
            _density_of(lambda m, k, x: _normal(m, k, x) - math.log(2 * math.pi) / 2),
            "You subtract log 2π in every dimension. A normal density has √(2π) below it: what is that as a logarithm?",
        ),
        Misconception(
            "density for its logarithm",
            lambda m, k, x: _squashed_log_density(m, k, x).exp(),
            "Yours is the density itself. In everything that follows its logarithm is wanted, (7.13).",
        ),
        Misconception(
            "surprise",
            lambda m, k, x: -_squashed_log_density(m, k, x),
            "Yours is −log π, how surprising the action is. Its mean is the entropy; here log π itself is wanted, (7.13).",
        ),
        Misconception(
            "mean over dimensions",
            lambda m, k, x: _squashed_log_density(m, k, x) / m.shape[-1],
            "You average over the dimensions of an action. Their densities multiply: what becomes of a product in a "
            "logarithm?",
        ),
        Misconception(
            "summed over every axis",
            lambda m, k, x: _squashed_log_density(m, k, x).sum(),
            "Your answer is right for one action, but adds those of all draws into one number. What must .sum() be told?",
        ),
        Misconception(
            "small number in the logarithm",
            _density_of(log_slope=lambda u: (1 - u.tanh().square() + 1e-6).log()),
            "You add a small number before you take the logarithm, so that it can't be that of 0. But 1 − tanh² 8 is itself "
            "only half of 0.000001: in float32 you get −13.43 for −14.61, further out nothing changes any more, and the "
            "gradient that should bring an action back is gone. What does (7.14) do about it?",
        ),
        Misconception(
            "kept from 0 by clamping",
            _density_of(log_slope=lambda u: (1 - u.tanh().square()).clamp(min=1e-6).log()),
            "You don't let 1 − tanh² u fall below 0.000001. From u = 7.6 on, your log-density doesn't know any more where "
            "it is, and has no gradient that would bring the action back. (7.14) needs no bound.",
        ),
        Misconception(
            "1 − tanh² as it stands",
            _density_of(log_slope=lambda u: (1 - u.tanh().square()).log()),
            "Your formula is (7.13) letter by letter, and for the computer tanh 20 is 1: the logarithm of 0 is −∞, after "
            "which nothing can be learnt. How does (7.14) come by the same number without 1 − tanh² u?",
        ),
        Misconception(
            "action held fixed",
            _action_held_fixed,
            "Your number is right, and differentiated as if the action had been handed to you, as that of .sample() would "
            "be. Its mean gradient is 0, (7.10). Here the noise is what stays: when μ or σ moves, u moves, (7.9).",
        ),
        Misconception(
            "Jacobian without gradient",
            _density_of(log_slope=lambda u: _log_slope(u.detach())),
            "Your number is right, but nothing is learnt from its last term: the way from 1 − tanh² u back to μ and σ is "
            "cut. What holds σ down, if wide Gaussians are paid for and the walls at ±1 are not felt?",
        ),
        Misconception(
            "no gradient at all",
            lambda m, k, x: _squashed_log_density(m, k, x).detach(),
            "Your number is right and leads nowhere: no gradient reaches μ or σ. An actor is paid for its entropy, and must "
            "know how to earn it.",
        ),
    ],
    observe=differentiated(lambda mean, log_std, noise: mean[..., 0]),
)


# Exercise 7.2: the target of 2019


def _sac_target(
    reward: Tensor,
    terminated: Tensor,
    next_q: Tensor,
    next_log_density: Tensor,
    temperature: Tensor,
    discount: float,
) -> Tensor:
    """Return r + γ (1 − d) (min_i Q̄_i(s′,a′) − α log π(a′|s′)), equation (7.16), without gradient."""
    return _target_of()(reward, terminated, next_q, next_log_density, temperature, discount)


def _soft(q: Tensor, log_density: Tensor, temperature: Tensor) -> Tensor:
    """Return min_i Q_i − α log π, equation (7.1)."""
    return sampled_soft_value(q.amin(0), log_density, temperature)


def _target_of(
    value: _Of3 = _soft, back: Callable[[Tensor, Tensor, Tensor, float], Tensor] = td_target
) -> Callable[..., Tensor]:
    """Make a target out of value(Q(s′,a′), log π(a′|s′), α) and back(r, d, V, γ)."""
    return lambda r, d, q, lp, t, g: back(r, d, value(q, lp, t), g).detach()


_PAID, _ON = table(1.0, 3.0, 5.0), flags(False, False, False)
_AGREEING = table([4.0, 8.0, -2.0], [4.0, 8.0, -2.0])
_DISAGREEING = table([4.0, 8.0, -2.0], [6.0, 2.0, 1.0])
_LOGS = table(-1.0, 0.5, -2.0)
"""Log-densities: the second action was drawn where the density is above 1."""
_EACH = table([0.5], [1.0], [3.0])
"""A temperature for each of three runs."""

sac_target = Exercise(
    "sac_target",
    _sac_target,
    cases=[
        Case(
            "α is 0 and the twins agree",
            (_PAID, _ON, _AGREEING, _LOGS, table(0.0), 0.5),
            "Where nothing is paid for entropy, this is the target of SARSA with one next action: the reward, plus γ times "
            "its value.",
        ),
        Case(
            "α is 0 and the twins disagree",
            (_PAID, _ON, _DISAGREEING, _LOGS, table(0.0), 0.5),
            "Two opinions about each next action, and the actor will have gone where one of them errs upwards. Which of the "
            "two does (7.16) believe, transition by transition?",
        ),
        Case(
            "nothing but entropy is to be had",
            (table(0.0, 0.0), flags(False, False), torch.zeros(2, 2, dtype=torch.float64), _LOGS[:2], table(2.0), 0.5),
            "r and Q are 0. A rare action (log π = −1) was surprising and is paid for; one where the density is above 1 "
            "costs something. What stands before log π in (7.16)?",
        ),
        Case(
            "rewards, values and entropy all count",
            (_PAID, _ON, _DISAGREEING, _LOGS, table(3.0), 0.5),
            "Each part was right by itself. What do γ and α multiply in (7.16)?",
        ),
        Case(
            "two of three episodes end",
            (_PAID, flags(True, False, True), _DISAGREEING, _LOGS, table(3.0), 0.5),
            "After an end nobody acts any more: there is neither a value nor an entropy to come, but the last reward was "
            "earned. What does 1 − d multiply in (7.16)?",
        ),
        Case(
            "three runs of four transitions have a temperature each",
            (
                table([1.0, 3.0, 5.0, 2.0], [-1.0, 0.0, 4.0, 1.0], [2.0, -3.0, 1.0, 0.0]),
                flags([False, True, False, False], [False, False, False, True], [False, False, False, False]),
                _RUNS,
                _RUNS[0].flip(-1) / 2 - 1.5,
                _EACH,
                0.5,
            ),
            "The critics come first, (2, R, B), and vanish by the minimum; α is (R, 1), so that it meets every transition "
            "of its run. Does anything else vanish, or move?",
        ),
        Case(
            "there are as many runs as transitions, with a temperature each",
            (
                table([1.0, 3.0], [-1.0, 0.0]),
                flags([False, True], [False, False]),
                _RUNS[:, :2, :2],
                table([-1.0, 0.5], [-2.0, -0.5]),
                table([0.5], [3.0]),
                0.5,
            ),
            "Here a temperature that lies along the wrong axis is no error for PyTorch, and wrong all the same. α is (R, "
            "1): one number a run.",
        ),
        Case(
            "the critics and the density carry gradients",
            (_PAID, _ON, with_gradient(_DISAGREEING), with_gradient(_LOGS), table(3.0), 0.5),
            "A target is an answer to approach, not a thing to move. What does .detach() do, or `with torch.no_grad():`?",
        ),
    ],
    # Below: r, d the reward and terminated, q is Q(s′, a′) of both, lp is log π(a′|s′), t is α, g the discount, v the value.
    misconceptions=[
        Misconception(
            "larger of the twins",
            _target_of(lambda q, lp, t: q.amax(0) - t * lp),
            "You believe the higher of the two critics: the error that the actor climbs would be fed back into both. Why "
            "are there two, (7.16)?",
        ),
        Misconception(
            "mean of the twins",
            _target_of(lambda q, lp, t: q.mean(0) - t * lp),
            "You average the two critics. That halves the variance of their errors, but the actor climbs what is left of "
            "them: what does (7.16) take?",
        ),
        Misconception(
            "first critic",
            _target_of(lambda q, lp, t: q[0] - t * lp),
            "You ask the first critic alone. What is the second one for?",
        ),
        Misconception(
            "second critic",
            _target_of(lambda q, lp, t: q[1] - t * lp),
            "You ask the second critic alone. An error of one is found by asking the other too: which of them is believed?",
        ),
        Misconception(
            "lower on average",
            _target_of(lambda q, lp, t: _lower_on_average(q) - t * lp),
            "You choose one critic for the whole batch, that with the lower mean. Each transition has a lower one of its "
            "own.",
        ),
        Misconception(
            "one minimum for all",
            _target_of(lambda q, lp, t: q.amin() - t * lp),
            "You take one minimum of everything, and every next state is worth as little as the worst of them. Over which "
            "axis do the twins stand?",
        ),
        Misconception(
            "sum of the twins",
            _target_of(lambda q, lp, t: q.sum(0) - t * lp),
            "You add the two critics up. They are two opinions about the same thing, not two things to be had.",
        ),
        Misconception(
            "entropy charged, not paid",
            _target_of(lambda q, lp, t: q.amin(0) + t * lp),
            "Your target rises with log π: the agent is paid for doing what is likely anyway, and would end in one narrow "
            "peak. Which sign has log π in (7.16)?",
        ),
        Misconception(
            "entropy forgotten",
            _target_of(lambda q, lp, t: q.amin(0)),
            "Yours is the target of TD3, without the entropy in s′. The actor would be paid for the entropy of its next "
            "step and never hear of that of all later ones: which term of (7.16) is missing?",
        ),
        *_misplaced_alpha("target", "7.16", lambda each: _target_of(lambda q, lp, t: each(q.amin(0), lp, t))),
        Misconception(
            "density for its logarithm",
            _target_of(lambda q, lp, t: q.amin(0) - t * lp.exp()),
            "You subtract the density itself, after an exp. What you are given is its logarithm, and that is what is "
            "wanted.",
        ),
        Misconception(
            "weighted by the density",
            _target_of(lambda q, lp, t: q.amin(0) - t * lp.exp() * lp),
            "You weigh log π with π, as the sum of (6.8) does. But a′ was drawn: likely actions come often by themselves. "
            "What does one draw say about the mean of −log π, (7.1)?",
        ),
        Misconception(
            "entropy beside the reward",
            lambda r, d, q, lp, t, g: td_target(r - t * lp, d, q.amin(0), g).detach(),
            "Your entropy stands beside the reward, as if it were paid in this step: neither discounted nor stopped by an "
            "end. a′ is the next action; Q leaves out the entropy of the first one, which belongs to V, (7.1). What do γ "
            "and 1 − d multiply in (7.16)?",
        ),
        Misconception(
            "entropy beyond the end",
            lambda r, d, q, lp, t, g: (td_target(r, d, q.amin(0), g) - g * t * lp).detach(),
            "Your mask stands before Q, but not before log π: after an end entropy is still paid, and ending is worth "
            "something. Who chooses there?",
        ),
        Misconception(
            "entropy not discounted",
            lambda r, d, q, lp, t, g: td_target(r - ~d * (t * lp), d, q.amin(0), g).detach(),
            "Your entropy is not discounted. It is had in s′, a step later, like everything in V(s′): what does γ multiply?",
        ),
        Misconception(
            "mask dropped",
            _target_of(back=lambda r, d, v, g: r + g * v),
            "Your target still contains the value of the next state where the episode has ended. Nothing comes after a "
            "terminal transition: which factor of (7.16) says so?",
        ),
        Misconception(
            "mask upside-down",
            _target_of(back=lambda r, d, v, g: td_target(r, ~d, v, g)),
            "Your target adds the future exactly where the episode has ended. (7.16) has 1 − d there: which of terminated "
            "and ~terminated is that?",
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
            "reward forgotten",
            _target_of(back=lambda r, d, v, g: g * (~d * v)),
            "Your target has what comes after this step, and not what the step itself has earned. What does (7.16) begin "
            "with?",
        ),
        *_misplaced_temperatures(lambda place: _target_of(lambda q, lp, t: q.amin(0) - place(t) * lp)),
        Misconception(
            "gradient through the target",
            lambda r, d, q, lp, t, g: td_target(r, d, _soft(q, lp, t), g),
            "Descending the loss, the optimiser would also pull the target towards the estimate, (3.4). Which word of "
            "PyTorch makes a number of it that is merely known?",
        ),
    ],
    observe=without_gradient,
)


# Exercise 7.3: one loss for two critics


def _twin_loss(q: Tensor, target: Tensor) -> Tensor:
    """Return ½ Σ_i mean (Q_i − y)², equation (7.3); y without gradient."""
    return critic_loss(q.squeeze(-1), target.detach())


def _loss_of(each: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """Make a loss out of each(Q, y), Q of shape (2, …, B)."""
    return lambda q, target: each(q.squeeze(-1), target.detach())


def _per_run(q: Tensor, y: Tensor) -> Tensor:
    """Return ½ mean (Q − y)² for a Q of shape (…, B)."""
    return squared_loss(q, y) / 2


_RAW = table([[5.0], [1.0], [2.0]], [[3.0], [-3.0], [6.0]])
_ANSWERS = table(2.0, 0.0, 4.0)

twin_loss = Exercise(
    "twin_loss",
    _twin_loss,
    cases=[
        Case(
            "there is one transition",
            (table([[5.0]], [[4.0]]), table(3.0)),
            "One critic errs by 2, the other by 1, and each pays for its own error: half its square, (7.3).",
        ),
        Case(
            "the batch has three transitions",
            (_RAW, _ANSWERS),
            "A network gives (2, B, 1), and the answers are (B,). Is every Q compared with the answer to its own "
            "transition, and with no other? Then the mean over the batch, and the sum over the critics.",
        ),
        Case(
            "the loss is differentiated by Q",
            (with_gradient(_RAW), _ANSWERS),
            "Q − y, divided by the size of the batch: that is what each critic is told about each transition, and nothing "
            "of what the other one says. Is the way from the loss back to Q open?",
        ),
        Case(
            "the loss is differentiated by the target, which carries a gradient",
            (with_gradient(_RAW), with_gradient(_ANSWERS)),
            "The answer y is a number here. Whoever makes this loss smaller by moving y has taught the target to agree.",
        ),
        Case(
            "three runs have four transitions each",
            (
                _RUNS.unsqueeze(-1),
                table([1.0, 3.0, 5.0, 2.0], [-1.0, 0.0, 4.0, 1.0], [2.0, -3.0, 1.0, 0.0]),
            ),
            "One loss a run is wanted, (R,): the critics vanish, the batch vanishes, the runs stay.",
        ),
    ],
    # Below: q is Q, y the target.
    misconceptions=[
        Misconception(
            "column meets row",
            lambda q, y: (q - y.detach()).square().mean((-2, -1)).sum(0) / 2,
            "A column of values, (B, 1), met a row of answers, (B,), and every Q was compared with the answer to every "
            "transition. Nothing crashes, and each critic learns the mean of all answers. Where is an axis left over?",
        ),
        Misconception(
            "runs mixed",
            _loss_of(lambda q, y: (q - y).square().mean()),
            "You make one number of everything, the runs included, although they have nothing to do with each other: nobody "
            "could tell any more which of them is doing how well. Which axes are averaged, or added up, in (7.3)?",
        ),
        Misconception(
            "mean over the critics",
            _loss_of(lambda q, y: _per_run(q, y).mean(0)),
            "You average the losses of the critics. (7.3) adds them: so the gradient of each is what it would be alone.",
        ),
        Misconception(
            "½ forgotten",
            _loss_of(lambda q, y: squared_loss(q, y).sum(0)),
            "Your loss is twice (7.3). It has the same minimum, and a gradient of 2 (Q − y): which factor takes the 2 away?",
        ),
        Misconception(
            "sum over the batch",
            _loss_of(lambda q, y: (q - y).square().sum(-1).sum(0) / 2),
            "Your loss grows with the batch. (7.3) has an expectation, which a mean estimates, so that the learning rate "
            "need not know how many transitions there were.",
        ),
        Misconception(
            "twins averaged before the loss",
            _loss_of(lambda q, y: _per_run(q.mean(0), y)),
            "You average the critics before they are compared with y. Then one may say anything, if only the other errs as "
            "much the other way: in (7.3), who is compared with y?",
        ),
        Misconception(
            "lower of the twins",
            _loss_of(lambda q, y: _per_run(q.amin(0), y)),
            "You take the lower of the two critics into the loss, and the other learns nothing from this transition. The "
            "minimum belongs into the target, (7.16), and is in y already; here both learn, (7.3).",
        ),
        Misconception(
            "higher of the twins",
            _loss_of(lambda q, y: _per_run(q.amax(0), y)),
            "You take the higher of the two critics into the loss, and the other learns nothing from this transition. How "
            "many of them does (7.3) compare with y?",
        ),
        Misconception(
            "first critic",
            _loss_of(lambda q, y: _per_run(q[0], y)),
            "Only your first critic learns; the second stays what it was at the start, and the minimum of the two means "
            "nothing. What does Σ_i say in (7.3)?",
        ),
        Misconception(
            "errors added before they are squared",
            _loss_of(lambda q, y: (q - y).sum(0).square().mean(-1) / 2),
            "You add the errors of the critics before you square them: one error can make up for the other. Each critic has "
            "its own, (7.3).",
        ),
        Misconception(
            "absolute error",
            _loss_of(lambda q, y: (q - y).abs().mean(-1).sum(0) / 2),
            "You take the errors without squaring them. That leads to the median of the answers, where (7.3) leads to their "
            "mean; which of the two is Q?",
        ),
        Misconception(
            "Huber's loss",
            _loss_of(lambda q, y: huber_loss(q, y.expand_as(q), reduction="none").mean(-1).sum(0)),
            "You cut large errors down, as Huber's loss does. Where answers are random it leads to something else than "
            "their mean, (3.17). What does (7.3) do with an error?",
        ),
        Misconception(
            "gradient through the target",
            lambda q, y: critic_loss(q.squeeze(-1), y),
            "Who descends your loss may also move the answers, towards whatever the critics say. In (7.3) y is a number. "
            "Which word of PyTorch makes one of it?",
        ),
        Misconception(
            "no gradient at all",
            _loss_of(lambda q, y: critic_loss(q.detach(), y)),
            "Your number is right and leads nowhere: no gradient reaches the critics. What must be cut off, Q or y?",
        ),
    ],
    observe=differentiated(lambda q, target: q[0, ..., 0, 0]),
)


# Exercise 7.4: the loss of the actor


def _soft_actor_loss(log_density: Tensor, q: Tensor, temperature: Tensor) -> Tensor:
    """Return the mean of α log π − min_i Q_i, equation (7.7)."""
    return actor_loss(log_density, q.amin(0), temperature)


def _actor_of(each: _Of3) -> _Of3:
    """Make a loss out of each(log π, Q of both critics, α), with the mean over the batch."""
    return lambda log_density, q, temperature: each(log_density, q, temperature).mean(-1)


soft_actor_loss = Exercise(
    "soft_actor_loss",
    _soft_actor_loss,
    cases=[
        Case(
            "α is 0 and the twins agree",
            (_LOGS, _AGREEING, table(0.0)),
            "Where nothing is paid for entropy, the actor wants actions of a high Q. A loss is to be made small: with which "
            "sign does Q stand in it, (7.7), and with which weight does each draw count?",
        ),
        Case(
            "α is 0 and the twins disagree",
            (_LOGS, _DISAGREEING, table(0.0)),
            "The actor climbs what it is shown, errors included. Which of two opinions about an action is it shown, action "
            "by action?",
        ),
        Case(
            "all Q are 0 and α is 1",
            (_LOGS, torch.zeros(2, 3, dtype=torch.float64), table(1.0)),
            "What is left is the mean of log π, an estimate of the negative entropy. Whoever makes it small makes the "
            "policy wide, (7.7).",
        ),
        Case(
            "density and values count, and α is 3",
            (_LOGS, _DISAGREEING, table(3.0)),
            "Each part was right by itself. What does α multiply in (7.7), and what not?",
        ),
        Case(
            "the loss is differentiated by the log-density",
            (with_gradient(_LOGS), _DISAGREEING, table(3.0)),
            "Each action was drawn, and its log-density counts with α, divided by the size of the batch. Is the way from "
            "the loss back to log π open?",
        ),
        Case(
            "the loss is differentiated by Q, through which it reaches the action",
            (with_gradient(_LOGS), with_gradient(_DISAGREEING), table(3.0)),
            "The actor hears through Q where its actions should go, (7.9): −1 for each, divided by the size of the batch, "
            "and to the critic that was believed. Is that way open?",
        ),
        Case(
            "three runs of four states have a temperature each",
            (_RUNS[0].flip(-1) / 2 - 1.5, _RUNS, _EACH),
            "One loss a run is wanted, (R,): the critics vanish by the minimum, the batch by the mean, and α is (R, 1).",
        ),
        Case(
            "there are as many runs as states, with a temperature each",
            (table([-1.0, 0.5], [-2.0, -0.5]), _RUNS[:, :2, :2], table([0.5], [3.0])),
            "Here a temperature that lies along the wrong axis is no error for PyTorch, and wrong all the same. α is (R, "
            "1): one number a run.",
        ),
    ],
    # Below: lp is log π(a|s), q is Q(s, a) of both, t is α.
    misconceptions=[
        Misconception(
            "both signs wrong",
            _actor_of(lambda lp, q, t: q.amin(0) - t * lp),
            "You return what is to be climbed, the soft value (7.1). An optimiser descends: what makes a loss of it, (7.7)?",
        ),
        Misconception(
            "Q's sign",
            _actor_of(lambda lp, q, t: t * lp + q.amin(0)),
            "Descending your loss, the actor looks for the actions of lowest Q. Which sign has Q in (7.7)?",
        ),
        Misconception(
            "entropy charged, not paid",
            _actor_of(lambda lp, q, t: -t * lp - q.amin(0)),
            "Your loss is small where the density is high: the policy would close down to a peak. Entropy is −log π on "
            "average and is paid for, so which sign has log π in a loss, (7.7)?",
        ),
        Misconception(
            "larger of the twins",
            _actor_of(lambda lp, q, t: t * lp - q.amax(0)),
            "Your actor climbs the higher of the two critics, and so whichever error is larger. Which one does the course "
            "show it?",
        ),
        Misconception(
            "mean of the twins",
            _actor_of(lambda lp, q, t: t * lp - q.mean(0)),
            "Your actor climbs the mean of the two critics. Some programs do; the course shows it what the target believes "
            "too, (7.16).",
        ),
        Misconception(
            "first critic",
            _actor_of(lambda lp, q, t: t * lp - q[0]),
            "Your actor climbs the first critic alone, as TD3's does. It would find that one's errors, which the other "
            "could have told it about: what does the course show it?",
        ),
        Misconception(
            "lower on average",
            _actor_of(lambda lp, q, t: t * lp - _lower_on_average(q)),
            "You choose one critic for the whole batch, that with the lower mean. Each action has a lower one of its own.",
        ),
        Misconception(
            "one minimum for all",
            _actor_of(lambda lp, q, t: t * lp - q.amin()),
            "You take one minimum of everything: only the worst action of the batch hears what its critic says. Over which "
            "axis do the twins stand?",
        ),
        Misconception(
            "sum of the twins",
            _actor_of(lambda lp, q, t: t * lp - q.sum(0)),
            "You add the two critics up, as their losses are in (7.3). An action has one value, about which there are two "
            "opinions.",
        ),
        Misconception(
            "α on Q",
            _actor_of(lambda lp, q, t: lp - t * q.amin(0)),
            "Your α stands before Q: the hotter, the greedier. Before which of the two does it stand in (7.7)?",
        ),
        Misconception(
            "α on the whole",
            _actor_of(lambda lp, q, t: t * (lp - q.amin(0))),
            "Your α multiplies Q as well, so that it only scales the step. It is the price of a nat: before which term of "
            "(7.7) does it stand?",
        ),
        Misconception(
            "divided by α",
            _actor_of(lambda lp, q, t: lp - q.amin(0) / t),
            "You divide Q by α, as (7.5) does: that is the divergence in nats. (7.7) is α times that, in the units of "
            "reward, so that runs with different temperatures step by alike lengths and α may be 0.",
        ),
        Misconception(
            "α forgotten",
            _actor_of(lambda lp, q, t: lp - q.amin(0)),
            "Your loss does not depend on α. Who says how much a nat of entropy is worth, in units of reward?",
        ),
        Misconception(
            "entropy forgotten",
            _actor_of(lambda lp, q, t: 0 * t * lp - q.amin(0)),
            "Your loss is that of DDPG, (5.19): nothing pays for entropy, and σ will close down. Which term of (7.7) is "
            "missing?",
        ),
        Misconception(
            "density for its logarithm",
            _actor_of(lambda lp, q, t: t * lp.exp() - q.amin(0)),
            "You pay for a low density, after an exp. What you are given is its logarithm, and that is what (7.7) has.",
        ),
        Misconception(
            "weighted by the density",
            _actor_of(lambda lp, q, t: t * lp.exp() * lp - q.amin(0)),
            "You weigh log π with π, as a sum over actions would. But the action was drawn: likely ones come often by "
            "themselves. What is averaged in (7.7)?",
        ),
        Misconception(
            "everything weighted by the density",
            _actor_of(lambda lp, q, t: lp.exp() * (t * lp - q.amin(0))),
            "You multiply everything by the density. Where actions can be counted, that is the sum over them; here they were "
            "drawn, and likely ones come often by themselves. With which weight does a draw count in a mean?",
        ),
        Misconception(
            "α after the mean",
            lambda lp, q, t: t * lp.mean(-1) - q.amin(0).mean(-1),
            "You average before α comes in. α has an axis of length 1 for the batch, (R, 1), and the mean has none any more, "
            "(R,): together they make a table. Where does α meet log π in (7.7)?",
        ),
        Misconception(
            "log-density without gradient",
            _actor_of(lambda lp, q, t: t * lp.detach() - q.amin(0)),
            "Your number is right, but nothing is learnt from its first term: the policy is paid for entropy and does not "
            "know how to earn it. Which of the ways of (7.9) have you cut?",
        ),
        Misconception(
            "Q without gradient",
            _actor_of(lambda lp, q, t: t * lp - q.amin(0).detach()),
            "Your number is right, but the actor can't hear where Q rises: the way through the action is cut, and only "
            "entropy is learnt. The critics must not be moved by this loss; but how does one see to that without cutting Q "
            "off?",
        ),
        Misconception(
            "score-function loss",
            _actor_of(lambda lp, q, t: lp * (t * lp - q.amin(0)).detach()),
            "That is the other estimator, (5.16): log π times a mere number. It would be right for an action that is held "
            "fixed, and has much more noise. Here Q can be differentiated, and the action came through the noise, (7.8): "
            "what is averaged in (7.7)?",
        ),
        Misconception(
            "Q for a weight of log π",
            _actor_of(lambda lp, q, t: -lp * q.amin(0).detach()),
            "You multiply log π by Q, as REINFORCE does, (5.10). In (7.7) they are added up, and the gradient goes through "
            "the action into Q.",
        ),
        Misconception(
            "sum over the batch",
            _actor_of(lambda lp, q, t: lp.shape[-1] * (t * lp - q.amin(0))),
            "Your loss grows with the batch. (7.7) has an expectation, which a mean estimates, so that the learning rate "
            "need not know how many states there were.",
        ),
        Misconception(
            "mean over the runs too",
            lambda lp, q, t: (t * lp - q.amin(0)).mean(),
            "Your mean is over everything, the runs included: one number for learners that have nothing to do with each "
            "other. What must .mean() be told?",
        ),
        Misconception(
            "mean over the first axis",
            lambda lp, q, t: (t * lp - q.amin(0)).mean(0),
            "Your mean is over the first axis: that of the batch, until runs stand in front of it. Counted from the end it "
            "is -1, whatever stands in front.",
        ),
        *_misplaced_temperatures(lambda place: _actor_of(lambda lp, q, t: place(t) * lp - q.amin(0))),
    ],
    observe=differentiated(lambda log_density, q, temperature: log_density[..., 0]),
)


# Exercise 7.5: the gradient of one draw, by hand


def _pathwise_gradient(mean: Tensor, log_std: Tensor, noise: Tensor, slope: Tensor, temperature: float) -> Tensor:
    """Return ∂/∂μ and ∂/∂log σ of α log π(a) − Q(a), equation (7.9) in one dimension, shape (…, 2)."""
    return _gradient_of()(mean, log_std, noise, slope, temperature)


_ByNoise = Callable[[Tensor, Tensor, Tensor], Tensor]


def _gradient_of(
    wish: Callable[[Tensor, Tensor], Tensor] = lambda a, slope: slope * (1 - a.square()),
    wall: Callable[[Tensor, Tensor], Tensor] = lambda u, a: 2 * a,
    reach: _ByNoise = lambda m, k, x: k.exp() * x,
    direct: float = 1.0,
) -> Callable[[Tensor, Tensor, Tensor, Tensor, float], Tensor]:
    """Make a gradient out of dQ/du (of a and dQ/da), d/du of −log(1 − tanh² u) (of u and a), du/dlog σ, and −∂log π/∂log σ."""

    def gradient(mean: Tensor, log_std: Tensor, noise: Tensor, slope: Tensor, temperature: float) -> Tensor:
        before = _before(mean, log_std, noise)
        by_before = temperature * wall(before, before.tanh()) - wish(before.tanh(), slope)
        by_log_std = by_before * reach(mean, log_std, noise) - direct * temperature
        return torch.stack((by_before, by_log_std), -1)

    return gradient


def _score_of(noise: Tensor, log_std: Tensor) -> Tensor:
    """Return ∂log π/∂μ and ∂log π/∂log σ with the action held fixed."""
    return torch.stack((noise / log_std.exp(), noise.square() - 1), -1)


_gradient = _gradient_of()
_ZERO = table(0.0)

pathwise_gradient = Exercise(
    "pathwise_gradient",
    _pathwise_gradient,
    cases=[
        Case(
            "α is 0, and μ and ξ are 0",
            (_ZERO, _ZERO, _ZERO, table(3.0), 0.0),
            "Here tanh changes no length: when μ moves, a moves as much, and Q by 3 times that. J has −Q. And without "
            "noise, what does σ do to the action?",
        ),
        Case(
            "α is 0 and u is 1, without noise",
            (table(1.0), _ZERO, _ZERO, table(3.0), 0.0),
            "Q changes with a, and a with u: da/du is the slope of tanh, the less the further out. The chain rule wants "
            "both.",
        ),
        Case(
            "α is 0, and there is noise",
            (table(0.25, 0.5), table(_HALF, -1.0), table(1.0, -2.0), table(3.0, -1.0), 0.0),
            "When log σ moves by a little, u = μ + σ ξ moves by σ ξ times that; when μ moves, u moves as much. From u on "
            "both go the same way.",
        ),
        Case(
            "Q is flat, α is 1, and μ and ξ are 0",
            (_ZERO, _ZERO, _ZERO, _ZERO, 1.0),
            "Widening the Gaussian lowers its density where it stands: log σ stands in (7.13) by itself. And in the middle "
            "of tanh, what does a step of μ do to log π?",
        ),
        Case(
            "Q is flat, α is 2 and u is 1, without noise",
            (table(1.0), _ZERO, _ZERO, _ZERO, 2.0),
            "Moving outwards, a is crowded more: −log(1 − tanh² u) rises. What is its derivative by u?",
        ),
        Case(
            "Q is flat, and there is noise",
            (table(0.25, 0.5), table(_HALF, -1.0), table(1.0, -2.0), table(0.0, 0.0), 2.0),
            "The noise is held fixed, so −½ ξ² does not move. log σ is felt directly, and through u, (7.13).",
        ),
        Case(
            "everything counts",
            (table(0.25, 0.5, -1.0), table(_HALF, -1.0, 0.5), table(1.0, -2.0, 0.5), table(3.0, -1.0, 2.0), 2.0),
            "Each part was right by itself. J = α log π − Q: which parts carry α, and which carry dQ/da?",
        ),
        Case(
            "two runs of three states have four draws each",
            (_RUNS / 4 - 0.75, -_RUNS.flip(-1) / 8, _RUNS.flip(0) / 4 - 0.75, _RUNS.flip(1) - 2, 0.5),
            "The two derivatives stand on a new last axis, the one by μ first: torch.stack((…, …), -1).",
        ),
    ],
    # Below: m is μ, k is log σ, x the noise, q is dQ/da, t is α; u is what is squashed, a the action.
    misconceptions=[
        Misconception(
            "direct term forgotten",
            _gradient_of(direct=0.0),
            "log σ reaches log π in two ways, and you have taken the one through u. (7.13) has −log σ by itself, too: "
            "without it nothing rewards a wide policy as such.",
        ),
        Misconception(
            "direct term added",
            _gradient_of(direct=-1.0),
            "You add α where log σ stands by itself: the loss would rise with σ, and entropy be charged for. Which sign has "
            "log σ in (7.13)?",
        ),
        Misconception(
            "direct term without α",
            lambda m, k, x, q, t: _gradient(m, k, x, q, t) + torch.stack((0 * m, 0 * m + t - 1), -1),
            "Your −1 of log σ is there whatever α is. It comes from log π, and what stands before log π in J?",
        ),
        Misconception(
            "Jacobian's term forgotten",
            _gradient_of(wall=lambda u, a: 0 * a),
            "You differentiate the log-density of a Gaussian. That of a has −log(1 − tanh² u) as well, which rises "
            "outwards: the walls at ±1 are felt through it, (7.13).",
        ),
        Misconception(
            "Jacobian's sign",
            _gradient_of(wall=lambda u, a: -2 * a),
            "Your walls attract: by your gradient, log π falls on the way out. −log(1 − tanh² u) grows with |u|; what is "
            "its derivative?",
        ),
        Misconception(
            "2 forgotten",
            _gradient_of(wall=lambda u, a: a),
            "Your walls push half as hard as they should: the derivative of log(1 − tanh² u) has a 2, from the square.",
        ),
        Misconception(
            "u for tanh u",
            _gradient_of(wall=lambda u, a: 2 * u),
            "Your walls push with 2u, as if there were no bound. The derivative of −log(1 − tanh² u) is −(−2 tanh u · …)/…: "
            "what cancels?",
        ),
        Misconception(
            "walls through 1 − a²",
            _gradient_of(wall=lambda u, a: 2 * a * (1 - a.square())),
            "You pass the walls' term through da/du once more. 2 tanh u is the derivative by u already, not by a.",
        ),
        Misconception(
            "slope of tanh forgotten",
            _gradient_of(wish=lambda a, slope: slope),
            "You take dQ/da for dQ/du. Near the walls an action hardly moves when u does: which factor of the chain rule "
            "says so?",
        ),
        Misconception(
            "slope of tanh at the action",
            _gradient_of(wish=lambda a, slope: slope * (1 - a.tanh().square())),
            "Your slope of tanh is that at a: 1 − tanh² a, tanh applied twice. In terms of a, what is the slope of tanh at "
            "u?",
        ),
        Misconception(
            "slope of tanh not squared",
            _gradient_of(wish=lambda a, slope: slope * (1 - a)),
            "Your slope of tanh is 1 − a, which is more than 1 for negative actions. What is the derivative of tanh?",
        ),
        Misconception(
            "Q's sign",
            _gradient_of(wish=lambda a, slope: -slope * (1 - a.square())),
            "Descending your gradient, the actor goes where Q falls. J = α log π − Q: with which sign does dQ/da enter?",
        ),
        Misconception(
            "uphill",
            lambda m, k, x, q, t: -_gradient(m, k, x, q, t),
            "Yours is the gradient of Q − α log π, which is to be climbed. J is the loss, α log π − Q.",
        ),
        Misconception(
            "α on Q",
            lambda m, k, x, q, t: _gradient(m, k, x, t * q, t),
            "Your α multiplies dQ/da as well. In J = α log π − Q it stands before one of the two.",
        ),
        Misconception(
            "σ ξ forgotten",
            _gradient_of(reach=lambda m, k, x: torch.ones_like(x)),
            "For log σ you go through u as if it moved u as much as μ does. u = μ + σ ξ: by how much does it move when log "
            "σ moves by a little?",
        ),
        Misconception(
            "derivative by σ",
            lambda m, k, x, q, t: torch.stack(
                (_gradient(m, k, x, q, t)[..., 0], _gradient(m, k, x, q, t)[..., 1] / k.exp()), -1
            ),
            "Your second entry is the derivative by σ, exact and not what was asked: the network gives log σ. dσ/dlog σ is "
            "missing.",
        ),
        Misconception(
            "σ forgotten in the chain",
            _gradient_of(reach=lambda m, k, x: x),
            "For log σ you multiply by ξ, which is du/dσ. The network gives log σ: what is du/dlog σ?",
        ),
        Misconception(
            "log σ first",
            lambda m, k, x, q, t: _gradient(m, k, x, q, t).flip(-1),
            "Your derivatives stand in the other order: the one by μ comes first.",
        ),
        Misconception(
            "derivatives in front",
            lambda m, k, x, q, t: _gradient(m, k, x, q, t).movedim(-1, 0),
            "Your two derivatives stand on a new first axis. They belong on a new last one, behind all that you were given: "
            "torch.stack((…, …), -1).",
        ),
        Misconception(
            "second term only",
            lambda m, k, x, q, t: _gradient(m, k, x, q, t) - t * _score_of(x, k),
            "You have left out the first term of (7.9), α ∇ log π with the action held fixed. Its mean is 0, (7.10), so "
            "that yours is an honest estimate too, with other noise; but the derivative of J at this draw has both terms.",
        ),
        Misconception(
            "first term only",
            lambda m, k, x, q, t: t * _score_of(x, k),
            "Yours is the first term of (7.9) alone, with the action held fixed. Its mean is 0, (7.10): nothing is learnt "
            "from it. What happens when the action moves with μ and σ?",
        ),
        Misconception(
            "score function",
            lambda m, k, x, q, t: t * _score_of(x, k) - q.unsqueeze(-1) * _score_of(x, k),
            "You multiply ∇ log π with the action held fixed, (5.16). Here the noise is held fixed, and the action moves, "
            "(7.9).",
        ),
    ],
)


# Exercise 7.6: sums where actions have numbers


def _discrete_soft_value(q: Tensor, logits: Tensor, temperature: Tensor) -> Tensor:
    """Return Σ_a π(a|s) (min_i Q_i(s,a) − α log π(a|s)), as in equations (7.20) and (7.21), π the softmax of the logits."""
    return soft_policy_value(q.amin(0), torch.softmax(logits, -1), temperature)


def _sum_of(each: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]) -> _Of3:
    """Make a value out of what is summed over the actions: each(Q of both critics, π, log π, α with an axis for actions)."""

    def value(q: Tensor, logits: Tensor, temperature: Tensor) -> Tensor:
        log_policy = torch.log_softmax(logits, -1)
        policy = log_policy.exp()
        log_policy = torch.where(policy > 0, log_policy, 0)
        return each(q, policy, log_policy, temperature.unsqueeze(-1)).sum(-1)

    return value


def _of_policy(each: _Of3) -> _Of3:
    """Make a value out of each(Q of both critics, π, α)."""
    return lambda q, logits, temperature: each(q, torch.softmax(logits, -1), temperature)


def _of_one_action(
    q: Tensor,
    logits: Tensor,
    temperature: Tensor,
    choose: Callable[[Tensor], Tensor] = lambda logits: logits.argmax(-1),
) -> Tensor:
    """Return min_i Q_i(s,a) − α log π(a|s) of one action."""
    action = choose(logits)
    return sampled_soft_value(
        taken_value(q.amin(0), action), taken_value(torch.log_softmax(logits, -1), action), temperature
    )


def _drawn(logits: Tensor) -> Tensor:
    drawn: Tensor = torch.distributions.Categorical(logits=logits).sample()  # type: ignore[no-untyped-call]
    return drawn


def _temperature_without_axis(q: Tensor, logits: Tensor, temperature: Tensor) -> Tensor:
    log_policy = torch.log_softmax(logits, -1)
    log_policy = torch.where(log_policy.exp() > 0, log_policy, 0)
    return (log_policy.exp() * (q.amin(0) - temperature * log_policy)).sum(-1)


# As many states as actions: whoever works along the wrong axis gets numbers, not an exception.
_TWIN_TABLES = table(
    [[1.0, 5.0, 2.0], [2.0, 8.0, 4.0], [3.0, 6.0, 12.0]], [[3.0, 1.0, 4.0], [6.0, 5.0, 3.0], [4.0, 2.0, 9.0]]
)
_LOGITS = table([0.5, 0.25, 0.25], [0.25, 0.25, 0.5], [0.125, 0.75, 0.125]).log() + table([2.0], [0.0], [-1.0])
"""Logits of policies with short numbers, each row shifted by a number of its own, which changes nothing."""
_FLAT = torch.zeros(2, 1, 2, dtype=torch.float64)

discrete_soft_value = Exercise(
    "discrete_soft_value",
    _discrete_soft_value,
    cases=[
        Case(
            "α is 0, the twins agree and two actions are equally likely",
            (table([[2.0, 8.0]], [[2.0, 8.0]]), table([0.0, 0.0]), table(0.0)),
            "An agent that tosses a coin between 2 and 8 has 5 on average. Nothing need be drawn to know that, (7.20).",
        ),
        Case(
            "α is 0, the twins agree and one action is likelier than the others",
            (table([[2.0, 8.0, 12.0]], [[2.0, 8.0, 12.0]]), _LOGITS[:1], table(0.0)),
            "What a network gives are logits, (5.1). What makes probabilities of them, and what is each Q weighed with?",
        ),
        Case(
            "α is 0 and the twins disagree",
            (_TWIN_TABLES, _LOGITS, table(0.0)),
            "The twins disagree about each action, one of them too high about this, the other about that. Is the lower "
            "opinion taken action by action, before anything is averaged, (7.20)?",
        ),
        Case(
            "all Q are 0, α is 1 and two actions are equally likely",
            (_FLAT, table([0.0, 0.0]), table(1.0)),
            "What is left is the entropy, (6.1), and exact: of two equally likely actions it is log 2 = 0.693.",
        ),
        Case(
            "Q counts, and α is 3",
            (_TWIN_TABLES, _LOGITS, table(3.0)),
            "Each part was right by itself. What does α multiply in (7.20), and what not?",
        ),
        Case(
            "an action is never taken",
            (table([[4.0, 6.0, 8.0]], [[5.0, 3.0, 8.0]]), table([0.0, -1000.0, 0.0]), table(2.0)),
            "A logit may be so low that the probability is 0 for the computer. 0 · log 0 counts as 0; what does your "
            "program make of it? torch.log_softmax(logits, -1) never takes the logarithm of 0.",
        ),
        Case(
            "the value is differentiated by the logits",
            (_TWIN_TABLES, with_gradient(_LOGITS), table(3.0)),
            "Minus the mean of this value is the actor's loss, (7.21): no action is drawn, so all gradient goes through the "
            "probabilities. Is that way open?",
        ),
        Case(
            "three runs of four states of five actions have a temperature each",
            (
                (torch.arange(120, dtype=torch.float64) * 47 % 120).view(2, 3, 4, 5) / 16,
                (torch.arange(60, dtype=torch.float64) * 23 % 60).view(3, 4, 5) / 32,
                _EACH,
            ),
            "The critics come first and vanish by the minimum, the actions come last and vanish by the sum. α is (R, 1), "
            "one axis short of (R, B, A): where does it need another?",
        ),
        Case(
            "there are as many runs as states, with a temperature each",
            (_RUNS[:, None, :2, :3].expand(2, 2, 2, 3), _RUNS[:, 1:, 1:] / 4, table([0.5], [3.0])),
            "Here a temperature that lies along the wrong axis is no error for PyTorch, and wrong all the same. α belongs "
            "to the value, (R, B), so beside actions it is (R, 1, 1).",
        ),
    ],
    # Below: q is Q of both, p is π, lp is log π, t is α.
    misconceptions=[
        Misconception(
            "a drawn action",
            lambda q, logits, t: _of_one_action(q, logits, t, _drawn),
            "You draw one action, as one must where they can't be counted, (7.16). Here there are few: the sum over all of "
            "them is exact, costs no more and has no noise, (7.20).",
        ),
        Misconception(
            "likeliest action",
            _of_one_action,
            "You ask about the likeliest action alone. The policy takes the others too, and its value is an average, "
            "(7.20).",
        ),
        Misconception(
            "best action",
            _of_policy(lambda q, p, t: q.amin(0).amax(-1) + t * entropy(p)),
            "You take the best action's Q, as if the policy always chose it, and pay for its entropy on top. One cannot "
            "have both: with which weights does (7.20) average?",
        ),
        Misconception(
            "minimum after the average",
            _of_policy(lambda q, p, t: (expected_value(q, p) + t * entropy(p)).amin(0)),
            "You average each critic over the actions, and take the lower average. Where one is too high about this action "
            "and the other about that, neither is corrected: min stands inside the sum of (7.20).",
        ),
        Misconception(
            "larger of the twins",
            _of_policy(lambda q, p, t: soft_policy_value(q.amax(0), p, t)),
            "You believe the higher of the two critics, action by action: their errors are what the actor climbs. Which one "
            "does (7.20) take?",
        ),
        Misconception(
            "mean of the twins",
            _of_policy(lambda q, p, t: soft_policy_value(q.mean(0), p, t)),
            "You average the two critics. (7.20) has a minimum; what it costs can be measured, where the exact answer is "
            "known.",
        ),
        Misconception(
            "first critic",
            _of_policy(lambda q, p, t: soft_policy_value(q[0], p, t)),
            "You ask the first critic alone. What is the second one for?",
        ),
        Misconception(
            "minimum over the actions too",
            _of_policy(lambda q, p, t: soft_policy_value(q.amin(0).amin(-1, keepdim=True).expand_as(p), p, t)),
            "You take the minimum over the actions as well: every action is worth as little as the worst. The twins are on "
            "the first axis, and only there.",
        ),
        Misconception(
            "entropy charged, not paid",
            _sum_of(lambda q, p, lp, t: p * (q.amin(0) + t * lp)),
            "Your value falls where the policy is undecided: entropy is charged for, not paid. log π is negative; which "
            "sign does (7.20) give it?",
        ),
        Misconception(
            "entropy forgotten",
            _sum_of(lambda q, p, lp, t: p * q.amin(0)),
            "Yours is the value (1.6) of lesson 01, without entropy. Which term of (7.20) is missing?",
        ),
        *_misplaced_alpha("value", "7.20", lambda each: _sum_of(lambda q, p, lp, t: p * each(q.amin(0), lp, t))),
        Misconception(
            "no weights",
            _sum_of(lambda q, p, lp, t: q.amin(0) - t * lp),
            "You add up min Q − α log π over all actions, likely or not. Where actions are drawn, likely ones come often by "
            "themselves; in a sum somebody has to say so. Who, in (7.20)?",
        ),
        Misconception(
            "mean for the sum",
            _sum_of(lambda q, p, lp, t: p * (q.amin(0) - t * lp) / p.shape[-1]),
            "You divide by the number of actions although the probabilities sum to 1 already: mean or sum, in (7.20)?",
        ),
        Misconception(
            "all actions alike",
            _sum_of(lambda q, p, lp, t: (q.amin(0) - t * lp) / p.shape[-1]),
            "You average over the actions as if all were equally likely. The policy has favourites: with which weights does "
            "(7.20) average?",
        ),
        Misconception(
            "Q without weights",
            _sum_of(lambda q, p, lp, t: q.amin(0) - t * p * lp),
            "Your entropy is right, but you add up Q over all actions as it is. π stands before the whole bracket of "
            "(7.20).",
        ),
        Misconception(
            "entropy without weights",
            _sum_of(lambda q, p, lp, t: p * q.amin(0) - t * lp),
            "You add up the surprise −log π of every action, likely or not. An unlikely action surprises much, but seldom: "
            "π stands before the whole bracket of (7.20).",
        ),
        Misconception(
            "weighted by π twice",
            _sum_of(lambda q, p, lp, t: p * (q.amin(0) - t * p * lp)),
            "Your entropy is weighted by π twice. How often does π stand before log π in (7.20)?",
        ),
        Misconception(
            "logits for log-probabilities",
            lambda q, logits, t: (torch.softmax(logits, -1) * (q.amin(0) - t.unsqueeze(-1) * logits)).sum(-1),
            "You take the logits for log π. They are, but for a number that is different in every state, (5.1): what makes "
            "the probabilities sum to 1?",
        ),
        Misconception(
            "logits for probabilities",
            lambda q, logits, t: (logits * q.amin(0)).sum(-1) + t * entropy(torch.softmax(logits, -1)),
            "You weigh Q with the logits, which may be negative and sum to anything. What makes probabilities of them, "
            "(5.1)?",
        ),
        Misconception(
            "logits for probabilities, logarithm and all",
            lambda q, logits, t: (logits * (q.amin(0) - t.unsqueeze(-1) * logits.log())).sum(-1),
            "You take the logarithm of the logits, which are numbers of any sign: of those below 0 it has none. What makes "
            "probabilities of logits, (5.1), and what their logarithms at once?",
        ),
        Misconception(
            "logits over α",
            lambda q, logits, t: _discrete_soft_value(q, logits / t.unsqueeze(-1), t),
            "You divide the logits by α. In (6.13) it is Q that is divided by it, and the actor's logits are log π already, "
            "but for a number in each state: where does α stand in (7.20)?",
        ),
        Misconception(
            "policy of the critics",
            lambda q, logits, t: t * torch.logsumexp(q.amin(0) / t.unsqueeze(-1), -1),
            "Your value is that of the Boltzmann policy, (6.14), whatever the actor does: your logits are not used. The actor "
            "lags behind its critics, and is not free to be any policy; whose π stands in (7.20)?",
        ),
        Misconception(
            "softmax over the states",
            lambda q, logits, t: soft_policy_value(q.amin(0), torch.softmax(logits, -2), t),
            "Your probabilities sum to 1 over the states of the batch. Each state shares out a probability of 1 among its "
            "actions: which axis is theirs?",
        ),
        Misconception(
            "0 · log 0",
            _of_policy(lambda q, p, t: (p * (q.amin(0) - t.unsqueeze(-1) * p.log())).sum(-1)),
            "You take the logarithm of the probabilities. Where one has become 0 for the computer, that is −∞, and 0 · ∞ is "
            "no number. Which function of PyTorch gives log π without the detour over π?",
        ),
        Misconception(
            "weights without gradient",
            _sum_of(lambda q, p, lp, t: p.detach() * (q.amin(0) - t * lp)),
            "Your value is right, but its weights are mere numbers. Of Q nothing is learnt then, and what is left, Σ π ∇log "
            "π, is 0, (7.10). Through what does the actor of (7.21) move its value, if not through π?",
        ),
        Misconception(
            "no gradient at all",
            lambda q, logits, t: _discrete_soft_value(q, logits.detach(), t),
            "Your value is right and leads nowhere: no gradient reaches the logits. In a target it must not, (7.20); in the "
            "actor's loss it must, (7.21). So this function leaves the way open, and who makes a target of it cuts it.",
        ),
        Misconception(
            "loss for value",
            lambda q, logits, t: -_discrete_soft_value(q, logits, t),
            "Yours is the bracket of the actor's loss, (7.21), with its minus. Here the value is wanted.",
        ),
        Misconception(
            "one temperature for all runs",
            lambda q, logits, t: _discrete_soft_value(q, logits, _first_temperature(t)),
            _ONE_TEMPERATURE,
        ),
        Misconception(
            "temperature along the states",
            _temperature_without_axis,
            "You let α, (R, 1), meet a table of (R, B, A). Axes are matched from the end: an error where R and B differ, "
            "and where they don't, the temperature of a run goes to a state. Where does α need another axis, or where could "
            "it stand so that it needs none?",
        ),
        Misconception(
            "summed over every axis",
            lambda q, logits, t: _discrete_soft_value(q, logits, t).sum(),
            "Your answer is right for one state, but adds all states into one number. What must .sum() be told?",
        ),
    ],
    observe=differentiated(lambda q, logits, temperature: logits[..., 0]),
)


# Exercise 7.7: the loss of the V-network, in the form of 2018

Draw = Callable[[Tensor], tuple[Tensor, Tensor]]
"""From observations (…, B, O) to actions (…, B, D), drawn, and their log-densities (…, B)."""
Judge = Callable[[Tensor, Tensor], Tensor]
"""From observations and actions to the values of both critics, (2, …, B)."""
Value = Callable[[Tensor], Tensor]
"""From observations to V_ψ, (…, B)."""


def _soft_value_loss(
    observation: Tensor, action: Tensor, draw: Draw, critics: Judge, value: Value, temperature: Tensor
) -> Tensor:
    """Return ½ mean (V_ψ(s) − [min_i Q_i(s,a) − α log π(a|s)])², equation (7.2), a drawn now; gradient to ψ alone."""
    return _value_loss_of()(observation, action, draw, critics, value, temperature)


def _value_loss_of(
    bracket: _Of3 = _soft, error: Callable[[Tensor, Tensor], Tensor] = _per_run, replayed: bool = False
) -> Callable[[Tensor, Tensor, Draw, Judge, Value, Tensor], Tensor]:
    """Make a loss out of bracket(Q of both critics, log π, α), error(V, bracket), and whether the replay's action is judged."""

    def loss(
        observation: Tensor, action: Tensor, draw: Draw, critics: Judge, value: Value, temperature: Tensor
    ) -> Tensor:
        drawn, log_density = draw(observation)
        q = critics(observation, action if replayed else drawn)
        return error(value(observation), bracket(q, log_density, temperature).detach())

    return loss


def _everything_with_gradient(
    observation: Tensor, action: Tensor, draw: Draw, critics: Judge, value: Value, temperature: Tensor
) -> Tensor:
    drawn, log_density = draw(observation)
    return _per_run(value(observation), _soft(critics(observation, drawn), log_density, temperature))


_LEAVES: dict[Callable[..., object], Tensor] = {}
"""The parameters of those networks below that learn."""


def _drawing(*numbers: float, learning: bool = False) -> Draw:
    """Make a policy that draws a = w₀ s, with log π = w₁ + w₂ Σ s."""
    w = table(*numbers).requires_grad_(learning)

    def draw(observation: Tensor) -> tuple[Tensor, Tensor]:
        return w[0] * observation, w[1] + w[2] * observation.sum(-1)

    if learning:
        _LEAVES[draw] = w
    return draw


def _valuing(*numbers: float, learning: bool = False) -> Value:
    """Make a V = w₀ + w₁ Σ s."""
    w = table(*numbers).requires_grad_(learning)

    def value(observation: Tensor) -> Tensor:
        return w[0] + w[1] * observation.sum(-1)

    if learning:
        _LEAVES[value] = w
    return value


def _by_a_network(answer: Callable[..., object], *arguments: object) -> object:
    """Observe the loss or, where networks learn, its derivative by the parameters of the first of them."""
    leaves = [_LEAVES[argument] for argument in arguments if callable(argument) and argument in _LEAVES]
    if not leaves:
        return answer(*arguments)
    return differentiated(lambda observation, *others: others[-1].sum())(
        lambda *given: answer(*given[:-1]), *arguments, leaves[0]
    )


_W1, _W2 = table(6.0, 1.0, 4.0, 1.0), table(5.0, -2.0, 2.0, 3.0)
_BOTH, _ALIKE, _NOTHING = linear_critics(_W1, _W2), linear_critics(_W1, _W1), linear_critics(0 * _W1, 0 * _W2)
_LEARNING_W1 = with_gradient(_W1)
_LEARNING_CRITICS = linear_critics(_LEARNING_W1, _W2)
_LEAVES[_LEARNING_CRITICS] = _LEARNING_W1
_DRAW, _V = _drawing(0.5, -1.0, 0.5), _valuing(4.0, -1.0)
_LEARNING_DRAW, _LEARNING_V = _drawing(0.5, -1.0, 0.5, learning=True), _valuing(4.0, -1.0, learning=True)
_SEEN, _STORED = table([0.5, -1.0], [-1.5, 0.5], [1.0, 1.0]), table([1.0, 0.5], [-0.5, 0.5], [-1.0, 0.25])

soft_value_loss = Exercise(
    "soft_value_loss",
    _soft_value_loss,
    cases=[
        Case(
            "α is 0 and the twins agree",
            (_SEEN, _STORED, _DRAW, _ALIKE, _V, table(0.0)),
            "Here (7.2) is half the mean square of V(s) − Q(s, a), state by state. V is to say what the policy of today will "
            "have from s on: is a the action that is drawn now, or the one in the replay?",
        ),
        Case(
            "α is 0 and the twins disagree",
            (_SEEN, _STORED, _DRAW, _BOTH, _V, table(0.0)),
            "Two opinions about the action that was drawn, state by state: V learns the lower one.",
        ),
        Case(
            "all Q are 0 and α is 1",
            (_SEEN, _STORED, _DRAW, _NOTHING, _V, table(1.0)),
            "What is left is V + log π: a V that is right has the entropy as its value, and log π has it with a minus, on "
            "average.",
        ),
        Case(
            "density and values count, and α is 3",
            (_SEEN, _STORED, _DRAW, _BOTH, _V, table(3.0)),
            "Each part was right by itself. What does α multiply in (7.2), and what not?",
        ),
        Case(
            "the loss is differentiated by the parameters of V",
            (_SEEN, _STORED, _DRAW, _BOTH, _LEARNING_V, table(3.0)),
            "V − [Q − α log π], on average over the batch, is how V is to move. Is the way from the loss back to V open?",
        ),
        Case(
            "the loss is differentiated by the parameters of the actor",
            (_SEEN, _STORED, _LEARNING_DRAW, _BOTH, _LEARNING_V, table(3.0)),
            "The bracket of (7.2) is an answer for V to approach. An actor that makes this loss smaller has changed its "
            "actions until V was right about them: which two ways lead to it?",
        ),
        Case(
            "the loss is differentiated by the parameters of a critic",
            (_SEEN, _STORED, _DRAW, _LEARNING_CRITICS, _LEARNING_V, table(3.0)),
            "The bracket of (7.2) is an answer for V to approach. A critic that makes this loss smaller has been taught to "
            "say what V says.",
        ),
        Case(
            "two runs of three states have a temperature each",
            (_RUNS / 3 - 1, _RUNS.flip(-1) / 4 - 0.75, _DRAW, _BOTH, _V, table([0.5], [3.0])),
            "One loss a run is wanted, (R,): the critics vanish by the minimum, the batch by the mean, and α is (R, 1).",
        ),
        Case(
            "there are as many runs as states, with a temperature each",
            (_RUNS[:, :2] / 3 - 1, _RUNS[:, 1:] / 4 - 0.75, _DRAW, _BOTH, _V, table([0.5], [3.0])),
            "Here a temperature that lies along the wrong axis is no error for PyTorch, and wrong all the same. α is (R, "
            "1): one number a run.",
        ),
    ],
    # Below: q is Q(s, a) of both, lp is log π(a|s), t is α, v is V(s), y the bracket of (7.2).
    misconceptions=[
        Misconception(
            "replay's action",
            _value_loss_of(replayed=True),
            "You ask Q about the action in the replay, which some older policy took, and log π about one that is drawn now. "
            "Q(s, a) may be learnt from any action, (7.3); V is the mean over those of today's policy, (7.1).",
        ),
        Misconception(
            "larger of the twins",
            _value_loss_of(lambda q, lp, t: q.amax(0) - t * lp),
            "Your V learns the higher of the two critics, and passes its errors on to both of them, (7.4). Which one is "
            "safer to believe?",
        ),
        Misconception(
            "mean of the twins",
            _value_loss_of(lambda q, lp, t: q.mean(0) - t * lp),
            "Your V learns the mean of the two critics. The actor has climbed what is left of their errors: which of the "
            "two is safer to believe?",
        ),
        Misconception(
            "first critic",
            _value_loss_of(lambda q, lp, t: q[0] - t * lp),
            "Your V learns from the first critic alone. What is the second one for?",
        ),
        Misconception(
            "one answer a critic",
            _value_loss_of(lambda q, lp, t: q - t * lp, lambda v, y: squared_loss(v, y).sum(0) / 2),
            "You compare V with both critics and add the losses, as (7.3) does. There two networks learn from one answer; "
            "here there is one network, and two answers would leave it in between. Which one is safer to believe?",
        ),
        Misconception(
            "entropy charged, not paid",
            _value_loss_of(lambda q, lp, t: q.amin(0) + t * lp),
            "Your V is lower where the policy is undecided: entropy is charged for, not paid. Which sign has log π in "
            "(7.2)?",
        ),
        Misconception(
            "entropy forgotten",
            _value_loss_of(lambda q, lp, t: q.amin(0)),
            "Your V is without entropy, and in the form of 2018 there is no other place for it: the critics' target, (7.4), "
            "has none. Which term of (7.2) is missing?",
        ),
        *_misplaced_alpha("V", "7.2", lambda each: _value_loss_of(lambda q, lp, t: each(q.amin(0), lp, t))),
        Misconception(
            "density for its logarithm",
            _value_loss_of(lambda q, lp, t: q.amin(0) - t * lp.exp()),
            "You subtract the density itself, after an exp. What `draw` gives is its logarithm, and that is what is wanted.",
        ),
        Misconception(
            "½ forgotten",
            _value_loss_of(error=squared_loss),
            "Your loss is twice (7.2). It has the same minimum, and a gradient of 2 (V − …): which factor takes the 2 away?",
        ),
        Misconception(
            "not squared",
            _value_loss_of(error=lambda v, y: (v - y).abs().mean(-1) / 2),
            "You take the errors without squaring them. That leads to the median of the draws, where V is their mean, "
            "(7.1).",
        ),
        Misconception(
            "sum over the batch",
            _value_loss_of(error=lambda v, y: (v - y).square().sum(-1) / 2),
            "Your loss grows with the batch. (7.2) has an expectation, which a mean estimates.",
        ),
        Misconception(
            "mean over the runs too",
            _value_loss_of(error=lambda v, y: (v - y).square().mean() / 2),
            "Your mean is over everything, the runs included: one number for learners that have nothing to do with each "
            "other. What must .mean() be told?",
        ),
        Misconception(
            "gradient to actor and critics",
            _everything_with_gradient,
            "Who descends your loss may also move what V is compared with: the critics, and through log π and the action "
            "the actor. In (7.2) only ψ learns. Which word of PyTorch makes a number of the bracket?",
        ),
        Misconception(
            "V without gradient",
            lambda o, a, draw, critics, v, t: _everything_with_gradient(
                o, a, draw, critics, lambda seen: v(seen).detach(), t
            ),
            "You have cut the wrong side: V is a mere number in your loss, and whatever it is compared with may move. Who "
            "learns in (7.2)?",
        ),
        Misconception(
            "no gradient at all",
            lambda o, a, draw, critics, v, t: _soft_value_loss(o, a, draw, critics, v, t).detach(),
            "Your number is right and leads nowhere: no gradient reaches V. What must be cut off, V or the bracket of "
            "(7.2)?",
        ),
        *_misplaced_temperatures(lambda place: _value_loss_of(lambda q, lp, t: q.amin(0) - place(t) * lp)),
    ],
    observe=_by_a_network,
)
