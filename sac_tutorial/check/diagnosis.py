"""`Exercise`: a check that tells learners what they seem to believe, not only that the answer is wrong.

An exercise has a reference answer, *cases* that each isolate one factor of the equation, and *misconceptions*: wrong answers
that people really write, each with its hint. An answer that agrees with a misconception in every case gets the hint of that
misconception. Any other wrong answer gets the hint of the first case that it fails; or, if exactly one misconception agrees
with it there (and in most other cases), that misconception's hint, marked "In this case at least".

To write an exercise of your own, write down these three parts:

>>> from sac_tutorial.check import Case, Exercise, Misconception
>>> import torch
>>> def area(width, height):
...     return width * height
>>> rectangle_area = Exercise(
...     name="rectangle_area",
...     reference=area,
...     cases=[
...         Case("both sides are 1", (torch.tensor([1.0]), torch.tensor([1.0])), "A unit square has the area 1."),
...         Case("one side is longer", (torch.tensor([3.0]), torch.tensor([5.0])), "Count the unit squares inside."),
...     ],
...     misconceptions=[
...         Misconception("circumference", lambda width, height: 2 * (width + height), "This is the length of the border."),
...     ],
... )
>>> rectangle_area.rehearse()
>>> rectangle_area(lambda width, height: width + width * height - 1)
✗ rectangle_area: 1 of 2 cases right.
  Where one side is longer (you: 17, expected: 15):
  Count the unit squares inside.
>>> rectangle_area(lambda width, height: 2 * (width + height))
✗ rectangle_area: 0 of 2 cases right.
  Where both sides are 1 (you: 4, expected: 1):
  This is the length of the border.
>>> rectangle_area(area)
✓ rectangle_area: all 2 cases right.
>>> rectangle_area(area).score
1.0

`rehearse` checks the exercise itself: call it in a test.
"""

import inspect
import io
import textwrap
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from functools import cached_property
from typing import Any

import attrs
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
"""The result of a case: a tensor to compare, or a fault."""

Observe = Callable[..., Any]
"""Takes a function and the arguments of a case and returns what is compared. The default calls the function once."""

PRINTED = 1_000
"""How many characters of the function's own prints are shown; some checks call the function thousands of times."""


def table(*rows: Any) -> Tensor:
    """Return a float64 tensor of several rows, or of the numbers of one row."""
    return torch.tensor(rows, dtype=torch.float64)


def flags(*rows: object) -> Tensor:
    """Return a bool tensor of several rows, or of the values of one row."""
    return torch.tensor(rows, dtype=torch.bool)


def with_gradient(tensor: Tensor) -> Tensor:
    """Return a copy that requires a gradient."""
    return tensor.clone().requires_grad_()


@attrs.frozen
class Case:
    """Arguments that isolate one factor of an equation.

    Attributes:
        where: What is special about the arguments, read after "Where": "the episode ends".
        arguments: The arguments of the function, in order.
        hint: One or two sentences for a learner who gets this case wrong; best a question.
        expected: The right result. None: the result of the reference.
    """

    where: str
    arguments: tuple[Any, ...]
    hint: str
    expected: Any = None


@attrs.frozen
class Misconception:
    """A wrong answer that people really write, and its hint.

    Attributes:
        name: Name for tests and teachers.
        answer: The wrong function.
        hint: One to three sentences that do not give the answer away.
        outcomes: Its result in each case, written down where the computation takes long. None: the function is called.
    """

    name: str
    answer: Answer
    hint: str
    outcomes: tuple[Outcome, ...] | None = None


