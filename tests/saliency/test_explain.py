"""Explaining episodes: panels, lags, memories, resuming, and one-line answers."""

import gc
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

import policyscope as ps
from policyscope.agents.networks.dqn import CategoricalDQN, DuelingDQN, QuantileDQN
from policyscope.errors import ProtocolError, RunError, TargetError
from policyscope.saliency.perturbation import Regions, gaussian_blur
from policyscope.saliency.plan import METHODS
from policyscope.saliency.resize import to_size
from policyscope.storage import Columns, read_count

STEPS = 10
PROTOCOL = ps.Protocol(name="test", game="breakout")
ACTIONS = ("NOOP", "FIRE", "RIGHT", "LEFT")


def agent_of(network, protocol=PROTOCOL, streams=("q",), actions=ACTIONS, **options):
    return ps.Agent(network.eval(), protocol, streams, actions, **options)


def dueling(seed=0):
    torch.manual_seed(seed)
    return agent_of(DuelingDQN(4), streams=("q", "value", "advantage"))


def recorded(protocol=PROTOCOL, steps=STEPS, memory=0, actions=True, starts=(0, 6)):
    rng = np.random.default_rng(0)
    shape = (steps, *protocol.observation_shape)
    return ps.Episode.from_arrays(
        rng.integers(0, 256, shape, dtype=np.uint8),
        rng.integers(0, 4, steps) if actions else None,
        starts=np.isin(np.arange(steps), starts),
        memories=rng.normal(size=(steps, memory)).astype(np.float32) * ~np.isin(np.arange(steps), starts)[:, None]
        if memory
        else None,
        protocol=protocol,
    )


def test_every_panel_equals_attribute_on_the_same_states():
    agent, episode = dueling(), recorded()
    maps = ps.explain(agent, episode, batch=4, layer=2)
    inputs = agent.prepare(np.asarray(episode.observations))
    taken = torch.as_tensor(episode.actions)
    wanted = ps.attribute(agent.network, inputs, METHODS, target=taken, layer=2, stream="q")
    assert len(maps) == STEPS
    for method in METHODS:
        expected = wanted[method][:, -1] if wanted[method].ndim == 4 else wanted[method]
        assert maps[method].shape == (STEPS, 84, 84)
        scale = float(expected.abs().max())
        assert np.abs(maps[method][:] - expected.numpy()).max() <= 1e-4 * scale, method
    assert np.allclose(maps.targets("gradient"), wanted.target, atol=1e-5)
    assert set(maps.layer_weights("full_grad_pp")) == {"body.0", "body.2", "body.4"}


def test_streams_actions_layers_and_lags_make_a_panel_each():
    agent, episode = dueling(), recorded()
    maps = ps.explain(
        agent,
        episode,
        ["gradient", "grad_cam", "noise_saliency", "sarfa"],
        stream=["value", "advantage"],
        action=["taken", "contrast", "fire", 3],
        layer=[1, "body.4"],
        lag=[0, 3],
    )
    assert len(maps.select(method="gradient", stream="value")) == 2  # one entry: no action to choose, two lags
    assert len(maps.select(method="gradient", stream="advantage")) == 8
    assert len(maps.select(method="grad_cam", stream="advantage")) == 8  # four actions, two layers, no lags
    assert len(maps.select(method="sarfa")) == 8
    assert {p.stream for p in maps.select(method="sarfa")} == {"advantage"}
    inputs = agent.prepare(np.asarray(episode.observations))
    fire = ps.attribute(agent.network, inputs, ["gradient"], target=1, stream="advantage")["gradient"]
    (panel,) = maps.select(method="gradient", stream="advantage", action="1", lag=3)
    assert np.allclose(maps[panel][:], fire[:, 0], atol=1e-7)

    def contrast(outputs):
        chosen = torch.nn.functional.one_hot(torch.as_tensor(episode.actions), 4).bool()
        others = outputs["advantage"].masked_fill(chosen, 0).sum(1) / 3
        return outputs["advantage"][chosen] - others

    wanted = ps.attribute(agent.network, inputs, ["gradient"], target=contrast)["gradient"]
    (panel,) = maps.select(method="gradient", stream="advantage", action="contrast", lag=0)
    assert np.allclose(maps[panel][:], wanted[:, -1], atol=1e-7)


