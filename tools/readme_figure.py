"""Take the README's figure out of the start lesson: `python -m tools.readme_figure`, after the lesson was executed.

May import: `tools.notebooks`.
"""

import base64
import sys
from pathlib import Path

from tools.notebooks import FOLDER, ROOT, read, replace_files

SOURCE = FOLDER / "00_start_here.ipynb"
FIGURE = ROOT / "data" / "readme_figure.png"


def first_figure(path: Path) -> bytes:
    """Return the first stored figure of a notebook, as the bytes of a PNG file.

    Raises:
        ValueError: if the notebook stores none.
    """
    for cell in read(path).cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                return base64.b64decode(output.data["image/png"])
    raise ValueError(f"{path} stores no figure. Execute it first: python -m tools.execute 00")


if __name__ == "__main__":
    try:
        replace_files({FIGURE: first_figure(SOURCE)})
    except ValueError as problem:
        sys.exit(str(problem))
