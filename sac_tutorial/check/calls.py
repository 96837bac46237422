"""Calling a function that somebody else wrote, and turning all that can go wrong into a sentence.

May import: NumPy, torch.
"""

import copy
import dis
import inspect
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from types import CodeType
from typing import Any

import numpy as np
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
"""The kind of fault of a function that returns nothing, or leaves as it was what it must change."""
RAISED = "raised "
"""How the kind of fault of a function that raises begins; then comes the name of the exception."""
UNWRITTEN = "unwritten"
"""The kind of fault of a function that raises NotImplementedError."""

PAIR = "Is there a pair (values, indices), as max(-1) gives, in place of a tensor? Take .values, or use amax."
ADVICE = {
    "Dimension out of range": "Count the axis from the end: -1.",
    "Boolean value of Tensor with more than one": "`if`, `not` and Python's max ask for one truth, and here are several: "
    "for tensors there are torch.where, ~ and amax.",
    "only integer tensors of a single element": PAIR,
    "can't multiply sequence": PAIR,
    "torch.return_types": PAIR,
    "tuple indices must be": "Several results came back together, as a tuple: take them apart first, one, other = ….",
    "must match the size of tensor": "Two shapes met that don't belong together: print both, and count axes from the end.",
}
"""What to say to an exception whose message contains one of these."""


class FaultFound(Exception):
    """Carries a `Fault` out of a check."""

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(sentence)
        self.fault = Fault(kind, sentence)


def _stub() -> None: ...


def is_stub(answer: Answer) -> bool:
    """Say whether nothing was written into a function: its body is `...`, `pass` or a docstring."""
    code = getattr(answer, "__code__", None)
    return code is not None and _operations(code) == _operations(_stub.__code__)


def _operations(code: CodeType) -> list[str]:
    return [step.opname for step in dis.get_instructions(code) if step.opname != "NOP"]


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
        raise FaultFound(UNWRITTEN, "your function raises NotImplementedError.") from None
    except Exception as error:  # a stranger's function may raise anything
        said = " ".join(str(error).split())
        said = said if len(said) <= 200 else said[:200] + " …"
        said = f"your function raised {type(error).__name__}{': ' if said else ''}{said}"
        advice = next(
            (f"{'' if said[-1] in '.!?' else '.'} {what}" for sign, what in ADVICE.items() if sign in said), ""
        )
        raise FaultFound(f"{RAISED}{type(error).__name__}", said + advice) from None
    for name, before, after in zip(parameters, arguments, given, strict=True):
        if name != changes and not _same(before, after):
            raise FaultFound(
                f"changed {name}",
                f"your function changes {name}, which belongs to its caller: x += y, x[...] = y and functions whose name "
                "ends in _ do that. Write x = x + y, which makes a new tensor, or work on x.clone().",
            )
    if changes is None:
        if result is None or result is Ellipsis:
            raise FaultFound(
                NOTHING,
                "your function returns nothing: does every way through it end in a `return`? print shows a number, but does "
                "not hand it over.",
            )
        return result
    place = list(parameters).index(changes)
    if _same(arguments[place], given[place]):
        if result is None or result is Ellipsis:
            raise FaultFound(
                NOTHING,
                f"your function leaves {changes} as it was: an entry that was looked up, old = {changes}[…], is a copy; assign "
                f"to {changes}[…] itself.",
            )
        raise FaultFound(
            "not in place",
            f"your function leaves {changes} as it was and returns something new: write the result into {changes} itself.",
        )
    return given[place]


def comparable(result: Any, expected: Any, *, chosen: bool = True) -> Tensor:
    """Return `result` as a tensor that can be compared with `expected`, entry by entry.

    Args:
        result: what the learner's function returned.
        expected: what it should have returned: a tensor or a whole number.
        chosen: for integers: whether the function chooses them, as argmax does, and does not merely hand them on.

    Raises:
        FaultFound: if it is of another type, of another shape, or not finite.
    """
    if not isinstance(expected, Tensor):
        return _whole_number(result)
    if not isinstance(result, Tensor):
        advice = "; is there an .item()?" if type(result) is float else "."
        raise FaultFound("type", f"your function must return a tensor, but it returns {_a(result)}{advice}")
    if result.dtype != expected.dtype:
        right = str(expected.dtype).removeprefix("torch.")
        wanted = "truths (torch.bool)" if right == "bool" else f"{right} numbers"
        wrong = str(result.dtype).removeprefix("torch.")
        advice = "."
        if wrong == "float32" and right == "float64":
            advice = "; is there a tensor that was made without dtype=torch.float64, or a .float()?"
        if right == "int64" and chosen and result.is_floating_point():
            advice = "; actions are numbers of columns, as argmax gives them, while max gives values."
        raise FaultFound("dtype", f"your function must return {wanted}, but it returns {wrong}{advice}")
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
    sentence = f"your answer has the shape {found}, but {right if right else '(), one number,'} is expected"
    if found == (*right, 1):
        return (
            f"{sentence}: there is one axis too many; look for keepdim=True, unsqueeze, [:, None] or an index of that shape, "
            "or for a last axis that was to vanish."
        )
    if right and right[-1] > 1 and found == (*right, right[-1]):
        return (
            f"{sentence}. There are several ways to such a table: a column of shape {(*right, 1)} met a row of shape {right} "
            "(look for keepdim=True, unsqueeze, [:, None]), a matrix product (@), an index such as [:, best]; or an axis "
            "that must vanish is still there."
        )
    if found[:-1] == right:
        return f"{sentence}: there is one axis too many; which axis must vanish?"
    if found[1:] == right:
        return f"{sentence}: there is one axis too many, in front; must it vanish, or where does it come from?"
    return f"{sentence}."


def _a(thing: Any) -> str:
    if thing is None or thing is Ellipsis:
        return repr(thing)
    if isinstance(thing, Tensor):
        return f"a tensor of shape {tuple(thing.shape)}"
    if isinstance(thing, np.ndarray | np.generic):
        return "a NumPy array" if isinstance(thing, np.ndarray) else "a NumPy number"
    if isinstance(thing, tuple) and hasattr(thing, "values") and hasattr(thing, "indices"):
        return "a pair (values, indices): take .values, or use amax"
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
        cut_off = before.requires_grad and not after.requires_grad  # by detach_
        return not cut_off and before.shape == after.shape and bool(torch.equal(before, after))
    if isinstance(before, tuple):  # of tensors, perhaps, and those have no one truth
        return all(map(_same, before, after))
    return isinstance(before, torch.Generator) or bool(before == after)
