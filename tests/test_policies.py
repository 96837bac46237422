"""Policies made of networks, against torch.distributions and by the frequencies of their draws."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.stats import chisquare, kstest
from torch import Tensor
from torch.nn import functional

from sac_tutorial.deep.networks import MLP
from sac_tutorial.deep.policies import Categorical, Gaussian, SquashedGaussian
from sac_tutorial.deep.target_network import Parameters
from sac_tutorial.deep.train_state import TrainState
from sac_tutorial.equations import squash
from tests.helpers import ACTIONS, BATCH, DIMENSIONS, HIDDEN, INPUTS, RUNS, double, generator, normal


def single(parameters: Parameters, run: int, seen: Tensor) -> Tensor:
    """One run's network with one hidden layer, in plain PyTorch, through which gradients reach our parameters."""
    first, first_bias, second, second_bias = (parameter[run] for parameter in parameters[:4])
    return functional.linear((seen @ first + first_bias[0]).clamp(min=0), second.T, second_bias[0])


CATEGORICAL = Categorical(MLP(INPUTS, (HIDDEN,), ACTIONS))
GAUSSIAN = Gaussian(MLP(INPUTS, (HIDDEN,), DIMENSIONS), first_log_std=-0.3)


# Discrete actions


def table_policy(logits: Tensor) -> tuple[Categorical, Parameters]:
    """A policy that reads run r's logits in state s from a table (R, S, A) by a one-hot observation."""
    runs, states, actions = logits.shape
    return Categorical(MLP(states, (), actions)), [logits, torch.zeros(runs, 1, actions, dtype=logits.dtype)]


def test_actions_are_drawn_by_the_softmax_of_each_run_and_state() -> None:
    logits, count = 2 * normal(RUNS, BATCH, ACTIONS).float(), 6_000
    policy, parameters = table_policy(logits)
    seen = torch.eye(BATCH).repeat(count, 1).expand(RUNS, -1, -1)
    action = policy.sample(parameters, seen, generator())
    assert action.shape == (RUNS, count * BATCH) and action.dtype == torch.int64
    action = action.view(RUNS, count, BATCH)
    chance = torch.softmax(logits.double(), -1)
    for run in range(RUNS):
        for state in range(BATCH):
            counts = action[run, :, state].bincount(minlength=ACTIONS)
            assert chisquare(counts.numpy(), count * chance[run, state].numpy(), sum_check=False).pvalue > 1e-6
    for one, other in (((0, 0), (0, 1)), ((0, 2), (1, 2))):  # neither states nor runs share their luck
        pairs = (ACTIONS * action[one[0], :, one[1]] + action[other[0], :, other[1]]).bincount(minlength=ACTIONS**2)
        wanted = count * torch.outer(chance[one], chance[other]).flatten()
        order = wanted.argsort(descending=True)
        sure = int((wanted > 5).sum()) - 1  # the last class takes all that is improbable
        found, expected = (torch.cat([each[order[:sure]], each[order[sure:]].sum(0, True)]) for each in (pairs, wanted))
        assert chisquare(found.numpy(), expected.numpy(), sum_check=False).pvalue > 1e-6


def test_actions_are_the_largest_of_logits_and_gumbel_noise_in_float64() -> None:
    logits = 2 * normal(RUNS, BATCH, ACTIONS).float()
    policy, parameters = table_policy(logits)
    exponential = -torch.rand(RUNS, BATCH, ACTIONS, generator=generator(3), dtype=torch.float64).log()
    expected = (logits.double().exp() / exponential).argmax(-1)
    assert torch.equal(policy.sample(parameters, torch.eye(BATCH), generator(3)), expected)


