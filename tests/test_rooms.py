"""The rooms of the package: imports run one way, exactly as each room's `__init__.py` says."""

import inspect

import pytest

import sac_tutorial.check
from sac_tutorial import equations
from tools import house

ROOMS = house.rooms()


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_what_it_may_and_nothing_else(room: str) -> None:
    wrong = {path.name: found for path in ROOMS[room] if (found := house.imports(path) - house.allowed(room) - {room})}
    assert not wrong, f"{room} may import {sorted(house.allowed(room))}"


def test_the_rules_allow_no_circle() -> None:
    open_rooms = {room: set(house.allowed(room)) for room in ROOMS}
    while done := {room for room, ends in open_rooms.items() if not ends}:
        open_rooms = {room: ends - done for room, ends in open_rooms.items() if room not in done}
    assert not open_rooms


def test_every_rule_names_rooms_and_every_room_has_a_place() -> None:
    assert set().union(*map(house.allowed, ROOMS)) <= set(ROOMS) == set(house.PLACES)


def test_a_detour_is_left_out_of_the_drawing_and_nothing_else() -> None:
    graph = {"a": {"b", "c"}, "b": {"c"}, "c": set[str]()}
    assert house.without_detours(graph) == {"a": {"b"}, "b": {"c"}, "c": set()}


def test_an_exercise_and_a_function_of_the_equations_never_share_a_name() -> None:
    public = {name for name, thing in vars(equations).items() if inspect.isfunction(thing)}
    assert not public & set(sac_tutorial.check.__all__)
