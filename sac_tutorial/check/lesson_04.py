"""The exercises of lesson 04, double DQN: reference answers, cases and misconceptions.

They can be imported and read: they are for learning, not for exams.
"""

# ruff: noqa: ARG005 an argument that is not read is what many a misconception comes to

import math
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from sac_tutorial.agents.dqn import DQN, DQNSettings
from sac_tutorial.check.calls import Fault, FaultFound, comparable
from sac_tutorial.check.diagnosis import Case, Exercise, Misconception, table
from sac_tutorial.deep.networks import MLP
from sac_tutorial.deep.off_policy import train
from sac_tutorial.deep.replay_buffer import ReplayBuffer
from sac_tutorial.equations import double_value, greedy_value, taken_value
from sac_tutorial.worlds.mdp import FiniteMDP
from sac_tutorial.worlds.vector_env import make_envs

# Exercise 4.1: what a maximum over uniform errors adds


def _uniform_bias(actions: int, half_width: Tensor, discount: float) -> Tensor:
    """Return γ ε (m − 1)/(m + 1), equation (4.2)."""
    return discount * half_width * (actions - 1) / (actions + 1)


uniform_bias = Exercise(
    "uniform_bias",
    _uniform_bias,
    cases=[
        Case(
            "there are four actions, errors up to ±1 and no discount",
            (4, table(1.0), 1.0),
            "Four draws cut the way from −1 to 1 into five pieces that are equally long on average. Where is the last of the "
            "four?",
        ),
        Case(
            "there is one action only",
            (1, table(1.0, 2.0), 1.0),
            "Where there is nothing to choose, the largest error is the only one. What is its mean?",
        ),
        Case(
            "there are nine actions",
            (9, table(1.0, 10.0), 1.0),
            "The more actions, the nearer the largest error comes to ε: nine draws leave a tenth of the way from −ε to ε.",
        ),
        Case(
            "the errors are four times as large",
            (3, table(4.0), 1.0),
            "Errors of four times the size give four times the bias.",
        ),
        Case(
            "γ is ½",
            (3, table(1.0, 4.0), 0.5),
            "The maximum stands in the target, behind a γ, and one target is all that is asked for.",
        ),
    ],
    # Below: m is the number of actions, e the half-width, g the discount.
    misconceptions=[
        Misconception(
            "γ forgotten",
            lambda m, e, g: _uniform_bias(m, e, 1.0),
            "Your bias is that of the maximum itself. What does the target do with the value of the next state?",
        ),
        Misconception(
            "accumulated over all steps",
            lambda m, e, g: _uniform_bias(m, e, g) / (1 - g),
            "Your bias has been added up over a whole future, (4.4). This exercise asks what a single target gets too much.",
        ),
        Misconception(
            "accumulated from the next step on",
            lambda m, e, g: g / (1 - g) * _uniform_bias(m, e, 1.0),
            "You divide by 1 − γ and so add up the bias of a whole future, (4.4), which is without end where γ = 1. What does "
            "a single target get too much?",
        ),
        Misconception(
            "errors from 0 to ε",
            lambda m, e, g: g * e * m / (m + 1),
            "m/(m + 1) is where the largest of m draws from [0, 1] lies. What does that become in [−1, 1]? Try one action.",
        ),
        Misconception(
            "errors from 0 to 2ε",
            lambda m, e, g: 2 * g * e * m / (m + 1),
            "You have measured from the lower end of the interval. Where is its middle, and from where does a bias count?",
        ),
        Misconception(
            "(m − 1)/m",
            lambda m, e, g: g * e * (m - 1) / m,
            "You divide by m. It is right for one action, but m draws cut an interval into how many pieces?",
        ),
        Misconception(
            "ε forgotten",
            lambda m, e, g: _uniform_bias(m, e / e, g),
            "Your bias does not depend on how large the errors are. What if there were none?",
        ),
        Misconception(
            "largest possible error",
            lambda m, e, g: g * e,
            "That is the largest error there can be. What is it on average, and with only one action?",
        ),
        Misconception(
            "sign of an underestimate",
            lambda m, e, g: -_uniform_bias(m, e, g),
            "Yours is the mean of the smallest error. Which of the m errors does a maximum pick?",
        ),
        Misconception(
            "the mean of the errors",
            lambda m, e, g: 0 * e,
            "Each error is 0 on average; the maximum picks one because it is large. Is what is picked still 0 on average?",
        ),
    ],
)


