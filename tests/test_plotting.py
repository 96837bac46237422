"""Figures are looked at by people; what can be tested is that they draw what they were given, and refuse what they can't."""

import io
import math
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.text import Annotation
from PIL import Image

from sac_tutorial.equations import greedy_policy
from sac_tutorial.plotting import (
    COLOURS,
    DASHES,
    draw_grid,
    exact_answer,
    learning_curve,
    moving_picture,
    use_course_style,
)
from sac_tutorial.worlds.garnet import garnet
from sac_tutorial.worlds.gridworld import gridworld
from sac_tutorial.worlds.mdp import FiniteMDP


@pytest.fixture
def axes() -> Iterator[Axes]:
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
    assert np.asarray(line.get_xydata()).tolist() == [[10, 2], [20, 5]]
    heights = np.asarray(axes.collections[0].get_paths()[0].vertices)[:, 1]
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
    assert np.asarray(line.get_ydata()).tolist() == [0.5, 0.5]
    assert line.get_label() == "exact answer"


def test_lines_differ_in_colour_and_in_dashes() -> None:
    assert len(set(COLOURS)) == len(COLOURS) == len(set(DASHES))


def test_a_grid_shows_the_values_of_live_states_and_the_letters(axes: Axes, mdp: FiniteMDP) -> None:
    draw_grid(axes, mdp, torch.tensor([0.25, -0.5, 7.0, 8.0, 9.0], dtype=torch.float64))
    shown = written(axes)
    assert {"0.25", "-0.50", "S", "G", "H"} <= set(shown)
    assert not {"7.00", "8.00"} & set(shown)  # goal and hole are not live


@pytest.mark.parametrize(("label", "right", "up"), [("left", -1, 0), ("down", 0, -1), ("right", 1, 0), ("up", 0, 1)])
def test_arrows_point_where_the_policy_goes(axes: Axes, mdp: FiniteMDP, label: str, right: int, up: int) -> None:
    q = torch.zeros(5, 4, dtype=torch.float64)
    q[:, mdp.action_labels.index(label)] = 1
    draw_grid(axes, mdp, torch.zeros(5), greedy_policy(q))
    arrows = [text for text in axes.texts if isinstance(text, Annotation) and text.arrow_patch]
    assert len(arrows) == int(mdp.live.sum())
    for arrow in arrows:
        (x, y), (foot_x, foot_y) = arrow.xy, arrow.xyann
        assert (np.sign(x - foot_x), np.sign(y - foot_y)) == (right, up)


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


def moving(frames: Iterable[int], interval: Any, *, fail: bool = False) -> tuple[Any, list[int]]:
    """A black column on white that stands where the frame's number says, and the numbers that were asked for."""
    use_course_style()  # whose layout leaves a small margin
    (figure, axes), asked = plt.subplots(figsize=(2, 1)), list[int]()

    def draw(number: int) -> list[Artist]:
        if fail and len(asked) == 2:
            raise ArithmeticError("no such frame")
        asked.append(number)
        axes.clear()
        axes.set(xlim=(0, 10), ylim=(0, 1))
        axes.axis("off")
        return [axes.axvspan(number, number + 1, color="black")]

    content = moving_picture(figure, draw, frames, interval=interval)
    return Image.open(io.BytesIO(content)), asked


def dark_column(picture: Any) -> float:
    """Where the column of the present frame has its middle, in units of the axes, but for their margins."""
    dark = np.asarray(picture.convert("L")).mean(0) < 128
    return float(10 * (np.flatnonzero(dark).mean() + 0.5) / len(dark))


def test_a_moving_picture_shows_each_frame_in_its_order_and_closes_the_figure() -> None:
    before = plt.get_fignums()
    for frames in ([7, 2, 4], iter([7, 2, 4]), (k for k in (7, 2, 4)), np.array([7, 2, 4])):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            picture, asked = moving(frames, 0.2)
        assert picture.format == "GIF" and picture.size == (144, 72) and picture.n_frames == 3
        assert [int(number) for number in asked] == [7, 7, 2, 4]
        for place, number in enumerate((7, 2, 4)):
            picture.seek(place)
            assert dark_column(picture) == pytest.approx(number + 0.5, abs=0.4)
    assert picture.info["loop"] == 0  # for ever
    assert plt.get_fignums() == before


def test_no_frame_of_a_long_picture_is_cut_off() -> None:
    picture, asked = moving((number % 9 for number in range(102)), 0.05)
    assert picture.n_frames == 102 and len(asked) == 103


@pytest.mark.parametrize("interval", [0.02, 0.1, 0.3, 0.4, 0.7, 1, 3.0])
def test_a_moving_picture_takes_its_time(interval: float) -> None:
    picture, _ = moving([1, 5, 8], interval)
    for place in range(3):
        picture.seek(place)
        assert picture.info["duration"] == pytest.approx(1000 * interval, abs=10.1)  # hundredths, rounded down


@pytest.mark.parametrize(
    ("frames", "interval", "error", "message"),
    [
        ([1, 2], 0, ValueError, "interval must be above 0 and finite"),
        ([1, 2], -0.1, ValueError, "interval must be above 0 and finite"),
        ([1, 2], math.nan, ValueError, "interval must be above 0 and finite"),
        ([1, 2], "0.1", TypeError, "interval must be a number"),
        ([], 0.1, ValueError, "frames must hold at least one number"),
    ],
)
def test_a_picture_that_cannot_move_is_refused(
    frames: list[int], interval: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        moving(frames, interval)
    plt.close("all")


def test_a_figure_is_closed_even_where_drawing_it_fails() -> None:
    before = plt.get_fignums()
    with pytest.raises(ArithmeticError, match="no such frame"):
        moving([1, 2, 3], 0.1, fail=True)
    assert plt.get_fignums() == before
