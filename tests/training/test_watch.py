"""The watcher in other people's loops and in ours: what it is told, what it says, and that it changes nothing."""

from __future__ import annotations

import copy
import json
import shutil
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3 import A2C, DQN, PPO
from torch import nn

from policyscope.agents.custom import make_agent
from policyscope.agents.networks import build
from policyscope.errors import PolicyscopeError, RunError, TrainingError
from policyscope.training import value
from policyscope.training.actor_critic import ActorCritic
from policyscope.training.callbacks.stable_baselines3 import SaliencyCallback
from policyscope.training.callbacks.watching import WatchCallback
from policyscope.training.recipes import FAMILIES
from policyscope.training.run import Run, RunOptions
from policyscope.training.value import ValueLearning
from policyscope.training.watch import Watcher
from policyscope.training.watch.activation import last_function
from policyscope.training.watch.afterwards import afterwards
from policyscope.training.watch.experience import Experience, coarse
from policyscope.training.watch.following import follow
from policyscope.training.watch.lessons import Weights, goals_of, pull_of
from policyscope.training.watch.outlets import read_findings, read_lines
from policyscope.training.watch.recognition import Recognition, first_rise, reward_limits


def rules(found):
    return {one.finding.rule for one in found if one.finding.severity == "grave"}


# -- what is seen of an update --


def test_the_gradient_of_a_loss_tells_whose_it_is():
    q = torch.randn(50, 4, requires_grad=True)
    actions, goal = torch.arange(50) % 4, torch.randn(50)
    right = (q.gather(1, actions[:, None]).squeeze(1) - goal).square().mean()
    wrong = (q.gather(1, (actions[:, None] + 1) % 4).squeeze(1) - goal).square().mean()
    every = (q - goal[:, None]).square().mean()
    assert pull_of(right, q, actions, "q").on_taken == pytest.approx(1)
    assert pull_of(wrong, q, actions, "q").missed == pytest.approx(1)
    assert pull_of(every, q, actions, "q").on_taken < 0.5
    right.backward()  # the graph is still there
    assert pull_of(right.detach(), q, actions, "q") is None


def test_the_policys_gradient_is_greatest_at_the_action_taken():
    logits = torch.randn(200, 5, requires_grad=True)
    actions, advantage = torch.randint(5, (200,)), torch.randn(200)
    loss = -(logits.log_softmax(1).gather(1, actions[:, None]).squeeze(1) * advantage).mean()
    assert pull_of(loss, logits, actions, "policy").greatest == pytest.approx(1)


def test_targets_at_ends_are_compared_with_rewards():
    found = goals_of(torch.tensor([1, 0, 1]), torch.tensor([1.0, 0, 0]), torch.tensor([1.0, 5, 0.3]))
    assert (found.rows, found.ended, found.open) == (3, 2, 1)
    assert found.excess == pytest.approx(0.15)


def test_moves_of_weights_are_relative_and_per_update():
    network = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        network.weight.copy_(torch.tensor([[3.0, 4.0]]))
    target = copy.deepcopy(network)
    seen = Weights(network, target, torch.optim.SGD(network.parameters(), 0.5))
    seen.keep(10)
    with torch.no_grad():
        network.weight.add_(torch.tensor([[0.3, 0.4]]))
    move = seen.moved(12)
    assert (move.updates, move.rate) == (2, 0.5)
    assert move.change == pytest.approx(0.1)
    assert move.grown == pytest.approx(1.1)
    assert seen.target(12)[0] == pytest.approx(0.5 / 5.5)
    assert seen.target(40)[1] == 28
    target.load_state_dict(network.state_dict())
    assert seen.target(41) == (0.0, 0)


@pytest.mark.parametrize(
    ("function", "name"), [(torch.relu, "rectifier"), (torch.tanh, "tanh"), (lambda q: q.softmax(1), "softmax")]
)
def test_the_last_function_is_read_from_the_graph(function, name):
    q = nn.Linear(3, 4)(torch.randn(2, 3))
    assert last_function(q) is None
    assert name in last_function(function(q)[:, None].squeeze(1).double()).name
    assert last_function(function(q) + q) is None


# -- what is kept of what was done --


def test_experience_keeps_the_last_steps_in_order_and_counts_all():
    kept = Experience(rows=128)
    for step in range(300):
        kept.add(step, np.array([1.0, 0.0]), np.array([True, False]), np.array([False, False]))
    acted = kept.acted()
    assert acted.steps.tolist() == list(range(236, 300))
    assert (kept.tally.states, kept.tally.ends, kept.tally.rewarded, acted.games) == (600, 300, 300, 2)


def test_frames_are_the_newest_ones_however_they_are_stacked():
    stack = np.zeros((2, 4, 12, 12), np.uint8)
    stack[:, -1] = 7
    assert coarse(stack).shape == (2, 4, 4)
    assert (coarse(stack) == 7).all()
    assert (coarse(np.moveaxis(stack, 1, -1)) == 7).all()


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
    Watcher(log=tmp_path / "run", step=1_000)
    assert [line["step"] for line in read_lines(tmp_path / "run")] == [500, 1_000]


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


def test_the_callback_reads_the_saliency_callbacks_measurements():
    kind, options = SB3["ppo"]
    model = kind("CnnPolicy", Ball(), seed=0, policy_kwargs=NARROW, **(options | {"n_epochs": 6}))
    model.policy.action_net.register_forward_pre_hook(lambda module, given: (given[0].detach(),))
    saliency = SaliencyCallback(every=200, states=8, spacing=2, budget=1.0, pictures=0, films=0)
    callback = WatchCallback(every=200, budget=1.0, saliency=saliency)
    model.learn(1_200, callback=[saliency, callback])
    assert "dead-stream" in rules(callback.found)


