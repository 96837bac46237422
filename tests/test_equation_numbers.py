"""Code and prose cite equations by number; every number that is cited stands beside an equation in a lesson."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.notebooks import FOLDER, ROOT, read

TAG = re.compile(r"\\tag\{(\d\.\d+)\}")
CITED = re.compile(r"(?<![\w\]])\(([1-9]\.[1-9]\d?)\)")
LESSONS = sorted(FOLDER.glob("*.ipynb"))


def texts() -> Iterator[tuple[str, str]]:
    for path in sorted((ROOT / "sac_tutorial").rglob("*.py")):
        yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")
    for path in sorted(FOLDER.rglob("*.ipynb")):
        if ".ipynb_checkpoints" not in path.parts:
            yield str(path.relative_to(ROOT)), "\n".join(cell.source for cell in read(path).cells)


def tags(path: Path) -> list[str]:
    return TAG.findall("\n".join(cell.source for cell in read(path).cells))


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_numbers_its_equations_without_gaps(path: Path) -> None:
    lesson = int(path.stem[:2])
    found = tags(path)
    assert found == [f"{lesson}.{number}" for number in range(1, len(found) + 1)]


def test_every_cited_equation_stands_in_a_lesson() -> None:
    numbered = {tag for path in LESSONS for tag in tags(path)}
    cited = {(number, where) for where, text in texts() for number in CITED.findall(text)}
    assert len(cited) > 20
    assert [pair for pair in sorted(cited) if pair[0] not in numbered] == []


def test_every_public_equation_cites_its_number() -> None:
    source = (ROOT / "sac_tutorial" / "equations.py").read_text(encoding="utf-8")
    functions = re.findall(r'^def ([a-z]\w+)\(.*?"""(.*?)"""', source, flags=re.MULTILINE | re.DOTALL)
    assert len(functions) >= 9
    assert [name for name, docstring in functions if not CITED.search(docstring)] == []
