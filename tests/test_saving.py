"""Files of tensors: what comes back, what is refused, and what happens when writing fails."""

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sac_tutorial.files.saving import FORMAT, fill, load_agent, load_tensors, save_agent, save_tensors

TENSORS = {
    "weight": torch.arange(6.0).reshape(2, 3),
    "double": torch.tensor([1 / 3, -np.inf, np.nan], dtype=torch.float64),
    "number": torch.tensor(7),
    "flags": torch.tensor([[True], [False]]),
    "short": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
    "nothing": torch.zeros(0, 4),
}


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and torch.allclose(one, other, 0, 0, equal_nan=True)


def test_tensors_and_their_description_come_back(tmp_path: Path) -> None:
    for path in (tmp_path / "a.safetensors", str(tmp_path / "b")):
        save_tensors(path, TENSORS, {"agent": "none", "größe": "γ = 0.9"})
        found, description = load_tensors(path)
        assert found.keys() == TENSORS.keys() and all(same(found[name], TENSORS[name]) for name in TENSORS)
        assert description == {"agent": "none", "größe": "γ = 0.9"}
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.safetensors", "b"]  # and nothing beside them


def test_learnable_and_transposed_tensors_are_written_as_they_look(tmp_path: Path) -> None:
    learnable = torch.arange(6.0).reshape(2, 3).requires_grad_()
    save_tensors(tmp_path / "file", {"learnable": learnable, "transposed": learnable.T}, {})
    found, description = load_tensors(tmp_path / "file")
    assert found["learnable"].tolist() == [[0, 1, 2], [3, 4, 5]] and found["transposed"].tolist() == [
        [0, 3],
        [1, 4],
        [2, 5],
    ]
    assert not found["learnable"].requires_grad and description == {}


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    save_tensors(path, TENSORS, {"number": "1"})
    kept, _ = load_tensors(path)
    save_tensors(path, {"other": torch.ones(1)}, {"number": "2"})
    assert load_tensors(path) == ({"other": torch.ones(1)}, {"number": "2"})
    assert same(kept["weight"], TENSORS["weight"])  # what was read earlier is no view of the file


class DiskFull(OSError):
    pass