def test_probabilities_and_entropy_are_those_of_pytorchs_distribution() -> None:
    parameters, seen = double(CATEGORICAL.initial((RUNS,), generator())), normal(RUNS, BATCH, INPUTS)
    action = torch.randint(ACTIONS, (RUNS, BATCH), generator=generator())
    log_probability, entropy = CATEGORICAL.log_probability(parameters, seen, action)
    probabilities = CATEGORICAL.probabilities(parameters, seen)
    assert log_probability.shape == entropy.shape == (RUNS, BATCH)
    total = torch.zeros((), dtype=torch.float64)
    for run in range(RUNS):
        theirs: Any = torch.distributions.Categorical(logits=single(parameters, run, seen[run]))
        torch.testing.assert_close(log_probability[run], theirs.log_prob(action[run]))
        torch.testing.assert_close(entropy[run], theirs.entropy())
        torch.testing.assert_close(probabilities[run], theirs.probs)
        total = total + (2 * theirs.log_prob(action[run]) + theirs.entropy() + theirs.probs[:, 0]).sum()
    mine = torch.autograd.grad((log_probability * 2 + entropy + probabilities[..., 0]).sum(), parameters)
    for found, wanted in zip(mine, torch.autograd.grad(total, parameters), strict=True):
        torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_extreme_logits_have_finite_probabilities_entropies_and_gradients(kind: torch.dtype) -> None:
    logits = torch.tensor(
        [[[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4], [1e4, 1e4, -1e4], [0, 800, 0]]], dtype=kind
    ).requires_grad_()
    policy, parameters = table_policy(logits)
    seen = torch.eye(4, dtype=kind).expand(1, -1, -1)
    for action in range(3):
        log_probability, entropy = policy.log_probability(parameters, seen, torch.full((1, 4), action))
        assert log_probability.isfinite().all()
        assert entropy[0].tolist() == pytest.approx([0, math.log(3), math.log(2), 0], abs=1e-6)
        (slope,) = torch.autograd.grad((log_probability + entropy).sum(), [logits])
        assert slope.isfinite().all() and slope[0, 0, action].item() == (action != 0)  # 1[a = b] − π(b)
    drawn = policy.sample(parameters, seen.repeat(1, 2_000, 1), generator()).view(-1, 4)
    assert set(drawn[:, 0].tolist()) == {0} and set(drawn[:, 3].tolist()) == {1}
    assert set(drawn[:, 1].tolist()) == {0, 1, 2} and set(drawn[:, 2].tolist()) == {0, 1}


def test_the_most_likely_action_is_that_of_the_largest_logit() -> None:
    parameters, seen = CATEGORICAL.initial((RUNS,), generator()), normal(RUNS, BATCH, INPUTS).float()
    mode = CATEGORICAL.mode(parameters, seen)
    assert mode.shape == (RUNS, BATCH) and mode.dtype == torch.int64
    for run in range(RUNS):
        assert mode[run].tolist() == single(parameters, run, seen[run]).argmax(-1).tolist()


# Continuous actions


def test_the_first_parameters_are_the_networks_and_a_log_sigma_for_each_dimension() -> None:
    parameters = GAUSSIAN.initial((RUNS,), generator(3))
    assert all(map(torch.equal, parameters[:-1], GAUSSIAN.network.initial((RUNS,), generator(3))))
    assert torch.equal(parameters[-1], torch.full((RUNS, 1, DIMENSIONS), -0.3)) and len(parameters) == 5
    assert Gaussian(GAUSSIAN.network).initial((RUNS,), generator())[-1].tolist() == [[[0, 0]]] * RUNS
    assert GAUSSIAN.initial((4, RUNS), generator())[-1].shape == (4, RUNS, 1, DIMENSIONS)


def different_sigmas() -> Parameters:
    parameters = double(GAUSSIAN.initial((RUNS,), generator()))
    parameters[-1] = (normal(RUNS, 1, DIMENSIONS, seed=9) / 2).requires_grad_()
    return parameters


def test_log_density_and_entropy_are_those_of_pytorchs_normal_in_every_run() -> None:
    parameters, seen, action = different_sigmas(), normal(RUNS, BATCH, INPUTS), normal(RUNS, BATCH, DIMENSIONS, seed=5)
    log_density, entropy = GAUSSIAN.log_probability(parameters, seen, action)
    assert log_density.shape == entropy.shape == (RUNS, BATCH)
    total = torch.zeros((), dtype=torch.float64)
    for run in range(RUNS):
        theirs: Any = torch.distributions.Normal(single(parameters, run, seen[run]), parameters[-1][run].exp())
        torch.testing.assert_close(log_density[run], theirs.log_prob(action[run]).sum(-1))
        torch.testing.assert_close(entropy[run], theirs.entropy().sum(-1))
        total = total + (theirs.log_prob(action[run]).sum(-1) * 3 + theirs.entropy().sum(-1)).sum()
    mine = torch.autograd.grad((3 * log_density + entropy).sum(), parameters)
    for found, wanted in zip(mine, torch.autograd.grad(total, parameters), strict=True):
        torch.testing.assert_close(found, wanted)
    assert (mine[-1] != 0).all()


