"""Random MDPs: their sizes, their distributions, and what is refused."""

from typing import Any

import pytest
import torch
from scipy.stats import kstest

from sac_tutorial.worlds.garnet import garnet
from tests.helpers import generator


def test_sizes_and_repetition() -> None:
    mdp = garnet(3, 2, 4, discount=0.9, generator=generator(1))
    again = garnet(3, 2, 4, discount=0.9, generator=generator(1))
    other = garnet(3, 2, 4, discount=0.9, generator=generator(2))
    assert mdp.probability.shape == (3, 2, 4)
    assert torch.equal(mdp.start_probability, torch.full((3,), 1 / 3, dtype=torch.float64))
    for field in ("probability", "next_state", "reward", "terminated"):
        assert torch.equal(getattr(mdp, field), getattr(again, field))
    assert not torch.equal(mdp.reward, other.reward)


def test_distributions() -> None:
    mdp = garnet(200, 10, 5, discount=0.9, generator=generator(), ending=0.2)
    assert kstest(mdp.reward.flatten().numpy(), "uniform").pvalue > 1e-6
    # uniform on the simplex: each of five probabilities is Beta(1, 4)
    assert kstest(mdp.probability[..., 0].flatten().numpy(), "beta", args=(1, 4)).pvalue > 1e-6
    assert kstest(mdp.next_state.flatten().numpy() / 200, "uniform").statistic < 0.03
    assert set(mdp.next_state.flatten().tolist()) == set(range(200))
    assert mdp.terminated.double().mean().item() == pytest.approx(0.2, abs=0.03)  # 10,000 draws: 7 standard errors


def test_ending_of_zero_and_one() -> None:
    assert not garnet(3, 2, 4, discount=0.9, generator=generator(), ending=0).terminated.any()
    assert garnet(3, 2, 4, discount=0.9, generator=generator(), ending=1).terminated.all()


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"states": 0}, ValueError, "states must be at least 1, but is 0"),
        ({"actions": -2}, ValueError, "actions must be at least 1, but is -2"),
        ({"outcomes": 2.5}, TypeError, "outcomes must be a whole number, but is 2.5"),
        ({"states": True}, TypeError, "states must be a whole number, but is True"),
        ({"ending": 1.5}, ValueError, r"ending must lie in \[0, 1\], but is 1.5"),
        ({"ending": None}, TypeError, "ending must be a number, but is None"),
        ({"discount": -1}, ValueError, r"discount must lie in \[0, 1\], but is -1"),
    ],
)
def test_bad_numbers_are_refused(arguments: dict[str, Any], error: type[Exception], words: str) -> None:
    good: dict[str, Any] = {"states": 3, "actions": 2, "outcomes": 4, "discount": 0.9}
    with pytest.raises(error, match=words):
        garnet(**good | arguments, generator=generator())