# -- our own trainers --

VALUE = ValueLearning(
    network="dqn", double=False, n_step=1, hidden=8, games=4, steps=1_200, batch=8, updates=1, learn_after=80,
    replay=1_200, target_every=20, epsilon_steps=600,
)  # fmt: skip


def trained(recipe, out, **options):
    chosen = {"save_every": 10_000, "saliency_every": 0, "tensorboard": False, "watch_every": 200} | options
    with Run("test", recipe, RunOptions(out, **chosen), "") as run:
        FAMILIES[type(recipe)].train(recipe, run)


def test_our_trainers_are_watched(tmp_path):
    trained(VALUE, tmp_path / "run")
    lines = read_lines(tmp_path / "run")
    # How many rounds there are is a matter of the time that they may take; the first and the last always are.
    assert len(lines) >= 2
    assert lines[-1]["watch/loss_on_taken"] == pytest.approx(1)
    assert not follow(tmp_path / "run").grave
    assert follow(tmp_path / "run").done


def test_a_fault_in_our_trainer_is_found(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(value, "greedy", lambda q, epsilon, rng: q.argmin(dim=1).numpy())
    trained(replace(VALUE, games=8, steps=2_400, batch=2), tmp_path / "run")
    assert any(one["rule"] == "wrong-output" for one in read_findings(tmp_path / "run"))
    assert "wrong-output (grave" in " ".join(capsys.readouterr().err.split())


def test_watching_can_be_left_off(tmp_path):
    trained(replace(VALUE, steps=200), tmp_path / "run", watch_every=0)
    assert not (tmp_path / "run" / "watch.jsonl").exists()


def test_numbers_that_are_none_are_found_before_the_run_ends(tmp_path, monkeypatch):
    learnt = Watcher.learnt

    def spoiled(watcher, *values, **named):
        learnt(watcher, *values, **named)
        with torch.no_grad():
            watcher.network.value.weight.fill_(float("nan"))

    monkeypatch.setattr(Watcher, "learnt", spoiled)
    recipe = ActorCritic(games=4, length=5, batch=20, epochs=1, steps=600, hidden=4)
    with pytest.raises(TrainingError):
        trained(recipe, tmp_path / "run")
    assert "not-finite" in {one["rule"] for one in read_findings(tmp_path / "run")}


# -- recognition --


def states(count=12):
    made = np.zeros((count, 4, 84, 84), np.uint8)
    for i in range(count):
        for lag in range(4):
            made[i, lag, 10 + 4 * i : 14 + 4 * i, 20 + 3 * lag : 26 + 3 * lag] = 200
    return made


def test_a_network_that_sees_only_what_moves_scores_above_all_shuffled_ones():
    torch.manual_seed(0)
    network = build("dqn", actions=3, hidden=4)
    agent = make_agent(network, game="breakout", protocol="ale-vector")
    recognition = Recognition(agent, states())
    assert set(recognition()) == {
        f"recognition/q/{m}" for m in ("gradient", "guided_backprop", "grad_cam", "g1_grad_cam")
    }
    noise = recognition.noise()["recognition/q/gradient"]
    assert 0 < noise.spread < noise.mean
    assert recognition()["recognition/q/gradient"] < noise.limit  # a fresh network is one of them

    class Difference(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(4, 1, 1, bias=False)
            with torch.no_grad():
                self.conv.weight.copy_(torch.tensor([0.0, 0.0, -1.0, 1.0]).view(1, 4, 1, 1))

        def forward(self, x):
            moved = torch.relu(self.conv(x)).square().sum(dim=(1, 2, 3))
            return {"q": torch.stack([moved, -moved], dim=1)}

    assert recognition(Difference())["recognition/q/gradient"] > 2 * noise.limit


def test_a_rise_is_twice_beyond_chance():
    assert first_rise([1, 2, 3, 4, 5], [1, 9, 1, 9, 9], 5) == 4
    assert first_rise([1, 2], [1, 9], 5) is None
    limits = reward_limits([1, 100], mean=1.0, spread=2.0, played=100)
    assert limits[0] > limits[1] == pytest.approx(1 + 3.09 * 2 * np.sqrt(2 / 100))


def test_runs_measure_recognition_and_what_it_is_before_learning(tmp_path):
    trained(replace(VALUE, games=8, batch=2, steps=2_400), tmp_path / "run", saliency_every=800, saliency_films=0)
    state = follow(tmp_path / "run")
    assert "recognition/q/grad_cam" in state.recognition
    assert set(state.noise) == set(state.recognition)
    assert state.risen("recognition/q/grad_cam") is None or state.risen("recognition/q/grad_cam") > 0


# -- what nobody watched --


def test_checkpoints_are_examined_afterwards(tmp_path):
    folder = tmp_path / "run" / "checkpoints"
    trained(replace(VALUE, steps=400), tmp_path / "run", save_every=100, watch_every=0)
    assert afterwards(tmp_path / "run") == []
    last = sorted(folder.glob("agent-*"))[-1]
    (folder / "agent-00009999.safetensors").write_bytes(last.read_bytes())
    (found,) = afterwards(tmp_path / "run")
    assert (found.finding.rule, found.first) == ("learning-rate", 9_999)
    (folder / "agent-00010000.safetensors").write_bytes(b"torn")
    (folder / "agent-00009999.safetensors").unlink()
    with pytest.raises(RunError, match="no checkpoint"):
        afterwards(tmp_path / "run")


def test_a_torn_last_line_is_left_out(tmp_path):
    (tmp_path / "watch.jsonl").write_text(json.dumps({"step": 5, "watch/q": 1.0}) + '\n{"step": 6, "wat')
    assert [line["step"] for line in read_lines(tmp_path)] == [5]
    assert follow(tmp_path).step == 5