def test_draws_have_the_mean_of_the_state_and_the_sigma_of_the_run() -> None:
    parameters, count = [parameter.detach() for parameter in different_sigmas()], 4_000
    states = normal(RUNS, BATCH, INPUTS)
    seen = states.repeat(1, count, 1)
    action = GAUSSIAN.sample(parameters, seen, generator()).view(RUNS, count, BATCH, DIMENSIONS)
    mean, std = GAUSSIAN.mode(parameters, states), parameters[-1].exp()
    noise = (action - mean.unsqueeze(1)) / std.unsqueeze(1)
    flat = noise.movedim(1, -1).flatten(0, -2)
    assert flat.shape == (RUNS * BATCH * DIMENSIONS, count)
    for row in flat:
        assert kstest(row.numpy(), "norm").pvalue > 1e-6
    together = np.corrcoef(flat.numpy()) - np.eye(len(flat))
    assert np.abs(together).max() < 6 / math.sqrt(count)


def test_the_mode_of_a_gaussian_is_its_mean() -> None:
    parameters, seen = different_sigmas(), normal(RUNS, BATCH, INPUTS)
    mode = GAUSSIAN.mode(parameters, seen)
    assert mode.shape == (RUNS, BATCH, DIMENSIONS)
    for run in range(RUNS):
        torch.testing.assert_close(mode[run], single(parameters, run, seen[run]).detach())


def test_sigma_is_learnt_and_is_that_of_its_own_run() -> None:
    # Actions far from the mean make σ larger, those at the mean make it smaller.
    state = TrainState(GAUSSIAN.initial((2,), generator()), 0.1)
    seen = normal(2, BATCH, INPUTS).float()
    far = GAUSSIAN.mode(state.parameters, seen) + torch.tensor([9.0, 0.0]).view(2, 1, 1)
    state.minimize(-GAUSSIAN.log_probability(state.parameters, seen, far)[0].mean(-1))
    torch.testing.assert_close(state.parameters[-1].detach(), torch.tensor([[[-0.2, -0.2]], [[-0.4, -0.4]]]))


# Continuous actions inside [−1, 1]

SQUASHED = SquashedGaussian(MLP(INPUTS, (HIDDEN,), 2 * DIMENSIONS), DIMENSIONS)
SAME_SIGMA = SquashedGaussian(MLP(INPUTS, (HIDDEN,), DIMENSIONS), DIMENSIONS)
either = pytest.mark.parametrize("policy", [SQUASHED, SAME_SIGMA], ids=["of the state", "the same"])


def squashed_parameters(policy: SquashedGaussian) -> Parameters:
    parameters = double(policy.initial((RUNS,), generator(2)))
    if not policy.state_dependent:
        parameters[-1] = (normal(RUNS, 1, DIMENSIONS, seed=9) / 2).requires_grad_()
    return parameters


def before_squashing(policy: SquashedGaussian, parameters: Parameters, run: int, seen: Tensor) -> tuple[Tensor, Tensor]:
    """μ and log σ of one run, in plain PyTorch: the network's first outputs are the means, the others log σ."""
    out = single(parameters, run, seen)
    return (out[:, :DIMENSIONS], out[:, DIMENSIONS:]) if policy.state_dependent else (out, parameters[4][run])


@either
def test_draws_and_their_log_densities_are_those_of_pytorchs_transformed_normal(policy: SquashedGaussian) -> None:
    parameters, seen = squashed_parameters(policy), normal(RUNS, BATCH, INPUTS)
    action, log_density = policy.draw(parameters, seen, generator(4))
    assert action.shape == (RUNS, BATCH, DIMENSIONS) and log_density.shape == (RUNS, BATCH)
    noise = torch.randn(RUNS, BATCH, DIMENSIONS, generator=generator(4)).double()
    total = torch.zeros((), dtype=torch.float64)
    for run in range(RUNS):
        mean, log_std = before_squashing(policy, parameters, run, seen[run])
        transform = torch.distributions.TanhTransform(cache_size=1)
        theirs: Any = torch.distributions.TransformedDistribution(
            torch.distributions.Normal(mean, log_std.exp()), [transform]
        )
        wanted = transform(mean + log_std.exp() * noise[run])
        torch.testing.assert_close(action[run], wanted)
        torch.testing.assert_close(log_density[run], theirs.log_prob(wanted).sum(-1))
        total = total + (2 * wanted.sum(-1) + theirs.log_prob(wanted).sum(-1)).sum()
    mine = torch.autograd.grad((2 * action.sum(-1) + log_density).sum(), parameters)
    for found, slope in zip(mine, torch.autograd.grad(total, parameters), strict=True):
        torch.testing.assert_close(found, slope)


@either
def test_acting_takes_the_very_actions_of_a_draw_without_gradients(policy: SquashedGaussian) -> None:
    parameters, seen = squashed_parameters(policy), normal(RUNS, BATCH, INPUTS)
    action = policy.sample(parameters, seen, generator(4))
    assert torch.equal(action, policy.draw(parameters, seen, generator(4))[0]) and not action.requires_grad


