"""The watcher in loops of others and of Stable-Baselines3: what it is told and says, and that it changes nothing."""

from __future__ import annotations

import copy
import shutil

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import A2C, DQN, PPO
from torch import nn

from policyscope.errors import PolicyscopeError
from policyscope.training.callbacks.stable_baselines3 import SaliencyCallback
from policyscope.training.callbacks.watching import WatchCallback
from policyscope.training.watch import Watcher
from policyscope.training.watch.following import follow
from policyscope.training.watch.outlets import read_findings, read_lines


def rules(found):
    return {one.finding.rule for one in found if one.finding.severity == "grave"}


# -- a loop in CleanRL's manner --


class Ball(gymnasium.Env):
    """A ball falls beside one of three places; the action that catches it is rewarded."""

    def __init__(self):
        self.observation_space, self.action_space = spaces.Box(0, 255, (1, 36, 36), np.uint8), spaces.Discrete(3)
        self.side, self.time = 0, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.side, self.time = int(self.np_random.integers(3)), 0
        return self.picture(), {}

    def step(self, action):
        self.time += 1
        return self.picture(), float(action == self.side), self.time >= 12, False, {}

    def picture(self):
        made = np.zeros((1, 36, 36), np.uint8)
        made[0, 3 * self.time - 3 : 3 * self.time, 12 * self.side : 12 * self.side + 12] = 255
        return made


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 4, 6, stride=3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 11 * 11, 3))

    def forward(self, x):
        return self.body(x / 255.0)


def cleanrl(watch, steps=2_000, worst=False, mask=True):
    """A DQN's loop with one game; ``watch(network, target, optimiser)`` makes the watcher."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    env, network = Ball(), Net()
    target, optimiser = copy.deepcopy(network), torch.optim.Adam(network.parameters(), 1e-3)
    watcher = watch(network, target, optimiser)
    memory = []
    observation, _ = env.reset(seed=0)
    for step in range(steps):
        q = None
        if rng.random() < max(1 - step / 1_500, 0.1):
            action = int(rng.integers(3))
        else:
            q = network(torch.as_tensor(observation[None]).float())
            action = int((-q if worst else q).argmax())
        following, reward, terminated, truncated, _ = env.step(action)
        memory.append((observation, action, reward, following, terminated))
        if watcher is not None:
            watcher.acted(step, observation, action, reward, terminated, truncated, q=q)
        observation = env.reset()[0] if terminated else following
        if step > 200 and step % 2 == 0:
            drawn = [memory[i] for i in rng.integers(0, len(memory), 16)]
            seen, actions, rewards, after, ends = (torch.as_tensor(np.array(c)) for c in zip(*drawn, strict=True))
            with torch.no_grad():
                later = 0.9 * target(after.float()).amax(1)
                targets = rewards.float() + later * (~ends if mask else 1)
            values = network(seen.float())
            loss = (values.gather(1, actions[:, None]).squeeze(1) - targets).square().mean()
            if watcher is not None:
                watcher.learnt(loss, q=values, actions=actions, targets=targets, rewards=rewards, ends=ends)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        if step % 100 == 0:
            target.load_state_dict(network.state_dict())
    if watcher is not None:
        watcher.close()
    return network, watcher


def watching(tmp_path=None, **options):
    def make(network, target, optimiser):
        chosen = {"steps": 2_000, "gamma": 0.9, "every": 500, "budget": 1.0, "log": tmp_path} | options
        return Watcher(network, target=target, optimiser=optimiser, **chosen)

    return make


def test_a_healthy_loop_is_healthy_and_its_folder_says_so(tmp_path):
    _, watcher = cleanrl(watching(tmp_path / "run"))
    assert rules(watcher.found) == set()
    lines = read_lines(tmp_path / "run")
    assert [line["step"] for line in lines] == [500, 1_000, 1_500, 1_999]
    assert lines[-1]["watch/loss_on_taken"] == pytest.approx(1)
    assert 0 < lines[-1]["watch/change"] < 0.03
    state = follow(tmp_path / "run")
    assert (state.steps, state.step, state.grave) == (2_000, 1_999, False)


class Writer:
    """What TensorBoard's is called with."""

    def __init__(self):
        self.scalars, self.texts = [], []

    def add_scalar(self, name, value, step):
        self.scalars.append((name, step))

    def add_text(self, name, text, step):
        self.texts.append(name)


class FakeRun:
    """What ``wandb.init`` returns."""

    def __init__(self):
        self.steps, self.alerts = [], []

    def log(self, row, step):
        self.steps.append(step)

    def alert(self, title, text):
        self.alerts.append(title)


@pytest.fixture(scope="module")
def unmasked(tmp_path_factory):
    """A loop that does not mask ends, and the places that its watcher logged to."""
    board, run, heard, folder = Writer(), FakeRun(), [], tmp_path_factory.mktemp("unmasked") / "run"
    _, watcher = cleanrl(watching([board, run, folder], told=heard.append), mask=False)
    return watcher, board, run, heard, folder


def test_faults_of_a_loop_are_found_with_the_step(unmasked):
    watcher, *_, folder = unmasked
    assert rules(watcher.found) == {"ends-not-masked"}
    assert watcher.found[0].first == 500
    (told,) = [one for one in read_findings(folder) if one["severity"] == "grave"]
    assert (told["first"], told["last"]) == (500, 1_999)