def test_one_action_is_explained_against_another_by_name_or_number():
    agent, episode = dueling(), recorded()
    maps = ps.explain(agent, episode, ["gradient", "grad_cam", "sarfa"], stream=["q", "value"], action="right-LEFT")
    assert [p.action for p in maps.select(stream="q")] == ["2-3"] * 3
    assert len(maps.select(method="gradient", stream="value")) == 1  # one entry: the value itself
    inputs = agent.prepare(np.asarray(episode.observations)).requires_grad_()
    q = agent(inputs)[0]["q"]
    wanted = torch.autograd.grad((q[:, 2] - q[:, 3]).sum(), inputs)[0][:, -1]
    (panel,) = maps.select(method="gradient", stream="q")
    assert np.allclose(maps[panel][:], wanted, atol=1e-7)
    assert np.allclose(maps.targets(panel), (q[:, 2] - q[:, 3]).detach(), atol=1e-6)
    assert "it is the first" in maps.meta["notes"][0]
    other = ps.explain(agent, episode, ["gradient"], action=["2-3", "3-2"])
    assert np.allclose(other[other.panels[0]][:], maps[panel][:], atol=1e-7)
    assert np.allclose(other[other.panels[1]][:], -maps[panel][:], atol=1e-7)


def test_names_with_hyphens_can_stand_against_each_other():
    agent = agent_of(DuelingDQN(4), streams=("q",), actions=("turn-left", "turn-right", "go", "1-2"))
    maps = ps.explain(agent, recorded(steps=1), ["gradient"], action=["turn-left-turn-right", "go-turn-left", "1-2"])
    assert [p.action for p in maps.panels] == ["0-1", "2-0", "3"]


def test_lags_can_be_summed_or_averaged():
    agent, episode = dueling(), recorded()
    maps = ps.explain(agent, episode, ["gradient"], lag=[0, 1, 2, 3, "sum", "mean"])
    every = [maps[p][:] for p in maps.panels]
    assert np.allclose(every[4], sum(every[:4]), atol=1e-7)
    assert np.allclose(every[5], every[4] / 4, atol=1e-7)


def test_the_sum_of_a_dueling_q_is_the_value_times_the_actions_and_says_so():
    agent, episode = dueling(), recorded()
    maps = ps.explain(agent, episode, ["gradient"], stream=["q", "value"], action="sum")
    total, value = (maps[maps.select(stream=s)[0]][:] for s in ("q", "value"))
    assert np.allclose(total, 4 * value, atol=1e-5)
    assert "value stream times 4" in maps.meta["notes"][0]


@pytest.mark.parametrize("network", [CategoricalDQN, QuantileDQN])
def test_distributions_are_explained_at_their_expectation(network):
    torch.manual_seed(0)
    agent, episode = agent_of(network(4)), recorded(steps=2)
    maps = ps.explain(agent, episode, ["gradient"], action=2)
    probe = agent.prepare(np.asarray(episode.observations)).requires_grad_()
    logits = agent.network.head(agent.network.body(probe))
    if network is CategoricalDQN:
        expected = (logits.view(2, 4, 51).softmax(2) * torch.linspace(-10, 10, 51)).sum(2)
    else:
        expected = logits.view(2, 200, 4).mean(1)
    wanted = torch.autograd.grad(expected[:, 2].sum(), probe)[0][:, -1]
    assert np.allclose(maps["gradient"][:], wanted, atol=1e-6)


class Remembers(nn.Module):
    """A recurrent agent that sees one frame at a time, as the agents in ../shared/agents do."""

    memory_size = 16

    def __init__(self, channels=1):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.gru, self.policy = nn.Conv2d(channels, 4, 8, 8), nn.GRUCell(4 * 100, 16), nn.Linear(16, 4)

    def forward(self, x, memory):
        memory = self.gru(torch.nn.functional.elu(self.conv(x)).flatten(1), memory)
        return {"policy": self.policy(memory)}, memory


