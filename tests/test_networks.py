"""Networks with leading axes, against PyTorch's own modules, one for each run; and the steps that move parameters."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise, product
from typing import Any

import pytest
import torch
from scipy.stats import kstest
from torch import Tensor, nn

from sac_tutorial.deep.networks import (
    MLP,
    ConvNet,
    Network,
    Parameters,
    TrainState,
    copy_step,
    frozen_copy,
    linear,
    polyak_step,
)
from sac_tutorial.deep.schedule import Linear, Schedule

# No two sizes are equal, so that a wrong axis has a wrong length.
PAIR, RUNS, BATCH = 2, 3, 5
MLPS = {
    "two hidden layers": MLP(4, (7, 6), 8),
    "one hidden layer": MLP(4, (7,), 8),
    "linear": MLP(4, (), 8),
}
CONVNETS = {
    "two convolutions": ConvNet((4, 9, 13), ((6, 3, 2), (7, 2, 1)), (10,), 8),
    "stride leaves a rest": ConvNet((4, 9, 12), ((6, 4, 3),), (), 8),
    "no convolution": ConvNet((4, 3, 1), (), (7,), 8),
}
NETWORKS: dict[str, Network] = MLPS | CONVNETS
every_network = pytest.mark.parametrize("name", NETWORKS)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def double(parameters: Parameters) -> Parameters:
    """In float64 two ways to the same number agree in almost every digit."""
    return [parameter.double().requires_grad_() for parameter in parameters]


def module(network: Network, parameters: Sequence[Tensor], place: tuple[int, ...]) -> nn.Sequential:
    """PyTorch's network with the parameters at one place of the leading axes."""
    values = [parameter[place].detach().clone() for parameter in parameters]  # PyTorch steps on its own memory
    layers: list[nn.Module] = []
    if isinstance(network, ConvNet):
        channels = network.input_shape[0]
        for out, kernel, stride in network.filters:
            convolution = nn.Conv2d(channels, out, kernel, stride, dtype=torch.float64)
            weight, bias, *values = values
            convolution.weight.data, convolution.bias.data = weight.reshape(convolution.weight.shape), bias[0]  # type: ignore[union-attr]
            layers += [convolution, nn.ReLU()]
            channels = out
        layers.append(nn.Flatten())
    for weight, bias in zip(values[::2], values[1::2], strict=True):
        layer = nn.Linear(*weight.shape, dtype=torch.float64)
        layer.weight.data, layer.bias.data = weight.T, bias[0]
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


# The same numbers as PyTorch's modules


@every_network
@pytest.mark.parametrize(
    ("leading", "given"),
    [
        ((RUNS,), (RUNS,)),
        ((RUNS,), ()),
        ((RUNS,), (1,)),
        ((PAIR, RUNS), (PAIR, RUNS)),
        ((PAIR, RUNS), (RUNS,)),
        ((PAIR, RUNS), (PAIR, 1)),
        ((PAIR, RUNS), ()),
        ((1,), (1,)),
    ],
)
def test_it_is_as_many_networks_as_its_leading_axes_say(
    name: str, leading: tuple[int, ...], given: tuple[int, ...]
) -> None:
    network = NETWORKS[name]
    parameters = double(network.initial(leading, generator()))
    x = normal(*given, BATCH, *network.input_shape).requires_grad_()
    weight = normal(*leading, BATCH, network.outputs, seed=2)
    out = network(parameters, x)
    assert out.shape == (*leading, BATCH, network.outputs)
    gradients = torch.autograd.grad((weight * out).sum(), [x, *parameters])

    separate = x.detach().clone().requires_grad_()
    spread = separate.expand(*leading, *x.shape[-1 - len(network.input_shape) :])
    for place in product(*map(range, leading)):
        single = module(network, parameters, place)
        answer = single(spread[place])
        torch.testing.assert_close(out[place], answer, rtol=1e-12, atol=1e-12)
        (weight[place] * answer).sum().backward()  # the gradient of x adds up over the networks
        for gradient, parameter in zip(gradients[1:], single.parameters(), strict=True):
            theirs = parameter.grad if parameter.dim() == 1 else parameter.grad.flatten(1)  # type: ignore[union-attr]
            mine = gradient[place] if parameter.dim() != 2 else gradient[place].T  # a filter is stored as PyTorch does
            torch.testing.assert_close(mine.reshape(theirs.shape), theirs, rtol=1e-11, atol=1e-11)  # type: ignore[union-attr]
    torch.testing.assert_close(gradients[0], separate.grad, rtol=1e-11, atol=1e-11)


