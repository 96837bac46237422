"""The parts of deep agents: networks, policies, the replay buffer, schedules, the temperature, and both training loops.

Nothing in here knows which algorithm it serves; each loop calls an agent's `explore` and `update`.
May import: equations, validation, worlds.
"""
