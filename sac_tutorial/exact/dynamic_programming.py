"""Dynamic programming: the exact answers to which the course compares every learner (lessons 01 and 06).

A backup averages the target over all outcomes. The next-state value decides which fixed point the backups lead to: `sweeps`
with `greedy_value` is value iteration, with `soft_value` soft value iteration, and with `expected_value` policy evaluation.

Tables and policies are float64 of shape (..., S, A), where the axes in front hold several policies, first iterates or
temperatures, solved in one call. A temperature is a number, or float64 of shape (..., 1), where the 1 stands for the states.
A policy or temperature of another kind raises a TypeError or a ValueError, and so does γ = 1 unless a function allows it;
functions that yield raise at the first `next`.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from sac_tutorial.equations import (
    boltzmann_policy,
    entropy,
    epsilon_greedy_value,
    expected_value,
    greedy_policy,
    greedy_value,
    remaining_error,
    soft_policy_value,
    soft_value,
)
from sac_tutorial.exact.borders import aligned, check_discount, check_policy, check_table
from sac_tutorial.exact.policy_chain import check_end, discounted_sum, policy_chain
from sac_tutorial.validation import POSITIVE, number
from sac_tutorial.worlds.mdp import FiniteMDP

# The backup, and how to repeat it


class Sweep(NamedTuple):
    """One sweep of backups over all states and actions."""

    q: Tensor
    """The iterate Q_k, shape (..., S, A)."""
    residual: float
    """‖Q_k − Q_{k−1}‖∞, the largest of all tables."""
    error_bound: float
    """γ/(1 − γ) times the residual, equation (1.16): Q_k is no further than this from the fixed point."""


def expected_target(mdp: FiniteMDP, next_value: Tensor) -> Tensor:
    """Average the target over the outcomes: Q(s,a) = Σ_k p_k y_k = r̄(s,a) + γ Σ_s′ P̃(s′|s,a) V(s′), (1.9) and (1.10).

    Args:
        mdp: the model.
        next_value: V, float64, shape (..., S).

    Returns:
        Q, shape (..., S, A).

    Source: Sutton and Barto (2018), equation 4.6.
    """
    reward = mdp.expected_reward.flatten()
    if next_value.dim() == 1:  # a matrix of one column would take twice as long
        q = torch.add(reward, mdp.continuation @ next_value, alpha=mdp.discount)
        return q.view(mdp.states, mdp.actions)
    columns = next_value.reshape(-1, mdp.states).T
    q = torch.addmm(reward.unsqueeze(-1), mdp.continuation, columns, alpha=mdp.discount).T
    return q.reshape(*next_value.shape, mdp.actions)


def sweeps(
    mdp: FiniteMDP, next_value: Callable[[Tensor], Tensor], *, tolerance: float = 1e-8, start: Tensor | None = None
) -> Iterator[Sweep]:
    """Yield Q_k = E[r + γ (1 − d) V_{k−1}(s′)] with V = next_value(Q) until Q_k is provably close to the fixed point.

    If V never moves by more than Q does (a max, an average, a mixture, a soft value), the backup is a γ-contraction in the
    maximum norm, (1.13).

    Args:
        mdp: the model, with γ < 1.
        next_value: from Q of shape (..., S, A) to V of shape (..., S).
        tolerance: the largest remaining error, > 0: the last `error_bound` is at most this.
        start: Q_0, shape (..., S, A). Default: zeros of shape (S, A).

    Yields:
        A `Sweep` for k = 1, 2, …

    Raises:
        TypeError: If the tolerance is not a number or `start` is not a tensor of float64.
        ValueError: If `start` or V has another shape or is not finite, or if the tolerance cannot be reached, because of
            rounding or because `next_value` expands distances.

    Source: Puterman (1994), section 6.3.
    """
    check_discount(mdp)
    tolerance = number("tolerance", tolerance, POSITIVE)
    q = _zeros(mdp) if start is None else start
    check_table("start", q, mdp)
    most = 1
    for count in itertools.count(1):
        value = next_value(q)
        _check_value(value, q)
        previous, q = q, expected_target(mdp, value)
        residual = (q - previous).abs().max().item()
        _check_finite(residual, count)
        sweep = Sweep(q, residual, remaining_error(residual, mdp.discount))
        yield sweep
        if sweep.error_bound <= tolerance:
            return
        if count == 1:
            most = _sweeps_needed(residual, mdp.discount, tolerance)
        if count == most:
            raise ValueError(
                f"The tolerance {tolerance:g} is out of reach: after {count} sweeps the bound still is "
                f"{sweep.error_bound:g}, which rounding (or a next_value that expands distances) keeps from falling."
            )


def value_iteration(mdp: FiniteMDP, *, tolerance: float = 1e-8, start: Tensor | None = None) -> Iterator[Sweep]:
    """Yield the sweeps of value iteration, Q_k = E[r + γ (1 − d) max_a′ Q_{k−1}(s′,a′)], equation (1.20), towards Q*.

    Arguments and errors are those of `sweeps`.

    Source: Sutton and Barto (2018), equation 4.10; Puterman (1994), section 6.3.
    """
    return sweeps(mdp, greedy_value, tolerance=tolerance, start=start)


def soft_value_iteration(
    mdp: FiniteMDP, temperature: float | Tensor, *, tolerance: float = 1e-8, start: Tensor | None = None
) -> Iterator[Sweep]:
    """Yield the sweeps of soft value iteration, Q_k = E[r + γ (1 − d) α log Σ exp(Q_{k−1}/α)], (6.23), towards soft Q*.

    Args:
        mdp: the model, with γ < 1.
        temperature: α > 0. The limit α → 0 is `value_iteration`.
        tolerance: as in `sweeps`.
        start: as in `sweeps`.

    Source: Ziebart (2010), algorithm 9.1; Haarnoja et al. (2017), theorem 3.
    """
    start = _zeros(mdp) if start is None else start
    check_table("start", start, mdp)
    alpha, start = aligned(temperature, limit="value_iteration", start=start)
    yield from sweeps(mdp, partial(soft_value, temperature=alpha), tolerance=tolerance, start=start)


def policy_evaluation(
    mdp: FiniteMDP,
    policy: Tensor,
    temperature: float | Tensor = 0.0,
    *,
    tolerance: float = 1e-8,
    start: Tensor | None = None,
) -> Iterator[Sweep]:
    """Yield the sweeps of iterative policy evaluation, Q_k = E[r + γ (1 − d) Σ π (Q_{k−1} − α log π)], towards Q^π.

    With α = 0 this is (1.12), with α > 0 its soft form (6.10).

    Args:
        mdp: the model, with γ < 1.
        policy: π, shape (..., S, A).
        temperature: α ≥ 0.
        tolerance: as in `sweeps`.
        start: as in `sweeps`.

    Source: Sutton and Barto (2018), equation 4.5; Haarnoja et al. (2018a), lemma 1.
    """
    start = _zeros(mdp) if start is None else start
    check_policy(mdp, policy)
    check_table("start", start, mdp)
    alpha, policy, start = aligned(temperature, policy=policy, start=start)
    bonus = alpha * entropy(policy)  # the same in every sweep
    yield from sweeps(mdp, lambda q: expected_value(q, policy) + bonus, tolerance=tolerance, start=start)


# Policies: evaluate exactly, then improve


class Improvement(NamedTuple):
    """One round of policy iteration, hard or soft."""

    policy: Tensor
    """π, shape (..., S, A)."""
    q: Tensor
    """Q^π, exact, shape (..., S, A)."""
    gain: float
    """The largest max_a Q^π(s,a) − V^π(s), equation (1.21), or its soft form (6.18): how much one improved step raises V^π.

    Up to rounding it is 0 if and only if π is optimal in its family. The optimal V is at most V^π + gain/(1 − γ), (6.27)."""


def policy_q(mdp: FiniteMDP, policy: Tensor, temperature: float | Tensor = 0.0) -> Tensor:
    """Return Q^π exactly: solve (I − γ P̃^π) V = r^π + α H^π and back V^π up once. Costs O(S³).

    With α = 0 this is (1.17), with α > 0 its soft form (6.12).

    Args:
        mdp: the model, with γ < 1, or γ = 1 if the policy ends every episode with certainty.
        policy: π, shape (..., S, A).
        temperature: α ≥ 0.

    Returns:
        Q^π, shape (..., S, A).

    Raises:
        ValueError: If γ = 1 and a state, visited or not, has no way to an end, or one too unlikely for the solve.

    Source: Sutton and Barto (2018), equation 4.4 as a linear system; Puterman (1994), theorem 6.1.1; with entropy, Nachum
    et al. (2017), section 3.
    """
    check_policy(mdp, policy)
    alpha, policy = aligned(temperature, policy=policy)
    chain = policy_chain(mdp, policy)
    if mdp.discount == 1:
        check_end(mdp, policy, chain, torch.ones(mdp.states, dtype=torch.bool))
    reward = soft_policy_value(mdp.expected_reward.expand_as(policy), policy, alpha)
    return expected_target(mdp, discounted_sum(mdp, chain, reward))


def policy_iteration(mdp: FiniteMDP, *, policy: Tensor | None = None) -> Iterator[Improvement]:
    """Yield rounds of policy iteration: evaluate exactly, (1.17), then improve greedily, (1.21) and (1.22), until optimal.

    Args:
        mdp: the model, with γ < 1.
        policy: the first π, shape (..., S, A). Default: uniform.

    Yields:
        An `Improvement` for each policy; the last is optimal.

    Source: Howard (1960); Sutton and Barto (2018), section 4.3.
    """
    check_discount(mdp)
    policy = _uniform(mdp) if policy is None else policy
    while True:
        q = policy_q(mdp, policy)
        gain = greedy_value(q) - expected_value(q, policy)
        yield Improvement(policy, q, max(gain.max().item(), 0.0))
        better = gain > _rounding(mdp, q.abs().amax((-2, -1)).unsqueeze(-1))
        if not better.any():
            return
        # A state without a better action keeps its policy: otherwise policies of equal value could alternate for ever.
        policy = torch.where(better.unsqueeze(-1), greedy_policy(q), policy)


def soft_policy_iteration(
    mdp: FiniteMDP,
    temperature: float | Tensor,
    *,
    policy: Tensor | None = None,
    project: Callable[[Tensor], Tensor] | None = None,
) -> Iterator[Improvement]:
    """Yield rounds of soft policy iteration: evaluate exactly, (6.12), then improve by (6.17), until optimal in the family.

    The improved policy is the Boltzmann policy exp(Q^π/α)/Z, or the nearest policy of a family: with
    `project=partial(floored_policy, floor=0.1)` every action keeps at least a tenth. If `project` treats each state on its
    own, V^π never falls in any state (Lemma 2). Without a family the last policy is π* = exp((Q* − V*)/α), (6.25).

    Args:
        mdp: the model, with γ < 1.
        temperature: α > 0. The limit α → 0 is `policy_iteration`.
        policy: the first π, of the family, shape (..., S, A). Default: the projection of the uniform policy.
        project: from Boltzmann policies to the nearest policies of the family, both (..., S, A). Default: all are allowed.

    Yields:
        An `Improvement` for each policy; the last is the best of its family.

    Raises:
        ValueError: If a step lowers V, because `project` is not a projection state by state or the first policy is not of its
            family; if `project` does not return policies; if values are too large for floating-point numbers.

    Source: Haarnoja et al. (2018a), theorem 1, with α.
    """
    check_discount(mdp)
    project = project or (lambda boltzmann: boltzmann)
    if policy is None:
        policy = project(_uniform(mdp))
        check_policy(mdp, policy, "what project returns")
    check_policy(mdp, policy)
    alpha, policy = aligned(temperature, limit="policy_iteration", policy=policy)
    least = torch.full(alpha.shape, math.inf, dtype=torch.float64)
    while True:
        q = policy_q(mdp, policy, alpha)
        size = _size(mdp, q, alpha)
        improved = project(boltzmann_policy(q, alpha))
        _check_projected(mdp, improved, q)
        gain = soft_policy_value(q, improved, alpha) - soft_policy_value(q, policy, alpha)
        yield Improvement(policy, q, max(gain.max().item(), 0.0))
        _check_gain(mdp, gain, size)
        # Near its end the iteration squares its error. So go on while a gain halves, even below rounding: the last round
        # brings the last half of the digits.
        largest = gain.amax(-1, keepdim=True).clamp(min=0)
        if not ((largest > _rounding(mdp, size)) | (largest < least / 2)).any():
            return
        least = torch.minimum(least, largest)
        policy = improved


# Answers


def optimal_q(mdp: FiniteMDP) -> Tensor:
    """Return Q*, shape (S, A), to rounding: the last Q of policy iteration, for γ < 1.

    Source: Puterman (1994), theorem 6.4.2.
    """
    *_, last = policy_iteration(mdp)
    return last.q


def soft_optimal_q(mdp: FiniteMDP, temperature: float | Tensor) -> Tensor:
    """Return soft Q*, shape (..., S, A), to rounding: the last Q of soft policy iteration, for γ < 1.

    Args:
        mdp: the model.
        temperature: α > 0; many temperatures are one call. The limit α → 0 is `optimal_q`.

    Source: Haarnoja et al. (2018a), theorem 1.
    """
    *_, last = soft_policy_iteration(mdp, temperature)
    return last.q


def epsilon_greedy_q(mdp: FiniteMDP, epsilon: float, *, tolerance: float = 1e-10) -> Tensor:
    """Return the fixed point of Q = E[r + γ (1 − d) ((1 − ε) max Q + ε mean Q)], equation (2.11), shape (S, A).

    SARSA and expected SARSA converge to this table at a fixed ε, not to Q*.

    Args:
        mdp: the model, with γ < 1.
        epsilon: ε in [0, 1].
        tolerance: as in `sweeps`.

    Source: van Seijen et al. (2009), section IV; Singh et al. (2000).
    """
    epsilon = number("epsilon", epsilon, "[0, 1]")
    *_, last = sweeps(mdp, partial(epsilon_greedy_value, epsilon=epsilon), tolerance=tolerance)
    return last.q


def _zeros(mdp: FiniteMDP) -> Tensor:
    return torch.zeros(mdp.states, mdp.actions, dtype=torch.float64)


def _uniform(mdp: FiniteMDP) -> Tensor:
    return torch.full((mdp.states, mdp.actions), 1 / mdp.actions, dtype=torch.float64)


def _sweeps_needed(residual: float, discount: float, tolerance: float) -> int:
    """Return after how many sweeps a contraction reaches the tolerance: the bound falls like γ^k; ten more for rounding."""
    # in logarithms, because the bound or its quotient by the tolerance may be too large for a float
    excess = math.log(residual) + math.log(remaining_error(1.0, discount)) - math.log(tolerance)
    return 11 + math.ceil(excess / -math.log(discount))


def _rounding(mdp: FiniteMDP, size: Tensor) -> Tensor:
    """Return the error that the solve's rounding may bring to a gain between values of this size."""
    return 1e-13 * size / (1 - mdp.discount)


