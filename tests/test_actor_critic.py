"""A2C and REINFORCE, step by step against plain loops; the on-policy loop, word for word; and what is known to be best."""

import math
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import safetensors.torch
import torch
from gymnasium.spaces import Box, Discrete, MultiDiscrete, Space
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from torch import Tensor, nn

from sac_tutorial.agents.actor_critic import ActorCritic, ActorCriticSettings
from sac_tutorial.deep.networks import MLP, ConvNet, TrainState
from sac_tutorial.deep.off_policy import EnvironmentFailed, evaluate
from sac_tutorial.deep.on_policy import Progress, Rollout, train_on_policy
from sac_tutorial.deep.policies import Categorical, Gaussian, Policy
from sac_tutorial.deep.schedule import Linear
from sac_tutorial.exact.dynamic_programming import optimal_q
from sac_tutorial.exact.visitation import expected_return
from sac_tutorial.worlds.mdp import FiniteMDP
from sac_tutorial.worlds.vector_env import make_envs
from tests.oracles import random_mdp

# No two sizes are equal, so that a wrong axis has a wrong length.
RUNS, PLAYERS, STEPS, INPUTS, HIDDEN, ACTIONS, DIMENSIONS = 2, 3, 5, 4, 6, 7, 8
DISCOUNT = 0.75


def spaces(
    environments: int = RUNS * PLAYERS, observation: tuple[int, ...] = (INPUTS,), action: Space[Any] | None = None
) -> VectorEnv:
    """Environments that have nothing but the spaces that an agent asks for."""
    envs: VectorEnv = VectorEnv()
    envs.num_envs = environments
    envs.single_observation_space = Box(-np.inf, np.inf, observation)
    envs.single_action_space = action or Discrete(ACTIONS)
    return envs


VECTORS = Box(-1, 1, (DIMENSIONS,))
POLICIES: dict[str, tuple[Policy, Space[Any]]] = {
    "categorical": (Categorical(MLP(INPUTS, (HIDDEN,), ACTIONS)), Discrete(ACTIONS)),
    "gaussian": (Gaussian(MLP(INPUTS, (HIDDEN,), DIMENSIONS), first_log_std=-0.3), VECTORS),
}
both = pytest.mark.parametrize("name", POLICIES)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def agent(name: str = "categorical", *, seed: int = 0, double: bool = True, **settings: Any) -> ActorCritic:
    policy, action = POLICIES[name]
    chosen = ActorCriticSettings(**{"discount": DISCOUNT, "piece": STEPS} | settings)
    made = ActorCritic(
        spaces(action=action), RUNS, chosen, policy=policy, critic=MLP(INPUTS, (HIDDEN + 3,), 1), seed=seed
    )
    if double:
        made.actor = TrainState([parameter.double() for parameter in made.actor.parameters], chosen.learning_rate)
        made.critic = TrainState(
            [parameter.double() for parameter in made.critic.parameters], chosen.critic_learning_rate
        )
    return made


def piece(name: str = "categorical", seed: int = 0, whole: bool = False, kind: torch.dtype = torch.float64) -> Rollout:
    """Random steps; about a fifth end an episode and a fifth cut one off. Of whole episodes, what follows doesn't count."""
    draw, shape = generator(seed), (RUNS, STEPS, PLAYERS)

    def normal(*more: int) -> Tensor:
        return torch.randn((*shape, *more), generator=draw, dtype=torch.float64).to(kind)

    terminated = torch.rand(shape, generator=draw) < 0.2
    ended = terminated | (torch.rand(shape, generator=draw) < 0.2)
    taken = torch.ones(shape, dtype=torch.bool)
    if whole:
        ended[:, -1] = True
        taken = torch.cat([taken[:, :1], ~ended.cummax(1).values[:, :-1]], 1)
    integers = torch.randint(ACTIONS, shape, generator=draw)
    return Rollout(
        observation=normal(INPUTS),
        action=integers if name == "categorical" else normal(DIMENSIONS),
        reward=normal(),
        next_observation=normal(INPUTS),
        terminated=terminated,
        ended=ended,
        age=torch.randint(9, shape, generator=draw),
        taken=taken,
    )


# One update after the other


def plain(parameters: list[Tensor], run: int, seen: Tensor) -> Tensor:
    """One run's network with one hidden layer, for one observation."""
    first, first_bias, second, second_bias = (parameter[run] for parameter in parameters[:4])
    return (seen @ first + first_bias[0]).relu() @ second + second_bias[0]