def test_a_layer_by_hand() -> None:
    x = torch.tensor([[[1.0, 2.0]], [[3.0, 4.0]]])  # two runs, a batch of one
    weight = torch.tensor([[[1.0, 10.0, 100.0], [2.0, 20.0, 200.0]], [[1.0, 0.0, -1.0], [0.0, 1.0, 1.0]]])
    bias = torch.tensor([[[0.5, 0.25, 0.125]], [[7.0, 8.0, 9.0]]])
    assert linear(x, weight, bias).tolist() == [[[5.5, 50.25, 500.125]], [[10.0, 12.0, 10.0]]]


@pytest.mark.parametrize("columns", [1, 2])
def test_layers_of_one_output_and_of_more_are_the_same_product(columns: int) -> None:
    inputs = [normal(RUNS, *shape, seed=size) for size, shape in enumerate([(BATCH, 7), (7, columns), (1, columns)])]
    inputs = [each.requires_grad_() for each in inputs]
    x, weight, bias = inputs
    one_by_one = torch.stack([x[run] @ weight[run] + bias[run] for run in range(RUNS)])
    slope = normal(RUNS, BATCH, columns, seed=3)
    assert torch.allclose(linear(x, weight, bias), one_by_one)
    ours = torch.autograd.grad(linear(x, weight, bias), inputs, slope)
    theirs = torch.autograd.grad(one_by_one, inputs, slope)
    assert all(torch.allclose(*pair) for pair in zip(ours, theirs, strict=True))


def test_a_linear_network_on_one_hot_vectors_is_a_table() -> None:
    network = MLP(6, (), 4)
    weight, bias = network.initial((RUNS,), generator())
    assert torch.equal(network([weight, torch.zeros_like(bias)], torch.eye(6)), weight)


@every_network
def test_a_network_leaves_its_parameters_and_its_input_alone_and_repeats(name: str) -> None:
    network = NETWORKS[name]
    parameters = network.initial((RUNS,), generator())
    x = normal(RUNS, BATCH, *network.input_shape).float()
    before, seen = [parameter.clone() for parameter in parameters], x.clone()
    out = network(parameters, x)
    assert out.dtype == torch.float32
    assert torch.equal(out, network(parameters, x)) and torch.equal(x, seen)
    assert all(map(torch.equal, parameters, before))


# The first parameters


@pytest.mark.parametrize("leading", [(RUNS,), (PAIR, RUNS)])
@every_network
def test_parameters_have_the_leading_axes_in_front_of_two(name: str, leading: tuple[int, ...]) -> None:
    network = NETWORKS[name]
    assert all(parameter.shape[:-2] == leading for parameter in network.initial(leading, generator()))
    if isinstance(network, MLP):
        sizes = list(pairwise((network.inputs, *network.hidden, network.outputs)))
        shapes = [shape for n, m in sizes for shape in ((*leading, n, m), (*leading, 1, m))]
        assert [parameter.shape for parameter in network.initial(leading, generator())] == shapes


