"""Answers of learners to the exercises of lesson 07."""

# ruff: noqa: ARG001, ARG005 wrong answers ignore what they are given

import math
from typing import Any

import torch
from torch.nn.functional import softplus

from sac_tutorial.check import lesson_07
from tests.students import LEAST, Right, Wrong
from tests.students.common import (
    ONE_TRUTH,
    TABLE,
    critic_by_critic,
    distributions,
    mean_of_each_term,
    soft,
    without_remembering_the_entropy,
)


def by_the_distribution(mean: Any, log_std: Any, noise: Any) -> Any:
    before = mean + log_std.exp() * noise
    return (distributions.Normal(mean, log_std.exp()).log_prob(before) + 2 * log_cosh(before)).sum(-1)


def log_cosh(x: Any) -> Any:
    return torch.logaddexp(x, -x) - math.log(2)


def by_the_smaller_tail(mean: Any, log_std: Any, noise: Any) -> Any:
    before = (mean + log_std.exp() * noise).abs()  # the slope of tanh is the same on both sides
    log_slope = 2 * (math.log(2) - before - torch.log1p((-2 * before).exp()))
    return (-noise.square() / 2 - log_std - math.log(2 * math.pi) / 2 - log_slope).sum(-1)


def in_columns(q: Any, target: Any) -> Any:
    return 0.5 * (q - target.detach().unsqueeze(-1)).square().mean((-2, -1)).sum(0)


def by_autograd_of_one_draw(mean: Any, log_std: Any, noise: Any, slope: Any, temperature: Any) -> Any:
    mean, log_std = mean.clone().requires_grad_(), log_std.clone().requires_grad_()
    before = mean + log_std.exp() * noise
    log_density = -noise.square() / 2 - log_std + 2 * log_cosh(before)
    loss = temperature * log_density - slope * before.tanh()
    return torch.stack(torch.autograd.grad(loss.sum(), [mean, log_std]), -1)


def with_both_terms(mean: Any, log_std: Any, noise: Any, slope: Any, temperature: Any) -> Any:
    """(7.9) letter by letter, by the action: both terms, and what each parameter does to the action."""
    std, action = log_std.exp(), (mean + log_std.exp() * noise).tanh()
    narrower = 1 - action.square()
    by_action = temperature * (2 * action - noise / std) / narrower - slope
    by_mean = temperature * noise / std + by_action * narrower
    by_log_std = temperature * (noise.square() - 1) + by_action * narrower * std * noise
    return torch.stack((by_mean, by_log_std), -1)


def by_categorical_of_logits(q: Any, logits: Any, temperature: Any) -> Any:
    policy = distributions.Categorical(logits=logits)
    return (policy.probs * q.amin(0)).sum(-1) + temperature * policy.entropy()


def by_log_softmax(q: Any, logits: Any, temperature: Any) -> Any:
    log_policy = logits.log_softmax(-1)
    return (log_policy.exp() * (q.min(0).values - temperature[..., None] * log_policy)).sum(-1)


def detached_part_by_part(observation: Any, action: Any, draw: Any, critics: Any, value: Any, temperature: Any) -> Any:
    drawn, log_density = draw(observation)
    q = torch.minimum(*critics(observation, drawn.detach())).detach()
    return 0.5 * (value(observation) - q + temperature * log_density.detach()).square().mean(-1)


def with_nothing_remembered(
    observation: Any, action: Any, draw: Any, critics: Any, value: Any, temperature: Any
) -> Any:
    with torch.no_grad():
        drawn, log_density = draw(observation)
        answer = critics(observation, drawn).amin(0) - temperature * log_density
    return (value(observation) - answer).square().mean(-1) / 2


def squashed(m: Any, k: Any, x: Any, log_slope: Any) -> Any:
    gaussian = -x.square() / 2 - k - math.log(2 * math.pi) / 2
    return (gaussian - log_slope(m + k.exp() * x)).sum(-1)