def plain_losses(
    made: ActorCritic, one: Rollout, run: int, actor: list[Tensor], critic: list[Tensor]
) -> tuple[Tensor, Tensor]:
    """The losses of actor and critic, one step after the other, over the steps that count."""
    settings, actors, critics = made.settings, [], []
    for player in range(PLAYERS):
        for t in range(STEPS):
            if not one.taken[run, t, player]:
                continue
            weight, total, later = 1.0, 0.0, t
            while True:  # (5.12), forwards
                total += weight * one.reward[run, later, player].item()
                weight *= settings.discount * (not one.terminated[run, later, player])
                if one.ended[run, later, player] or later == STEPS - 1:
                    break
                later += 1
            total += weight * plain(critic, run, one.next_observation[run, later, player]).item()
            value = plain(critic, run, one.observation[run, t, player])[0]
            scale = settings.discount ** one.age[run, t, player].item() if settings.weigh_time else 1.0
            out = plain(actor, run, one.observation[run, t, player])
            distribution: Any = torch.distributions.Categorical(logits=out)
            if isinstance(made.policy, Gaussian):
                normal = torch.distributions.Normal(out, actor[-1][run, 0].exp())
                distribution = torch.distributions.Independent(normal, 1)
            score = distribution.log_prob(one.action[run, t, player])
            advantage = scale * (total - value.item())
            actors.append(-score * advantage - settings.entropy_bonus * distribution.entropy())
            critics.append((value - total) ** 2)
    return torch.stack(actors).mean(), torch.stack(critics).mean()


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("settings", [{"entropy_bonus": 0.0}, {"entropy_bonus": 0.5, "weigh_time": True}])
@both
def test_an_updates_gradients_are_those_of_plain_loops_over_the_steps_that_count(
    name: str, settings: dict[str, Any], whole: bool
) -> None:
    made = agent(name, **settings)
    for step in range(3):
        one = piece(name, step, whole)
        actor, critic = (
            [p.detach().clone().requires_grad_() for p in side.parameters] for side in (made.actor, made.critic)
        )
        losses = [plain_losses(made, one, run, actor, critic) for run in range(RUNS)]
        found = made.update(one)
        assert found.shape == (RUNS,) and not found.requires_grad
        torch.testing.assert_close(found, torch.stack([loss.detach() for _, loss in losses]), rtol=1e-6, atol=0)
        for side, start, column in ((made.actor, actor, 0), (made.critic, critic, 1)):
            wanted = torch.autograd.grad(sum(loss[column] for loss in losses), start)  # type: ignore[arg-type]
            for mine, theirs in zip(side.gradients, wanted, strict=True):
                torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-7)
        assert (made.actor.steps, made.critic.steps) == (step + 1, step + 1)
    assert 0 < one.taken.float().mean() < 1 or not whole


def test_actor_and_critic_have_their_own_learning_rates() -> None:
    for rates in ((0.25, 0.125), (Linear(0.25, 0.0, updates=9), Linear(0.125, 1.0, updates=9))):
        made = agent(learning_rate=rates[0], critic_learning_rate=rates[1], double=False)
        before = [parameter.detach().clone() for parameter in (made.actor.parameters[-1], made.critic.parameters[-1])]
        made.update(piece(kind=torch.float32))
        for side, old, rate in ((made.actor, before[0], 0.25), (made.critic, before[1], 0.125)):
            step = side.parameters[-1].detach() - old
            torch.testing.assert_close(step, -rate * side.gradients[-1].sign(), rtol=1e-5, atol=0)  # Adam's first step


@both
def test_the_critic_is_not_moved_by_the_actors_loss_nor_the_actor_by_the_critics(name: str) -> None:
    one, made, other = piece(name), agent(name), agent(name)
    with torch.no_grad():
        for parameter in other.actor.parameters:
            parameter.mul_(-2)
    made.update(one)
    other.update(one)
    assert all(map(torch.equal, made.critic.parameters, other.critic.parameters))  # whatever the actor is
    assert not any(map(torch.equal, made.actor.parameters, other.actor.parameters))
    assert not any(p.grad is not None for side in (made.actor, made.critic) for p in side.parameters)
    third = agent(name, critic_learning_rate=0.5)
    third.update(one)
    assert all(map(torch.equal, made.actor.parameters, third.actor.parameters))  # both step from the same critic


@both
def test_the_bonus_makes_the_policy_more_random_and_the_advantage_what_was_good_likelier(name: str) -> None:
    def entropy_after(bonus: float) -> float:
        made, one = agent(name, entropy_bonus=bonus, learning_rate=0.05), piece(name)
        flat = one.observation.flatten(1, 2)
        for _ in range(3):
            made.update(one)
        return made.policy.log_probability(made.actor.parameters, flat, one.action.flatten(1, 2))[1].mean().item()

    assert entropy_after(50.0) > entropy_after(0.0) + 0.01

    def log_probability_after(reward: float) -> Tensor:
        made, one = agent(name, entropy_bonus=0.0, learning_rate=1e-3), piece(name)
        one = one._replace(
            reward=torch.full_like(one.reward, reward),
            terminated=torch.ones_like(one.ended),
            ended=torch.ones_like(one.ended),
        )
        flat, action = one.observation.flatten(1, 2), one.action.flatten(1, 2)
        before = made.policy.log_probability(made.actor.parameters, flat, action)[0].mean(-1)
        made.update(one)
        return made.policy.log_probability(made.actor.parameters, flat, action)[0].mean(-1) - before

    assert (log_probability_after(10.0) > 0).all() and (log_probability_after(-10.0) < 0).all()