class Exercise:
    """A check of one function; call it with the learner's function and get a `Verdict`.

    Args:
        name: Name of the exercise, best the name of the function.
        reference: A right answer. The learner's function must take the same arguments.
        cases: From the simplest to the fullest; the last cases have a leading run axis.
        misconceptions: Best three or more.
        changes: Name of the argument that the function must change in place, and that is compared.
        observe: For results that cannot be compared entry by entry, such as random actions: it is called with a guarded
            version of the function and the arguments of a case, and returns what is compared, for instance frequencies.
        tolerance: How far an entry may be from the expected one, relative and absolute.
        likeness: The same for two wrong answers that count as alike, in exercises with randomness. None: `tolerance`.

    Raises:
        ValueError: If there are no cases.
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

        Every exception of the function becomes a sentence; only KeyboardInterrupt passes, so that endless loops can be stopped.
        """
        with redirect_stdout(io.StringIO()) as output:
            verdict = record(self.judge(answer))
        printed = output.getvalue()
        print(printed if len(printed) <= PRINTED else f"{printed[:PRINTED]}\n… and so on.\n", end="")
        return verdict

    def judge(self, answer: Answer) -> Verdict:
        """Check a function without keeping a record."""
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
            ValueError: If the reference fails; if a misconception passes, raises in every case, differs from the outcomes
                written down for it, or cannot be told from another one; or if two hints are the same.
        """
        try:
            verdict = self.judge(self.reference)
        except FaultFound as found:
            raise ValueError(f"The reference of {self.name} fails: {found.fault.sentence}") from None
        if verdict.score < 1:
            raise ValueError(f"The reference of {self.name} fails: {verdict}")
        for misconception in self.misconceptions:
            outcomes = self._outcomes(misconception.answer)
            what = f"The misconception {misconception.name!r} of {self.name}"
            if all(self._right(outcomes)):
                raise ValueError(f"{what} passes every case.")
            if all(map(_raised, outcomes)):
                raise ValueError(f"{what} raises in every case, as any broken answer may do.")
            if not all(map(self._alike, outcomes, self._outcomes_of(misconception))):
                raise ValueError(f"{what} differs from the outcomes written down for it.")
            others = [other.name for other in self._recognised(outcomes) if other is not misconception]
            if others:
                raise ValueError(f"No case of {self.name} tells {misconception.name!r} from {others[0]!r}.")
        hints = [case.hint for case in self.cases] + [misconception.hint for misconception in self.misconceptions]
        if len(set(hints)) < len(hints):
            raise ValueError(f"Two cases or misconceptions of {self.name} have the same hint.")

    @cached_property
    def _expected(self) -> list[Any]:
        """What the reference returns in each case, as it returns it."""

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
                    torch.default_generator.manual_seed(0)  # torch.manual_seed is 100 times slower
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
        """Return the misconceptions that agree with the answer in every case."""
        if all(map(_raised, outcomes)):  # any broken answer raises: this is no evidence
            return []
        return [each for each in self.misconceptions if all(map(self._alike, outcomes, self._outcomes_of(each)))]

    def _hint(self, outcomes: list[Outcome], first: int) -> str:
        """Return the hint for an answer whose first wrong case is number `first`."""
        recognised, outcome = self._recognised(outcomes), outcomes[first]
        if len(recognised) == 1:
            return recognised[0].hint
        if isinstance(outcome, Fault):
            # The hint of the case fits only if an earlier case was right, so that this one may be the reason.
            unrelated = first == 0 or outcome.kind == NOTHING or outcome.kind.startswith("changed")
            return "" if unrelated else self.cases[first].hint
        similar = self._resembles(outcomes, first)
        return f"In this case at least: {similar[0].hint}" if len(similar) == 1 else self.cases[first].hint

    def _resembles(self, outcomes: list[Outcome], first: int) -> list[Misconception]:
        """Return the misconceptions that agree in the first wrong case, and of these the ones that agree most often."""
        agreements = [list(map(self._alike, outcomes, self._outcomes_of(each))) for each in self.misconceptions]
        counts = [sum(alike) if alike[first] else 0 for alike in agreements]
        most = max(counts, default=0)
        return [each for each, count in zip(self.misconceptions, counts, strict=True) if count == most > 0]

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
    """Call the answer once; a result that carries a gradient is a fault."""
    result = answer(*arguments)
    if isinstance(result, Tensor) and result.requires_grad:
        raise FaultFound(
            "gradient",
            "your result carries a gradient: when the loss is differentiated, your result would be differentiated too. The "
            "numbers may still be right.",
        )
    return result


def differentiated(like: Callable[..., Tensor]) -> Observe:
    """Return an `Observe`: the result or, where arguments carry gradients, the derivative by the last such argument.

    `like` makes a tensor of the type and shape of a right result out of the arguments.
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
                "no gradient", "the number may be right, but it carries no gradient: nothing can be learned from it."
            )
        (gradient,) = torch.autograd.grad(result.sum(), leaves[-1], allow_unused=True)
        return torch.zeros_like(leaves[-1]) if gradient is None else gradient

    return observe


def _raised(outcome: Outcome) -> bool:
    return isinstance(outcome, Fault) and outcome.kind.startswith(RAISED)


def _call_once(answer: Answer, *arguments: Any) -> Any:
    return answer(*arguments)


def _number(value: Tensor) -> str:
    """Return a number with four digits: the same text on every machine, if the cases have short numbers."""
    return f"{float(value) + 0.0:.4g}"
