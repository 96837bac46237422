"""Answers of learners to the exercises of lesson 05."""

# ruff: noqa: ARG001, ARG005 wrong answers ignore what they are given

from typing import Any

import torch
from torch.nn.functional import cross_entropy, softplus

from sac_tutorial.check import lesson_05
from sac_tutorial.equations import entropy
from tests.students import LEAST, Right, Wrong
from tests.students.common import ONE_TRUTH, distributions, drawn


def by_the_jacobian(policy: Any, q: Any, visits: Any) -> Any:
    jacobian = torch.diag_embed(policy) - policy.unsqueeze(-1) * policy.unsqueeze(-2)
    return visits.unsqueeze(-1) * (jacobian @ q.unsqueeze(-1)).squeeze(-1)


def by_autograd_of_the_mean(policy: Any, q: Any, visits: Any) -> Any:
    logits = policy.log().requires_grad_()
    (gradient,) = torch.autograd.grad((visits * (torch.softmax(logits, -1) * q).sum(-1)).sum(), logits)
    return gradient


def to_go(reward: Any, discount: Any) -> Any:
    found, later = [], 0.0
    for each in reversed(reward.unbind(-1)):
        later = each + discount * later
        found.append(later)
    return torch.stack(found[::-1], -1)


def powers(reward: Any, discount: Any) -> Any:
    return discount ** torch.arange(reward.shape[-1])


def by_a_triangle(reward: Any, baseline: Any, discount: Any) -> Any:
    t = torch.arange(reward.shape[-1])
    since = (t - t.unsqueeze(-1)).clamp(min=0)
    seen_from_t = torch.triu(torch.tensor(discount, dtype=torch.float64) ** since)
    return powers(reward, discount) * (torch.einsum("tk,...k->...t", seen_from_t, reward) - baseline)


def one_after_another(reward: Any, terminated: Any, truncated: Any, value: Any, next_value: Any, discount: Any) -> Any:
    """Each environment for itself, with Python's if."""
    returns = torch.empty_like(reward)
    rows = [part.reshape(-1, reward.shape[-1]) for part in (reward, terminated, truncated, next_value, returns)]
    for r, d, c, n, found in zip(*rows, strict=True):
        for t in reversed(range(len(r))):
            later = n[t] if c[t] or t == len(r) - 1 else found[t + 1]
            found[t] = r[t] if d[t] else r[t] + discount * later
    return returns


def summed_td_errors(reward: Any, terminated: Any, truncated: Any, value: Any, next_value: Any, discount: Any) -> Any:
    """Generalised advantage estimation with λ = 1, and the value added back."""
    advantage = to = torch.zeros_like(reward[..., 0])
    found = []
    for t in reversed(range(reward.shape[-1])):
        error = reward[..., t] + discount * ~terminated[..., t] * next_value[..., t] - value[..., t]
        to = error + discount * ~(terminated | truncated)[..., t] * advantage
        follows_on = t + 1 < reward.shape[-1]
        if follows_on:  # what is seen next is s_{t+1}, unless the episode is over
            goes_on = ~(terminated | truncated)[..., t]
            to = to + discount * goes_on * (value[..., t + 1] - next_value[..., t])
        advantage = to
        found.append(to)
    return torch.stack(found[::-1], -1) + value


def by_a_distribution(logits: Any, action: Any, advantage: Any, entropy_bonus: Any) -> Any:
    policy = distributions.Categorical(logits=logits)
    return (-policy.log_prob(action) * advantage.detach()).mean(-1) - entropy_bonus * policy.entropy().mean(-1)


def by_one_hot(logits: Any, action: Any, advantage: Any, entropy_bonus: Any) -> Any:
    log_policy = logits - torch.logsumexp(logits, -1, keepdim=True)
    picked = torch.nn.functional.one_hot(action, logits.shape[-1]) * log_policy
    charged = entropy_bonus * log_policy.exp() * log_policy
    return (charged.sum(-1) - picked.sum(-1) * advantage.data).sum(-1) / action.shape[-1]


