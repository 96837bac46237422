"""The exercises of lesson 01, Bellman equations: reference answers, cases and misconceptions.

They can be imported and read: they are for learning, not for exams.
"""

# ruff: noqa: ARG005 an argument that is not read is what many a misconception comes to

import math

import torch
from torch import Tensor

from sac_tutorial.check.diagnosis import Case, Exercise, Misconception, table
from sac_tutorial.equations import expected_value, td_target

# Exercise 1.1: the discounted return


def _discounted_return(reward: Tensor, discount: float) -> Tensor:
    """Σ_k γ^k r_k over the last axis, equation (1.1)."""
    weight = discount ** torch.arange(reward.shape[-1], dtype=torch.float64)
    return (weight * reward).sum(-1)


discounted_return = Exercise(
    "discounted_return",
    _discounted_return,
    cases=[
        Case(
            "the only reward comes at once",
            (table(8.0, 0.0, 0.0), 0.5),
            "What comes now is not discounted. Which power of γ stands before the first reward in (1.1)?",
        ),
        Case(
            "the only reward comes two steps later",
            (table(0.0, 0.0, 8.0), 0.5),
            "Count the steps that this reward is away: each of them costs one factor γ.",
        ),
        Case(
            "every step pays",
            (table(1.0, 2.0, 4.0, 8.0), 0.5),
            "Each reward was right by itself. How do the discounted rewards become one number?",
        ),
        Case(
            "some rewards are negative",
            (table(-1.0, 4.0, -8.0), 0.5),
            "Costs are rewards too, with a minus sign; (1.1) treats them alike.",
        ),
        Case(
            "γ is 0",
            (table(3.0, 5.0, 7.0), 0.0),
            "With γ = 0 only the present counts, and γ⁰ is 1 all the same.",
        ),
        Case(
            "two runs of three episodes stand in front of the time axis",
            (torch.arange(24, dtype=torch.float64).view(2, 3, 4), 0.5),
            "Time is the last axis, whatever stands in front of it: count it from the end, as -1.",
        ),
    ],
    misconceptions=[
        Misconception(
            "discounting starts one step early",
            lambda reward, discount: discount * _discounted_return(reward, discount),
            "Your answer discounts the very first reward already. In (1.1) the sum begins with k = 0: what is γ⁰?",
        ),
        Misconception(
            "no discount",
            lambda reward, discount: reward.sum(-1),
            "Your answer is the plain sum, in which a reward in a hundred steps is worth as much as one now. Where is γ?",
        ),
        Misconception(
            "reversed order",
            lambda reward, discount: _discounted_return(reward.flip(-1), discount),
            "Your answer discounts the present most and the far future not at all. Which end of the sum has the power 0? "
            "(If you loop from the end: which of the two is multiplied by γ, the reward or what comes after it?)",
        ),
        Misconception(
            "mean instead of sum",
            lambda reward, discount: _discounted_return(reward, discount) / reward.shape[-1],
            "Your answer is an average over the steps. A return adds up: an episode that goes on paying is worth more.",
        ),
        Misconception(
            "summed over every axis",
            lambda reward, discount: _discounted_return(reward, discount).sum(),
            "Your answer is right for one episode, but adds all episodes into one number. Which axis is time?",
        ),
        Misconception(
            "only the first reward",
            lambda reward, discount: reward[..., 0],
            "Your answer is the first reward and nothing else. If you loop: does the `return` stand inside the loop?",
        ),
        Misconception(
            "last reward lost",
            lambda reward, discount: _discounted_return(reward[..., :-1], discount),
            "Your answer leaves out the last reward. (1.1) has T terms, the last with k = T − 1: is there a range(T − 1)?",
        ),
    ],
)


# Exercise 1.2: the value of a state under a policy


def _state_value(q: Tensor, policy: Tensor) -> Tensor:
    """Σ_a π(a|s) Q(s,a), equation (1.6)."""
    return expected_value(q, policy)


