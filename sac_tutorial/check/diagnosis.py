"""`Exercise`: a check that says what the learner seems to believe, not merely that the answer is wrong.

An exercise is a reference answer, *cases* that each isolate one factor of the equation, and *misconceptions*: whole wrong
answers that people really write, each with the hint that it earns. A wrong answer that agrees with a misconception in every
case gets the misconception's hint. Any other wrong answer, with two mistakes in it for instance, gets the hint of the first
case that it fails, or of the misconception that agrees with it there and, of all such, in most other cases; that one case may
be a coincidence, and the text says so.

To add an exercise of your own, write these three down:

>>> from sac_tutorial.check import Case, Exercise, Misconception
>>> import torch
>>> def area(width, height):
...     return width * height
>>> rectangle_area = Exercise(
...     name="rectangle_area",
...     reference=area,
...     cases=[
...         Case("both sides are 1", (torch.tensor([1.0]), torch.tensor([1.0])), "A unit square has the area 1."),
...         Case("one side is longer", (torch.tensor([3.0]), torch.tensor([5.0])), "Fifteen unit squares fit in."),
...     ],
...     misconceptions=[
...         Misconception("circumference", lambda width, height: 2 * (width + height), "This is the way around it."),
...     ],
... )
>>> rectangle_area.rehearse()
>>> rectangle_area(lambda width, height: width + width * height - 1)
✗ rectangle_area: 1 of 2 cases right.
  Where one side is longer (you: 17, expected: 15):
  Fifteen unit squares fit in.
>>> rectangle_area(lambda width, height: 2 * (width + height))
✗ rectangle_area: 0 of 2 cases right.
  Where both sides are 1 (you: 4, expected: 1):
  This is the way around it.
>>> rectangle_area(area)
✓ rectangle_area: all 2 cases right.
>>> rectangle_area(area).score
1.0

`rehearse` raises if the reference fails, if a misconception passes or can't be told from another, or if it does nothing but
raise: call it in a test. The reference and the misconceptions can be imported, and read, by whoever takes the exercise.
That is as it should be for learning; it is not exam-proof.

May import: `calls`, `records`, torch.
"""

import inspect
import io
import textwrap
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from sac_tutorial.check.calls import (
    NOTHING,
    RAISED,
    UNWRITTEN,
    Answer,
    Fault,
    FaultFound,
    call,
    check_signature,
    comparable,
    is_stub,
)
from sac_tutorial.check.records import Verdict, record

Outcome = Tensor | Fault
"""What came of a case: something to compare, or a fault."""

Observe = Callable[..., Any]
"""From a function and the arguments of a case to what is compared. The default calls the function once."""

PRINTED = 1_000
"""So many characters of what the learner's function prints are shown; some checks call it thousands of times."""


def table(*rows: Any) -> Tensor:
    """Return a float64 tensor: of rows, or of the numbers of one row."""
    return torch.tensor(rows, dtype=torch.float64)


def flags(*rows: object) -> Tensor:
    """Return a bool tensor: of rows, or of the truths of one row."""
    return torch.tensor(rows, dtype=torch.bool)


def with_gradient(tensor: Tensor) -> Tensor:
    """Return a copy by which a result can be differentiated."""
    return tensor.clone().requires_grad_()


@dataclass(frozen=True)
class Case:
    """Arguments that isolate one factor of an equation.

    Attributes:
        where: what is special about them, to be read after "Where": "the episode ends".
        arguments: what the function is given, in order.
        hint: for the reader who gets this case wrong, one or two sentences; best a question.
        expected: the right result. None: what the reference returns.
    """

    where: str
    arguments: tuple[Any, ...]
    hint: str
    expected: Any = None


@dataclass(frozen=True)
class Misconception:
    """A whole wrong answer, and what to say to the one who gives it.

    Attributes:
        name: for tests and teachers.
        answer: the wrong function.
        hint: one to three sentences that don't give the answer away.
        outcomes: what it gives in each case, written down where that takes long to find out. None: it is called.
    """

    name: str
    answer: Answer
    hint: str
    outcomes: tuple[Outcome, ...] | None = None