@both
def test_nothing_is_learnt_from_padding(name: str) -> None:
    one, made, other = piece(name, whole=True), agent(name), agent(name)
    noise = piece(name, seed=9)

    def patched(field: Tensor, foreign: Tensor) -> Tensor:
        mask = one.taken.view(*one.taken.shape, *[1] * (field.dim() - 3))
        return torch.where(mask, field, foreign)

    fields = ("observation", "action", "next_observation", "reward", "age")
    changed = one._replace(**{field: patched(getattr(one, field), getattr(noise, field)) for field in fields})
    assert not torch.equal(changed.observation, one.observation)
    assert torch.equal(made.update(one), other.update(changed))
    for side, same in ((made.actor, other.actor), (made.critic, other.critic)):
        for mine, theirs in zip(side.gradients, same.gradients, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("disturbance", [1e3, math.inf, math.nan])
@both
def test_no_run_learns_from_what_happens_to_another(name: str, disturbance: float) -> None:
    def learnt(extra: float) -> list[Tensor]:
        made = agent(name, double=False)
        for step in range(3):
            one = piece(name, step, kind=torch.float32)
            one.reward[1] += extra
            one.observation[1] += extra
            made.update(one)
        return [parameter.detach() for parameter in (*made.actor.parameters, *made.critic.parameters)]

    for calm, disturbed in zip(learnt(0.0), learnt(disturbance), strict=True):
        assert torch.equal(calm[0], disturbed[0]) and not torch.equal(calm[1], disturbed[1])


def test_the_age_of_a_step_weighs_it_only_where_it_shall() -> None:
    one = piece()
    older = one._replace(age=one.age + 2)
    for weigh in (False, True):
        young, old = agent(weigh_time=weigh, entropy_bonus=0.0), agent(weigh_time=weigh, entropy_bonus=0.0)
        assert torch.equal(young.update(one), old.update(older))  # the critic's loss knows no age
        factor = DISCOUNT**2 if weigh else 1.0
        for a, b in zip(young.actor.gradients, old.actor.gradients, strict=True):
            torch.testing.assert_close(b, factor * a, rtol=1e-6, atol=1e-12)
        for a, b in zip(young.critic.gradients, old.critic.gradients, strict=True):
            assert torch.equal(a, b)


def test_the_entropy_bonus_does_not_fade_with_age() -> None:
    one = piece()
    still = one._replace(reward=torch.zeros_like(one.reward), terminated=one.ended | True, ended=one.ended | True)
    gradients = []
    for age in (0, 5):
        made = agent(weigh_time=True, entropy_bonus=1.0)
        with torch.no_grad():
            for parameter in made.critic.parameters:
                parameter.zero_()  # no advantage
        made.update(still._replace(age=torch.full_like(one.age, age)))
        gradients.append([gradient.clone() for gradient in made.actor.gradients])
    assert all(map(torch.equal, *gradients)) and gradients[0][-1].abs().max() > 1e-4


# Acting


@both
def test_exploring_draws_from_the_policy_and_exploiting_takes_its_mode(name: str) -> None:
    made = agent(name, double=False)
    seen = torch.randn(RUNS, STEPS, INPUTS, generator=generator())
    state = made.generator.get_state()
    mode = made.exploit(seen)
    assert torch.equal(mode, made.policy.mode(made.actor.parameters, seen))
    assert torch.equal(made.generator.get_state(), state)
    drawn, again = made.explore(seen), made.explore(seen)
    assert drawn.shape == mode.shape == (RUNS, STEPS) + (() if name == "categorical" else (DIMENSIONS,))
    assert not torch.equal(drawn, again)
    made.generator.set_state(state)
    assert torch.equal(drawn, made.policy.sample(made.actor.parameters, seen, made.generator.set_state(state)))
    value = made.value(seen)
    assert value.shape == (RUNS, STEPS)
    for run in range(RUNS):
        torch.testing.assert_close(value[run, 2], plain(made.critic.parameters, run, seen[run, 2])[0])


def test_a_seed_repeats_the_parameters_and_no_two_runs_begin_alike() -> None:
    first, again, other = (agent(seed=seed) for seed in (3, 3, 4))
    for side in ("actor", "critic"):
        mine, same, theirs = (getattr(made, side).parameters for made in (first, again, other))
        assert all(map(torch.equal, mine, same)) and not any(map(torch.equal, mine, theirs))
        assert not any(torch.equal(parameter[0], parameter[1]) for parameter in mine)


# The loop: environments whose every number says where it comes from

SCRIPT = [  # for each environment, the length and the end of its episodes, over and over
    [(4, "end"), (1, "cut"), (3, "cut")],
    [(2, "cut"), (5, "end"), (1, "end")],
    [(6, "cut"), (2, "both")],
    [(1, "end")],
    [(3, "end"), (2, "cut")],
    [(7, "end")],
]


class Scripted(gymnasium.Env[Any, Any]):
    """Plays its script; what `poison` has for a step replaces the reward or an observation of it."""

    observation_space: Space[Any] = Box(-np.inf, np.inf, (3,))
    action_space: Space[Any] = Discrete(ACTIONS)

    def __init__(self, number: int, poison: dict[int, dict[str, float]] | None = None) -> None:
        self.number, self.poison, self.episode, self.time, self.steps = number, poison or {}, -1, 0, 0

    def observe(self, first: float | None = None) -> Any:
        return np.array([self.number if first is None else first, self.episode, self.time], dtype=np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self.episode, self.time = self.episode + 1, 0
        return self.observe(self.poison.get(self.steps, {}).get("reset")), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert int(action) == action_of(self.number, self.episode, self.time)
        reward, poison = reward_of(self.number, self.episode, self.time), self.poison.get(self.steps, {})
        self.time, self.steps = self.time + 1, self.steps + 1
        length, how = SCRIPT[self.number][self.episode % len(SCRIPT[self.number])]
        over = self.time == length
        ends = over and how in ("end", "both"), over and how in ("cut", "both")
        return self.observe(poison.get("observation")), poison.get("reward", reward), *ends, {}


def action_of(number: int, episode: int, time: int) -> int:
    return (2 * number + 3 * episode + time) % ACTIONS


def reward_of(number: int, episode: int, time: int) -> float:
    return 100.0 * number + 10 * episode + time + 0.5


def scripted(poison: dict[int, dict[int, dict[str, float]]] | None = None) -> VectorEnv:
    number = count()

    def make() -> Scripted:
        return Scripted(index := next(number), (poison or {}).get(index))

    return make_envs(make, RUNS * PLAYERS)


class Recorder(ActorCritic):
    """An agent that acts as `action_of` says and keeps what it was given to learn from."""

    def __init__(self, piece: int | None, runs: int = RUNS, interrupt: int = 0) -> None:
        super().__init__(make_envs(lambda: Scripted(0), RUNS * PLAYERS), runs, ActorCriticSettings(piece=piece))
        self.pieces, self.seen, self.interrupt = list[Rollout](), list[Tensor](), interrupt

    def explore(self, observation: Tensor) -> Tensor:
        self.seen.append(observation)
        if len(self.seen) == self.interrupt:
            raise KeyboardInterrupt
        return (observation @ torch.tensor([2.0, 3.0, 1.0])).long() % ACTIONS

    def exploit(self, observation: Tensor) -> Tensor:
        raise AssertionError(f"training explores, but exploited {observation}")

    def update(self, piece: Rollout) -> Tensor:
        self.pieces.append(piece)
        return torch.zeros(self.runs)


def trained(length: int | None, updates: int, **options: Any) -> tuple[list[Progress], Recorder]:
    made = Recorder(length)
    return list(train_on_policy(scripted(), made, updates=updates, progress=False, **options)), made


Happened = tuple[tuple[int, int, int], int, float, tuple[int, int, int], bool, bool, int]


def history(number: int, begin: int = 0) -> Iterator[Happened]:
    """What happens to this environment from its `begin`-th episode on: s, a, r, s′, terminated, ended, age."""
    for episode in count(begin):
        length, how = SCRIPT[number][episode % len(SCRIPT[number])]
        for time in range(length):
            over, here = time + 1 == length, (number, episode, time)
            there = (number, episode, time + 1)
            yield here, action_of(*here), reward_of(*here), there, over and how != "cut", over, time


@pytest.mark.parametrize("length", [1, 4])
def test_pieces_hold_what_happened_in_every_environment_one_after_the_other(length: int) -> None:
    updates = 24 // length
    progress, made = trained(length, updates)
    assert len(made.pieces) == updates
    for one in made.pieces:
        assert all(field.shape[:3] == (RUNS, length, PLAYERS) for field in one)
        kinds = [
            torch.float32,
            torch.int64,
            torch.float32,
            torch.float32,
            torch.bool,
            torch.bool,
            torch.int64,
            torch.bool,
        ]
        assert [field.dtype for field in one] == kinds and one.taken.all()
    for number in range(RUNS * PLAYERS):
        found = [
            torch.cat([field[number // PLAYERS, :, number % PLAYERS] for field in fields])
            for fields in zip(*made.pieces, strict=True)
        ]
        wanted = [step for step, _ in zip(history(number), range(24), strict=False)]
        for column, expected in zip(found[:7], zip(*wanted, strict=True), strict=True):
            assert column.tolist() == [list(entry) if isinstance(entry, tuple) else entry for entry in expected]
    assert [step.updates for step in progress] == list(range(1, updates + 1))
    assert [step.steps for step in progress] == list(range(length, 25, length))


def test_the_agent_acts_on_the_observations_of_each_runs_own_environments() -> None:
    _, made = trained(2, 3)
    for t, seen in enumerate(made.seen):
        assert seen.shape == (RUNS, PLAYERS, 3) and seen.dtype == torch.float32
        for number in range(RUNS * PLAYERS):
            wanted = next(step for at, step in enumerate(history(number)) if at == t)[0]
            assert tuple(seen[number // PLAYERS, number % PLAYERS].tolist()) == wanted


def test_whole_episodes_are_one_of_each_environment_padded_to_the_longest() -> None:
    progress, made = trained(None, 4)
    episode = [0] * RUNS * PLAYERS
    steps = 0
    for at, one in zip(progress, made.pieces, strict=True):
        lengths = []
        for number in range(RUNS * PLAYERS):
            run, player = divmod(number, PLAYERS)
            length, how = SCRIPT[number][episode[number] % len(SCRIPT[number])]
            lengths.append(length)
            assert one.taken[run, :, player].tolist() == [t < length for t in range(one.taken.shape[1])]
            assert one.observation[run, :length, player].tolist() == [
                [number, episode[number], t] for t in range(length)
            ]
            assert one.next_observation[run, length - 1, player].tolist() == [number, episode[number], length]
            assert one.reward[run, :length, player].tolist() == [
                reward_of(number, episode[number], t) for t in range(length)
            ]
            assert one.age[run, :length, player].tolist() == list(range(length))
            assert one.ended[run, :length, player].tolist() == [False] * (length - 1) + [True]
            assert one.terminated[run, length - 1, player].item() == (how != "cut")
            total = sum(reward_of(number, episode[number], t) for t in range(length))
            assert at.last_return[run, player] == total  # not that of an episode that was only padding
        assert one.taken.shape[1] == max(lengths)
        steps += max(lengths)
        assert at.steps == steps
        for number in range(RUNS * PLAYERS):  # padding plays on with new episodes, and then all begin anew
            ended = one.ended[number // PLAYERS, :, number % PLAYERS].sum().item()
            episode[number] += int(ended) + 1


def test_returns_are_those_of_the_latest_finished_episodes_and_copies() -> None:
    progress, _ = trained(1, 20)
    for number in range(RUNS * PLAYERS):
        last, so_far = math.nan, 0.0
        for step, (_, _, reward, _, _, over, _) in zip(progress, history(number), strict=False):
            so_far += reward
            if over:
                last, so_far = so_far, 0.0
            np.testing.assert_equal(step.last_return[divmod(number, PLAYERS)], last)
    assert progress[0].last_return.shape == (RUNS, PLAYERS) and progress[0].last_return.dtype == np.float64


@pytest.mark.parametrize("length", [4, None])
def test_who_stops_or_interrupts_can_go_on_with_new_episodes(length: int | None) -> None:
    envs, made = scripted(), Recorder(length, interrupt=17)
    done = []
    with pytest.raises(KeyboardInterrupt):
        done.extend(train_on_policy(envs, made, updates=9, progress=False))
    assert len(made.pieces) == (4 if length else 2)  # the half-collected piece is lost, what was learnt is not
    episodes = [env.unwrapped.episode for env in envs.envs]  # type: ignore[attr-defined]
    for step in train_on_policy(envs, made, updates=9, progress=False, seed=None):
        if step.updates == 2:
            break
    first = made.pieces[-2]
    assert len(made.pieces) == (4 if length else 2) + 2
    assert first.observation[:, 0, :, 1].flatten().tolist() == [episode + 1 for episode in episodes]
    assert not first.age[:, 0].any() and step.steps == sum(one.reward.shape[1] for one in made.pieces[-2:])


@pytest.mark.parametrize("progress", [True, False])
def test_progress_is_shown_or_not(progress: bool, capsys: pytest.CaptureFixture[str]) -> None:
    steps = list(train_on_policy(scripted(), Recorder(8), updates=3, progress=progress))
    out, err = capsys.readouterr()
    assert out == ""
    assert (f"last_return={steps[-1].last_return.mean():.4g}" in err and "3/3" in err) if progress else err == ""


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("field", "words"), [("observation", "The observation after step 11"), ("reward", "The reward of step 11")]
)
@pytest.mark.parametrize("length", [4, None])
def test_what_is_no_number_stops_the_training_and_is_named(
    length: int | None, field: str, words: str, value: float
) -> None:
    envs, made, done = scripted({4: {10: {field: value}}, 1: {12: {field: value}}}), Recorder(length), list[Progress]()
    with pytest.raises(EnvironmentFailed, match=rf"{words} of environment 4 .*{value}"):  # noqa: PT012
        for step in train_on_policy(envs, made, updates=9, progress=False):
            done.append(step)
    assert len(done) == len(made.pieces) == (2 if length else 1)
    assert all(one.reward.isfinite().all() and one.next_observation.isfinite().all() for one in made.pieces)


def test_a_first_observation_that_is_no_number_stops_the_training_too() -> None:
    for poisoned, words in (({0: {"reset": np.nan}}, "first observation"), ({3: {"reset": np.nan}}, "after step 3")):
        made = Recorder(1)
        with pytest.raises(EnvironmentFailed, match=rf"(?i){words}.* of environment 4 .*nan"):
            list(train_on_policy(scripted({4: poisoned}), made, updates=9, progress=False))
        assert all(seen.isfinite().all() for seen in made.seen)


class Bounded(Scripted):
    """One number to choose, bounded; it keeps what it was told."""

    action_space = Box(-2, 6, (1,))

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.told = [*getattr(self, "told", []), float(action[0])]
        return super().step(action_of(self.number, self.episode, self.time))


def test_vectors_are_clipped_on_their_way_and_learnt_from_as_they_were_drawn() -> None:
    class Shouting(Recorder):
        def explore(self, observation: Tensor) -> Tensor:
            return observation[..., 2:] * 0.75 - 1.5 + 0 * observation[..., :1]

        exploit = explore

    number = count()
    envs, made = make_envs(lambda: Bounded(next(number)), RUNS * PLAYERS), Shouting(7)
    made.action_space = envs.single_action_space
    list(train_on_policy(envs, made, updates=1, progress=False))
    last = made.pieces[0].action[-1, :, -1, 0]  # an episode of seven steps
    assert last.tolist() == [-1.5, -0.75, 0, 0.75, 1.5, 2.25, 3.0]
    assert envs.envs[-1].unwrapped.told == [-2, -1, 2, 5, 6, 6, 6]  # type: ignore[attr-defined]
    evaluate(made, envs)  # what is evaluated is clipped as well
    assert all(-2 <= told <= 6 for env in envs.envs for told in env.unwrapped.told)  # type: ignore[attr-defined]
    number = count()
    plain = SyncVectorEnv([lambda: Bounded(next(number))] * RUNS * PLAYERS, autoreset_mode=AutoresetMode.DISABLED)
    with pytest.raises(ValueError, match=r"The agent was made for .* but these environments have"):
        next(train_on_policy(plain, made, updates=1, progress=False))
    made.action_space = plain.single_action_space
    list(train_on_policy(plain, made, updates=1, progress=False))  # the bounds are the space's, whatever they are
    assert plain.envs[-1].unwrapped.told == [-1.5, -0.75, 0, 0.75, 1.5, 2.25, 3.0]  # type: ignore[attr-defined]


def test_observations_of_whole_numbers_are_learnt_from_as_real_ones() -> None:
    envs = make_envs("FrozenLake-v1", 4)
    made = ActorCritic(envs, 2)
    pieces = list[Rollout]()
    update = made.update
    made.update = lambda one: (pieces.append(one), update(one))[1]  # type: ignore[method-assign, func-returns-value]
    assert [step.updates for step in train_on_policy(envs, made, updates=2, progress=False)] == [1, 2]
    assert pieces[0].observation.dtype == pieces[0].next_observation.dtype == torch.float32


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"updates": 0}, ValueError, "updates must be at least 1"),
        ({"updates": 2.5}, TypeError, "updates must be a whole number"),
        ({"seed": 0.5}, TypeError, "seed must be a whole number"),
    ],
)
def test_numbers_out_of_range_are_refused_before_anything_happens(
    changed: dict[str, Any], error: type[Exception], message: str
) -> None:
    envs, made = scripted(), Recorder(2)
    with pytest.raises(error, match=message):
        next(train_on_policy(envs, made, **{"updates": 1, "progress": False} | changed))
    assert not made.seen and envs.envs[0].unwrapped.episode == -1  # type: ignore[attr-defined]


def test_other_environments_than_the_agents_are_refused() -> None:
    envs = make_envs(lambda: Scripted(0), RUNS * PLAYERS + 2)
    with pytest.raises(ValueError, match="2 runs of 3 environments each, but there are 8"):
        next(train_on_policy(envs, Recorder(2), updates=1, progress=False))


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_environments_that_reset_themselves_are_refused(mode: AutoresetMode) -> None:
    envs = SyncVectorEnv([lambda: gymnasium.make("CartPole-v1")] * 4, autoreset_mode=mode)
    with pytest.raises(ValueError, match=r"must not reset themselves.*make_envs"):
        next(train_on_policy(envs, ActorCritic(envs, 2), updates=1, progress=False))


# The same again, and nobody else


WORLDS: dict[str, Callable[[], VectorEnv]] = {
    "CartPole": lambda: make_envs("CartPole-v1", 6),
    "Pendulum": lambda: make_envs("Pendulum-v1", 6, max_episode_steps=20),
    "FiniteMDP": lambda: make_envs(random_mdp(7, 9, 3, 4, 0.9), 6, time_limit=7),
}


def learnt(
    world: str,
    seed: int = 0,
    environments: int = 5,
    piece: int | None = 8,
    disturb: Callable[[ActorCritic], None] = lambda _: None,
) -> tuple[ActorCritic, list[Tensor]]:
    envs = WORLDS[world]()
    made = ActorCritic(envs, 3, ActorCriticSettings(piece=piece), seed=seed)
    disturb(made)
    steps = list(train_on_policy(envs, made, updates=4, seed=environments, progress=False))
    returns = torch.tensor(np.array([step.last_return for step in steps])).nan_to_num(-1).transpose(0, 1)
    tensors = [*made.actor.parameters, *made.critic.parameters, returns]
    return made, [tensor.detach() for tensor in tensors]


@pytest.mark.parametrize("piece", [8, None])
@pytest.mark.parametrize("world", WORLDS)
def test_the_same_seeds_give_the_same_training_and_others_another(world: str, piece: int | None) -> None:
    (first, numbers), (_, again) = learnt(world, piece=piece), learnt(world, piece=piece)
    assert all(map(torch.equal, numbers, again)) and first.actor.steps == first.critic.steps == 4
    for other in (learnt(world, seed=1, piece=piece), learnt(world, environments=99, piece=piece)):
        assert not any(
            torch.equal(a[run], b[run]) for a, b in zip(numbers[:-1], other[1][:-1], strict=True) for run in range(3)
        )


@pytest.mark.parametrize("world", WORLDS)
def test_who_disturbs_one_run_leaves_the_others_bitwise_as_they_were(world: str) -> None:
    def disturb(made: ActorCritic) -> None:
        with torch.no_grad():
            for parameter in (*made.actor.parameters, *made.critic.parameters):
                parameter[0] *= -2

    calm, disturbed = learnt(world)[1], learnt(world, disturb=disturb)[1]
    for one, other in zip(calm, disturbed, strict=True):
        assert torch.equal(one[1:], other[1:])
    assert not torch.equal(calm[0][0], disturbed[0][0])


# Settings, spaces and networks


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"discount": 1.0}, ValueError, r"discount must lie in \[0, 1\), but is 1.0"),
        ({"discount": -0.1}, ValueError, "discount must lie in"),
        ({"discount": "0.9"}, TypeError, "discount must be a number"),
        ({"learning_rate": 0}, ValueError, "learning_rate must be positive"),
        ({"learning_rate": Linear(0.1, -0.1, updates=9)}, ValueError, "learning_rate must lie in"),
        ({"critic_learning_rate": -1e-3}, ValueError, "learning_rate must be positive"),
        ({"critic_learning_rate": None}, TypeError, "learning_rate must be a number"),
        ({"piece": 0}, ValueError, "piece must be at least 1"),
        ({"piece": 2.5}, TypeError, "piece must be a whole number"),
        ({"entropy_bonus": -0.1}, ValueError, "entropy_bonus must lie in"),
        ({"entropy_bonus": math.inf}, ValueError, "entropy_bonus must lie in"),
        ({"entropy_bonus": None}, TypeError, "entropy_bonus must be a number"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ActorCriticSettings(**settings)


def test_settings_at_the_edge_are_allowed() -> None:
    ActorCriticSettings(discount=0, learning_rate=Linear(1e-3, 0, updates=1), piece=1, entropy_bonus=0)
    assert ActorCriticSettings(piece=None).piece is None


def test_the_default_policy_is_that_of_the_action_space() -> None:
    made = ActorCritic(spaces(), RUNS)
    assert made.policy == Categorical(MLP(INPUTS, (64, 64), ACTIONS)) and made.settings == ActorCriticSettings()
    assert made.critic_network == MLP(INPUTS, (64, 64), 1) and (made.runs, made.envs_per_run) == (RUNS, PLAYERS)
    made = ActorCritic(spaces(action=VECTORS), RUNS)
    assert made.policy == Gaussian(MLP(INPUTS, (64, 64), DIMENSIONS), first_log_std=-0.5)
    pictures = Categorical(ConvNet((2, 5, 6), ((4, 3, 1),), (), ACTIONS))
    made = ActorCritic(
        spaces(observation=(2, 5, 6)), RUNS, policy=pictures, critic=ConvNet((2, 5, 6), ((3, 3, 1),), (), 1)
    )
    assert made.explore(torch.zeros(RUNS, 9, 2, 5, 6)).shape == (RUNS, 9)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ActorCritic(spaces(), RUNS, {"discount": 0.9}), TypeError, "settings must be ActorCriticSettings"),  # type: ignore[arg-type]
        (lambda: ActorCritic(spaces(), 0), ValueError, "runs must be at least 1"),
        (lambda: ActorCritic(spaces(), 2.0), TypeError, "runs must be a whole number"),  # type: ignore[arg-type]
        (lambda: ActorCritic(spaces(), 4), ValueError, "6 environments can't be shared evenly by 4 runs"),
        (lambda: ActorCritic(spaces(), 2, seed=0.5), TypeError, "seed must be a whole number"),  # type: ignore[arg-type]
        (lambda: ActorCritic(gymnasium.make("CartPole-v1"), 1), TypeError, "envs must be environments side by side"),  # type: ignore[arg-type]
        (lambda: ActorCritic(spaces(action=MultiDiscrete([2, 3])), 2), TypeError, "Actions must be numbered"),
        (lambda: ActorCritic(spaces(action=Discrete(3, start=1)), 2), TypeError, "numbered from 0"),
        (lambda: ActorCritic(spaces(action=Box(-1, 1, (2, 3))), 2), ValueError, "Each action must be a vector"),
        (lambda: ActorCritic(spaces(action=Box(-1, 1, ())), 2), ValueError, "Each action must be a vector"),
        (lambda: ActorCritic(spaces(observation=(3, 4)), 2), ValueError, "Each observation must be a vector"),
    ],
)
def test_what_makes_no_agent_gets_a_sentence(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    ("policy", "action", "words"),
    [
        (POLICIES["categorical"][0], VECTORS, r"Categorical .* but the action space is Box.*Gaussian"),
        (POLICIES["gaussian"][0], Discrete(ACTIONS), r"Gaussian .* but the action space is Discrete.*Categorical"),
        (POLICIES["categorical"][0], MultiDiscrete([7, 7]), "Actions must be numbered"),
    ],
)
def test_a_policy_of_the_wrong_kind_is_refused_with_the_right_one(
    policy: Policy, action: Space[Any], words: str
) -> None:
    with pytest.raises(TypeError, match=words):
        ActorCritic(spaces(action=action), RUNS, policy=policy)