state_value = Exercise(
    "state_value",
    _state_value,
    cases=[
        Case(
            "the policy always takes the last action",
            (table(1.0, 5.0, 2.0), table(0.0, 0.0, 1.0)),
            "Actions that are never taken must not count, however good or bad they are.",
        ),
        Case(
            "one action is likelier than the others",
            (table(2.0, 8.0, 12.0), table(0.5, 0.25, 0.25)),
            "(1.6) is a weighted average: what is the weight of each Q?",
        ),
        Case(
            "all actions are equally likely",
            (table(3.0, 6.0, 12.0), torch.full((3,), 1 / 3, dtype=torch.float64)),
            "The weights sum to 1, so that the average lies between the smallest Q and the largest.",
        ),
        Case(
            "all values are negative",
            (table(-2.0, -4.0, -8.0), table(0.5, 0.25, 0.25)),
            "An average of negative numbers is negative; is there an absolute value, or a maximum with 0?",
        ),
        Case(
            "there are four states with three actions each",
            (
                table([1.0, 5.0, 2.0], [2.0, 8.0, 4.0], [3.0, 6.0, 12.0], [0.0, 1.0, 2.0]),
                table([0.0, 0.0, 1.0], [0.5, 0.25, 0.25], [0.25, 0.25, 0.5], [1.0, 0.0, 0.0]),
            ),
            "There must be one value a state. Which axis holds the actions, and must vanish?",
        ),
        Case(
            "two runs stand in front of the states",
            (
                torch.arange(24, dtype=torch.float64).view(2, 4, 3),
                table([0.0, 0.0, 1.0], [0.5, 0.25, 0.25], [0.25, 0.25, 0.5], [1.0, 0.0, 0.0]).expand(2, 4, 3),
            ),
            "The actions are on the last axis, whatever stands in front of it: count it from the end, as -1.",
        ),
    ],
    misconceptions=[
        Misconception(
            "maximum instead of average",
            lambda q, policy: q.amax(-1),
            "Your answer takes the best action. That is the value of a greedy policy; this policy may do something else.",
        ),
        Misconception(
            "plain mean",
            lambda q, policy: q.mean(-1),
            "Your answer weighs all actions alike. It is right for the uniform policy only: what does π(a|s) do in (1.6)?",
        ),
        Misconception(
            "sum without weights",
            lambda q, policy: q.sum(-1),
            "Your answer adds the values of all actions, as if all were taken at once. Only one is: how likely is each?",
        ),
        Misconception(
            "the likeliest action",
            lambda q, policy: q.gather(-1, policy.argmax(-1, keepdim=True)).squeeze(-1),
            "Your answer looks at the likeliest action alone. The others happen too, if less often.",
        ),
        Misconception(
            "mean of the weighted values",
            lambda q, policy: (policy * q).mean(-1),
            "Your answer divides by the number of actions although the probabilities sum to 1 already: mean or sum?",
        ),
        Misconception(
            "wrong axis",
            lambda q, policy: (policy * q).sum(0),
            "Your answer sums over the first axis. That is the actions as long as there is one state; with several it mixes "
            "the states. Count the axis from the end.",
        ),
    ],
)


# Exercise 1.3: the backup, an average of targets


def _expected_backup(
    probability: Tensor, next_state: Tensor, reward: Tensor, terminated: Tensor, value: Tensor, discount: float
) -> Tensor:
    """Q(s,a) = Σ_k p_k (r_k + γ (1 − d_k) V(s′_k)), equation (1.9)."""
    return expected_value(td_target(reward, terminated, value[next_state], discount), probability)


