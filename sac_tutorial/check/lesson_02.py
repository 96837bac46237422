"""The exercises of lesson 02, Q-learning: reference answers, cases and misconceptions.

They can be imported and read: they are for learning, not for exams.
"""

# ruff: noqa: ARG001, ARG005 an argument that is not read is what many a misconception comes to

from collections.abc import Callable

import torch
from torch import Tensor

from sac_tutorial.check.calls import Fault, FaultFound, comparable
from sac_tutorial.check.diagnosis import Case, Exercise, Misconception, flags, table
from sac_tutorial.equations import double_value, epsilon_greedy_value, greedy_value, td_target
from sac_tutorial.exact.dynamic_programming import epsilon_greedy_q
from sac_tutorial.tabular.q_learning import q_learning
from sac_tutorial.tabular.step_sizes import polynomial_step
from sac_tutorial.worlds.gridworld import gridworld

# Exercise 2.1: the target of Q-learning


def _q_learning_target(
    reward: Tensor, terminated: Tensor, truncated: Tensor, q_next: Tensor, discount: float
) -> Tensor:
    """Return y = r + γ (1 − d) max_a′ Q(s′,a′), equation (2.4); being cut off, (2.12), changes nothing."""
    return td_target(reward, terminated, greedy_value(q_next), discount)


# As many rows as actions: whoever takes the maximum over the wrong axis gets numbers, not an exception.
_THREE_ROWS = table([2.0, 10.0, 4.0], [-8.0, -2.0, -6.0], [6.0, 1.0, 3.0])
_THREE_REWARDS, _ALL, _NONE = table(1.0, 3.0, 5.0), flags(True, True, True), flags(False, False, False)

