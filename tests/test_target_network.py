"""Target networks: copies that no gradient reaches, and the two ways in which they follow."""

import pytest
import torch

from sac_tutorial.deep.target_network import Parameters, copy_step, frozen_copy, polyak_step


def two_networks() -> tuple[Parameters, Parameters]:
    target = [torch.tensor([[8.0, -4.0]]), torch.tensor([2.0])]
    online = [torch.tensor([[0.0, 4.0]]).requires_grad_(), torch.tensor([-6.0]).requires_grad_()]
    return target, online


def values(parameters: Parameters) -> list[list[float]]:
    return [parameter.flatten().tolist() for parameter in parameters]


def test_copies_take_the_values_and_nothing_else() -> None:
    online = [torch.arange(6.0).view(2, 3).T.requires_grad_(), torch.ones(3, 1).expand(3, 2)]
    copies = frozen_copy(online)
    assert all(map(torch.equal, copies, online))
    assert all(copy.is_contiguous() and not copy.requires_grad for copy in copies)
    with torch.no_grad():
        online[0].add_(1)
    assert copies[0].tolist() == [[0, 3], [1, 4], [2, 5]]


def test_a_copy_step_overwrites_the_target_in_place() -> None:
    target, online = two_networks()
    places = [tensor.data_ptr() for tensor in target]
    copy_step(target, online)
    assert values(target) == [[0, 4], [-6]]
    assert [tensor.data_ptr() for tensor in target] == places
    with torch.no_grad():
        online[0].add_(1)
    assert values(target) == [[0, 4], [-6]]
    assert not any(tensor.requires_grad for tensor in target) and all(tensor.requires_grad for tensor in online)


def test_a_polyak_step_goes_the_share_tau_of_the_way_to_the_online_network() -> None:
    target, online = two_networks()
    places = [tensor.data_ptr() for tensor in target]
    polyak_step(target, online, 0.25)
    assert values(target) == [[6, -2], [0]]
    polyak_step(target, online, 0.5)
    assert values(target) == [[3, 1], [-3]]
    assert values(online) == [[0, 4], [-6]]
    assert [tensor.data_ptr() for tensor in target] == places
    assert not any(tensor.requires_grad for tensor in target)


def test_tau_of_0_keeps_and_tau_of_1_copies() -> None:
    target, online = two_networks()
    polyak_step(target, online, 0)
    assert values(target) == [[8, -4], [2]]
    polyak_step(target, online, 1)
    assert values(target) == [[0, 4], [-6]]


def test_networks_of_different_depth_do_not_follow_each_other() -> None:
    target, online = two_networks()
    with pytest.raises(ValueError, match="zip"):
        copy_step(target, online[:1])
    with pytest.raises(ValueError, match="zip"):
        polyak_step(target, online[:1], 0.5)
