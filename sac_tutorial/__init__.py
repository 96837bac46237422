"""From tabular Q-learning to Soft Actor-Critic: the tested package behind the course's notebooks.

Import from its modules; this one imports nothing, so that `readiness` can say what is missing where something is.

equations             the targets, values and policies of the course, one short function each
mdp                   FiniteMDP, a model as a list of outcomes, and its sampler
gridworld, garnet     MDPs drawn as text, and random ones
environment           a FiniteMDP played as a Gymnasium environment
dynamic_programming   exact answers: value iteration, policy iteration, policy evaluation, and their soft forms
policy_chain          the Markov chain that a policy makes of an MDP
visitation            where a policy spends its time: expected visits, return and entropy, exactly
q_learning            Q-learning, SARSA, expected SARSA, double and soft Q-learning, many runs at once
features              what a network is shown of a state: coordinates, or a picture
vector_env            one environment a run, side by side, from Gymnasium or a FiniteMDP
networks, schedule    networks with a run axis, their gradient step, their targets; rates that fall
replay, empirical     the replay buffer, and the exact answer of what it holds
training              the one off-policy loop, and evaluation
dqn                   DQN and double DQN
policy_gradient       the exact policy gradient of a FiniteMDP, and its estimates from play
policies              categorical, Gaussian and squashed Gaussian policies made of a network
actor_critic          REINFORCE and A2C
on_policy             the on-policy loop
ddpg                  DDPG and TD3
sac, discrete_sac     soft actor-critic, for vectors and for numbered actions
temperature           the temperature, learned: a target for the entropy, and the step towards it
line_problem          continuous problems on a line, and their answers on a grid
saving, checkpoint    agents in files, and whole trainings that go on where they stopped
statistics, plotting  what many runs say together, and how it is drawn
check                 exercises that diagnose, and the verdicts of the lessons
readiness             is everything here that the course needs?
"""

__version__ = "0.1.0"
