"""Call a learner's function, and turn everything that can go wrong into a plain sentence."""

import copy
import dis
import inspect
import warnings
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from types import CodeType
from typing import Any

import attrs
import numpy as np
import torch
from torch import Tensor

Answer = Callable[..., Any]
"""A learner's function."""


@attrs.frozen
class Fault:
    """Why a call gave no result that can be compared.

    Attributes:
        kind: What happened, in a word or two. Two functions with the same kind of fault may share a misconception.
        sentence: What the learner is told.
    """

    kind: str
    sentence: str


NOTHING = "nothing"
"""Kind of fault: the function returns nothing, or leaves the argument that it must change as it was."""
RAISED = "raised "
"""How the kind begins if the function raises an exception; the name of the exception follows."""
UNWRITTEN = "unwritten"
"""Kind of fault: the function raises NotImplementedError."""

PAIR = "Is there a pair (values, indices), as max(-1) returns, in place of a tensor? Take .values, or use amax."
ADVICE = {
    "Dimension out of range": "Count the axis from the end: -1.",
    "Boolean value of Tensor with more than one": "`if`, `not` and Python's max need one True or False, but this tensor has "
    "several: use torch.where, ~ or amax.",
    "only integer tensors of a single element": PAIR,
    "can't multiply sequence": PAIR,
    "torch.return_types": PAIR,
    "tuple indices must be": "A tuple of several results was returned: unpack it first, one, other = ….",
    "must match the size of tensor": "Two tensors have shapes that do not fit together: print both shapes.",
}
"""What to say about an exception whose message contains one of these texts."""


class FaultFound(Exception):
    """Carries a `Fault` out of a check."""

    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(sentence)
        self.fault = Fault(kind, sentence)


def _stub() -> None: ...


def is_stub(answer: Answer) -> bool:
    """Return whether a function is still empty: its body is `...`, `pass` or a docstring."""
    code = getattr(answer, "__code__", None)
    return code is not None and _operations(code) == _operations(_stub.__code__)


def _operations(code: CodeType) -> list[str]:
    return [step.opname for step in dis.get_instructions(code) if step.opname != "NOP"]


