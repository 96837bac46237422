"""Networks with leading axes, against PyTorch's own modules, one for each run."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from torch import Tensor, nn

from sac_tutorial.deep.networks import MLP, ConvNet, Network, check_network, linear
from tests.helpers import double, generator, module, normal

# No two sizes are equal, so that a wrong axis has a wrong length.
PAIR, RUNS, BATCH = 2, 3, 5
NETWORKS: dict[str, Network] = {
    "two hidden layers": MLP(4, (7, 6), 8),
    "one hidden layer": MLP(4, (7,), 8),
    "linear": MLP(4, (), 8),
    "one output": MLP(4, (7,), 1),
    "two convolutions": ConvNet((4, 9, 13), ((6, 3, 2), (7, 2, 1)), (10,), 8),
    "stride leaves a rest": ConvNet((4, 9, 12), ((6, 4, 3),), (), 8),
    "no convolution": ConvNet((4, 3, 1), (), (7,), 8),
}
every_network = pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)


def pytorch_network(network: Network, parameters: Sequence[Tensor], place: tuple[int, ...]) -> nn.Sequential:
    """PyTorch's network with the parameters at one place of the leading axes."""
    if isinstance(network, MLP):
        return module(list(parameters), *place)
    assert isinstance(network, ConvNet)
    layers: list[nn.Module] = []
    channels, depth = network.input_shape[0], 2 * len(network.filters)
    for (out, kernel, stride), weight, bias in zip(
        network.filters, parameters[:depth:2], parameters[1:depth:2], strict=True
    ):
        convolution = nn.Conv2d(channels, out, kernel, stride, dtype=weight.dtype)
        convolution.weight.data = weight[place].detach().reshape(convolution.weight.shape).clone()
        convolution.bias.data = bias[place][0].detach().clone()  # type: ignore[union-attr]
        layers += [convolution, nn.ReLU()]
        channels = out
    return nn.Sequential(*layers, nn.Flatten(), *module(list(parameters[depth:]), *place))


def as_stored(gradient: Tensor, parameter: Tensor) -> Tensor:
    """Our gradient of one network in PyTorch's shape: weights are transposed, filters and biases are flat."""
    return (gradient.T if parameter.dim() == 2 else gradient).reshape(parameter.shape)


# The same numbers as PyTorch's modules


