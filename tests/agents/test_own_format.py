"""Agents saved as safetensors come back as they were; the zoo and the hub hand them out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from policyscope.agents.agent import Agent, ContinuousActions
from policyscope.agents.formats.own import save_agent
from policyscope.agents.hub import choose, first_sentence
from policyscope.agents.loading import load_agent
from policyscope.agents.networks import build
from policyscope.agents.networks.dqn import DuelingDQN
from policyscope.agents.presets import preset
from policyscope.errors import CheckpointError, MissingExtraError, ProtocolError


@pytest.fixture
def agent() -> Agent:
    return Agent(
        network=build("dueling_dqn", actions=4).eval(),
        protocol=preset("paper", "breakout"),
        streams=("q", "value", "advantage"),
        actions=("NOOP", "FIRE", "RIGHT", "LEFT"),
        policy="epsilon=0.05",
        facts={"algorithm": "DDDQN", "steps": 1000},
    )


def test_an_agent_comes_back_as_it_was_saved(agent: Agent, tmp_path: Path, frames: np.ndarray) -> None:
    path = save_agent(agent, tmp_path / "new" / "agent.safetensors")
    loaded = load_agent(path)
    assert loaded.protocol == agent.protocol
    assert (loaded.streams, loaded.actions, loaded.policy) == (agent.streams, agent.actions, agent.policy)
    assert loaded.facts == {"format": "policyscope", **agent.facts}
    assert loaded.fingerprint == agent.fingerprint
    with torch.no_grad():
        assert torch.equal(loaded(loaded.prepare(frames))[0]["q"], agent(agent.prepare(frames))[0]["q"])
    assert not loaded.network.training
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert load_agent(save_agent(loaded, tmp_path / "again.safetensors")).fingerprint == agent.fingerprint


def test_what_is_told_is_json_in_the_files_metadata(agent: Agent, tmp_path: Path) -> None:
    with safe_open(save_agent(agent, tmp_path / "a.safetensors"), "pt") as file:
        told = json.loads(file.metadata()["policyscope"])
    assert (told["architecture"], told["options"]) == ("dueling_dqn", {"actions": 4})
    assert told["protocol"]["game"] == "breakout"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_files_are_loaded_to_single_precision(agent: Agent, tmp_path: Path, dtype: torch.dtype) -> None:
    path = save_agent(agent, tmp_path / "a.safetensors")
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    half = {k: v.to(dtype) for k, v in load_file(path).items()}
    save_file(half, path, metadata=metadata)
    loaded = load_agent(path)
    assert loaded.dtype == torch.float32
    torch.testing.assert_close(loaded.network.state_dict()["value.2.weight"], half["value.2.weight"].float())


def test_a_network_of_unknown_making_needs_its_recipe(agent: Agent, tmp_path: Path) -> None:
    bare = replace(agent, network=DuelingDQN(4))
    with pytest.raises(CheckpointError, match="DuelingDQN cannot be saved: name its architecture="):
        save_agent(bare, tmp_path / "a.safetensors")
    save_agent(bare, tmp_path / "a.safetensors", architecture="dueling_dqn", options={"actions": 4})
    with pytest.raises(CheckpointError, match="want"):
        save_agent(bare, tmp_path / "b.safetensors", architecture="dueling_dqn", options={"actions": 5})
    assert load_agent(tmp_path / "a.safetensors").fingerprint == bare.fingerprint
    assert not (tmp_path / "b.safetensors").exists()


def test_continuous_bounds_and_an_environment_survive(tmp_path: Path) -> None:
    features = {"shape": [3, 96, 96], "width": 8}
    network = build("sb3_continuous", actions=2, features=features, inputs=8, hidden=[8]).eval()
    protocol = replace(preset("modern"), env="CarRacing-v3", colour="rgb", stack=1, size=(96, 96))
    bounds = ContinuousActions((-1.0, 0.0), (1.0, 1.0), squash=True)
    agent = Agent(network, protocol, ("policy",), ("steer", "gas"), continuous=bounds)
    loaded = load_agent(save_agent(agent, tmp_path / "a.safetensors"))
    assert (loaded.continuous, loaded.protocol, loaded.actions) == (bounds, protocol, agent.actions)


def test_another_game_renames_the_actions_or_is_refused(agent: Agent, tmp_path: Path) -> None:
    path = save_agent(agent, tmp_path / "a.safetensors")
    assert load_agent(path, policy="greedy").policy == "greedy"
    with pytest.raises(ProtocolError, match="4 actions, but pong has 6"):
        load_agent(path, game="pong")


def test_a_fingerprint_tells_weights_apart_and_nothing_else(agent: Agent) -> None:
    assert agent.fingerprint.startswith("sha256:")
    assert len(agent.fingerprint) == len("sha256:") + 16
    assert replace(agent, policy="greedy").fingerprint == agent.fingerprint
    before = agent.fingerprint
    with torch.no_grad():
        agent.network.value[2].bias.add_(1e-6)
    assert agent.fingerprint != before


LOAD = """
import sys
from policyscope.agents.loading import load_agent
from policyscope.errors import PolicyscopeError
for address in sys.argv[1:]:
    try:
        agent = load_agent(address)
        print(agent.protocol.game, agent.source)
    except PolicyscopeError as error:
        print(error)