def check_signature(answer: Any, parameters: Sequence[str]) -> None:
    """Raise `FaultFound` if `answer` is not a function that takes as many arguments as there are parameters."""
    if not callable(answer):
        raise FaultFound(
            "no function",
            f"a function is expected, but this is {_a(answer)}: pass the function itself, without calling it.",
        )
    try:
        signature = inspect.signature(answer)
    except (TypeError, ValueError):  # some functions written in C have no signature
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
        answer: The learner's function.
        parameters: Names of its arguments, for the sentences.
        arguments: The arguments.
        changes: Name of the argument that the function must change in place; this argument is then the result.

    Raises:
        FaultFound: If the function raises, returns nothing, or changes an argument that it must leave alone.
    """
    given = [_copy(argument) for argument in arguments]
    try:
        with warnings.catch_warnings():  # a grader gives no points to a cell that writes to stderr
            warnings.simplefilter("ignore")
            result = answer(*given)
    except NotImplementedError:
        raise FaultFound(UNWRITTEN, "your function raises NotImplementedError.") from None
    except Exception as error:  # a learner's function may raise anything
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
                f"your function changes its argument {name}: x += y, x[...] = y and functions whose name ends in _ do "
                "that. Write x = x + y, which makes a new tensor, or work on x.clone().",
            )
    if changes is None:
        if result is None or result is Ellipsis:
            raise FaultFound(
                NOTHING,
                "your function returns nothing: does every way through it end in a `return`? print shows a number, but does "
                "not return it.",
            )
        return result
    place = list(parameters).index(changes)
    if _same(arguments[place], given[place]):
        if result is None or result is Ellipsis:
            raise FaultFound(
                NOTHING,
                f"your function does not change {changes}: old = {changes}[…] makes a copy, so assign to {changes}[…] itself.",
            )
        raise FaultFound(
            "not in place",
            f"your function does not change {changes} but returns a new tensor: write the result into {changes} itself.",
        )
    return given[place]


def comparable(result: Any, expected: Any, *, chosen: bool = True) -> Tensor:
    """Return `result` as a tensor that can be compared with `expected`, entry by entry.

    Args:
        result: What the learner's function returned.
        expected: What it should have returned: a tensor or a whole number.
        chosen: For integers: True if the function chooses them, as argmax does, False if it only passes them on.

    Raises:
        FaultFound: If the result has another type or shape, or is not finite.
    """
    if not isinstance(expected, Tensor):
        return _whole_number(result)
    if not isinstance(result, Tensor):
        advice = "; is there an .item()?" if type(result) is float else "."
        raise FaultFound("type", f"your function must return a tensor, but it returns {_a(result)}{advice}")
    if result.dtype != expected.dtype:
        right = str(expected.dtype).removeprefix("torch.")
        wanted = "True and False (torch.bool)" if right == "bool" else f"{right} numbers"
        wrong = str(result.dtype).removeprefix("torch.")
        advice = "."
        if wrong == "float32" and right == "float64":
            advice = "; is a tensor made without dtype=torch.float64, or is there a .float()?"
        if right == "int64" and chosen and result.is_floating_point():
            advice = "; an action is the index of a column, as argmax returns it, while max returns values."
        raise FaultFound("dtype", f"your function must return {wanted}, but it returns {wrong}{advice}")
    if result.shape != expected.shape:
        raise FaultFound(f"shape {tuple(result.shape)}", _shape_sentence(tuple(result.shape), tuple(expected.shape)))
    if result.isnan().any():
        raise FaultFound("NaN", "your answer contains NaN (not a number): is there a 0/0, or an infinity times 0?")
    if result.isinf().any():
        raise FaultFound("infinite", "your answer contains an infinite number: is there a division by 0?")
    return result.detach()


def _whole_number(result: Any) -> Tensor:
    if isinstance(result, Tensor) and result.ndim == 0 and result.dtype != torch.bool:
        result = result.item()
    if isinstance(result, bool) or not isinstance(result, Real):
        raise FaultFound("type", f"your function must return a whole number, but it returns {_a(result)}.")
    if result != result:
        raise FaultFound("NaN", "your function returns NaN (not a number).")
    if not isinstance(result, Integral) and not float(result).is_integer():
        raise FaultFound("fraction", f"your function must return a whole number, but it returns {float(result):.4g}.")
    return torch.tensor(float(result), dtype=torch.float64)


def _shape_sentence(found: tuple[int, ...], right: tuple[int, ...]) -> str:
    sentence = f"your answer has the shape {found}, but {right if right else '(), one number,'} is expected"
    if found == (*right, 1):
        return (
            f"{sentence}: there is one axis too many. Look for keepdim=True, unsqueeze, [:, None], an index of that shape, or "
            "a last axis that should be summed or averaged away."
        )
    if right and right[-1] > 1 and found == (*right, right[-1]):
        return (
            f"{sentence}. Perhaps a column of shape {(*right, 1)} met a row of shape {right} (look for keepdim=True, "
            "unsqueeze, [:, None]); perhaps there is a matrix product (@) or an index such as [:, best]; perhaps an axis is "
            "still there that should be summed or averaged away."
        )
    if found[:-1] == right:
        return f"{sentence}: there is one axis too many. Which axis should be summed or averaged away?"
    if found[1:] == right:
        return f"{sentence}: there is one axis too many, in front. Where does it come from?"
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
        return argument  # the function may draw from it
    return copy.deepcopy(argument)


def _same(before: Any, after: Any) -> bool:
    if isinstance(before, Tensor):
        cut_off = before.requires_grad and not after.requires_grad  # by detach_
        return not cut_off and before.shape == after.shape and bool(torch.equal(before, after))
    if isinstance(before, tuple):  # perhaps of tensors, which == compares entry by entry
        return all(map(_same, before, after))
    return isinstance(before, torch.Generator) or bool(before == after)