def in_one_dimension_after_the_other(function: Any, mean: Any, log_std: Any, noise: Any) -> Any:
    actions = [mean[..., i : i + 1] + noise[..., i] * log_std[..., i : i + 1].exp() for i in range(mean.shape[-1])]
    return function(torch.stack(actions, -1)).sum(-1) / noise.shape[-2]


def with_minimum_and_maximum(r: Any, d: Any, s: Any, noise: Any, clip: Any, online: Any, target: Any, g: Any) -> Any:
    with torch.no_grad():
        action = target.actor(s) + torch.where(noise.abs() > clip, clip * noise.sign(), noise)
        first, second = target.critics(s, action.maximum(-torch.ones_like(action)).minimum(torch.ones_like(action)))
    return torch.where(d, r, r + g * torch.minimum(first, second))


def piece_of(last: Any = True, cut: Any = lambda d, c: c, mask: Any = lambda d, c: ~d) -> Any:
    def returns(r: Any, d: Any, c: Any, v: Any, n: Any, g: Any) -> Any:
        found, later = torch.zeros_like(r), n[..., -1] if last else 0 * n[..., -1]
        for t in reversed(range(r.shape[-1])):
            later = torch.where(cut(d, c)[..., t], n[..., t], later)
            later = r[..., t] + g * mask(d, c)[..., t] * later
            found[..., t] = later
        return found

    return returns


def shifted(v: Any, last: Any) -> Any:
    return torch.cat([v[..., 1:], last[..., -1:]], -1)


def picked(logits: Any, action: Any) -> Any:
    return torch.log_softmax(logits, -1).gather(-1, action.unsqueeze(-1)).squeeze(-1)


def spread(logits: Any) -> Any:
    return entropy(torch.softmax(logits, -1))


def both_clips(a: Any, x: Any, c: Any) -> Any:
    return (a + x.clamp(-c, c)).clamp(-1, 1)


def td3(
    pick: Any = lambda q: q.amin(0),
    act: Any = both_clips,
    mask: Any = lambda d: ~d,
    ask: Any = lambda o, t: (t, t),
    factor: Any = 1.0,
) -> Any:
    def target(r: Any, d: Any, s: Any, noise: Any, clip: Any, online: Any, target: Any, g: Any) -> Any:
        actor, critics = ask(online, target)
        action = act(actor.actor(s), noise, clip)
        return (r + factor * g * mask(d) * pick(critics.critics(s, action))).detach()

    return target


RIGHT: Right = {
    "logit_gradient": [by_the_jacobian, by_autograd_of_the_mean],
    "reinforce_weight": [by_a_triangle, lambda r, b, g: powers(r, g) * to_go(r, g) - powers(r, g) * b],
    "rollout_return": [one_after_another, summed_td_errors],
    "a2c_actor_loss": [by_a_distribution, by_one_hot],
    "pathwise_objective": [
        in_one_dimension_after_the_other,
        lambda f, m, k, x: f(torch.einsum("...d,...bd->...bd", k.exp(), x) + m[..., None, :]).mean(-1),
    ],
    "td3_target": [with_minimum_and_maximum],
}

