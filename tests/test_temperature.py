"""Temperatures: possible targets, the step on α in every run beside PyTorch's Adam, and the α where learning ends."""

import copy
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from scipy.stats import norm
from torch import Tensor

from sac_tutorial.deep.schedule import LinearSchedule, value_after
from sac_tutorial.deep.temperature import (
    LEAST_TEMPERATURE,
    MOST_SQUASHED,
    LearnedTemperature,
    Temperature,
    TemperatureSetting,
    temperature_setting,
)
from sac_tutorial.equations import boltzmann_policy, entropy
from tests.helpers import generator
from tests.oracles import minimized, plain_entropy

CPU = torch.device("cpu")
BATCH = 5
FORMS = pytest.mark.parametrize("in_log", [True, False])


def for_two_dimensions(*settings: TemperatureSetting) -> Temperature:
    """One run for each setting."""
    return Temperature(settings, len(settings), lambda learned: learned.target_for_continuous(2), CPU)


def log_probabilities(*entropies: float, seed: int = 0) -> Tensor:
    """Draws of log π for each run, shape (R, B). The mean of −log π in each run is the entropy given for it."""
    noise = torch.randn(len(entropies), BATCH, generator=generator(seed))
    return noise - noise.mean(-1, keepdim=True) - torch.tensor(entropies).unsqueeze(-1)


# Targets


def test_the_default_target_is_minus_one_a_dimension_or_half_of_the_largest_entropy() -> None:
    default = LearnedTemperature()
    assert [default.target_for_continuous(dimensions) for dimensions in (1, 3, 17)] == [-1, -3, -17]
    for actions in (2, 6, 18):
        assert default.target_for_discrete(actions) == pytest.approx(0.5 * plain_entropy([1 / actions] * actions))


def test_a_given_target_is_kept_and_a_fraction_is_a_share_of_the_largest_entropy() -> None:
    assert LearnedTemperature(-2.5).target_for_continuous(3) == -2.5
    assert LearnedTemperature(0.0).target_for_continuous(3) == 0  # not the default, though it is 0
    assert LearnedTemperature(0.3).target_for_discrete(3) == 0.3
    assert LearnedTemperature(fraction=0.98).target_for_discrete(6) == pytest.approx(0.98 * math.log(6))
    assert LearnedTemperature(fraction=0.25).target_for_continuous(3) == pytest.approx(0.25 * 3 * MOST_SQUASHED)


def test_christodoulous_target_leaves_the_best_of_four_actions_the_probability_of_the_docstring() -> None:
    others = (1 - 0.356) / 3
    assert plain_entropy([0.356, others, others, others]) == pytest.approx(0.98 * math.log(4), abs=1e-3)


def test_the_most_entropic_squashed_gaussian_is_the_one_of_the_docstring() -> None:
    noise = np.linspace(-12, 12, 4001)  # on so smooth an integrand, a plain sum over a fine grid is exact
    weight = norm.pdf(noise) * (noise[1] - noise[0])

    def minus_entropy(place: Any) -> float:
        mean, std = place
        before = mean + std * noise
        log_slope = -2 * (np.logaddexp(before, -before) - math.log(2))  # log(1 − tanh²)
        log_density = norm.logpdf(noise) - math.log(abs(std)) - log_slope
        return float((weight * log_density).sum())

    best = minimized(minus_entropy, (0.3, 0.6), method="Nelder-Mead", options={"xatol": 1e-5, "fatol": 1e-10})
    assert -best.fun == pytest.approx(MOST_SQUASHED, abs=1e-6)
    assert best.x == pytest.approx([0, 0.874], abs=1e-3)


