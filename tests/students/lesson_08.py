"""Answers of learners to the exercises of lesson 08."""

# ruff: noqa: ARG005 wrong answers ignore what they are given

import math
from typing import Any

import numpy as np
import torch
from scipy.optimize import brentq

from sac_tutorial.check import lesson_08
from sac_tutorial.equations import boltzmann_policy, entropy
from tests.students import LEAST, Right, Wrong
from tests.students.common import RETURN, critic_by_critic, mean_of_each_term, without_remembering_the_entropy


def by_one_mean_after_the_other(log_probability: Any, temperature: Any, target_entropy: Any) -> Any:
    return temperature.squeeze(-1) * (-log_probability.mean(-1).detach() - target_entropy)


def in_logarithms(temperature: Any, nats: Any, target_entropy: Any, step_size: Any, least: Any) -> Any:
    by_log = (temperature.log() - step_size * temperature * (nats - target_entropy)).exp()
    itself = torch.maximum(temperature - step_size * (nats - target_entropy), torch.full_like(nats, least))
    return torch.cat([by_log.unsqueeze(-1), itself.unsqueeze(-1)], -1)


def by_autograd_of_both_losses(temperature: Any, nats: Any, target_entropy: Any, step_size: Any, least: Any) -> Any:
    results = []
    for to, back in ((torch.log, torch.exp), (lambda x: x, lambda x: x.clamp(min=least))):
        parameter = to(temperature).requires_grad_()
        alpha = parameter.exp() if to is torch.log else parameter
        (slope,) = torch.autograd.grad((alpha * (nats - target_entropy)).sum(), parameter)
        results.append(back((parameter - step_size * slope).detach()))
    return torch.stack(results, -1)


def by_a_table_of_probabilities(actions: Any, favourite: Any) -> Any:
    others = ((1 - favourite) / (actions - 1)).unsqueeze(-1).expand(*favourite.shape, actions - 1)
    return entropy(torch.cat([favourite.unsqueeze(-1), others], -1))


def halving_in_logarithms(soft_q: Any, share: Any, target_entropy: Any) -> Any:
    low, high = math.log(0.001), math.log(100.0)
    for _ in range(40):
        middle = (low + high) / 2
        policy = torch.softmax(soft_q(math.exp(middle)) / math.exp(middle), -1)
        nats = (share * -torch.special.xlogy(policy, policy).sum(-1)).sum()
        low, high = (middle, high) if nats < target_entropy else (low, middle)
    return torch.tensor(math.exp(low))


def one_update_otherwise(agent: Any, batch: Any) -> Any:
    """Draws everything first, minds gradients itself, and moves the copies in place."""
    with torch.no_grad():
        alpha = agent.alpha
        action, log_density = agent.draw(batch.next_observation)
        next_q = agent.judge(agent.target_critic, batch.next_observation, action).squeeze(-1)
        y = without_remembering_the_entropy(
            batch.reward, batch.terminated, next_q, log_density, alpha, agent.settings.discount
        )
    action, log_density = agent.draw(batch.observation)
    loss = critic_by_critic(agent.judge(agent.critic.parameters, batch.observation, batch.action), y)
    agent.critic.minimize(loss)
    first, second = agent.judge(agent.critic.parameters, batch.observation, action).squeeze(-1)
    agent.actor.minimize(mean_of_each_term(log_density, torch.stack([first, second]), alpha))
    agent.log_alpha.minimize(by_one_mean_after_the_other(log_density, agent.alpha, agent.target_entropy))
    with torch.no_grad():
        for old, new in zip(agent.target_critic, agent.critic.parameters, strict=True):
            old.lerp_(new, agent.settings.tau)
    return loss.detach()


def with_copies(change: Any) -> Any:
    def update(agent: Any, batch: Any) -> Any:
        loss = one_update_otherwise(agent, batch)
        agent.target_critic = change(agent.target_critic)
        return loss

    return update


RIGHT: Right = {
    "lagrangian": [
        lambda d, r, h, t, target: (d * r).sum(-1) + t * ((d * h).sum(-1) - target * d.sum(-1)),
        lambda d, r, h, t, target: torch.einsum("...s,...s->...", d, r + t * h - t * target),
    ],
    "alpha_loss": [
        by_one_mean_after_the_other,
        lambda lp, t, target: -(t * (lp + target).detach()).mean(-1),
        lambda lp, t, target: (-t * lp.detach() - t * target).mean(dim=-1),
    ],
    "temperature_steps": [in_logarithms, by_autograd_of_both_losses],
    "continuous_target_entropy": [
        lambda low, high: torch.log((high - low) / (2 * math.e)).sum(-1),
        lambda low, high: (high - low).log().sum(-1) - low.shape[-1] * (1 + math.log(2)),
    ],
    "discrete_target_entropy": [
        by_a_table_of_probabilities,
        lambda n, p: -torch.special.xlogy(p, p) - torch.special.xlogy(1 - p, 1 - p) + (1 - p) * math.log(n - 1),
    ],
    "optimal_temperature": [
        halving_in_logarithms,
        lambda soft, share, h: np.float64(lesson_08.optimal_temperature.reference(soft, share, h)),
    ],
    "costly_target": [
        lambda r, d, v, t, target, g: torch.where(d, r, r + g * v - g * t * target).detach(),
        lambda r, d, v, t, target, g: r + g * (1 - d.double()) * (v - t * target).data,
    ],
    "one_update": [one_update_otherwise],
}

