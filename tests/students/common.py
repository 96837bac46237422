"""Pieces that the answers to several lessons share."""

from typing import Any

import torch

from sac_tutorial.equations import entropy

distributions: Any = torch.distributions  # untyped in PyTorch

MAX_OVER_BATCH = "maximum over the first axis"
RETURN = "does every way through it end in a `return`?"
ONE_TRUTH = "need one True or False, but this tensor has several"
TABLE = "met a row of shape"
UPSIDE_DOWN = "adds the future exactly where the episode has ended"


def without_remembering_the_entropy(
    reward: Any, terminated: Any, next_q: Any, next_log_density: Any, temperature: Any, discount: Any
) -> Any:
    with torch.no_grad():
        value = torch.minimum(next_q[0], next_q[1]) - temperature * next_log_density
        return torch.where(terminated, reward, reward + discount * value)


def critic_by_critic(q: Any, target: Any) -> Any:
    return sum(0.5 * (one.squeeze(-1) - target.detach()).square().mean(-1) for one in q)


def mean_of_each_term(log_density: Any, q: Any, temperature: Any) -> Any:
    alpha = temperature.squeeze(-1) if temperature.ndim else temperature
    return alpha * log_density.mean(-1) - torch.minimum(*q).mean(-1)


def soft(q: Any, policy: Any, temperature: Any) -> Any:
    return (policy * q).sum(-1) + temperature * entropy(policy)


def judged(q_select: Any, q_evaluate: Any) -> Any:
    return q_evaluate.gather(-1, q_select.argmax(-1, keepdim=True)).squeeze(-1)


def drawn(m: Any, k: Any, x: Any) -> Any:
    return m.unsqueeze(-2) + k.exp().unsqueeze(-2) * x