def by_hand(
    m: Any,
    k: Any,
    x: Any,
    q: Any,
    t: Any,
    wish: Any = lambda a: 1 - a.square(),
    wall: Any = lambda a: 2 * a,
    direct: Any = 1.0,
) -> Any:
    action = (m + k.exp() * x).tanh()
    by_u = t * wall(action) - q * wish(action)
    return torch.stack((by_u, by_u * k.exp() * x - direct * t), -1)


def half_square(value: Any, answer: Any) -> Any:
    return (value - answer).square().mean(-1) / 2


def slope_of_tanh(m: Any, k: Any, x: Any) -> Any:
    return -2 * log_cosh(m + k.exp() * x)


def asked_of_torch(m: Any, k: Any, x: Any) -> Any:
    tanh = distributions.transforms.TanhTransform(cache_size=1)
    squashed = distributions.TransformedDistribution(distributions.Normal(m, k.exp()), tanh)
    return squashed.log_prob((m + k.exp() * x).tanh()).sum(-1)


RIGHT: Right = {
    "squashed_log_density": [by_the_distribution, by_the_smaller_tail],
    "sac_target": [
        without_remembering_the_entropy,
        lambda r, d, q, lp, t, g: (r + g * (1 - d.double()) * (q - t * lp).amin(0)).detach(),
    ],
    "twin_loss": [critic_by_critic, in_columns],
    "soft_actor_loss": [mean_of_each_term, lambda lp, q, t: -(q - t * lp).amin(0).mean(dim=-1)],
    "pathwise_gradient": [by_autograd_of_one_draw, with_both_terms],
    "discrete_soft_value": [by_categorical_of_logits, by_log_softmax],
    "soft_value_loss": [detached_part_by_part, with_nothing_remembered],
}