def _no_index(answer: Callable[..., object], *arguments: object) -> object:
    """Call the answer once, and find fault with a result that says which action instead of what it is worth."""
    result = answer(*arguments)
    if isinstance(result, Tensor) and result.dtype == torch.int64:
        raise FaultFound("index", "your function returns whole numbers (int64), such as those that argmax gives.")
    return result


# Exercise 4.2: one network chooses, the other judges


def _double_dqn_value(online_q: Tensor, target_q: Tensor) -> Tensor:
    """Return Q(s′, argmax_a′ Q(s′,a′;θ); θ̄), the next-state value of equation (4.6)."""
    return double_value(online_q, target_q)


double_dqn_value = Exercise(
    "double_dqn_value",
    _double_dqn_value,
    cases=[
        Case(
            "the networks disagree in two of three states",
            (
                table([3.0, 1.0, 16.0], [7.0, 4.0, 2.0], [5.0, 8.0, 1.0]),
                table([11.0, 2.0, 9.0], [5.0, 10.0, 3.0], [3.0, 12.0, 6.0]),
            ),
            "The online network names the action with its largest entry, here actions 2, 0 and 1; the target network says what "
            "that action is worth.",
        ),
        Case(
            "all values are negative",
            (table([-4.0, -5.0, -2.0], [-1.0, -3.0, -6.0]), table([-7.0, -3.0, -6.0], [-8.0, -9.0, -5.0])),
            "A value may be negative, and the largest of negative numbers is the one nearest 0.",
        ),
        Case(
            "two actions share the first place of the online network",
            (table([2.0, 5.0, 5.0, 1.0], [6.0, 3.0, 0.0, 6.0]), table([9.0, 4.0, 4.0, 7.0], [2.0, 8.0, 5.0, 2.0])),
            "Either of the two may be chosen, and here the target network says the same of both. Is that your value?",
        ),
        Case(
            "two runs stand in front of a batch of three",
            (
                (torch.arange(24, dtype=torch.float64) * 5 % 24).view(2, 3, 4),
                (torch.arange(24, dtype=torch.float64) * 11 % 24).view(2, 3, 4),
            ),
            "The actions are on the last axis, whatever stands in front of it; torch.gather(-1, …) picks one for each row.",
        ),
        Case(
            "two runs stand in front of a batch of one",
            (table([[4.0, 9.0, 2.0]], [[3.0, 5.0, 6.0]]), table([[6.0, 3.0, 8.0]], [[2.0, 7.0, 5.0]])),
            "squeeze() removes every axis of length 1, the batch's too; squeeze(-1) looks at the last axis only.",
        ),
    ],
    # Below: o and t are what the online and the target network say.
    misconceptions=[
        Misconception(
            "DQN's value",
            lambda o, t: t.amax(-1),
            "Your value is the maximum of the target network: it chooses and judges at once, which is DQN. What has the online "
            "network to say?",
        ),
        Misconception(
            "maximum of the online network",
            lambda o, t: o.amax(-1),
            "Your value is the maximum of the online network: it chooses the action, as it should. Who says what it is worth?",
        ),
        Misconception(
            "roles swapped",
            lambda o, t: double_value(t, o),
            "Your roles are swapped: the target network chooses and the online network judges. In (4.6), whose θ stands inside "
            "the argmax?",
        ),
        Misconception(
            "smaller of the two maxima",
            lambda o, t: torch.minimum(o.amax(-1), t.amax(-1)),
            "Your value is the smaller of the two maxima. Each still chose for itself what it judged; in (4.6) the choice of "
            "one is judged by the other.",
        ),
        Misconception(
            "maximum of the smaller values",
            lambda o, t: torch.minimum(o, t).amax(-1),
            "You take the smaller value of each action before you maximise. That is another remedy, kin to one of lesson 07; "
            "in (4.6) the networks have different roles.",
        ),
        Misconception(
            "maximum of the mean",
            lambda o, t: ((o + t) / 2).amax(-1),
            "You average the networks and maximise: one steadier network, but it still chooses and judges at once.",
        ),
        Misconception(
            "mean of the two maxima",
            lambda o, t: (o.amax(-1) + t.amax(-1)) / 2,
            "You average two maxima. Both are too large for the same reason, and so is their mean.",
        ),
        Misconception(
            "number of the action",
            lambda o, t: o.argmax(-1),
            "Your value is the number of the action that the online network chooses. What is it worth, and who says so?",
        ),
        Misconception(
            "tied actions counted twice",
            lambda o, t: ((o == o.amax(-1, keepdim=True)) * t).sum(-1),
            "Where two actions share the first place, you add up what both are worth. argmax names one.",
        ),
    ],
    observe=_no_index,
)