@either
def test_draws_are_spread_as_the_squashed_gaussian_of_the_run_and_the_state(policy: SquashedGaussian) -> None:
    parameters, count = [parameter.detach() for parameter in squashed_parameters(policy)], 4_000
    states = normal(RUNS, BATCH, INPUTS)
    action, _ = policy.draw(parameters, states.repeat(1, count, 1), generator())
    action = action.view(RUNS, count, BATCH, DIMENSIONS)
    assert action.abs().max() < 1
    rows = []
    for run in range(RUNS):
        mean, log_std = before_squashing(policy, parameters, run, states[run])
        noise = (action[run].atanh() - mean) / log_std.exp()
        rows += list(noise.flatten(1).T)
    for row in rows:
        assert kstest(row.numpy(), "norm").pvalue > 1e-6
    together = np.corrcoef(torch.stack(rows).numpy()) - np.eye(len(rows))
    assert len(rows) == RUNS * BATCH * DIMENSIONS and np.abs(together).max() < 6 / math.sqrt(count)


@either
def test_the_median_is_tanh_of_the_mean_and_half_of_the_draws_lie_on_either_side(policy: SquashedGaussian) -> None:
    parameters, seen, count = squashed_parameters(policy), normal(RUNS, 1, INPUTS), 4_000
    median = policy.median(parameters, seen)
    for run in range(RUNS):
        torch.testing.assert_close(median[run], before_squashing(policy, parameters, run, seen[run])[0].tanh())
    action, _ = policy.draw(parameters, seen.expand(-1, count, -1), generator())
    above = (action > median).double().mean(1)
    assert ((above - 0.5).abs() < 6 * 0.5 / math.sqrt(count)).all()


def test_the_most_likely_action_lies_further_out_than_the_median() -> None:
    # where u = μ + 2 σ² tanh u; the docstring says so
    mean, std = 0.4, 0.5

    def minus_log_density(u: float) -> float:
        mu, log_std, noise = (torch.tensor([x], dtype=torch.float64) for x in (mean, math.log(std), (u - mean) / std))
        return -squash(mu, log_std, noise)[1].item()

    best = minimize_scalar(minus_log_density, bounds=(-3, 3), method="bounded", options={"xatol": 1e-9}).x
    assert best == pytest.approx(mean + 2 * std**2 * math.tanh(best), abs=1e-6) and best > mean + 0.1