@pytest.mark.parametrize(
    "networks",
    [
        {"policy": Categorical(MLP(INPUTS, (), ACTIONS + 1))},
        {"policy": Categorical(MLP(INPUTS, (), ACTIONS - 1))},
        {"policy": Categorical(MLP(INPUTS + 1, (), ACTIONS))},
        {"critic": MLP(INPUTS, (), 2)},
        {"critic": MLP(INPUTS + 1, (), 1)},
        {"critic": ConvNet((1, 2, 2), (), (), 1)},
    ],
)
def test_networks_that_dont_fit_the_spaces_are_refused(networks: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"maps .*\(4,\)"):
        ActorCritic(spaces(), RUNS, **networks)
    if "policy" in networks:
        gaussian = Gaussian(networks["policy"].network)
        with pytest.raises(ValueError, match=r"maps .*\(4,\)"):
            ActorCritic(spaces(action=Box(-1, 1, (ACTIONS,))), RUNS, policy=gaussian)


def test_a_policy_of_ones_own_may_be_anything_that_samples() -> None:
    class Mine:
        def initial(self, leading: tuple[int, ...], generator: torch.Generator) -> list[Tensor]:
            return [torch.zeros(*leading, 1, 1, device=generator.device)]

        def sample(self, _: list[Tensor], observation: Tensor, generator: torch.Generator) -> Tensor:
            return torch.randint(ACTIONS, observation.shape[:-1], generator=generator)

        mode = sample

        def log_probability(self, parameters: list[Tensor], _: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
            return parameters[0].squeeze(-1) * action, parameters[0].squeeze(-1).expand(action.shape)

    made = ActorCritic(spaces(), RUNS, policy=Mine())  # type: ignore[arg-type]
    assert made.update(piece(kind=torch.float32)).shape == (RUNS,)


# Keeping


def kept(name: str = "categorical", seed: int = 0, updates: int = 3, rate: Any = 1e-3) -> ActorCritic:
    made = agent(name, seed=seed, double=False, learning_rate=rate, critic_learning_rate=rate)
    for step in range(updates):
        made.update(piece(name, step, kind=torch.float32))
    return made


def contents(made: ActorCritic) -> list[Tensor]:
    return [tensor.detach().clone() for tensor in (*made.actor.parameters, *made.critic.parameters)]


@both
def test_an_agent_comes_back_from_its_file_and_goes_on_with_new_optimisers_at_its_place(
    name: str, tmp_path: Path
) -> None:
    rate = Linear(0.1, 0.0, updates=20)
    saved, fresh, used = kept(name, rate=rate), kept(name, 1, 0, rate), kept(name, 2, 6, rate)
    saved.save(tmp_path / "agent.safetensors")
    before = contents(saved)
    for other in (fresh, used):
        other.load(str(tmp_path / "agent.safetensors"))
        assert all(map(torch.equal, contents(other), before))
        assert (other.actor.steps, other.critic.steps) == (3, 3)
        other.update(piece(name, 99, kind=torch.float32))
        for mine, old in zip(contents(other), before, strict=True):
            step = (mine - old).abs().max()  # Adam's first step is η
            torch.testing.assert_close(step, torch.tensor(rate(3)), rtol=2e-3, atol=0)
    assert all(map(torch.equal, contents(fresh), contents(used)))
    assert all(map(torch.equal, contents(saved), before))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda: kept("gaussian"), "was saved from Gaussian"),
        (lambda: ActorCritic(spaces(), RUNS), "was saved from Categorical"),
        (
            lambda: ActorCritic(spaces(), RUNS, policy=POLICIES["categorical"][0], critic=MLP(INPUTS, (HIDDEN,), 1)),
            r"was saved from .* and MLP\(inputs=4, hidden=\(6,\), outputs=1\)",
        ),
        (
            lambda: ActorCritic(spaces(), 3, policy=POLICIES["categorical"][0], critic=MLP(INPUTS, (HIDDEN + 3,), 1)),
            r"'actor.0' .*\(2, 4, 6\).*\(3, 4, 6\)",
        ),
        (lambda: agent(), "'actor.0' .*float32.*float64"),
    ],
)
def test_a_file_of_another_agent_is_refused_and_nothing_changes(
    other: Callable[[], ActorCritic], message: str, tmp_path: Path
) -> None:
    other().save(tmp_path / "other")
    made = kept()
    before = contents(made)
    with pytest.raises(ValueError, match=message):
        made.load(tmp_path / "other")
    assert all(map(torch.equal, contents(made), before)) and made.actor.steps == 3


