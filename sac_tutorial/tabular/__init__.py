"""Learners with tables, each the loop of the book with one more axis: the run.

Read `q_learning` first; the other learners differ from it in a line or two.
May import: equations, validation, worlds.
"""