@pytest.mark.parametrize(
    ("network", "theirs", "inputs"),
    [
        (MLP(50, (31,), 9), lambda: [nn.Linear(50, 31), nn.Linear(31, 9)], (50, 31)),
        (
            ConvNet((3, 9, 9), ((11, 4, 2), (5, 2, 1)), (), 7),
            lambda: [nn.Conv2d(3, 11, 4), nn.Conv2d(11, 5, 2), nn.Linear(20, 7)],
            (3 * 4**2, 11 * 2**2, 20),
        ),
    ],
)
def test_parameters_begin_as_those_of_pytorchs_layers_do(
    network: Network, theirs: Callable[[], list[nn.Module]], inputs: tuple[int, ...]
) -> None:
    torch.manual_seed(0)  # PyTorch's layers know no other generator
    mine = network.initial((400,), generator())
    samples = [[p.detach() for layer in theirs() for p in layer.parameters()] for _ in range(400)]
    for number, parameter in enumerate(mine):
        sample = torch.stack([one[number] for one in samples]).flatten()
        assert parameter.numel() == sample.numel() and parameter.dtype == torch.float32
        bound = 1 / math.sqrt(inputs[number // 2])
        assert 0.99 * bound < parameter.abs().max() <= bound
        assert 0.99 * bound < sample.abs().max() <= bound
        assert kstest(parameter.flatten()[:5_000].numpy(), sample[:5_000].numpy()).pvalue > 1e-6


@every_network
def test_a_seed_repeats_the_parameters_and_no_two_runs_begin_alike(name: str) -> None:
    network = NETWORKS[name]
    first = network.initial((RUNS,), generator())
    assert all(map(torch.equal, first, network.initial((RUNS,), generator())))
    assert not any(map(torch.equal, first, network.initial((RUNS,), generator(1))))
    for parameter in first:
        assert len({tuple(run.flatten().tolist()) for run in parameter}) == RUNS


# Bad sizes


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: MLP(0, (4,), 2), ValueError, "inputs must be at least 1, but is 0"),
        (lambda: MLP(3, (4,), -2), ValueError, "outputs must be at least 1, but is -2"),
        (lambda: MLP(3, (4, 0), 2), ValueError, "hidden must be at least 1, but is 0"),
        (lambda: MLP(3, (4.5,), 2), TypeError, "hidden must be a whole number, but is 4.5"),
        (lambda: MLP(True, (4,), 2), TypeError, "inputs must be a whole number"),
        (lambda: MLP(3, (4,), "two"), TypeError, "outputs must be a whole number"),
        (lambda: ConvNet((8, 8), ((4, 3, 1),), (), 2), ValueError, r"input_shape must be \(channels, height, width\)"),
        (lambda: ConvNet((3, 8, 0), ((4, 3, 1),), (), 2), ValueError, "every size of a ConvNet must be at least 1"),
        (lambda: ConvNet((3, 8, 8), ((4, 3, 0),), (), 2), ValueError, "every size of a ConvNet must be at least 1"),
        (lambda: ConvNet((3, 8, 8), ((4.0, 3, 1),), (), 2), TypeError, "every size of a ConvNet must be a whole"),
        (
            lambda: ConvNet((3, 9, 8), ((4, 3, 2), (4, 4, 1)), (), 2),
            ValueError,
            "convolution 2 is 4 pixels wide, but only 4 × 3 are left",
        ),
        (lambda: ConvNet((3, 8, 8), ((4, 3, 1),), (0,), 2), ValueError, "hidden must be at least 1"),
        (lambda: ConvNet((3, 8, 8), ((4, 3, 1),), (), 0), ValueError, "outputs must be at least 1"),
    ],
)
def test_sizes_that_make_no_network_are_refused(
    make: Callable[[], Network], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        make()


def test_a_kernel_may_cover_all_that_is_left() -> None:
    network = ConvNet((2, 5, 4), ((3, 4, 1),), (), 6)
    assert network([p[:1] for p in network.initial((RUNS,), generator())], torch.zeros(7, 2, 5, 4)).shape == (1, 7, 6)


def test_hidden_widths_may_be_a_list() -> None:
    assert MLP(3, [4, 5], 2) == MLP(3, (4, 5), 2)  # type: ignore[arg-type]
    assert repr(MLP(3, [4], 2)) == "MLP(inputs=3, hidden=(4,), outputs=2)"  # type: ignore[arg-type]


# A gradient step


def losses(network: Network, parameters: Sequence[Tensor], x: Tensor, y: Tensor) -> Tensor:
    return (network(list(parameters), x) - y).square().mean((-1, -2))  # one number a run


@pytest.mark.parametrize("name", ["two hidden layers", "linear", "two convolutions"])
@pytest.mark.parametrize("schedule", [0.03, Linear(0.03, 0.01, updates=4), Linear(0.02, 0.0, updates=5)])
def test_steps_are_those_of_adam_on_one_network_after_the_other(name: str, schedule: Schedule) -> None:
    network, steps = NETWORKS[name], 7
    rates = [schedule(step) if isinstance(schedule, Linear) else schedule for step in range(steps)]
    learnable = TrainState(double(network.initial((RUNS,), generator())), schedule)
    singles = [module(network, learnable.parameters, (run,)) for run in range(RUNS)]
    optimisers = [torch.optim.Adam(single.parameters()) for single in singles]
    for step in range(steps):
        x = normal(RUNS, BATCH, *network.input_shape, seed=step)
        y = normal(RUNS, BATCH, network.outputs, seed=100 + step)
        learnable.minimize(losses(network, learnable.parameters, x, y))
        for run in range(RUNS):
            optimisers[run].zero_grad()
            (singles[run](x[run]) - y[run]).square().mean().backward()
            optimisers[run].param_groups[0]["lr"] = rates[step]
            optimisers[run].step()
    for run in range(RUNS):
        stepped = module(network, learnable.parameters, (run,))
        for mine, theirs in zip(stepped.parameters(), singles[run].parameters(), strict=True):
            torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-11)


