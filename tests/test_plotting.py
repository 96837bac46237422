"""Figures are looked at by people; what can be tested is that they draw what they were given, and refuse what they can't."""

import matplotlib.pyplot as plt
import pytest
import torch
from matplotlib.axes import Axes

from sac_tutorial.equations import greedy_policy
from sac_tutorial.garnet import garnet
from sac_tutorial.gridworld import gridworld
from sac_tutorial.mdp import FiniteMDP
from sac_tutorial.plotting import COLOURS, DASHES, draw_grid, exact_answer, learning_curve, use_course_style


@pytest.fixture
def axes() -> Axes:
    use_course_style()
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


@pytest.fixture
def mdp() -> FiniteMDP:
    return gridworld(["S.G", "#H."], discount=0.9)  # five states: S . G, H and a cell that no episode reaches


def written(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts if text.get_text()]


def test_a_learning_curve_is_the_median_with_the_middle_half(axes: Axes) -> None:
    runs = torch.tensor([[0.0, 1.0, 2.0, 3.0, 100.0], [5.0, 5.0, 5.0, 5.0, 5.0]])
    learning_curve(axes, [10, 20], runs, label="five runs")
    (line,) = axes.lines
    assert line.get_xydata().tolist() == [[10, 2], [20, 5]]
    heights = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (1, 5)
    assert {1.0, 3.0} <= set(heights)
    assert line.get_label() == "five runs"


@pytest.mark.parametrize("shape", [(3,), (3, 2), (2, 2, 2)])
def test_a_learning_curve_names_the_shape_that_does_not_fit(axes: Axes, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="shape \\(points, runs\\)"):
        learning_curve(axes, [10, 20], torch.zeros(shape), label="")


def test_the_exact_answer_is_a_line_across(axes: Axes) -> None:
    exact_answer(axes, 0.5)
    (line,) = axes.lines
    assert list(line.get_ydata()) == [0.5, 0.5]
    assert line.get_label() == "exact answer"


def test_lines_differ_in_colour_and_in_dashes() -> None:
    assert len(set(COLOURS)) == len(COLOURS) == len(set(DASHES))


def test_a_grid_shows_the_values_of_live_states_and_the_letters(axes: Axes, mdp: FiniteMDP) -> None:
    draw_grid(axes, mdp, torch.tensor([0.25, -0.5, 7.0, 8.0, 9.0], dtype=torch.float64))
    shown = written(axes)
    assert {"0.25", "-0.50", "S", "G", "H"} <= set(shown)
    assert not {"7.00", "8.00"} & set(shown)  # goal and hole are not live


def test_arrows_point_where_the_policy_goes(axes: Axes, mdp: FiniteMDP) -> None:
    q = torch.zeros(5, 4, dtype=torch.float64)
    q[:, mdp.action_labels.index("right")] = 1
    draw_grid(axes, mdp, torch.zeros(5), greedy_policy(q))
    arrows = [text for text in axes.texts if getattr(text, "arrow_patch", None)]
    assert len(arrows) == int(mdp.live.sum())
    assert all(arrow.xy[0] > arrow.xyann[0] and arrow.xy[1] == arrow.xyann[1] for arrow in arrows)


def test_the_bare_map_has_letters_and_no_numbers(axes: Axes, mdp: FiniteMDP) -> None:
    draw_grid(axes, mdp)
    assert sorted(written(axes)) == ["G", "H", "S"]


def test_what_cannot_be_drawn_is_said(axes: Axes, mdp: FiniteMDP) -> None:
    generator = torch.Generator().manual_seed(0)
    with pytest.raises(ValueError, match="with a drawing"):
        draw_grid(axes, garnet(3, 2, 1, discount=0.9, generator=generator))
    with pytest.raises(ValueError, match=r"shape \(5,\), but has \(4,\)"):
        draw_grid(axes, mdp, torch.zeros(4))
    with pytest.raises(ValueError, match=r"policy must have the shape \(5, 4\), but has \(3, 4\)"):
        draw_grid(axes, mdp, policy=torch.full((3, 4), 0.25))
    flat = FiniteMDP(
        **{name: getattr(mdp, name)[:, :2] for name in ("probability", "next_state", "reward", "terminated")},
        start_probability=mdp.start_probability,
        discount=0.9,
        drawing=mdp.drawing,
    )
    with pytest.raises(ValueError, match="Arrows need the actions"):
        draw_grid(axes, flat, torch.zeros(5), torch.full((5, 2), 0.5))