q_learning_target = Exercise(
    "q_learning_target",
    _q_learning_target,
    cases=[
        Case(
            "three episodes go on",
            (_THREE_REWARDS, _NONE, _NONE, _THREE_ROWS, 0.5),
            "The target is the reward plus γ times the best value of the next state, a row each.",
        ),
        Case(
            "two of three episodes end",
            (_THREE_REWARDS, flags(True, False, True), _NONE, _THREE_ROWS, 0.5),
            "Nothing comes after a terminal transition, but its reward was earned. Which factor of (2.4) says so, row by row?",
        ),
        Case(
            "three episodes are cut off by a time limit",
            (_THREE_REWARDS, _NONE, _ALL, _THREE_ROWS, 0.5),
            "The world would have gone on; only we stopped looking. What does (2.12) say about truncation?",
        ),
        Case(
            "an end falls on the last step before the time limit",
            (_THREE_REWARDS, _ALL, _ALL, _THREE_ROWS, 0.5),
            "Where both flags are set, the episode did end: nothing comes after it.",
        ),
        Case(
            "two runs stand in front of a batch of three",
            (
                table([1.0, 2.0, 3.0], [4.0, 5.0, 6.0]),
                flags([False, True, False], [False, False, False]),
                flags([False, False, True], [False, False, False]),
                (torch.arange(24, dtype=torch.float64) * 5 % 24).view(2, 3, 4),
                0.5,
            ),
            "The actions are on the last axis, whatever stands in front of it: count it from the end, as -1.",
        ),
    ],
    # Below: r, d, c and q are the reward, terminated, truncated (cut off) and q_next; g is the discount.
    misconceptions=[
        Misconception(
            "mask dropped",
            lambda r, d, c, q, g: r + g * q.amax(-1),
            "Your target still contains the value of the next state where the episode has ended. Nothing comes after a "
            "terminal transition: which factor of (2.4) says so?",
        ),
        Misconception(
            "mask upside-down",
            lambda r, d, c, q, g: td_target(r, ~d, q.amax(-1), g),
            "Your target adds the future exactly where the episode has ended. (2.4) has 1 − d there: which of terminated and "
            "~terminated is that?",
        ),
        Misconception(
            "truncation taken for an end",
            lambda r, d, c, q, g: td_target(r, d | c, q.amax(-1), g),
            "Your target cuts off the future where a time limit cut off the episode. The state that was reached still has a "
            "value: a time limit is ours, not the world's.",
        ),
        Misconception(
            "terminated and truncated swapped",
            lambda r, d, c, q, g: td_target(r, c, q.amax(-1), g),
            "Your target masks with truncated where (2.4) masks with terminated. Which of the two means that nothing can come?",
        ),
        Misconception(
            "the mask wipes the last reward",
            lambda r, d, c, q, g: ~d * (r + g * q.amax(-1)),
            "Your target loses the reward of the step that ends the episode, often the only one there is. (1 − d) stands "
            "before the value alone.",
        ),
        Misconception(
            "γ on the reward too",
            lambda r, d, c, q, g: g * (r + ~d * q.amax(-1)),
            "Your target discounts the reward as well. The reward comes now; only what comes after it is a step away.",
        ),
        Misconception(
            "γ forgotten",
            lambda r, d, c, q, g: td_target(r, d, q.amax(-1), 1.0),
            "Your target does not discount: what comes a step later counts in full. Where is γ?",
        ),
        Misconception(
            "mean instead of maximum",
            lambda r, d, c, q, g: td_target(r, d, q.mean(-1), g),
            "Your target averages over the next actions. That evaluates the uniform policy; Q-learning wants the best.",
        ),
        Misconception(
            "number of the best action",
            lambda r, d, c, q, g: td_target(r, d, q.argmax(-1), g),
            "Your target contains the number of the best action, 0, 1 or 2. argmax says which action is the best; what is it "
            "worth?",
        ),
        Misconception(
            "one maximum for all",
            lambda r, d, c, q, g: td_target(r, d, q.amax(), g),
            "Your answer takes one maximum of everything. Each next state has a row of its own: which axis holds the actions?",
        ),
        Misconception(
            "maximum over the batch",
            lambda r, d, c, q, g: td_target(r, d, q.amax(0), g),
            "Your answer takes the maximum over the first axis and so compares different next states with one another. The "
            "actions are on the last axis.",
        ),
        Misconception(
            "axis counted from the front",
            lambda r, d, c, q, g: td_target(r, d, q.amax(1), g),
            "Your answer takes the maximum over axis 1: the actions of a batch, but not those of a batch with runs in front. "
            "Counted from the end, the actions are always axis -1.",
        ),
        Misconception(
            "keepdim",
            lambda r, d, c, q, g: td_target(r, d, q.amax(-1, keepdim=True), g),
            "An axis of length 1 was left over, in your maximum perhaps, and every reward meets the value of every next state. "
            "One target an outcome is wanted.",
        ),
    ],
)


# Exercise 2.2: ε-greedy behaviour, checked by how often it does what

FREQUENCY_MARGIN = 0.02
"""How far a frequency may be from its probability: of 20,000 draws, 0.0035 is the largest standard deviation."""
LIKENESS = 0.05
"""How near the frequencies of two wrong answers must be to count as alike: where runs share a coin, it is 1,000 coins."""


def _epsilon_greedy_action(q: Tensor, epsilon: float, generator: torch.Generator) -> Tensor:
    """Draw from the ε-greedy policy, equation (2.9), with ties broken at random."""
    explore = torch.rand(q.shape[:-1], generator=generator) < epsilon
    best = q == q.amax(-1, keepdim=True)
    lottery = torch.rand(q.shape, generator=generator)
    return torch.where(explore.unsqueeze(-1) | best, lottery, -1.0).argmax(-1)


