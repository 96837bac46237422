"""Where a policy spends its time, and the return and entropy that follow from it, exactly (lessons 05, 06 and 08).

All functions take a policy π of shape (..., S, A), float64. They raise a TypeError for another type, and a ValueError if a
row is not a distribution, or if γ = 1 and a state that the policy visits has no way to an end.
"""

from torch import Tensor

from sac_tutorial.equations import entropy, expected_value
from sac_tutorial.exact.policy_chain import check_end, discounted_sum, policy_chain, reachable
from sac_tutorial.worlds.mdp import FiniteMDP


def visits(mdp: FiniteMDP, policy: Tensor) -> Tensor:
    """Return d^π(s) = Σ_t γ^t P(s_t = s), the expected discounted visits to each state: solve (I − γ P̃^πᵀ) d = ρ₀, (6.4).

    A visit is a step in which an action is taken. The sum of the visits is the expected discounted length of an episode.

    Args:
        mdp: the model, with γ < 1, or γ = 1 if the policy ends every episode with certainty.
        policy: π, shape (..., S, A).

    Returns:
        d^π, shape (..., S).

    Source: Sutton and Barto (2018), equation 9.2, discounted; Puterman (1994), equation 6.9.2.
    """
    chain = policy_chain(mdp, policy)
    if mdp.discount == 1:  # only the states that are visited must have a way to an end
        visited = reachable(chain, mdp.start_probability > 0)
        check_end(mdp, policy, chain, visited)
        chain = chain * visited.unsqueeze(-1)
    return discounted_sum(mdp, chain.mT, mdp.start_probability.expand(chain.shape[:-1]))


def state_distribution(mdp: FiniteMDP, policy: Tensor) -> Tensor:
    """Return d^π(s) / Σ d^π, the share of the discounted time that the policy spends in each state, (6.5), shape (..., S).

    Source: Sutton and Barto (2018), equation 9.3.
    """
    count = visits(mdp, policy)
    return count / count.sum(-1, keepdim=True)


def expected_return(mdp: FiniteMDP, policy: Tensor) -> Tensor:
    """Return E[Σ_t γ^t r_t] = Σ_s d^π(s) Σ_a π(a|s) r̄(s,a), the return from the start without entropy, (6.4), shape (...,).

    Source: Puterman (1994), section 6.9.
    """
    count = visits(mdp, policy)  # checks the policy
    return expected_value(expected_value(mdp.expected_reward, policy), count)


def expected_entropy(mdp: FiniteMDP, policy: Tensor) -> Tensor:
    """Return Σ_s H(π(·|s)) d^π(s) / Σ d^π, the entropy of an average step in nats, (6.5), shape (...,).

    Its product with the sum of the `visits` is the entropy in the soft objective.

    Source: Haarnoja et al. (2018b), section 5, as an average over the states that the policy visits.
    """
    share = state_distribution(mdp, policy)
    return expected_value(entropy(policy), share)
