"""A finite Markov decision process as a list of outcomes, and where such a list can come from.

For each state and action there are K outcomes (probability, next_state, reward, terminated), as Gymnasium's toy-text
environments keep them. Averaging the target over the outcomes is dynamic programming; sampling one is Q-learning.

May import: `_borders`, `mdp_json`. The drawn and the random makers live in `gridworld` and `garnet`, the player in
`environment`.
"""

import hashlib
import operator
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import gymnasium
import numpy as np
import torch
from torch import Tensor

from sac_tutorial.validation import number_in
from sac_tutorial.worlds.mdp_json import Outcome, read_document

TOY_TEXT_ACTIONS = {
    "FrozenLakeEnv": ("left", "down", "right", "up"),
    "CliffWalkingEnv": ("up", "right", "down", "left"),
    "TaxiEnv": ("south", "north", "east", "west", "pick up", "drop off"),
}
"""What the actions of Gymnasium's toy-text environments are called, by their class: the environments don't say."""


@dataclass(frozen=True, eq=False, repr=False)
class FiniteMDP:
    """A finite MDP with S states, A actions and at most K outcomes for each pair of them.

    An outcome with `terminated` ends the episode: nothing that comes after it counts, whatever state it names. Outcomes of
    probability 0 are padding. All tensors live on the CPU.

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
        TypeError: for a tensor of the wrong kind, such as `terminated` as numbers.
        ValueError: for wrong shapes, probabilities that are negative, not finite or don't sum to 1 (state and action are
            named), next states out of range, rewards that are not finite, a discount outside [0, 1].

    Source: Puterman (1994), section 2.1; Sutton and Barto (2018), equation 3.2.
    """

    probability: Tensor
    next_state: Tensor
    reward: Tensor
    terminated: Tensor
    start_probability: Tensor
    discount: float
    state_labels: tuple[str, ...] = ()
    action_labels: tuple[str, ...] = ()
    drawing: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check everything at the border, so that nothing behind it has to."""
        for name in ("probability", "next_state", "reward", "terminated", "start_probability"):
            if not isinstance(getattr(self, name), Tensor):
                raise TypeError(f"{name} must be a torch.Tensor, but is a {type(getattr(self, name)).__name__}.")
        if self.probability.dim() != 3 or 0 in self.probability.shape:
            raise ValueError(
                f"probability must have the shape (states, actions, outcomes), none of them 0, "
                f"but has {tuple(self.probability.shape)}."
            )
        for name, kind in {"next_state": torch.int64, "reward": torch.float64, "terminated": torch.bool}.items():
            tensor: Tensor = getattr(self, name)
            if tensor.shape != self.probability.shape:
                raise ValueError(
                    f"{name} must have the shape of probability, {tuple(self.probability.shape)}, "
                    f"but has {tuple(tensor.shape)}."
                )
            if tensor.dtype != kind:
                raise TypeError(f"{name} must be a tensor of {kind}, but is one of {tensor.dtype}.")
        for name in ("probability", "start_probability"):
            if getattr(self, name).dtype != torch.float64:
                raise TypeError(f"{name} must be a tensor of torch.float64, but is one of {getattr(self, name).dtype}.")
        for name, count in {"state_labels": self.states, "action_labels": self.actions}.items():
            self._refuse_string(name)
            labels = tuple(getattr(self, name)) or tuple(str(number) for number in range(count))
            if len(labels) != count or len(set(labels)) != count:
                raise ValueError(f"{name} must be {count} different names, but is {labels}.")
            object.__setattr__(self, name, labels)
        self._refuse_string("drawing")
        object.__setattr__(self, "drawing", tuple(self.drawing))
        if self.drawing and sum(character != "#" for line in self.drawing for character in line) != self.states:
            raise ValueError(f"drawing must hold one character other than '#' for each of the {self.states} states.")
        object.__setattr__(self, "discount", number_in("discount", self.discount, 0, 1))
        self._check_outcomes()

    def _refuse_string(self, name: str) -> None:
        if isinstance(getattr(self, name), str):
            raise TypeError(f"{name} must be several strings, but is the one string {getattr(self, name)!r}.")

    def _check_outcomes(self) -> None:
        total = self.probability.sum(-1)
        for fault, what in (
            (~self.probability.isfinite().all(-1), "a probability that is not finite"),
            ((self.probability < 0).any(-1), "a negative probability"),
            ((total - 1).abs() > 1e-9, "probabilities that don't sum to 1"),
            (((self.next_state < 0) | (self.next_state >= self.states)).any(-1), "a next state out of range"),
            (~self.reward.isfinite().all(-1), "a reward that is not finite"),
        ):
            if fault.any():
                state, action = fault.nonzero()[0].tolist()
                raise ValueError(
                    f"State {self.state_labels[state]!r}, action {self.action_labels[action]!r} has {what}: "
                    f"probabilities {self.probability[state, action].tolist()} (sum {total[state, action]:.12g}), "
                    f"next states {self.next_state[state, action].tolist()} of {self.states}, "
                    f"rewards {self.reward[state, action].tolist()}."
                )
        start = self.start_probability
        if start.shape != (self.states,):
            raise ValueError(f"start_probability must have the shape ({self.states},), but has {tuple(start.shape)}.")
        wrong = ~(start >= 0)  # NaN is wrong too
        if wrong.any():
            state = int(wrong.nonzero()[0])
            raise ValueError(
                f"start_probability must be non-negative, but is {start[state]:g} in state {self.state_labels[state]!r}."
            )
        if not abs(float(start.sum()) - 1) <= 1e-9:
            raise ValueError(f"start_probability must sum to 1, but sums to {start.sum():.12g}.")

    def __repr__(self) -> str:
        """Return the sizes in words; the tables would fill pages."""
        return (
            f"FiniteMDP({self.states} states, {self.actions} actions, "
            f"{self.outcomes} outcomes each, discount {self.discount:g})"
        )

    @property
    def description(self) -> str:
        """The sizes, and a digest of all numbers: by this a checkpoint knows the model again."""
        numbers = (self.probability, self.next_state, self.reward, self.terminated, self.start_probability)
        return f"{self} {digest(*numbers)}"

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return the MDP itself: nothing changes it, so that whoever copies an environment may share it."""
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
        matrix = torch.zeros(self.states, self.actions, self.states, dtype=torch.float64)
        return matrix.scatter_add_(-1, self.next_state, self.probability)

    @cached_property
    def continuation_matrix(self) -> Tensor:
        """P̃(s′|s,a) = Σ_k p_k (1 − d_k) 1[s′_k = s′], equation (1.10), dense, shape (S, A, S).

        A row sums to the probability that the episode goes on.
        """
        matrix = torch.zeros(self.states, self.actions, self.states, dtype=torch.float64)
        return matrix.scatter_add_(-1, self.next_state, self.probability * ~self.terminated)

    @cached_property
    def continuation(self) -> Tensor:
        """P̃ as a sparse matrix of S·A rows and S columns, one entry an outcome: what a sweep of backups multiplies by.

        Rows of outcomes are this layout already; 32-bit indices halve what a sweep has to read.
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
        """Which states an agent can stand in: reachable from the start without an end in between; bool, shape (S,).

        Terminal states are not live, nor are states that no episode visits. A learner never hears of these, so every
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
            generator: source of the randomness; one draw a run, whatever the other runs do.

        Returns:
            next_state (int64), reward (float64) and terminated (bool), each of shape (runs,).
        """
        # The boundaries between a pair's outcomes cut [0, 1) into pieces; the draw has passed as many as its piece's number.
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
        return replace(self, start_probability=self.live / self.live.sum(dtype=torch.float64))

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
            ValueError: if a state has another number of actions than the first, for an outcome that is none, or for anything
                that FiniteMDP refuses.
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
                    try:
                        p, n, r, d = outcome
                        if not isinstance(d, bool | np.bool_):
                            raise TypeError("terminated is neither true nor false")
                        probability[s, a, k], next_state[s, a, k] = float(p), operator.index(n)
                        reward[s, a, k], terminated[s, a, k] = float(r), bool(d)
                    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
                        raise ValueError(
                            f"State {s}, action {a} must list (probability, next_state, reward, terminated), "
                            f"but has {outcome!r}: {error}."
                        ) from error
        return cls(probability, next_state, reward, terminated, start_probability, discount, **labels)

    @classmethod
    def from_gymnasium(cls, environment: str | gymnasium.Env[Any, Any], *, discount: float, **options: Any) -> Self:
        """Take over the model of one of Gymnasium's toy-text environments: its own numbers, nothing estimated.

        Args:
            environment: an id such as "FrozenLake-v1", "CliffWalking-v1" or "Taxi-v4", or an environment.
            discount: γ in [0, 1].
            options: passed to `gymnasium.make` where an id is given, such as `is_slippery=False`. Wrappers of an
                environment, a time limit for instance, are no part of its model.

        Raises:
            ValueError: for an id that Gymnasium doesn't know, or an environment that keeps no model.
            TypeError: for spaces that are not discrete, what is no environment, or options beside an environment.

        Source: Gymnasium 1.4, `env.unwrapped.P` and `initial_state_distrib`.
        """
        if isinstance(environment, str):
            try:
                environment = gymnasium.make(environment, **options)
            except (gymnasium.error.Error, ImportError, KeyError, ValueError) as error:
                raise ValueError(f"Gymnasium can't make the environment {environment!r}: {error}") from error
        elif options:
            raise TypeError(f"options are for an id; {environment!r} is made already, so that {options} come too late.")
        if not isinstance(environment, gymnasium.Env):
            raise TypeError(f"environment must be an id or a gymnasium.Env, but is {environment!r}.")
        bare = environment.unwrapped
        name = bare.spec.id if bare.spec else type(bare).__name__
        for space, what in ((bare.observation_space, "observation"), (bare.action_space, "action")):
            if not isinstance(space, gymnasium.spaces.Discrete):
                raise TypeError(f"{name} has the {what} space {space}; a FiniteMDP needs a Discrete one.")
        model, start = getattr(bare, "P", None), getattr(bare, "initial_state_distrib", None)
        if model is None or start is None:
            raise ValueError(
                f"{name} keeps no model: a FiniteMDP needs `env.unwrapped.P` and `env.unwrapped.initial_state_distrib`, "
                f"which Gymnasium's toy-text environments (FrozenLake, CliffWalking, Taxi) have."
            )
        rows = [[model[s][a] for a in range(len(model[s]))] for s in range(len(model))]
        description = getattr(bare, "desc", None)
        drawing = () if description is None else tuple(b"".join(row).decode() for row in description)
        if sum(map(len, drawing)) != len(rows):
            drawing = ()  # Taxi's map shows places, not states
        return cls.from_outcomes(
            rows,
            start_probability=torch.as_tensor(start, dtype=torch.float64),
            discount=discount,
            action_labels=TOY_TEXT_ACTIONS.get(type(bare).__name__, ()),
            drawing=drawing,
        )

    @classmethod
    def from_json(cls, path: str | Path) -> Self:
        """Read an MDP from a file in the format that `data/README.md` describes.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: for broken JSON, missing or unknown keys, unknown states or actions, or anything that FiniteMDP
                refuses; the file and the key are named.
        """
        path = Path(path)
        try:
            return cls.from_outcomes(**read_document(path))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path.name}: {error}") from error


def digest(*tensors: Tensor) -> str:
    """Return eight hexadecimal digits that tell these numbers from others; what float32 can't tell apart counts as equal."""
    content = hashlib.sha256()
    for tensor in tensors:
        numbers = tensor.float() if tensor.is_floating_point() else tensor  # the last digits may be another machine's
        content.update(numbers.contiguous().numpy().tobytes())
    return content.hexdigest()[:8]


def cumulative(probability: Tensor) -> Tensor:
    """Running sums over the last axis whose end is exactly 1, so that a draw in [0, 1) always falls inside."""
    running = probability.cumsum(-1)
    possible = (probability > 0).cumsum(-1)
    running[possible == possible[..., -1:]] = 1.0  # from the last possible outcome on
    return running