def _play(answer: Callable[..., object], q: Tensor, epsilon: float, calls: int, runs: int) -> Tensor:
    """Return the actions of many calls, shape (calls, runs); `q` is the row of every run, or has one for each."""
    generator = torch.Generator().manual_seed(2)
    rows = q.expand(runs, -1).clone()
    actions = []
    for _ in range(calls):
        action = comparable(answer(rows, epsilon, generator), torch.zeros(runs, dtype=torch.int64))
        if ((action < 0) | (action >= rows.shape[-1])).any():
            raise FaultFound(
                "no action", f"your function must return actions 0 … {rows.shape[-1] - 1}, but has others."
            )
        actions.append(action)
    played = torch.stack(actions)
    if epsilon > 0 and (played == played[0]).all() and (action != action[0]).any():
        raise FaultFound(
            "changed generator",
            "your function draws the same in every call, as if it began anew: it must not seed a generator (manual_seed).",
        )
    return played


def _count(answer: Callable[..., object], what: str, q: Tensor, epsilon: float, calls: int, runs: int) -> Tensor:
    """Return what a case counts, as shares: of each action, the best in the worst run, two runs together, repetitions."""
    action = _play(answer, q, epsilon, calls, runs)
    if what == "best":
        return (action == q.argmax(-1)).double().mean(0).amin()
    if what == "pairs":
        away = action != q.argmax(-1)
        return (away[:, 0::2] & away[:, 1::2]).double().mean()
    if what == "repeated":
        return (action == _play(answer, q, epsilon, calls, runs)).double().mean()
    return torch.bincount(action.flatten(), minlength=q.shape[-1]).double() / action.numel()


_ONE_BEST, _TWO_BEST, _THREE_ACTIONS = table(0.0, 1.0, 3.0, 2.0), table(5.0, 1.0, 5.0, 0.0), table(0.0, 3.0, 2.0)
# Where runs share a draw, four of them can't come to thirds, nor five to halves.

epsilon_greedy_action = Exercise(
    "epsilon_greedy_action",
    _epsilon_greedy_action,
    cases=[
        Case(
            "ε is 0 and each of three runs has a best action of its own",
            ("best", table([0.0, 1.0, 3.0, 2.0], [4.0, 1.0, 3.99, 2.0], [-3.0, -2.0, -5.0, -4.0]), 0.0, 1_000, 3),
            "With ε = 0 every run takes the best action of its own row, always, however close the second. This is how often "
            "the worst of the runs did.",
            expected=torch.tensor(1.0, dtype=torch.float64),
        ),
        Case(
            "ε is 1, so that each of three actions is as likely as any other",
            ("shares", _THREE_ACTIONS, 1.0, 4, 5_000),
            "With ε = 1 every action comes up equally often, the best one included. These are the shares of the actions. If "
            "one action has it all, do the runs share one draw?",
            expected=table(1 / 3, 1 / 3, 1 / 3),
        ),
        Case(
            "ε is 0 and actions 0 and 2 are equally good",
            ("shares", _TWO_BEST, 0.0, 5, 4_000),
            "Two actions share the first place. (2.9) shares their probability evenly. These are the shares of the actions.",
            expected=table(0.5, 0.0, 0.5, 0.0),
        ),
        Case(
            "ε is 0.4 and action 2 is the best",
            ("shares", _ONE_BEST, 0.4, 1_000, 20),
            "The best action has the probability 1 − ε + ε/A and each other one ε/A. These are the shares of the actions.",
            expected=table(0.1, 0.1, 0.7, 0.1),
        ),
        Case(
            "ε is 0.4 and we count how often two runs leave the best action at the same time",
            ("pairs", _ONE_BEST, 0.4, 1_000, 20),
            "One run leaves its best action in 30 % of its steps, so that two runs that know nothing of each other do so "
            "together in 9 %.",
            expected=torch.tensor(0.09, dtype=torch.float64),
        ),
        Case(
            "the generator is seeded again, so that every action should come up again",
            ("repeated", _ONE_BEST, 0.4, 10, 20),
            "Draw from the generator that is handed over, generator=generator, and from no other: then results can be "
            "repeated.",
            expected=torch.tensor(1.0, dtype=torch.float64),
        ),
    ],
    misconceptions=[
        Misconception(
            "ties always to the first action",
            lambda q, epsilon, generator: torch.where(
                torch.rand(q.shape[:-1], generator=generator) < epsilon,
                torch.randint(q.shape[-1], q.shape[:-1], generator=generator),
                q.argmax(-1),
            ),
            "Of equally good actions yours always takes the first: argmax does. At the start, when all of Q is 0, that is the "
            "same action in every state.",
        ),
        Misconception(
            "never explores",
            lambda q, epsilon, generator: _epsilon_greedy_action(q, 0.0, generator),
            "Your actions are always greedy. An action that looked bad once is never tried again: what is ε for?",
        ),
        Misconception(
            "always explores",
            lambda q, epsilon, generator: torch.randint(q.shape[-1], q.shape[:-1], generator=generator),
            "Your actions are uniform whatever ε is; Q plays no role in them.",
        ),
        Misconception(
            "ε and 1 − ε swapped",
            lambda q, epsilon, generator: _epsilon_greedy_action(q, 1 - epsilon, generator),
            "Your actions explore with probability 1 − ε and are greedy with probability ε. Should it be the other way round?",
        ),
        Misconception(
            "one coin for all runs",
            lambda q, epsilon, generator: _epsilon_greedy_action(
                q, float(torch.rand(1, generator=generator) < epsilon), generator
            ),
            "All your runs explore at the same time: they share one coin. Runs are independent only if each tosses its own.",
        ),
        Misconception(
            "explores among the others only",
            lambda q, epsilon, generator: torch.where(
                torch.rand(q.shape[:-1], generator=generator) < epsilon,
                torch.where(q == q.amax(-1, keepdim=True), -1.0, torch.rand(q.shape, generator=generator)).argmax(-1),
                _epsilon_greedy_action(q, 0.0, generator),
            ),
            "Your exploration never takes the best action. In (2.9) it is uniform over all actions, so that the best one has "
            "1 − ε + ε/A.",
        ),
        Misconception(
            "a coin for each action",
            lambda q, epsilon, generator: torch.where(
                (torch.rand(q.shape, generator=generator) < epsilon) | (q == q.amax(-1, keepdim=True)),
                torch.rand(q.shape, generator=generator),
                -1.0,
            ).argmax(-1),
            "You toss a coin for each action, which lets some of them join the best. One coin a run decides for all its "
            "actions at once: is your draw of shape (R, A) where (R, 1) is wanted?",
        ),
    ],
    observe=_count,
    tolerance=FREQUENCY_MARGIN,
    likeness=LIKENESS,
)