@pytest.mark.parametrize(
    ("target", "dimensions", "message"),
    [
        (
            3.0,
            3,
            r"is 3, but .* 3 dimensions in \[-1, 1\] stays below 2.051, .*The usual target has the other sign, -3",
        ),
        (0.69, 1, "stays below 0.6836, so α would rise for ever"),  # the uniform distribution has log 2 = 0.693
        (2 * MOST_SQUASHED, 2, "stays below 1.367"),
    ],
)
def test_a_target_that_no_squashed_gaussian_reaches_is_refused(target: float, dimensions: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LearnedTemperature(target).target_for_continuous(dimensions)
    assert LearnedTemperature(0.683 * dimensions).target_for_continuous(dimensions) == 0.683 * dimensions


@pytest.mark.parametrize("target", [-3.0, 0.0, math.log(3), 2.0])
def test_a_target_that_no_policy_over_the_actions_reaches_is_refused(target: float) -> None:
    message = rf"target_entropy is {target:g}, .*for 3 discrete actions it must lie between 0 and log 3 = 1.099"
    with pytest.raises(ValueError, match=message):
        LearnedTemperature(target).target_for_discrete(3)
    assert LearnedTemperature(1.09).target_for_discrete(3) == 1.09


@pytest.mark.parametrize("learned", [LearnedTemperature(), LearnedTemperature(0.1), LearnedTemperature(fraction=0.5)])
def test_a_single_action_has_no_temperature_to_learn(learned: LearnedTemperature) -> None:
    with pytest.raises(ValueError, match="A single action has no entropy"):
        learned.target_for_discrete(1)


# Settings


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"start": 0.0}, ValueError, "start must be at least 1e-06 and finite, but is 0"),
        ({"start": 1e-50}, ValueError, "start must be at least"),  # it would be 0 in float32
        ({"start": -1.0}, ValueError, "start must be at least"),
        ({"start": math.nan}, ValueError, "start must be at least"),
        ({"start": math.inf}, ValueError, "start must be at least"),
        ({"start": "1"}, TypeError, "start must be a number"),
        ({"learning_rate": 0.0}, ValueError, "learning_rate must be above 0"),
        ({"learning_rate": LinearSchedule(0.1, -0.1, updates=9)}, ValueError, "last learning_rate must be above 0"),
        ({"target_entropy": math.nan}, ValueError, "target_entropy must be finite"),
        ({"target_entropy": -math.inf}, ValueError, "target_entropy must be finite"),
        ({"target_entropy": "auto"}, TypeError, "target_entropy must be a number"),
        ({"fraction": 0}, ValueError, r"fraction must lie in \(0, 1\), but is 0"),
        ({"fraction": 1.0}, ValueError, "fraction must lie in"),
        ({"fraction": math.nan}, ValueError, "fraction must lie in"),
        ({"fraction": "half"}, TypeError, "fraction must be a number"),
        ({"fraction": 0.5, "target_entropy": 0.0}, ValueError, "not as both; they are 0.0 and 0.5"),
        ({"in_log": 1}, TypeError, "in_log must be True or False"),
        ({"episode_length_term": None}, TypeError, "episode_length_term must be True or False"),
    ],
)
def test_wrong_settings_are_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        LearnedTemperature(**options)


def test_numpy_scalars_are_numbers() -> None:
    half: Any = np.float32(0.5)
    rate: Any = np.array(0.25)
    learned = LearnedTemperature(-half, start=half, learning_rate=rate)
    assert learned == LearnedTemperature(-0.5, start=0.5, learning_rate=0.25)
    assert LearnedTemperature(fraction=half) == LearnedTemperature(fraction=0.5)
    assert temperature_setting("temperature", (half, np.int64(2))) == (0.5, 2.0)


