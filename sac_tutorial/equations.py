"""The equations of the course, each as one short pure function. "(2.3)" is equation 3 of lesson 02, which derives it.

Every learner regresses on the same target, `td_target`; learners differ in the value of the next state.

Shapes, for all functions:
- Functions act on the last axes; any axes may stand in front of them, such as one for the runs. Actions are the last axis
  of `q` and of policies; values have the shape of `q` without this axis.
- A batch, B, is the last axis of what a loss takes; the loss is the mean over it, so there is one number for each run.
- A temperature, ε or discount is a number, or a tensor with the rank of the *value*: shape (R, 1) beside values of shape
  (R, B). Functions that take `q` add the action axis. Another rank, a number out of range, and tables of integers raise.
- `terminated` and `ended` are tensors of torch.bool.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import huber_loss as huber
from torch.nn.functional import softplus

from sac_tutorial.validation import NON_NEGATIVE, number

# The target


def td_target(reward: Tensor, terminated: Tensor, next_value: Tensor, discount: float | Tensor) -> Tensor:
    """Return the target y = r + γ (1 − d) V(s′), equation (1.8).

    Args:
        reward: r, shape (...).
        terminated: d, shape (...): true where the episode ended in a terminal state. A time limit does not count: after it,
            the next state still has a value.
        next_value: V(s′), shape (...).
        discount: γ in [0, 1].

    Raises:
        TypeError: If `terminated` is not of torch.bool.

    Source: Sutton and Barto (2018), equations 3.9 and 6.2.
    """
    if terminated.dtype != torch.bool:  # ~ would turn the integer 1 into −2
        raise TypeError(f"terminated must be a tensor of torch.bool, but is one of {terminated.dtype}.")
    # The mask is multiplied with the value first: `discount * ~terminated` would be float32 and lose half the digits of γ.
    return reward + discount * (~terminated * next_value)


# Values of the next state, and policies


def expected_value(value: Tensor, probability: Tensor) -> Tensor:
    """Return the average Σᵢ pᵢ xᵢ over the last axis: equations (1.6), over actions, and (1.9), over outcomes.

    With Q(s, ·) and π(·|s) it is V^π(s), the next-state value of policy evaluation and of expected SARSA.

    Args:
        value: shape (..., n).
        probability: shape (..., n), with sum 1 over the last axis.

    Source: Sutton and Barto (2018), equations 4.4 and 6.9.
    """
    return (probability * value).sum(-1)


def greedy_value(q: Tensor) -> Tensor:
    """Return max_a Q(s, a), equation (1.18): the next-state value of value iteration, Q-learning and DQN.

    Args:
        q: shape (..., actions).

    Source: Sutton and Barto (2018), equations 3.20 and 6.8; Watkins and Dayan (1992), equation 1.
    """
    return q.amax(-1)


def taken_value(q: Tensor, action: Tensor) -> Tensor:
    """Return Q(s, a) for one action per state, equation (2.10): with a = a′ the next-state value of SARSA.

    Args:
        q: shape (..., actions).
        action: shape (...), int64 in [0, actions).

    Source: Sutton and Barto (2018), equation 6.7.
    """
    return q.gather(-1, action.unsqueeze(-1)).squeeze(-1)


def double_value(q_select: Tensor, q_evaluate: Tensor) -> Tensor:
    """Return Q_evaluate(s, argmax_a Q_select(s, a)), equation (2.17): one table selects the action, the other evaluates it.

    Args:
        q_select: shape (..., actions).
        q_evaluate: shape (..., actions).

    Source: van Hasselt (2010), algorithm 1; Sutton and Barto (2018), equation 6.10.
    """
    return taken_value(q_evaluate, q_select.argmax(-1))


def greedy_policy(q: Tensor) -> Tensor:
    """Return the greedy policy, equation (1.19), which gives all actions of largest value the same probability.

    Args:
        q: shape (..., actions).

    Source: Sutton and Barto (2018), equation 4.9.
    """
    best = (q == q.amax(-1, keepdim=True)).to(q.dtype)
    return best / best.sum(-1, keepdim=True)


def epsilon_greedy_policy(q: Tensor, epsilon: float | Tensor) -> Tensor:
    """Return (1 − ε) · greedy policy + ε · uniform policy, equation (2.9).

    Args:
        q: shape (..., actions).
        epsilon: ε in [0, 1].

    Source: Sutton and Barto (2018), section 2.2 and equation 5.2.
    """
    rate = torch.as_tensor(epsilon, dtype=q.dtype, device=q.device).unsqueeze(-1)
    return (1 - rate) * greedy_policy(q) + rate / q.shape[-1]


def epsilon_greedy_value(q: Tensor, epsilon: float | Tensor) -> Tensor:
    """Return (1 − ε) max_a Q(s, a) + ε mean_a Q(s, a), equation (2.11): the value of ε-greedy behaviour.

    With it, value iteration finds the table to which SARSA and expected SARSA converge at a fixed ε.

    Args:
        q: shape (..., actions).
        epsilon: ε in [0, 1].

    Source: Sutton and Barto (2018), equation 6.9 with the ε-greedy policy.
    """
    rate = torch.as_tensor(epsilon, dtype=q.dtype, device=q.device)
    return (1 - rate) * q.amax(-1) + rate * q.mean(-1)


# Soft values and policies


def entropy(policy: Tensor) -> Tensor:
    """Return H(π(·|s)) = −Σ_a π(a|s) log π(a|s), equation (6.1), in nats.

    Args:
        policy: π, shape (..., actions); 0 · log 0 counts as 0.

    Returns:
        The entropies, shape (...), between 0 and log(actions), (6.2).

    Source: Shannon (1948), section 6; Haarnoja et al. (2018a), equation 1.
    """
    return -(policy * _log(policy)).sum(-1)


def soft_policy_value(q: Tensor, policy: Tensor, temperature: float | Tensor) -> Tensor:
    """Return Σ_a π(a|s) (Q(s,a) − α log π(a|s)), equation (6.8): the next-state value of soft policy evaluation.

    Args:
        q: Q, without the entropy of the first action, shape (..., actions).
        policy: π, shape (..., actions).
        temperature: α ≥ 0.

    Source: Haarnoja et al. (2018a), equation 3.
    """
    return expected_value(q, policy) + _temperature(temperature, q, policy) * entropy(policy)


def soft_value(q: Tensor, temperature: float | Tensor) -> Tensor:
    """Return α log Σ_a exp(Q(s,a)/α), equation (6.14): the next-state value of soft value iteration and soft Q-learning.

    It is the largest `soft_policy_value` of any policy, and lies between max_a Q and max_a Q + α log(actions), (6.29).

    Args:
        q: shape (..., actions).
        temperature: α > 0. The limit α → 0 is `greedy_value`.

    Source: Haarnoja et al. (2017), equation 5; Ziebart (2010), equation 9.2.
    """
    alpha = _temperature(temperature, q, limit="greedy_value")
    return alpha * torch.logsumexp(q / alpha.unsqueeze(-1), -1)


def boltzmann_policy(q: Tensor, temperature: float | Tensor) -> Tensor:
    """Return B(a|s) = exp(Q(s,a)/α) / Z(s), equation (6.13): the policy with the largest `soft_policy_value`.

    Args:
        q: shape (..., actions).
        temperature: α > 0. The limit α → 0 is `greedy_policy`.

    Source: Haarnoja et al. (2018a), equation 4; Sutton and Barto (2018), equation 13.2.
    """
    alpha = _temperature(temperature, q, limit="greedy_policy")
    return torch.softmax(q / alpha.unsqueeze(-1), -1)


def boltzmann_divergence(q: Tensor, policy: Tensor, temperature: float | Tensor) -> Tensor:
    """Return KL(π(·|s) ‖ B(·|s)), equation (6.15), which soft policy improvement minimizes over a family of policies.

    α times the divergence is `soft_value` − `soft_policy_value`, (6.16).

    Args:
        q: shape (..., actions).
        policy: π, shape (..., actions).
        temperature: α > 0.

    Source: Haarnoja et al. (2018a), equation 4; Kullback and Leibler (1951).
    """
    alpha = _temperature(temperature, q, policy, limit="infinite unless the policy is greedy")
    return (policy * (_log(policy) - torch.log_softmax(q / alpha.unsqueeze(-1), -1))).sum(-1)


def floored_policy(policy: Tensor, floor: float | Tensor) -> Tensor:
    """Return π(a) = max(f(a), c B(a)), equation (6.21): of all policies with π ≥ f the one with the smallest KL(π ‖ B).

    Args:
        policy: B, shape (..., actions).
        floor: f ≥ 0, the least probability of each action: a number, or a tensor that broadcasts with `policy`. The floors
            of a state sum to at most 1.

    Source: Csiszár (1975), on information projections; here by the conditions of Karush, Kuhn and Tucker.
    """
    if not isinstance(floor, Tensor):
        number("floor", floor, f"[0, {1 / policy.shape[-1]}]")
    least = torch.as_tensor(floor, dtype=policy.dtype, device=policy.device)
    least, policy = torch.broadcast_tensors(least, policy)  # type: ignore[no-untyped-call]
    # The right c makes the sum 1. If the k actions with the smallest f/B are above their floors, then c = (1 − the floors of
    # the others) / (the sum of B over the k). This is an upper bound of c for every k, and equal to c for the right k.
    order = torch.where(least > 0, least / policy, 0).argsort(-1)
    free_mass = policy.gather(-1, order).cumsum(-1)
    other_floors = least.sum(-1, keepdim=True) - least.gather(-1, order).cumsum(-1)
    bound = torch.where(free_mass > 0, (1 - other_floors) / free_mass, torch.inf)
    return torch.maximum(least, bound.amin(-1, keepdim=True) * policy)


def sampled_soft_value(q: Tensor, log_probability: Tensor, temperature: float | Tensor) -> Tensor:
    """Return Q(s, a) − α log π(a|s) for one a ~ π(·|s), equation (7.1): the next-state value of SAC.

    Its mean over a is `soft_policy_value`. With twin critics, `q` is the lower of the two.

    Args:
        q: Q(s, a), shape (...).
        log_probability: log π(a|s), or the log-density, shape (...).
        temperature: α ≥ 0.

    Source: Haarnoja et al. (2018b), equation 3.
    """
    return q - _temperature(temperature, q, log_probability, action_axis=False) * log_probability


# Losses of learners of values


def squared_loss(q: Tensor, target: Tensor, weight: float | Tensor = 1.0) -> Tensor:
    """Return the mean of w (y − Q(s, a))² over the batch, equation (3.2).

    Args:
        q: Q(s, a) of the actions that were taken, or V(s), shape (..., B).
        target: y, without gradient, shape (..., B).
        weight: w, shape (..., B), such as 0 for the padded steps of a rollout.

    Source: Mnih et al. (2013), equation 2.
    """
    return (weight * (target - q).square()).mean(-1)


def huber_loss(q: Tensor, target: Tensor) -> Tensor:
    """Return the mean over the batch of δ²/2 where |δ| ≤ 1 and |δ| − 1/2 elsewhere, with δ = y − Q(s, a), equation (3.16).

    Where targets are random, the minimum is not at their mean, (3.17): with this loss a learner does not converge to Q*.

    Args:
        q: Q(s, a) of the actions that were taken, shape (..., B).
        target: y, without gradient, shape (..., B).

    Source: Huber (1964); Mnih et al. (2015), Methods ("error clipping").
    """
    return huber(q, target, reduction="none").mean(-1)


def critic_loss(q: Tensor, target: Tensor) -> Tensor:
    """Return J_Q = ½ Σ_i E (Q_i(s, a) − y)², equation (7.3): the sum over the critics, which share one target.

    Args:
        q: Q_i(s, a) of the actions that were taken, shape (critics, ..., B).
        target: y, without gradient, shape (..., B).

    Source: Haarnoja et al. (2018b), equation 5.
    """
    return squared_loss(q, target).sum(0) / 2


def value_network_loss(value: Tensor, target: Tensor) -> Tensor:
    """Return J_V = ½ E (V(s) − y)², equation (7.2): the loss of the network for V in the first form of SAC.

    Args:
        value: V(s), shape (..., B).
        target: y, the `sampled_soft_value`, without gradient, shape (..., B).

    Source: Haarnoja et al. (2018a), equation 5.
    """
    return squared_loss(value, target) / 2


def remaining_error(residual: float, discount: float) -> float:
    """Return γ/(1 − γ) · ‖Q_k − Q_{k−1}‖, equation (1.16): the largest distance from Q_k to the fixed point of a γ-contraction.

    Args:
        residual: ‖Q_k − Q_{k−1}‖∞, the largest change of the last sweep.
        discount: γ in [0, 1).

    Source: Puterman (1994), theorem 6.3.1 (the a-posteriori bound of Banach's theorem).
    """
    return discount / (1 - discount) * residual


# Policy gradients


def bootstrapped_return(
    reward: Tensor, terminated: Tensor, ended: Tensor, next_value: Tensor, discount: float | Tensor
) -> Tensor:
    """Return G_t = r_t + γ (1 − d_t) (V(s_{t+1}) if the rollout ends here, else G_{t+1}), equation (5.12), backwards in time.

    A rollout ends where the episode ends and at the last recorded step. For whole episodes that terminate, G is the return
    (1.2); for T recorded steps, G_t is an n-step target with n = T − t.

    Args:
        reward: r, shape (..., T, B): time is the last axis but one.
        terminated: d, same shape.
        ended: same shape: true where the episode terminated or was truncated.
        next_value: V(s′) of the true next states, same shape.
        discount: γ in [0, 1].

    Source: Sutton and Barto (2018), equation 7.1; Mnih et al. (2016), algorithm S3.
    """
    returns: list[Tensor] = []
    later = next_value[..., -1, :]
    for t in reversed(range(reward.shape[-2])):
        later = torch.where(ended[..., t, :], next_value[..., t, :], later)
        later = td_target(reward[..., t, :], terminated[..., t, :], later, discount)
        returns.append(later)
    return torch.stack(returns[::-1], -2)


def policy_gradient_loss(log_probability: Tensor, advantage: Tensor) -> Tensor:
    """Return −mean log π(a|s) A over the batch, equation (5.10): its gradient is minus the score-function estimate of ∇J.

    Args:
        log_probability: log π(a|s) of the actions that were taken, shape (..., B).
        advantage: A, shape (..., B), weighted by γ^t for the discounted objective. It gets no gradient.

    Source: Williams (1992), theorem 1; Sutton and Barto (2018), equation 13.11.
    """
    return -(log_probability * advantage.detach()).mean(-1)


def actor_critic_loss(
    log_probability: Tensor, advantage: Tensor, entropy: Tensor, entropy_bonus: float, weight: float | Tensor = 1.0
) -> Tensor:
    """Return −mean w (log π(a|s) A + β H(π(·|s))) over the batch: `policy_gradient_loss` with the entropy bonus of (5.14).

    Args:
        log_probability: log π(a|s) of the actions that were taken, shape (..., B).
        advantage: A, shape (..., B). It gets no gradient.
        entropy: H(π(·|s)), shape (..., B).
        entropy_bonus: β ≥ 0.
        weight: w, shape (..., B), such as 0 for the padded steps of a rollout.

    Source: Mnih et al. (2016), section 4.
    """
    return policy_gradient_loss(log_probability, weight * advantage) - entropy_bonus * (weight * entropy).mean(-1)


def deterministic_actor_loss(q: Tensor) -> Tensor:
    """Return −mean Q(s, μ(s)) over the batch: its gradient by the parameters of μ is minus the estimate of ∇J in (5.19).

    Args:
        q: Q(s, μ(s)), with its gradient through the action, shape (..., B).

    Source: Silver et al. (2014), theorem 1; Lillicrap et al. (2016), equation 6.
    """
    return -q.mean(-1)


def clipped_noise(action: Tensor, noise: Tensor, clip: float) -> Tensor:
    """Return clip(a + clip(ξ, −c, c), −1, 1), equation (5.21): the smoothed next action of TD3.

    Args:
        action: μ̄(s′) in [−1, 1], shape (..., dimensions).
        noise: ξ, same shape.
        clip: c > 0, the largest noise.

    Source: Fujimoto, van Hoof and Meger (2018), equation 15; the outer clip is in their code.
    """
    return (action + noise.clamp(-clip, clip)).clamp(-1, 1)


# Densities of continuous actions


def gaussian_log_density(action: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """Return log N(a; μ, σ²) = Σ_i (−½ ((a_i − μ_i)/σ_i)² − log σ_i − ½ log 2π), equation (5.15).

    Args:
        action: a, shape (..., dimensions).
        mean: μ, shape (..., dimensions).
        log_std: log σ, broadcast with `mean`.

    Source: Bishop (2006), equation 2.43 with a diagonal covariance.
    """
    noise = (action - mean) * (-log_std).exp()
    return -(noise.square() / 2 + log_std + math.log(2 * math.pi) / 2).sum(-1)


def gaussian_entropy(log_std: Tensor) -> Tensor:
    """Return the entropy of N(μ, σ²), Σ_i (log σ_i + ½ log 2πe), equation (5.15), in nats; it can be negative.

    Args:
        log_std: log σ, shape (..., dimensions).

    Source: Shannon (1948), section 20.
    """
    return (log_std + math.log(2 * math.pi * math.e) / 2).sum(-1)


def squash(mean: Tensor, log_std: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Return a = tanh(u) with u = μ + σ ξ, equation (7.11), and its exact log-density, equation (7.13).

    The density is log π(a|s) = Σ_i (−½ ξ_i² − log σ_i − ½ log 2π − log(1 − tanh² u_i)). The last term is computed as
    2 (log 2 − u − softplus(−2u)), equation (7.14), because in float32 tanh u is 1 from u = 9 on. Both results carry
    gradients to μ and σ.

    Args:
        mean: μ, shape (..., dimensions).
        log_std: log σ, broadcast with `mean`.
        noise: ξ, a draw from N(0, I), shape (..., dimensions).

    Returns:
        The actions in [−1, 1], shape (..., dimensions), and the log-densities in units of these actions, shape (...).

    Source: Haarnoja et al. (2018a), appendix C, equations 20 and 21.
    """
    before = mean + log_std.exp() * noise
    gaussian = -(noise.square() / 2 + log_std + math.log(2 * math.pi) / 2)
    log_jacobian = 2 * (math.log(2) - before - softplus(-2 * before, threshold=40))
    return before.tanh(), (gaussian - log_jacobian).sum(-1)


# Losses of soft actor-critic, beside `critic_loss`


def actor_loss(log_probability: Tensor, q: Tensor, temperature: float | Tensor) -> Tensor:
    """Return J_π = E (α log π(a|s) − Q(s, a)), equation (7.7), for an action drawn by `squash`.

    Up to a constant it is α times the divergence (6.15) between the policy and the Boltzmann policy of Q.

    Args:
        log_probability: log π(a|s), with its gradient to the policy, shape (..., B).
        q: Q(s, a), with its gradient through the action to the policy, shape (..., B).
        temperature: α ≥ 0.

    Source: Haarnoja et al. (2018b), equation 7.
    """
    return -sampled_soft_value(q, log_probability, temperature).mean(-1)


def discrete_actor_loss(q: Tensor, policy: Tensor, temperature: float | Tensor) -> Tensor:
    """Return J_π = E Σ_a π(a|s) (α log π(a|s) − Q(s, a)), equation (7.21): `actor_loss` with the sum over discrete actions.

    Args:
        q: Q(s, ·), without gradient, shape (..., B, actions).
        policy: π, with its gradient, shape (..., B, actions).
        temperature: α ≥ 0.

    Source: Christodoulou (2019), equation 12.
    """
    return -soft_policy_value(q, policy, temperature).mean(-1)


def temperature_loss(log_probability: Tensor, temperature: float | Tensor, target_entropy: float | Tensor) -> Tensor:
    """Return J(α) = α (H − H̄) with H = −E log π(a|s), equation (8.6).

    The gradient by α is H − H̄, so a step lowers α where the policy is more random than asked for. By λ = log α the gradient
    is α (H − H̄), equation (8.7).

    Args:
        log_probability: log π(a|s) of actions drawn from the present policy, shape (..., B); for discrete actions minus the
            `entropy`. It gets no gradient.
        temperature: α ≥ 0, with its gradient to α or to log α.
        target_entropy: H̄, a number or a tensor with the rank of `log_probability`.

    Source: Haarnoja et al. (2018b), equations 17 and 18.
    """
    alpha = _temperature(temperature, log_probability, action_axis=False)
    _check_rank("target_entropy", target_entropy, log_probability.dim())
    return (alpha * (-log_probability.detach() - target_entropy)).mean(-1)


def _log(policy: Tensor) -> Tensor:
    """Return log π, and 0 where π is 0, so that π log π and its gradient are finite there."""
    return torch.where(policy > 0, policy, 1).log()


# Checks


def _temperature(
    temperature: float | Tensor, *tables: Tensor, action_axis: bool = True, limit: str | None = None
) -> Tensor:
    """Return α as a tensor in the type of the tables; with a `limit` for α → 0, the number 0 is refused."""
    if not all(table.is_floating_point() for table in tables):  # integers would cut off the digits of α
        types = ", ".join(str(table.dtype) for table in tables)
        raise TypeError(f"Values and probabilities must be floating-point numbers, but are of {types}.")
    _check_rank("temperature", temperature, max(table.dim() for table in tables) - action_axis)
    if not isinstance(temperature, Tensor) and number("temperature", temperature, NON_NEGATIVE) == 0 and limit:
        raise ValueError(f"temperature must be above 0, but is 0. The limit of a vanishing temperature is {limit}.")
    return torch.as_tensor(temperature, dtype=tables[0].dtype, device=tables[0].device)


def _check_rank(name: str, setting: float | Tensor, rank: int) -> None:
    """Refuse (R,) beside a value of shape (R, B): with R = B one setting per run would be read as one per state."""
    if isinstance(setting, Tensor) and setting.dim() not in (0, rank):
        raise ValueError(
            f"{name} must be a number or have the rank of the value, {rank}, but has the shape {tuple(setting.shape)}."
        )
