"""The figures of the course: one style, learning curves with their spread, gridworlds, and animations.

This is the only file that imports matplotlib. The colours are those of Okabe and Ito, which colour-blind readers can tell
apart. The lines also differ in their dashes, for readers of a grey print.
"""

import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import torch
from cycler import cycler
from matplotlib.animation import FuncAnimation, PillowWriter
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike
from torch import Tensor

from sac_tutorial.validation import POSITIVE, number
from sac_tutorial.worlds.mdp import FiniteMDP

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (5, 1.5, 1.5, 1.5)), (0, (8, 2)), (0, (3, 1, 1, 1, 1, 1)))
ARROWS = {"left": (-1, 0), "down": (0, -1), "right": (1, 0), "up": (0, 1)}  # in axis units: y grows upwards


def use_course_style() -> None:
    """Set matplotlib's defaults to the style of the course."""
    mpl.rcParams.update(
        {
            "axes.prop_cycle": cycler(color=COLOURS) + cycler(linestyle=DASHES),
            "axes.grid": True,
            "axes.spines.right": False,
            "axes.spines.top": False,
            "axes.titlesize": "medium",
            "figure.constrained_layout.use": True,
            "figure.figsize": (7.0, 4.0),
            "font.size": 11,
            "grid.alpha": 0.3,
            "legend.frameon": False,
            "lines.linewidth": 1.8,
        }
    )


def learning_curve(axes: Axes, x: ArrayLike, runs: ArrayLike, *, label: str) -> None:
    """Draw the median over runs as a line and the middle half of the runs as a band.

    Args:
        axes: Where to draw.
        x: For instance steps, shape (points,).
        runs: One curve a run, shape (points, runs).
        label: Text of the legend.

    Raises:
        ValueError: If the shapes do not fit together.
    """
    x, values = np.asarray(x), np.asarray(runs, dtype=np.float64)
    if values.ndim != 2 or x.shape != values.shape[:1]:
        raise ValueError(f"runs must have the shape (points, runs) with {x.shape} points, but has {values.shape}.")
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75), axis=1)
    (line,) = axes.plot(x, middle, label=label)
    axes.fill_between(x, low, high, color=line.get_color(), alpha=0.2, linewidth=0)


def exact_answer(axes: Axes, value: float, label: str = "exact answer") -> None:
    """Draw the exact answer as a thin black line across the axes."""
    axes.axhline(value, color="black", linestyle=(0, (6, 3)), linewidth=1.0, label=label)


def draw_grid(
    axes: Axes, mdp: FiniteMDP, value: Tensor | None = None, policy: Tensor | None = None, *, title: str = ""
) -> None:
    """Draw a gridworld: a value in each cell, darker where it is higher, and a policy as arrows.

    Args:
        axes: Where to draw.
        mdp: An MDP with a `drawing`.
        value: One number a state, shape (S,); drawn in live states. None: no values.
        policy: π, shape (S, A); the arrow of an action is as long as its probability. None: no arrows.
        title: Title of the axes.

    Raises:
        ValueError: If the MDP has no drawing, if `value` or `policy` has another shape, or if the actions of a policy have no
            direction.
    """
    if not mdp.drawing:
        raise ValueError("draw_grid needs an MDP with a drawing; this one has none.")
    if value is not None and value.shape != (mdp.states,):
        raise ValueError(f"value must have the shape ({mdp.states},), but has {tuple(value.shape)}.")
    if policy is not None and policy.shape != (mdp.states, mdp.actions):
        raise ValueError(f"policy must have the shape ({mdp.states}, {mdp.actions}), but has {tuple(policy.shape)}.")
    if policy is not None and not set(mdp.action_labels) <= ARROWS.keys():
        raise ValueError(f"Arrows need the actions {sorted(ARROWS)}, but the MDP has {mdp.action_labels}.")
    shown = torch.zeros(mdp.states) if value is None else value
    shade = Normalize(shown[mdp.live].min().item(), shown[mdp.live].max().item() + 1e-12)
    state = 0
    for row, line in enumerate(mdp.drawing):
        for column, character in enumerate(line):
            corner = (column, -row - 1)
            if character == "#":
                axes.add_patch(Rectangle(corner, 1, 1, facecolor="0.25", edgecolor="0.25"))
                continue
            live = bool(mdp.live[state])
            tint = plt.get_cmap("Greys")(0.45 * shade(shown[state].item())) if live else "white"
            axes.add_patch(Rectangle(corner, 1, 1, facecolor=tint, edgecolor="0.6"))
            if live and value is not None:
                axes.text(column + 0.5, -row - 0.85, f"{value[state]:.2f}", ha="center", va="center", fontsize="small")
            if live and policy is not None:
                _draw_arrows(axes, (column + 0.5, -row - 0.37), mdp.action_labels, policy[state].tolist())
            if character in "SGHC":
                axes.text(column + 0.08, -row - 0.08, character, ha="left", va="top", fontsize="small", color="0.35")
            state += 1
    width, height, margin = max(map(len, mdp.drawing)), len(mdp.drawing), 0.03  # room for the outer frame
    axes.set(xlim=(-margin, width + margin), ylim=(-height - margin, margin), xticks=[], yticks=[], title=title)
    axes.set_aspect("equal")
    axes.grid(False)
    axes.spines[:].set_visible(False)


def _draw_arrows(axes: Axes, foot: tuple[float, float], labels: Sequence[str], policy: Sequence[float]) -> None:
    x, y = foot
    for label, probability in zip(labels, policy, strict=True):
        if probability > 0.01:
            right, up = ARROWS[label]
            length, head = 0.34 * probability, 4 + 7 * probability
            axes.annotate(
                "",
                xy=(x + right * length, y + up * length),
                xytext=foot,
                arrowprops={
                    "arrowstyle": "-|>",
                    "color": COLOURS[0],
                    "linewidth": 0.8 + 0.8 * probability,
                    "mutation_scale": head,
                    "shrinkA": 0,
                    "shrinkB": 0,
                },
            )


def moving_picture(
    figure: Figure, draw: Callable[[int], Iterable[Artist]], frames: Iterable[int], *, interval: float
) -> bytes:
    """Return an animation as the bytes of a GIF; the figure is closed and not shown.

    Args:
        figure: The figure to draw on.
        draw: Changes the figure for one frame and returns the changed artists.
        frames: The numbers that `draw` is called with, one after another; matplotlib draws the first one twice.
        interval: Seconds from one frame to the next, > 0. A GIF rounds them down to hundredths.

    Raises:
        TypeError: If the interval is not a number.
        ValueError: If the interval is not positive, or if there are no frames.
    """
    numbers, fps = list(frames), 1 / number("interval", interval, POSITIVE)
    if not numbers:
        raise ValueError("frames must hold at least one number, but there are none.")
    try:
        animation = FuncAnimation(figure, draw, numbers, interval=1000 * interval)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "moving.gif"
            animation.save(path, writer=PillowWriter(fps=fps), dpi=72)  # type: ignore[arg-type]  # a float works, too
            return path.read_bytes()
    finally:
        plt.close(figure)