def test_files_that_hold_no_such_agent_are_refused_and_nothing_changes(tmp_path: Path) -> None:
    made, path = kept(), tmp_path / "file"
    before = contents(made)
    made.save(path)
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], whole[:-1], b"", b"words"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="is no safetensors file"):
            made.load(path)
    safetensors.torch.save_file({"x": torch.zeros(1)}, path, {"agent": "DQN", "updates": "5"})
    with pytest.raises(ValueError, match=r"holds no ActorCritic agent, but .*DQN"):
        made.load(path)
    with pytest.raises(FileNotFoundError, match="There is no file"):
        made.load(tmp_path / "nowhere")
    assert all(map(torch.equal, contents(made), before)) and made.actor.steps == 3


# Learning what is known


def fork() -> FiniteMDP:
    """Three states, three actions: the best way leads past a reward that tempts, with some chance, and then to an end."""
    return FiniteMDP.from_outcomes(
        [
            [[(1.0, 0, 0.5, True)], [(0.75, 1, 0.0, False), (0.25, 0, 0.0, False)], [(1.0, 2, 0.25, False)]],
            [[(1.0, 0, 0.0, False)], [(1.0, 1, 0.25, True)], [(1.0, 2, 0.0, False)]],
            [[(0.5, 2, 3.0, True), (0.5, 0, 0.0, False)], [(1.0, 1, 1.0, True)], [(1.0, 2, 0.0, False)]],
        ],
        start_probability=torch.tensor([0.5, 0.5, 0], dtype=torch.float64),
        discount=0.8,
    )


