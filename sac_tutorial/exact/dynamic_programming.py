"""Exact answers: what every learner of the course is measured against.

A backup averages the target over all outcomes. Which fixed point it leads to depends on the next-state value alone, so
that `sweeps` with `greedy_value` is value iteration, with `soft_value` soft value iteration, and with `expected_value`
under a policy is policy evaluation.

Tables may carry axes in front of (S, A), one entry for each of several policies, first iterates or temperatures, which are
then solved at once. A temperature has the rank of the value: a number, or a tensor of shape (..., 1), where the 1 stands
for the states.

What is wrong with a policy or a temperature is said at the call, everything else at the first `next` (by `policy_iteration`,
all of it).

May import: `equations`, `mdp`, `policy_chain`, `_borders`.
"""

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
from sac_tutorial.exact.policy_chain import check_end, check_policy, check_table, discounted_sum, policy_chain
from sac_tutorial.validation import check_temperature, number, number_in, positive_number
from sac_tutorial.worlds.mdp import FiniteMDP


class Sweep(NamedTuple):
    """One sweep of backups over all states and actions."""

    q: Tensor
    """The iterate Q_k, shape (..., S, A)."""
    residual: float
    """‖Q_k − Q_{k−1}‖∞, the largest where there are several."""
    error_bound: float
    """γ/(1 − γ) times the residual, equation (1.16): Q_k is no further than this from the fixed point."""


class Improvement(NamedTuple):
    """One round of policy iteration, hard or soft."""

    policy: Tensor
    """π, shape (..., S, A)."""
    q: Tensor
    """Q^π, exact, shape (..., S, A)."""
    gain: float
    """By how much one improved step raises V^π where it raises it most: max_a Q^π(s,a) − V^π(s), equation (1.21), or its soft
    form, (6.18). It is 0, up to rounding, if and only if π is optimal in its family; the V* of the family is nowhere above
    V^π by more than gain/(1 − γ), (6.27)."""


def expected_target(mdp: FiniteMDP, next_value: Tensor) -> Tensor:
    """Average the target over the outcomes: Q(s,a) = Σ_k p_k y_k = r̄(s,a) + γ Σ_s′ P̃(s′|s,a) V(s′), (1.9) and (1.10).

    Args:
        mdp: the model.
        next_value: V, float64, shape (..., S).

    Returns:
        Q, shape (..., S, A).

    Source: Sutton and Barto (2018), equation 4.6.
    """
    # r̄ + γ P̃ V in one pass over memory, which is an eighth of a sweep's time faster than in three
    reward = mdp.expected_reward.flatten()
    if next_value.dim() == 1:  # a matrix of one column would take twice as long
        q = torch.addmv(reward, mdp.continuation, next_value, alpha=mdp.discount)
        return q.view(mdp.states, mdp.actions)
    columns = next_value.reshape(-1, mdp.states).T
    q = torch.addmm(reward.unsqueeze(-1), mdp.continuation, columns, alpha=mdp.discount).T
    return q.reshape(*next_value.shape, mdp.actions)


