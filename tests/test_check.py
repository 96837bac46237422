"""The mechanism of the checks: claims, calls of a stranger's function, diagnosis, the record."""

# ruff: noqa: ARG001, ARG005 wrong answers ignore what they are given

import doctest
import json
import re
import warnings
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from sac_tutorial import check
from sac_tutorial.check import Case, ClaimFailed, Exercise, Misconception, Verdict, diagnosis, verdict

# Claims


@pytest.mark.parametrize("condition", [True, np.bool_(True), torch.tensor(True), np.array(True)])
def test_a_claim_that_holds_is_printed(condition: Any, capsys: pytest.CaptureFixture[str]) -> None:
    verdict("error below 0.1", condition)
    assert capsys.readouterr().out == "✓ error below 0.1\n"


@pytest.mark.parametrize("condition", [False, np.bool_(False), torch.tensor(False)])
def test_a_claim_that_fails_raises_and_prints_nothing(condition: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(AssertionError, match=re.escape("✗ error below 0.1")):
        verdict("error below 0.1", condition)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("held", [7, 8])
@pytest.mark.parametrize("make", [list, np.array, torch.tensor])
def test_the_required_count_is_printed_not_the_one_found(
    held: Any, make: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    verdict("solved", make([run < held for run in range(8)]), at_least=7)
    assert capsys.readouterr().out == "✓ solved (at least 7 of 8 runs)\n"


def test_all_runs_are_called_all_runs(capsys: pytest.CaptureFixture[str]) -> None:
    verdict("solved", torch.ones(8, dtype=torch.bool), at_least=8)
    assert capsys.readouterr().out == "✓ solved (all 8 runs)\n"


def test_one_run_too_few_raises_and_says_how_many_there_were() -> None:
    with pytest.raises(ClaimFailed, match=re.escape("✗ solved (at least 7 of 8 runs): it held in 6 of 8.")):
        verdict("solved", torch.arange(8) < 6, at_least=7)


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        (("c", 1), TypeError, "true or false, or one such value a run, but is int"),
        (("c", 0.5), TypeError, "but is float"),
        (("c", None), TypeError, "but is NoneType"),
        (("c", "yes"), TypeError, "but is str"),
        (("c", torch.ones(3)), TypeError, "torch.float32 of shape"),
        (("c", lambda: True), TypeError, "but is function"),
        ((3, True), TypeError, "claim must be a text"),
        (("c", [True, True]), ValueError, "at_least=…"),
        (("c", True, 1), ValueError, "one entry a run"),
        (("c", [[True]], 1), ValueError, "one entry a run"),
        (("c", [True, True], 3), ValueError, r"must lie in \[1, 2\], but is 3"),
        (("c", [True, True], 0), ValueError, "at_least must lie in"),
        (("c", [True, True], 1.5), TypeError, "whole number"),
        (("c", [True, True], True), TypeError, "whole number"),
    ],
)
def test_bad_use_of_verdict(
    arguments: Any, error: type[Exception], match: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(error, match=match) as raised:
        verdict(*arguments)
    assert not isinstance(raised.value, AssertionError)
    assert capsys.readouterr().out == ""


# An exercise of one's own: twice x plus y


def double(x: Any, y: Any) -> Any:
    return 2 * x + y


ONE, TWO = torch.tensor([1.0, 2.0], dtype=torch.float64), torch.tensor([10.0, 30.0], dtype=torch.float64)


def exercise(**changed: Any) -> Any:
    arguments: dict[str, Any] = {
        "name": "double",
        "reference": double,
        "cases": [
            Case("y is 0", (ONE, 0 * TWO), "Look at the factor of x."),
            Case("x is 0", (0 * ONE, TWO), "Look at y."),
            Case(
                "there are runs", (torch.stack([ONE, ONE, TWO]), torch.stack([TWO, ONE, ONE])), "Mind the first axis."
            ),
        ],
        "misconceptions": [
            Misconception("factor forgotten", lambda x, y: x + y, "Twice!"),
            Misconception("y doubled too", lambda x, y: 2 * (x + y), "Only x is doubled."),
            Misconception("y forgotten", lambda x, y: 2 * x, "And y?"),
        ],
    }
    return Exercise(**(arguments | changed))


def test_a_right_answer() -> None:
    result = exercise()(lambda a, b: b + a + a)
    assert (result.score, result.attempted, result.text) == (1.0, True, "✓ double: all 3 cases right.")
    assert repr(result) == str(result) == result.text


def test_a_misconception_earns_its_hint_with_the_first_entry_that_is_wrong() -> None:
    assert exercise()(lambda x, y: y + x).text == (
        "✗ double: 1 of 3 cases right.\n  Where y is 0 (entry [0]; you: 1, expected: 2):\n  Twice!"
    )


def test_what_is_no_misconception_earns_the_hint_of_its_first_wrong_case() -> None:
    result = exercise()(lambda x, y: 2 * x + 3 * y)
    assert result.text == (
        "✗ double: 1 of 3 cases right.\n  Where x is 0 (entry [0]; you: 30, expected: 10):\n  Look at y."
    )
    assert result.score == pytest.approx(1 / 3)


def test_two_mistakes_at_once_earn_the_hint_of_the_one_that_a_case_isolates() -> None:
    text = exercise()(lambda x, y: x + 3 * y).text
    # In the first case the answer is that of "factor forgotten", and of no other; that may be a coincidence.
    assert "In this case at least: Twice!" in text
    assert "at least" not in exercise()(lambda x, y: x + y).text


def test_an_answer_that_agrees_with_a_misconception_in_one_case_only_is_not_taken_for_it_where_two_agree() -> None:
    alike = [
        Misconception("one", lambda x, y: x + y, "First hint."),
        Misconception("other", lambda x, y: x + 5 * y, "Second hint."),
    ]
    text = exercise(misconceptions=alike)(lambda x, y: x + 7 * y).text
    assert "Look at the factor of x." in text
    assert "First" not in text
    assert "Second" not in text


def stub(x: Any, y: Any) -> None: ...


def stub_of_ellipsis(x: Any, y: Any) -> Any:
    return ...


def stub_of_pass(x: Any, y: Any) -> None:
    pass


def stub_with_a_docstring(x: Any, y: Any) -> None:
    """Return 2 x + y."""


def stub_that_raises(x: Any, y: Any) -> None:
    raise NotImplementedError


@pytest.mark.parametrize(
    "answer", [stub, stub_of_ellipsis, stub_of_pass, stub_with_a_docstring, stub_that_raises, lambda x, y: None]
)
def test_a_stub_is_not_attempted_yet(answer: Any) -> None:
    result = exercise()(answer)
    assert result.text == "○ double: not attempted yet."
    assert (result.score, result.attempted) == (0.0, False)


def prints_in_place_of_returning(x: Any, y: Any) -> None:
    print(2 * x + y)


def forgets_to_return(x: Any, y: Any) -> None:
    result = 2 * x + y  # noqa: F841


@pytest.mark.parametrize("answer", [prints_in_place_of_returning, forgets_to_return, partial(stub)])
def test_whoever_wrote_something_has_attempted_it(answer: Any) -> None:
    result = exercise()(answer)
    assert (result.score, result.attempted) == (0.0, True)
    assert result.text.startswith("✗ double: 0 of 3 cases right.")
    assert "returns nothing: does every way through it end in a `return`?" in " ".join(result.text.split())


def test_what_an_answer_prints_is_shown_but_cut_short(capsys: pytest.CaptureFixture[str]) -> None:
    exercise()(prints_in_place_of_returning)
    assert capsys.readouterr().out.startswith("tensor([2., 4.], dtype=torch.float64)\n")

    def chatters(x: Any, y: Any) -> Any:
        print("x" * 800)
        return 2 * x + y

    assert exercise()(chatters).score == 1
    out = capsys.readouterr().out
    assert len(out) < 1_100
    assert out.endswith("… and so on.\n")
    exercise()(double)
    assert capsys.readouterr().out == ""


def forgets_to_return_for_runs(x: Any, y: Any) -> Any:
    if x.ndim == 1:
        return 2 * x + y
    return None


FAULTS = {
    "no function": (ONE, "a function is expected, but this is a tensor of shape (2,)"),
    "nothing": (None, "a function is expected, but this is None"),
    "too few parameters": (lambda x: x, "must take 2 arguments, (x, y), but it takes (x)"),
    "too many parameters": (lambda x, y, z: x, "must take 2 arguments, (x, y), but it takes (x, y, z)"),
    "list": (lambda x, y: [1.0, 2.0], "must return a tensor, but it returns a list"),
    "array": (lambda x, y: (2 * x + y).numpy(), "must return a tensor, but it returns a NumPy array."),
    "NumPy number": (lambda x, y: np.float64(2), "must return a tensor, but it returns a NumPy number."),
    "number": (lambda x, y: 2.0, "must return a tensor, but it returns a float; is there an .item()?"),
    "whole number": (lambda x, y: 2, "must return a tensor, but it returns an int."),
    "pair": (lambda x, y: x.max(-1), "but it returns a pair (values, indices): take .values, or use amax."),
    "tuple": (lambda x, y: (x, y), "must return a tensor, but it returns a tuple."),
    "float32": (
        lambda x, y: (2 * x + y).float(),
        "but it returns float32; is a tensor made without",
    ),
    "integers": (lambda x, y: (2 * x + y).long(), "must return float64 numbers, but it returns int64."),
    "truths": (lambda x, y: x > y, "must return float64 numbers, but it returns bool."),
    "scalar": (lambda x, y: (2 * x + y).sum(), "has the shape (), but (2,) is expected."),
    "axis of length 1": (lambda x, y: (2 * x + y).unsqueeze(-1), "one axis too many. Look for keepdim=True"),
    "axis of another length": (
        lambda x, y: x.expand(3, 2).T,
        "(2, 3), but (2,) is expected: there is one axis too many. Which",
    ),
    "column meets row": (lambda x, y: 2 * x + y.unsqueeze(-1), "a column of shape (2, 1) met a row of shape (2,)"),
    "NaN": (lambda x, y: (2 * x + y) * float("nan"), "contains NaN"),
    "infinite": (lambda x, y: (2 * x + y) / 0, "contains an infinite number"),
    "exception": (lambda x, y: [][1], "your function raised IndexError: list index out of range"),
    "exception without words": (lambda x, y: next(iter(())), "your function raised StopIteration\n"),
    "axis that is not there": (lambda x, y: x[0].sum(1), "but got 1). Count the axis from the end: -1."),
    "truth of several": (
        lambda x, y: x if x > 0 else y,
        "ambiguous. `if`, `not` and Python's max need one True or False",
    ),
    "pair times tensor": (lambda x, y: x * x.max(-1), "Is there a pair (values, indices), as max(-1) returns"),
    "pair times number": (lambda x, y: 0.5 * x.max(-1), "Is there a pair (values, indices), as max(-1) returns"),
    "pair plus tensor": (lambda x, y: x + x.max(-1), "Is there a pair (values, indices), as max(-1) returns"),
    "written into": (
        lambda x, y: (x.__setitem__(0, 7.0), y)[1],
        "x[...] = y and functions whose name ends in _ do that",
    ),
    "inputs changed": (lambda x, y: x.mul_(2).add_(y), "your function changes its argument x"),
    "second input changed": (lambda x, y: (y.add_(1), 2 * x + y - 1)[1], "your function changes its argument y"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_a_plain_sentence(fault: str) -> None:
    answer, sentence = FAULTS[fault]
    result = exercise()(answer)
    assert sentence in " ".join(result.text.split()) or sentence in result.text + "\n"
    assert result.score == 0
    assert "Traceback" not in result.text
    assert result.attempted


@pytest.mark.parametrize("answer", [lambda x, y: [1.0], lambda x, y: 2 * x + y if x.ndim == 2 else [1.0]])
def test_a_fault_in_the_first_case_is_not_blamed_on_the_case(answer: Any) -> None:
    assert "Look at the factor" not in exercise()(answer).text


def test_one_number_is_called_that() -> None:
    mine = Exercise("total", lambda x: x.sum(), [Case("x is 1 and 2", (ONE,), "Three.")], [])
    assert "the shape (2,), but (), one number, is expected" in " ".join(mine(lambda x: x).text.split())


def test_a_column_is_no_table_of_one_row() -> None:
    """(1, 1) for (1,) is no sign of broadcasting."""
    mine = Exercise("same", lambda x: x, [Case("x is 1", (ONE[:1],), "One.")], [])
    text = mine(lambda x: x.unsqueeze(-1)).text
    assert "one axis too many" in text
    assert "met a row" not in text


def test_actions_that_are_no_whole_numbers() -> None:
    mine = Exercise("best", lambda x: x.argmax(-1), [Case("x is 1 and 2", (ONE,), "The second.")], [])
    text = " ".join(mine(lambda x: x.amax(-1)).text.split())
    assert (
        "must return int64 numbers, but it returns float64; an action is the index of a column, as argmax returns it"
        in text
    )
    assert "dtype=torch.float64" not in mine(lambda x: x.argmax(-1).float()).text


def test_a_changed_input_is_not_blamed_on_the_case_where_it_shows() -> None:
    text = exercise()(lambda x, y: y.add_(2 * x)).text  # where x is 0, nothing changes
    assert "your function changes its argument y" in text
    assert "1 of 3 cases right" in text
    assert "Look at the factor" not in text


def test_a_fault_with_runs_alone_earns_the_hint_of_that_case() -> None:
    result = exercise()(lambda x, y: (2 * x + y)[:2])
    assert result.score == pytest.approx(2 / 3)
    assert "the shape (2, 2), but (3, 2) is expected" in result.text
    assert "Mind the first axis." in result.text
    text = exercise()(forgets_to_return_for_runs).text
    assert "returns nothing" in text
    assert "Mind the first axis." not in text


def test_exceptions_alone_are_no_sign_of_a_misconception() -> None:
    raises = Misconception("broken", lambda x, y: x.missing, "Your answer is the one that breaks.")
    text = exercise(misconceptions=[raises])(lambda x, y: y.absent).text
    assert "your function raised AttributeError" in text
    assert "the one that breaks" not in text


def test_the_reference_is_asked_once_for_each_case() -> None:
    asked = []

    def counts(x: Any, y: Any) -> Any:
        asked.append(x)
        return 2 * x + y

    mine = exercise(reference=counts)
    for answer in (double, stub, lambda x, y: x):
        mine(answer)
    assert len(asked) == len(mine.cases)


def test_two_wrong_answers_may_be_alike_though_neither_is_right() -> None:
    """Where chance plays a part, what is right may be narrower than what is alike."""
    answer = lambda x, y: x + y + 0.04  # noqa: E731
    assert "Twice!" in exercise(tolerance=0.01, likeness=0.1)(answer).text
    assert "Twice!" not in exercise(tolerance=0.01)(answer).text
    assert exercise(tolerance=0.01, likeness=0.1)(lambda x, y: 2 * x + y + 0.04).score < 1


def test_inputs_are_given_afresh_to_each_case_and_each_check() -> None:
    mine = exercise()
    mine(lambda x, y: x.zero_())
    assert mine(double).score == 1
    assert ONE.tolist() == [1, 2]


def test_an_answer_may_warn_without_a_word_on_stderr() -> None:
    def warns(x: Any, y: Any) -> Any:
        warnings.warn("watch out", stacklevel=1)
        return 2 * x + y

    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a warning that got out would be an exception, and the answer wrong
        assert exercise()(warns).score == 1


def test_an_interrupt_is_not_swallowed() -> None:
    def interrupted(x: Any, y: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        exercise()(interrupted)


def test_float32_precision_inside_an_answer_is_forgiven() -> None:
    assert exercise()(lambda x, y: (2 * x.float() + y.float()).double()).score == 1


def test_an_answer_that_draws_from_the_global_generator_gives_the_same_text_twice_and_leaves_the_generator_alone() -> (
    None
):
    texts = []
    for seed in (5, 6):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        texts.append(exercise()(lambda x, y: x + torch.rand(2).double()).text)
        assert torch.equal(torch.get_rng_state(), before)
    assert texts[0] == texts[1]


def whole(x: Any) -> Any:
    return 4


@pytest.mark.parametrize("right", [4, 4.0, np.int64(4), np.float64(4.0), torch.tensor(4), torch.tensor(4.0)])
def test_a_whole_number_may_come_in_any_type(right: Any) -> None:
    mine = Exercise("whole", whole, [Case("x is 0", (0,), "Four.")], [])
    assert mine(lambda x: right).text == "✓ whole: right."


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (4.5, "must return a whole number, but it returns 4.5"),
        (True, "must return a whole number, but it returns a bool"),
        ("4", "must return a whole number, but it returns a str"),
        (float("nan"), "returns NaN"),
        (torch.ones(2), "must return a whole number, but it returns a tensor of shape (2,)"),
        (float("inf"), "must return a whole number, but it returns inf"),
        (5, "(you: 5, expected: 4)"),
    ],
)
def test_what_is_no_whole_number_or_another_one(wrong: Any, sentence: str) -> None:
    assert sentence in Exercise("whole", whole, [Case("x is 0", (0,), "Four.")], [])(lambda x: wrong).text


def add_to(x: Any, y: Any) -> None:
    x += y


def changes_what_was_looked_up(x: Any, y: Any) -> None:
    old = x[torch.arange(2)]
    old += y


IN_PLACE = {
    "stub": (lambda x, y: None, "○ add_to: not attempted yet."),
    "changes what was looked up": (changes_what_was_looked_up, "✗ add_to: not right yet."),
    "says that a look-up is a copy": (changes_what_was_looked_up, "old = x[…] makes a copy, so assign to x[…] itself"),
    "returns something new": (lambda x, y: x + y, "does not change x but returns a new tensor"),
    "changes the other too": (lambda x, y: (x.add_(y), y.zero_()), "your function changes its argument y"),
    "resizes": (lambda x, y: x.resize_(1), "has the shape (1,), but (2,) is expected"),
    "wrong": (lambda x, y: x.sub_(y), "(entry [0]; you: -9, expected: 11)"),
}


@pytest.mark.parametrize("answer", IN_PLACE)
def test_an_argument_that_must_be_changed_in_place(answer: Any) -> None:
    mine = Exercise("add_to", add_to, [Case("y is large", (ONE, TWO), "Add.")], [], changes="x")
    function, sentence = IN_PLACE[answer]
    assert sentence in " ".join(mine(function).text.split())
    assert mine(lambda x, y: x.add_(y)).score == 1
    assert mine(add_to).score == 1


# The exercise checks itself


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"reference": lambda x, y: None}, "reference of double fails: your function returns nothing"),
        ({"cases": [Case("x is 1", (ONE, TWO), "Twice.", expected=ONE)]}, "reference of double fails: ✗ double"),
        (
            {"misconceptions": [Misconception("none", lambda x, y: x + x + y, "h")]},
            "'none' of double passes every case",
        ),
        (
            {"misconceptions": [Misconception("a", lambda x, y: x, "h"), Misconception("b", lambda x, y: 1 * x, "i")]},
            "No case of double tells 'a' from 'b'",
        ),
        ({"misconceptions": [Misconception("a", lambda x, y: x, "Look at y.")]}, "same hint"),
        ({"misconceptions": [Misconception("a", lambda x, y: x.missing, "h")]}, "'a' of double raises in every case"),
        (
            {"misconceptions": [Misconception("a", lambda x, y: x, "h", (ONE, ONE, ONE))]},
            "differs from the outcomes",
        ),
    ],
)
def test_rehearsal_finds_what_is_wrong_with_an_exercise(changed: Any, match: str) -> None:
    exercise().rehearse()
    with pytest.raises(ValueError, match=match):
        exercise(**changed).rehearse()


def test_an_exercise_needs_a_case() -> None:
    with pytest.raises(ValueError, match="at least one case"):
        exercise(cases=[])


def test_the_example_for_instructors_runs() -> None:
    found = doctest.testmod(diagnosis)
    assert found.attempted >= 8
    assert found.failed == 0


# The record


def test_the_report_holds_the_latest_verdict_of_each_exercise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sac_tutorial.check.records._latest", {})
    assert json.loads(check.report()) == []
    exercise()(stub)
    exercise(name="other")(double)
    wrong = exercise()(lambda x, y: x + y)
    assert json.loads(check.report()) == [
        {"exercise": "double", "attempted": True, "score": 0.3333, "text": wrong.text},
        {"exercise": "other", "attempted": True, "score": 1.0, "text": "✓ other: all 3 cases right."},
    ]


def test_a_verdict_is_shown_as_it_reads() -> None:
    assert repr(Verdict("x", 1.0, "✓ x: right.")) == "✓ x: right."
