"""captum as a source of maps."""

import builtins

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from little import AGENTS, SIDE, LittleQ, episode_for, made, q_agent, recurrent_agent

from policyscope.errors import MissingExtraError, TargetError
from policyscope.evaluation.captum_source import CaptumSource
from policyscope.evaluation.method_maps import MethodMaps

attr = pytest.importorskip("captum.attr")
ROWS = np.array([5, 9, 20])


@pytest.mark.parametrize("kind", AGENTS)
def test_captums_saliency_is_our_gradient(kind):
    agent = AGENTS[kind]()
    episode = episode_for(agent)
    ours = MethodMaps(agent, episode, ("gradient",))(ROWS)["gradient"]
    assert np.allclose(CaptumSource(agent, episode, "Saliency").of_rows(ROWS), ours, atol=1e-6)


@pytest.mark.parametrize("kind", AGENTS)
def test_integrated_gradients_are_the_integral_of_the_gradient(kind):
    agent = AGENTS[kind]()
    episode = episode_for(agent)
    found = CaptumSource(agent, episode, "IntegratedGradients", n_steps=200, method="riemann_middle").of_rows(ROWS)
    maps = MethodMaps(agent, episode, ("gradient",))
    inputs = maps.passes.window(ROWS, 1)[0] if agent.memory_size else maps.passes.pictures(ROWS)
    total = sum(maps(ROWS, inputs * (step + 0.5) / 200)["gradient"] for step in range(200)) / 200
    newest = inputs.reshape(len(ROWS), -1, SIDE, SIDE)[:, -1].numpy()
    assert np.allclose(found, newest * total, atol=1e-4)


def test_smooth_grad_is_a_mean_of_gradients_and_the_same_twice():
    agent = q_agent()
    episode = episode_for(agent)
    one, same = (CaptumSource(agent, episode, "SmoothGrad").of_rows(ROWS) for _ in range(2))
    assert np.array_equal(one, same)
    plain = CaptumSource(agent, episode, "Saliency").of_rows(ROWS)
    assert not np.allclose(one, plain)
    assert np.corrcoef(one.ravel(), plain.ravel())[0, 1] > 0.3
    still = CaptumSource(agent, episode, "SmoothGrad", stdevs=0.0).of_rows(ROWS)
    assert np.allclose(still, plain, atol=1e-6)


def test_states_are_explained_by_themselves():
    agent = recurrent_agent()
    episode = episode_for(agent)
    for name in ("SmoothGrad", "IntegratedGradients", "DeepLift", "Occlusion"):
        options = {"stdevs": 0.0} if name == "SmoothGrad" else {}
        if name == "DeepLift":
            continue  # a GRU's gates are no rectifiers
        source = CaptumSource(agent, episode, name, **options)
        together, alone = source.of_rows(ROWS), [source.of_rows(ROWS[[i]])[0] for i in range(3)]
        assert np.allclose(together, np.stack(alone), atol=1e-5), name


def test_deep_lift_adds_up():
    agent = q_agent()
    agent.network.hidden[1] = torch.nn.ReLU()
    episode = episode_for(agent)
    assert CaptumSource(agent, episode, "DeepLift").of_rows(ROWS).shape == (3, SIDE, SIDE)


class Functional(LittleQ):
    def __init__(self):
        super().__init__()
        self.body = torch.nn.Sequential(*[m for m in self.body if not isinstance(m, torch.nn.ReLU)])
        self.hidden = self.hidden[0]

    def forward(self, x):
        features = F.relu(self.hidden(F.relu(self.body[1](F.relu(self.body[0](x)))).flatten(1)))
        return {"q": self.advantage(features), "value": self.value(features)}


@pytest.mark.parametrize(("name", "why"), [("DeepLift", "module of its own"), ("GuidedBackprop", "no nn.ReLU modules")])
def test_what_cannot_work_is_told_rather_than_silently_a_gradient(name, why):
    agent = made(Functional(), gain=3.0)
    with pytest.raises(TargetError, match=why):
        CaptumSource(agent, episode_for(agent), name).of_rows(ROWS)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Nonsense", "there are: .*DeepLift"),
        ("LayerGradCam", "a layer"),
        ("NoiseTunnel", "SmoothGrad"),
        ("Lime", "features"),
    ],
)
def test_what_is_no_source_is_told(name, why):
    agent = q_agent()
    with pytest.raises(TargetError, match=why):
        CaptumSource(agent, episode_for(agent), name)


def test_without_captum_the_extra_is_named(monkeypatch):
    real = builtins.__import__

    def missing(name, *args, **kwargs):
        if name.startswith("captum"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    agent = q_agent()
    episode = episode_for(agent)
    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(MissingExtraError, match=r"policyscope\[evaluate\]"):
        CaptumSource(agent, episode, "Saliency")


def test_nothing_is_left_on_the_network():
    agent = q_agent()
    agent.network.train()
    CaptumSource(agent, episode_for(agent), "IntegratedGradients").of_rows(ROWS)
    assert agent.network.training
    assert all(p.grad is None and p.requires_grad for p in agent.network.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks or m._backward_hooks for m in agent.network.modules())
