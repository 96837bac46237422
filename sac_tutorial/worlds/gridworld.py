"""Gridworlds drawn as text, from lesson 01 on."""

from collections.abc import Sequence

import torch

from sac_tutorial.validation import number
from sac_tutorial.worlds.mdp import FiniteMDP, Outcome

ACTIONS = ("left", "down", "right", "up")
MOVES = ((0, -1), (1, 0), (0, 1), (-1, 0))  # (row, column) of each action: neighbours in the list are at right angles


def gridworld(
    drawing: Sequence[str],
    *,
    discount: float,
    slip: float = 0.0,
    goal_reward: float = 1.0,
    hole_reward: float = -1.0,
    step_reward: float = 0.0,
) -> FiniteMDP:
    """Make an MDP from a drawing such as `["S.G", ".#H"]`.

    `S` is the start (of several, one is drawn uniformly), `G` a goal and `H` a hole, which end the episode; `#` is a wall
    and no state; any other character is a free cell. The actions are left, down, right and up. With probability `slip` the
    step goes to one of the two sides instead, to each with slip / 2. A step against a wall or off the grid stays in place.

    Args:
        drawing: lines of equal length.
        discount: γ in [0, 1].
        slip: probability of a step to the side, in [0, 1].
        goal_reward: reward of the step that reaches a goal, on top of `step_reward`.
        hole_reward: reward of the step that falls into a hole, on top of `step_reward`.
        step_reward: reward of every step.

    Returns:
        The MDP. State labels are "row,column"; `drawing` is kept for plots. In a goal or a hole, every action stays there
        with reward 0 and ends the episode.

    Raises:
        TypeError: If the drawing is one string or holds something else, or if the slip, a reward or the discount is not a
            number.
        ValueError: If lines differ in length, the drawing has no start, or the slip or the discount lies outside [0, 1].

    Source: the layout follows Gymnasium's FrozenLake-v1; the slip is that of Russell and Norvig (2021), section 17.1.
    """
    lines = _checked(drawing)
    slip = number("slip", slip, "[0, 1]")
    step_reward = number("step_reward", step_reward)
    bonus = {"G": number("goal_reward", goal_reward), "H": number("hole_reward", hole_reward)}
    cells = [(row, column) for row, line in enumerate(lines) for column, cell in enumerate(line) if cell != "#"]
    index = {cell: position for position, cell in enumerate(cells)}
    kind = [lines[row][column] for row, column in cells]

    def step(state: int, move: tuple[int, int], probability: float) -> Outcome:
        row, column = cells[state]
        arrived = index.get((row + move[0], column + move[1]), state)
        reward = step_reward + bonus.get(kind[arrived], 0.0)
        return probability, arrived, reward, kind[arrived] in "GH"

    def outcomes(state: int, action: int) -> list[Outcome]:
        if kind[state] in "GH":
            return [(1.0, state, 0.0, True)]
        sides = ((0, 1 - slip), (1, slip / 2), (-1, slip / 2))
        return [step(state, MOVES[(action + turn) % 4], chance) for turn, chance in sides if chance > 0]

    start = torch.tensor([float(cell == "S") for cell in kind], dtype=torch.float64)
    return FiniteMDP.from_outcomes(
        [[outcomes(state, action) for action in range(4)] for state in range(len(cells))],
        start_probability=start / start.sum(),
        discount=discount,
        state_labels=tuple(f"{row},{column}" for row, column in cells),
        action_labels=ACTIONS,
        drawing=lines,
    )


def _checked(drawing: Sequence[str]) -> tuple[str, ...]:
    if isinstance(drawing, str) or not all(isinstance(line, str) for line in drawing):
        raise TypeError(f"drawing must be a list of strings, one for each line, but is {drawing!r}.")
    lines = tuple(drawing)
    if not lines or any(len(line) != len(lines[0]) for line in lines):
        raise ValueError(
            f"drawing must be lines of equal length, but they have the lengths {[len(line) for line in lines]}."
        )
    if not any("S" in line for line in lines):
        raise ValueError("drawing must hold at least one start, 'S'.")
    return lines
