"""What a check says, and the session's record of what was said.

May import: nothing of this package.
"""

import json
from dataclasses import dataclass


@dataclass(frozen=True, repr=False)
class Verdict:
    """What a check says about an answer. A notebook shows its text.

    Attributes:
        name: the exercise.
        score: the share of cases that are right, in [0, 1]; a graded cell ends in `points * verdict.score`.
        text: what the reader sees.
        attempted: false for a stub that nobody has filled in.
    """

    name: str
    score: float
    text: str
    attempted: bool = True

    def __repr__(self) -> str:
        """Return the text, so that a notebook shows it as it is."""
        return self.text


_latest: dict[str, Verdict] = {}


def record(verdict: Verdict) -> Verdict:
    """Keep the verdict as the latest of its exercise, and hand it on."""
    _latest[verdict.name] = verdict
    return verdict


def report() -> str:
    """Return the latest verdict of each exercise checked in this session, as JSON text.

    A list of objects with the keys `exercise`, `attempted`, `score` and `text`, in the order of the first check.
    """
    return json.dumps(
        [
            {"exercise": v.name, "attempted": v.attempted, "score": round(v.score, 4), "text": v.text}
            for v in _latest.values()
        ],
        ensure_ascii=False,
        indent=2,
    )
