"""The exercises of lesson 03, DQN: reference answers, cases and misconceptions.

They can be imported and read: they are for learning, not for exams.
"""

# ruff: noqa: ARG001, ARG005 an argument that is not read is what many a misconception comes to

from collections.abc import Callable

import attrs
import torch
from torch import Tensor

from sac_tutorial.agents.dqn import DQN, DQNSettings
from sac_tutorial.check.calls import Fault, FaultFound, comparable
from sac_tutorial.check.diagnosis import Case, Exercise, Misconception, flags, table, without_gradient
from sac_tutorial.deep.networks import MLP
from sac_tutorial.deep.off_policy import train
from sac_tutorial.deep.replay_buffer import ReplayBuffer
from sac_tutorial.deep.schedule import LinearSchedule
from sac_tutorial.equations import double_value, greedy_value, taken_value, td_target
from sac_tutorial.exact.dynamic_programming import epsilon_greedy_q, optimal_q, policy_q
from sac_tutorial.worlds.features import coordinates
from sac_tutorial.worlds.gridworld import gridworld
from sac_tutorial.worlds.mdp import FiniteMDP
from sac_tutorial.worlds.vector_env import make_envs

# Exercise 3.1: a semi-gradient step of a linear Q


def _semi_gradient_step(weights: Tensor, features: Tensor, action: Tensor, target: Tensor, step_size: float) -> Tensor:
    """Return θ + η (y − Q(s,a;θ)) ∇Q(s,a;θ), equation (3.3), for the linear Q of (3.1)."""
    return _stepped(lambda q, taken, y: (y - taken).unsqueeze(-1) * _one_hot(action, q))(
        weights, features, action, target, step_size
    )


def _one_hot(action: Tensor, q: Tensor) -> Tensor:
    return torch.nn.functional.one_hot(action, q.shape[-1]).to(q.dtype)


