"""What lessons and exercises call to be checked.

`verdict` states a claim of a lesson. Every exercise is callable: pass your function to it, and the `Verdict` that it returns
says what is right, what is wrong, and what to think about next. `report` collects all verdicts of a session as JSON.
To write an exercise of your own, see `diagnosis`. The reference answers can be imported and read: they are for learning, not
for exams.
The engine (`calls`, `claims`, `diagnosis`, `records`) imports nothing but validation.
May import: equations, validation, worlds, deep, exact, tabular, files, agents.
"""

from sac_tutorial.check.claims import ClaimFailed, verdict
from sac_tutorial.check.diagnosis import Case, Exercise, Misconception
from sac_tutorial.check.lesson_01 import discounted_return, expected_backup, solve_policy, state_value, sweeps_needed
from sac_tutorial.check.lesson_02 import (
    double_q_target,
    epsilon_greedy_action,
    expected_sarsa_value,
    q_learning_target,
    q_update,
    trained_expected_sarsa,
)
from sac_tutorial.check.lesson_03 import dqn_target, polyak_update, semi_gradient_step, trained_dqn, transition
from sac_tutorial.check.lesson_04 import (
    double_dqn_value,
    double_estimate,
    needed_steps,
    trained_double_dqn,
    uniform_bias,
)
from sac_tutorial.check.lesson_05 import (
    a2c_actor_loss,
    logit_gradient,
    pathwise_objective,
    reinforce_weight,
    rollout_return,
    td3_target,
)
from sac_tutorial.check.lesson_06 import (
    hottest_policy,
    policy_divergence,
    policy_with_floor,
    soft_maximum,
    soft_policy_rounds,
    soft_target,
    value_with_entropy,
)
from sac_tutorial.check.lesson_07 import (
    discrete_soft_value,
    pathwise_gradient,
    sac_target,
    soft_actor_loss,
    soft_value_loss,
    squashed_log_density,
    twin_loss,
)
from sac_tutorial.check.lesson_08 import (
    alpha_loss,
    continuous_target_entropy,
    costly_target,
    discrete_target_entropy,
    lagrangian,
    one_update,
    optimal_temperature,
    temperature_steps,
)
from sac_tutorial.check.records import Verdict, report

__all__ = [
    "Case",
    "ClaimFailed",
    "Exercise",
    "Misconception",
    "Verdict",
    "a2c_actor_loss",
    "alpha_loss",
    "continuous_target_entropy",
    "costly_target",
    "discounted_return",
    "discrete_soft_value",
    "discrete_target_entropy",
    "double_dqn_value",
    "double_estimate",
    "double_q_target",
    "dqn_target",
    "epsilon_greedy_action",
    "expected_backup",
    "expected_sarsa_value",
    "hottest_policy",
    "lagrangian",
    "logit_gradient",
    "needed_steps",
    "one_update",
    "optimal_temperature",
    "pathwise_gradient",
    "pathwise_objective",
    "policy_divergence",
    "policy_with_floor",
    "polyak_update",
    "q_learning_target",
    "q_update",
    "reinforce_weight",
    "report",
    "rollout_return",
    "sac_target",
    "semi_gradient_step",
    "soft_actor_loss",
    "soft_maximum",
    "soft_policy_rounds",
    "soft_target",
    "soft_value_loss",
    "solve_policy",
    "squashed_log_density",
    "state_value",
    "sweeps_needed",
    "td3_target",
    "temperature_steps",
    "trained_double_dqn",
    "trained_dqn",
    "trained_expected_sarsa",
    "transition",
    "twin_loss",
    "uniform_bias",
    "value_with_entropy",
    "verdict",
]
