"""The equations of the course, each as one short pure function.

Every learner regresses on the same target and differs only in the value of the next state. Both parts are here, with the
number under which a lesson derives them: (2.3) is equation 3 of lesson 02. The functions act on trailing axes only
(actions last), so what is written for one state serves a batch of states and any number of runs in front of it.

May import: torch, `_borders`.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import huber_loss as huber
from torch.nn.functional import softplus

from sac_tutorial.validation import check_temperature


def td_target(reward: Tensor, terminated: Tensor, next_value: Tensor, discount: float | Tensor) -> Tensor:
    """Return the target y = r + γ (1 − d) V(s′), equation (1.8), on which every learner of the course regresses.

    Args:
        reward: r, shape (...).
        terminated: d, bool, broadcast with `reward`: true where the episode truly ended. A transition that was merely cut
            off by a time limit is not terminated; its next state still has a value.
        next_value: V(s′), broadcast with `reward`.
        discount: γ in [0, 1].

    Returns:
        The targets, shape (...), in the wider of the floating-point types of `reward` and `next_value`.

    Raises:
        TypeError: if `terminated` is a tensor of numbers (of the integer 1, `~` would make −2, and no error).

    Source: Sutton and Barto (2018), equations 3.9 and 6.2; Gymnasium's `terminated`.
    """
    if terminated.dtype != torch.bool:
        raise TypeError(f"terminated must be a tensor of torch.bool, but is one of {terminated.dtype}.")
    # The mask meets the value first: `discount * ~terminated` would be a float32 tensor and lose half the digits of γ.
    return reward + discount * (~terminated * next_value)


def expected_value(value: Tensor, probability: Tensor) -> Tensor:
    """Return the average Σᵢ pᵢ xᵢ over the last axis: equations (1.6), over actions, and (1.9), over outcomes.

    With `value` = Q(s, ·) and `probability` = π(·|s) this is V^π(s), the next-state value of policy evaluation and of
    expected SARSA. With `value` = the targets of all outcomes and `probability` = their probabilities it is Q^π(s, a).

    Args:
        value: shape (..., n).
        probability: shape (..., n), non-negative, summing to 1 over the last axis.

    Returns:
        The averages, shape (...).

    Source: Sutton and Barto (2018), equations 4.4 and 6.9.
    """
    return (probability * value).sum(-1)


def greedy_value(q: Tensor) -> Tensor:
    """Return max_a Q(s, a), equation (1.18): the next-state value of value iteration, Q-learning and DQN.

    Args:
        q: shape (..., actions).

    Returns:
        The maxima, shape (...).

    Source: Sutton and Barto (2018), equations 3.20 and 6.8; Watkins and Dayan (1992), equation 1.
    """
    return q.amax(-1)


def taken_value(q: Tensor, action: Tensor) -> Tensor:
    """Return Q(s, a) for one action a per state, equation (2.10): the next-state value of SARSA with a = a′.

    Args:
        q: shape (..., actions).
        action: shape (...), integers in [0, actions).

    Returns:
        The values of these actions, shape (...).

    Source: Sutton and Barto (2018), equation 6.7.
    """
    return q.gather(-1, action.unsqueeze(-1)).squeeze(-1)


def double_value(q_select: Tensor, q_evaluate: Tensor) -> Tensor:
    """Return Q_evaluate(s, argmax_a Q_select(s, a)), equation (2.17): one table chooses, the other judges.

    Args:
        q_select: shape (..., actions); its largest entry names the action.
        q_evaluate: shape (..., actions); its entry at that action is the value.

    Returns:
        The values, shape (...).

    Source: van Hasselt (2010), algorithm 1; Sutton and Barto (2018), equation 6.10.
    """
    return taken_value(q_evaluate, q_select.argmax(-1))


def greedy_policy(q: Tensor) -> Tensor:
    """Return the greedy policy, equation (1.19), that shares its probability evenly among the actions of largest value.

    Args:
        q: shape (..., actions).

    Returns:
        Probabilities, shape (..., actions), in the floating-point type of `q`.

    Source: Sutton and Barto (2018), equation 4.9.
    """
    best = (q == q.amax(-1, keepdim=True)).to(q.dtype)
    return best / best.sum(-1, keepdim=True)


def epsilon_greedy_policy(q: Tensor, epsilon: float | Tensor) -> Tensor:
    """Return (1 − ε) · greedy policy + ε · uniform policy, equation (2.9).

    Args:
        q: shape (..., actions).
        epsilon: ε in [0, 1]; a tensor has the rank of the *value* (no action axis).

    Returns:
        Probabilities, shape (..., actions).

    Source: Sutton and Barto (2018), section 2.2 and equation 5.2.
    """
    rate = torch.as_tensor(epsilon, dtype=q.dtype, device=q.device).unsqueeze(-1)
    return (1 - rate) * greedy_policy(q) + rate / q.shape[-1]


def epsilon_greedy_value(q: Tensor, epsilon: float | Tensor) -> Tensor:
    """Return (1 − ε) max_a Q(s, a) + ε mean_a Q(s, a), equation (2.11): the value of ε-greedy behaviour.

    It is `expected_value` under `epsilon_greedy_policy`, with the sum carried out. The fixed point that it gives is what
    SARSA and expected SARSA converge to at a fixed ε.

    Args:
        q: shape (..., actions).
        epsilon: ε in [0, 1]; a tensor has the shape of the value or broadcasts with it.

    Returns:
        The values, shape (...).

    Source: Sutton and Barto (2018), equation 6.9 with the ε-greedy policy put in.
    """
    rate = torch.as_tensor(epsilon, dtype=q.dtype)  # 1 − ε of a float32 ε would round, and the weights not sum to 1
    return (1 - rate) * q.amax(-1) + rate * q.mean(-1)


def entropy(policy: Tensor) -> Tensor:
    """Return H(π(·|s)) = −Σ_a π(a|s) log π(a|s), equation (6.1), with 0 · log 0 = 0.

    Args:
        policy: probabilities, shape (..., actions); zeros are fine.

    Returns:
        The entropies in nats, shape (...), between 0 (one action is certain) and log(actions) (all are equal), (6.2).

    Source: Shannon (1948), section 6; Haarnoja et al. (2018a), equation 1.
    """
    return -(policy * _log(policy)).sum(-1)


def soft_policy_value(q: Tensor, policy: Tensor, temperature: float | Tensor) -> Tensor:
    """Return Σ_a π(a|s) (Q(s,a) − α log π(a|s)), equation (6.8): the next-state value of soft policy evaluation.

    It is `expected_value` plus α times the `entropy`. With `q` = Q^π it is V^π(s); Q leaves out the entropy of the first
    action, which is added here.

    Args:
        q: shape (..., actions).
        policy: π, shape (..., actions); zeros are fine.
        temperature: α ≥ 0; a tensor has the rank of the *value* (no action axis).

    Returns:
        The values, shape (...).

    Raises:
        TypeError: for tables of whole numbers.
        ValueError: for α < 0, or a tensor α of another rank.

    Source: Haarnoja et al. (2018a), equation 3.
    """
    return expected_value(q, policy) + _temperature(temperature, q, policy, zero=True) * entropy(policy)


def soft_value(q: Tensor, temperature: float | Tensor) -> Tensor:
    """Return α log Σ_a exp(Q(s,a)/α), equation (6.14): the next-state value of soft value iteration and soft Q-learning.

    It is the largest `soft_policy_value` that any policy has, and lies between max_a Q and max_a Q + α log(actions), (6.29).

    Args:
        q: shape (..., actions).
        temperature: α > 0; a tensor has the rank of the *value* (no action axis). The limit α → 0 is `greedy_value`.

    Returns:
        The values, shape (...).

    Raises:
        TypeError: for tables of whole numbers.
        ValueError: for α ≤ 0, or a tensor α of another rank.

    Source: Haarnoja et al. (2017), equation 5; Ziebart (2010), equation 9.2.
    """
    alpha = _temperature(temperature, q, limit="greedy_value")
    best = q.amax(-1, keepdim=True)  # taken out before anything is divided by α, so that nothing can overflow
    return best.squeeze(-1) + alpha * ((q - best) / alpha.unsqueeze(-1)).exp().sum(-1).log()


def boltzmann_policy(q: Tensor, temperature: float | Tensor) -> Tensor:
    """Return B(a|s) = exp(Q(s,a)/α) / Z(s), equation (6.13): the policy of largest `soft_policy_value`.

    Args:
        q: shape (..., actions).
        temperature: α > 0; a tensor has the rank of the *value* (no action axis). The limit α → 0 is `greedy_policy`.

    Returns:
        Probabilities, shape (..., actions).

    Raises:
        TypeError: for tables of whole numbers.
        ValueError: for α ≤ 0, or a tensor α of another rank.

    Source: Haarnoja et al. (2018a), equation 4; Sutton and Barto (2018), equation 13.2.
    """
    alpha = _temperature(temperature, q, limit="greedy_policy")
    return torch.softmax((q - q.amax(-1, keepdim=True)) / alpha.unsqueeze(-1), -1)


def boltzmann_divergence(q: Tensor, policy: Tensor, temperature: float | Tensor) -> Tensor:
    """Return KL(π(·|s) ‖ exp(Q(s,·)/α)/Z(s)), equation (6.15), which the soft improvement step makes as small as it can.

    α times this is what `policy` lacks of the largest soft value, `soft_value` − `soft_policy_value`, (6.16).

    Args:
        q: shape (..., actions).
        policy: π, shape (..., actions); zeros are fine.
        temperature: α > 0; a tensor has the rank of the *value* (no action axis).

    Returns:
        The divergences in nats, shape (...), ≥ 0 up to rounding.

    Raises:
        TypeError: for tables of whole numbers.
        ValueError: for α ≤ 0, or a tensor α of another rank.

    Source: Haarnoja et al. (2018a), equation 4; Kullback and Leibler (1951).
    """
    alpha = _temperature(temperature, q, policy)
    # log B is finite even where B is too small for a floating-point number
    log_boltzmann = torch.log_softmax((q - q.amax(-1, keepdim=True)) / alpha.unsqueeze(-1), -1)
    return (policy * (_log(policy) - torch.where(policy > 0, log_boltzmann, 0))).sum(-1)


def floored_policy(policy: Tensor, floor: float | Tensor) -> Tensor:
    """Return π(a) = max(f(a), c B(a)), equation (6.21): of all policies with π ≥ f the one with the smallest KL(π ‖ B).

    The floors f take what they need; the other actions share the rest in the proportions of B, which fixes c. With the
    same floor ε/A for all actions the family is that of the ε-soft policies.

    Args:
        policy: B, shape (..., actions).
        floor: f ≥ 0, the least probability of each action: a number for all of them, or a tensor that broadcasts with
            `policy`. The floors of a state sum to at most 1.

    Returns:
        Probabilities, shape (..., actions).

    Raises:
        TypeError: for a policy of whole numbers.
        ValueError: for a negative floor, floors that sum to more than 1, which no policy has, or one that doesn't broadcast.

    Source: Csiszár (1975), on information projections; here by the conditions of Karush, Kuhn and Tucker.
    """
    _floating(policy)
    least = torch.as_tensor(floor, dtype=policy.dtype, device=policy.device)
    try:
        least, policy = torch.broadcast_tensors(least, policy)  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        raise ValueError(
            f"floor must be a number or broadcast with the policy, {tuple(policy.shape)}, but has {tuple(least.shape)}."
        ) from error
    total = least.sum(-1, keepdim=True)
    if not ((least >= 0) & (total <= 1 + 10 * policy.shape[-1] * torch.finfo(policy.dtype).eps)).all():
        raise ValueError(
            "floor must be non-negative and sum to at most 1 over the actions, or there is no such policy, "
            f"but its sum reaches {total.max():.9g} and its least entry is {least.min():.9g}."
        )
    # An action leaves its floor once c exceeds f/B, so sort by f/B: for some k the first k are free. Whatever is called free,
    # the sum of the others' floors and of c B is at most 1, and it is 1 for the right k: c is the least of the bounds.
    order = torch.where(least > 0, least / policy, 0).argsort(-1)
    free_mass = policy.gather(-1, order).cumsum(-1)
    other_floors = total - least.gather(-1, order).cumsum(-1)
    bound = torch.where(free_mass > 0, (1 - other_floors) / free_mass, torch.inf)
    return torch.maximum(least, bound.amin(-1, keepdim=True) * policy)


def remaining_error(residual: float, discount: float) -> float:
    """Return γ/(1 − γ) · ‖Q_k − Q_{k−1}‖, equation (1.16): no iterate of a γ-contraction is further from the answer.

    Args:
        residual: ‖Q_k − Q_{k−1}‖∞, the largest change in the last sweep, ≥ 0.
        discount: γ in [0, 1).

    Returns:
        An upper bound on ‖Q_k − Q‖∞, where Q is the fixed point.

    Source: Puterman (1994), theorem 6.3.1 (the a-posteriori bound of Banach's theorem).
    """
    return discount / (1 - discount) * residual


def squared_loss(q: Tensor, target: Tensor) -> Tensor:
    """Return the mean of (y − Q(s, a))² over the batch, equation (3.2), one number a run.

    A step down its gradient is (3.3), averaged over the batch and with the 2 in η, as long as the target carries none: y is an
    answer to approach, not a thing to move.

    Args:
        q: Q(s, a) of the actions that were taken, shape (..., B).
        target: y, shape (..., B), without gradient.

    Returns:
        The means, shape (...).

    Source: Mnih et al. (2013), equation 2.
    """
    return (target - q).square().mean(-1)


def huber_loss(q: Tensor, target: Tensor) -> Tensor:
    """Return the mean over the batch of δ²/2 where |δ| ≤ 1 and |δ| − 1/2 elsewhere, with δ = y − Q(s, a), equation (3.16).

    Where targets are random its minimum is not their mean, (3.17), so that a learner with this loss has another fixed point
    than Q*. It is here to be compared with.

    Args:
        q: Q(s, a) of the actions that were taken, shape (..., B).
        target: y, shape (..., B), without gradient.

    Returns:
        The means, shape (...).

    Source: Huber (1964); Mnih et al. (2015), Methods ("error clipping").
    """
    return huber(q, target, reduction="none").mean(-1)


def bootstrapped_return(
    reward: Tensor, terminated: Tensor, ended: Tensor, next_value: Tensor, discount: float | Tensor
) -> Tensor:
    """Return G_t = r_t + γ (1 − d_t) (V(s_{t+1}) if the piece ends here, else G_{t+1}), equation (5.12), backwards in time.

    A piece ends where the episode did, terminated or cut off, and at the last step that was recorded. With whole episodes
    that terminate it is the return of (1.2); with T recorded steps the target of step t is an n-step one with n = T − t.

    Args:
        reward: r, shape (..., T, B), T ≥ 1: time is the last axis but one.
        terminated: d, bool, same shape.
        ended: bool, same shape: true where the episode ended, terminated or cut off.
        next_value: V(s′) of the true next states, same shape.
        discount: γ in [0, 1]; a tensor broadcasts with (..., B).

    Returns:
        The returns, same shape, in the wider of the types of `reward` and `next_value`.

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
        advantage: A, shape (..., B), without gradient; weighted by γ^t where the discounted objective is meant.

    Returns:
        One number a run, shape (...).

    Source: Williams (1992), theorem 1; Sutton and Barto (2018), equation 13.11.
    """
    return -(log_probability * advantage.detach()).mean(-1)


def gaussian_log_density(action: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """Return log N(a; μ, σ²) = Σ_i (−½ ((a_i − μ_i)/σ_i)² − log σ_i − ½ log 2π), equation (5.15).

    Args:
        action: a, shape (..., dimensions).
        mean: μ, shape (..., dimensions).
        log_std: log σ, broadcast with `mean`.

    Returns:
        Shape (...).

    Source: any textbook on probability, such as Bishop (2006), equation 2.43 with a diagonal covariance.
    """
    noise = (action - mean) * (-log_std).exp()
    return -(noise.square() / 2 + log_std + math.log(2 * math.pi) / 2).sum(-1)


def gaussian_entropy(log_std: Tensor) -> Tensor:
    """Return the entropy of N(μ, σ²), Σ_i (log σ_i + ½ log 2πe), equation (5.15), in nats; it can be negative.

    Args:
        log_std: log σ, shape (..., dimensions).

    Returns:
        Shape (...).

    Source: Shannon (1948), section 20.
    """
    return (log_std + math.log(2 * math.pi * math.e) / 2).sum(-1)


def clipped_noise(action: Tensor, noise: Tensor, clip: float) -> Tensor:
    """Return clip(a + clip(ξ, −c, c), −1, 1), equation (5.21): TD3's next action, smeared so that no narrow peak is believed.

    Args:
        action: μ̄(s′) in [−1, 1], shape (..., dimensions).
        noise: ξ, same shape.
        clip: c > 0, the most that the noise may be.

    Returns:
        Same shape, in [−1, 1].

    Source: Fujimoto, van Hoof and Meger (2018), equation 15; that the action stays in its bounds is their code's.
    """
    return (action + noise.clamp(-clip, clip)).clamp(-1, 1)


def squash(mean: Tensor, log_std: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Return a = tanh(u) with u = μ + σ ξ, equation (7.11), and its exact log-density, equation (7.13).

    That is log π(a|s) = Σ_i (−½ ξ_i² − log σ_i − ½ log 2π − log(1 − tanh² u_i)), whose last term is computed as
    2 (log 2 − u − softplus(−2u)), equation (7.14): in float32 tanh u is 1 from u = 9 on, and 1 − tanh² u would be 0. Both
    results carry gradients to μ and σ; the noise is fixed.

    Args:
        mean: μ, shape (..., dimensions).
        log_std: log σ, broadcast with `mean`.
        noise: ξ, a draw from N(0, I), shape (..., dimensions).

    Returns:
        The actions in [−1, 1], shape (..., dimensions), and the log-densities in units of these actions, shape (...): an action
        space twice as wide in each of n dimensions has densities 2ⁿ times lower.

    Source: Haarnoja et al. (2018a), appendix C, equations 20 and 21.
    """
    before = mean + log_std.exp() * noise
    gaussian = -(noise.square() / 2 + log_std + math.log(2 * math.pi) / 2)
    log_jacobian = 2 * (math.log(2) - before - softplus(-2 * before, threshold=40))
    return before.tanh(), (gaussian - log_jacobian).sum(-1)


def sampled_soft_value(q: Tensor, log_probability: Tensor, temperature: float | Tensor) -> Tensor:
    """Return Q(s, a) − α log π(a|s) for one a ~ π(·|s), equation (7.1): the next-state value of SAC.

    Its mean over the draws is `soft_policy_value`. With twin critics `q` is the lower of the two.

    Args:
        q: Q(s, a), shape (...).
        log_probability: log π(a|s), or the log-density, shape (...).
        temperature: α ≥ 0; a tensor has the rank of `q`, so that one for each run is (R, 1) beside (R, B).

    Returns:
        Shape (...).

    Raises:
        TypeError: for whole numbers.
        ValueError: for α < 0, or a tensor α of another rank.

    Source: Haarnoja et al. (2018b), equation 3.
    """
    return q - _temperature(temperature, q, log_probability, action_axis=False, zero=True) * log_probability


def critic_loss(q: Tensor, target: Tensor) -> Tensor:
    """Return J_Q = ½ Σ_i E (Q_i(s, a) − y)², equation (7.3): the critics' errors, averaged over the batch and added.

    Each critic meets the same target and nothing of the other, so that adding them up leaves each its own gradient.

    Args:
        q: Q_i(s, a) of the actions that were taken, shape (critics, ..., B).
        target: y, shape (..., B), without gradient.

    Returns:
        One number a run, shape (...).

    Source: Haarnoja et al. (2018b), equation 5.
    """
    return squared_loss(q, target).sum(0) / 2


def actor_loss(log_probability: Tensor, q: Tensor, temperature: float | Tensor) -> Tensor:
    """Return J_π = E (α log π(a|s) − Q(s, a)), equation (7.7), for a drawn by `squash`: the mean over the batch.

    It is α times the divergence (6.15) of the policy from the Boltzmann policy of Q, but for a constant; and minus the
    `sampled_soft_value`: the actor climbs V.

    Args:
        log_probability: log π(a|s), shape (..., B), with its gradient to the policy.
        q: Q(s, a), shape (..., B), with its gradient through the action to the policy.
        temperature: α ≥ 0; a tensor has the rank of `q`, so that one for each run is (R, 1) beside (R, B).

    Returns:
        One number a run, shape (...).

    Raises:
        TypeError: for whole numbers.
        ValueError: for α < 0, or a tensor α of another rank.

    Source: Haarnoja et al. (2018b), equation 7.
    """
    return -sampled_soft_value(q, log_probability, temperature).mean(-1)


def temperature_loss(log_probability: Tensor, temperature: float | Tensor, target_entropy: float | Tensor) -> Tensor:
    """Return J(α) = α (H − H̄), equation (8.6), with H = −E log π(a|s): what is left of the Lagrangian for its multiplier.

    Its gradient by α is H − H̄: a descent lowers α where the policy is more random than asked for, and raises it where it is
    less. With α = exp λ and a gradient by λ = log α, the same function is equation (8.7), whose gradient is α (H − H̄). Some
    codes write λ (H − H̄) and leave out that α: the zero is the same, the steps are others.

    Args:
        log_probability: log π(a|s) of actions drawn from the policy as it is now (not of those in a replay), shape (..., B).
            For numbered actions Σ_a π(a|s) log π(a|s), which is exact: minus the `entropy`. It gets no gradient.
        temperature: α ≥ 0, with its gradient to α or to log α; a tensor has the rank of `log_probability`, so that one for
            each run is (R, 1) beside (R, B).
        target_entropy: H̄, in the units of the entropy; a number, or a tensor of that rank.

    Returns:
        One number a run, shape (...): the mean over the batch.

    Raises:
        TypeError: for whole numbers.
        ValueError: for α < 0, or a tensor α or H̄ of another rank.

    Source: Haarnoja et al. (2018b), equations 17 and 18.
    """
    alpha = _temperature(temperature, log_probability, action_axis=False, zero=True)
    if isinstance(target_entropy, Tensor) and target_entropy.dim() not in (0, log_probability.dim()):
        raise ValueError(
            f"target_entropy must be a number or have the rank of log_probability, {log_probability.dim()}, "
            f"but has the shape {tuple(target_entropy.shape)}."
        )
    return (alpha * (-log_probability.detach() - target_entropy)).mean(-1)


def _temperature(
    temperature: float | Tensor, *tables: Tensor, action_axis: bool = True, limit: str = "", zero: bool = False
) -> Tensor:
    """Return α as a tensor that broadcasts with the value; `limit` names the function for α → 0, `zero` lets α be 0."""
    for table in tables:
        _floating(table)
    alpha = torch.as_tensor(temperature, dtype=tables[0].dtype)  # a number stays here, where it is looked at below
    # With one axis too few, a temperature per run would be read as one per state wherever there are as many of both.
    rank = max(table.dim() for table in tables) - action_axis
    if alpha.dim() not in (0, rank):
        raise ValueError(
            f"temperature must be a number or have the rank of the value, {rank} for tensors of shape "
            f"{', '.join(str(tuple(table.shape)) for table in tables)}, but has the shape {tuple(alpha.shape)}."
        )
    check_temperature(alpha, limit=limit, zero=zero)
    return alpha.to(tables[0].device)


def _floating(table: Tensor) -> None:
    if not table.is_floating_point():  # whole numbers would cut off the digits of α
        raise TypeError(f"Values and probabilities must be floating-point numbers, but are of {table.dtype}.")


def _log(policy: Tensor) -> Tensor:
    """Return log π, and 0 where π is 0, so that π log π and its gradient are finite there."""
    return torch.where(policy > 0, policy, 1).log()