# Exercise 2.3: one step of learning, in place


def _q_update(q: Tensor, state: Tensor, action: Tensor, target: Tensor, step_size: float | Tensor) -> None:
    """Q ← Q + η (y − Q) at the pair of each run, equation (2.3)."""
    here = torch.arange(len(q)), state, action
    q[here] += step_size * (target - q[here])


def _instead(new: Callable[[Tensor, Tensor, float | Tensor], Tensor]) -> Callable[..., None]:
    """Make an update that writes `new(q, y, η)` into the pair of each run."""

    def update(q: Tensor, state: Tensor, action: Tensor, target: Tensor, step_size: float | Tensor) -> None:
        here = torch.arange(len(q)), state, action
        q[here] = new(q[here], target, step_size)

    return update


def _for_every_run(q: Tensor, state: Tensor, action: Tensor, target: Tensor, step_size: float | Tensor) -> None:
    """Update, in every table, the pairs of all runs."""
    q[:, state, action] += step_size * (target - q[:, state, action])


# No visited entry is the largest of its row, nor becomes what it was by a usual mistake.
_TABLE = table([[4.0, 2.0], [5.0, 1.0]])
_FOUR_VISITS = (
    (torch.arange(24, dtype=torch.float64) * 7 % 24).view(4, 3, 2),
    torch.tensor([1, 2, 0, 1]),
    torch.tensor([0, 1, 0, 1]),
    table(8.0, 16.0, -8.0, 4.0),
)