@pytest.mark.parametrize("where", ["fsync", "replace", "open"])
def test_a_write_that_fails_leaves_the_old_file_and_no_other(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    save_tensors(path, TENSORS, {"number": "1"})
    before = path.read_bytes()

    def fail(*_: Any, **__: Any) -> None:
        raise DiskFull("no space left")

    monkeypatch.setattr(*{"fsync": (os, "fsync"), "replace": (Path, "replace"), "open": (Path, "open")}[where], fail)
    with pytest.raises(DiskFull):
        save_tensors(path, {"other": torch.ones(1)}, {})
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_is_complete_before_it_takes_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, seen = tmp_path / "file", []
    replace = Path.replace

    def look(self: Path, target: Path) -> Path:
        seen.append((path.exists(), self.parent == tmp_path, load_tensors(self)[0].keys() == TENSORS.keys()))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", look)
    save_tensors(path, TENSORS, {})
    assert seen == [(False, True, True)]


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        save_tensors(tmp_path / "nowhere" / "file", TENSORS, {})


def test_what_is_not_there_or_is_a_folder_is_no_file(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing", tmp_path):
        with pytest.raises(FileNotFoundError, match=f"There is no file {path}"):
            load_tensors(path)


def test_a_file_that_was_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    save_tensors(path, TENSORS, {"number": "1"})
    whole = path.read_bytes()
    for length in range(0, len(whole), 13):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=f"{path} is no safetensors file, or only a part of one"):
            load_tensors(path)
    path.write_bytes(whole + b"more")
    with pytest.raises(ValueError, match="is no safetensors file"):
        load_tensors(path)


class Trap:
    """Unpickling this would leave a trace."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("sprung"),)


def test_foreign_files_are_refused_and_run_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "file"
    torch.save({"trap": Trap(), **TENSORS}, path)
    foreign = [path.read_bytes(), b"words\n" * 99, b"\x80\x04N.", bytes(range(256)), b"\x00" * 64, b"\xff" * 64]
    for content in foreign:
        path.write_bytes(content)
        with pytest.raises(ValueError, match="is no safetensors file"):
            load_tensors(path)
    assert not (tmp_path / "sprung").exists()


# Filling


def test_filling_copies_into_the_tensors_that_are_there() -> None:
    here = {"a": torch.zeros(2, 3).requires_grad_(), "b": torch.zeros(4)}
    found = {"b": torch.arange(4.0), "a": torch.ones(2, 3)}
    places = [tensor.data_ptr() for tensor in here.values()]
    fill(here, found, "file")
    assert here["a"].tolist() == [[1, 1, 1]] * 2 and here["b"].tolist() == [0, 1, 2, 3]
    assert [tensor.data_ptr() for tensor in here.values()] == places and here["a"].requires_grad
    found["b"].zero_()
    assert here["b"].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (
            {"a": torch.ones(2, 3)},
            r"file does not fit: as 'b' the agent has \(4,\) of torch.float32, the file has nothing",
        ),
        ({"a": torch.ones(2, 3), "b": torch.ones(4), "c": torch.ones(1)}, "as 'c' the agent has nothing"),
        ({"a": torch.ones(2, 3), "b": torch.ones(1)}, r"'b' .*\(4,\).* the file has \(1,\)"),  # it would broadcast
        ({"a": torch.ones(2, 3), "b": torch.ones(4).double()}, "'b' .*float32.*float64"),
        ({"a": torch.ones(3, 2), "b": torch.ones(4)}, r"'a' .*\(2, 3\).*\(3, 2\)"),
        ({}, "'a'"),
    ],
)
def test_what_doesnt_fit_is_named_and_nothing_is_filled(found: dict[str, torch.Tensor], message: str) -> None:
    here = {"a": torch.zeros(2, 3), "b": torch.zeros(4)}
    with pytest.raises(ValueError, match=message):
        fill(here, found, "file")
    assert not here["a"].any() and not here["b"].any()


# Agents


def lists(value: float = 0.0) -> dict[str, list[torch.Tensor]]:
    return {"online": [torch.full((2, 3), value), torch.full((4,), value)], "target": [torch.full((1,), value)]}


def test_agents_come_back_with_their_count_of_updates(tmp_path: Path) -> None:
    here, there = lists(), lists(7.0)
    there["online"][1][2] = -1
    save_agent(tmp_path / "file", "Some", "a network", 123, there)
    assert load_agent(tmp_path / "file", "Some", "a network", here) == 123
    assert all(torch.equal(a, b) for name in here for a, b in zip(here[name], there[name], strict=True))
    tensors, description = load_tensors(tmp_path / "file")
    assert sorted(tensors) == ["online.0", "online.1", "target.0"]
    assert description == {"format": "1", "agent": "Some", "network": "a network", "updates": "123"} and FORMAT == "1"


@pytest.mark.parametrize(
    ("agent", "network", "updates", "tensors", "message"),
    [
        ("Other", "a network", 1, lists(7.0), "file holds no Some agent, but .*Other"),
        ("Some", "another network", 1, lists(7.0), "file was saved from another network, but this agent has a network"),
        ("Some", "a network", -1, lists(7.0), "file holds no Some agent, but .*-1"),
        ("Some", "a network", 1, lists(7.0) | {"target": []}, "as 'target.0' the agent has .* the file has nothing"),
        ("Some", "a network", 1, lists(7.0) | {"more": [torch.ones(1)]}, "as 'more.0' the agent has nothing"),
        ("Some", "a network", 1, lists(7.0) | {"target": [torch.ones(2)]}, r"'target.0' .*\(1,\).*\(2,\)"),
    ],
)
def test_a_file_of_another_agent_is_refused_and_nothing_is_filled(
    agent: str, network: str, updates: int, tensors: Any, message: str, tmp_path: Path
) -> None:
    save_agent(tmp_path / "file", agent, network, updates, tensors)
    here = lists()
    with pytest.raises(ValueError, match=message):
        load_agent(tmp_path / "file", "Some", "a network", here)
    assert not any(tensor.any() for several in here.values() for tensor in several)


def test_a_file_without_a_description_or_cut_off_holds_no_agent(tmp_path: Path) -> None:
    path = tmp_path / "file"
    save_tensors(path, {"online.0": torch.ones(2, 3)}, {})
    with pytest.raises(ValueError, match="holds no Some agent, but tensors without a description"):
        load_agent(path, "Some", "a network", lists())
    save_agent(path, "Some", "a network", 1, lists(7.0))
    whole = path.read_bytes()
    for length in (0, 50, len(whole) - 1):
        path.write_bytes(whole[:length])
        here = lists()
        with pytest.raises(ValueError, match="only a part of one"):
            load_agent(path, "Some", "a network", here)
        assert not here["online"][0].any()
    with pytest.raises(FileNotFoundError, match="There is no file"):
        load_agent(tmp_path / "nowhere", "Some", "a network", lists())


@pytest.mark.parametrize(("version", "shown"), [("0", "0"), ("2", "2"), ("", ""), ("1.0", "1.0"), (None, "nought")])
def test_a_file_of_another_version_is_refused_by_both_numbers_and_nothing_is_filled(
    version: str | None, shown: str, tmp_path: Path
) -> None:
    path, here = tmp_path / "file", lists()
    save_agent(path, "Some", "a network", 5, lists(7.0))
    tensors, description = load_tensors(path)
    del description["format"]
    save_tensors(path, tensors, description | ({} if version is None else {"format": version}))
    words = rf"file was written in version {shown} of the format, but this package reads version {FORMAT}\.$"
    with pytest.raises(ValueError, match=words):
        load_agent(path, "Some", "a network", here)
    assert not any(tensor.any() for several in here.values() for tensor in several)
    with pytest.raises(ValueError, match="holds no Other agent"):  # whose file it is, is the first thing to say
        load_agent(path, "Other", "another network", here)


def test_an_agents_file_with_code_in_it_is_refused_and_runs_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path, here = tmp_path / "file", lists()
    save_agent(path, "Some", "a network", 5, lists(7.0))
    whole = path.read_bytes()
    torch.save({"online.0": Trap(), **TENSORS}, path)
    trap = path.read_bytes()
    for content in (trap, pickle.dumps(Trap()), whole + trap, trap + whole):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="is no safetensors file"):
            load_agent(path, "Some", "a network", here)
    assert not (tmp_path / "sprung").exists() and not here["online"][0].any()
    pickle.loads(pickle.dumps(Trap()))
    assert (tmp_path / "sprung").exists()  # as it does where somebody unpickles it
