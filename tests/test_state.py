"""The state of what learns: handed out, checked entry by entry, taken back; and what must be the same around it."""

from collections.abc import Callable
from typing import Any

import attrs
import pytest
import torch
from torch import Tensor

from sac_tutorial.deep.networks import MLP
from sac_tutorial.deep.state import State, Stateful, check_like, state_of
from sac_tutorial.deep.target_network import polyak_step
from sac_tutorial.deep.train_state import TrainState
from tests.helpers import generator


@attrs.frozen
class Settings:
    """Two settings, to be listed one by one."""

    tau: float = 0.005
    loss: str = "huber"


class Learner(Stateful):
    """An object with every kind of state that there is."""

    state_names = ("train_state", "target", "generator", "updates", "temperature")
    fixed_names = ("settings", "network", "runs", "device")

    def __init__(self, seed: int, runs: int = 2, settings: object = None) -> None:
        self.network, self.runs, self.device = MLP(3, (), 1), runs, torch.device("cpu")
        self.settings = settings or Settings()
        self.generator, self.updates = generator(seed), 0
        self.train_state = TrainState(self.network.initial((runs,), self.generator), 0.1)
        self.target = self.network.initial((runs,), self.generator)
        self.temperature = torch.rand(runs, generator=self.generator)

    def learn(self) -> Tensor:
        """Change every part of the state."""
        noise = torch.randn(self.runs, 3, generator=self.generator)
        parameters = self.train_state.parameters
        self.train_state.minimize(self.network(parameters, noise.unsqueeze(1))[:, 0, 0] * self.temperature)
        polyak_step(self.target, parameters, 0.5)
        self.temperature = self.temperature + self.updates
        self.updates += 1
        return noise


def flat(state: Any, name: str = "") -> dict[str, Any]:
    """The leaves of a state, each a copy, by their full names."""
    if isinstance(state, dict):
        return {key: leaf for each in state for key, leaf in flat(state[each], f"{name}.{each}").items()}
    return {name[1:]: state.clone() if isinstance(state, Tensor) else state}


def assert_equal_states(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one.keys() == other.keys()
    for name, leaf in one.items():
        assert torch.equal(leaf, other[name]) if isinstance(leaf, Tensor) else leaf == other[name], name


def test_a_state_is_a_nested_dictionary_of_tensors_and_whole_numbers() -> None:
    learner = Learner(0)
    learner.learn()
    state = learner.state_dict()
    moments = ("parameters", "first_moments", "second_moments")
    assert list(flat(state)) == [
        *(f"train_state.{name}.{place}" for name in (*moments, "counts") for place in (0, 1)),
        *("train_state.updates", "target.0", "target.1", "generator", "updates", "temperature"),
    ]
    assert state["updates"] == state["train_state"]["updates"] == 1
    parameter = state["train_state"]["parameters"]["0"]
    assert parameter.data_ptr() == learner.train_state.parameters[0].data_ptr() and not parameter.requires_grad
    assert torch.equal(state_of(generator(4)), generator(4).get_state()) and state_of(7) == 7


def test_a_loaded_object_goes_on_as_the_original_and_apart_from_it() -> None:
    original, loaded = Learner(0), Learner(1)
    for _ in range(3):
        original.learn()
    loaded.learn()
    places = loaded.train_state.parameters[0].data_ptr(), loaded.target[0].data_ptr()
    loaded.load_state_dict(original.state_dict())
    assert_equal_states(flat(loaded.state_dict()), flat(original.state_dict()))
    before = flat(original.state_dict())
    draws = [loaded.learn() for _ in range(3)]
    assert_equal_states(flat(original.state_dict()), before)  # nothing is shared
    assert all(map(torch.equal, draws, [original.learn() for _ in range(3)]))
    assert_equal_states(flat(loaded.state_dict()), flat(original.state_dict()))
    assert loaded.updates == loaded.train_state.updates == 6
    assert (loaded.train_state.parameters[0].data_ptr(), loaded.target[0].data_ptr()) == places


def change(*path: str, to: Any = None) -> Callable[[State], None]:
    """Put something else in the place of an entry, or take the entry away."""

    def damage(state: State) -> None:
        for name in path[:-1]:
            state = state[name]
        if to is None:
            del state[path[-1]]
        else:
            state[path[-1]] = to

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (change("temperature"), "lacks 'temperature'"),
        (change("train_state", "parameters", "1"), r"lacks 'train_state\.parameters\.1'"),
        (change("epsilon", to=1), "has the unknown entry 'epsilon'"),
        (change("target", "2", to=torch.zeros(2)), r"has the unknown entry 'target\.2'"),
        (
            change("train_state", "first_moments", "1", to=torch.zeros(3, 1, 1)),
            r"'train_state\.first_moments\.1' .* of shape \(2, 1, 1\) and torch.float32, but is .* shape \(3, 1, 1\)",
        ),
        (change("temperature", to=torch.zeros(2).double()), "'temperature' .* torch.float32, but is .* torch.float64"),
        (change("generator", to=torch.zeros(3, dtype=torch.uint8)), r"'generator' .* but is a tensor of shape \(3,\)"),
        (
            change("generator", to=torch.full_like(generator().get_state(), 255)),
            "'generator' is not the state of a generator",
        ),
        (change("temperature", to=3), "'temperature' .* but is a whole number"),
        (change("updates", to=torch.tensor(3)), r"'updates' .* must be a whole number, but is a tensor of shape \(\)"),
        (change("updates", to=True), "'updates' .* must be a whole number, but is True or False"),
        (change("target", to=torch.zeros(2)), "'target' .* must be a table of entries, but is a tensor"),
        (change("target", "0", to={"0": torch.zeros(2)}), r"'target\.0' .* but is a table of entries"),
    ],
)
def test_a_state_that_does_not_fit_is_refused_by_its_entry_and_changes_nothing(
    damage: Callable[[State], None], message: str
) -> None:
    other, learner = Learner(1), Learner(0)
    other.learn()
    state = other.state_dict()
    before = flat(learner.state_dict())
    learner.check_state_dict(state)  # which changes nothing either
    assert_equal_states(flat(learner.state_dict()), before)
    damage(state)
    for take in (learner.check_state_dict, learner.load_state_dict):
        with pytest.raises(ValueError, match=message):
            take(state)
    assert_equal_states(flat(learner.state_dict()), before)


def test_states_are_compared_by_entries_shapes_and_types_and_not_by_values() -> None:
    check_like({"a": torch.zeros(2), "b": {"c": 3}}, {"b": {"c": 4}, "a": torch.ones(2)})
    with pytest.raises(ValueError, match=r"lacks 'b\.c'"):
        check_like({"b": {"c": 3}}, {"b": {}})


def test_a_description_lists_the_settings_one_by_one_and_nothing_that_is_learnt() -> None:
    learner = Learner(0, runs=3, settings=Settings(tau=0.01))
    words = learner.describe()
    assert words == {
        "kind": "Learner",
        "settings.tau": "0.01",
        "settings.loss": "'huber'",
        "network": "MLP(inputs=3, hidden=(), outputs=1)",
        "runs": "3",
        "device": "cpu",
    }
    learner.learn()
    assert learner.describe() == words
    learner.device = torch.device("cuda", 1)
    assert learner.describe()["device"] == "cuda"  # any one of the kind will do
    assert Stateful().describe() == {"kind": "Stateful"}
