"""Learners with tables, each the loop of the book with one more axis: the run.

Read `q_learning` first; the other learners change a few lines of its loop.
May import: equations, validation, worlds.
"""
