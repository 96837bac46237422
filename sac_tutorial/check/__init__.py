"""What lessons and exercises call to be checked.

`verdict` states the claim of a lesson and raises if it does not hold. Each exercise is a callable of its own: hand it your
function and it returns a `Verdict`, whose text says what is right, what is not, and what to ask yourself. `report` collects
all verdicts of a session as JSON. How to add an exercise: see `diagnosis`.

The reference answers are here to be imported and read: this is for learning, not exam-proof.
"""

from sac_tutorial.check.claims import ClaimFailed, verdict
from sac_tutorial.check.diagnosis import Case, Exercise, Misconception
from sac_tutorial.check.lesson_01 import discounted_return, expected_backup, solve_policy, state_value, sweeps_needed
from sac_tutorial.check.lesson_02 import (
    double_q_target,
    epsilon_greedy,
    expected_sarsa_value,
    q_learning_target,
    q_update,
    trained_expected_sarsa,
)
from sac_tutorial.check.lesson_03 import dqn_target, polyak_step, semi_gradient_step, trained_dqn, transition
from sac_tutorial.check.lesson_04 import double_estimate, double_value, needed_steps, trained_double_dqn, uniform_bias
from sac_tutorial.check.lesson_05 import (
    actor_loss,
    logit_gradient,
    pathwise_objective,
    piece_return,
    reinforce_weight,
    td3_target,
)
from sac_tutorial.check.lesson_06 import (
    boltzmann_divergence,
    floored_policy,
    hottest_policy,
    soft_policy_iteration,
    soft_policy_value,
    soft_target,
    soft_value,
)
from sac_tutorial.check.lesson_07 import (
    discrete_soft_value,
    pathwise_gradient,
    sac_target,
    soft_actor_loss,
    squashed_log_density,
    twin_loss,
    value_network_loss,
)
from sac_tutorial.check.lesson_08 import (
    costly_target,
    lagrangian,
    numbered_target,
    one_update,
    price,
    temperature_loss,
    temperature_steps,
    vector_target,
)
from sac_tutorial.check.records import Verdict, report

__all__ = [
    "Case",
    "ClaimFailed",
    "Exercise",
    "Misconception",
    "Verdict",
    "actor_loss",
    "boltzmann_divergence",
    "costly_target",
    "discounted_return",
    "discrete_soft_value",
    "double_estimate",
    "double_q_target",
    "double_value",
    "dqn_target",
    "epsilon_greedy",
    "expected_backup",
    "expected_sarsa_value",
    "floored_policy",
    "hottest_policy",
    "lagrangian",
    "logit_gradient",
    "needed_steps",
    "numbered_target",
    "one_update",
    "pathwise_gradient",
    "pathwise_objective",
    "piece_return",
    "polyak_step",
    "price",
    "q_learning_target",
    "q_update",
    "reinforce_weight",
    "report",
    "sac_target",
    "semi_gradient_step",
    "soft_actor_loss",
    "soft_policy_iteration",
    "soft_policy_value",
    "soft_target",
    "soft_value",
    "solve_policy",
    "squashed_log_density",
    "state_value",
    "sweeps_needed",
    "td3_target",
    "temperature_loss",
    "temperature_steps",
    "trained_double_dqn",
    "trained_dqn",
    "trained_expected_sarsa",
    "transition",
    "twin_loss",
    "uniform_bias",
    "value_network_loss",
    "vector_target",
    "verdict",
]
