"""What is true of the problems: the exact answers that every learner of the course is measured against.

All of it is computed, nothing is learned: dynamic programming, linear solves, and sums over the model.
May import: equations, validation, worlds, deep.
"""