"""


def cached(cache: Path, repository: str, name: str, contents: bytes) -> None:
    folder = cache / f"models--{repository.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True, exist_ok=True)
    (folder / "refs" / "main").write_text("a" * 40)
    target = folder / "snapshots" / ("a" * 40) / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(contents)


def test_an_agent_of_the_hub_is_found_in_the_local_cache(cleanrl_file: Path, tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed")
    cache = tmp_path / "cache"
    repository = "cleanrl/BreakoutNoFrameskip-v4-dqn_atari-seed1"
    cached(cache, repository, "dqn_atari.cleanrl_model", cleanrl_file.read_bytes())
    cached(cache, repository, "README.md", b"# DQN")
    # The client reads its settings when it is imported, so that it needs a process of its own.
    environment = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_CACHE": str(cache),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }

    named = f"hf:{repository}:dqn_atari.cleanrl_model"
    command = [sys.executable, "-c", LOAD, f"hf:{repository}", named, "hf:nobody/nothing"]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()
    assert told[:2] == [f"breakout hf:{repository}", f"breakout {named}"]
    assert "hf:nobody/nothing could not be fetched, and is not in the local cache" in told[2]
    assert len(told) == 3


def test_the_one_checkpoint_of_a_repository_is_chosen() -> None:
    assert choose(["README.md", "replay.mp4", "dqn-Pong.zip"], "hf:a/b") == "dqn-Pong.zip"
    zoo_files = [
        "README.md",
        "args.yml",
        "dqn-Pong.zip",
        "dqn-Pong/policy.pth",
        "train_eval_metrics.zip",
        "old/dqn.zip",
    ]
    assert choose(zoo_files, "hf:sb3/dqn-Pong") == "dqn-Pong.zip"
    with pytest.raises(CheckpointError, match=r"choose one, hf:a/b:FILE, of x.zip, y.zip"):
        choose(["x.zip", "y.zip"], "hf:a/b")
    with pytest.raises(CheckpointError, match=r"no file of hf:a/b is a checkpoint \(.safetensors, .*; it holds README"):
        choose(["README.md"], "hf:a/b")
    with pytest.raises(CheckpointError, match=r"hf:a/b is a checkpoint .*; it is empty"):
        choose([], "hf:a/b")


def test_a_repository_in_the_cache_is_found_where_the_hub_cannot_be_reached(
    tmp_path: Path, cleanrl_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed")

    class NoRouteError(Exception):
        """Of whichever HTTP library it is."""

    def unreachable(repository: str) -> list[str]:
        raise NoRouteError("[Errno -2] Name or service not known")

    fetched: list[str] = []

    def download(repository: str, file: str) -> str:
        fetched.append(file)
        return str(cleanrl_file.parent / file)

    def local(repository: str, local_files_only: bool) -> str:
        if repository == "nobody/nothing":
            raise FileNotFoundError("Cannot find an appropriate cached snapshot folder")
        return str(cleanrl_file.parent)

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "list_repo_files", unreachable)
    monkeypatch.setattr(hub, "snapshot_download", local)
    monkeypatch.setattr(hub, "hf_hub_download", download)
    (cleanrl_file.parent / "config.yml").touch()
    (cleanrl_file.parent / "replay.mp4").touch()
    assert load_agent("hf:somebody/dqn-BreakoutNoFrameskip-v4").protocol.game == "breakout"
    assert fetched == ["config.yml", cleanrl_file.name]
    with pytest.raises(CheckpointError, match=r"not in the local cache: \[Errno -2\] Name or service not known$"):
        load_agent("hf:nobody/nothing")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "404 Client Error. (Request ID: Root=1-68;a-b)\n\nRepository Not Found for url: https://hf.co/api/models/a/b.\n"
            "Please make sure you specified the correct `repo_id`.",
            "Repository Not Found for url: https://hf.co/api/models/a/b",
        ),
        ("An error happened while trying " + "to locate the file " * 12 + "in v1.2 of it. Please check.", None),
        ("504 Server Error. (Request ID: x)", "504 Server Error"),
        ("", "ValueError"),
    ],
)
def test_what_the_hub_says_is_told_in_its_first_whole_sentence(text: str, sentence: str | None) -> None:
    assert first_sentence(ValueError(text)) == (sentence or text.removesuffix(". Please check."))


def test_the_hub_without_its_client_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match=r"policyscope\[hub\]"):
        load_agent("hf:cleanrl/whatever")


def test_an_address_that_is_none_is_told() -> None:
    pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed")
    with pytest.raises(CheckpointError, match="not of the form hf:ORG/REPO"):
        load_agent("hf:justone")