def sweeps(
    mdp: FiniteMDP, next_value: Callable[[Tensor], Tensor], *, tolerance: float = 1e-8, start: Tensor | None = None
) -> Iterator[Sweep]:
    """Yield Q_k = E[r + γ (1 − d) V_{k−1}(s′)] with V = next_value(Q) until Q_k is provably close to the fixed point.

    For a next-state value that never moves by more than its Q does (a max, an average, a mixture, a soft value), the backup
    is a γ-contraction in the maximum norm, (1.13); the last sweep's `error_bound`, (1.16), is at most `tolerance`.

    Args:
        mdp: the model, with γ < 1.
        next_value: from Q of shape (..., S, A) to V of shape (..., S).
        tolerance: the largest error that is left, > 0, in units of reward.
        start: Q_0, shape (..., S, A). Default: zeros of shape (S, A).

    Yields:
        A `Sweep` for k = 1, 2, …

    Raises:
        TypeError: for a tolerance that is no number, or a `start` that is no tensor of float64.
        ValueError: for γ = 1, a tolerance that is not positive or that rounding keeps out of reach, a `start` or a
            `next_value` of another shape, values that are not finite, or a `next_value` that expands distances.

    Source: Puterman (1994), section 6.3.
    """
    _contracts(mdp)
    positive_number("tolerance", tolerance)
    q = torch.zeros(mdp.states, mdp.actions, dtype=torch.float64) if start is None else start
    check_table("start", q, mdp)
    needed, count = 1, 0
    while count < needed:
        value = next_value(q)
        if count == 0 and (value.shape != q.shape[:-1] or value.dtype != torch.float64):
            raise ValueError(
                f"next_value must turn {tuple(q.shape)} into {tuple(q.shape[:-1])} of torch.float64, "
                f"but it returned {tuple(value.shape)} of {value.dtype}."
            )
        previous, q = q, expected_target(mdp, value)
        residual = (q - previous).abs().max().item()
        count += 1
        if not math.isfinite(residual):
            raise ValueError(f"start and next_value must be finite, but sweep {count} is not.")
        sweep = Sweep(q, residual, remaining_error(residual, mdp.discount))
        yield sweep
        if sweep.error_bound <= tolerance:
            return
        if count == 1:  # from here on the bound falls at least like γ^k; a few sweeps more are for rounding
            # the logarithm of bound/tolerance, factor by factor: bound and quotient may be too large for a float
            excess = math.log(residual) + math.log(remaining_error(1.0, mdp.discount)) - math.log(tolerance)
            needed = 11 + math.ceil(excess / -math.log(mdp.discount))
    raise ValueError(
        f"The tolerance {tolerance:g} is out of reach: after {count} sweeps the bound still is {sweep.error_bound:g}, "
        "which rounding (or a next_value that expands distances) keeps from falling."
    )


def value_iteration(mdp: FiniteMDP, *, tolerance: float = 1e-8, start: Tensor | None = None) -> Iterator[Sweep]:
    """Yield the sweeps of value iteration, Q_k = E[r + γ (1 − d) max_a′ Q_{k−1}(s′,a′)], equation (1.20), towards Q*.

    Args, yields and errors are those of `sweeps`.

    Source: Sutton and Barto (2018), equation 4.10; Puterman (1994), section 6.3.
    """
    return sweeps(mdp, greedy_value, tolerance=tolerance, start=start)


