"""Gradient steps for all runs at once, beside PyTorch's Adam for one run after the other."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sac_tutorial.deep.networks import MLP, ConvNet, Network
from sac_tutorial.deep.schedule import LinearSchedule, Schedule
from sac_tutorial.deep.target_network import Parameters
from sac_tutorial.deep.train_state import TrainState
from tests.helpers import double, generator, normal

PAIR, RUNS, BATCH = 2, 3, 5
NETWORKS: dict[str, Network] = {
    "hidden layers": MLP(4, (7, 6), 8),
    "one output": MLP(4, (7,), 1),
    "pictures": ConvNet((4, 7, 9), ((6, 3, 2),), (10,), 8),
}
every_network = pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)


def losses(network: Network, parameters: Parameters, x: Tensor, y: Tensor) -> Tensor:
    return (network(parameters, x) - y).square().mean((-1, -2))  # one number a run


@every_network
@pytest.mark.parametrize(
    ("learning_rate", "rates"),
    [
        (0.03, [0.03] * 6),
        (LinearSchedule(0.03, 0.01, updates=4), [0.03, 0.025, 0.02, 0.015, 0.01, 0.01]),
        (LinearSchedule(0.02, 0.0, updates=5), [0.02, 0.016, 0.012, 0.008, 0.004, 0.0]),
    ],
)
def test_each_step_is_that_of_pytorchs_adam_on_one_run_after_the_other(
    network: Network, learning_rate: Schedule, rates: list[float]
) -> None:
    state = TrainState(double(network.initial((RUNS,), generator())), learning_rate)
    singles = [
        [each.detach()[run : run + 1].clone().requires_grad_() for each in state.parameters] for run in range(RUNS)
    ]
    optimisers = [torch.optim.Adam(single) for single in singles]
    for step, rate in enumerate(rates):
        x = normal(RUNS, BATCH, *network.input_shape, seed=step)
        y = normal(RUNS, BATCH, network.outputs, seed=100 + step)
        state.minimize(losses(network, state.parameters, x, y))
        for run, (single, optimiser) in enumerate(zip(singles, optimisers, strict=True)):
            optimiser.zero_grad()
            losses(network, single, x[run : run + 1], y[run : run + 1]).sum().backward()  # type: ignore[no-untyped-call]
            optimiser.param_groups[0]["lr"] = rate
            optimiser.step()
            memory = [optimiser.state[each] for each in single]
            for mine, theirs in (
                (state.parameters, single),
                (state.first_moments, [each["exp_avg"] for each in memory]),
                (state.second_moments, [each["exp_avg_sq"] for each in memory]),
            ):
                for one, other in zip(mine, theirs, strict=True):
                    torch.testing.assert_close(one[run : run + 1], other, rtol=1e-10, atol=1e-11)
            assert [count.item() for count in state.counts] == [each["step"].item() for each in memory]
        assert state.updates == step + 1


def test_steps_in_float32_are_those_of_pytorchs_fused_adam_to_the_last_bit() -> None:
    network = MLP(4, (7, 6), 8)
    state = TrainState(network.initial((RUNS,), generator()), 0.01)
    theirs = [each.detach().clone().requires_grad_() for each in state.parameters]
    optimiser = torch.optim.Adam(theirs, lr=0.01, fused=True)
    for step in range(4):
        x, y = normal(RUNS, BATCH, 4, seed=step).float(), normal(RUNS, BATCH, 8, seed=100 + step).float()
        state.minimize(losses(network, state.parameters, x, y))
        optimiser.zero_grad()
        losses(network, theirs, x, y).sum().backward()  # type: ignore[no-untyped-call]
        for each in theirs:
            assert each.grad is not None
            each.grad = each.grad.contiguous()
        optimiser.step()
        assert all(map(torch.equal, state.parameters, theirs))


@pytest.mark.parametrize("disturbance", [1e6, math.nan])
@pytest.mark.parametrize("leading", [(RUNS,), (PAIR, RUNS)])
@every_network
def test_no_run_feels_what_happens_to_another(network: Network, leading: tuple[int, ...], disturbance: float) -> None:
    axis = len(leading) - 1

    def learn(extra: float) -> Parameters:
        state = TrainState(network.initial(leading, generator()), 0.01)
        for step in range(3):
            x = normal(*leading, BATCH, *network.input_shape, seed=step).float()
            x.select(axis, 1).add_(extra)
            y = normal(*leading, BATCH, network.outputs, seed=100 + step).float()
            state.minimize(losses(network, state.parameters, x, y))
        return state.parameters

    for calm, disturbed in zip(learn(0.0), learn(disturbance), strict=True):
        assert not torch.equal(calm.select(axis, 1), disturbed.select(axis, 1))
        assert disturbed.select(axis, 1).isnan().any() == math.isnan(disturbance)  # and nothing hides it
        for run in (0, 2):
            assert torch.equal(calm.select(axis, run), disturbed.select(axis, run))


def test_only_the_own_parameters_are_moved_and_no_gradient_is_left_anywhere() -> None:
    network = MLP(4, (7,), 8)
    start = [parameter.requires_grad_() for parameter in network.initial((RUNS,), generator())]
    state, other = TrainState(start, 0.1), TrainState(network.initial((RUNS,), generator(1)), 0.1)
    elsewhere = normal(RUNS, BATCH, 8).float().requires_grad_()
    untouched = [*start, *other.parameters, elsewhere]
    before = [parameter.detach().clone() for parameter in untouched]
    y = network(other.parameters, normal(BATCH, 4).float()) + elsewhere
    state.minimize(losses(network, state.parameters, normal(BATCH, 4, seed=3).float(), y))
    assert all(tensor.grad is None for tensor in [*untouched, *state.parameters])
    assert all(map(torch.equal, untouched, before))
    assert not any(map(torch.equal, state.parameters, start))


def test_it_copies_its_parameters_and_then_changes_its_own_in_place() -> None:
    start = [torch.zeros(RUNS, 2, 1)]
    state = TrainState(start, 0.5)
    (mine,) = state.parameters
    state.minimize((3 * mine).sum((-1, -2)))
    assert start[0].abs().sum() == 0 and not start[0].requires_grad
    assert state.parameters[0] is mine and mine.requires_grad
    assert torch.allclose(mine, torch.tensor(-0.5))  # Adam's first step is η against the gradient


SLOPE = torch.tensor([[1.0, -1.0], [1.0, 2.0], [-1.0, 3.0]])


@pytest.mark.parametrize("start", [torch.zeros(3, 2), torch.zeros(2, 3).T], ids=["as usual", "transposed"])
@pytest.mark.parametrize(
    ("loss", "gradient"),
    [
        (lambda p: (p * SLOPE).sum(-1), SLOPE),
        (lambda p: (p.T * SLOPE.T.contiguous()).sum(0), SLOPE),  # a gradient that is transposed
        (lambda p: p.sum(-1), torch.ones(3, 2)),  # one number, expanded
    ],
    ids=["as usual", "transposed", "expanded"],
)
def test_gradients_and_parameters_may_lie_in_memory_in_any_order(start: Tensor, loss: Any, gradient: Tensor) -> None:
    # The fused step reads a gradient in the order of memory.
    state = TrainState([start], 0.5)
    state.minimize(loss(state.parameters[0]))
    torch.testing.assert_close(state.parameters[0].detach(), -0.5 * gradient.sign())
    torch.testing.assert_close(state.first_moments[0], 0.1 * gradient)
    torch.testing.assert_close(state.second_moments[0], 0.001 * gradient.square())


def test_a_loaded_state_goes_on_as_the_original_and_apart_from_it() -> None:
    network, rate = NETWORKS["hidden layers"], LinearSchedule(0.1, 0.0, updates=6)  # the rate depends on `updates`
    original, loaded = (TrainState(network.initial((RUNS,), generator(seed)), rate) for seed in (0, 1))

    def learn(state: TrainState, steps: range) -> None:
        for step in steps:
            x = normal(RUNS, BATCH, 4, seed=step).float()
            state.minimize(losses(network, state.parameters, x, torch.ones(8)))

    learn(original, range(3))
    loaded.load_state_dict(original.state_dict())
    learn(loaded, range(3, 6))
    assert original.updates == 3 and not torch.equal(original.parameters[0], loaded.parameters[0])
    learn(original, range(3, 6))
    assert original.updates == loaded.updates == 6
    for name in ("parameters", "first_moments", "second_moments", "counts"):
        assert all(map(torch.equal, getattr(original, name), getattr(loaded, name)))
    assert all(parameter.requires_grad for parameter in loaded.parameters)


@pytest.mark.parametrize("rate", [np.float64(0.5), np.float32(0.5), np.array(0.5), torch.tensor(0.5)])
def test_a_learning_rate_of_numpy_is_a_number(rate: Any) -> None:
    state = TrainState([torch.zeros(2)], rate)
    state.minimize(state.parameters[0].sum())
    assert type(state.learning_rate) is float and torch.allclose(state.parameters[0], torch.tensor(-0.5))


@pytest.mark.parametrize(
    ("rate", "error", "message"),
    [
        (0.0, ValueError, "learning_rate must be above 0 and finite, but is 0.0"),
        (-1e-3, ValueError, "learning_rate must be above 0"),
        (math.inf, ValueError, "learning_rate must be above 0 and finite"),
        (math.nan, ValueError, "learning_rate must be above 0"),
        ("1", TypeError, "learning_rate must be a number"),
        (LinearSchedule(0.0, 1.0, updates=2), ValueError, "the first learning_rate must be above 0"),
        (LinearSchedule(1.0, -1e-9, updates=2), ValueError, "the last learning_rate must be above 0"),
    ],
)
def test_learning_rates_out_of_range_are_refused(rate: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        TrainState([torch.zeros(1)], rate)


def test_there_must_be_something_to_learn() -> None:
    with pytest.raises(ValueError, match="at least one tensor"):
        TrainState([], 1e-3)