def test_the_worst_actions_of_a_loop_are_found():
    _, watcher = cleanrl(watching(), worst=True)
    assert "wrong-output" in rules(watcher.found)


def test_findings_go_to_all_places(unmasked):
    _, board, run, heard, _ = unmasked
    assert ("watch/epsilon", 1_000) in board.scalars
    assert "watch/grave" in board.texts
    assert run.steps[0] == 500
    assert run.alerts == ["policyscope: ends-not-masked"]
    assert "ends-not-masked" in [one.finding.rule for one in heard]
    with pytest.raises(PolicyscopeError, match="log= is a int"):
        Watcher(log=3)


def test_a_resumed_log_drops_the_lines_that_are_made_again(unmasked, tmp_path):
    shutil.copytree(unmasked[-1], tmp_path / "run")
    resumed = Watcher(log=tmp_path / "run", step=1_000)
    assert [line["step"] for line in read_lines(tmp_path / "run")] == [500, 1_000]
    resumed.close()
    assert [one["rule"] for one in read_findings(tmp_path / "run")] == ["ends-not-masked"]  # found before


def test_what_follows_from_something_found_is_not_told_too():
    _, watcher = cleanrl(watching(), worst=True)
    assert rules(watcher.found) == {"wrong-output"}  # and not that its actions are random until the end


def test_watching_changes_nothing_that_is_learnt():
    plain, watched = cleanrl(lambda *args: None, 700)[0], cleanrl(watching(), 700)[0]
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), watched.parameters(), strict=True))


def test_outputs_are_worked_out_where_the_loop_does_not_tell_them():
    network = Net()
    watcher = Watcher(network, budget=1.0, every=10_000)
    rng = np.random.default_rng(0)
    for step in range(120):
        seen = rng.integers(0, 255, (5, 1, 36, 36)).astype(np.uint8)
        with torch.no_grad():
            best = network(torch.as_tensor(seen)).argmax(dim=1)
        watcher.acted(step, seen, (best + 1) % 3, np.zeros(5), np.zeros(5, bool))
    assert "wrong-output" in {one.finding.rule for one in watcher.check()}


def test_a_rectifier_on_q_is_seen_where_the_watcher_asks_the_network_itself():
    watcher = Watcher(nn.Sequential(Net(), nn.ReLU()), budget=1.0)
    watcher.acted(1, np.zeros((2, 1, 36, 36), np.uint8), np.zeros(2, int), np.zeros(2), np.zeros(2, bool))
    assert rules(watcher.check()) == {"activation-on-q"}


# -- Stable-Baselines3 --

SB3 = {
    "dqn": (DQN, {"learning_starts": 100, "buffer_size": 2_000, "batch_size": 8, "target_update_interval": 200}),
    "a2c": (A2C, {"n_steps": 8}),
    "ppo": (PPO, {"n_steps": 64, "batch_size": 32, "n_epochs": 1}),
}
NARROW = {"features_extractor_kwargs": {"features_dim": 16}, "net_arch": []}


@pytest.mark.parametrize("name", SB3)
def test_the_callback_sees_actions_outputs_and_updates(name, tmp_path):
    kind, options = SB3[name]
    model = kind("CnnPolicy", Ball(), seed=0, policy_kwargs=NARROW, **options)
    callback = WatchCallback(every=200, budget=1.0, log=tmp_path / "run")
    model.learn(1_000, callback=callback)
    assert rules(callback.found) == set()
    last = read_lines(tmp_path / "run")[-1]
    assert last["watch/updates"] > 0
    assert 0 < last["watch/change"] < 0.1
    assert ("watch/epsilon" in last) == (name == "dqn")
    assert ("watch/entropy" in last) == (name != "dqn")


def test_the_callback_finds_a_target_network_that_is_always_updated_and_stops():
    kind, options = SB3["dqn"]
    model = kind(
        "CnnPolicy", Ball(), seed=0, policy_kwargs=NARROW, **(options | {"target_update_interval": 1, "train_freq": 1})
    )
    model.learn(900, callback=WatchCallback(every=200, budget=1.0, stop=True))
    assert model.num_timesteps < 900


def test_the_callback_sees_what_a_network_ends_with():
    kind, options = SB3["dqn"]
    model = kind("CnnPolicy", Ball(), seed=0, policy_kwargs=NARROW, **options)
    model.q_net.q_net.add_module("rectifier", nn.ReLU())
    callback = WatchCallback(every=100)
    model.learn(100, callback=callback)  # before anything is learnt, within its usual budget
    assert rules(callback.found) == {"activation-on-q"}
    assert "none is below 0; values" in callback.found[0].finding.evidence


def test_the_callback_reads_the_saliency_callbacks_measurements():
    kind, options = SB3["ppo"]
    model = kind("CnnPolicy", Ball(), seed=0, policy_kwargs=NARROW, **(options | {"n_epochs": 6}))
    model.policy.action_net.register_forward_pre_hook(lambda module, given: (given[0].detach(),))
    saliency = SaliencyCallback(every=200, states=8, spacing=2, budget=1.0, pictures=0, films=0)
    callback = WatchCallback(every=200, budget=1.0, saliency=saliency)
    model.learn(1_200, callback=[saliency, callback])
    assert "dead-stream" in rules(callback.found)