q_update = Exercise(
    "q_update",
    _q_update,
    cases=[
        Case(
            "there is one run",
            (_TABLE, torch.tensor([0]), torch.tensor([1]), table(14.0), 0.25),
            "Go a quarter of the way from the old estimate, 2, to the target, 14, and leave all other entries as they are.",
        ),
        Case(
            "η is 1",
            (_TABLE, torch.tensor([1]), torch.tensor([1]), table(-3.0), 1.0),
            "A step of size 1 goes all the way to the target.",
        ),
        Case(
            "four runs stand at different pairs",
            (*_FOUR_VISITS, 0.25),
            "Run r changes one entry of table r and none of the other tables. Which index pairs a run with its own table?",
        ),
        Case(
            "every run has a step size of its own",
            (*_FOUR_VISITS, table(0.25, 0.5, 1.0, 0.125)),
            "A step size of shape (R,) goes run by run, like the target.",
        ),
    ],
    misconceptions=[
        Misconception(
            "wrong sign",
            _instead(lambda q, y, step: q - step * (y - q)),
            "Your estimate moves away from the target. Which way does the bracket of (2.3) point?",
        ),
        Misconception(
            "target added without the old estimate taken off",
            _instead(lambda q, y, step: q + step * y),
            "Your estimate adds a part of the target each time and grows without end. (2.3) adds a part of the *error*.",
        ),
        Misconception(
            "error written, not added",
            _instead(lambda q, y, step: step * (y - q)),
            "Your estimate becomes the step itself, η times the error. (2.3) adds that to what was there: = or +=?",
        ),
        Misconception(
            "η forgotten",
            _instead(lambda q, y, step: y),
            "Your estimate becomes the latest target and forgets all earlier ones. Which factor holds it back?",
        ),
        Misconception(
            "η on the wrong side",
            _instead(lambda q, y, step: (1 - step) * y + step * q),
            "Your estimate keeps η of the old value and takes 1 − η of the target. With a small η, which of the two should "
            "hardly change?",
        ),
        Misconception(
            "every run's pair in every table",
            _for_every_run,
            "Your update writes the pairs of all runs into every table: q[:, state, action] names R × R entries. One for "
            "each run is wanted, which takes torch.arange(R) in front.",
        ),
    ],
    changes="q",
)


# Exercise 2.4: the value of ε-greedy behaviour


def _expected_sarsa_value(q_next: Tensor, epsilon: float) -> Tensor:
    """Return (1 − ε) max Q + ε mean Q, equation (2.11)."""
    return epsilon_greedy_value(q_next, epsilon)


