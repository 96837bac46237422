"""Gridworlds drawn as text, against outcomes counted by hand and Gymnasium's own lake."""

import math
from typing import Any

import pytest
import torch

from sac_tutorial.worlds.gridworld import gridworld
from sac_tutorial.worlds.mdp import FiniteMDP, Outcome

LEFT, DOWN, RIGHT, UP = range(4)


def outcomes(mdp: FiniteMDP, state: int, action: int) -> list[Outcome]:
    fields = (mdp.probability, mdp.next_state, mdp.reward, mdp.terminated)
    rows = zip(*(field[state, action].tolist() for field in fields), strict=True)
    return sorted(row for row in rows if row[0] > 0)


def test_drawing_by_hand() -> None:
    # 0 1 2      S . G
    # 3 # 4      . # H
    mdp = gridworld(["S.G", ".#H"], discount=0.5, slip=0.25, goal_reward=10, hole_reward=-20, step_reward=-1)
    assert (mdp.states, mdp.actions, mdp.discount) == (5, 4, 0.5)
    assert mdp.state_labels == ("0,0", "0,1", "0,2", "1,0", "1,2")
    assert mdp.action_labels == ("left", "down", "right", "up")
    assert mdp.drawing == ("S.G", ".#H")
    assert mdp.start_probability.tolist() == [1, 0, 0, 0, 0]
    side = 0.125
    # from the start: right and down are free, left and up are off the grid
    assert outcomes(mdp, 0, RIGHT) == [(side, 0, -1, False), (side, 3, -1, False), (0.75, 1, -1, False)]
    assert outcomes(mdp, 0, DOWN) == [(side, 0, -1, False), (side, 1, -1, False), (0.75, 3, -1, False)]
    assert outcomes(mdp, 0, LEFT) == [(side, 0, -1, False), (side, 3, -1, False), (0.75, 0, -1, False)]
    # beside the goal: up is off the grid, down is a wall
    assert outcomes(mdp, 1, RIGHT) == [(side, 1, -1, False), (side, 1, -1, False), (0.75, 2, 9, True)]
    assert outcomes(mdp, 1, UP) == [(side, 0, -1, False), (side, 2, 9, True), (0.75, 1, -1, False)]
    # in the goal and the hole, every action stays there with reward 0
    for state in (2, 4):
        for action in range(4):
            assert outcomes(mdp, state, action) == [(1, state, 0, True)]


def test_a_step_into_a_hole_has_its_reward_and_ends_the_episode() -> None:
    mdp = gridworld(["SH"], discount=0.5, hole_reward=-3, step_reward=-0.5)
    assert outcomes(mdp, 0, RIGHT) == [(1, 1, -3.5, True)]
    assert outcomes(mdp, 0, UP) == [(1, 0, -0.5, False)]
    assert outcomes(gridworld(["SH"], discount=0.5), 0, RIGHT) == [(1, 1, -1, True)]
    assert outcomes(gridworld(["SG"], discount=0.5), 0, RIGHT) == [(1, 1, 1, True)]


def test_several_starts_are_drawn_uniformly_and_other_characters_are_free_cells() -> None:
    mdp = gridworld(["SxS", "#SG"], discount=0.5)
    assert mdp.start_probability.tolist() == pytest.approx([1 / 3, 0, 1 / 3, 1 / 3, 0])
    assert outcomes(mdp, 0, RIGHT) == [(1, 1, 0, False)]


def test_it_draws_gymnasiums_frozen_lake() -> None:
    # Gymnasium: a third each for the intended direction and both sides; the reward is 1 at the goal and 0 in a hole.
    lake = FiniteMDP.from_gymnasium("FrozenLake-v1", discount=0.9)
    drawn = gridworld(lake.drawing, discount=0.9, slip=2 / 3, goal_reward=1, hole_reward=0)
    assert torch.allclose(drawn.transition_matrix, lake.transition_matrix)
    assert torch.allclose(drawn.continuation_matrix, lake.continuation_matrix)
    assert torch.allclose(drawn.expected_reward, lake.expected_reward)
    assert drawn.action_labels == lake.action_labels


def test_a_slip_of_one_never_goes_in_the_intended_direction() -> None:
    mdp = gridworld(["...", ".S.", "..."], discount=0.5, slip=1)
    assert outcomes(mdp, 4, UP) == [(0.5, 3, 0, False), (0.5, 5, 0, False)]


@pytest.mark.parametrize(
    ("drawing", "options", "error", "words"),
    [
        (["S..", "G"], {}, ValueError, r"equal length.*\[3, 1\]"),
        ([], {}, ValueError, "equal length"),
        (["..G"], {}, ValueError, "at least one start, 'S'"),
        ([""], {}, ValueError, "at least one start"),
        ("S.G", {}, TypeError, "list of strings, one for each line, but is 'S.G'"),
        ([1, 2], {}, TypeError, r"list of strings, one for each line, but is \[1, 2\]"),
        (["SG"], {"slip": 1.5}, ValueError, r"slip must lie in \[0, 1\], but is 1.5"),
        (["SG"], {"slip": -0.1}, ValueError, "slip must lie in"),
        (["SG"], {"slip": "icy"}, TypeError, "slip must be a number, but is 'icy'"),
        (["SG"], {"discount": 2}, ValueError, r"discount must lie in \[0, 1\], but is 2"),
        (["SG"], {"goal_reward": math.inf}, ValueError, "goal_reward must be finite"),
        (["SG"], {"hole_reward": "1"}, TypeError, "hole_reward must be a number, but is '1'"),
        (["SG"], {"step_reward": None}, TypeError, "step_reward must be a number, but is None"),
    ],
)
def test_bad_drawings_and_numbers_are_refused(
    drawing: Any, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        gridworld(drawing, **{"discount": 0.9} | options)
