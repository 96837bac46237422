"""What a network observes of a state, drawn by hand."""

from itertools import combinations

import attrs
import pytest
import torch

from sac_tutorial.worlds.features import coordinates, pictures
from sac_tutorial.worlds.gridworld import gridworld
from sac_tutorial.worlds.mdp import FiniteMDP
from tests.oracles import three_states

WALL, GOAL, HOLE, FLOOR, AGENT = (0.25, 0.25, 0.25), (0.0, 0.6, 0.3), (0.9, 0.4, 0.0), (1.0, 1.0, 1.0), (0.0, 0.3, 0.7)


def grid() -> FiniteMDP:
    """Two rows of four cells; the states are (row, column) 00, 02, 03, 10, 11, 12, 13."""
    return gridworld(["S#.G", "...H"], discount=0.9)


def test_coordinates_are_column_and_row_from_minus_one_to_one() -> None:
    found = coordinates(grid())
    wanted = [[-1, -1], [1 / 3, -1], [1, -1], [-1, 1], [-1 / 3, 1], [1 / 3, 1], [1, 1]]
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, torch.tensor(wanted))


def test_coordinates_of_a_single_row_stay_finite() -> None:
    assert coordinates(gridworld(["S.G"], discount=0.9)).tolist() == [[-1, -1], [0, -1], [1, -1]]


@pytest.mark.parametrize("pixels", [3, 5])
def test_pictures_show_the_drawing_and_the_agent_in_it(pixels: int) -> None:
    shown = pictures(grid(), pixels)
    assert shown.dtype == torch.float32 and shown.shape == (7, 3, 2 * pixels, 4 * pixels)
    cells = [[FLOOR, WALL, FLOOR, GOAL], [FLOOR, FLOOR, FLOOR, HOLE]]
    places = [(0, 0), (0, 2), (0, 3), (1, 0), (1, 1), (1, 2), (1, 3)]
    for state, place in enumerate(places):
        for y in range(2 * pixels):
            for x in range(4 * pixels):
                cell = (y // pixels, x // pixels)
                inside = all(0 < z % pixels < pixels - 1 for z in (y, x))
                colour = AGENT if cell == place and inside else cells[cell[0]][cell[1]]
                assert shown[state, :, y, x].tolist() == pytest.approx(colour), (state, y, x)


def test_no_two_states_look_alike() -> None:
    for shown in (coordinates(grid()), pictures(grid())):
        assert not any(torch.equal(one, other) for one, other in combinations(shown, 2))
    assert pictures(grid()).shape[-2:] == (8, 16)  # four pixels for each cell by default


def test_lines_of_unequal_length_are_filled_up_with_wall() -> None:
    model = gridworld(["SG#", "..."], discount=0.9)
    ragged = attrs.evolve(model, drawing=("SG", "..."))
    assert torch.equal(pictures(ragged), pictures(model))
    assert torch.equal(coordinates(ragged), coordinates(model))


def test_cliffs_are_drawn_as_holes() -> None:
    hole = gridworld(["SH"], discount=0.9)
    assert torch.equal(pictures(attrs.evolve(hole, drawing=("SC",))), pictures(hole))


def test_an_mdp_without_a_drawing_is_refused() -> None:
    for show in (coordinates, pictures):
        with pytest.raises(ValueError, match="The MDP has no drawing"):
            show(three_states())


def test_cells_too_small_for_a_margin_are_refused() -> None:
    with pytest.raises(ValueError, match="pixels must be at least 3, but is 2"):
        pictures(grid(), 2)
    with pytest.raises(TypeError, match=r"pixels must be a whole number, but is 4\.0"):
        pictures(grid(), 4.0)  # type: ignore[arg-type]