expected_sarsa_value = Exercise(
    "expected_sarsa_value",
    _expected_sarsa_value,
    cases=[
        Case(
            "ε is 0",
            (table(1.0, 5.0, 3.0, -1.0), 0.0),
            "Without exploration the best action is taken for sure.",
        ),
        Case(
            "ε is 1",
            (table(1.0, 5.0, 3.0, -1.0), 1.0),
            "With ε = 1 all actions are equally likely, the best one included.",
        ),
        Case(
            "ε is 0.2 and there are three actions",
            (table(0.0, 10.0, 2.0), 0.2),
            "Greedy with probability 1 − ε, uniform over the three with probability ε: weigh two values, not two actions.",
        ),
        Case(
            "two actions share the first place",
            (table(4.0, 4.0, 1.0, -1.0), 0.5),
            "Equally good actions share the probability 1 − ε. Together they must not have more.",
        ),
        Case(
            "there are two runs of three states each",
            ((torch.arange(24, dtype=torch.float64) * 5 % 24).view(2, 3, 4), 0.5),
            "The actions are on the last axis, whatever stands in front of it: count it from the end, as -1.",
        ),
    ],
    misconceptions=[
        Misconception(
            "maximum",
            lambda q_next, epsilon: q_next.amax(-1),
            "Your value is the maximum: that makes it Q-learning, which does not care how the agent behaves. What happens with "
            "probability ε?",
        ),
        Misconception(
            "plain mean",
            lambda q_next, epsilon: q_next.mean(-1),
            "Your value is the plain mean: that is right for an agent that always explores. What happens with probability "
            "1 − ε?",
        ),
        Misconception(
            "explores among the others only",
            lambda q_next, epsilon: (
                (1 - epsilon) * q_next.amax(-1) + epsilon * (q_next.sum(-1) - q_next.amax(-1)) / (q_next.shape[-1] - 1)
            ),
            "Your exploration leaves out the best action. In (2.9) it is uniform over all of them.",
        ),
        Misconception(
            "ε/(A − 1) for every action",
            lambda q_next, epsilon: (1 - epsilon) * q_next.amax(-1) + epsilon * q_next.sum(-1) / (q_next.shape[-1] - 1),
            "Your probabilities sum to more than 1: exploring gives each of the A actions ε/A, not ε/(A − 1).",
        ),
        Misconception(
            "ε and 1 − ε swapped",
            lambda q_next, epsilon: epsilon * q_next.amax(-1) + (1 - epsilon) * q_next.mean(-1),
            "Your agent explores with probability 1 − ε. Should it be the other way round?",
        ),
        Misconception(
            "sum for mean",
            lambda q_next, epsilon: (1 - epsilon) * q_next.amax(-1) + epsilon * q_next.sum(-1),
            "Your exploration takes all actions at once: it adds their values where it should average them.",
        ),
        Misconception(
            "tied actions counted twice",
            lambda q_next, epsilon: (
                ((1 - epsilon) * (q_next == q_next.amax(-1, keepdim=True)) * q_next).sum(-1) + epsilon * q_next.mean(-1)
            ),
            "Where two actions are equally good, yours gives 1 − ε to each of them, and the probabilities sum to more than 1.",
        ),
    ],
)


# Exercise 2.5: the target of double Q-learning


def _double_q_target(
    reward: Tensor, terminated: Tensor, q_select: Tensor, q_evaluate: Tensor, discount: float
) -> Tensor:
    """Return y = r + γ (1 − d) Q_evaluate(s′, argmax_a′ Q_select(s′,a′)), equation (2.17)."""
    return td_target(reward, terminated, double_value(q_select, q_evaluate), discount)