def soft_value_iteration(
    mdp: FiniteMDP, temperature: float | Tensor, *, tolerance: float = 1e-8, start: Tensor | None = None
) -> Iterator[Sweep]:
    """Yield the sweeps of soft value iteration, Q_k = E[r + γ (1 − d) α log Σ exp(Q_{k−1}/α)], (6.23), towards soft Q*.

    Args:
        mdp: the model, with γ < 1.
        temperature: α > 0, a number or of shape (..., 1). The limit α → 0 is `value_iteration`.
        tolerance: the largest error that is left, > 0.
        start: Q_0, shape (..., S, A). Default: zeros.

    Yields:
        A `Sweep` for k = 1, 2, …, with Q of shape (..., S, A).

    Raises:
        TypeError: for a temperature that is neither a number nor a tensor of float64.
        ValueError: for α ≤ 0 or a temperature of another shape, and for what `sweeps` refuses.

    Source: Ziebart (2010), algorithm 9.1; Haarnoja et al. (2017), theorem 3.
    """
    if start is None:
        start = torch.zeros(mdp.states, mdp.actions, dtype=torch.float64)
    check_table("start", start, mdp)
    alpha, start = _together(temperature, limit="value_iteration", start=start)
    return sweeps(mdp, partial(soft_value, temperature=alpha), tolerance=tolerance, start=start)


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
        policy: π, float64, shape (..., S, A), rows that sum to 1.
        temperature: α ≥ 0, a number or of shape (..., 1).
        tolerance: the largest error that is left, > 0.
        start: Q_0, shape (..., S, A). Default: zeros.

    Yields:
        A `Sweep` for k = 1, 2, …, with Q of shape (..., S, A).

    Raises:
        TypeError: for a policy that is no tensor of float64, or such a temperature.
        ValueError: for a policy that is none, α < 0 or a temperature of another shape, and for what `sweeps` refuses.

    Source: Sutton and Barto (2018), equation 4.5; Haarnoja et al. (2018a), lemma 1.
    """
    check_policy(mdp, policy)
    if start is None:
        start = torch.zeros_like(policy)
    check_table("start", start, mdp)
    alpha, policy, start = _together(temperature, zero=True, policy=policy, start=start)
    bonus = alpha * entropy(policy)  # does not change from sweep to sweep
    return sweeps(mdp, lambda q: expected_value(q, policy) + bonus, tolerance=tolerance, start=start)


def policy_q(mdp: FiniteMDP, policy: Tensor, temperature: float | Tensor = 0.0) -> Tensor:
    """Return Q^π exactly: solve (I − γ P̃^π) V = r^π + α H^π and back V^π up once. Costs O(S³).

    With α = 0 this is (1.17), with α > 0 its soft form (6.12).

    Args:
        mdp: the model, with γ < 1, or γ = 1 if the policy ends every episode with certainty.
        policy: π, float64, shape (..., S, A), rows that sum to 1.
        temperature: α ≥ 0, a number or of shape (..., 1).

    Returns:
        Q^π, shape (..., S, A).

    Raises:
        TypeError: for a policy that is no tensor of float64, or such a temperature.
        ValueError: for a policy that is none, α < 0 or a temperature of another shape, or γ = 1 where a state (it is named),
            visited or not, has no way to an end, or one so unlikely that the sum can't be told from an infinite one.

    Source: Sutton and Barto (2018), equation 4.4 as a linear system; Puterman (1994), theorem 6.1.1; with entropy, Nachum
    et al. (2017), section 3.
    """
    check_policy(mdp, policy)
    alpha, policy = _together(temperature, zero=True, policy=policy)
    chain = policy_chain(mdp, policy)
    if mdp.discount == 1:
        check_end(mdp, policy, chain, torch.ones(mdp.states, dtype=torch.bool))
    reward = soft_policy_value(mdp.expected_reward.expand_as(policy), policy, alpha)
    return expected_target(mdp, discounted_sum(mdp, chain, reward))


def policy_iteration(mdp: FiniteMDP, *, policy: Tensor | None = None) -> Iterator[Improvement]:
    """Yield rounds of policy iteration: evaluate exactly, (1.17), then improve greedily, (1.21) and (1.22), until nothing does.

    A state keeps its policy as long as that is among the best up to rounding; otherwise policies of equal value could take
    turns for ever.

    Args:
        mdp: the model, with γ < 1.
        policy: the first π, shape (..., S, A). Default: uniform.

    Yields:
        An `Improvement` for each policy; the last is optimal.

    Raises:
        TypeError: for a policy that is no tensor of float64.
        ValueError: for γ = 1 or a policy that is none.

    Source: Howard (1960); Sutton and Barto (2018), section 4.3.
    """
    _contracts(mdp)
    if policy is None:
        policy = torch.full((mdp.states, mdp.actions), 1 / mdp.actions, dtype=torch.float64)
    while True:
        q = policy_q(mdp, policy)
        gain = greedy_value(q) - expected_value(q, policy)
        yield Improvement(policy, q, max(gain.max().item(), 0.0))
        better = gain > _rounding(mdp, q.abs().amax((-2, -1)).unsqueeze(-1))
        if not better.any():
            return
        policy = torch.where(better.unsqueeze(-1), greedy_policy(q), policy)


def soft_policy_iteration(
    mdp: FiniteMDP,
    temperature: float | Tensor,
    *,
    policy: Tensor | None = None,
    project: Callable[[Tensor], Tensor] | None = None,
) -> Iterator[Improvement]:
    """Yield rounds of soft policy iteration: evaluate exactly, (6.12), then improve by (6.17), until nothing does.

    The improvement comes as near to the Boltzmann policy exp(Q^π/α)/Z as the family of policies allows. Without a restriction
    it is there, and the last policy is π* = exp((Q* − V*)/α), (6.25). With `project=partial(floored_policy, floor=0.1)` every
    action keeps at least a tenth. As long as `project` looks at each state on its own, V^π never falls in any state (Lemma 2).

    It ends when no gain is above rounding and none has halved since the last round: near its end the iteration squares its
    error, so that one round more than seems needed brings the last half of the digits.

    Args:
        mdp: the model, with γ < 1.
        temperature: α > 0, a number or of shape (..., 1). The limit α → 0 is `policy_iteration`.
        policy: the first π, of the family, shape (..., S, A). Default: what `project` makes of the uniform policy.
        project: from the Boltzmann policies to the nearest ones of the family, both (..., S, A). Default: all are allowed.

    Yields:
        An `Improvement` for each policy; the last is the best of its family.

    Raises:
        TypeError: for a policy that is no tensor of float64, or such a temperature.
        ValueError: for γ = 1, α ≤ 0 or a temperature of another shape, a policy (also of `project`) that is none, or a step
            that lowers V: then `project` is no projection state by state, or the first policy is not of its family. Also
            for values too large for floating-point numbers.

    Source: Haarnoja et al. (2018a), theorem 1, with α.
    """
    project = project or (lambda boltzmann: boltzmann)
    if policy is None:
        policy = project(torch.full((mdp.states, mdp.actions), 1 / mdp.actions, dtype=torch.float64))
        check_policy(mdp, policy, "what project returns")
    check_policy(mdp, policy)
    alpha, policy = _together(temperature, limit="policy_iteration", policy=policy)
    return _soft_policy_iteration(mdp, alpha, policy, project)


def _soft_policy_iteration(
    mdp: FiniteMDP, alpha: Tensor, policy: Tensor, project: Callable[[Tensor], Tensor]
) -> Iterator[Improvement]:
    _contracts(mdp)
    least = torch.full(alpha.shape, math.inf, dtype=torch.float64)
    while True:
        q = policy_q(mdp, policy, alpha)
        size = q.abs().amax((-2, -1)).unsqueeze(-1) + alpha * (1 + math.log(mdp.actions))  # of the values
        if not size.isfinite().all():
            raise ValueError(
                "The values are not finite: temperature or rewards are too large for floating-point numbers."
            )
        improved = project(boltzmann_policy(q, alpha))
        check_policy(mdp, improved, "what project returns")
        if improved.shape != q.shape:
            raise ValueError(
                f"what project returns must have the shape {tuple(q.shape)}, but has {tuple(improved.shape)}."
            )
        gain = soft_policy_value(q, improved, alpha) - soft_policy_value(q, policy, alpha)
        yield Improvement(policy, q, max(gain.max().item(), 0.0))
        _check_gain(mdp, gain, size)
        largest = gain.amax(-1, keepdim=True).clamp(min=0)  # what is below 0 by rounding would halve for ever
        if not ((largest > _rounding(mdp, size)) | (largest < least / 2)).any():
            return
        least = torch.minimum(least, largest)
        policy = improved


def _check_gain(mdp: FiniteMDP, gain: Tensor, size: Tensor) -> None:
    least = -_rounding(mdp, size) - 4e-9 * size  # a policy may sum to 1 ± 1e-9
    if (gain < least).any():
        label = mdp.state_labels[int((gain < least).nonzero()[0, -1])]
        raise ValueError(
            f"project lowers V in state {label!r}: either it is no projection state by state, or the first policy is not of "
            "the family that it projects onto."
        )


def optimal_q(mdp: FiniteMDP) -> Tensor:
    """Return Q*, shape (S, A), to rounding: the last Q of policy iteration.

    Raises:
        ValueError: for γ = 1.

    Source: Puterman (1994), theorem 6.4.2.
    """
    *_, last = policy_iteration(mdp)
    return last.q


def soft_optimal_q(mdp: FiniteMDP, temperature: float | Tensor) -> Tensor:
    """Return soft Q*, shape (..., S, A), to rounding: the last Q of soft policy iteration.

    Args:
        mdp: the model, with γ < 1.
        temperature: α > 0, a number or of shape (..., 1): many temperatures are one call. The limit α → 0 is `optimal_q`.

    Raises:
        TypeError: for a temperature that is neither a number nor a tensor of float64.
        ValueError: for γ = 1, α ≤ 0 or a temperature of another shape.

    Source: Haarnoja et al. (2018a), theorem 1.
    """
    alpha, _ = _together(
        temperature, limit="optimal_q", policy=torch.zeros(mdp.states, mdp.actions, dtype=torch.float64)
    )
    *_, last = soft_policy_iteration(mdp, alpha)
    return last.q


def epsilon_greedy_q(mdp: FiniteMDP, epsilon: float, *, tolerance: float = 1e-10) -> Tensor:
    """Return the fixed point of Q = E[r + γ (1 − d) ((1 − ε) max Q + ε mean Q)], equation (2.11), shape (S, A).

    This, not Q*, is what SARSA and expected SARSA converge to at a fixed ε.

    Args:
        mdp: the model, with γ < 1.
        epsilon: ε in [0, 1].
        tolerance: the largest error that is left, > 0.

    Raises:
        TypeError: for an ε that is no number.
        ValueError: for ε out of range, and for what `sweeps` refuses.

    Source: van Seijen et al. (2009), section IV; Singh et al. (2000).
    """
    number_in("epsilon", epsilon, 0, 1)
    *_, last = sweeps(mdp, partial(epsilon_greedy_value, epsilon=epsilon), tolerance=tolerance)
    return last.q


def _contracts(mdp: FiniteMDP) -> None:
    if mdp.discount >= 1:
        raise ValueError(
            f"discount must be below 1 for an exact answer, but is {mdp.discount:g}: without it the backup is no contraction."
        )


def _rounding(mdp: FiniteMDP, size: Tensor) -> Tensor:
    """What the solve's rounding may do to a gain of values of this size, whatever the unit of reward."""
    return 1e-13 * size / (1 - mdp.discount)


