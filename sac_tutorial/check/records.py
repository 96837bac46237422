"""What a check says about an answer, and the record of all verdicts of a session."""

import json

import attrs


@attrs.frozen(repr=False)
class Verdict:
    """What a check says about an answer. A notebook shows its text.

    Attributes:
        name: Name of the exercise.
        score: Share of cases that are right, in [0, 1]; a graded cell ends in `points * verdict.score`.
        text: What the learner reads.
        attempted: False if nothing has been written into the function yet.
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
    """Keep the verdict as the latest one of its exercise, and return it."""
    _latest[verdict.name] = verdict
    return verdict


def report() -> str:
    """Return the latest verdict of each exercise of this session, as JSON text.

    The text is a list of objects with the keys `exercise`, `attempted`, `score` and `text`, in the order of the first check.
    """
    rows = [
        {"exercise": v.name, "attempted": v.attempted, "score": round(v.score, 4), "text": v.text}
        for v in _latest.values()
    ]
    return json.dumps(rows, ensure_ascii=False, indent=2)
