"""What is kept: the state of agents, replay buffers and environments goes to a file and comes back.

A file is written whole or not at all, and it is refused where it does not fit.
May import: equations, validation, worlds, deep.
"""
