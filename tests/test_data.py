"""The data files hold what data/README.md, their dictionary, says."""

import json
from pathlib import Path

import pytest
import torch

from sac_tutorial.exact.dynamic_programming import optimal_q
from sac_tutorial.worlds.gridworld import gridworld
from sac_tutorial.worlds.mdp import FiniteMDP

DATA = Path(__file__).parents[1] / "data"
LEFT, DOWN, RIGHT, UP = range(4)


@pytest.fixture(scope="module")
def crossing() -> FiniteMDP:
    return FiniteMDP.from_json(DATA / "crossing.json")


def test_every_file_is_in_the_dictionary() -> None:
    dictionary = (DATA / "README.md").read_text(encoding="utf-8")
    files = [path.name for path in DATA.iterdir() if path.name != "README.md"]
    assert "crossing.json" in files
    assert [name for name in files if f"`{name}`" not in dictionary] == []


def test_every_model_can_be_read_and_has_only_keys_of_the_dictionary() -> None:
    dictionary = (DATA / "README.md").read_text(encoding="utf-8")
    for path in DATA.glob("*.json"):
        assert FiniteMDP.from_json(path).states > 0
        for key in json.loads(path.read_text(encoding="utf-8")):
            assert f"| `{key}` |" in dictionary, (path.name, key)


def test_the_crossing_is_the_drawn_gridworld(crossing: FiniteMDP) -> None:
    drawn = gridworld([".....", ".###.", "S...G", "#HHH#"], discount=0.9, slip=0.1)
    for name in ("state_labels", "action_labels", "drawing", "discount"):
        assert getattr(crossing, name) == getattr(drawn, name), name
    for name in ("start_probability", "transition_matrix", "continuation_matrix", "expected_reward"):
        assert torch.allclose(getattr(crossing, name), getattr(drawn, name)), name


def test_the_crossing_has_two_ways_short_and_risky_or_long_and_safe(crossing: FiniteMDP) -> None:
    state = {label: number for number, label in enumerate(crossing.state_labels)}
    holes, goal = [state["3,1"], state["3,2"], state["3,3"]], state["2,4"]
    ledge = [state["2,1"], state["2,2"], state["2,3"]]
    around = [state[cell] for cell in ("1,0", "0,0", "0,1", "0,2", "0,3", "0,4", "1,4")]
    assert int(crossing.live.sum()) == len(ledge) + len(around) + 1
    assert not crossing.live[[*holes, goal]].any()
    moves = crossing.transition_matrix
    assert moves[ledge][:, :, holes].sum(-1).min(-1).values.max() < 0.06  # some action on the ledge falls rarely
    for cell in ledge:
        assert moves[cell, RIGHT, holes].sum() > 0  # but walking along the ledge is a risk
    assert moves[around][:, :, holes].sum() == 0  # no risk on the long way
    best = optimal_q(crossing).argmax(-1)
    assert best[state["1,4"]] == DOWN
    assert best[state["0,2"]] == RIGHT