def given_outputs(values: Tensor) -> tuple[SquashedGaussian, Parameters]:
    """A policy that has these outputs, (R, 2 · dimensions), whatever it sees."""
    policy = SquashedGaussian(MLP(INPUTS, (), values.shape[-1]), values.shape[-1] // 2)
    return policy, [torch.zeros(len(values), INPUTS, values.shape[-1]), values.unsqueeze(1).clone().requires_grad_()]


@pytest.mark.parametrize(
    ("told", "kept"), [(-1e4, -20.0), (-20.5, -20.0), (-19.5, -19.5), (1.5, 1.5), (2.5, 2.0), (1e4, 2.0)]
)
def test_log_sigma_is_clamped_and_beyond_the_edges_it_is_not_moved(told: float, kept: float) -> None:
    policy, parameters = given_outputs(torch.tensor([[30.0, -30.0, told, 0.5]]))
    seen = normal(1, 1, INPUTS).float()
    mean, log_std = policy.gaussian(parameters, seen)
    assert mean.tolist() == [[[30, -30]]] and log_std.tolist() == [[[kept, 0.5]]]  # the mean is not
    action, log_density = policy.draw(parameters, seen, generator())
    assert log_density.isfinite().all()
    (slope,) = torch.autograd.grad((log_density + action.sum(-1)).sum(), parameters[1:])
    assert slope.isfinite().all() and (slope[0, 0, 2] == 0) == (kept != told) and slope[0, 0, 3] != 0
    shared = SquashedGaussian(MLP(INPUTS, (), 1), 1)
    far = [torch.zeros(1, INPUTS, 1), torch.zeros(1, 1, 1), torch.full((1, 1, 1), told)]
    assert shared.gaussian(far, seen)[1].tolist() == [[[kept]]]


def test_a_sigma_for_all_states_begins_at_one_is_learnt_and_is_that_of_its_own_run() -> None:
    first = SAME_SIGMA.initial((4, RUNS), generator(3))
    assert all(map(torch.equal, first[:-1], SAME_SIGMA.network.initial((4, RUNS), generator(3))))
    assert torch.equal(first[-1], torch.zeros(4, RUNS, 1, DIMENSIONS)) and len(first) == 5
    assert (SAME_SIGMA.state_dependent, SQUASHED.state_dependent) == (False, True)
    assert all(
        map(torch.equal, SQUASHED.initial((RUNS,), generator(3)), SQUASHED.network.initial((RUNS,), generator(3)))
    )
    parameters, seen = SAME_SIGMA.initial((2,), generator()), normal(2, 400, INPUTS).float()
    state = TrainState([*parameters[:-1], parameters[-1] + 1], 0.1)
    _, log_density = SAME_SIGMA.draw(state.parameters, seen, generator())
    state.minimize(log_density.mean(-1) * torch.tensor([1.0, -1.0]))  # run 0 wants more entropy, run 1 less
    mean, log_std = SAME_SIGMA.gaussian(state.parameters, seen)
    assert log_std.shape == (2, 1, DIMENSIONS) and mean.shape == (2, 400, DIMENSIONS)
    # so wide a Gaussian is pushed to the edges by tanh: the narrower, the more entropy, (7.15)
    torch.testing.assert_close(log_std.detach(), torch.tensor([[[0.9, 0.9]], [[1.1, 1.1]]]))


# All of them

every_policy = pytest.mark.parametrize("policy", [CATEGORICAL, GAUSSIAN, SQUASHED, SAME_SIGMA])


@every_policy
def test_acting_carries_no_gradient_and_repeats_with_the_seed(policy: Any) -> None:
    state, seen = TrainState(policy.initial((RUNS,), generator()), 0.1), normal(RUNS, BATCH, INPUTS).float()
    first, again, other = (policy.sample(state.parameters, seen, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other) and not first.requires_grad
    assert first.dtype == (torch.int64 if policy is CATEGORICAL else torch.float32)
    if not isinstance(policy, SquashedGaussian):
        assert not policy.mode(state.parameters, seen).requires_grad


@every_policy
@pytest.mark.parametrize("disturbance", [1e6, math.nan])
def test_no_run_knows_of_another(policy: Any, disturbance: float) -> None:
    def outcome(extra: float) -> list[Tensor]:
        parameters = [parameter.clone() for parameter in policy.initial((RUNS,), generator())]
        for parameter in parameters:
            parameter[1] += extra
        seen = normal(RUNS, BATCH, INPUTS).float()
        if isinstance(policy, SquashedGaussian):
            return [*policy.draw(parameters, seen, generator(3)), policy.median(parameters, seen)]
        action = policy.sample(parameters, seen, generator(3))
        fixed = torch.ones_like(action)
        return [action, *policy.log_probability(parameters, seen, fixed), policy.mode(parameters, seen)]

    for calm, disturbed in zip(outcome(0.0), outcome(disturbance), strict=True):
        assert torch.equal(calm[[0, 2]], disturbed[[0, 2]])


def test_numbers_of_numpy_are_numbers() -> None:
    policy = Gaussian(MLP(INPUTS, (), 1), np.float32(0.5))  # type: ignore[arg-type]
    assert policy.initial((1,), generator())[-1].tolist() == [[[0.5]]]
    network = MLP(INPUTS, (), 2)
    for two in (np.int64(2), np.array(2)):
        assert SquashedGaussian(network, two) == SquashedGaussian(network, 2)  # type: ignore[arg-type]


def gaussian(first_log_std: Any) -> Callable[[], object]:
    return lambda: Gaussian(MLP(INPUTS, (), 1), first_log_std)


def squashed(outputs: int, dimensions: Any) -> Callable[[], object]:
    return lambda: SquashedGaussian(MLP(INPUTS, (), outputs), dimensions)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (squashed(3, 2), ValueError, "2 dimensions needs a network of 4 outputs, .* or of 2 for .* this one has 3"),
        (squashed(1, 2), ValueError, "but this one has 1"),
        (squashed(8, 2), ValueError, "but this one has 8"),
        (squashed(2, 0), ValueError, "dimensions must be at least 1"),
        (squashed(2, 1.0), TypeError, "dimensions must be a whole number"),
        (gaussian(math.nan), ValueError, "first_log_std must be finite, but is nan"),
        (gaussian("0"), TypeError, "first_log_std must be a number, but is '0'"),
    ],
)
def test_policies_that_cannot_be_are_refused(call: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_the_first_log_std_may_be_a_numpy_scalar_and_is_no_part_of_the_name() -> None:
    policy = Gaussian(MLP(INPUTS, (), DIMENSIONS), first_log_std=np.array(0.5))  # type: ignore[arg-type]
    assert policy.initial((2,), generator())[-1].tolist() == [[[0.5] * DIMENSIONS]] * 2
    assert repr(policy) == repr(Gaussian(MLP(INPUTS, (), DIMENSIONS)))