def test_a_recurrent_agent_is_unrolled_from_its_recorded_memory_and_every_lag_has_its_map():
    protocol = ps.Protocol(name="test", game="breakout", stack=1)
    agent = agent_of(Remembers(), protocol, ("policy",))
    episode = recorded(protocol, memory=16)
    methods = ["gradient", "grad_cam", "noise_saliency"]
    maps = ps.explain(agent, episode, methods, lag=[0, 2], batch=4, regions=Regions(step=21))
    observations = agent.prepare(np.asarray(episode.observations))
    for state in (3, 5, 7, 9):
        first = max(state - 2, 6 if state >= 6 else 0)  # the game began anew at step 6
        frames = observations[first : state + 1].clone().requires_grad_()
        memory = torch.as_tensor(episode.memories[first])[None]
        activations = []
        for frame in frames:
            z = agent.network.conv(frame[None])
            activations.append(torch.nn.functional.elu(z))
            memory = agent.network.gru(activations[-1].flatten(1), memory)
        target = agent.network.policy(memory)[0, int(episode.actions[state])]
        dx, *da = torch.autograd.grad(target, [frames, *activations])
        for lag in (0, 2):
            gradient = maps[maps.select(method="gradient", lag=lag)[0]][state]
            noise = maps[maps.select(method="noise_saliency", lag=lag)[0]][state]
            cam = maps[maps.select(method="grad_cam", lag=lag)[0]]
            if lag < len(frames):
                assert np.allclose(gradient, dx[-1 - lag, 0], atol=1e-7)
                a, g = activations[-1 - lag][0], da[-1 - lag][0]
                small = (g.mean((1, 2), keepdim=True) * a).sum(0).clamp(min=0).detach()
                assert np.allclose(cam.stored[state], small, atol=1e-7)

                def policy(past, first=state - lag):
                    memory = torch.as_tensor(episode.memories[first])[None]
                    with torch.no_grad():
                        for frame in past:
                            streams, memory = agent.network(frame[None], memory)
                    return streams["policy"]

                past = observations[state - lag : state + 1]
                difference = gaussian_blur(past[-1 - lag], 3.0) - past[-1 - lag]
                scores = []
                for mask in Regions(step=21).masks((84, 84), past):
                    changed = past.clone()
                    changed[-1 - lag] += mask * difference
                    scores.append(0.5 * (policy(past) - policy(changed)).square().sum())
                wanted = to_size(torch.stack(scores).view(1, 4, 4), (84, 84))[0]
                assert np.allclose(noise, wanted, rtol=1e-3, atol=1e-3 * float(wanted.max()))
            else:
                assert not gradient.any()
                assert not noise.any()


def test_a_memory_over_stacked_frames_adds_up_what_a_frame_does_in_every_stack():
    protocol = ps.Protocol(name="test", game="breakout", stack=2)
    agent = agent_of(Remembers(2), protocol, ("policy",))
    episode = recorded(protocol, memory=16, starts=(0,))
    maps = ps.explain(agent, episode, ["gradient"], lag=1, action=1)
    state = 5
    window = agent.prepare(np.asarray(episode.observations[4:6])).requires_grad_()
    memory = torch.as_tensor(episode.memories[4])[None]
    for frame in window:
        streams, memory = agent.network(frame[None], memory)
    dx = torch.autograd.grad(streams["policy"][0, 1], window)[0]
    # the frame of lag 1 is the newest of the older stack and the older of the newest stack
    assert np.allclose(maps["gradient"][state], dx[0, 1] + dx[1, 0], atol=1e-7)


def test_channels_last_networks_are_explained_in_the_pictures_own_axes():
    class ChannelsLast(DuelingDQN):
        def forward(self, x):
            return super().forward(x.permute(0, 3, 1, 2))

    torch.manual_seed(0)
    protocol = ps.Protocol(name="test", game="breakout", layout="channels_last")
    agent = agent_of(ChannelsLast(4), protocol, ("q", "value", "advantage"))
    episode = recorded(protocol, steps=3)
    first = np.moveaxis(np.asarray(episode.observations), -1, 1)
    maps = ps.explain(agent, episode, action=0)
    torch.manual_seed(0)
    plain = ps.explain(dueling(), ps.Episode.from_arrays(first, episode.actions, protocol=PROTOCOL), action=0)
    for method in METHODS:
        assert np.allclose(maps[method][:], plain[method][:], atol=1e-5 * np.abs(plain[method][:]).max()), method