WRONG: Wrong = {
    "squashed_log_density": [
        (
            "neither scale nor Jacobian",
            lambda m, k, x: (-x.square() / 2 - math.log(2 * math.pi) / 2).sum(-1),
            (LEAST, "Your density is as high for a narrow Gaussian"),
        ),
        (
            "mixed",
            lambda m, k, x: (-x.square() / 2 - k - (1 - (m + k.exp() * x).tanh().square() + 1e-6).log()).sum(-1),
            (LEAST, "You leave out ½ log 2π"),
        ),
        (
            "mixed",
            lambda m, k, x: squashed(m, k, x, lambda u: (1 - u.tanh().square() + 1e-8).log()),
            "Where u is 8 (you: 13.67, expected: 13.69): 1 − tanh² 8 is 4.5 · 10⁻⁷: small, but a number",
        ),
        (
            "not summed",
            lambda m, k, x: lesson_07._normal(m, k, x) - slope_of_tanh(m, k, x),
            ("(1, 1), but (1,) is expected", "a last axis that should be summed or averaged away"),
        ),
        (
            "axis 1",
            lambda m, k, x: (lesson_07._normal(m, k, x) - slope_of_tanh(m, k, x)).sum(1),
            "count it from the end, as -1",
        ),
        (
            "TransformedDistribution",
            asked_of_torch,
            ("Where u is 20, or −20: your answer contains NaN", "without taking anything from 1"),
        ),
        (
            "density of a",
            lambda m, k, x: squashed(m, k, ((m + k.exp() * x).tanh() - m) / k.exp(), lambda u: 0 * u),
            ("Where u is 1", "divides by 1 − tanh² u"),
            "Your density is as high for a narrow Gaussian",
        ),
        (
            "density of a, naive Jacobian",
            lambda m, k, x: (
                lesson_07._normal(m, k, ((m + k.exp() * x).tanh() - m) / k.exp()).sum(-1)
                - (1 - (m + k.exp() * x).tanh().square()).log().sum(-1)
            ),
            (LEAST, "You ask the Gaussian about a"),
        ),
        (
            "its own noise",
            lambda m, k, x: squashed(m, k, distributions.Normal(0 * m, 1 + 0 * k).rsample(), lambda u: 0 * u),
            "a normal density at its mean",
            "narrow",
        ),
        (
            "sampled",
            lambda m, k, x: by_the_distribution(m, k, torch.randn(x.shape, dtype=x.dtype)),
            "You draw noise yourself",
        ),
        (
            "softplus of 2u",
            lambda m, k, x: squashed(m, k, x, lambda u: 2 * (math.log(2) - u - softplus(2 * u))),
            "What does softplus get in (7.14)?",
        ),
        (
            "action clipped",
            lambda m, k, x: squashed(m, k, x, lambda u: (1 - u.tanh().clamp(-1 + 1e-6, 1 - 1e-6).square()).log()),
            ("Where u is 8", "What was done to it so that it can't be 0?"),
        ),
        (
            "in place",
            lambda m, k, x: squashed(m, k.exp_().log(), x, lambda u: 0 * u),
            "your function changes its argument log_std",
        ),
        (
            "two results",
            lambda m, k, x: ((m + k.exp() * x).tanh(), by_the_distribution(m, k, x)),
            "must return a tensor, but it returns a tuple",
        ),
    ],
    "sac_target": [
        (
            "neither γ nor mask",
            lambda r, d, q, lp, t, g: (r + q.amin(0) - t * lp).detach(),
            (LEAST, "Your target does not discount"),
        ),
        (
            "mixed",
            lambda r, d, q, lp, t, g: (r + g * ~d * q.amax(0)).detach(),
            (LEAST, "You believe the higher of the two critics"),
        ),
        (
            "mixed",
            lambda r, d, q, lp, t, g: (r + g * ~d * q.amin(0) + t * lp).detach(),
            "What stands before log π in (7.16)?",
        ),
        (
            "min",
            lambda r, d, q, lp, t, g: (r + g * ~d * (q.min(0) - t * lp)).detach(),
            "Is there a pair (values, indices)",
        ),
        ("Python's min", lambda r, d, q, lp, t, g: (r + g * ~d * (min(q) - t * lp)).detach(), ONE_TRUTH),
        (
            "minimum over the batch",
            lambda r, d, q, lp, t, g: (r + g * ~d * (q.amin(-1) - t * lp)).detach(),
            "have shapes that do not fit together",
        ),
        (
            "no minimum",
            lambda r, d, q, lp, t, g: (r + g * ~d * (q - t * lp)).detach(),
            "(2, 3), but (3,) is expected: there is one axis too many, in front",
            TABLE,
        ),
        (
            "α with one axis more",
            lambda r, d, q, lp, t, g: (r + g * ~d * (q.amin(0) - t.unsqueeze(-1) * lp)).detach(),
            "one axis too many, in front",
        ),
        (
            ".item()",
            lambda r, d, q, lp, t, g: (r + g * ~d * (q.amin(0) - t.item() * lp)).detach(),
            ("Where three runs of four transitions", "α is (R, 1), so that it meets every transition of its run"),
        ),
        (
            "entropy outside",
            lambda r, d, q, lp, t, g: (r + g * ~d * q.amin(0) - t * lp).detach(),
            "Your entropy stands beside the reward",
        ),
        (
            "half detached",
            lambda r, d, q, lp, t, g: r + g * ~d * (q.amin(0).detach() - t * lp),
            "your result carries a gradient",
        ),
    ],
    "twin_loss": [
        ("mixed", lambda q, y: (q - y).square().mean() / 2, (LEAST, "You average the losses of the critics")),
        ("mixed", lambda q, y: (q.squeeze(-1) - y).square().sum() / 2, (LEAST, "Your loss grows with the batch")),
        (
            "a column",
            lambda q, y: ((q[0] - y) ** 2).mean() / 2 + ((q[1] - y) ** 2).mean() / 2,
            (LEAST, "A column of values, (B, 1), met a row of answers"),
        ),
        (
            "target may move",
            lambda q, y: ((q.squeeze(-1) - y) ** 2).mean(-1).sum(0) / 2,
            "Who descends your loss may also move the answers",
        ),
        (
            "axis 1",
            lambda q, y: (q.squeeze(-1) - y.detach()).square().mean(1).sum(0) / 2,
            "the critics vanish, the batch vanishes, the runs stay",
        ),
        (
            "a loss a critic",
            lambda q, y: (q.squeeze(-1) - y.detach()).square().mean(-1) / 2,
            ("(2,), but (), one number, is expected", "Which axis should be summed or averaged away?"),
        ),
        (
            "not remembered",
            torch.no_grad()(lambda q, y: (q.squeeze(-1) - y).square().mean(-1).sum(0) / 2),
            ("carries no gradient", "What must be cut off, Q or y?"),
        ),
    ],
    "soft_actor_loss": [
        (
            "mixed",
            lambda lp, q, t: (q.amin(0) - (t * lp).detach()).mean(-1),
            (LEAST, "You return what is to be climbed"),
        ),
        ("mixed", lambda lp, q, t: (t * q.amin(0) - lp).mean(-1), "with which sign does Q stand in it, (7.7)"),
        ("α after the mean", lambda lp, q, t: t * lp.mean(-1) - q.amin(0).mean(-1), "You average before α comes in"),
        (
            "weighted",
            lambda lp, q, t: (lp.exp() * (t * lp - q.amin(0))).mean(-1),
            "You multiply everything by the density",
            "with which sign",
        ),
        ("not averaged", lambda lp, q, t: t * lp - q.amin(0), "Which axis should be summed or averaged away?"),
        (
            "Q not remembered",
            lambda lp, q, t: (t * lp - torch.no_grad()(torch.amin)(q, 0)).mean(-1),
            "the actor can't hear where Q rises",
        ),
        (
            "minimum of the means",
            lambda lp, q, t: (t * lp).mean(-1) - q.mean(-1).amin(0),
            "You choose one critic for the whole batch",
        ),
        (
            "nothing carries a gradient",
            lambda lp, q, t: (t * lp - q.amin(0)).mean(-1).detach(),
            ("carries no gradient", "Is the way from the loss back to log π open?"),
        ),
    ],
    "pathwise_gradient": [
        (
            "mixed",
            lambda m, k, x, q, t: by_hand(m, k, x, q, t, wish=lambda a: -(1 - a.square()), wall=lambda a: a),
            (LEAST, "Descending your gradient, the actor goes where Q falls"),
        ),
        (
            "mixed",
            lambda m, k, x, q, t: by_hand(m, k, x, q, t, wall=lambda a: 2 * a * (1 - a.square())) + 0 * t,
            "You pass the walls' term through da/du once more",
        ),
        (
            "(7.9) by u in place of a",
            lambda m, k, x, q, t: torch.stack(
                (
                    t * x / k.exp()
                    + (t * (2 * (m + k.exp() * x).tanh() - x / k.exp()) - q) * (1 - (m + k.exp() * x).tanh() ** 2),
                    by_hand(m, k, x, q, t)[..., 1],
                ),
                -1,
            ),
            (LEAST, "2 tanh u is the derivative by u already"),
        ),
        (
            "stacked in front",
            lambda m, k, x, q, t: torch.stack(by_hand(m, k, x, q, t).unbind(-1)),
            "Your two derivatives stand on a new first axis",
        ),
        (
            "a pair",
            lambda m, k, x, q, t: by_hand(m, k, x, q, t).unbind(-1),
            "must return a tensor, but it returns a tuple",
        ),
        (
            "the noise moves",
            lambda m, k, x, q, t: by_hand(m, k, x, q, t) - torch.stack((t * x / k.exp(), 0 * x), -1),
            "The noise is held fixed, so −½ ξ² does not move",
        ),
        ("averaged", lambda m, k, x, q, t: by_hand(m, k, x, q, t).mean(-2), "(2,), but (1, 2) is expected"),
        ("α on everything", lambda m, k, x, q, t: t * by_hand(m, k, x, q, 1.0), "Your α multiplies dQ/da as well"),
    ],
    "discrete_soft_value": [
        (
            "mixed",
            lambda q, logits, t: (torch.softmax(logits, -1) * q.amin(0)).mean(-1),
            (LEAST, "You divide by the number of actions"),
        ),
        (
            "mixed",
            lambda q, logits, t: soft(q.amax(0), torch.softmax(logits, -1), -t),
            (LEAST, "You believe the higher of the two critics"),
        ),
        (
            "axis 1",
            lambda q, logits, t: soft(q.amin(0), torch.softmax(logits, 1), t),
            (LEAST, "Your probabilities sum to 1 over the states of the batch"),
        ),
        (
            "no softmax",
            lambda q, logits, t: (logits * (q.amin(0) - t.unsqueeze(-1) * logits.log())).sum(-1),
            "You take the logarithm of the logits",
        ),
        (
            "logsumexp",
            lambda q, logits, t: t * torch.logsumexp(q.amin(0) / t.unsqueeze(-1), -1),
            "Your value is that of the Boltzmann policy",
        ),
        (
            "Boltzmann policy of Q",
            lambda q, logits, t: soft(q.amin(0), torch.softmax(q.amin(0) / t.unsqueeze(-1), -1), t),
            "Your value is that of the Boltzmann policy",
        ),
        (
            "logits over α",
            lambda q, logits, t: soft(q.amin(0), torch.softmax(logits / t.unsqueeze(-1), -1), t),
            "You divide the logits by α",
        ),
        (
            "no minimum",
            lambda q, logits, t: (torch.softmax(logits, -1) * q).sum(-1),
            "one axis too many, in front. Where does it come from",
        ),
        (
            "bits",
            lambda q, logits, t: soft(q.amin(0), torch.softmax(logits, -1), t / math.log(2)),
            "of two equally likely actions it is log 2 = 0.693",
        ),
    ],
    "soft_value_loss": [
        (
            "mixed",
            lambda o, a, draw, critics, v, t: half_square(v(o), critics(o, a).amin(0) - t * draw(o)[1]),
            (LEAST, "You ask Q about the action in the replay"),
        ),
        (
            "mixed",
            lambda o, a, draw, critics, v, t: half_square(v(o), critics(o, draw(o)[0]).amax(0).detach()),
            (LEAST, "Your V learns the higher of the two critics"),
        ),
        (
            "pair not taken apart",
            lambda o, a, draw, critics, v, t: half_square(v(o), critics(o, draw(o)).amin(0)),
            "unpack it first",
        ),
        (
            "twice, and entropy charged",
            lambda o, a, draw, critics, v, t: (
                2 * half_square(v(o), (critics(o, draw(o)[0]).amin(0) + t * draw(o)[1]).detach())
            ),
            "Here (7.2) is half the mean square of V(s) − Q(s, a)",
        ),
        (
            "everything cut",
            torch.no_grad()(
                lambda o, a, draw, critics, v, t: half_square(v(o), critics(o, draw(o)[0]).amin(0) - t * draw(o)[1])
            ),
            "no gradient reaches V",
        ),
        (
            "Q cut, log π not",
            lambda o, a, draw, critics, v, t: half_square(
                v(o), critics(o, draw(o)[0]).amin(0).detach() - t * draw(o)[1]
            ),
            ("Where the loss is differentiated by the parameters of the actor", "which two ways lead to it?"),
        ),
        (
            "actor cut, critics not",
            lambda o, a, draw, critics, v, t: half_square(
                v(o), critics(o, draw(o)[0].detach()).amin(0) - t * draw(o)[1].detach()
            ),
            (LEAST, "Which word of PyTorch makes a number of the bracket?"),
        ),
        (
            "mse_loss",
            lambda o, a, draw, critics, v, t: (
                torch.nn.functional.mse_loss(v(o), (critics(o, draw(o)[0]).amin(0) - t * draw(o)[1]).detach()) / 2
            ),
            "Your mean is over everything, the runs included",
        ),
    ],
}