WRONG: Wrong = {
    "lagrangian": [
        (
            "mixed",
            lambda d, r, h, t, target: (d * (r - t * h)).sum(-1) - t * target,
            (LEAST, "At your price entropy is a cost"),
        ),
        ("axis 1", lambda d, r, h, t, target: (d * (r + t * (h - target))).sum(1), "The states are on the last axis"),
        (
            "not summed",
            lambda d, r, h, t, target: d * (r + t * (h - target)),
            ("(1, 3), but (1,) is expected", "Which axis should be summed or averaged away?"),
        ),
    ],
    "alpha_loss": [
        ("mixed", lambda lp, t, target: (t * (lp + target)).mean(), "Your mean is over everything, the runs included"),
        (
            "mixed",
            lambda lp, t, target: -(t * lp.detach() + target).sum(-1),
            (LEAST, "In yours α stands before log π alone"),
        ),
        (
            "sign, and a gradient to the actor",
            lambda lp, t, target: (t * (lp + target)).mean(-1),
            (LEAST, "Who descends your loss makes entropy dearer"),
        ),
        ("not averaged", lambda lp, t, target: t * (-lp.detach() - target), "there is one axis too many"),
        (
            "no_grad",
            lambda lp, t, target: torch.no_grad()(lambda: (t * (-lp - target)).mean(-1))(),
            ("it carries no gradient", "is the way back to α open?"),
        ),
        (".item()", lambda lp, t, target: (t * (-lp.detach() - target)).mean().item(), "is there an .item()?"),
    ],
    "temperature_steps": [
        (
            "mixed",
            lambda t, h, target, eta, least: torch.stack([t.log() - eta * (h - target), t - eta * (h - target)], -1),
            (LEAST, "Your first column is log α after the step"),
        ),
        (
            "math.exp",
            lambda t, h, target, eta, least: torch.stack(
                [t * math.exp(-eta * t * (h - target)), torch.clamp(t - eta * (h - target), least)], -1
            ),
            "Each temperature moves by its own entropy",
        ),
        (
            "Python's max",
            lambda t, h, target, eta, least: torch.stack(
                [t * torch.exp(-eta * t * (h - target)), max(t - eta * (h - target), least)], -1
            ),
            "your function raised TypeError",
        ),
        (
            "a pair",
            lambda t, h, target, eta, least: (t * torch.exp(-eta * t * (h - target)), t - eta * (h - target)),
            "must return a tensor, but it returns a tuple",
        ),
    ],
    "continuous_target_entropy": [
        ("mixed", lambda low, high: -(high - low).prod(-1), "This is the course's own unit"),
        ("−dim", lambda low, high: -low.shape[-1], "must return a tensor, but it returns an int"),
    ],
    "discrete_target_entropy": [
        (
            "mixed",
            lambda n, p: (p * p.log() + (1 - p) * (1 - p).log()) / math.log(2),
            "Two equally likely actions have the entropy log 2 = 0.693",
        ),
        (
            "log of a number",
            lambda n, p: -p * p.log() - (1 - p) * torch.log((1 - p) / (n - 1)),
            ("Where the favourite is certain", "torch.special.xlogy(x, y)"),
        ),
    ],
    "optimal_temperature": [
        (
            "no sign change",
            lambda soft, share, h: brentq(
                lambda a: (share * entropy(boltzmann_policy(soft(a), a))).sum().item(), 0.01, 9
            ),
            "your function raised ValueError: f(a) and f(b) must have different signs",
        ),
        (
            "too narrow a search",
            lambda soft, share, h: brentq(
                lambda a: (share * entropy(boltzmann_policy(soft(a), a))).sum().item() - h, 0.001, 3
            ),
            ("Where the rewards are ten times as large", "ten times the rewards, ten times the price"),
        ),
        (
            "the policy",
            lambda soft, share, h: boltzmann_policy(soft(1.0), 1.0),
            "must return one number, but it returns a Tensor",
        ),
    ],
    "costly_target": [
        (
            "charged now, and no γ",
            lambda r, d, v, t, target, g: (r - t * target + (~d) * v).detach(),
            (LEAST, "Your target does not discount"),
        ),
        (
            "charged now, and the price for the cost",
            lambda r, d, v, t, target, g: (r - t + g * ~d * v).detach(),
            "What is left is the cost of the step from s′ on: α H̄, one step later",
        ),
        (
            "neither mask nor sign",
            lambda r, d, v, t, target, g: (r + g * (v + t * target)).detach(),
            "At the price 0 (8.8) is the target of lesson 1",
        ),
        (
            "half detached",
            lambda r, d, v, t, target, g: r + g * ~d * (v.detach() - t * target),
            ("Where values carry gradients", "Which word of PyTorch makes a number of it?"),
        ),
        (
            ".item()",
            lambda r, d, v, t, target, g: (r + g * ~d * (v - t.item() * target)).detach(),
            "Where each of three runs of four transitions has its temperature",
        ),
    ],
    "one_update": [
        ("nothing returned", lambda agent, batch: one_update_otherwise(agent, batch) and None, RETURN),
        (
            "the copies are a generator",
            with_copies(lambda copies: (copy.clone() for copy in copies)),
            "must stay a list of tensors",
        ),
        (
            "the first of the copies",
            with_copies(lambda copies: copies[:1]),
            "one for each of agent.critic.parameters",
        ),
        (
            "loss with its gradient",
            lambda agent, batch: one_update_otherwise(agent, batch).requires_grad_(),
            "your result carries a gradient",
        ),
        (
            "rewards scaled in place",
            lambda agent, batch: one_update_otherwise(agent, batch._replace(reward=batch.reward.mul_(2))),
            "your function changes its argument batch:",
        ),
        (
            "two mistakes",
            lambda agent, batch: lesson_08._update(
                agent, batch, lesson_08._Ways(target_parameters="critic", order="critic actor copies")
            ),
            (LEAST, "Your critics chase their own opinions"),
        ),
    ],
}
