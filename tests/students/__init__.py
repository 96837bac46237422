"""Answers that learners write, one file a lesson: unusual right ones, and wrong ones with what the check must say.

`RIGHT` and `WRONG` have the name of an exercise as key. A row of `WRONG` is: what is wrong, the answer, the phrases that the
verdict must contain, and, where it matters, phrases that it must not contain. "mixed" is an answer with two mistakes, or with
one that no misconception covers. A verdict that is not sure begins its hint with `LEAST`, and its row must say so.
"""

from collections.abc import Callable
from typing import Any

Answer = Callable[..., Any]
Phrases = str | tuple[str, ...]
Right = dict[str, list[Answer]]
Wrong = dict[str, list[tuple[str, Answer, Phrases] | tuple[str, Answer, Phrases, Phrases]]]

LEAST = "In this case at least:"