def test_a_temperature_is_one_setting_or_several() -> None:
    learned = LearnedTemperature(0.5)
    for given, expected in ((1, 1.0), (0, 0.0), (learned, learned), ([0.1, learned, 2], (0.1, learned, 2.0))):
        assert temperature_setting("temperature", given) == expected


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ("auto", TypeError, r"τ must be a number or a LearnedTemperature\(\), but is 'auto'"),
        (None, TypeError, "τ must be a number"),
        (True, TypeError, "τ must be a number"),
        ((0.1, "auto"), TypeError, "τ must be a number"),
        (-0.1, ValueError, "τ must be at least 0 and finite, but is -0.1"),
        ((0.1, math.inf), ValueError, "τ must be at least 0 and finite"),
    ],
)
def test_a_wrong_temperature_is_refused(value: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        temperature_setting("τ", value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ((0.1, 0.2), "one setting, or one for each of the 3 runs, but there are 2"),
        ((), "one for each of the 3 runs, but there are 0"),
        ((LearnedTemperature(), 0.1, LearnedTemperature(in_log=False)), "share learning_rate, in_log .* 2 different"),
        ([LearnedTemperature(learning_rate=rate) for rate in (0.1, 0.2, 0.3)], "there are 3 different ways"),
        ((LearnedTemperature(), 0.1, LearnedTemperature(episode_length_term=True)), "episode_length_term, but"),
    ],
)
def test_wrong_numbers_of_settings_and_runs_that_learn_differently_are_refused(
    settings: Sequence[TemperatureSetting], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Temperature(settings, 3, lambda _: 0.0, CPU)


def test_one_setting_serves_all_runs() -> None:
    learned = Temperature(LearnedTemperature(start=0.5), 3, lambda _: -2.0, CPU)
    assert learned.alpha.tolist() == [[0.5]] * 3 and learned.target_entropy.tolist() == [[-2]] * 3
    assert learned.alpha.dtype == torch.float32 and learned.learned.all()
    fixed = Temperature(0.25, 3, lambda _: -2.0, CPU)
    assert fixed.alpha.tolist() == [[0.25]] * 3 and fixed.target_entropy.tolist() == [[0]] * 3
    assert not fixed.learned.any()


# The step


def mixed(in_log: bool, **options: Any) -> tuple[TemperatureSetting, ...]:
    """Fixed and learned runs with different targets. The last run starts where a step in α itself leaves the positive."""
    rate = LinearSchedule(0.2, 0.02, updates=20)
    starts_and_targets = ((0.7, -3.0), (1.5, 0.5), (LEAST_TEMPERATURE, -2.0))
    first, second, least = (
        LearnedTemperature(target, start=start, learning_rate=rate, in_log=in_log, **options)
        for start, target in starts_and_targets
    )
    return 0.3, first, 0.0, second, least


def entropies_after(step: int) -> tuple[float, ...]:
    """Entropies on both sides of the targets, so that α turns round. In the last run they begin above the target."""
    return (9.0, -2.0 - step % 3, 9.0, 1.0 - 0.4 * (step % 4), 1.0 if step < 8 else -5.0)


@FORMS
def test_each_run_takes_the_steps_of_pytorchs_adam_and_fixed_runs_stay_bit_by_bit(in_log: bool) -> None:
    settings = mixed(in_log)
    temperature = for_two_dimensions(*settings)
    starts = temperature.alpha.clone()
    assert starts.tolist() == [[np.float32(start)] for start in (0.3, 0.7, 0, 1.5, LEAST_TEMPERATURE)]
    assert temperature.learned.flatten().tolist() == [False, True, False, True, True]
    targets = (0, -3, 0, 0.5, -2)
    assert temperature.target_entropy.flatten().tolist() == list(targets)

    learned = {run: setting for run, setting in enumerate(settings) if isinstance(setting, LearnedTemperature)}
    begin = {run: torch.tensor(math.log(each.start) if in_log else each.start) for run, each in learned.items()}
    parameters = {run: start.requires_grad_() for run, start in begin.items()}
    adams = {run: torch.optim.Adam([parameter]) for run, parameter in parameters.items()}
    for step in range(25):
        draws = log_probabilities(*entropies_after(step), seed=step)
        temperature.update(draws)
        for run, setting in learned.items():
            parameter, adam = parameters[run], adams[run]
            adam.param_groups[0]["lr"] = value_after(setting.learning_rate, step)
            alpha = parameter.exp() if in_log else parameter
            loss: Any = alpha * (-draws[run].mean() - targets[run])
            adam.zero_grad()
            loss.backward()
            adam.step()
            if not in_log:
                parameter.data.clamp_(min=1e-6)
            expected = parameter.detach().exp() if in_log else parameter.detach()
            torch.testing.assert_close(temperature.alpha[run, 0], expected, rtol=1e-4, atol=0)
        assert torch.equal(temperature.alpha[[0, 2]], starts[[0, 2]])


@FORMS
def test_alpha_falls_where_entropy_is_above_its_target_and_rises_where_it_is_below(in_log: bool) -> None:
    targets = (-4.0, -4.0, 1.0)
    temperature = for_two_dimensions(*(LearnedTemperature(target, start=0.5, in_log=in_log) for target in targets))
    for step in range(20):
        before = temperature.alpha
        temperature.update(log_probabilities(-3.9, -4.1, -3.0, seed=step))
        assert torch.equal((temperature.alpha - before).sign(), torch.tensor([[-1.0], [1.0], [1.0]]))


def test_the_first_step_is_the_learning_rate_in_log_alpha_or_in_alpha() -> None:
    for in_log, expected in ((True, 0.5 * math.exp(-0.1)), (False, 0.5 - 0.1)):
        temperature = for_two_dimensions(LearnedTemperature(start=0.5, learning_rate=0.1, in_log=in_log))
        temperature.update(log_probabilities(5.0))
        assert temperature.alpha.item() == pytest.approx(expected)


def test_alpha_itself_is_projected_and_comes_back() -> None:
    temperature = for_two_dimensions(LearnedTemperature(start=0.01, learning_rate=0.1, in_log=False))
    for _ in range(3):
        temperature.update(log_probabilities(7.0))
        assert temperature.alpha.item() == np.float32(1e-6)
    for _ in range(20):
        temperature.update(log_probabilities(-11.0))
    assert temperature.alpha.item() > 0.1


@FORMS
def test_runs_do_not_influence_each_other(in_log: bool) -> None:
    one, other = for_two_dimensions(*mixed(in_log)), for_two_dimensions(*mixed(in_log))
    for step in range(5):
        draws = log_probabilities(*entropies_after(step), seed=step)
        one.update(draws)
        disturbed = draws.clone()
        disturbed[0], disturbed[3] = math.nan, -1e6
        other.update(disturbed)
    assert (one.alpha == other.alpha).flatten().tolist() == [True, True, True, False, True]


@FORMS
def test_the_step_reaches_neither_the_policy_nor_the_tensors_that_others_hold(in_log: bool) -> None:
    temperature = for_two_dimensions(*mixed(in_log))
    policy = torch.ones(5, 1, requires_grad=True)
    given = log_probabilities(*entropies_after(0))
    log_probability = policy * given
    held, content = temperature.alpha, temperature.alpha.clone()
    temperature.update(log_probability)
    assert policy.grad is None and torch.equal(log_probability, given)
    assert torch.equal(held, content) and not torch.equal(temperature.alpha, content)
    assert temperature.alpha.shape == (5, 1)
    assert not temperature.alpha.requires_grad and not temperature.step_cost.requires_grad


def test_without_a_learned_run_nothing_is_computed() -> None:
    temperature = for_two_dimensions(0.3, 0.0)
    alpha = temperature.alpha
    temperature.update(log_probabilities(1.0, 2.0))
    assert temperature.alpha is alpha and alpha.tolist() == [[np.float32(0.3)], [0]]
    assert temperature.step_cost.tolist() == [[0], [0]]


# The episode-length term, equation (8.8)


def test_a_step_costs_alpha_times_the_target_by_hand() -> None:
    temperature = for_two_dimensions(*mixed(True, episode_length_term=True))
    by_hand = [0, 0.7 * -3, 0, 1.5 * 0.5, LEAST_TEMPERATURE * -2]
    assert temperature.step_cost.shape == (5, 1)
    assert temperature.step_cost.flatten().tolist() == pytest.approx(by_hand)
    temperature.update(log_probabilities(*entropies_after(0)))
    now = temperature.alpha.flatten().tolist()
    assert now[1] != np.float32(0.7)  # so the cost is that of the new α
    assert temperature.step_cost.flatten().tolist() == pytest.approx([0, -3 * now[1], 0, 0.5 * now[3], -2 * now[4]])


@FORMS
def test_without_the_term_a_step_costs_exactly_nothing(in_log: bool) -> None:
    temperature = for_two_dimensions(*mixed(in_log))
    for step in range(2):
        assert temperature.step_cost.tolist() == [[0]] * 5
        temperature.update(log_probabilities(*entropies_after(step)))


# The state


@FORMS
def test_a_loaded_state_goes_on_bit_by_bit(in_log: bool) -> None:
    original, loaded = for_two_dimensions(*mixed(in_log)), for_two_dimensions(*mixed(in_log))
    for step in range(15):
        if step == 6:
            state = copy.deepcopy(original.state_dict())
            original.update(log_probabilities(*entropies_after(0)))  # the copy does not follow
            loaded.load_state_dict(state)
            original.load_state_dict(state)
            assert torch.equal(loaded.alpha, state["alpha"]) and torch.equal(original.alpha, state["alpha"])
        draws = log_probabilities(*entropies_after(step), seed=step)
        original.update(draws)
        if step >= 6:
            loaded.update(draws)
            assert torch.equal(loaded.alpha, original.alpha)


# Where learning ends


@FORMS
def test_alpha_ends_where_the_boltzmann_policy_has_the_target_entropy(in_log: bool) -> None:
    """One state and three rewards: α* solves H(softmax(r / α)) = H̄."""
    rewards, targets, updates = [0.0, 0.3, 1.0], (0.3, 0.5, 0.7, 0.9), 400

    def gap(alpha: float, target: float) -> float:
        weights = [math.exp((reward - 1) / alpha) for reward in rewards]
        return plain_entropy([weight / sum(weights) for weight in weights]) - target

    best = torch.tensor([[brentq(gap, 0.01, 50, args=(target,))] for target in targets])
    rate = LinearSchedule(0.1 if in_log else 0.05, 0, updates=updates)
    settings = [LearnedTemperature(target, learning_rate=rate, in_log=in_log) for target in targets]
    temperature = Temperature(settings, 4, lambda learned: learned.target_for_discrete(3), CPU)
    for _ in range(updates):
        policy = boltzmann_policy(torch.tensor(rewards).expand(4, 1, 3), temperature.alpha)
        temperature.update(-entropy(policy))
    torch.testing.assert_close(temperature.alpha, best, rtol=1e-3, atol=0)
