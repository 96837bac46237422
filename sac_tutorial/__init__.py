"""From tabular Q-learning to Soft Actor-Critic: the tested package behind the course's notebooks."""

__version__ = "0.1.0"