double_q_target = Exercise(
    "double_q_target",
    _double_q_target,
    cases=[
        Case(
            "the two tables disagree",
            (
                table(2.0, 1.0),
                flags(False, False),
                table([3.0, 1.0, 6.0], [11.0, 2.0, 9.0]),  # found by search: every answer below gives another row
                table([3.0, 9.0, 8.0], [6.0, 2.0, 10.0]),
                0.5,
            ),
            "q_select names the action with its largest entry, here action 2 and then action 0; q_evaluate says what that "
            "action is worth.",
        ),
        Case(
            "the larger maximum is in q_evaluate",
            (table(1.0), flags(False), table([4.0, 5.0, 2.0]), table([7.0, 3.0, 1.0]), 0.5),
            "Only q_select decides which action it is, and only q_evaluate what it is worth.",
        ),
        Case(
            "the episode ends",
            (table(1.0), flags(True), table([4.0, 9.0, 2.0]), table([6.0, 3.0, 8.0]), 0.5),
            "Nothing comes after an end, in double Q-learning no more than elsewhere, but its reward was earned.",
        ),
        Case(
            "two runs stand in front of a batch of three",
            (
                table([1.0, 2.0, 3.0], [4.0, 5.0, 6.0]),
                flags([False, True, False], [False, False, True]),
                (torch.arange(24, dtype=torch.float64) * 5 % 24).view(2, 3, 4),
                (torch.arange(24, dtype=torch.float64) * 11 % 24).view(2, 3, 4),
                0.5,
            ),
            "The actions are on the last axis, whatever stands in front of it; torch.gather(-1, …) picks one for each row.",
        ),
        Case(
            "two runs stand in front of a batch of one",
            (
                table([1.0], [2.0]),
                flags([False], [False]),
                table([[4.0, 9.0, 2.0]], [[3.0, 5.0, 6.0]]),
                table([[6.0, 3.0, 8.0]], [[2.0, 7.0, 5.0]]),
                0.5,
            ),
            "squeeze() removes every axis of length 1, the batch's too; squeeze(-1) looks at the last axis only.",
        ),
    ],
    # Below: r and d are the reward and terminated, s and e the tables that select and evaluate; g is the discount.
    misconceptions=[
        Misconception(
            "roles swapped",
            lambda r, d, s, e, g: td_target(r, d, double_value(e, s), g),
            "Your roles are swapped: q_evaluate chooses and q_select judges.",
        ),
        Misconception(
            "maximum of the judging table",
            lambda r, d, s, e, g: td_target(r, d, e.amax(-1), g),
            "Your target takes the maximum of q_evaluate: it chooses and judges at once, and the bias is back. What is "
            "q_select for?",
        ),
        Misconception(
            "maximum of the choosing table",
            lambda r, d, s, e, g: td_target(r, d, s.amax(-1), g),
            "Your target takes the maximum of q_select: that is plain Q-learning, bias included. The action is chosen well; "
            "who should say what it is worth?",
        ),
        Misconception(
            "smaller of the two maxima",
            lambda r, d, s, e, g: td_target(r, d, torch.minimum(s.amax(-1), e.amax(-1)), g),
            "Your target takes the smaller of the two maxima. Each is still the maximum of its own table; (2.17) needs both "
            "tables for one number.",
        ),
        Misconception(
            "maximum of the entrywise minimum",
            lambda r, d, s, e, g: td_target(r, d, torch.minimum(s, e).amax(-1), g),
            "Your target takes the smaller value of each action before it maximises. That is another remedy, kin to one of "
            "lesson 07; in (2.17) the tables have different roles.",
        ),
        Misconception(
            "mean of the two tables",
            lambda r, d, s, e, g: td_target(r, d, ((s + e) / 2).amax(-1), g),
            "Your target averages the tables and maximises: one better table, but it still chooses and judges at once.",
        ),
        Misconception(
            "number of the best action",
            lambda r, d, s, e, g: td_target(r, d, s.argmax(-1), g),
            "Your target contains the number of the action that q_select names, 0, 1 or 2. What is it worth, and who says so?",
        ),
        Misconception(
            "mask dropped",
            lambda r, d, s, e, g: r + g * double_value(s, e),
            "Your target still contains the value of the next state where the episode has ended. Which factor is missing?",
        ),
        Misconception(
            "mask upside-down",
            lambda r, d, s, e, g: td_target(r, ~d, double_value(s, e), g),
            "Your target adds the future exactly where the episode has ended. (2.17) has 1 − d there: which of terminated and "
            "~terminated is that?",
        ),
        Misconception(
            "the mask wipes the last reward",
            lambda r, d, s, e, g: ~d * (r + g * double_value(s, e)),
            "Your target loses the reward of the step that ends the episode, often the only one there is. (1 − d) stands "
            "before the value alone.",
        ),
        Misconception(
            "γ on the reward too",
            lambda r, d, s, e, g: g * (r + ~d * double_value(s, e)),
            "Your target discounts the reward as well. The reward comes now; only what comes after it is a step away.",
        ),
        Misconception(
            "γ forgotten",
            lambda r, d, s, e, g: td_target(r, d, double_value(s, e), 1.0),
            "Your target does not discount: what comes a step later counts in full. Where is γ?",
        ),
    ],
)


# Exercise 2.6: the answer to exercise 2.4 learns

TRAINED_RUNS, TRAINED_STEPS, ENOUGH_RUNS = 8, 10_000, 7
TRAINED_EPSILON = 0.3  # so that the four exact answers below lie 0.33 and more apart
TRAINED_DISTANCE = 0.3
"""How near to an exact answer a trained run must end.

Of 800 runs each with the right value, the maximum, ε swapped and the plain mean, the worst ended 0.24, 0.25, 0.24 and 0.23
from the fixed point of its own. Within 0.3 of a wrong one were 12 % of the runs with the maximum (of Q^ε), 4 % of the right
ones (of Q*) and no others: seven of eight by accident happens three times in a million checks.
"""