@pytest.mark.parametrize("disturbance", [1.0, 1e6, math.inf, math.nan])
@pytest.mark.parametrize("leading", [(RUNS,), (PAIR, RUNS)])
@every_network
def test_no_run_feels_what_happens_to_another(name: str, leading: tuple[int, ...], disturbance: float) -> None:
    network, axis = NETWORKS[name], len(leading) - 1

    def learn(extra: float) -> Parameters:
        learnable = TrainState(network.initial(leading, generator()), 0.01)
        for step in range(3):
            x = normal(*leading, BATCH, *network.input_shape, seed=step).float()
            x.select(axis, 1).add_(extra)
            y = normal(*leading, BATCH, network.outputs, seed=100 + step).float()
            learnable.minimize(losses(network, learnable.parameters, x, y))
        return learnable.parameters

    for calm, disturbed in zip(learn(0.0), learn(disturbance), strict=True):
        assert not torch.equal(calm.select(axis, 1), disturbed.select(axis, 1))
        assert disturbed.select(axis, 1).isnan().any() == (not math.isfinite(disturbance))  # and nothing hides it
        for run in (0, 2):
            assert torch.equal(calm.select(axis, run), disturbed.select(axis, run))


def test_only_the_own_parameters_get_a_gradient() -> None:
    network = MLPS["one hidden layer"]
    start = [parameter.requires_grad_() for parameter in network.initial((RUNS,), generator())]
    learnable = TrainState(start, 0.1)
    other = TrainState(network.initial((RUNS,), generator(1)), 0.1)
    elsewhere = normal(RUNS, BATCH, 8).float().requires_grad_()
    before = [parameter.detach().clone() for parameter in [*start, *other.parameters, elsewhere]]
    y = network(other.parameters, normal(BATCH, 4).float()) + elsewhere
    learnable.minimize(losses(network, learnable.parameters, normal(BATCH, 4, seed=3).float(), y))
    untouched = [*start, *other.parameters, elsewhere]
    assert all(tensor.grad is None for tensor in untouched)
    assert all(map(torch.equal, untouched, before))
    assert not any(map(torch.equal, learnable.parameters, start))


def test_a_learnable_copies_what_it_is_given() -> None:
    start = [torch.zeros(RUNS, 2, 1)]
    learnable = TrainState(start, 0.5)
    learnable.minimize((3 * learnable.parameters[0]).sum((-1, -2)))
    assert start[0].abs().sum() == 0 and not start[0].requires_grad
    assert torch.allclose(learnable.parameters[0], torch.tensor(-0.5))  # Adam's first step is η against the gradient


@pytest.mark.parametrize(
    ("rate", "error"),
    [
        (0.0, ValueError),
        (-1e-3, ValueError),
        (math.inf, ValueError),
        (math.nan, ValueError),
        ("1", TypeError),
        (Linear(0.0, 1.0, updates=2), ValueError),
        (Linear(1.0, -1e-9, updates=2), ValueError),
    ],
)
def test_a_learning_rate_that_is_none_is_refused(rate: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="learning_rate must"):
        TrainState([torch.zeros(1)], rate)


# Target networks


def two_networks() -> tuple[Parameters, list[Tensor]]:
    target = [torch.tensor([[8.0, -4.0]]), torch.tensor([2.0])]
    online = [torch.tensor([[0.0, 4.0]]).requires_grad_(), torch.tensor([-6.0]).requires_grad_()]
    return target, online