def _stepped(push: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """Make a step that adds η · push · φ: `push(Q(s,·), Q(s,a), y)` says how hard each action is pushed, (R, A)."""

    def step(weights: Tensor, features: Tensor, action: Tensor, target: Tensor, step_size: float) -> Tensor:
        q = (weights * features.unsqueeze(-2)).sum(-1)
        pushed = push(q, taken_value(q, action), target)
        return weights + step_size * pushed.unsqueeze(-1) * features.unsqueeze(-2)

    return step


def _at_the_action(push: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """Make a step that pushes the action taken only, by `push(Q(s,·), Q(s,a), y)`, shape (R,)."""

    def step(weights: Tensor, features: Tensor, action: Tensor, target: Tensor, step_size: float) -> Tensor:
        return _stepped(lambda q, taken, y: push(q, taken, y).unsqueeze(-1) * _one_hot(action, q))(
            weights, features, action, target, step_size
        )

    return step


def _features_forgotten(weights: Tensor, features: Tensor, action: Tensor, target: Tensor, step_size: float) -> Tensor:
    q = (weights * features.unsqueeze(-2)).sum(-1)
    error = target - taken_value(q, action)
    return weights + step_size * (error.unsqueeze(-1) * _one_hot(action, q)).unsqueeze(-1)


def _mean_for_sum(weights: Tensor, features: Tensor, action: Tensor, target: Tensor, step_size: float) -> Tensor:
    count = features.shape[-1]  # y − Q/F = (F y − Q)/F
    return _semi_gradient_step(weights, features, action, count * target, step_size / count)


def _only_the_row(weights: Tensor, features: Tensor, action: Tensor, target: Tensor, step_size: float) -> Tensor:
    moved = _semi_gradient_step(weights, features, action, target, step_size)
    return moved[torch.arange(len(moved)), action]


def _error_written(weights: Tensor, features: Tensor, action: Tensor, target: Tensor, step_size: float) -> Tensor:
    moved = _semi_gradient_step(weights, features, action, target, step_size)
    return torch.where(_one_hot(action, weights[..., 0]).bool().unsqueeze(-1), moved - weights, weights)


# One run, two actions, three features: under the second features Q(s, ·) = (0.5, 3.5).
_WEIGHTS, _FEATURES = table([[1.0, 3.0, 2.0], [2.0, 1.0, 4.0]]), table([2.0, -1.0, 1.0]) / 2

semi_gradient_step = Exercise(
    "semi_gradient_step",
    _semi_gradient_step,
    cases=[
        Case(
            "the features are one-hot, so that the weights are a table",
            (_WEIGHTS, table([0.0, 1.0, 0.0]), torch.tensor([0]), table(7.0), 0.25),
            "One entry of the table moves, that of the state and the action: a quarter of the way from 3 to 7. All others "
            "stay.",
        ),
        Case(
            "the features have three numbers and the best action was taken",
            (_WEIGHTS, _FEATURES, torch.tensor([1]), table(9.5), 0.25),
            "Q(s, a) is the sum of features times weights of that action. Of it, the derivative with respect to one weight "
            "is the feature that stands beside that weight.",
        ),
        Case(
            "the action taken is not the best one",
            (_WEIGHTS, _FEATURES, torch.tensor([0]), table(9.0), 0.25),
            "The error is that of the action that was taken, and so is the row of weights that moves.",
        ),
        Case(
            "the target lies below the estimate",
            (_WEIGHTS, _FEATURES, torch.tensor([1]), table(-4.0), 0.25),
            "An estimate that is too high must come down: along the features, with the sign of y − Q.",
        ),
        Case(
            "there are two runs of three actions and four features",
            (
                (torch.arange(24, dtype=torch.float64) * 5 % 24).view(2, 3, 4),
                table([1.0, -1.0, 0.5, 0.0], [0.0, 2.0, 1.0, -0.5]),
                torch.tensor([2, 0]),
                table(20.0, -10.0),
                0.5,
            ),
            "Each run has weights, features, an action and a target of its own: torch.arange(R) pairs run 0 with action[0] "
            "and run 1 with action[1].",
        ),
    ],
    misconceptions=[
        Misconception(
            "every action's weights move",
            _stepped(lambda q, taken, y: (y - taken).unsqueeze(-1).expand_as(q)),
            "The weights of all actions move, also of those that were not taken. On which weights does Q(s, a; θ) depend, "
            "and what is its derivative with respect to the others?",
        ),
        Misconception(
            "every action is drawn to the target",
            _stepped(lambda q, taken, y: y.unsqueeze(-1) - q),
            "You draw every action towards the target, each by its own error. The target tells what one action led to: what "
            "is known of the others?",
        ),
        Misconception(
            "wrong sign",
            _at_the_action(lambda q, taken, y: taken - y),
            "Your step leads away from the target. The gradient of the loss carries a minus, and descending another one: how "
            "many are left in (3.3)?",
        ),
        Misconception(
            "wrong sign and factor 2",
            _at_the_action(lambda q, taken, y: 2 * (taken - y)),
            "Your step is twice as long and leads away from the target. In (y − Q)² there is a minus before Q: what becomes of "
            "it in the gradient? And where has the 2 gone in (3.3)?",
        ),
        Misconception(
            "mean for the sum",
            _mean_for_sum,
            "Your Q(s, a) is the mean of features times weights. Is a state worth less when it is described by more features? "
            "(3.1) has a Σ.",
        ),
        Misconception(
            "features forgotten",
            _features_forgotten,
            "You add the same to every weight of the action. How much does Q(s, a; θ) change with one weight? That factor of "
            "(3.3) is missing.",
        ),
        Misconception(
            "error of the largest value",
            _at_the_action(lambda q, taken, y: y - q.amax(-1)),
            "You compare the target with the largest of Q(s, ·). In (3.3) it is compared with the value of the action that was "
            "taken; the maximum has its place inside y.",
        ),
        Misconception(
            "weights of the best action",
            _stepped(lambda q, taken, y: (y - q.amax(-1)).unsqueeze(-1) * _one_hot(q.argmax(-1), q)),
            "You teach the action that looks best, whichever was taken. What do r and s′ tell about an action that was not "
            "taken?",
        ),
        Misconception(
            "target added, not error",
            _at_the_action(lambda q, taken, y: y),
            "Your weights move by the target itself, and go on moving when Q has long reached it. What must the step be when "
            "Q(s, a; θ) = y?",
        ),
        Misconception(
            "η forgotten",
            lambda weights, features, action, target, step_size: _semi_gradient_step(
                weights, features, action, target, 1.0
            ),
            "Your step has its full length whatever η is. Which factor holds it back?",
        ),
        Misconception(
            "factor 2",
            _at_the_action(lambda q, taken, y: 2 * (y - taken)),
            "Your step is twice as long: you have differentiated the square, which is right. In (3.3) the 2 has gone into η.",
        ),
        Misconception(
            "averaged over the runs",
            lambda weights, features, action, target, step_size: _semi_gradient_step(
                weights, features, action, target, step_size / len(weights)
            ),
            "Your step is divided by the number of runs, as that of a mean over them is. Each run is a learner of its own: "
            "what is it to one how many others there are?",
        ),
        Misconception(
            "only the row that moves",
            _only_the_row,
            "You return the weights of the action that was taken, and nothing of the others. All weights are wanted, those "
            "that stay as well.",
        ),
        Misconception(
            "step written, not added",
            _error_written,
            "The weights of the action become the step itself. (3.3) adds it to what was there.",
        ),
    ],
)


# Exercise 3.2: the target of DQN


def _dqn_target(
    reward: Tensor, terminated: Tensor, online_next_q: Tensor, target_next_q: Tensor, discount: float
) -> Tensor:
    """Return y = r + γ (1 − d) max_a′ Q(s′,a′;θ̄), equation (3.8), without gradient."""
    return td_target(reward, terminated, greedy_value(target_next_q.detach()), discount)


def _detached(answer: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def target(r: Tensor, d: Tensor, o: Tensor, t: Tensor, g: float) -> Tensor:
        return answer(r, d, o.detach(), t.detach(), g)

    return target


# As many rows as actions: whoever takes the maximum over the wrong axis gets numbers, not an exception.
_ONLINE = table([6.0, 2.0, 11.0], [-3.0, -9.0, -5.0], [1.0, 7.0, 4.0])
_TARGET = table([2.0, 10.0, 4.0], [-8.0, -2.0, -6.0], [6.0, 1.0, 3.0])
_REWARDS, _NONE = table(1.0, 3.0, 5.0), flags(False, False, False)

dqn_target = Exercise(
    "dqn_target",
    _dqn_target,
    cases=[
        Case(
            "three episodes go on and the networks disagree",
            (_REWARDS, _NONE, _ONLINE, _TARGET, 0.5),
            "The target is the reward plus γ times the largest value that the target network gives to the next state, a row "
            "each.",
        ),
        Case(
            "two of three episodes end",
            (_REWARDS, flags(True, False, True), _ONLINE, _TARGET, 0.5),
            "Nothing comes after a terminal transition, but its reward was earned. Which factor of (3.8) says so, row by row?",
        ),
        Case(
            "both networks' values carry gradients",
            (_REWARDS, _NONE, _ONLINE.clone().requires_grad_(), _TARGET.clone().requires_grad_(), 0.5),
            "In (3.2) y is held fixed: it is an answer to approach, not a thing to move. What does .detach() do, or "
            "`with torch.no_grad():`?",
        ),
        Case(
            "two runs stand in front of a batch of three",
            (
                table([1.0, 2.0, 3.0], [4.0, 5.0, 6.0]),
                flags([False, True, False], [False, False, False]),
                (torch.arange(24, dtype=torch.float64) * 11 % 24).view(2, 3, 4),
                (torch.arange(24, dtype=torch.float64) * 5 % 24).view(2, 3, 4),
                0.5,
            ),
            "The actions are on the last axis, whatever stands in front of it: count it from the end, as -1.",
        ),
        Case(
            "two runs stand in front of a batch of one",
            (
                table([1.0], [2.0]),
                flags([False], [True]),
                table([[4.0, 9.0, 2.0]], [[3.0, 5.0, 6.0]]),
                table([[6.0, 3.0, 8.0]], [[2.0, 7.0, 5.0]]),
                0.5,
            ),
            "squeeze() removes every axis of length 1, the batch's too; squeeze(-1) looks at the last axis only.",
        ),
    ],
    # Below: r and d are the reward and terminated, o and t what the online and the target network say; g is the discount.
    misconceptions=[
        Misconception(
            "online network",
            _detached(lambda r, d, o, t, g: td_target(r, d, o.amax(-1), g)),
            "Your target takes its values from the online network: it moves with every step that is made towards it. Which "
            "network in (3.8) has a bar, and why was it made?",
        ),
        Misconception(
            "double DQN's target",
            _detached(lambda r, d, o, t, g: td_target(r, d, double_value(o, t), g)),
            "Your action is chosen by one network and judged by the other. That is lesson 04's idea, and a good one; in (3.8) "
            "one network does both. Which?",
        ),
        Misconception(
            "double DQN's target with the roles swapped",
            _detached(lambda r, d, o, t, g: td_target(r, d, double_value(t, o), g)),
            "Your target network chooses the action, but the online network says what it is worth. In (3.8) only one network "
            "occurs.",
        ),
        Misconception(
            "larger of the two networks",
            _detached(lambda r, d, o, t, g: td_target(r, d, torch.maximum(o, t).amax(-1), g)),
            "Your target takes the largest of both networks' values. In (3.8) only one of them is asked.",
        ),
        Misconception(
            "mask dropped",
            _detached(lambda r, d, o, t, g: r + g * t.amax(-1)),
            "Your target still contains the value of the next state where the episode has ended. Nothing comes after a "
            "terminal transition: which factor of (3.8) says so?",
        ),
        Misconception(
            "mask upside-down",
            _detached(lambda r, d, o, t, g: td_target(r, ~d, t.amax(-1), g)),
            "Your target adds the future exactly where the episode has ended. (3.8) has 1 − d there: which of terminated and "
            "~terminated is that?",
        ),
        Misconception(
            "the mask wipes the last reward",
            _detached(lambda r, d, o, t, g: ~d * (r + g * t.amax(-1))),
            "Your target loses the reward of the step that ends the episode, often the only one there is. (1 − d) stands "
            "before the value alone.",
        ),
        Misconception(
            "γ on the reward too",
            _detached(lambda r, d, o, t, g: g * (r + ~d * t.amax(-1))),
            "Your target discounts the reward as well. The reward comes now; only what comes after it is a step away.",
        ),
        Misconception(
            "γ forgotten",
            _detached(lambda r, d, o, t, g: td_target(r, d, t.amax(-1), 1.0)),
            "Your target does not discount: what comes a step later counts in full. Where is γ?",
        ),
        Misconception(
            "mean instead of maximum",
            _detached(lambda r, d, o, t, g: td_target(r, d, t.mean(-1), g)),
            "Your target averages over the next actions. Whose policy is evaluated by that, and whose does Q-learning want?",
        ),
        Misconception(
            "number of the best action",
            _detached(lambda r, d, o, t, g: td_target(r, d, t.argmax(-1), g)),
            "Your target contains the number of the best action, 0, 1 or 2. argmax says which action is the best; what is it "
            "worth?",
        ),
        Misconception(
            "one maximum for all",
            _detached(lambda r, d, o, t, g: td_target(r, d, t.amax(), g)),
            "Your answer takes one maximum of everything. Each next state has a row of its own: which axis holds the actions?",
        ),
        Misconception(
            "maximum over the batch",
            _detached(lambda r, d, o, t, g: td_target(r, d, t.amax(0), g)),
            "Your answer takes the maximum over the first axis and so compares different next states with one another. The "
            "actions are on the last axis.",
        ),
        Misconception(
            "axis counted from the front",
            _detached(lambda r, d, o, t, g: td_target(r, d, t.amax(1), g)),
            "Your answer takes the maximum over axis 1: the actions of a batch, but not those of a batch with runs in front. "
            "Counted from the end, the actions are always axis -1.",
        ),
        Misconception(
            "keepdim",
            _detached(lambda r, d, o, t, g: td_target(r, d, t.amax(-1, keepdim=True), g)),
            "An axis of length 1 was left over, in your maximum perhaps: (B, 1) met (B,), and every reward the value of every "
            "next state. One target a transition is wanted.",
        ),
        Misconception(
            "gradient through the target",
            lambda r, d, o, t, g: td_target(r, d, t.amax(-1), g),
            "Descending the loss, the optimiser would also pull y towards Q(s, a): the cheaper way to make the two agree, and "
            "what (3.4) warns of. Which word of PyTorch makes a number of it that is merely known?",
        ),
    ],
    observe=without_gradient,
)


# Exercise 3.3: what to store

_PARTS = {"s": (0, 0), "a": (1, 1), "r": (2, 2), "s′": (3, 3), "d": (4, 5)}
"""The place of each part in the answer, and that of the argument whose type and shape it has."""


def _transition(
    observation: Tensor,
    action: Tensor,
    reward: Tensor,
    next_observation: Tensor,
    reset_observation: Tensor,
    terminated: Tensor,
    truncated: Tensor,
) -> tuple[Tensor, ...]:
    """Return (s, a, r, s′, d) as the target (3.8) needs them."""
    return observation, action, reward, next_observation, terminated


def _stored(answer: Callable[..., object], parts: str, *arguments: Tensor) -> Tensor:
    """Return some parts of the transition, side by side, one row a run."""
    transition = answer(*arguments)
    if not isinstance(transition, tuple | list) or len(transition) != len(_PARTS):
        found = len(transition) if isinstance(transition, tuple | list) else f"a {type(transition).__name__}"
        raise FaultFound(
            "no transition", f"your function must return five tensors, (s, a, r, s′, d), but it returns {found}."
        )
    columns, faults = [], []
    for part in parts.split():
        place, like = _PARTS[part]
        try:
            column = comparable(transition[place], arguments[like], chosen=False)
            columns.append(column.double().view(len(column), -1))
        except FaultFound as error:
            faults.append(Fault(f"{part}: {error.fault.kind}", f"for {part}, {error.fault.sentence}"))
    if faults:  # all kinds together: two parts in each other's place are another mistake than one of a wrong type
        raise FaultFound("; ".join(fault.kind for fault in faults), faults[0].sentence)
    return torch.cat(columns, -1)


def _three_runs(terminated: Tensor, truncated: Tensor) -> tuple[Tensor, ...]:
    """Return what a step of three runs gave; whose episode ended stands at the beginning of the next, (0, 1), already."""
    seen, following = table([1.0, 2.0], [3.0, 4.0], [5.0, 6.0]), table([2.0, 4.0], [6.0, 8.0], [10.0, 12.0])
    ended = (terminated | truncated).unsqueeze(-1)
    begun = torch.where(ended, table(0.0, 1.0), following)
    return seen, torch.tensor([2, 0, 1]), table(-5.0, 0.5, 3.0), following, begun, terminated, truncated


transition = Exercise(
    "transition",
    _transition,
    cases=[
        Case(
            "s, a and r are looked up, whatever became of the episodes",
            ("s a r", *_three_runs(flags(True, False, False), flags(False, True, False))),
            "What was seen, what was done and what it earned are stored as they came. In which order do they stand, and are "
            "they still what they were?",
        ),
        Case(
            "s′ is looked up and all episodes go on",
            ("s′", *_three_runs(_NONE, _NONE)),
            "s′ is where the step led.",
        ),
        Case(
            "s′ is looked up and the second episode was cut off",
            ("s′", *_three_runs(_NONE, flags(False, True, False))),
            "The step led somewhere before the clock ran out, and the target needs the value of that place. From where does "
            "the next episode come?",
        ),
        Case(
            "s′ is looked up and the first episode ended",
            ("s′", *_three_runs(flags(True, False, False), _NONE)),
            "Even at an end, s′ is where the step led. Its value won't count: (1 − d) sees to that.",
        ),
        Case(
            "d is looked up, the first episode ended and no other",
            ("d", *_three_runs(flags(True, False, False), _NONE)),
            "d is true where nothing can come any more, and false elsewhere.",
        ),
        Case(
            "d is looked up and the second episode was cut off",
            ("d", *_three_runs(_NONE, flags(False, True, False))),
            "A time limit is ours, not the world's: what does (3.8) make of a d that is true here?",
        ),
        Case(
            "d is looked up and an end fell on the last step before the time limit",
            ("d", *_three_runs(flags(True, False, False), flags(True, True, False))),
            "The first episode did end, whatever the clock said; the second was merely cut off.",
        ),
    ],
    # Below: s, a, r, n, b are the observation, action, reward, the next observation and that after the reset; d, c the flags.
    misconceptions=[
        Misconception(
            "truncation taken for an end",
            lambda s, a, r, n, b, d, c: (s, a, r, n, d | c),
            "Your d is true wherever an episode is over, as older code's `done` was. Where a time limit cut it off, s′ still "
            "has a value: what would your targets be there?",
        ),
        Misconception(
            "truncated stored",
            lambda s, a, r, n, b, d, c: (s, a, r, n, c),
            "You store truncated, which is true where we stopped looking. Which of the two flags means that nothing can come?",
        ),
        Misconception(
            "mask stored",
            lambda s, a, r, n, b, d, c: (s, a, r, n, ~d),
            "You store 1 − d, true where the episode goes on. The target will take 1 minus it once more.",
        ),
        Misconception(
            "first observation of the next episode",
            lambda s, a, r, n, b, d, c: (s, a, r, b, d),
            "Your s′ is the beginning of the next episode wherever one is over. Did the action lead there, or did we carry the "
            "agent back?",
        ),
        Misconception(
            "first observation of the next episode and truncation taken for an end",
            lambda s, a, r, n, b, d, c: (s, a, r, b, d | c),
            "Your s′ is the beginning of the next episode, and your d hides it wherever one is over. Then nothing wrong is "
            "learnt from s′, but what is learnt where a time limit cut off an episode?",
        ),
        Misconception(
            "s and s′ swapped",
            lambda s, a, r, n, b, d, c: (n, a, r, s, d),
            "Your transition runs backwards: from which of the two observations did the action lead to the other?",
        ),
        Misconception(
            "d before s′",
            lambda s, a, r, n, b, d, c: (s, a, r, d, n),
            "Your d stands before your s′. Whoever reads the tuple goes by the order: s, a, r, s′, d.",
        ),
        Misconception(
            "s′ before r",
            lambda s, a, r, n, b, d, c: (s, a, n, r, d),
            "Your s′ stands before your r. Whoever reads the tuple would take an observation for a reward: the order is "
            "s, a, r, s′, d.",
        ),
        Misconception(
            "r before a",
            lambda s, a, r, n, b, d, c: (s, r, a, n, d),
            "Your r stands before your a. Whoever reads the tuple would take a reward for the number of an action.",
        ),
        Misconception(
            "reward of the last step wiped",
            lambda s, a, r, n, b, d, c: (s, a, r * ~d, n, d),
            "The reward of the step that ends an episode is gone. It was earned; 1 − d stands before the value of s′, and the "
            "target will put it there.",
        ),
        Misconception(
            "rewards clipped",
            lambda s, a, r, n, b, d, c: (s, a, r.clamp(-1, 1), n, d),
            "Your rewards are clipped to [−1, 1], as was done on Atari's games to have one learning rate for all. It makes "
            "another problem with another Q*. Is that asked for?",
        ),
    ],
    observe=_stored,
)


# Exercise 3.4: how the target network follows


def _polyak_update(target: Tensor, online: Tensor, rate: float) -> Tensor:
    """Return (1 − τ) θ̄ + τ θ, equation (3.11), without gradient."""
    return target + rate * (online.detach() - target)


polyak_update = Exercise(
    "polyak_update",
    _polyak_update,
    cases=[
        Case(
            "τ is ¼",
            (table(4.0, 0.0, -8.0), table(8.0, 6.0, 8.0), 0.25),
            "A quarter of the new, three quarters of the old: 4 becomes 5 when the online network says 8.",
        ),
        Case(
            "τ is 1",
            (table(4.0, 0.0, -8.0), table(8.0, 6.0, 8.0), 1.0),
            "With τ = 1 the target network is the online network: equation (3.10).",
        ),
        Case(
            "τ is 0",
            (table(4.0, 0.0, -8.0), table(8.0, 6.0, 8.0), 0.0),
            "With τ = 0 the target network never moves.",
        ),
        Case(
            "the online parameters carry a gradient",
            (table(4.0, 0.0, -8.0), table(8.0, 6.0, 8.0).requires_grad_(), 0.25),
            "θ is what the optimiser learns, θ̄ is a number to it. A θ̄ that remembers how it came about drags every earlier θ "
            "along.",
        ),
        Case(
            "there are two runs of three rows and four columns, and τ is 0.01",
            (
                (torch.arange(24, dtype=torch.float64) * 5 % 24).view(2, 3, 4),
                (torch.arange(24, dtype=torch.float64) * 11 % 24).view(2, 3, 4) * 100,
                0.01,
            ),
            "Parameters have any shape, and every entry follows its own.",
        ),
    ],
    misconceptions=[
        Misconception(
            "τ on the wrong side",
            lambda target, online, rate: rate * target + (1 - rate) * online.detach(),
            "Your target network takes 1 − τ of the online one at once. With a small τ, which of the two should hardly move?",
        ),
        Misconception(
            "added without making room",
            lambda target, online, rate: target + rate * online.detach(),
            "Your target network adds a part of the online one each time and grows without end. In (3.11) the two weights sum "
            "to 1.",
        ),
        Misconception(
            "copy",
            lambda target, online, rate: online.detach().clone(),
            "Your target network becomes the online one whatever τ is: a copy at every step, as if there were none.",
        ),
        Misconception(
            "mean of the two",
            lambda target, online, rate: (target + online.detach()) / 2,
            "Your target network takes half of each. (3.11) has a τ.",
        ),
        Misconception(
            "away from the online network",
            lambda target, online, rate: target - rate * (online.detach() - target),
            "Your target network moves away from the online one. Which of the two is subtracted from which?",
        ),
        Misconception(
            "both shrunk",
            lambda target, online, rate: (1 - rate) * (target + rate * online.detach()),
            "Your 1 − τ stands before the sum of both. In (3.11) it stands before θ̄ alone.",
        ),
        Misconception(
            "step returned, not added",
            lambda target, online, rate: rate * (online.detach() - target),
            "You return the step itself, τ(θ − θ̄), and not where it leads. From where does it set out?",
        ),
        Misconception(
            "1 − τθ̄",
            lambda target, online, rate: 1 - rate * target + rate * online.detach(),
            "You take τθ̄ away from 1. In (3.11) 1 − τ is the share that is left of θ̄: where are the brackets?",
        ),
        Misconception(
            "gradient carried along",
            lambda target, online, rate: (1 - rate) * target + rate * online,
            "Your θ̄ is tied to θ by a gradient. The next loss would flow through it into θ, and memory would grow with every "
            "step. Which word of PyTorch cuts the tie?",
        ),
    ],
    observe=without_gradient,
)


# Exercise 3.5: the learner's own greedy value in a network that learns

TRAINED_RUNS, TRAINED_STEPS, ENOUGH_RUNS = 8, 2_000, 7
TRAINED_DISTANCE = 0.35
"""How near to an exact answer a trained run must end, over live states.

The four answers lie 0.44 and more apart. Of 400 runs each with the maximum, the mean, the minimum and the first action, 399,
400, 399 and 399 ended within 0.35 of their own answer (medians 0.14, 0.09, 0.11, 0.15; the worst of all 0.41). Within 0.35 of
another one were 2 % of the runs with the first action (of the uniform policy's) and no others.
"""


def _first_action_only(mdp: FiniteMDP) -> Tensor:
    return torch.eye(mdp.actions, dtype=torch.float64)[0].expand(mdp.states, -1)


_ANSWERS: dict[str, Callable[[FiniteMDP], Tensor]] = {
    "Q*": optimal_q,
    "the Q of the uniform policy": lambda mdp: epsilon_greedy_q(mdp, 1.0),
    "the Q of the worst actions": lambda mdp: -optimal_q(attrs.evolve(mdp, reward=-mdp.reward)),
    "the Q of always taking action 0": lambda mdp: policy_q(mdp, _first_action_only(mdp)),
}
"""The exact answers that a learner may end at."""


def train_on_the_crossing(next_value: Callable[[Tensor], Tensor], runs: int = TRAINED_RUNS, seed: int = 0) -> Tensor:
    """Train DQN on the course MDP, shown by coordinates, from transitions all over it; return Q, shape (runs, S, A)."""
    mdp = crossing()
    envs = make_envs(mdp.exploring_starts(), runs, features=coordinates(mdp), time_limit=1)
    rate = LinearSchedule(1e-2, 0.0, updates=1_800)
    settings = DQNSettings(discount=mdp.discount, learning_rate=rate, epsilon=1.0, target_period=50)
    agent = DQN(envs, settings, network=MLP(2, (64,), mdp.actions), next_value=next_value, seed=seed)
    replay = ReplayBuffer(envs, TRAINED_STEPS)
    for _ in train(
        envs, agent, replay, steps=TRAINED_STEPS, learning_starts=200, batch_size=64, seed=seed, progress=False
    ):
        pass
    return agent.q(coordinates(mdp)).double()


def crossing() -> FiniteMDP:
    """Return the course MDP, data/crossing.json: an installed package has no such folder."""
    return gridworld([".....", ".###.", "S...G", "#HHH#"], discount=0.9, slip=0.1)


def _train(answer: Callable[..., object]) -> Tensor:
    """Train eight runs on the course MDP and say where they end, with a function that must also be right elsewhere.

    "There" is within `TRAINED_DISTANCE`, over live states, in at least seven runs.

    Returns:
        1, if it is at Q*.

    Raises:
        FaultFound: if it is at another of `_ANSWERS` (the kind of the fault says which) or at none, or if the function is
            wrong for other numbers all the same.
    """

    def next_value(q_next: Tensor) -> Tensor:
        return comparable(answer(q_next), q_next[..., 0])

    mdp = crossing()
    q = train_on_the_crossing(next_value)

    def ends_at(exact: Tensor) -> bool:
        distance = (q - exact)[:, mdp.live].abs().amax((-1, -2))
        return bool((distance <= TRAINED_DISTANCE).sum() >= ENOUGH_RUNS)

    place = next((place for place, exact in _ANSWERS.items() if ends_at(exact(mdp))), None)
    if place is None:
        raise FaultFound(
            "nowhere",
            f"fewer than {ENOUGH_RUNS} of them end at Q*, nor do they at another answer that we know. Try your function on a "
            "row that you can work out by hand, such as torch.tensor([1.0, 5.0, 3.0]).",
        )
    if place != "Q*":
        raise FaultFound(place, f"at least {ENOUGH_RUNS} of them end at {place}, not at Q*.")
    rows = (torch.arange(24.0) * 7 % 24 - 30).view(2, 3, 4)
    if not torch.equal(comparable(answer(rows), rows[..., 0]), greedy_value(rows)):
        raise FaultFound(
            "not everywhere",
            "they end at Q*, but your function is wrong for other numbers than theirs: negative ones, for instance.",
        )
    return torch.tensor(1.0, dtype=torch.float64)


trained_dqn = Exercise(
    "trained_dqn",
    lambda q_next: greedy_value(q_next),
    cases=[
        Case(
            f"{TRAINED_RUNS} runs of DQN are trained with your function",
            (),
            "At least seven of the runs must end at the exact Q*.",
            expected=torch.tensor(1.0, dtype=torch.float64),
        ),
    ],
    misconceptions=[
        Misconception(
            "mean",
            lambda q_next: q_next.mean(-1),
            "The network learnt well, but to value an agent that moves at random. What does an agent do that knows its Q?",
            (Fault("the Q of the uniform policy", ""),),
        ),
        Misconception(
            "minimum",
            lambda q_next: q_next.amin(-1),
            "The network learnt well, but to value an agent that always takes its worst action. Which end of the row does "
            "(3.8) want?",
            (Fault("the Q of the worst actions", ""),),
        ),
        Misconception(
            "first action",
            lambda q_next: q_next[..., 0],
            "The network learnt well, but to value an agent that goes left for ever. An index into the row names an action; "
            "which entry is wanted?",
            (Fault("the Q of always taking action 0", ""),),
        ),
    ],
    observe=_train,
)