# Checks


def _size(mdp: FiniteMDP, q: Tensor, alpha: Tensor) -> Tensor:
    """Return the largest value that occurs, entropy included, shape (..., 1)."""
    size = q.abs().amax((-2, -1)).unsqueeze(-1) + alpha * (1 + math.log(mdp.actions))
    if not (size / alpha).isfinite().all():
        raise ValueError("The values, or their quotients by the temperature, are too large for floating-point numbers.")
    return size


def _check_value(value: Tensor, q: Tensor) -> None:
    if value.shape != q.shape[:-1] or value.dtype != torch.float64:
        raise ValueError(
            f"next_value must turn {tuple(q.shape)} into {tuple(q.shape[:-1])} of torch.float64, "
            f"but it returned {tuple(value.shape)} of {value.dtype}."
        )


def _check_finite(residual: float, count: int) -> None:
    if not math.isfinite(residual):
        raise ValueError(f"start and next_value must be finite, but sweep {count} is not.")


def _check_projected(mdp: FiniteMDP, improved: Tensor, q: Tensor) -> None:
    check_policy(mdp, improved, "what project returns")
    if improved.shape != q.shape:
        raise ValueError(f"what project returns must have the shape {tuple(q.shape)}, but has {tuple(improved.shape)}.")


def _check_gain(mdp: FiniteMDP, gain: Tensor, size: Tensor) -> None:
    least = -_rounding(mdp, size) - 4e-9 * size  # a policy may sum to 1 ± 1e-9
    if (gain < least).any():
        label = mdp.state_labels[int((gain < least).nonzero()[0, -1])]
        raise ValueError(
            f"project lowers V in state {label!r}: either it is not a projection state by state, or the first policy is not "
            "of the family that it projects onto."
        )