def test_copies_take_the_values_and_nothing_else() -> None:
    _, online = two_networks()
    copies = frozen_copy(online)
    assert all(map(torch.equal, copies, online))
    assert not any(copy.requires_grad for copy in copies)
    with torch.no_grad():
        online[0].add_(1)
    assert copies[0].tolist() == [[0, 4]]


def test_a_copy_step_overwrites_the_target_in_place() -> None:
    target, online = two_networks()
    places = [tensor.data_ptr() for tensor in target]
    copy_step(target, online)
    assert [tensor.tolist() for tensor in target] == [[[0, 4]], [-6]]
    assert [tensor.data_ptr() for tensor in target] == places
    assert not any(tensor.requires_grad for tensor in target)
    with torch.no_grad():
        online[0].add_(1)
    assert target[0].tolist() == [[0, 4]]
    assert [tensor.grad for tensor in online] == [None, None]


def test_a_polyak_step_goes_the_rates_part_of_the_way_to_the_online_network() -> None:
    target, online = two_networks()
    places = [tensor.data_ptr() for tensor in target]
    polyak_step(target, online, 0.25)
    assert [tensor.tolist() for tensor in target] == [[[6, -2]], [0]]
    polyak_step(target, online, 0.5)
    assert [tensor.tolist() for tensor in target] == [[[3, 1]], [-3]]
    assert [tensor.detach().tolist() for tensor in online] == [[[0, 4]], [-6]]
    assert [tensor.data_ptr() for tensor in target] == places
    assert not any(tensor.requires_grad for tensor in target)


def test_polyak_rates_of_0_and_1_keep_and_copy() -> None:
    target, online = two_networks()
    polyak_step(target, online, 0)
    assert [tensor.tolist() for tensor in target] == [[[8, -4]], [2]]
    polyak_step(target, online, 1)
    assert [tensor.tolist() for tensor in target] == [[[0, 4]], [-6]]


@pytest.mark.parametrize(
    ("rate", "error"), [(-0.01, ValueError), (1.01, ValueError), (math.nan, ValueError), (None, TypeError)]
)
def test_a_polyak_rate_out_of_range_is_refused_and_nothing_moves(rate: Any, error: type[Exception]) -> None:
    target, online = two_networks()
    with pytest.raises(error, match="rate must"):
        polyak_step(target, online, rate)
    assert [tensor.tolist() for tensor in target] == [[[8, -4]], [2]]


@pytest.mark.parametrize("start", [torch.zeros(3, 2), torch.zeros(2, 3).T], ids=["as usual", "transposed"])
def test_gradients_and_parameters_may_lie_in_memory_as_they_like(start: Tensor) -> None:
    # Adam with fused=True reads a gradient in the order of memory: an expanded or a transposed one would be misread.
    slope = torch.tensor([[1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    for loss in (lambda p: (p * slope).sum(-1), lambda p: (p.T * slope.T.contiguous()).sum(0)):
        learnable = TrainState([start], 0.5)
        learnable.minimize(loss(learnable.parameters[0]))
        assert torch.allclose(learnable.parameters[0], -0.5 * slope)
    learnable = TrainState([start], 0.5)
    learnable.minimize(learnable.parameters[0].sum(-1))  # the gradient is one number, expanded
    assert torch.allclose(learnable.parameters[0], torch.tensor(-0.5))


def test_the_shape_of_a_picture_may_be_a_list() -> None:
    assert ConvNet([3, 8, 9], [[4, 3, 1]], [5], 2) == ConvNet((3, 8, 9), ((4, 3, 1),), (5,), 2)  # type: ignore[arg-type]


def test_what_adam_remembers_bears_its_name() -> None:
    learnable = TrainState([torch.zeros(3), torch.zeros(2, 1)], 0.5)
    learnable.minimize(
        (learnable.parameters[0] * torch.tensor([3.0, -4.0, 0.5])).sum() + 2 * learnable.parameters[1].sum()
    )
    for gradient, mean, square in zip(learnable.gradients, learnable.means, learnable.squares, strict=True):
        torch.testing.assert_close(mean, 0.1 * gradient)
        torch.testing.assert_close(square, 0.001 * gradient.square())
    assert learnable.count == 1
