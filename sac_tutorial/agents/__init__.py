"""The deep algorithms, one a file: DQN, actor–critic, DDPG and TD3, soft actor-critic.

Each update reads like the pseudocode of its lesson.
May import: equations, validation, worlds, deep.
"""
