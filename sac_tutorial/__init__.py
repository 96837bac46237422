"""From tabular Q-learning to Soft Actor-Critic: the tested package behind the course's notebooks.

Import from its modules; this one imports nothing, so that `readiness` can say what is missing where something is.

equations   the targets, values, policies, losses and densities of the course, one short function each
validation  the checks at the public border
worlds      the problems: finite MDPs, gridworlds, random MDPs, a continuous line, and the environments that play them
exact       the exact answers: dynamic programming, hard and soft, visits, gradients, and what a replay buffer holds
tabular     Q-learning, SARSA, double and soft Q-learning with tables, many runs at once
deep        the parts of deep agents: networks, policies, replay buffer, temperature, and both training loops
agents      DQN, A2C and REINFORCE, DDPG and TD3, soft actor-critic in three forms
files       save and load: trainings that go on where they stopped
check       exercises that diagnose, and the verdicts of the lessons
statistics  what many runs say together; plotting: how it is drawn; readiness: is everything here that the course needs?
"""

__version__ = "0.1.0"
