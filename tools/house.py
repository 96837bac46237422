"""Draw the rooms of the package from its real imports: `python -m tools.house`.

The rules come from the rooms themselves: the docstring of each room's `__init__.py` ends in a line "May import: …".
"""

import ast
import io
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.text import Text

from tools.notebooks import ROOT, replace_files

PACKAGE = ROOT / "sac_tutorial"
PICTURE = ROOT / "data" / "house.png"
SINGLE_FILES = {
    "equations": frozenset({"validation"}),
    "validation": frozenset[str](),
    "statistics": frozenset({"validation"}),
    "plotting": frozenset({"validation", "worlds"}),
    "readiness": frozenset[str](),
}
"""The files that are rooms of their own, and what each may import."""
PLACES = {
    "check": (0.1, 5.6),
    "exact": (0.85, 4.4),
    "agents": (1.75, 4.4),
    "files": (2.65, 4.4),
    "tabular": (0.1, 3.0),
    "deep": (1.6, 3.1),
    "plotting": (2.8, 2.9),
    "worlds": (1.5, 1.65),
    "statistics": (2.8, 1.3),
    "equations": (0.3, 1.0),
    "validation": (1.5, 0.2),
    "readiness": (2.8, 0.2),
}
"""(column, floor) of each room in the drawing."""


def rooms() -> dict[str, list[Path]]:
    """Return the files of each room."""
    found = {path.parent.name: sorted(path.parent.glob("*.py")) for path in PACKAGE.glob("*/__init__.py")}
    return found | {name: [PACKAGE / f"{name}.py"] for name in SINGLE_FILES}


def allowed(room: str) -> frozenset[str]:
    """Return what a room may import, as its `__init__.py` says.

    Raises:
        ValueError: If the docstring does not end in "May import: …".
    """
    if room in SINGLE_FILES:
        return SINGLE_FILES[room]
    text = ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_text(encoding="utf-8"))) or ""
    *_, last = text.splitlines()
    if not last.startswith("May import: "):
        raise ValueError(f"The docstring of {room}/__init__.py must end in a line 'May import: …'.")
    return frozenset(last.removeprefix("May import: ").rstrip(".").split(", "))


def imports(path: Path) -> set[str]:
    """Return the rooms that a file imports, its own included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "sac_tutorial":
            parts = node.module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("sac_tutorial.")}
    return found


def arrows() -> dict[str, set[str]]:
    """Return for each room which other rooms it imports."""
    return {room: set().union(*map(imports, paths)) - {room} for room, paths in rooms().items()}


def without_detours(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """Leave out every arrow that other arrows already imply."""

    def reaches(start: str, end: str) -> bool:
        return end in graph[start] or any(reaches(middle, end) for middle in graph[start])

    return {
        room: {end for end in ends if not any(reaches(middle, end) for middle in ends - {end})}
        for room, ends in graph.items()
    }


def draw() -> bytes:
    """Return the drawing as the bytes of a PNG file."""
    figure, axes = plt.subplots(figsize=(11, 9), layout="constrained")
    axes.set(xlim=(-0.4, 3.2), ylim=(0, 6.1))
    axes.axis("off")
    boxes = {
        room: _draw_room(axes, room, [path.stem for path in paths if path.stem not in ("__init__", room)])
        for room, paths in rooms().items()
    }
    figure.canvas.draw()  # which makes the boxes as large as their texts
    for room, ends in without_detours(arrows()).items():
        for end in sorted(ends):
            style = {"arrowstyle": "-|>", "color": "0.35", "linewidth": 1.3, "shrinkA": 1, "shrinkB": 1}
            patches = {"patchA": boxes[room].get_bbox_patch(), "patchB": boxes[end].get_bbox_patch()}
            axes.annotate("", xy=PLACES[end], xytext=PLACES[room], arrowprops=style | patches, zorder=0)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=90, metadata={"Software": None})
    plt.close(figure)
    return content.getvalue()


def _draw_room(axes: Axes, room: str, files: list[str]) -> Text:
    several = room not in SINGLE_FILES
    box = {"boxstyle": "round,pad=0.5", "facecolor": "#EAF2F8" if several else "white", "edgecolor": "#0072B2"}
    lines = [", ".join(files[place : place + 3]) for place in range(0, len(files), 3)]
    text = "\n".join([rf"$\bf{{{room}}}$", *lines]) if several else rf"$\bf{{{room}}}$.py"
    return axes.text(*PLACES[room], text, ha="center", va="center", fontsize=9.5, linespacing=1.4, bbox=box)


if __name__ == "__main__":
    replace_files({PICTURE: draw()})
