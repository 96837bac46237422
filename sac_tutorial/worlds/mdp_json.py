"""The JSON format of a finite MDP, which data/README.md describes: read, and checked key by key.

`FiniteMDP.from_outcomes` takes what is read here, and checks the numbers.
"""

import json
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

import torch

from sac_tutorial.validation import number


def read_document(path: Path) -> dict[str, Any]:
    """Return the arguments of `FiniteMDP.from_outcomes` that a file describes.

    Raises:
        FileNotFoundError: if there is no such file.
        TypeError: If a number of `start` is not a number.
        ValueError: If the file is not JSON, if a key is missing, unknown or there twice, or if a state or an action is
            unknown; the key is named.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_unique)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"it is not JSON: {error}") from error
    needed = {"discount", "states", "actions", "start", "outcomes"}
    _check_keys(document, "the file", required=needed, optional={"about", "drawing"})
    if not isinstance(document.get("about", ""), str):
        raise ValueError(f"about must be a string, but is {document['about']!r}.")
    states, actions = _names(document, "states"), _names(document, "actions")
    index = {label: place for place, label in enumerate(states)}
    _check_keys(document["outcomes"], "outcomes", required=set(states))
    _check_keys(document["start"], "start", optional=set(states))
    start = [number(f"start.{state}", document["start"].get(state, 0.0), "[0, 1]") for state in states]
    rows = []
    for state in states:
        row = document["outcomes"][state]
        _check_keys(row, f"outcomes.{state}", required=set(actions))
        rows.append([_read_outcomes(row[action], f"outcomes.{state}.{action}", index) for action in actions])
    return {
        "outcomes": rows,
        "start_probability": torch.tensor(start, dtype=torch.float64),
        "discount": document["discount"],
        "state_labels": tuple(states),
        "action_labels": tuple(actions),
        "drawing": tuple(_names(document, "drawing")) if "drawing" in document else (),
    }


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its keys and values; `json` alone would keep the last of two values and say nothing."""
    keys = [key for key, _ in pairs]
    if twice := sorted({key for key in keys if keys.count(key) > 1}):
        raise ValueError(f"the key {twice[0]!r} is there twice")
    return dict(pairs)


def _names(document: Mapping[str, Any], key: str) -> list[str]:
    names = document[key]
    if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise ValueError(f"{key} must be a list of strings, but is {names!r}.")
    if not names:
        raise ValueError(f"{key} must name at least one, but is empty.")
    return names


def _check_keys(table: Any, where: str, *, required: Set[str] = frozenset(), optional: Set[str] = frozenset()) -> None:
    if not isinstance(table, Mapping):
        raise ValueError(f"{where} must be a table of keys and values, but is {table!r}.")
    missing, unknown = required - table.keys(), table.keys() - required - optional
    if missing:
        raise ValueError(f"{where} lacks the key {min(missing)!r}; it needs {sorted(required)}.")
    if unknown:
        raise ValueError(f"{where} has the unknown key {min(unknown)!r}; known are {sorted(required | optional)}.")


def _is_outcome(probability: Any, next_state: Any, reward: Any, terminated: Any) -> bool:
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (probability, reward))
    return numbers and isinstance(next_state, str) and isinstance(terminated, bool)


def _read_outcomes(entries: Any, where: str, index: Mapping[str, int]) -> list[tuple[float, int, float, bool]]:
    if not (isinstance(entries, list) and entries):
        raise ValueError(f"{where} must be a list of at least one outcome, but is {entries!r}.")
    outcomes = []
    for entry in entries:
        if not (isinstance(entry, list) and len(entry) == 4 and _is_outcome(*entry)):
            raise ValueError(f"{where} must list [probability, next state, reward, true or false], but has {entry!r}.")
        if entry[1] not in index:
            raise ValueError(f"{where} leads to {entry[1]!r}, which is not among the states {sorted(index)}.")
        outcomes.append((entry[0], index[entry[1]], entry[2], entry[3]))
    return outcomes
