"""Draw the way of the course, one figure of each lesson: `python -m tools.course_map`, after the lessons were executed.

May import: `tools.notebooks`, matplotlib.
"""

import base64
import io
import re
import sys
from pathlib import Path

import matplotlib.pyplot as plt

from tools.notebooks import FOLDER, ROOT, find, read, replace_files

PICTURE = ROOT / "data" / "course_map.png"
STATIONS = {
    "1.4": "1 · Bellman equations\nwhat is a state worth?",
    "2.4": "2 · Q-learning\none outcome at a time",
    "3.2": "3 · DQN\na network for the table",
    "4.5": "4 · double DQN\nwho corrects the maximum?",
    "5.12": "5 · actor–critic\nactions that are vectors",
    "6.2": "6 · soft policy iteration\na price for randomness",
    "7.8": "7 · soft actor-critic\ntables become networks again",
    "8.3": "8 · automatic temperature\nlet the price be found",
}
"""For each lesson, the number of the figure that stands for it, and what is written above."""


def figure(path: Path, number: str) -> bytes:
    """Return a stored figure of a notebook by the number in its caption, as the bytes of a PNG file.

    Raises:
        ValueError: if the notebook has no such caption, or no stored figure before it.
    """
    latest = None
    for cell in read(path).cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                latest = base64.b64decode(output.data["image/png"])
        if re.match(rf"\*Figure {re.escape(number)}[.:]", cell.source):
            if latest is None:
                break
            return latest
    raise ValueError(f"{path} stores no figure {number}. Execute it first: python -m tools.execute {path.name[:2]}")


def draw(folder: Path = FOLDER) -> bytes:
    """Return the map as the bytes of a PNG file: eight stations in two rows, in the order of the way.

    Raises:
        ValueError: if a lesson or its figure is missing.
    """
    canvas, panels = plt.subplots(2, 4, figsize=(16, 7.2), layout="constrained")
    for panel, (number, title) in zip(panels.flat, STATIONS.items(), strict=True):
        lesson = [path for path in find(f"0{number[0]}", folder) if path.parent == folder]
        if not lesson:
            raise ValueError(f"{folder} has no lesson {number[0]}.")
        panel.imshow(plt.imread(io.BytesIO(figure(lesson[0], number))), interpolation="antialiased")
        panel.set_title(title, fontsize=14)
        panel.set(xticks=[], yticks=[], anchor="N")
    content = io.BytesIO()
    canvas.savefig(content, format="png", dpi=80, metadata={"Software": None})
    plt.close(canvas)
    return content.getvalue()


if __name__ == "__main__":
    try:
        replace_files({PICTURE: draw()})
    except ValueError as problem:
        sys.exit(str(problem))
