"""Open the course in JupyterLab on a learner's own copies: `python -m tools.lab [options of jupyter lab]`.

Lessons and exercises are copied to my_work/, which git ignores, and a file that is there is never written again. Solutions
stay in notebooks/solutions/. May import: `tools.notebooks`, JupyterLab (only to start it).
"""

import hashlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tools.notebooks import FOLDER, ROOT, read, replace_files

WORK = ROOT / "my_work"
START = "00_start_here.ipynb"
RECORD = ".copied.json"
"""What each notebook of the course was when it was copied, so that a change in the course can be told from the learner's."""


def update(folder: Path = FOLDER, work: Path = WORK) -> list[str]:
    """Copy what is not there yet, and return what there is to say about it, a paragraph each.

    Args:
        folder: the notebooks of the course.
        work: the learner's folder, made if there is none.
    """
    record, news = _read_record(work / RECORD)
    copied, changed = {}, []
    for path in [*sorted(folder.glob("*.ipynb")), *sorted((folder / "exercises").glob("*.ipynb"))]:
        name = path.relative_to(folder).as_posix()
        now = fingerprint(path)
        if not os.path.lexists(work / name):
            copied[name] = path.read_bytes()
            record[name] = now
        elif record.setdefault(name, now) != now:
            changed.append(name)
    files = {work / name: content for name, content in copied.items()}
    replace_files({**files, work / RECORD: (json.dumps(record, indent=2, sort_keys=True) + "\n").encode()})
    if copied:
        news.append(f"Copied to {work.name}/, yours to change: {', '.join(copied)}.")
    if changed:
        news.append(
            f"The course has changed since you copied {', '.join(changed)}. Your copies are as you left them. "
            "For the new version of one, rename yours and start the lab again."
        )
    return news


def fingerprint(path: Path) -> str:
    """Return a hash of what is written in a notebook's cells: the outputs of another execution are no change."""
    try:
        content = json.dumps([[cell.cell_type, cell.source] for cell in read(path).cells]).encode()
    except ValueError:
        content = path.read_bytes()
    return hashlib.sha256(content).hexdigest()


def _read_record(path: Path) -> tuple[dict[str, str], list[str]]:
    if not path.exists():
        return {}, []
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(record, dict) or not all(isinstance(value, str) for value in record.values()):
            raise ValueError("it is no table of texts")
    except (OSError, ValueError) as error:
        return {}, [
            f"{path} could not be read ({error}). Your notebooks are untouched; a new record starts with the course as it is."
        ]
    return record, []


def main(arguments: Sequence[str] | None = None) -> None:
    """Bring my_work/ up to date and start JupyterLab on it, in this process, so that Ctrl-C reaches it alone."""
    try:
        from jupyterlab.labapp import main as jupyter_lab
    except ImportError:
        sys.exit('JupyterLab is missing here. Install it with: pip install -c constraints.txt -e ".[notebooks]"')
    for paragraph in update():
        print(paragraph)
    print(f"Your notebooks are in {WORK.name}/, the solutions in notebooks/solutions/.", flush=True)
    # Kernels inherit this. Two threads of PyTorch wait for each other as soon as another program runs, and then crawl.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    options = sys.argv[1:] if arguments is None else arguments
    # The root is the repository, so that the solutions can be opened too; an option given by hand comes later and wins.
    jupyter_lab([f"--ServerApp.root_dir={ROOT}", f"--LabApp.default_url=/lab/tree/{WORK.name}/{START}", *options])


if __name__ == "__main__":
    main()
