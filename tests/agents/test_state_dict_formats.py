"""Files of CleanRL, atari-agents, baby-a3c, and state dicts of people's own networks."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from policyscope.agents.loading import load_agent
from policyscope.errors import CheckpointError, PolicyscopeError, ProtocolError


def convolutions(channels: int = 4, normalised: bool = False) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for inputs, outputs, kernel, stride, side in ((channels, 32, 8, 4, 20), (32, 64, 4, 2, 9), (64, 64, 3, 1, 7)):
        layers += [nn.Conv2d(inputs, outputs, kernel, stride)]
        layers += [nn.LayerNorm([outputs, side, side])] if normalised else []
        layers += [nn.ReLU()]
    return [*layers, nn.Flatten(), nn.Linear(3136, 512), *([nn.LayerNorm(512)] if normalised else []), nn.ReLU()]


def run_folder(tmp_path: Path, run: str) -> Path:
    folder = tmp_path / "runs" / run
    folder.mkdir(parents=True)
    return folder


def forward(agent, frames: np.ndarray, memory: Tensor | None = None):
    with torch.no_grad():
        return agent(agent.prepare(frames), memory)


@pytest.mark.parametrize("normalised", [False, True])
def test_cleanrls_q_networks_are_told_apart_by_their_layers(
    tmp_path: Path, frames: np.ndarray, normalised: bool
) -> None:
    network = nn.Sequential(*convolutions(normalised=normalised), nn.Linear(512, 4))
    kind, game = ("pqn_atari_envpool", "Breakout-v5") if normalised else ("dqn_atari", "BreakoutNoFrameskip-v4")
    path = run_folder(tmp_path, f"{game}__{kind}__1__17") / f"{kind}.cleanrl_model"
    torch.save({f"network.{k}": v for k, v in network.state_dict().items()}, path)
    agent = load_agent(path)
    streams, memory = forward(agent, frames)
    torch.testing.assert_close(streams["q"], network(torch.as_tensor(frames) / 255).detach())
    assert memory is None
    assert agent.facts["algorithm"] == ("PQN" if normalised else "DQN")
    assert agent.protocol.game == "breakout"
    assert agent.protocol.colour_first is normalised


def test_cleanrls_c51_gives_the_expected_return_and_its_game_from_its_arguments(
    tmp_path: Path, frames: np.ndarray
) -> None:
    network = nn.Sequential(*convolutions(), nn.Linear(512, 6 * 11))
    atoms = torch.linspace(-3, 5, 11)
    state = {**{f"network.{k}": v for k, v in network.state_dict().items()}, "atoms": atoms}
    path = tmp_path / "c51_atari.cleanrl_model"
    torch.save({"model_weights": state, "args": {"env_id": "PongNoFrameskip-v4", "seed": 7}}, path)
    agent = load_agent(path)
    logits = network(torch.as_tensor(frames) / 255).view(2, 6, 11)
    torch.testing.assert_close(forward(agent, frames)[0]["q"], (logits.softmax(2) * atoms).sum(2).detach())
    assert (agent.protocol.game, agent.facts["seed"], agent.facts["algorithm"]) == ("pong", 7, "C51")


def test_cleanrls_ppo_gives_logits_and_value(tmp_path: Path, frames: np.ndarray) -> None:
    body, actor, critic = nn.Sequential(*convolutions()), nn.Linear(512, 4), nn.Linear(512, 1)
    whole = nn.ModuleDict({"network": body, "actor": actor, "critic": critic})
    path = run_folder(tmp_path, "BreakoutNoFrameskip-v4__ppo_atari__1__17") / "ppo_atari.cleanrl_model"
    torch.save(whole.state_dict(), path)
    agent = load_agent(path)
    streams, _ = forward(agent, frames)
    features = body(torch.as_tensor(frames) / 255)
    torch.testing.assert_close(streams["policy"], actor(features).detach())
    torch.testing.assert_close(streams["value"], critic(features).detach())
    assert agent.policy == "sample"


def test_cleanrls_lstm_agent_carries_its_memory(tmp_path: Path, frames: np.ndarray) -> None:
    body, lstm = nn.Sequential(*convolutions(1)), nn.LSTM(512, 16)
    whole = nn.ModuleDict({"network": body, "lstm": lstm, "actor": nn.Linear(16, 4), "critic": nn.Linear(16, 1)})
    path = run_folder(tmp_path, "BreakoutNoFrameskip-v4__ppo_atari_lstm__1__17") / "ppo.cleanrl_model"
    torch.save(whole.state_dict(), path)
    agent = load_agent(path)
    assert agent.memory_size == 32
    assert agent.protocol.stack == 1
    memory = None
    for step in range(4):
        streams, memory = forward(agent, frames[:1, step : step + 1], memory)
    sequence = body(torch.as_tensor(frames[0][:, None]) / 255).view(4, 1, 512)
    torch.testing.assert_close(streams["policy"], whole["actor"](lstm(sequence)[0][-1]).detach())


@pytest.mark.parametrize("prefix", ["_orig_mod.", "module.", "module._orig_mod.", "_orig_mod.module."])
@pytest.mark.parametrize("nest", [None, "model_state_dict", "q_network"])
def test_wrappers_and_nests_do_not_matter(
    cleanrl_file: Path, frames: np.ndarray, prefix: str, nest: str | None
) -> None:
    plain = forward(load_agent(cleanrl_file), frames)[0]["q"]
    state = {prefix + k: v for k, v in torch.load(cleanrl_file, weights_only=True).items()}
    torch.save({nest: state, "step": 3} if nest else state, cleanrl_file)
    torch.testing.assert_close(forward(load_agent(cleanrl_file), frames)[0]["q"], plain)


class AtariNet(nn.Module):
    """Has the collection's names, which Python mangles with the class's."""

    def __init__(self, actions: int, atoms: int) -> None:
        super().__init__()
        if atoms:
            self.__support = nn.Parameter(torch.linspace(-10, 10, atoms), requires_grad=False)
        layers = convolutions()
        self.__features = nn.Sequential(*layers[:6])
        self.__head = nn.Sequential(*layers[7:], nn.Linear(512, actions * max(atoms, 1)))
        self.atoms = atoms

    def forward(self, observations: Tensor) -> Tensor:
        values = self.__head(self.__features(observations.float().div(255)).flatten(1))
        return (values.view(len(values), -1, self.atoms).softmax(2) * self.__support).sum(2) if self.atoms else values


@pytest.mark.parametrize(("folder", "atoms", "sticky"), [("DQN_modern", 0, 0.25), ("C51_classic", 51, 0.0)])
def test_atari_agents_know_their_game_protocol_and_algorithm_from_their_folders(
    tmp_path: Path, frames: np.ndarray, folder: str, atoms: int, sticky: float
) -> None:
    path = tmp_path / folder / "SpaceInvaders" / "2" / "model_50000000.gz"
    path.parent.mkdir(parents=True)
    network = AtariNet(6, atoms)
    with gzip.open(path, "wb", compresslevel=1) as file:
        torch.save({"estimator_state": network.state_dict(), "step": 50_000_000}, file)
    agent = load_agent(path)
    torch.testing.assert_close(forward(agent, frames)[0]["q"], network(torch.as_tensor(frames)).detach())
    assert (agent.protocol.game, agent.protocol.sticky) == ("space_invaders", sticky)
    assert not agent.protocol.life_ends_episode
    assert agent.protocol.max_pool == "pictures"
    assert agent.policy == "epsilon=0.001"
    assert agent.facts["algorithm"] == folder.split("_")[0]
    assert (agent.facts["seed"], agent.facts["steps"]) == (2, 50_000_000)


def test_baby_a3c_agents_are_known_by_their_keys_and_play_as_their_readme_says(baby_a3c: Path, tmp_path: Path) -> None:
    agent = load_agent(baby_a3c / "spaceinvaders-v4.80.tar")
    assert agent.protocol.game == "space_invaders"
    assert agent.memory_size == 256
    assert agent.protocol.observation_shape == (1, 80, 80)
    assert (agent.protocol.frame_skip, agent.protocol.sticky, agent.protocol.max_pool) == ((2, 4), 0.0, "none")
    assert agent.protocol.stretch
    assert agent.policy == "sample"
    renamed = tmp_path / "anything.bin"
    renamed.write_bytes((baby_a3c / "breakout-v4.80.tar").read_bytes())
    with pytest.raises(ProtocolError, match="pass --game"):
        load_agent(renamed)
    assert load_agent(renamed, game="Breakout").actions == ("NOOP", "FIRE", "RIGHT", "LEFT")


def test_a_baby_a3c_agent_computes_what_its_layers_say(baby_a3c: Path) -> None:
    path = baby_a3c / "breakout-v4.80.tar"
    agent, state = load_agent(path), torch.load(path, weights_only=True, map_location="cpu")
    observations = np.random.default_rng(0).integers(0, 256, (3, 1, 80, 80), dtype=np.uint8)
    memory = torch.randn(3, 256)
    streams, following = forward(agent, observations, memory)
    x = torch.as_tensor(observations) / 255
    for layer in range(1, 5):
        weight, bias = state[f"conv{layer}.weight"], state[f"conv{layer}.bias"]
        x = nn.functional.elu(nn.functional.conv2d(x, weight, bias, stride=2, padding=1))
    cell = nn.GRUCell(800, 256)
    cell.load_state_dict({k.removeprefix("gru."): v for k, v in state.items() if k.startswith("gru.")})
    expected = cell(x.flatten(1), memory).detach()
    torch.testing.assert_close(following, expected)
    logits = expected @ state["actor_linear.weight"].T + state["actor_linear.bias"]
    torch.testing.assert_close(streams["policy"], logits)


def test_an_own_network_is_built_by_a_factory_and_filled_from_a_state_dict(
    tmp_path: Path, frames: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("own_network")

    def make(observation_shape: tuple[int, ...], actions: int) -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(observation_shape[0], 3, 12, 12), nn.ELU(), nn.Flatten(), nn.Linear(147, actions)
        )

    module.make = make  # type: ignore[attr-defined]
    module.wants_more = lambda observation_shape, actions, depth: None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "own_network", module)
    network = make((4, 84, 84), 6)
    path = tmp_path / "mine.pth"
    torch.save({"model": network.state_dict(), "epoch": 3}, path)
    agent = load_agent(path, network="own_network:make", game="pong", protocol="classic")
    torch.testing.assert_close(forward(agent, frames)[0]["q"], network(torch.as_tensor(frames) / 255).detach())
    assert agent.streams == ("q",)
    assert agent.actions[2:] == ("RIGHT", "LEFT", "RIGHTFIRE", "LEFTFIRE")
    given = load_agent(path, network=make((4, 84, 84), 6), game="pong")
    assert given.fingerprint == agent.fingerprint
    with pytest.raises(
        CheckpointError, match=r"weights '3.weight' of .*mine.pth have shape \(6, 147\).* wants \(4, 147\)"
    ):
        load_agent(path, network="own_network:make", game="breakout")
    with pytest.raises(CheckpointError, match=r"unknown network.*pass --network"):
        load_agent(path, game="pong")
    for wrong, text in (
        ("own_network", "MODULE:FACTORY"),
        ("own_network:no", "has no no"),
        ("no_such:make", "PYTHONPATH"),
    ):
        with pytest.raises(PolicyscopeError, match=text):
            load_agent(path, network=wrong, game="pong")
    with pytest.raises(PolicyscopeError, match=r"must be callable as wants_more\(observation_shape, actions\)"):
        load_agent(path, network="own_network:wants_more", game="pong")
