"""`Exercise`: a check that says what the learner seems to believe, not merely that the answer is wrong.

An exercise is a reference answer, *cases* that each isolate one factor of the equation, and *misconceptions*: whole wrong
answers that people really write, each with the hint that it earns. A wrong answer that agrees with a misconception in every
case gets the misconception's hint. Any other wrong answer, with two mistakes in it for instance, gets the hint of the first
case that it fails, or of the misconception that agrees with it there and, of all such, in most other cases.

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

`rehearse` raises if the reference fails, if a misconception passes, or if two misconceptions can't be told apart: call it
in a test. The reference and the misconceptions can be imported, and read, by whoever takes the exercise. That is as it should
be for learning; it is not exam-proof.

May import: `calls`, `records`, torch.
"""

import inspect
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sac_tutorial.check.calls import NOTHING, Answer, Fault, FaultFound, call, check_signature, comparable
from sac_tutorial.check.records import Verdict, record

Outcome = Tensor | Fault
"""What came of a case: something to compare, or a fault."""

Observe = Callable[..., Any]
"""From a function and the arguments of a case to what is compared. The default calls the function once."""


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
    outcomes: tuple[Tensor, ...] | None = None


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
    ) -> None:
        if not cases:
            raise ValueError(f"The exercise {name!r} needs at least one case.")
        self.name, self.reference, self.cases, self.misconceptions = (
            name,
            reference,
            tuple(cases),
            tuple(misconceptions),
        )
        self.changes, self.observe, self.tolerance = changes, observe or _call_once, tolerance
        self.parameters = tuple(inspect.signature(reference).parameters)
        self._believed: dict[str, list[Outcome]] = {}

    def __call__(self, answer: Answer) -> Verdict:
        """Check the learner's function; never raises, whatever the function does (short of an interrupt)."""
        return record(self._judge(answer))

    def rehearse(self) -> None:
        """Check the exercise itself.

        Raises:
            ValueError: if the reference fails, a misconception passes, or two misconceptions or hints are alike.
        """
        if self._judge(self.reference).score < 1:
            raise ValueError(f"The reference of {self.name} fails: {self._judge(self.reference)}")
        for misconception in self.misconceptions:
            outcomes = self._outcomes(misconception.answer)
            if all(self._right(case, outcome) for case, outcome in zip(self.cases, outcomes, strict=True)):
                raise ValueError(f"The misconception {misconception.name!r} of {self.name} passes every case.")
            if not all(map(self._agree, outcomes, self._outcomes_of(misconception))):
                raise ValueError(
                    f"The misconception {misconception.name!r} of {self.name} gives other outcomes than noted."
                )
            others = [other.name for other in self._recognised(outcomes) if other is not misconception]
            if others:
                raise ValueError(f"No case of {self.name} tells {misconception.name!r} from {others[0]!r}.")
        hints = [case.hint for case in self.cases] + [misconception.hint for misconception in self.misconceptions]
        if len(set(hints)) < len(hints):
            raise ValueError(f"Two cases or misconceptions of {self.name} have the same hint.")

    def _judge(self, answer: Answer) -> Verdict:
        try:
            check_signature(answer, self.parameters)
        except FaultFound as found:
            return Verdict(self.name, 0.0, self._text(f"✗ {self.name}: {found.fault.sentence}"))
        outcomes = self._outcomes(answer)
        faults = [outcome for outcome in outcomes if isinstance(outcome, Fault)]
        if len(faults) == len(outcomes) and all(fault.kind == NOTHING for fault in faults):
            text = self._text(f"○ {self.name}: not attempted yet; {faults[0].sentence}")
            return Verdict(self.name, 0.0, text, attempted=False)
        right = [self._right(case, outcome) for case, outcome in zip(self.cases, outcomes, strict=True)]
        count, total = sum(right), len(right)
        if count == total:
            right_all = "right" if total == 1 else f"all {total} cases right"
            return Verdict(self.name, 1.0, f"✓ {self.name}: {right_all}.")
        first = right.index(False)
        text = self._text(
            f"✗ {self.name}: " + ("not right yet." if total == 1 else f"{count} of {total} cases right."),
            self._finding(self.cases[first], outcomes[first]),
            self._hint(outcomes, first, count),
        )
        return Verdict(self.name, count / total, text)

    def _outcomes(self, answer: Answer) -> list[Outcome]:
        return [self._outcome(answer, case) for case in self.cases]

    def _outcome(self, answer: Answer, case: Case) -> Outcome:
        def guarded(*arguments: Any) -> Any:
            return call(answer, self.parameters, arguments, self.changes)

        try:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)  # an answer that draws from the global generator gets the same draws every time
                return comparable(self.observe(guarded, *case.arguments), self._expected(case))
        except FaultFound as found:
            return found.fault

    def _expected(self, case: Case) -> Any:
        if case.expected is not None:
            return case.expected

        def trusted(*arguments: Any) -> Any:
            return call(self.reference, self.parameters, arguments, self.changes)

        return self.observe(trusted, *case.arguments)

    def _right(self, case: Case, outcome: Outcome) -> bool:
        expected = self._expected(case)
        return self._agree(outcome, comparable(expected, expected))

    def _agree(self, one: Outcome, other: Outcome) -> bool:
        if isinstance(one, Fault) or isinstance(other, Fault):
            return isinstance(one, Fault) and isinstance(other, Fault) and one.kind == other.kind
        return torch.allclose(one, other, rtol=self.tolerance, atol=self.tolerance)

    def _outcomes_of(self, misconception: Misconception) -> list[Outcome]:
        if misconception.outcomes is not None:
            return list(misconception.outcomes)
        if misconception.name not in self._believed:
            self._believed[misconception.name] = self._outcomes(misconception.answer)
        return self._believed[misconception.name]

    def _recognised(self, outcomes: list[Outcome]) -> list[Misconception]:
        """Return the misconceptions that agree with the answer in every case."""
        return [
            misconception
            for misconception in self.misconceptions
            if all(map(self._agree, outcomes, self._outcomes_of(misconception)))
        ]

    def _hint(self, outcomes: list[Outcome], first: int, count: int) -> str:
        likely, fault = self._recognised(outcomes), outcomes[first]
        if not likely and not isinstance(fault, Fault):
            likely = self._resembles(outcomes, first)
        if len(likely) == 1:
            return likely[0].hint
        if isinstance(fault, Fault) and (not count or fault.kind.startswith("changed")):
            return ""  # what is special about the case has nothing to do with it
        return self.cases[first].hint

    def _resembles(self, outcomes: list[Outcome], first: int) -> list[Misconception]:
        """Return the misconceptions that agree with the answer in its first wrong case and, of these, in most others."""
        agreement = {}
        for number, misconception in enumerate(self.misconceptions):
            agrees = list(map(self._agree, outcomes, self._outcomes_of(misconception)))
            if agrees[first]:
                agreement[number] = sum(agrees)
        most = max(agreement.values(), default=0)
        return [self.misconceptions[number] for number, agrees in agreement.items() if agrees == most]

    def _finding(self, case: Case, outcome: Outcome) -> str:
        if isinstance(outcome, Fault):
            return f"Where {case.where}: {outcome.sentence}"
        expected = self._expected(case)
        expected = comparable(expected, expected)
        wrong = ~torch.isclose(outcome, expected, rtol=self.tolerance, atol=self.tolerance)
        entry = tuple(wrong.nonzero()[0].tolist())
        place = f"entry {list(entry)}; " if outcome.numel() > 1 else ""
        return f"Where {case.where} ({place}you: {_number(outcome[entry])}, expected: {_number(expected[entry])}):"

    @staticmethod
    def _text(headline: str, *paragraphs: str) -> str:
        lines = textwrap.wrap(headline, 100, subsequent_indent="  ")
        for paragraph in paragraphs:
            lines += textwrap.wrap(paragraph, 100, initial_indent="  ", subsequent_indent="  ")
        return "\n".join(lines)


def _call_once(answer: Answer, *arguments: Any) -> Any:
    return answer(*arguments)


def _number(value: Tensor) -> str:
    """Write a number with four digits: the same text on every machine, as long as cases have short numbers."""
    return f"{float(value) + 0.0:.4g}"