def test_inner_modules_can_be_explained_over_an_episode():
    agent, episode = dueling(), recorded(steps=3)
    maps = ps.explain(agent, episode, ["gradient"], stream="value.0", action="sum")
    probe = agent.prepare(np.asarray(episode.observations)).requires_grad_()
    wanted = torch.autograd.grad(agent.network.value[0](agent.network.body(probe)).sum(), probe)[0][:, -1]
    assert np.allclose(maps["gradient"][:], wanted, atol=1e-5)


def test_an_interrupted_explanation_is_valid_and_resumes_to_the_same_maps(tmp_path):
    agent, episode = dueling(), recorded(steps=200)
    whole = ps.explain(agent, episode, ["gradient", "full_grad"], out=tmp_path / "whole", batch=32)

    def stop(done, total):
        if done >= 96:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ps.explain(agent, episode, ["gradient", "full_grad"], out=tmp_path / "run", batch=32, progress=stop)
    shorter = ps.Maps(tmp_path / "run", episode)
    assert 0 < len(shorter) < 200
    assert np.array_equal(shorter["gradient"][:], whole["gradient"][: len(shorter)])
    with pytest.raises(RunError, match="--resume"):
        ps.explain(agent, episode, ["gradient", "full_grad"], out=tmp_path / "run")
    with pytest.raises(RunError, match="another agent or request"):
        ps.explain(agent, episode, ["gradient"], out=tmp_path / "run", resume=True)
    resumed = ps.explain(agent, episode, ["gradient", "full_grad"], out=tmp_path / "run", batch=32, resume=True)
    for method in ("gradient", "full_grad"):
        assert np.array_equal(resumed[method][:], whole[method][:])


@pytest.mark.parametrize("where", ["a thread starts", "rows are handed over"])
def test_ctrl_c_while_rows_go_to_the_writer_leaves_no_writer_behind(tmp_path, monkeypatch, where):
    place, name = {
        "a thread starts": (threading.Thread, "start"),
        "rows are handed over": (ThreadPoolExecutor, "submit"),
    }[where]
    usual, append, close, met, done = getattr(place, name), Columns.append, Columns.close, [], []

    def interrupted(self, *words, **options):
        made = usual(self, *words, **options)
        ours = "ThreadPool" in self.name if place is threading.Thread else getattr(words[0], "__func__", None) is slow
        if ours and not met:
            met.append(where)
            raise KeyboardInterrupt
        return made

    def slow(self, rows):
        time.sleep(0.3)
        append(self, rows)
        done.append("written")

    def closing(self):
        close(self)
        done.append("closed")

    monkeypatch.setattr(place, name, interrupted)
    monkeypatch.setattr(Columns, "append", slow)
    monkeypatch.setattr(Columns, "close", closing)
    with pytest.raises(KeyboardInterrupt):
        ps.explain(dueling(), recorded(steps=200), ["gradient"], out=tmp_path)
    left = read_count(tmp_path / "maps.zarr")
    assert left == (0 if where == "a thread starts" else len(ps.Maps(tmp_path)["gradient"][:]) or None)
    time.sleep(0.6)
    assert met == [where]
    assert done == ([] if where == "a thread starts" else ["written", "closed"])
    assert read_count(tmp_path / "maps.zarr") == left


def test_maps_are_read_lazily_by_rows_and_masks():
    agent, episode = dueling(), recorded()
    maps = ps.explain(agent, episode, ["grad_cam"])["grad_cam"]
    every = np.asarray(maps)
    assert maps.stored.shape == (STEPS, 20, 20)  # kept at the layer's own size
    assert np.array_equal(maps[3], every[3])
    assert np.array_equal(maps[-1, 10:20], every[-1, 10:20])
    assert np.allclose(maps[2:7:2, 5], every[2:7:2, 5])
    assert np.allclose(maps[[4, 1]], every[[4, 1]])


def test_statistics_are_those_of_the_maps():
    agent, episode = dueling(), recorded()
    maps = ps.explain(agent, episode, ["gradient"])
    values, given = maps["gradient"][:].reshape(STEPS, -1), maps.statistics("gradient")
    assert np.allclose(given["mean"], values.mean(1), atol=1e-8)
    assert np.allclose(given["std"], values.std(1), rtol=1e-4)
    assert np.allclose(given["max"], np.abs(values).max(1))
    assert np.allclose(given["q995"], np.quantile(np.abs(values), 0.995, axis=1), rtol=0.05)