def _outcomes(*outcomes: tuple[float, int, float, bool]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Make the four tensors of shape (3, 1, K): state 0 has these outcomes, states 1 and 2 stay where they are, for 0."""
    stay = [[(1.0 / len(outcomes), state, 0.0, False)] * len(outcomes) for state in (1, 2)]
    columns = zip(*(zip(*row, strict=True) for row in [outcomes, *stay]), strict=True)
    probability, next_state, reward, terminated = (torch.tensor(column).unsqueeze(1) for column in columns)
    return probability.double(), next_state, reward.double(), terminated


_THREE_VALUES = table(4.0, 10.0, -6.0)

expected_backup = Exercise(
    "expected_backup",
    _expected_backup,
    cases=[
        Case(
            "one outcome is listed twice and the episode goes on",
            (*_outcomes((0.75, 1, 2.0, False), (0.25, 1, 2.0, False)), _THREE_VALUES, 0.5),
            "With one outcome, Q is its target (1.8): the reward, and the discounted value of the state it leads to.",
        ),
        Case(
            "three rewards are unequally likely",
            (*_outcomes((0.5, 1, 4.0, False), (0.25, 1, 8.0, False), (0.25, 1, 24.0, False)), _THREE_VALUES, 0.0),
            "γ is 0 here: Q is the average reward, each outcome weighed by its probability.",
        ),
        Case(
            "two outcomes lead to different states",
            (*_outcomes((0.75, 1, 0.0, False), (0.25, 2, 0.0, False)), _THREE_VALUES, 0.5),
            "Each outcome has a next state of its own, and its own V(s′).",
        ),
        Case(
            "the episode ends with a reward",
            (*_outcomes((1.0, 1, 1.0, True)), _THREE_VALUES, 0.5),
            "Nothing comes after an end, but the reward of the last step was earned. Which of the two does (1 − d) multiply?",
        ),
        Case(
            "the episode ends with probability ¼",
            (*_outcomes((0.75, 1, 2.0, False), (0.25, 2, 4.0, True)), _THREE_VALUES, 0.5),
            "Each outcome has its own d: mask it before you average.",
        ),
        Case(
            "there are two states, three actions and two outcomes",
            (
                table(
                    [[0.5, 0.5], [0.25, 0.75], [1.0, 0.0]],
                    [[0.75, 0.25], [0.5, 0.5], [0.0, 1.0]],
                ),
                torch.tensor([[[0, 1], [1, 1], [0, 1]], [[1, 0], [0, 0], [1, 0]]]),
                table([[1.0, 2.0], [0.0, 4.0], [3.0, 5.0]], [[-1.0, 1.0], [2.0, 0.0], [7.0, -2.0]]),
                torch.tensor(
                    [[[False, True], [False, False], [True, False]], [[False, False], [True, False], [False, True]]]
                ),
                table(8.0, -4.0),
                0.9,
            ),
            "The result has one entry for each state and action. Which axis holds the outcomes, and must vanish?",
        ),
    ],
    # Below: p, s, r, d and v are the probabilities, next states, rewards, ends and values; g is the discount.
    misconceptions=[
        Misconception(
            "mask dropped",
            lambda p, s, r, d, v, g: expected_value(r + g * v[s], p),
            "Your answer still contains the value of the next state where the episode has ended. Which factor of (1.8) forbids "
            "it?",
        ),
        Misconception(
            "mask upside-down",
            lambda p, s, r, d, v, g: expected_value(td_target(r, ~d, v[s], g), p),
            "Your answer adds the future exactly where the episode has ended. (1.8) has 1 − d there: which of terminated and "
            "~terminated is that?",
        ),
        Misconception(
            "the mask wipes the last reward",
            lambda p, s, r, d, v, g: expected_value(~d * (r + g * v[s]), p),
            "Your answer loses the reward of the step that ends the episode, often the only one there is. (1 − d) stands "
            "before V(s′) alone.",
        ),
        Misconception(
            "the future forgotten",
            lambda p, s, r, d, v, g: expected_value(r, p),
            "Your answer is the average reward of one step. What does (1.8) add to the reward?",
        ),
        Misconception(
            "γ on the reward too",
            lambda p, s, r, d, v, g: expected_value(g * (r + ~d * v[s]), p),
            "Your answer discounts the reward as well. The reward comes now; only what comes after it is a step away.",
        ),
        Misconception(
            "γ forgotten",
            lambda p, s, r, d, v, g: expected_value(td_target(r, d, v[s], 1.0), p),
            "Your answer does not discount: what comes a step later counts in full. Where is γ?",
        ),
        Misconception(
            "plain mean over the outcomes",
            lambda p, s, r, d, v, g: td_target(r, d, v[s], g).mean(-1),
            "Your answer weighs all outcomes alike. A rare fall must count less than a sure step: what does p_k do in (1.9)?",
        ),
        Misconception(
            "sum over the outcomes without probabilities",
            lambda p, s, r, d, v, g: td_target(r, d, v[s], g).sum(-1),
            "Your answer adds the targets of all outcomes, but only one of them will happen. What is each multiplied by in "
            "(1.9)?",
        ),
        Misconception(
            "mean of the weighted targets",
            lambda p, s, r, d, v, g: (p * td_target(r, d, v[s], g)).mean(-1),
            "Your answer weighs each target by its probability, and then divides by their number as well: mean or sum?",
        ),
        Misconception(
            "the likeliest outcome only",
            lambda p, s, r, d, v, g: td_target(r, d, v[s], g).gather(-1, p.argmax(-1, keepdim=True)).squeeze(-1),
            "Your answer follows the likeliest outcome only, as if the others never happened. (1.9) averages over all of them.",
        ),
        Misconception(
            "the value of the state itself",
            lambda p, s, r, d, v, g: expected_value(td_target(r, d, v.view(-1, 1, 1), g), p),
            "Your answer uses the value of the state that is left, not of the state that is reached: index V with next_state.",
        ),
    ],
)


# Exercise 1.4: how many sweeps a tolerance takes


def _sweeps_needed(discount: float, tolerance: float, first_error: float) -> int:
    """Return the smallest k with γ^k · first_error ≤ tolerance, from (1.14)."""
    if first_error <= tolerance:
        return 0
    return math.ceil(math.log(tolerance / first_error) / math.log(discount))


sweeps_needed = Exercise(
    "sweeps_needed",
    _sweeps_needed,
    cases=[
        Case(
            "γ is ½ and the error must fall from 1 to 0.1",
            (0.5, 0.1, 1.0),
            "Halve 1 until you are at or below 0.1, and count by hand: ½, ¼, ⅛, … Which is the first that is small enough?",
        ),
        Case(
            "γ is 0.9 and the error must fall from 1 to 0.01",
            (0.9, 0.01, 1.0),
            "Solve γ^k ≤ tolerance for k by taking logarithms, and mind that log γ is negative.",
        ),
        Case(
            "the first error is 20",
            (0.9, 0.01, 20.0),
            "A larger first error takes longer: (1.14) compares γ^k times the first error with the tolerance.",
        ),
        Case(
            "the first error is within the tolerance already",
            (0.9, 0.5, 0.2),
            "Nothing has to be done, and nobody can do a negative number of sweeps.",
        ),
        Case(
            "the first error is exactly the tolerance",
            (0.9, 0.5, 0.5),
            "At most the tolerance: equal to it is good enough, and takes no sweep at all.",
        ),
        Case(
            "γ is 0.99",
            (0.99, 0.001, 1.0),
            "Near 1, −log γ is close to 1 − γ, but not the same.",
        ),
    ],
    misconceptions=[
        Misconception(
            "rounded down",
            lambda discount, tolerance, first_error: max(
                0, math.floor(math.log(tolerance / first_error) / math.log(discount))
            ),
            "Your answer stops one sweep early: after that many sweeps the bound is still above the tolerance. Which way must "
            "a fraction of a sweep be rounded?",
        ),
        Misconception(
            "one sweep too many",
            lambda discount, tolerance, first_error: (
                0 if first_error <= tolerance else math.ceil(math.log(tolerance / first_error) / math.log(discount)) + 1
            ),
            "Your answer is enough, but not the smallest: one sweep fewer also meets the tolerance. Does k count Q₀?",
        ),
        Misconception(
            "ratio upside-down",
            lambda discount, tolerance, first_error: (
                0 if first_error <= tolerance else math.ceil(math.log(discount) / math.log(tolerance / first_error))
            ),
            "Your answer has the quotient of logarithms upside-down: a γ closer to 1 must take more sweeps, not fewer.",
        ),
        Misconception(
            "1 − γ for −log γ",
            lambda discount, tolerance, first_error: (
                0 if first_error <= tolerance else math.ceil(math.log(first_error / tolerance) / (1 - discount))
            ),
            "Your answer divides by 1 − γ, a rule of thumb for γ near 1 and a little too cautious. What exactly does one sweep "
            "take off the logarithm of the error?",
        ),
        Misconception(
            "first error forgotten",
            lambda discount, tolerance, first_error: math.ceil(math.log(tolerance) / math.log(discount)),
            "Your answer does not depend on how far Q₀ was off. Which ratio has to become small?",
        ),
        Misconception(
            "another factor 1/(1 − γ)",
            lambda discount, tolerance, first_error: max(
                0, math.ceil(math.log(tolerance * (1 - discount) / first_error) / math.log(discount))
            ),
            "Your answer demands a precision of (1 − γ) times the tolerance. That factor belongs to (1.16), which knows the "
            "last change only; here the first error itself is given.",
        ),
    ],
)


# Exercise 1.5: the value of a policy from a linear system


def _solve_policy(policy: Tensor, expected_reward: Tensor, continuation_matrix: Tensor, discount: float) -> Tensor:
    """Solve (I − γ P̃^π) V = r^π, equation (1.17)."""
    return _solve(_chain(policy, continuation_matrix), expected_value(expected_reward, policy), discount)


def _chain(policy: Tensor, continuation_matrix: Tensor) -> Tensor:
    return torch.einsum("sa,sat->st", policy, continuation_matrix)


def _solve(chain: Tensor, reward: Tensor, discount: float) -> Tensor:
    solution: Tensor = torch.linalg.solve(torch.eye(len(reward), dtype=torch.float64) - discount * chain, reward)
    return solution


solve_policy = Exercise(
    "solve_policy",
    _solve_policy,
    cases=[
        Case(
            "every step ends the episode",
            (table([0.75, 0.25], [0.5, 0.5]), table([4.0, 8.0], [1.0, 3.0]), torch.zeros(2, 2, 2).double(), 0.5),
            "Nothing follows, so that V is r^π: the rewards of the actions, averaged over the policy.",
        ),
        Case(
            "state 0 leads to state 1, where the episode ends",
            (table([1.0], [1.0]), table([1.0], [4.0]), table([[0.0, 1.0]], [[0.0, 0.0]]), 0.5),
            "There is one action, so that the policy plays no role. What does V(0) owe to V(1), and the other way round?",
        ),
        Case(
            "a state leads back to itself half of the time",
            (table([1.0]), table([3.0]), table([[0.5]]), 0.8),
            "Here V = 3 + 0.8 · ½ · V. It contains itself: solve for it.",
        ),
        Case(
            "an episode ends in one step of sixteen only",
            (table([1.0]), table([1.0]), table([[0.9375]]), 0.96),
            "Here V = 1 + 0.9 · V. The future is long: how many sweeps would (1.14) ask for, if you iterate?",
        ),
        Case(
            "the actions pay alike but lead elsewhere",
            (
                table([0.75, 0.25], [0.5, 0.5]),
                table([2.0, 2.0], [6.0, 6.0]),
                table([[0.0, 1.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]),
                0.5,
            ),
            "Which action is taken decides where it leads: P̃ too is averaged over the policy, state by state.",
        ),
        Case(
            "three states lead to one another",
            (
                table([0.75, 0.25], [0.5, 0.5], [0.25, 0.75]),
                table([1.0, -1.0], [0.0, 4.0], [2.0, 8.0]),
                table(
                    [[0.0, 0.5, 0.5], [1.0, 0.0, 0.0]],
                    [[0.25, 0.25, 0.5], [0.0, 0.0, 0.5]],
                    [[0.5, 0.0, 0.0], [0.0, 1.0, 0.0]],
                ),
                0.5,
            ),
            "Write (1.11) for each of the three states, bring the terms with V to the left, and compare with (1.17).",
        ),
    ],
    # Below: pi, r and p are the policy, the expected rewards and the continuation matrix; g is the discount.
    misconceptions=[
        Misconception(
            "transposed chain",
            lambda pi, r, p, g: _solve(_chain(pi, p).T, expected_value(r, pi), g),
            "Your answer lets value flow forwards, from the state that is left to the state that is reached: P̃^π is "
            "transposed. Rows are where a step starts.",
        ),
        Misconception(
            "1 for I",
            lambda pi, r, p, g: torch.linalg.solve(1 - g * _chain(pi, p), expected_value(r, pi)),
            "Your answer takes γ P̃^π from a matrix full of ones. I has ones on its diagonal only: see torch.eye.",
        ),
        Misconception(
            "γ forgotten",
            lambda pi, r, p, g: _solve(_chain(pi, p), expected_value(r, pi), 1.0),
            "Your answer does not discount: it is the expected sum of the rewards. Where does γ stand in (1.17)?",
        ),
        Misconception(
            "best rewards",
            lambda pi, r, p, g: _solve(_chain(pi, p), r.amax(-1), g),
            "Your answer collects the best reward of each state, though the policy does not always earn it.",
        ),
        Misconception(
            "plain mean of the rewards",
            lambda pi, r, p, g: _solve(_chain(pi, p), r.mean(-1), g),
            "Your answer averages the rewards of the actions without asking how often the policy takes each.",
        ),
        Misconception(
            "plain mean of the chain",
            lambda pi, r, p, g: _solve(p.mean(1), expected_value(r, pi), g),
            "Your answer earns the policy's rewards but walks as the uniform policy does: P̃^π needs π as well.",
        ),
        Misconception(
            "one sweep",
            lambda pi, r, p, g: expected_value(r, pi) + g * _chain(pi, p) @ expected_value(r, pi),
            "Your answer looks two rewards ahead and stops there. The whole future is the solution of a linear system: see "
            "torch.linalg.solve.",
        ),
        Misconception(
            "γ on the reward too",
            lambda pi, r, p, g: g * _solve_policy(pi, r, p, g),
            "Your answer discounts the first reward already, and with it everything else. On which side of (1.17) is γ?",
        ),
    ],
)
