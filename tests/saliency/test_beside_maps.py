"""What goes along with the maps: shares of lags, the health of layers, the disagreement of methods."""

import json
import shutil

import numpy as np
import pytest
import torch
from torch import nn

import policyscope as ps
from policyscope.agents.networks.dqn import DuelingDQN
from policyscope.errors import TargetError
from policyscope.saliency.perturbation import Regions
from policyscope.saliency.plan import METHODS

ACTIONS = ("NOOP", "FIRE", "RIGHT", "LEFT")
STACKED = ps.Protocol(name="test", game="breakout")


class OverTime(nn.Module):
    """Frames apart in time: one convolution a frame, later frames count more."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.head = nn.Conv2d(1, 6, 8, 8), nn.Linear(600, 4)

    def forward(self, x):
        features = torch.relu(self.conv(x.flatten(0, 1))).flatten(1).view(*x.shape[:2], -1)
        return {"q": self.head((features * torch.arange(x.shape[1])[:, None]).sum(1))}


class Remembers(nn.Module):
    memory_size = 16

    def __init__(self, stack):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.gru, self.policy = nn.Conv2d(stack, 4, 8, 8), nn.GRUCell(400, 16), nn.Linear(16, 4)

    def forward(self, x, memory):
        memory = self.gru(torch.relu(self.conv(x)).flatten(1), memory)
        return {"policy": self.policy(memory)}, memory


def agent_of(network, protocol=STACKED, streams=("q",)):
    return ps.Agent(network.eval(), protocol, streams, ACTIONS)


def dueling():
    torch.manual_seed(0)
    return agent_of(DuelingDQN(4), streams=("q", "value", "advantage"))


def recorded(protocol=STACKED, steps=5, memory=0):
    rng = np.random.default_rng(0)
    return ps.Episode.from_arrays(
        rng.integers(0, 256, (steps, *protocol.observation_shape), dtype=np.uint8),
        rng.integers(0, 4, steps),
        memories=rng.normal(size=(steps, memory)).astype(np.float32) if memory else None,
        protocol=protocol,
    )


def leaf_of(agent, episode):
    return agent.prepare(np.asarray(episode.observations)).requires_grad_()


def taken(values, episode):
    return values.gather(1, torch.as_tensor(episode.actions)[:, None]).sum()


def shares(*sizes):
    sizes = np.stack([np.asarray(s, np.float64) for s in sizes], axis=1)
    return sizes / sizes.sum(1, keepdims=True)


def test_each_stacked_frames_share_of_the_gradient_is_kept_newest_first():
    agent, episode = dueling(), recorded()
    maps = ps.explain(agent, episode, ["gradient"], stream=["q", "value"], batch=2)
    leaf = leaf_of(agent, episode)
    streams = agent(leaf)[0]
    for stream, target in (("q", taken(streams["q"], episode)), ("value", streams["value"].sum())):
        size = torch.autograd.grad(target, leaf, retain_graph=True)[0].double().abs().sum((2, 3))
        wanted = shares(*(size[:, 3 - lag] for lag in range(4)))
        assert np.allclose(maps.lag_shares(stream), wanted, rtol=1e-4)
    assert np.array_equal(maps.lag_shares(), maps.lag_shares("q", "taken"))


def test_the_colours_of_a_frame_share_its_lag():
    protocol = ps.Protocol(name="test", game="breakout", stack=2, colour="rgb")
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(6, 4, 8, 8), nn.ReLU(), nn.Flatten(), nn.Linear(400, 4))
    agent = ps.Agent(network.eval(), protocol, ("q",), ACTIONS, read=lambda q: {"q": q})
    episode = recorded(protocol)
    leaf = leaf_of(agent, episode)
    size = torch.autograd.grad(taken(network(leaf), episode), leaf)[0].double().abs().sum((2, 3))
    wanted = shares(size[:, 3:].sum(1), size[:, :3].sum(1))
    assert np.allclose(ps.explain(agent, episode, ["gradient"]).lag_shares(), wanted, rtol=1e-4)


def test_frames_apart_in_time_have_their_shares_and_the_newest_tells_what_is_alive():
    protocol = ps.Protocol(name="test", game="breakout", layout="time")
    agent, episode = agent_of(OverTime(), protocol), recorded(protocol)
    with torch.no_grad():
        agent.network.conv.bias[:2] = -10  # two channels are dead
    maps = ps.explain(agent, episode, ["gradient", "grad_cam"], batch=2)
    leaf = leaf_of(agent, episode)
    activation = torch.relu(agent.network.conv(leaf.flatten(0, 1)))
    values = agent.network.head(
        (activation.flatten(1).view(len(leaf), 4, -1) * torch.arange(4)[:, None]).sum(1),
    )
    dx, da = torch.autograd.grad(taken(values, episode), [leaf, activation])
    size = dx.double().abs().sum((2, 3, 4))
    assert np.allclose(maps.lag_shares(), shares(*(size[:, 3 - lag] for lag in range(4))), rtol=1e-4)
    newest = activation.view(len(leaf), 4, 6, 10, 10)[:, 3]
    assert np.allclose(maps.health().alive[:, 0], (newest > 0).any(3).any(2).double().mean(1))
    assert maps.health().alive.max() <= 4 / 6
    wanted = torch.stack([g.double().abs().reshape(len(leaf), -1).mean(1) for g in (da, dx)], dim=1)
    assert np.allclose(maps.health().flow, wanted, rtol=1e-4)


@pytest.mark.parametrize("lag", [0, 2])
def test_a_memorys_lags_are_the_frames_of_its_window(lag):
    protocol = ps.Protocol(name="test", game="breakout", stack=1)
    agent, episode = agent_of(Remembers(1), protocol, ("policy",)), recorded(protocol, memory=16)
    given = ps.explain(agent, episode, ["gradient"], lag=lag, action=1).lag_shares()
    window, state = lag + 1, 4
    frames = agent.prepare(np.asarray(episode.observations[state - lag : state + 1])).requires_grad_()
    memory = torch.as_tensor(episode.memories[state - lag])[None]
    for frame in frames:
        streams, memory = agent.network(frame[None], memory)
    size = torch.autograd.grad(streams["policy"][0, 1], frames)[0].double().abs().sum((1, 2, 3))
    assert given.shape == (5, window)
    assert np.allclose(given[state], size.flip(0) / size.sum(), rtol=1e-4)
    assert np.allclose(given[0], np.eye(window)[0])  # nothing lies before the first frame


def test_a_memory_over_stacks_counts_a_frame_once_for_all_stacks_that_hold_it():
    protocol = ps.Protocol(name="test", game="breakout", stack=2)
    agent, episode = agent_of(Remembers(2), protocol, ("policy",)), recorded(protocol, memory=16)
    given = ps.explain(agent, episode, ["gradient"], lag=1, action=1).lag_shares()
    window = agent.prepare(np.asarray(episode.observations[3:5])).requires_grad_()
    memory = torch.as_tensor(episode.memories[3])[None]
    for frame in window:
        streams, memory = agent.network(frame[None], memory)
    dx = torch.autograd.grad(streams["policy"][0, 1], window)[0].double()
    wanted = torch.stack([dx[1, 1], dx[1, 0] + dx[0, 1], dx[0, 0]]).abs().sum((1, 2))
    assert np.allclose(given[4], wanted / wanted.sum(), rtol=1e-4)


def test_health_tells_which_channels_are_active_and_how_large_gradients_are_at_each_layer():
    agent, episode = dueling(), recorded()
    maps = ps.explain(agent, episode, stream=["q", "value"], action=2, batch=2)
    outputs = [leaf_of(agent, episode)]
    for module in agent.network.body:
        outputs.append(module(outputs[-1]))
    activations = [a for a, m in zip(outputs[1:], agent.network.body, strict=True) if isinstance(m, nn.ReLU)][:3]
    alive = [(a > 0).any(3).any(2).double().mean(1).numpy() for a in activations]
    assert maps.health().layers == ("body.0", "body.2", "body.4")
    assert np.allclose(maps.health().alive, np.stack(alive, axis=1))
    value, advantage = agent.network.value(outputs[-1]), agent.network.advantage(outputs[-1])
    q = value + advantage - advantage.mean(1, keepdim=True)
    for stream, target in (("q", q[:, 2].sum()), ("value", value.sum())):
        gradients = torch.autograd.grad(target, [*activations, outputs[0]], retain_graph=True)
        wanted = np.stack([g.double().abs().flatten(1).mean(1).numpy() for g in gradients], axis=1)
        assert np.allclose(maps.health(stream).flow, wanted, rtol=1e-3)


def test_a_zero_gradient_has_no_shares():
    agent, episode = dueling(), recorded(steps=2)
    with torch.no_grad():
        agent.network.body[0].bias[:] = -100  # nothing is active
    maps = ps.explain(agent, episode, ["gradient", "grad_cam"])
    assert np.isnan(maps.lag_shares()).all()
    assert not maps.health().alive[:, 0].any()
    assert not maps.health().flow.all()
    assert np.isnan(maps.disagreement()).all()


def test_guided_methods_alone_cost_no_standard_pass_and_have_neither_shares_nor_flow(monkeypatch):
    rules = []
    monkeypatch.setattr(
        "policyscope.saliency.trace.Trace._go_back",
        lambda self, target, rule, points, go_back=ps.saliency.trace.Trace._go_back: (
            rules.append(rule) or go_back(self, target, rule, points)
        ),
    )
    maps = ps.explain(dueling(), recorded(steps=3), ["guided_backprop", "g1_grad_cam"])
    assert rules.count("guided") == 1
    assert rules.count("standard") == 1  # FullGrad's completeness on the first state
    assert maps.lag_shares() is None
    assert maps.health().flow is None
    assert maps.health().alive.shape == (3, 3)
    rules.clear()
    ps.explain(dueling(), recorded(steps=3))
    assert sorted(rules) == ["guided", "standard", "standard"]


def correlation(a, b):
    a, b = a - a.mean(), b - b.mean()
    return (a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum())


def test_disagreement_is_what_the_mean_correlation_of_coarse_maps_leaves():
    agent, episode = dueling(), recorded(steps=3)
    maps = ps.explain(agent, episode, [*METHODS, "noise_saliency", "sarfa"], lag=[0, 2], regions=Regions(step=21))
    for lag in (0, 2):
        compared = [p for p in maps.panels if p.lag in (lag, None) and p.method != "noise_saliency"]
        coarse = [np.abs(maps[p][:].astype(np.float64)).reshape(3, 21, 4, 21, 4).mean((2, 4)) for p in compared]
        for state in range(3):
            shown = [c[state] for c in coarse if c[state].any()]
            pairs = [correlation(a, b) for i, a in enumerate(shown) for b in shown[:i]]
            assert len(pairs) > 20
            assert np.isclose(maps.disagreement(lag=lag)[state], 1 - np.mean(pairs), atol=1e-4)
        assert [maps.panels[i] for i in maps.meta["compared"][f"disagreement-q-taken-{lag}"]] == compared
    assert np.array_equal(maps.disagreement(), maps.disagreement("q", "taken", 0))


def test_one_method_alone_disagrees_with_none():
    maps = ps.explain(dueling(), recorded(steps=2), ["gradient"])
    assert maps.disagreement() is None
    assert maps.meta["compared"] == {}


def test_what_was_not_explained_is_answered_by_what_was():
    maps = ps.explain(dueling(), recorded(steps=2), ["gradient"], stream=["q", "value"])
    with pytest.raises(TargetError, match="nothing was explained of 'policy'; there are: q taken, value taken"):
        maps.lag_shares("policy")


def test_maps_of_an_earlier_version_are_read_and_go_on_without_what_they_lack(tmp_path):
    agent, episode = dueling(), recorded(steps=150)

    def stop(done, total):
        if done >= 96:
            raise KeyboardInterrupt

    whole = ps.explain(agent, episode, ["gradient"], batch=32)
    with pytest.raises(KeyboardInterrupt):
        ps.explain(agent, episode, ["gradient"], out=tmp_path, batch=32, progress=stop)
    folder = tmp_path / "maps.zarr"
    for column in ("health-alive", "health-flow-q-taken", "lags-q-taken"):
        shutil.rmtree(folder / column)
    meta = json.loads((folder / "meta.json").read_text())
    del meta["compared"]
    (folder / "meta.json").write_text(json.dumps(meta))
    older = ps.Maps(folder, episode)
    assert 0 < len(older) < 150
    assert (older.lag_shares(), older.health(), older.disagreement()) == (None, None, None)
    resumed = ps.explain(agent, episode, ["gradient"], out=tmp_path, batch=32, resume=True)
    assert resumed.lag_shares() is None
    assert np.array_equal(resumed["gradient"][:], whole["gradient"][:])
    assert whole.lag_shares().shape == (150, 4)