# Exercise 4.3: the double estimate of the largest mean


def _double_estimate(samples: Tensor) -> Tensor:
    """Return the second half's mean of the arm whose mean is largest in the first half, after equation (4.5)."""
    first, second = _halves(samples)
    return double_value(first, second)


def _halves(samples: Tensor) -> tuple[Tensor, Tensor]:
    first, second = samples.chunk(2, -2)
    return first.mean(-2), second.mean(-2)


def _with_halves(value: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda samples: value(*_halves(samples))


# As many samples as arms: whoever takes the wrong axis gets numbers, not an exception.
_SAMPLES = table([4.0, 2.0, 9.0, 0.0], [6.0, 12.0, 1.0, 2.0], [1.0, 5.0, 8.0, 6.0], [7.0, 3.0, 2.0, 16.0])

double_estimate = Exercise(
    "double_estimate",
    _double_estimate,
    cases=[
        Case(
            "there are two samples of three arms",
            (table([1.0, 5.0, 3.0], [8.0, 2.0, 4.0]),),
            "The first sample chooses an arm, here arm 1; what did the second sample find there?",
        ),
        Case(
            "there are four samples of four arms",
            (_SAMPLES,),
            "The first two samples have the means 5, 7, 5, 1 and choose; of the arm that they choose, the last two have a mean "
            "too.",
        ),
        Case(
            "the best sample does not belong to the best mean",
            (table([0.0, 5.0], [9.0, 6.0], [3.0, 1.0], [7.0, 3.0]),),
            "The arm is chosen by its mean, not by its luckiest sample.",
        ),
        Case(
            "there are two runs of six samples of four arms",
            ((torch.arange(48, dtype=torch.float64) * 29 % 48).view(2, 6, 4),),
            "Arms are on the last axis and samples on the one before, whatever stands in front: −1 and −2.",
        ),
    ],
    misconceptions=[
        Misconception(
            "single estimate",
            lambda samples: samples.mean(-2).amax(-1),
            "Yours is the maximum of the means of all samples: the same noise chooses and judges, and (4.1) says what comes of "
            "it. What are two halves for?",
        ),
        Misconception(
            "the first half judges itself",
            _with_halves(lambda first, second: first.amax(-1)),
            "Your first half chooses and judges, and the second half is not asked. What does (4.5) need to be independent of "
            "what?",
        ),
        Misconception(
            "the second half judges itself",
            _with_halves(lambda first, second: second.amax(-1)),
            "Yours is the maximum of the second half: it chooses and judges, and the first half is not asked. Who should "
            "choose?",
        ),
        Misconception(
            "halves swapped",
            _with_halves(lambda first, second: double_value(second, first)),
            "Your second half chooses and the first one judges. It is as good an estimate, but here it is the other way round.",
        ),
        Misconception(
            "both ways",
            _with_halves(lambda first, second: (double_value(second, first) + double_value(first, second)) / 2),
            "You let each half judge the other's choice and take the mean: as free of overestimation, and steadier. Here only "
            "one of the two ways is asked for.",
        ),
        Misconception(
            "mean of two maxima",
            _with_halves(lambda first, second: (first.amax(-1) + second.amax(-1)) / 2),
            "You take the maximum of each half and then the mean. Each half judged its own choice: was anything decoupled?",
        ),
        Misconception(
            "chosen by the luckiest sample",
            lambda samples: taken_value(samples.chunk(2, -2)[1].mean(-2), samples.chunk(2, -2)[0].amax(-2).argmax(-1)),
            "Your arm is chosen by its largest single sample. A mean of all samples of the half knows more.",
        ),
        Misconception(
            "axes swapped",
            lambda samples: _double_estimate(samples.transpose(-1, -2)),
            "You have taken samples for arms and arms for samples. Which axis must a mean over samples remove?",
        ),
        Misconception(
            "every other sample",
            lambda samples: double_value(samples[..., 0::2, :].mean(-2), samples[..., 1::2, :].mean(-2)),
            "Your halves are every other sample, which is fair too. Here they are the first n/2 and the last n/2.",
        ),
        Misconception(
            "all samples choose",
            lambda samples: double_value(samples.mean(-2), _halves(samples)[1]),
            "Your arm is chosen by all samples, and the second half, which judges, has had a say in that. Whom must the judge "
            "know nothing of?",
        ),
        Misconception(
            "all samples judge",
            lambda samples: double_value(_halves(samples)[0], samples.mean(-2)),
            "Your first half chooses, and then judges with all others. Half of its luck is taken for worth: who may judge?",
        ),
        Misconception(
            "number of the arm",
            lambda samples: _halves(samples)[0].argmax(-1),
            "Your estimate is the number of the arm that is chosen. What does the second half say that it pays?",
        ),
    ],
    observe=_no_index,
)


# Exercise 4.4: how long a return must be followed


def _needed_steps(discount: float, largest_reward: float, tolerance: float) -> int:
    """Return the smallest T with γ^T r_max/(1 − γ) ≤ tolerance, from equation (4.8)."""
    return _steps(discount, largest_reward / (1 - discount), tolerance)


def _steps(discount: float, whole: float, tolerance: float) -> int:
    """Return the smallest T ≥ 0 with γ^T · whole ≤ tolerance."""
    return 0 if whole <= tolerance else math.ceil(math.log(tolerance / whole) / math.log(discount))


needed_steps = Exercise(
    "needed_steps",
    _needed_steps,
    cases=[
        Case(
            "γ is 0.8, no reward is larger than 1 in size and 0.5 may be left out",
            (0.8, 1.0, 0.5),
            "All that can come is worth 5 at most, after one step 4, after two 3.2, …: count by hand until 0.5 is left.",
        ),
        Case(
            "γ is 0.9 and 0.01 may be left out",
            (0.9, 1.0, 0.01),
            "Solve γ^T r_max/(1 − γ) ≤ tolerance for T by taking logarithms, and mind that log γ is negative.",
        ),
        Case(
            "rewards are as large as 20",
            (0.9, 20.0, 0.01),
            "Larger rewards leave out more: (4.8) has r_max.",
        ),
        Case(
            "the tolerance is larger than all that can come",
            (0.5, 1.0, 17.0),
            "Nothing has to be played, and nobody can play a negative number of steps.",
        ),
        Case(
            "the tolerance is exactly all that can come",
            (0.5, 1.0, 2.0),
            "At most the tolerance: equal to it is good enough, and takes no step at all.",
        ),
        Case(
            "γ is 0.99 and 0.5 may be left out",
            (0.99, 1.0, 0.5),
            "Near 1, −log γ is close to 1 − γ, but not the same.",
        ),
    ],
    # Below: g is the discount, r the largest reward, t the tolerance.
    misconceptions=[
        Misconception(
            "1/(1 − γ) forgotten",
            lambda g, r, t: _steps(g, r, t),
            "After your number of steps a single reward is small enough. But all that follow are left out too: what is the sum "
            "of them?",
        ),
        Misconception(
            "1/(1 − γ) twice",
            lambda g, r, t: _steps(g, r / (1 - g) ** 2, t),
            "Your answer is more cautious than it need be, by a factor of 1/(1 − γ). How often does that sum occur in (4.8)?",
        ),
        Misconception(
            "1 − γ on the wrong side",
            lambda g, r, t: _steps(g, r * (1 - g), t),
            "You make what is left out smaller by 1 − γ. The sum of all rewards to come is larger than one of them: on which "
            "side of the fraction is 1 − γ?",
        ),
        Misconception(
            "r_max forgotten",
            lambda g, r, t: _steps(g, 1 / (1 - g), t),
            "Your answer does not depend on how large rewards can be. Where is r_max?",
        ),
        Misconception(
            "rounded down",
            lambda g, r, t: max(0, math.floor(math.log(t * (1 - g) / r) / math.log(g))),
            "Your answer stops one step early: what is left out is still above the tolerance. Which way must a fraction of a "
            "step be rounded?",
        ),
        Misconception(
            "one step too many",
            lambda g, r, t: 0 if r / (1 - g) <= t else _needed_steps(g, r, t) + 1,
            "Your answer is enough, but not the smallest: one step fewer also meets the tolerance. After T steps, which reward "
            "is the first that is left out: γ^T or γ^(T+1)?",
        ),
        Misconception(
            "counted until it is below",
            lambda g, r, t: max(0, math.floor(math.log(t * (1 - g) / r) / math.log(g)) + 1),
            "Your answer goes on where the tolerance is met exactly. Is it ≤ or < in what was asked?",
        ),
        Misconception(
            "a negative number of steps",
            lambda g, r, t: math.ceil(math.log(t * (1 - g) / r) / math.log(g)),
            "Where the tolerance is generous, your answer is negative. How many steps does one play who need not play?",
        ),
        Misconception(
            "sign of the logarithm",
            lambda g, r, t: math.ceil(math.log(r / (t * (1 - g))) / math.log(g)),
            "Your number of steps is negative where there is something to play. log γ is negative, and log(a/b) = −log(b/a): "
            "which fraction belongs into the logarithm?",
        ),
        Misconception(
            "sign of the logarithm, and nothing below 0",
            lambda g, r, t: max(0, math.ceil(math.log(r / (t * (1 - g))) / math.log(g))),
            "Your answer is 0 where much is still to come. In a loop: when does it stop? With logarithms: log γ is negative, "
            "and log(a/b) = −log(b/a); has 0 hidden a wrong sign?",
        ),
        Misconception(
            "1 − γ for −log γ",
            lambda g, r, t: max(0, math.ceil(math.log(r / (t * (1 - g))) / (1 - g))),
            "Your answer divides by 1 − γ, a rule of thumb for γ near 1 and a little too cautious. What exactly does one step "
            "take off the logarithm?",
        ),
        Misconception(
            "the horizon 1/(1 − γ)",
            lambda g, r, t: math.ceil(1 / (1 - g)),
            "1/(1 − γ) steps are how far an agent looks ahead, roughly; about e⁻¹ of everything still comes after them. Where "
            "is your tolerance?",
        ),
    ],
)


# Exercise 4.5: the answer to exercise 4.2 in a network that learns

TRAINED_RUNS, TRAINED_STEPS, ENOUGH_RUNS = 8, 2_000, 7
LESS, MORE, TOO_LOW = 0.85, 1.15, -0.1
"""The bias of a run, as a share of that of DQN's run on the same draws: at most `LESS`, or above `MORE`; or itself below.

Of 1,200 pairs of runs, double DQN had at most 0.85 of DQN's bias in 99.8 %, the maximum of the online network more than 1.15
in 99.2 %, and the smallest of all values ended below −0.1 in all. (The medians: 0.48 and 2.1 of DQN's bias, which was 1.28,
and −4.6.) Of 150 groups of eight with double DQN, all had seven or more.
"""


def coins() -> FiniteMDP:
    """Return two states of eight actions each, all of which toss a coin for +1 or −1 and lead anywhere: all of Q* is 0."""
    toss = [(0.25, state, reward, False) for state in range(2) for reward in (-1.0, 1.0)]
    half = torch.tensor([0.5, 0.5], dtype=torch.float64)
    return FiniteMDP.from_outcomes([[toss] * 8] * 2, start_probability=half, discount=0.9)


def trained_bias(next_value: Callable[..., Tensor], runs: int = TRAINED_RUNS, seed: int = 0) -> Tensor:
    """Train on `coins` and return the bias (4.7), max Q − 0, as its mean over states and the second half of training: (R,)."""
    mdp = coins()
    envs = make_envs(mdp, runs)
    settings = DQNSettings(discount=mdp.discount, learning_rate=0.02, epsilon=1.0, target_period=200)
    agent = DQN(envs, settings, network=MLP(mdp.states, (32,), mdp.actions), next_value=next_value, seed=seed)
    replay = ReplayBuffer(envs, TRAINED_STEPS)
    steps = train(
        envs, agent, replay, steps=TRAINED_STEPS, learning_starts=200, batch_size=16, seed=seed, progress=False
    )
    biases = [
        agent.q(torch.eye(mdp.states)).amax(-1).mean(-1)
        for step in steps
        if step.number > TRAINED_STEPS // 2 and step.number % 20 == 0
    ]
    return torch.stack(biases).mean(0)


@cache
def _bias_of_dqn() -> Tensor:
    return trained_bias(greedy_value)


def _train(answer: Callable[..., object]) -> Tensor:
    """Train eight runs with a function that also passes exercise 4.2, and eight with DQN's, on the same draws.

    Returns:
        1, if the bias is at most `LESS` of DQN's in at least seven pairs of runs.

    Raises:
        FaultFound: if it is not (the kind of the fault says what it is instead), or if the function fails exercise 4.2 all
            the same.
    """

    def next_value(online_q: Tensor, target_q: Tensor) -> Tensor:
        return comparable(answer(online_q, target_q), target_q[..., 0])

    mine, dqn = trained_bias(next_value), _bias_of_dqn()

    def mostly(held: Tensor) -> bool:
        return bool(held.sum() >= ENOUGH_RUNS)

    look = "See what check.double_dqn_value says about your function."
    if mostly(mine < TOO_LOW):
        raise FaultFound(
            "too low", f"at least {ENOUGH_RUNS} of them say that coins lose: their estimates are below 0. {look}"
        )
    if mostly(mine > MORE * dqn):
        raise FaultFound(
            "more", f"at least {ENOUGH_RUNS} of them overestimate more than DQN does on the same draws. {look}"
        )
    if torch.equal(mine, dqn):
        raise FaultFound("the same", f"their bias is DQN's in every digit. {look}")
    if not mostly(mine <= LESS * dqn):
        raise FaultFound(
            "no less",
            f"fewer than {ENOUGH_RUNS} of them overestimate clearly less than DQN does on the same draws. {look}",
        )
    if double_dqn_value.judge(answer).score < 1:
        raise FaultFound("another way", f"they overestimate less than DQN does, but not in double DQN's way. {look}")
    return torch.tensor(1.0, dtype=torch.float64)


trained_double_dqn = Exercise(
    "trained_double_dqn",
    _double_dqn_value,
    cases=[
        Case(
            f"{TRAINED_RUNS} runs are trained with your function of exercise 4.2, which must be right itself",
            (),
            "In at least seven of the runs the bias must be clearly less than DQN's.",
            expected=torch.tensor(1.0, dtype=torch.float64),
        ),
    ],
    misconceptions=[
        Misconception(
            "DQN's value",
            lambda o, t: t.amax(-1),
            "What you have trained is DQN. Which of your two arguments is never read?",
            (Fault("the same", ""),),
        ),
        Misconception(
            "maximum of the online network",
            lambda o, t: o.amax(-1),
            "That is what DQN without a target network does: each error is bootstrapped at once, before the next samples can "
            "correct it. Who should judge what the online network chooses?",
            (Fault("more", ""),),
        ),
        Misconception(
            "minimum",
            lambda o, t: torch.minimum(o, t).amin(-1),
            "A minimum over noisy estimates is as biased as a maximum, the other way. Is there a minimum in (4.6)?",
            (Fault("too low", ""),),
        ),
    ],
    observe=_train,
)