@every_network
@pytest.mark.parametrize(
    ("leading", "given"),
    [
        ((RUNS,), (RUNS,)),
        ((RUNS,), ()),
        ((PAIR, RUNS), (PAIR, RUNS)),
        ((PAIR, RUNS), (RUNS,)),
        ((PAIR, RUNS), (PAIR, 1)),
        ((1,), (1,)),
    ],
)
def test_it_is_as_many_networks_as_its_leading_axes_say(
    network: Network, leading: tuple[int, ...], given: tuple[int, ...]
) -> None:
    parameters = double(network.initial(leading, generator()))
    x = normal(*given, BATCH, *network.input_shape).requires_grad_()
    weight = normal(*leading, BATCH, network.outputs, seed=2)
    out = network(parameters, x)
    assert out.shape == (*leading, BATCH, network.outputs)
    gradients = torch.autograd.grad((weight * out).sum(), [x, *parameters])

    separate = x.detach().clone().requires_grad_()
    spread = separate.expand(*leading, *x.shape[-1 - len(network.input_shape) :])
    for place in product(*map(range, leading)):
        single = pytorch_network(network, parameters, place)
        answer = single(spread[place])
        torch.testing.assert_close(out[place], answer, rtol=1e-12, atol=1e-12)
        (weight[place] * answer).sum().backward()  # the gradient of x adds up over the networks
        for gradient, parameter in zip(gradients[1:], single.parameters(), strict=True):
            torch.testing.assert_close(as_stored(gradient[place], parameter), parameter.grad, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(gradients[0], separate.grad, rtol=1e-11, atol=1e-11)


def test_a_layer_by_hand() -> None:
    x = torch.tensor([[[1.0, 2.0]], [[3.0, 4.0]]])  # two runs, a batch of one
    weight = torch.tensor([[[1.0, 10.0, 100.0], [2.0, 20.0, 200.0]], [[1.0, 0.0, -1.0], [0.0, 1.0, 1.0]]])
    bias = torch.tensor([[[0.5, 0.25, 0.125]], [[7.0, 8.0, 9.0]]])
    assert linear(x, weight, bias).tolist() == [[[5.5, 50.25, 500.125]], [[10.0, 12.0, 10.0]]]
    assert linear(x, weight[..., :1], bias[..., :1]).tolist() == [[[5.5]], [[10.0]]]  # a path of its own


def test_a_linear_network_on_one_hot_vectors_is_a_table() -> None:
    network = MLP(6, (), 4)
    weight, bias = network.initial((RUNS,), generator())
    assert torch.equal(network([weight, torch.zeros_like(bias)], torch.eye(6)), weight)


@every_network
def test_a_network_leaves_its_parameters_and_its_input_alone_and_repeats(network: Network) -> None:
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
def test_parameters_have_the_leading_axes_in_front_of_two(network: Network, leading: tuple[int, ...]) -> None:
    parameters = network.initial(leading, generator())
    assert all(parameter.shape[:-2] == leading for parameter in parameters)
    if isinstance(network, MLP):
        sizes = list(pairwise((network.inputs, *network.hidden, network.outputs)))
        shapes = [shape for n, m in sizes for shape in ((*leading, n, m), (*leading, 1, m))]
        assert [parameter.shape for parameter in parameters] == shapes


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
    ids=["MLP", "ConvNet"],
)
def test_parameters_begin_as_those_of_pytorchs_layers_do(
    network: Network, theirs: Callable[[], list[nn.Module]], inputs: tuple[int, ...]
) -> None:
    torch.manual_seed(0)  # PyTorch's layers know no other generator
    mine = network.initial((200,), generator())
    samples = [[p.detach() for layer in theirs() for p in layer.parameters()] for _ in range(200)]
    for number, parameter in enumerate(mine):
        sample = torch.stack([one[number] for one in samples]).flatten()
        assert parameter.numel() == sample.numel() and parameter.dtype == torch.float32
        bound = 1 / math.sqrt(inputs[number // 2])
        assert 0.98 * bound < parameter.abs().max() <= bound
        assert kstest(parameter.flatten()[:5_000].numpy(), sample[:5_000].numpy()).pvalue > 1e-6


@every_network
def test_a_seed_repeats_the_parameters_and_no_two_runs_begin_alike(network: Network) -> None:
    first = network.initial((RUNS,), generator())
    assert all(map(torch.equal, first, network.initial((RUNS,), generator())))
    assert not any(map(torch.equal, first, network.initial((RUNS,), generator(1))))
    for parameter in first:
        assert len({tuple(run.flatten().tolist()) for run in parameter}) == RUNS


# Sizes


def test_a_kernel_may_cover_all_that_is_left() -> None:
    network = ConvNet((2, 5, 4), ((3, 4, 1),), (), 6)
    assert network(network.initial((1,), generator()), torch.zeros(7, 2, 5, 4)).shape == (1, 7, 6)


def test_sizes_may_be_lists_and_numbers_of_numpy() -> None:
    given: Any = [np.int64(4), np.array(5)]
    assert repr(MLP(np.int32(3), given, torch.tensor(2))) == "MLP(inputs=3, hidden=(4, 5), outputs=2)"  # type: ignore[arg-type]
    pictures: Any = [[3, np.int64(8), 9], [[4, np.int64(3), 1]], [5], np.int64(2)]
    assert ConvNet(*pictures) == ConvNet((3, 8, 9), ((4, 3, 1),), (5,), 2)


mlp: Any = MLP
conv_net: Any = ConvNet
check: Any = check_network


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: mlp(0, (4,), 2), ValueError, "inputs must be at least 1, but is 0"),
        (lambda: mlp(3, (4,), -2), ValueError, "outputs must be at least 1, but is -2"),
        (lambda: mlp(3, (4, 0), 2), ValueError, "every entry of hidden must be at least 1, but is 0"),
        (lambda: mlp(3, (4.5,), 2), TypeError, "every entry of hidden must be a whole number, but is 4.5"),
        (lambda: mlp(3, 4, 2), TypeError, "hidden must be several whole numbers"),
        (lambda: mlp(True, (4,), 2), TypeError, "inputs must be a whole number"),
        (lambda: mlp(3, (4,), "two"), TypeError, "outputs must be a whole number"),
        (lambda: conv_net((8, 8), ((4, 3, 1),), (), 2), ValueError, r"input_shape must be three .* but is \(8, 8\)"),
        (lambda: conv_net((3, 8, 0), ((4, 3, 1),), (), 2), ValueError, "input_shape must be at least 1, but is 0"),
        (lambda: conv_net((3, 8, 8), ((4, 3),), (), 2), ValueError, r"each entry of filters must be three .* \(4, 3\)"),
        (lambda: conv_net((3, 8, 8), ((4, 3, 0),), (), 2), ValueError, "filters must be at least 1, but is 0"),
        (lambda: conv_net((3, 8, 8), ((4.0, 3, 1),), (), 2), TypeError, "filters must be a whole number, but is 4.0"),
        (lambda: conv_net((3, 8, 8), ((4, 3, 1),), (0,), 2), ValueError, "hidden must be at least 1"),
        (lambda: conv_net((3, 8, 8), ((4, 3, 1),), (), 0), ValueError, "outputs must be at least 1"),
        (
            lambda: conv_net((3, 9, 8), ((4, 3, 2), (4, 4, 1)), (), 2),
            ValueError,
            "kernel of convolution 2 is 4 pixels wide, but only 4 × 3 pixels",
        ),
        (
            lambda: check(MLP(4, (5,), 2), (3,), 2),
            ValueError,
            r"shape \(3,\) to 2 numbers, but maps \(4,\) to 2",
        ),
        (lambda: check(MLP(4, (5,), 2), (4,), 3, "critic"), ValueError, "critic must map .* to 3 numbers"),
        (lambda: check(nn.Linear(4, 2), (4,), 2, "critic"), TypeError, "critic must be a network"),
    ],
)
def test_networks_that_do_not_exist_or_do_not_fit_are_refused(
    make: Callable[[], object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        make()


@every_network
def test_a_network_that_fits_is_taken(network: Network) -> None:
    check_network(network, network.input_shape, network.outputs)
