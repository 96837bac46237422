"""What keeps the notebooks in order: run them, normalise them, make exercises of solutions, open a learner's copies.

Run from the repository: `python -m tools.execute`, `python -m tools.exercises`, `python -m tools.lab`.
"""