WRONG: Wrong = {
    "logit_gradient": [
        (
            "matrix of V",
            lambda p, q, d: d[..., None] * p * (q - (p * q).sum(-1)),
            "one number a row, (S, 1), beside tables of (S, A)",
        ),
        (
            "best action's value, and no visits",
            lambda p, q, d: p * (q - q.amax(-1, keepdim=True)),
            (LEAST, "You compare Q with the largest of the row"),
        ),
        ("Q, and no visits", lambda p, q, d: p * q, (LEAST, "Your gradient has Q where (5.5) has the advantage")),
        ("A alone", lambda p, q, d: q - (p * q).sum(-1, keepdim=True), (LEAST, "weighs all actions alike")),
        (
            "visits as they come",
            lambda p, q, d: d * p * (q - (p * q).sum(-1, keepdim=True)),
            "Your visits lie along the actions",
        ),
        (
            "axis 1",
            lambda p, q, d: d[..., None] * p * (q - (p * q).sum(1, keepdim=True)),
            (LEAST, "Where two runs stand in front", "Your V adds up a column"),
        ),
        ("summed", lambda p, q, d: d * (p * q).sum(-1), "but (1, 2) is expected"),
        (
            "towards the greedy policy",
            lambda p, q, d: d[..., None] * (torch.nn.functional.one_hot(q.argmax(-1), q.shape[-1]) - p),
            "V is 5, the average of Q under π",
        ),
        (
            "divided by π",
            lambda p, q, d: d[..., None] * (q - (p * q).sum(-1, keepdim=True)) / p,
            "V is 5, the average of Q under π",
        ),
    ],
    "reinforce_weight": [
        (
            "one return",
            lambda r, b, g: (powers(r, g) * r).sum(-1) - b,
            (LEAST, "Every action gets the return from the start"),
        ),
        (
            "no γ^t and no baseline",
            lambda r, b, g: to_go(r, g),
            (LEAST, "The baseline is what takes most of the noise out of it"),
        ),
        ("baseline added, no γ^t", lambda r, b, g: to_go(r, g) + b, (LEAST, "You add the baseline to the return")),
        ("A2C", lambda r, b, g: to_go(r, g) - b, "Your weights are those of A2C"),
        (
            "only what is better",
            lambda r, b, g: (powers(r, g) * (to_go(r, g) - b)).clamp(min=0),
            "by how much the return was better, or worse",
        ),
        (
            "divided by γ^t",
            lambda r, b, g: powers(r, g) * ((powers(r, g) * r).flip(-1).cumsum(-1).flip(-1) / powers(r, g) - b),
            ("Where γ is 0: your answer contains NaN", "γ⁰ is 1 whatever γ is"),
        ),
        (
            "mean return for a baseline",
            lambda r, b, g: powers(r, g) * (to_go(r, g) - to_go(r, g).mean(-1, keepdim=True)),
            "what it earned, less what was to be expected",
        ),
        (
            "first axis",
            lambda r, b, g: (to_go(r.mT, g).mT - b) if r.dim() > 1 else powers(r, g) * (to_go(r, g) - b),
            ("Where two runs of three episodes stand in front", "Time is the last axis"),
        ),
        ("one number", lambda r, b, g: (r - b).sum(-1), "but (1,) is expected"),
        ("a list", lambda r, b, g: r.tolist(), "but it returns a list"),
    ],
    "rollout_return": [
        (
            "done",
            piece_of(mask=lambda d, c: ~(d | c)),
            ("and a time limit cuts the episode off", "That is our limit, not the world's"),
        ),
        ("rewards alone", piece_of(last=False, mask=lambda d, c: ~(d | c)), "You add up rewards alone"),
        ("nothing after the piece", piece_of(last=False), "After the last step of the piece you count nothing"),
        ("one step", lambda r, d, c, v, n, g: r + g * ~d * n, "after every single step"),
        ("one step, no mask", lambda r, d, c, v, n, g: r + g * n, "Nothing comes after a terminal step"),
        (
            "no mask",
            piece_of(cut=lambda d, c: d | c, mask=lambda d, c: d | ~d),
            "You ask the critic what a terminal state is worth",
        ),
        ("wrong flag", piece_of(mask=lambda d, c: ~c), (LEAST, "nobody where the clock cut it off")),
        ("runs on", piece_of(cut=lambda d, c: d & c), "your return runs on into the next one"),
        (
            "values shifted by one",
            lambda r, d, c, v, n, g: piece_of()(r, d, c, v, shifted(v, n), g),
            "The agent was carried to a new start before that",
        ),
        (
            "values shifted by one, the last one repeated",
            lambda r, d, c, v, n, g: piece_of()(r, d, c, v, shifted(v, v), g),
            (LEAST, "You end with V(s_t)"),
        ),
        (
            "advantage, and done",
            lambda r, d, c, v, n, g: piece_of(mask=lambda d, c: ~(d | c))(r, d, c, v, n, g) - v,
            (LEAST, "Yours is the advantage of (5.9)"),
        ),
        (
            "half of each",
            lambda r, d, c, v, n, g: (piece_of()(r, d, c, v, n, g) + r + g * ~d * n) / 2,
            ("Where four steps of one episode are a piece", "Go backwards"),
        ),
        ("if", lambda r, d, c, v, n, g: r if d else r + g * n, ONE_TRUTH),
        (
            "V on top",
            lambda r, d, c, v, n, g: piece_of()(r, d, c, v, n, g) + n,
            "the critic says what is to come from the state that was reached",
        ),
    ],
    "a2c_actor_loss": [
        (
            "uphill, and through the advantage",
            lambda z, a, adv, b: (picked(z, a) * adv).mean(-1) - b * spread(z).mean(-1),
            (LEAST, "Descending your loss makes good actions rarer"),
        ),
        (
            "objective",
            lambda z, a, adv, b: (picked(z, a) * adv.detach() + b * spread(z)).mean(-1),
            "You return the objective",
        ),
        (
            "a classifier's loss",
            lambda z, a, adv, b: cross_entropy(z, a) - b * spread(z).mean(-1),
            (LEAST, "the policy imitates itself"),
        ),
        (
            "column meets row",
            lambda z, a, adv, b: (
                -(torch.log_softmax(z, -1).gather(-1, a.unsqueeze(-1)) * adv.detach()).mean() - b * spread(z).mean()
            ),
            (LEAST, "A column of log-probabilities, (B, 1), met a row of advantages"),
        ),
        (
            "all pairs by an index",
            lambda z, a, adv, b: -(torch.log_softmax(z, -1)[:, a] * adv.detach()).mean() - b * spread(z).mean(),
            "The log-probability of the action that was taken is multiplied by its advantage",
        ),
        (
            "arange",
            lambda z, a, adv, b: (
                -(torch.log_softmax(z, -1)[torch.arange(len(a)), a] * adv.detach()).mean(-1) - b * spread(z).mean(-1)
            ),
            ("Where two runs stand in front", "One loss a run is wanted"),
        ),
        (
            "not averaged",
            lambda z, a, adv, b: -picked(z, a) * adv - b * spread(z),
            "Which axis should be summed or averaged away?",
            "keepdim",
        ),
        (
            ".item()",
            lambda z, a, adv, b: (-(picked(z, a) * adv).mean(-1) - b * spread(z).mean(-1)).item(),
            "is there an .item()?",
        ),
        (
            "probabilities, and no bonus",
            lambda z, a, adv, b: -(picked(z, a).exp() * adv.detach()).mean(-1),
            (LEAST, "not by log π"),
        ),
        (
            "mean entropy of an action",
            lambda z, a, adv, b: -(picked(z, a) * adv.detach()).mean(-1) - b * spread(z).mean(-1) / z.shape[-1],
            ("Where all advantages are 0", "the mean over the batch of H = −Σ π log π"),
        ),
        (
            "nothing is remembered",
            torch.no_grad()(lesson_05._a2c_actor_loss),
            ("carries no gradient", "no gradient reaches the logits"),
        ),
        (
            "through the advantage",
            lambda z, a, adv, b: -(picked(z, a) * adv).mean(-1) - b * spread(z).mean(-1),
            ("Where the loss is differentiated by the advantage", "In (5.10) Â is a number"),
        ),
    ],
    "pathwise_objective": [
        (
            "broadcast as it comes",
            lambda f, m, k, x: f(m + k.exp() * x).mean(-1),
            ("Where two runs of three draws", "which axis is missing, and where?"),
        ),
        (
            ".rsample()",
            lambda f, m, k, x: f(distributions.Normal(m, k.exp()).rsample((3,))).mean(-1),
            (LEAST, "You draw noise of your own"),
        ),
        (
            ".sample() and the wrong scale",
            lambda f, m, k, x: f(distributions.Normal(m, softplus(k)).sample((3,))).mean(-1),
            "Is ξ the noise that you were given?",
        ),
        (
            "nothing is remembered",
            torch.no_grad()(lesson_05._pathwise_objective),
            ("Where the objective is differentiated by μ", "those of .sample() have"),
        ),
        (
            "softplus",
            lambda f, m, k, x: f(m.unsqueeze(-2) + softplus(k).unsqueeze(-2) * x).mean(-1),
            ("Where σ is 1", "log σ is 0, so that a = μ + ξ"),
        ),
        (
            "one noise for all dimensions",
            lambda f, m, k, x: f(drawn(m, k, x[..., :1])).mean(-1),
            "each dimension with its own noise",
        ),
        (
            "a loss, and log σ",
            lambda f, m, k, x: -f(m.unsqueeze(-2) + k.unsqueeze(-2) * x).mean(-1),
            (LEAST, "You return a loss, with a minus"),
        ),
        (
            "variance, and detached",
            lambda f, m, k, x: f(drawn(m, 2 * k, x).detach()).mean(-1),
            (LEAST, "You multiply the noise by σ²"),
        ),
        ("not averaged", lambda f, m, k, x: f(drawn(m, k, x)), "Which axis should be summed or averaged away?"),
        (
            "first axis",
            lambda f, m, k, x: f(drawn(m, k, x)).mean(0),
            "your answer has the shape (3,), but (2,) is expected",
        ),
    ],
    "td3_target": [
        ("pair", td3(pick=lambda q: q.min(0)), "Is there a pair (values, indices)"),
        ("Python's min", td3(pick=lambda q: min(q[0], q[1])), ONE_TRUTH),
        (
            "larger, and no mask",
            td3(pick=lambda q: q.amax(0), mask=lambda d: 1),
            (LEAST, "You believe the higher of the two critics"),
        ),
        ("DDPG", td3(pick=lambda q: q[0], act=lambda a, x, c: a), (LEAST, "as DDPG does, (5.20)")),
        (
            "mean, and online actor",
            td3(pick=lambda q: q.mean(0), ask=lambda o, t: (o, t)),
            (LEAST, "You average the two critics"),
        ),
        (
            "sum",
            td3(pick=lambda q: q.sum(0)),
            ("Where there is no noise, and all critics agree", "the reward plus γ times it"),
        ),
        (
            "online, without noise",
            td3(act=lambda a, x, c: a, ask=lambda o, t: (o, o)),
            (LEAST, "asks the online networks throughout"),
        ),
        (
            "noise after the clip",
            td3(act=lambda a, x, c: a.clamp(-1, 1) + x.clamp(-c, c)),
            ("Where the noise leads out of the action space", "(5.21) has two clips"),
        ),
        ("tanh", td3(act=lambda a, x, c: torch.tanh(a + x.clamp(-c, c))), "The actor says what it would do in s′"),
        (
            "own noise",
            td3(act=lambda a, x, c: both_clips(a, torch.randn_like(a), c)),
            "Is ξ the noise that you were given?",
        ),
        (
            "noise upwards",
            td3(act=lambda a, x, c: (a + x.clamp(0, c)).clamp(-1, 1)),
            "The noise smears the action in s′ before it is judged",
        ),
        ("neither γ nor mask", td3(mask=lambda d: 1, factor=4 / 3), (LEAST, "Your target does not discount")),
        ("both critics", td3(pick=lambda q: q), "your answer has the shape (2, 3)"),
        (
            "worst of the batch",
            td3(pick=lambda q: q.amin((0, -1), keepdim=True).squeeze(0)),
            (LEAST, "You take one minimum of everything"),
        ),
    ],
}