@pytest.mark.parametrize(
    ("request_", "line"),
    [
        ({"stream": "critic"}, "no stream 'critic'; this agent has: q, value, advantage, or any inner module"),
        ({"action": "JUMP"}, "no action 'JUMP'; this agent has: 0 NOOP, 1 FIRE, 2 RIGHT, 3 LEFT; or taken, greedy"),
        ({"action": 4}, "no action '4'"),
        ({"action": "LEFT-3"}, "'LEFT-3' sets LEFT against itself: name two actions"),
        ({"action": "LEFT-JUMP"}, "no action 'LEFT-JUMP'; this agent has: .* or one action against another"),
        ({"action": "2-3", "stream": "value"}, "the value stream has one entry"),
        ({"layer": 4}, r"no layer 4; this agent has: 1 \(body.0\), 2 \(body.2\), 3 \(body.4\)"),
        ({"layer": "conv9"}, "no layer 'conv9'"),
        ({"lag": 4}, "no lag 4; this agent sees lags 0 to 3, or sum or mean"),
        ({"lag": -1}, "no lag -1"),
        ({"methods": ["saliency"]}, "no method 'saliency'; there are: gradient"),
        ({"methods": ["sarfa"], "stream": "value"}, "sarfa explains one action of several"),
        ({"methods": ["sarfa"], "lag": "sum"}, "perturbs one frame"),
        ({"variants": {"gradient": "blog_text"}}, "has no variant"),
    ],
)
def test_what_the_agent_lacks_is_answered_by_a_line_that_lists_what_it_has(request_, line):
    with pytest.raises(TargetError, match=line) as caught:
        ps.explain(dueling(), recorded(), **request_)
    assert "\n" not in str(caught.value)


def test_without_recorded_actions_the_greedy_one_is_explained():
    agent, episode = dueling(), recorded(actions=False)
    assert ps.explain(agent, episode, ["gradient"]).panels[0].action == "greedy"
    with pytest.raises(TargetError, match="not recorded"):
        ps.explain(agent, episode, ["gradient"], action="taken")


def test_another_protocols_episode_is_refused():
    with pytest.raises(ProtocolError, match=r"\(1, 84, 84\)"):
        ps.explain(dueling(), recorded(ps.Protocol(name="test", stack=1)))


def test_a_network_without_convolutions_has_gradients_but_no_cams():
    class Flat(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4 * 84 * 84, 4)

        def forward(self, x):
            return {"q": self.fc(x.flatten(1))}

    agent, episode = agent_of(Flat()), recorded(steps=2)
    assert ps.explain(agent, episode, ["gradient", "guided_backprop"])["gradient"].shape == (2, 84, 84)
    with pytest.raises(TargetError, match="no layer 1; this agent has: none"):
        ps.explain(agent, episode, ["grad_cam"])


def test_temporary_maps_live_as_long_as_anything_of_theirs():
    agent, episode = dueling(), recorded()
    wanted = ps.explain(agent, episode, ["gradient"])
    chained = ps.explain(agent, episode, ["gradient"])["gradient"]
    assert np.array_equal(chained[:], wanted["gradient"][:])
    folder = wanted.path
    assert folder.is_dir()
    del wanted
    gc.collect()
    assert not folder.exists()


def test_a_lost_chunk_is_an_error_and_no_map_of_zeros(tmp_path):
    ps.explain(dueling(), recorded(), ["gradient"], out=tmp_path)
    (tmp_path / "maps.zarr" / "map-000" / "c" / "0" / "0" / "0").unlink()
    with pytest.raises(RunError, match="steps from 0 on are missing in 'map-000'"):
        ps.Maps(tmp_path)


def test_a_request_can_be_checked_before_a_game_is_played():
    from policyscope.saliency.explain import check_request

    check_request(dueling(), methods=["gradient", "sarfa"], stream="q", lag=3)
    with pytest.raises(TargetError, match="does not lead to the target"):
        check_request(dueling(), methods=["grad_cam"], stream="body.0", action="sum")