class Exercise:
    """A check of one function; call it with the learner's function and get a `Verdict`.

    Args:
        name: of the exercise; best that of the function.
        reference: a right answer; its parameters are the parameters that the learner's function must have.
        cases: from the simplest to the fullest; the last ones give the function a leading run axis.
        misconceptions: at least three named ones, if you can.
        changes: name of the argument that the function must change in place; what is compared is that argument.
        observe: for what can't be compared entry by entry, such as random actions: called with a guarded version of the
            function and the arguments of a case, it returns what is compared, for instance frequencies.
        tolerance: how far an entry may be from what is expected, relative and absolute.
        likeness: the same for two wrong answers that count as alike, where both are left to chance. None: `tolerance`.

    Raises:
        ValueError: for an exercise without cases.
    """

    def __init__(
        self,
        name: str,
        reference: Answer,
        cases: Sequence[Case],
        misconceptions: Sequence[Misconception],
        *,
        changes: str | None = None,
        observe: Observe | None = None,
        tolerance: float = 1e-5,
        likeness: float | None = None,
    ) -> None:
        if not cases:
            raise ValueError(f"The exercise {name!r} needs at least one case.")
        self.name, self.reference = name, reference
        self.cases, self.misconceptions = tuple(cases), tuple(misconceptions)
        self.changes, self.observe = changes, observe or _call_once
        self.tolerance, self.likeness = tolerance, tolerance if likeness is None else likeness
        self.parameters = tuple(inspect.signature(reference).parameters)
        self._believed: dict[str, list[Outcome]] = {}

    def __call__(self, answer: Answer) -> Verdict:
        """Check the learner's function and keep the verdict for the report.

        Whatever the function raises becomes a sentence, short of an interrupt: a loop that never ends must be interrupted.
        """
        with redirect_stdout(io.StringIO()) as output:
            verdict = record(self.judge(answer))
        printed = output.getvalue()
        print(printed if len(printed) <= PRINTED else f"{printed[:PRINTED]}\n… and so on.\n", end="")
        return verdict

    def judge(self, answer: Answer) -> Verdict:
        """Check a function, as a call does, but keep no record of it."""
        try:
            check_signature(answer, self.parameters)
        except FaultFound as found:
            return Verdict(self.name, 0.0, self._text(f"✗ {self.name}: {found.fault.sentence}"))
        outcomes = self._outcomes(answer)
        kinds = {outcome.kind if isinstance(outcome, Fault) else "" for outcome in outcomes}
        if kinds == {UNWRITTEN} or (kinds == {NOTHING} and is_stub(answer)):
            return Verdict(self.name, 0.0, f"○ {self.name}: not attempted yet.", attempted=False)
        right = self._right(outcomes)
        count, total = sum(right), len(right)
        if count == total:
            right_all = "right" if total == 1 else f"all {total} cases right"
            return Verdict(self.name, 1.0, f"✓ {self.name}: {right_all}.")
        first = right.index(False)
        text = self._text(
            f"✗ {self.name}: " + ("not right yet." if total == 1 else f"{count} of {total} cases right."),
            self._finding(outcomes[first], first),
            self._hint(outcomes, first),
        )
        return Verdict(self.name, count / total, text)

    def rehearse(self) -> None:
        """Check the exercise itself.

        Raises:
            ValueError: if the reference fails; if a misconception passes, raises in every case, gives other outcomes than
                noted or can't be told from another; if two hints are alike.
        """
        try:
            verdict = self.judge(self.reference)
        except FaultFound as found:
            raise ValueError(f"The reference of {self.name} fails: {found.fault.sentence}") from None
        if verdict.score < 1:
            raise ValueError(f"The reference of {self.name} fails: {verdict}")
        for misconception in self.misconceptions:
            outcomes, what = (
                self._outcomes(misconception.answer),
                f"The misconception {misconception.name!r} of {self.name}",
            )
            if all(self._right(outcomes)):
                raise ValueError(f"{what} passes every case.")
            if all(map(_raised, outcomes)):
                raise ValueError(f"{what} raises in every case, as any broken answer may.")
            if not all(map(self._alike, outcomes, self._outcomes_of(misconception))):
                raise ValueError(f"{what} gives other outcomes than noted.")
            others = [other.name for other in self._recognised(outcomes) if other is not misconception]
            if others:
                raise ValueError(f"No case of {self.name} tells {misconception.name!r} from {others[0]!r}.")
        hints = [case.hint for case in self.cases] + [misconception.hint for misconception in self.misconceptions]
        if len(set(hints)) < len(hints):
            raise ValueError(f"Two cases or misconceptions of {self.name} have the same hint.")

    @cached_property
    def _expected(self) -> list[Any]:
        """What the reference returns in each case, in the type in which it returns it."""

        def trusted(*arguments: Any) -> Any:
            return call(self.reference, self.parameters, arguments, self.changes)

        return [
            self.observe(trusted, *case.arguments) if case.expected is None else case.expected for case in self.cases
        ]

    def _outcomes(self, answer: Answer) -> list[Outcome]:
        def guarded(*arguments: Any) -> Any:
            return call(answer, self.parameters, arguments, self.changes)

        def outcome(case: Case, expected: Any) -> Outcome:
            try:
                with torch.random.fork_rng(devices=[]):
                    torch.manual_seed(
                        0
                    )  # an answer that draws from the global generator gets the same draws every time
                    return comparable(self.observe(guarded, *case.arguments), expected)
            except FaultFound as found:
                return found.fault

        return list(map(outcome, self.cases, self._expected))

    def _right(self, outcomes: list[Outcome]) -> list[bool]:
        return [
            not isinstance(outcome, Fault) and not self._wrong(outcome, expected).any()
            for outcome, expected in zip(outcomes, self._expected, strict=True)
        ]

    def _wrong(self, outcome: Tensor, expected: Any) -> Tensor:
        """Return which entries are wrong."""
        return ~torch.isclose(outcome, comparable(expected, expected), rtol=self.tolerance, atol=self.tolerance)

    def _alike(self, one: Outcome, other: Outcome) -> bool:
        if isinstance(one, Fault) or isinstance(other, Fault):
            return isinstance(one, Fault) and isinstance(other, Fault) and one.kind == other.kind
        return torch.allclose(one, other, rtol=self.likeness, atol=self.likeness)

    def _outcomes_of(self, misconception: Misconception) -> list[Outcome]:
        if misconception.outcomes is not None:
            return list(misconception.outcomes)
        if misconception.name not in self._believed:
            self._believed[misconception.name] = self._outcomes(misconception.answer)
        return self._believed[misconception.name]

    def _recognised(self, outcomes: list[Outcome]) -> list[Misconception]:
        """Return the misconceptions that agree with the answer in every case; exceptions alone tell nothing."""
        return [
            misconception
            for misconception in self.misconceptions
            if not all(map(_raised, outcomes)) and all(map(self._alike, outcomes, self._outcomes_of(misconception)))
        ]

    def _hint(self, outcomes: list[Outcome], first: int) -> str:
        """Return what to say to an answer whose first wrong case is number `first`."""
        recognised, outcome = self._recognised(outcomes), outcomes[first]
        if len(recognised) == 1:
            return recognised[0].hint
        if isinstance(outcome, Fault):
            # If an earlier case was right, what is special about this one may well be the reason.
            unrelated = first == 0 or outcome.kind == NOTHING or outcome.kind.startswith("changed")
            return "" if unrelated else self.cases[first].hint
        similar = self._resembles(outcomes, first)
        return f"In this case at least: {similar[0].hint}" if len(similar) == 1 else self.cases[first].hint

    def _resembles(self, outcomes: list[Outcome], first: int) -> list[Misconception]:
        """Return the misconceptions that agree with the answer in its first wrong case and, of these, in most others."""
        agreement = {}
        for number, misconception in enumerate(self.misconceptions):
            alike = list(map(self._alike, outcomes, self._outcomes_of(misconception)))
            if alike[first]:
                agreement[number] = sum(alike)
        most = max(agreement.values(), default=0)
        return [self.misconceptions[number] for number, alike in agreement.items() if alike == most]

    def _finding(self, outcome: Outcome, number: int) -> str:
        where = f"Where {self.cases[number].where}"
        if isinstance(outcome, Fault):
            return f"{where}: {outcome.sentence}"
        expected = self._expected[number]
        entry = tuple(self._wrong(outcome, expected).nonzero()[0].tolist())
        place = f"entry {list(entry)}; " if outcome.numel() > 1 else ""
        wanted = comparable(expected, expected)[entry]
        return f"{where} ({place}you: {_number(outcome[entry])}, expected: {_number(wanted)}):"

    @staticmethod
    def _text(headline: str, *paragraphs: str) -> str:
        lines = textwrap.wrap(headline, 100, subsequent_indent="  ")
        for paragraph in paragraphs:
            lines += textwrap.wrap(paragraph, 100, initial_indent="  ", subsequent_indent="  ")
        return "\n".join(lines)