def _together(
    temperature: float | Tensor, *, limit: str = "", zero: bool = False, **tables: Tensor
) -> tuple[Tensor, ...]:
    """Return α, checked, of shape (..., 1), and the tables (..., S, A), all with the same leading axes.

    `limit` names what α → 0 leads to, `zero` lets α be 0.
    """
    if not isinstance(temperature, Tensor):
        temperature = torch.tensor(number("temperature", temperature), dtype=torch.float64)
    elif temperature.dtype != torch.float64:
        raise TypeError(
            f"temperature must be a number or a tensor of torch.float64, but is one of {temperature.dtype}."
        )
    check_temperature(temperature, limit=limit, zero=zero)
    alpha = temperature.clone().view(-1) if temperature.dim() == 0 else temperature.clone()
    if alpha.shape[-1] != 1 or alpha.numel() == 0:
        raise ValueError(
            f"temperature must be a number or have the shape (..., 1), the 1 for the states, but has {tuple(alpha.shape)}."
        )
    lead = {"temperature": alpha.shape[:-1]} | {name: table.shape[:-2] for name, table in tables.items()}
    try:
        common = torch.broadcast_shapes(*lead.values())  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        raise ValueError(
            f"{' and '.join(lead)} must agree in front of states and actions, "
            f"but have {' and '.join(str(tuple(shape)) for shape in lead.values())} there."
        ) from error
    return alpha.expand(*common, 1), *(table.expand(*common, *table.shape[-2:]) for table in tables.values())
