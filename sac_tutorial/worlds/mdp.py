"""A finite Markov decision process (MDP) as a list of outcomes. Every lesson from 01 on uses it.

For each state and action there are K outcomes (probability, next_state, reward, terminated), as in Gymnasium's toy-text
environments. Dynamic programming averages the target over the outcomes; Q-learning samples one of them.
"""

import hashlib
import operator
import warnings
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import attrs
import gymnasium
import numpy as np
import torch
from torch import Tensor

from sac_tutorial.validation import checked_field, number_field
from sac_tutorial.worlds.mdp_checks import (
    check_outcomes,
    check_shapes,
    check_start,
    labels_field,
    strings,
    tensor_field,
)
from sac_tutorial.worlds.mdp_json import read_document
from sac_tutorial.worlds.toy_text import read_environment

Outcome = tuple[float, int, float, bool]
"""(probability, next_state, reward, terminated), in Gymnasium's order."""


@attrs.frozen(eq=False, repr=False, slots=False)
class FiniteMDP:
    """A finite MDP with S states, A actions and at most K outcomes for each pair of them.

    An outcome with `terminated` ends the episode: nothing that comes after it counts, whatever state it names. Outcomes of
    probability 0 are padding. All tensors live on the CPU. For a changed copy, use `attrs.evolve(mdp, discount=0.5)`.

    Attributes:
        probability: p(k|s,a), float64, shape (S, A, K), non-negative, summing to 1 over the last axis.
        next_state: s′ of each outcome, int64 in [0, S), shape (S, A, K).
        reward: r of each outcome, float64, shape (S, A, K).
        terminated: d of each outcome, bool, shape (S, A, K).
        start_probability: distribution of the first state, float64, shape (S,).
        discount: γ in [0, 1]; algorithms that need γ < 1 say so.
        state_labels: S names for people. Default: "0", "1", …
        action_labels: A names for people. Default: "0", "1", …
        drawing: optional lines of text in which every character but `#` is one state, in reading order.

    Raises:
        TypeError: If a tensor has the wrong dtype, for example if `terminated` holds numbers.
        ValueError: If a shape is wrong, probabilities are negative, not finite or don't sum to 1, a next state is out of
            range, a reward is not finite, or the discount lies outside [0, 1]. State and action are named.

    Source: Puterman (1994), section 2.1; Sutton and Barto (2018), equation 3.2.
    """

    probability: Tensor = tensor_field(torch.float64)
    next_state: Tensor = tensor_field(torch.int64)
    reward: Tensor = tensor_field(torch.float64)
    terminated: Tensor = tensor_field(torch.bool)
    start_probability: Tensor = tensor_field(torch.float64, axes=1)
    discount: float = number_field(within="[0, 1]")
    state_labels: tuple[str, ...] = labels_field(axis=0)
    action_labels: tuple[str, ...] = labels_field(axis=1)
    drawing: tuple[str, ...] = checked_field((), strings)

    def __attrs_post_init__(self) -> None:
        """Check what concerns several fields at once."""
        check_shapes(self)
        check_outcomes(self)
        check_start(self)

    def __repr__(self) -> str:
        """Return the sizes in words; the tables would fill pages."""
        return (
            f"FiniteMDP({self.states} states, {self.actions} actions, "
            f"{self.outcomes} outcomes each, discount {self.discount:g})"
        )

    @property
    def description(self) -> str:
        """The sizes, and a digest of all numbers, by which a checkpoint recognises the model."""
        numbers = (self.probability, self.next_state, self.reward, self.terminated, self.start_probability)
        return f"{self} {digest(*numbers)}"

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return the MDP itself: it never changes, so copies of an environment may share it."""
        return self

    # Sizes, and the same model as matrices

    @cached_property
    def states(self) -> int:
        """S, the number of states."""
        return self.probability.shape[0]

    @cached_property
    def actions(self) -> int:
        """A, the number of actions."""
        return self.probability.shape[1]

    @cached_property
    def outcomes(self) -> int:
        """K, the number of outcomes of each state and action, padding included."""
        return self.probability.shape[2]

    @cached_property
    def expected_reward(self) -> Tensor:
        """r̄(s,a) = Σ_k p_k r_k, equation (1.10), shape (S, A)."""
        return (self.probability * self.reward).sum(-1)

    @cached_property
    def transition_matrix(self) -> Tensor:
        """P(s′|s,a), dense, shape (S, A, S): every row sums to 1, the outcomes that end the episode included."""
        return self._matrix(self.probability)

    @cached_property
    def continuation_matrix(self) -> Tensor:
        """P̃(s′|s,a) = Σ_k p_k (1 − d_k) 1[s′_k = s′], equation (1.10), dense, shape (S, A, S).

        A row sums to the probability that the episode goes on.
        """
        return self._matrix(self.probability * ~self.terminated)

    def _matrix(self, weight: Tensor) -> Tensor:
        matrix = torch.zeros(self.states, self.actions, self.states, dtype=torch.float64)
        return matrix.scatter_add_(-1, self.next_state, weight)

    @cached_property
    def continuation(self) -> Tensor:
        """P̃ as a sparse matrix of S·A rows and S columns, one entry for each outcome; a sweep of backups multiplies by it.

        Rows of outcomes have this layout already; 32-bit indices halve what a sweep has to read.
        """
        pairs, outcomes = self.states * self.actions, self.outcomes
        with warnings.catch_warnings():  # PyTorch calls its CSR layout "beta", and an unchecked one unchecked
            warnings.simplefilter("ignore", UserWarning)
            return torch.sparse_csr_tensor(
                torch.arange(0, pairs * outcomes + 1, outcomes, dtype=torch.int32),
                self.next_state.flatten().to(torch.int32),
                (self.probability * ~self.terminated).flatten(),
                size=(pairs, self.states),
                check_invariants=False,  # an outcome list may name a state twice or out of order; the product is the same
            )

    @cached_property
    def live(self) -> Tensor:
        """The states in which an agent can act: reachable from the start without an end in between; bool, shape (S,).

        Terminal states and states that no episode visits are not live. A learner learns nothing about them, so every
        distance between a learner and an exact answer in this course is taken over the live states.
        """
        goes_on = (self.probability > 0) & ~self.terminated
        live = torch.zeros(self.states, dtype=torch.bool)
        frontier = self.start_probability > 0
        while frontier.any():
            live |= frontier
            reached = self.next_state[frontier][goes_on[frontier]]
            frontier = torch.zeros_like(live).index_fill_(0, reached, True) & ~live
        return live

    # Sampling

    def start(self, runs: int, generator: torch.Generator) -> Tensor:
        """Draw the first state of `runs` episodes from the start distribution: int64, shape (runs,)."""
        if self._only_start is not None:
            return torch.full((runs,), self._only_start)  # nothing to draw
        draw = torch.rand(runs, generator=generator, dtype=torch.float64)
        return torch.searchsorted(self._start_boundaries, draw, right=True)

    def sample(self, state: Tensor, action: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Draw one outcome for each state and action.

        Args:
            state: int64 in [0, S), shape (runs,).
            action: int64 in [0, A), shape (runs,).
            generator: source of the randomness; one draw for each run, whatever the other runs do.

        Returns:
            next_state (int64), reward (float64) and terminated (bool), each of shape (runs,).
        """
        # The boundaries of a pair's outcomes cut [0, 1) into intervals. The outcome is the number of boundaries passed.
        pair = torch.add(action, state, alpha=self.actions)
        draw = torch.rand((len(pair), 1), generator=generator, dtype=torch.float64)
        passed = self._boundaries.index_select(0, pair) <= draw
        outcome = torch.add(passed.sum(-1), pair, alpha=self.outcomes)
        return self.next_state.take(outcome), self.reward.take(outcome), self.terminated.take(outcome)

    @cached_property
    def _boundaries(self) -> Tensor:
        return cumulative(self.probability.flatten(0, 1))[:, :-1].contiguous()

    @cached_property
    def _start_boundaries(self) -> Tensor:
        return cumulative(self.start_probability)

    @cached_property
    def _only_start(self) -> int | None:
        possible: list[int] = self.start_probability.nonzero().flatten().tolist()
        return possible[0] if len(possible) == 1 else None

    def exploring_starts(self) -> Self:
        """Return the same MDP with episodes that start in a live state drawn uniformly."""
        return attrs.evolve(self, start_probability=self.live / self.live.sum(dtype=torch.float64))

    # Where an MDP comes from

    @classmethod
    def from_outcomes(
        cls,
        outcomes: Sequence[Sequence[Sequence[Outcome]]],
        *,
        start_probability: Tensor,
        discount: float,
        **labels: Any,
    ) -> Self:
        """Make an MDP from nested lists: outcomes[s][a] is a list of (probability, next_state, reward, terminated).

        Lists may differ in length; shorter ones are padded with outcomes of probability 0. `labels` are `state_labels`,
        `action_labels` and `drawing`.

        Raises:
            ValueError: If states differ in their number of actions, if an entry is not an outcome, or for anything that
                FiniteMDP refuses.
        """
        if not (outcomes and outcomes[0]):
            raise ValueError("outcomes must hold at least one state with at least one action, but is empty.")
        states, actions = len(outcomes), len(outcomes[0])
        most = max(len(pair) for row in outcomes for pair in row)
        probability = torch.zeros(states, actions, most, dtype=torch.float64)
        next_state = torch.zeros(states, actions, most, dtype=torch.int64)
        reward = torch.zeros_like(probability)
        terminated = torch.zeros(states, actions, most, dtype=torch.bool)
        for s, row in enumerate(outcomes):
            if len(row) != actions:
                raise ValueError(
                    f"State {s} has {len(row)} actions, but state 0 has {actions}; every state needs the same."
                )
            for a, pair in enumerate(row):
                for k, outcome in enumerate(pair):
                    probability[s, a, k], next_state[s, a, k], reward[s, a, k], terminated[s, a, k] = _outcome(
                        outcome, f"State {s}, action {a}"
                    )
        return cls(probability, next_state, reward, terminated, start_probability, discount, **labels)

    @classmethod
    def from_gymnasium(cls, environment: str | gymnasium.Env[Any, Any], *, discount: float, **options: Any) -> Self:
        """Take over the model of one of Gymnasium's toy-text environments: its own numbers, nothing estimated.

        Args:
            environment: an id such as "FrozenLake-v1", "CliffWalking-v1" or "Taxi-v4", or an environment.
            discount: γ in [0, 1].
            options: of `gymnasium.make`, for an id only, such as `is_slippery=False`. Wrappers, such as a time limit, are
                not part of the model.

        Raises:
            TypeError: If spaces are not discrete, if `environment` is neither an id nor an environment, or if options
                come with an environment.
            ValueError: If Gymnasium does not know the id, or if the environment keeps no model.
        """
        return cls.from_outcomes(**read_environment(environment, options), discount=discount)

    @classmethod
    def from_json(cls, path: str | Path) -> Self:
        """Read an MDP from a file in the format that `data/README.md` describes.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If the file is not JSON, if keys are missing or unknown, or for anything that FiniteMDP refuses; the
                file and the key are named.
        """
        path = Path(path)
        try:
            return cls.from_outcomes(**read_document(path))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path.name}: {error}") from error


def digest(*tensors: Tensor) -> str:
    """Return eight hexadecimal digits that identify these numbers; numbers that are equal in float32 count as equal."""
    content = hashlib.sha256()
    for tensor in tensors:
        numbers = tensor.float() if tensor.is_floating_point() else tensor  # last digits may differ between machines
        content.update(numbers.contiguous().numpy().tobytes())
    return content.hexdigest()[:8]


def cumulative(probability: Tensor) -> Tensor:
    """Return running sums over the last axis that end at exactly 1, so that a draw in [0, 1) always falls inside."""
    running = probability.cumsum(-1)
    possible = (probability > 0).cumsum(-1)
    running[possible == possible[..., -1:]] = 1.0  # from the last possible outcome on
    return running


def _outcome(entry: Any, where: str) -> Outcome:
    try:
        probability, next_state, reward, terminated = entry
        if not isinstance(terminated, bool | np.bool_):
            raise TypeError("terminated is neither true nor false")
        return float(probability), operator.index(next_state), float(reward), bool(terminated)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"{where} must list (probability, next_state, reward, terminated), but has {entry!r}: {error}."
        ) from error