def without_gradient(answer: Answer, *arguments: Any) -> Any:
    """Call the answer once, and find fault with a result through which a gradient would flow."""
    result = answer(*arguments)
    if isinstance(result, Tensor) and result.requires_grad:
        raise FaultFound(
            "gradient",
            "the numbers are one thing, but what you return carries a gradient: whoever differentiates the loss would "
            "differentiate it too.",
        )
    return result


def differentiated(like: Callable[..., Tensor]) -> Observe:
    """Make what observes an answer: its result or, where arguments carry gradients, the derivative by the last such one.

    `like` makes, of the arguments, a tensor that has the type and the shape of a right result.
    """

    def observe(answer: Answer, *arguments: Any) -> Any:
        leaves = [argument for argument in arguments if isinstance(argument, Tensor) and argument.requires_grad]
        result = answer(*arguments)
        if not leaves:
            return result
        comparable(result, like(*arguments))
        assert isinstance(result, Tensor)
        if not result.requires_grad:
            raise FaultFound(
                "no gradient", "the number may be right, but it carries no gradient: nothing can be learnt from it."
            )
        (gradient,) = torch.autograd.grad(result.sum(), leaves[-1], allow_unused=True)
        return torch.zeros_like(leaves[-1]) if gradient is None else gradient

    return observe


def _raised(outcome: Outcome) -> bool:
    return isinstance(outcome, Fault) and outcome.kind.startswith(RAISED)


def _call_once(answer: Answer, *arguments: Any) -> Any:
    return answer(*arguments)


def _number(value: Tensor) -> str:
    """Write a number with four digits: the same text on every machine, as long as cases have short numbers."""
    return f"{float(value) + 0.0:.4g}"
