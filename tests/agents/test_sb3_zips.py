"""Stable-Baselines3 zips, made by the library itself, against its own policies."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

from policyscope.agents.loading import load_agent
from policyscope.errors import CheckpointError, ProtocolError

sb3 = pytest.importorskip("stable_baselines3", reason="stable_baselines3, the oracle, is not installed")
from sb3_models import Pictures, rewritten, same, saved, stacked, streams  # noqa: E402
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor  # noqa: E402
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack  # noqa: E402


def test_a_dqn_gives_the_librarys_q_values(tmp_path: Path, frames: np.ndarray) -> None:
    model = sb3.DQN("CnnPolicy", stacked(), buffer_size=2, seed=3)
    agent = load_agent(saved(model, tmp_path), game="breakout")
    same(streams(agent, frames)["q"], model.policy.q_net(torch.as_tensor(frames)))
    assert agent.actions == ("NOOP", "FIRE", "RIGHT", "LEFT")
    assert agent.facts["algorithm"] == "DQN"
    assert agent.facts["seed"] == 3
    assert agent.protocol.name == "sb3"


def test_hidden_layers_and_their_activation_are_read_from_the_zip(tmp_path: Path, frames: np.ndarray) -> None:
    options = {"net_arch": [32, 16], "activation_fn": nn.ELU, "normalize_images": False}
    model = sb3.DQN("CnnPolicy", stacked(), buffer_size=2, policy_kwargs=options)
    agent = load_agent(saved(model, tmp_path), game="breakout")
    assert agent.protocol.scale == 1.0
    torch.testing.assert_close(
        streams(agent, frames)["q"], model.policy.q_net(torch.as_tensor(frames)).detach(), rtol=1e-6, atol=1e-5
    )


def test_a_qr_dqn_gives_the_mean_of_its_quantiles(tmp_path: Path, frames: np.ndarray) -> None:
    contrib = pytest.importorskip("sb3_contrib", reason="sb3_contrib, the oracle, is not installed")
    model = contrib.QRDQN("CnnPolicy", stacked(), buffer_size=2, policy_kwargs={"n_quantiles": 7})
    agent = load_agent(saved(model, tmp_path), game="breakout")
    same(streams(agent, frames)["q"], model.policy.quantile_net(torch.as_tensor(frames)).mean(dim=1))
    assert agent.policy == "epsilon=0.01"


@pytest.mark.parametrize("kind", ["A2C", "PPO"])
@pytest.mark.parametrize("shared", [True, False])
def test_an_actor_critic_gives_the_librarys_logits_and_values(
    tmp_path: Path, frames: np.ndarray, kind: str, shared: bool
) -> None:
    options = {"share_features_extractor": shared, "net_arch": {"pi": [24], "vf": [16, 8]}}
    model = getattr(sb3, kind)("CnnPolicy", stacked(), policy_kwargs=options)
    agent = load_agent(saved(model, tmp_path), game="breakout")
    ours, observations = streams(agent, frames), torch.as_tensor(frames)
    logits = model.policy.get_distribution(observations).distribution.logits
    same(ours["policy"].log_softmax(dim=1), logits)
    same(ours["value"], model.policy.predict_values(observations))
    assert agent.facts["algorithm"] == kind
    assert agent.policy == "sample"


@pytest.mark.parametrize(
    "memory",
    [
        {"n_lstm_layers": 2, "lstm_hidden_size": 8},
        {"enable_critic_lstm": False, "lstm_hidden_size": 8},
        {"enable_critic_lstm": False, "shared_lstm": True, "lstm_hidden_size": 8},
    ],
)
def test_a_recurrent_ppo_remembers_as_the_library_does(
    tmp_path: Path, frames: np.ndarray, memory: dict[str, Any]
) -> None:
    contrib = pytest.importorskip("sb3_contrib", reason="sb3_contrib, the oracle, is not installed")
    model = contrib.RecurrentPPO("CnnLstmPolicy", stacked(), policy_kwargs=memory)
    agent = load_agent(saved(model, tmp_path), game="breakout")
    layers = memory.get("n_lstm_layers", 1)
    blank = torch.zeros(layers, 2, 8)
    states, starts = contrib.common.recurrent.type_aliases.RNNStates((blank, blank), (blank, blank)), torch.zeros(2)
    state: torch.Tensor | None = None
    with torch.no_grad():
        for shift in range(3):
            observations = np.roll(frames, shift, axis=3)
            ours, state = agent(agent.prepare(observations), state)
            tensors = torch.as_tensor(observations)
            logits = model.policy.get_distribution(tensors, states.pi, starts)[0].distribution.logits
            values = model.policy.predict_values(tensors, states.vf, starts)
            states = model.policy(tensors, states, starts)[3]
            same(ours["policy"].log_softmax(dim=1), logits)
            same(ours["value"], values)


def test_a_dictionary_with_one_image_is_explained_with_zeros_for_the_rest(tmp_path: Path) -> None:
    space = spaces.Dict(
        {
            "direction": spaces.Discrete(4),
            "image": spaces.Box(0, 255, (64, 64, 3), np.uint8),
            "speed": spaces.Box(-1, 1, (2,)),
        }
    )
    model = sb3.PPO("MultiInputPolicy", Pictures(space), policy_kwargs={"net_arch": [16]})
    agent = load_agent(saved(model, tmp_path), env="CarRacing-v3")
    image = np.random.default_rng(1).integers(0, 256, (2, 3, 64, 64), dtype=np.uint8)
    policy = model.policy
    features = policy.features_extractor.extractors["image"](torch.as_tensor(image) / 255.0)
    latent = torch.cat([torch.zeros(2, 4), features, torch.zeros(2, 2)], dim=1)
    same(streams(agent, image)["policy"], policy.action_net(policy.mlp_extractor.policy_net(latent)))
    assert agent.facts["zeros_for"] == ["direction", "speed"]


class OwnFeatures(BaseFeaturesExtractor):
    """An extractor that Stable-Baselines3 does not have, rectified by a function."""

    def __init__(self, observation_space: spaces.Box, features_dim: int = 20) -> None:
        super().__init__(observation_space, features_dim)
        self.only = nn.Conv2d(observation_space.shape[0], 5, 8, 8)
        self.last = nn.Linear(5 * 10 * 10, features_dim)

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        return self.last(torch.relu(self.only(observations)).flatten(1))


@pytest.fixture
def own_features(monkeypatch: pytest.MonkeyPatch) -> str:
    module = ModuleType("own_features")
    module.make = lambda shape, actions: OwnFeatures(spaces.Box(0, 255, shape, np.uint8))  # type: ignore[attr-defined]
    module.other = lambda shape, actions: nn.Sequential(nn.Conv2d(4, 5, 8, 8))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "own_features", module)
    return "own_features"


def test_a_features_extractor_of_the_users_own_is_built_by_a_factory(
    tmp_path: Path, frames: np.ndarray, own_features: str
) -> None:
    model = sb3.DQN("CnnPolicy", stacked(), buffer_size=2, policy_kwargs={"features_extractor_class": OwnFeatures})
    path = saved(model, tmp_path)
    agent = load_agent(path, game="breakout", network=f"{own_features}:make")
    same(streams(agent, frames)["q"], model.policy.q_net(torch.as_tensor(frames)))
    with pytest.raises(CheckpointError, match=r"extractor of its own .*pass --network MODULE:FACTORY"):
        load_agent(path, game="breakout")
    with pytest.raises(CheckpointError, match=r"lacks q_net.features_extractor.0.weight"):
        load_agent(path, game="breakout", network=f"{own_features}:other")


def test_a_zip_that_claims_a_size_no_network_has_is_refused_before_memory_is_spent(tmp_path: Path) -> None:
    path = saved(sb3.A2C("CnnPolicy", stacked()), tmp_path)
    with zipfile.ZipFile(path) as archive:
        data = json.loads(archive.read("data"))
    for count in ("0", str(10**11), str(10**30)):
        data["action_space"]["n"] = count
        with pytest.raises(CheckpointError) as caught:
            load_agent(rewritten(path, tmp_path / "boast.zip", data=json.dumps(data).encode()), game="breakout")
        assert "\n" not in str(caught.value)


def test_a_module_given_for_two_extractors_serves_each_with_its_own_weights(tmp_path: Path, frames: np.ndarray) -> None:
    options = {"features_extractor_class": OwnFeatures, "share_features_extractor": False, "net_arch": [8]}
    model = sb3.PPO("CnnPolicy", stacked(), policy_kwargs=options)
    given = OwnFeatures(spaces.Box(0, 255, (4, 84, 84), np.uint8))
    agent = load_agent(saved(model, tmp_path), game="breakout", network=given)
    ours, observations = streams(agent, frames), torch.as_tensor(frames)
    same(ours["policy"].log_softmax(dim=1), model.policy.get_distribution(observations).distribution.logits)
    same(ours["value"], model.policy.predict_values(observations))


def test_a_zip_of_a_zoo_folder_knows_its_game(tmp_path: Path) -> None:
    folder = tmp_path / "logs" / "dqn" / "SpaceInvadersNoFrameskip-v4_1"
    folder.mkdir(parents=True)
    model = sb3.DQN(
        "CnnPolicy", VecFrameStack(DummyVecEnv([lambda: Pictures(actions=spaces.Discrete(6))]), 4), buffer_size=2
    )
    saved(model, folder, "best_model")
    saved(model, folder, "SpaceInvadersNoFrameskip-v4")
    assert load_agent(folder / "best_model.zip").protocol.game == "space_invaders"
    assert load_agent(folder).source.endswith("SpaceInvadersNoFrameskip-v4_1")


def test_args_yml_tells_the_game_where_no_name_does(tmp_path: Path) -> None:
    path = saved(sb3.DQN("CnnPolicy", stacked(), buffer_size=2), tmp_path)
    with pytest.raises(ProtocolError, match=r"pass --game"):
        load_agent(path)
    (tmp_path / "args.yml").write_text(
        "!!python/object/apply:collections.OrderedDict\n- - - env\n    - PongNoFrameskip-v4\n"
    )
    with pytest.raises(ProtocolError, match=r"4 actions, but pong has 6"):
        load_agent(path)


def test_statistics_of_normalisation_are_asked_for_and_applied(tmp_path: Path, frames: np.ndarray) -> None:
    model = sb3.DQN("CnnPolicy", stacked(), buffer_size=2)
    path = saved(model, tmp_path)
    for name in ("vec_normalize.pkl", "vecnormalize.pkl"):
        (tmp_path / name).write_bytes(b"never opened")
        with pytest.raises(CheckpointError, match=rf"{name}.*--normalise PATH.npz"):
            load_agent(path, game="breakout")
    mean, variance = np.full((4, 84, 84), 100.0), np.linspace(1, 3000, 4 * 84 * 84).reshape(4, 84, 84)
    np.savez(tmp_path / "seen.npz", mean=mean.transpose(1, 2, 0), var=variance.transpose(1, 2, 0))
    agent = load_agent(path, game="breakout", normalise=tmp_path / "seen.npz")
    expected = np.clip((frames - mean) / np.sqrt(variance + 1e-8), -10, 10).astype(np.float32)
    with torch.no_grad():
        same(
            streams(agent, frames)["q"],
            model.policy.q_net.q_net(model.policy.q_net.features_extractor(torch.as_tensor(expected) / 255)),
        )
    assert load_agent(path, game="breakout", normalise="off").protocol.scale == 255.0
    (tmp_path / "config.yml").write_text("- - normalize\n  - '{''norm_obs'': False, ''norm_reward'': True}'\n")
    load_agent(path, game="breakout")


def test_a_zip_is_read_without_the_library_and_without_its_pickles(
    tmp_path: Path, frames: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(sb3.A2C("CnnPolicy", stacked()), tmp_path)
    with zipfile.ZipFile(path) as archive:
        data = json.loads(archive.read("data"))
    poisoned = {k: {**v, ":serialized:": "bm90IGEgcGlja2xl"} if isinstance(v, dict) else v for k, v in data.items()}
    changed = rewritten(path, tmp_path / "poisoned.zip", data=json.dumps(poisoned).encode())
    monkeypatch.setitem(sys.modules, "stable_baselines3", None)
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    assert streams(load_agent(changed, game="breakout"), frames)["policy"].shape == (2, 4)


def test_zips_that_are_bombs_or_damaged_are_refused_in_one_line(tmp_path: Path) -> None:
    path = saved(sb3.DQN("CnnPolicy", stacked(), buffer_size=2), tmp_path)
    bomb = rewritten(path, tmp_path / "bomb.zip", system_info_txt=b"\0" * (100 << 20))
    cut = tmp_path / "cut.zip"
    cut.write_bytes(Path(path).read_bytes()[:100_000])
    no_json = rewritten(path, tmp_path / "no_json.zip", data=b"{")
    no_image = rewritten(
        path, tmp_path / "vector.zip", data=b'{"observation_space": {":type:": "<class \'x.Box\'>", "_shape": [4]}}'
    )
    for file, text in (
        (bomb, "unpacks from"),
        (cut, "truncated"),
        (no_json, "no JSON"),
        (no_image, "not act from an image"),
    ):
        with pytest.raises(CheckpointError, match=text) as caught:
            load_agent(file, game="breakout")
        assert "\n" not in str(caught.value)