def shortfall(piece: int | None, seed: int, runs: int, updates: int) -> Tensor:
    """How much of the best return each run's likeliest actions lack."""
    mdp = fork()
    envs = make_envs(mdp, runs * 4, features=torch.eye(3), time_limit=12)
    settings = ActorCriticSettings(
        discount=0.8,
        piece=piece,
        learning_rate=0.03,
        critic_learning_rate=0.05,
        entropy_bonus=0.02,
        weigh_time=piece is None,
    )
    made = ActorCritic(envs, runs, settings, policy=Categorical(MLP(3, (), 3)), critic=MLP(3, (), 1), seed=seed)
    for _ in train_on_policy(envs, made, updates=updates, seed=seed, progress=False):
        pass
    action = made.exploit(torch.eye(3).expand(runs, -1, -1))
    policy = nn.functional.one_hot(action, 3).double()
    best = (mdp.start_probability * optimal_q(mdp).amax(-1)).sum()
    return best - expected_return(mdp, policy)


@pytest.mark.parametrize("piece", [5, None])
def test_the_best_policy_of_a_small_mdp_is_found(piece: int | None) -> None:
    lack = shortfall(piece, 0, 100, 150)
    assert (lack > -1e-9).all()
    # Measured with 300 runs of each kind, of three seeds: 99 and 100 of 100 runs find it; 1 in 27 would by chance.
    assert (lack < 1e-9).double().mean() >= 0.9


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        (lambda: ActorCriticSettings(weigh_time="no"), TypeError, "weigh_time must be True or False, but is 'no'"),
        (lambda: ActorCriticSettings(critic_learning_rate=-1), ValueError, "^critic_learning_rate must be positive"),
        (lambda: Gaussian(MLP(3, (), 1), first_log_std=math.nan), ValueError, "first_log_std must be finite"),
        (
            lambda: ActorCritic(make_envs("CartPole-v1", 1), 1, policy=MLP(4, (), 2)),
            TypeError,
            "policy must be one, such as a Categorical or a Gaussian over a network, but is MLP",
        ),
    ],
)
def test_what_would_go_wrong_without_a_word_is_refused(
    wrong: Callable[[], object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        wrong()


def test_a_file_does_not_depend_on_where_the_spread_of_a_gaussian_began(tmp_path: Path) -> None:
    envs = make_envs("Pendulum-v1", 2)
    saved, other = (ActorCritic(envs, 2, policy=Gaussian(MLP(3, (), 1), first)) for first in (-0.5, 1.0))
    saved.save(tmp_path / "agent")
    other.load(tmp_path / "agent")
    for here, there in zip(saved.actor.parameters, other.actor.parameters, strict=True):
        assert torch.equal(here, there)
    assert (other.actor.parameters[-1] == -0.5).all()