_ANSWERS = {"Q^ε": TRAINED_EPSILON, "Q*": 0.0, "Q^(1−ε)": 1 - TRAINED_EPSILON, "the Q of pure exploration": 1.0}
"""The exact answers that a learner may end at, each by the rate of exploration whose value it is."""


def _train(answer: Callable[..., object]) -> Tensor:
    """Train eight runs on the course MDP and say where they end, with a function that also passes exercise 2.4.

    "There" is within `TRAINED_DISTANCE`, over live states, in at least seven runs.

    Returns:
        1, if it is at Q^ε.

    Raises:
        FaultFound: if it is at Q*, Q^(1−ε) or Q^1 (the kind of the fault says which) or nowhere of these, or if the
            function fails exercise 2.4 all the same.
    """
    mdp = gridworld([".....", ".###.", "S...G", "#HHH#"], discount=0.9, slip=0.1)  # data/crossing.json

    def next_value(q_next: Tensor) -> Tensor:
        return comparable(answer(q_next, TRAINED_EPSILON), torch.zeros(TRAINED_RUNS, dtype=torch.float64))

    *_, q = q_learning(
        mdp.exploring_starts(),
        runs=TRAINED_RUNS,
        steps=TRAINED_STEPS,
        step_size=polynomial_step(0.7),
        epsilon=1.0,
        time_limit=1,
        generator=torch.Generator().manual_seed(6),
        next_value=next_value,
    )

    def ends_at(epsilon: float) -> bool:
        distance = (q - epsilon_greedy_q(mdp, epsilon))[:, mdp.live].abs().amax((-1, -2))
        return bool((distance <= TRAINED_DISTANCE).sum() >= ENOUGH_RUNS)

    place = next((place for place, epsilon in _ANSWERS.items() if ends_at(epsilon)), None)
    if place is None:
        raise FaultFound(
            "nowhere",
            f"fewer than {ENOUGH_RUNS} of them end at Q^ε, nor do they at another answer that we know. See what "
            "check.expected_sarsa_value says about your function.",
        )
    if place != "Q^ε":
        raise FaultFound(place, f"at least {ENOUGH_RUNS} of them end at {place}, not at Q^ε.")
    if expected_sarsa_value.judge(answer).score < 1:
        raise FaultFound(
            "not everywhere",
            "they end at Q^ε, but your function is wrong for other numbers than theirs. See what check.expected_sarsa_value "
            "says about it.",
        )
    return torch.tensor(1.0, dtype=torch.float64)


trained_expected_sarsa = Exercise(
    "trained_expected_sarsa",
    _expected_sarsa_value,
    cases=[
        Case(
            f"{TRAINED_RUNS} runs are trained with your function of exercise 2.4, which must be right itself",
            (),
            "At least seven of the runs must end at the exact Q^ε.",
            expected=torch.tensor(1.0, dtype=torch.float64),
        ),
    ],
    misconceptions=[
        Misconception(
            "maximum",
            lambda q_next, epsilon: q_next.amax(-1),
            "That is the value of behaving greedily, while your agent explores. Does your next-state value feel ε?",
            (Fault("Q*", ""),),
        ),
        Misconception(
            "ε and 1 − ε swapped",
            lambda q_next, epsilon: epsilon * q_next.amax(-1) + (1 - epsilon) * q_next.mean(-1),
            "That is the answer for another rate of exploration, 1 − ε. Which of the two belongs to the maximum?",
            (Fault("Q^(1−ε)", ""),),
        ),
        Misconception(
            "plain mean",
            lambda q_next, epsilon: q_next.mean(-1),
            "Your next-state value never acts greedily. What happens with probability 1 − ε?",
            (Fault("the Q of pure exploration", ""),),
        ),
    ],
    observe=_train,
)
