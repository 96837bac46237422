"""Calling a function that somebody else wrote, and turning all that can go wrong into a sentence.

May import: torch.
"""

import copy
import inspect
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import torch
from torch import Tensor

Answer = Callable[..., Any]
"""A learner's function."""


@dataclass(frozen=True)
class Fault:
    """Why a call gave nothing that could be compared.

    Attributes:
        kind: what happened, in a word or two: two functions with the same kind of fault may hold the same misconception.
        sentence: what the reader is told.
    """

    kind: str
    sentence: str


NOTHING = "nothing"
"""The kind of fault of a function that returns nothing: all cases alike, and the exercise was not attempted yet."""


class FaultFound(Exception):
    """Carries a `Fault` out of a check."""

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(sentence)
        self.fault = Fault(kind, sentence)


def check_signature(answer: Any, parameters: Sequence[str]) -> None:
    """Raise a `FaultFound` unless `answer` is a function that takes as many arguments as there are parameters."""
    if not callable(answer):
        raise FaultFound(
            "no function",
            f"a function is expected, but this is {_a(answer)}: hand over the function itself, without calling it.",
        )
    try:
        signature = inspect.signature(answer)
    except (TypeError, ValueError):  # some functions written in C don't tell
        return
    try:
        signature.bind(*parameters)
    except TypeError:
        count = f"{len(parameters)} argument{'s' if len(parameters) > 1 else ''}"
        raise FaultFound(
            "signature",
            f"your function must take {count}, ({', '.join(parameters)}), but it takes ({', '.join(signature.parameters)}).",
        ) from None


def call(answer: Answer, parameters: Sequence[str], arguments: Sequence[Any], changes: str | None = None) -> Any:
    """Call `answer` with copies of the arguments and return its result.

    Args:
        answer: the function.
        parameters: names of its arguments, for the sentences.
        arguments: what it is given.
        changes: name of the one argument that it must change in place; that argument is then the result.

    Raises:
        FaultFound: if the function raises, returns nothing, or changes an argument that it must leave alone.
    """
    given = [_copy(argument) for argument in arguments]
    try:
        with warnings.catch_warnings():  # a grader gives no points to a cell that writes to stderr
            warnings.simplefilter("ignore")
            result = answer(*given)
    except NotImplementedError:
        raise FaultFound(NOTHING, "it raises NotImplementedError.") from None
    except Exception as error:  # a stranger's function may raise anything
        said = " ".join(str(error).split())
        said = said if len(said) <= 200 else said[:200] + " …"
        raise FaultFound(
            f"raised {type(error).__name__}", f"your function raised {type(error).__name__}{': ' if said else ''}{said}"
        ) from None
    for name, before, after in zip(parameters, arguments, given, strict=True):
        if name != changes and not _same(before, after):
            raise FaultFound(
                f"changed {name}",
                f"your function changes {name}, which belongs to its caller: write x = x + y, which makes a new tensor, "
                "in place of x += y and of functions whose name ends in _.",
            )
    if changes is None:
        if result is None or result is Ellipsis:
            raise FaultFound(NOTHING, "your function returns nothing.")
        return result
    place = list(parameters).index(changes)
    if _same(arguments[place], given[place]):
        if result is None or result is Ellipsis:
            raise FaultFound(NOTHING, f"your function leaves {changes} as it was.")
        raise FaultFound(
            "not in place",
            f"your function leaves {changes} as it was and returns something new: write the result into {changes} itself.",
        )
    return given[place]


def comparable(result: Any, expected: Any) -> Tensor:
    """Return `result` as a tensor that can be compared with `expected`, entry by entry.

    Args:
        result: what the learner's function returned.
        expected: what it should have returned: a tensor or a whole number.

    Raises:
        FaultFound: if it is of another type, of another shape, or not finite.
    """
    if not isinstance(expected, Tensor):
        return _whole_number(result)
    if not isinstance(result, Tensor):
        raise FaultFound("type", f"your function must return a tensor, but it returns {_a(result)}.")
    if result.dtype != expected.dtype:
        right = str(expected.dtype).removeprefix("torch.")
        wrong = str(result.dtype).removeprefix("torch.")
        advice = (
            "; is there a tensor that was made without dtype=torch.float64, or a .float()?"
            if wrong == "float32"
            else "."
        )
        raise FaultFound("dtype", f"your function must return {right} numbers, but it returns {wrong}{advice}")
    if result.shape != expected.shape:
        raise FaultFound(f"shape {tuple(result.shape)}", _shape_sentence(tuple(result.shape), tuple(expected.shape)))
    if result.isnan().any():
        raise FaultFound("NaN", "your answer contains NaN, which is no number: is there a 0/0, or an infinity times 0?")
    if result.isinf().any():
        raise FaultFound("infinite", "your answer contains an infinite number: is there a division by 0?")
    return result.detach()


def _whole_number(result: Any) -> Tensor:
    if isinstance(result, Tensor) and result.ndim == 0 and result.dtype != torch.bool:
        result = result.item()
    if isinstance(result, bool) or not isinstance(result, Real):
        raise FaultFound("type", f"your function must return a whole number, but it returns {_a(result)}.")
    if result != result:
        raise FaultFound("NaN", "your function returns NaN, which is no number.")
    if not isinstance(result, Integral) and not float(result).is_integer():
        raise FaultFound("fraction", f"your function must return a whole number, but it returns {float(result):.4g}.")
    return torch.tensor(float(result), dtype=torch.float64)


def _shape_sentence(found: tuple[int, ...], right: tuple[int, ...]) -> str:
    sentence = f"your answer has the shape {found}, but {right} is expected"
    if right and found == (*right, right[-1]):
        return (
            f"{sentence}. A column of shape {(*right, 1)} met a row of shape {right} and broadcasting made a whole table of "
            "them, without a complaint: look for keepdim=True, unsqueeze or [:, None]."
        )
    if found == (*right, 1):
        return f"{sentence}: there is one axis too many; look for keepdim=True, unsqueeze or [:, None]."
    return f"{sentence}."


def _a(thing: Any) -> str:
    if thing is None or thing is Ellipsis:
        return repr(thing)
    if isinstance(thing, Tensor):
        return f"a tensor of shape {tuple(thing.shape)}"
    name = type(thing).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def _copy(argument: Any) -> Any:
    if isinstance(argument, Tensor):
        return argument.clone()
    if isinstance(argument, torch.Generator):
        return argument  # drawing from it is what it is for
    return copy.deepcopy(argument)


def _same(before: Any, after: Any) -> bool:
    if isinstance(before, Tensor):
        return before.shape == after.shape and bool(torch.equal(before, after))
    return isinstance(before, torch.Generator) or bool(before == after)
