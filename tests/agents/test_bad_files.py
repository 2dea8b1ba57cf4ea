"""What is no agent, or should not be trusted, is refused in one line and never run."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from policyscope.agents.loading import load_agent
from policyscope.agents.networks import build
from policyscope.errors import CheckpointError, PolicyscopeError, ProtocolError


def refusal(path: Path, error: type[PolicyscopeError] = CheckpointError, **wishes: Any) -> str:
    with pytest.raises(error) as caught:
        load_agent(path, **wishes)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_a_missing_file_is_told_with_what_lies_beside_it(tmp_path: Path) -> None:
    (tmp_path / "other.zip").touch()
    assert refusal(tmp_path / "agent.zip") == f"no file {tmp_path / 'agent.zip'}; {tmp_path} has other.zip"


def test_of_a_run_of_our_trainers_the_newest_agent_is_taken(shelf: Any, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    shelf.add("little", run)
    (run / "little.safetensors").rename(run / "agent.safetensors")
    for name in ("optimiser-00001000.safetensors", "saliency.safetensors"):
        (run / name).write_bytes(b"none")
    assert load_agent(run).source == str(run)


def test_a_folder_without_one_checkpoint_is_told_with_what_it_holds(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    (folder / "ppo_2").mkdir(parents=True)
    (folder / "ppo_1").mkdir()
    assert refusal(folder).startswith(f"no file of {folder} is a checkpoint (.safetensors, .zip,")
    assert refusal(folder).endswith("; it holds ppo_1/, ppo_2/")
    assert refusal(folder / "ppo_1").endswith("; it is empty")
    for name in ("last.zip", "best.zip"):
        (folder / name).touch()
    assert refusal(folder) == f"{folder} has several checkpoints: choose one, {folder}/FILE, of best.zip, last.zip"


class Intruder:
    """Unpickling it would create a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("kind", ["torch", "legacy", "pickle", "old pickle", "gzip", "nested", "zip", "pickle in zip"])
def test_a_pickle_that_would_run_code_is_refused_and_never_run(tmp_path: Path, kind: str) -> None:
    mark, path = tmp_path / "intruded", tmp_path / "agent.pth"
    intruder = Intruder(mark)
    if kind == "torch":
        torch.save(intruder, path)
    elif kind == "legacy":
        torch.save({"state_dict": intruder}, path, _use_new_zipfile_serialization=False)
    elif kind == "pickle":
        path.write_bytes(pickle.dumps(intruder))
    elif kind == "old pickle":
        path.write_bytes(pickle.dumps(intruder, protocol=2))
    elif kind == "gzip":
        path.write_bytes(gzip.compress(torch_file(intruder), 1))
    elif kind in ("zip", "pickle in zip"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("data", "{}")
            archive.writestr("policy.pth", torch_file(intruder) if kind == "zip" else pickle.dumps(intruder))
    else:
        torch.save({"network.0.weight": torch.zeros(2), "extra": intruder}, path)
    for network in (None, nn.Linear(2, 2)):
        text = refusal(path, game="breakout", network=network)
        assert not mark.exists()
        assert "so it was not loaded: save the network's state_dict" in text
        assert ("plain pickle" if kind.startswith("pickle") else os.mkdir.__module__ + ".mkdir") in text


def torch_file(saved: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(saved, buffer)
    return buffer.getvalue()


def test_truncated_files_are_told_as_such(tmp_path: Path, cleanrl_file: Path) -> None:
    contents = cleanrl_file.read_bytes()
    for length in (0, 3, 200, len(contents) // 2):
        cleanrl_file.write_bytes(contents[:length])
        assert any(word in refusal(cleanrl_file) for word in ("truncated", "empty", "read safely")), length
    packed = tmp_path / "model_1.gz"
    packed.write_bytes(gzip.compress(contents, 1)[:1000])
    assert "truncated" in refusal(packed)


@pytest.mark.parametrize(
    "contents", [b"\x89PNG\r\n\x1a\n rest", b"just a text\n", b"\x92\xc2\xff\x01W", b'{"json": 1}']
)
def test_foreign_files_are_told_with_the_formats_that_are_known(tmp_path: Path, contents: bytes) -> None:
    path = tmp_path / "agent.bin"
    path.write_bytes(contents)
    assert "Stable-Baselines3 zip" in refusal(path)


def test_weights_of_the_wrong_shape_are_named_with_both_shapes(cleanrl_file: Path) -> None:
    state = torch.load(cleanrl_file, weights_only=True)
    state["network.7.weight"] = torch.zeros(512, 99)
    torch.save(state, cleanrl_file)
    assert "'network.7.weight'" in (text := refusal(cleanrl_file))
    assert "(512, 99)" in text
    assert "(512, 3136)" in text


def test_missing_weights_are_named(cleanrl_file: Path) -> None:
    state = torch.load(cleanrl_file, weights_only=True)
    del state["network.4.bias"]
    torch.save(state, cleanrl_file)
    assert "lacks the weights 'network.4.bias'" in refusal(cleanrl_file)


@pytest.mark.parametrize(("value", "word"), [(float("nan"), "NaN"), (float("inf"), "infinity")])
def test_weights_of_a_diverged_run_are_refused(cleanrl_file: Path, value: float, word: str) -> None:
    state = torch.load(cleanrl_file, weights_only=True)
    state["network.2.weight"][0, 0, 0, 0] = value
    torch.save(state, cleanrl_file)
    assert f"'network.2.weight' of {cleanrl_file} hold {word}" in refusal(cleanrl_file)


def test_a_game_that_there_is_not_is_told_with_those_like_it(cleanrl_file: Path) -> None:
    assert "breakout" in refusal(cleanrl_file, ProtocolError, game="brekout")


def test_a_game_with_other_actions_is_told(cleanrl_file: Path) -> None:
    assert "4 actions, but seaquest has 18" in refusal(cleanrl_file, ProtocolError, game="seaquest")


def test_a_protocol_that_does_not_fit_the_network_is_told(cleanrl_file: Path) -> None:
    assert "(1, 80, 80)" in refusal(cleanrl_file, ProtocolError, protocol="baby-a3c")


def test_a_device_that_there_is_not_is_told(cleanrl_file: Path) -> None:
    assert "no device" in refusal(cleanrl_file, device="cuda:99")
    assert "no device" in refusal(cleanrl_file, device="toaster")


FLAX = {
    "dqn_atari_jax.cleanrl_model": b"\x81\xa6params\x81\xa6Conv_0\x82\xa6kernel\xc7",
    "ppo_atari_envpool_xla_jax.cleanrl_model": b"\x82\xa10\xde\x00\x1c\xa8exp_name\xd9\x20",
    "many.cleanrl_model": b"\xde\x00\x14\xa2k0\x81\xa6params\x81",
    "params.msgpack": b"\x81\xa6params\x81\xa6Conv_0\x82",
    "ckpt.199": b"\x80\x04\x95",
}


@pytest.mark.parametrize("name", [*FLAX, "orbax", "dopamine"])
def test_jax_checkpoints_say_what_to_do(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name in FLAX:
        path.write_bytes(FLAX[name])
    else:
        path.mkdir()
        held = ("_CHECKPOINT_METADATA",) if name == "orbax" else ("ckpt.199", "add_count_ckpt.199.gz")
        for file in held:
            (path / file).write_bytes(b"\x81\xa6params\x81")
    assert "JAX checkpoint: copy its arrays into a torch network" in refusal(path, game="breakout")


def test_tensorflow_checkpoints_are_told_as_such_and_torch_ones_may_have_their_names(tmp_path: Path) -> None:
    (tmp_path / "tf_ckpt-199.index").write_bytes(b"\0\0table")
    assert "is a TensorFlow checkpoint" in refusal(tmp_path / "tf_ckpt-199.index", game="pong")
    network = nn.Sequential(nn.Flatten(), nn.Linear(4 * 84 * 84, 6))
    for name in ("ckpt-1000.pt", "ckpt.1000"):
        torch.save(network.state_dict(), tmp_path / name)
        assert load_agent(tmp_path / name, game="pong", network=network).streams == ("q",)


def test_a_bomb_in_gzip_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "model_1.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(80):
            file.write(b"\0" * (1 << 20))
    assert "unpacks to more than" in refusal(path, game="pong")


def test_tensors_that_claim_more_than_they_hold_are_not_spread_out(cleanrl_file: Path) -> None:
    state = torch.load(cleanrl_file, weights_only=True)
    state["network.7.weight"] = torch.zeros(1).expand(1 << 20, 1 << 20)
    torch.save(state, cleanrl_file)
    assert "(1048576, 1048576)" in refusal(cleanrl_file)


def test_safetensors_that_lie_about_themselves_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "agent.safetensors"
    described = {
        "architecture": "dueling_dqn",
        "options": {"actions": 4, "hidden": 1 << 40},
        "protocol": {"name": "modern", "game": "breakout"},
        "streams": ["q"],
        "actions": ["NOOP"],
    }

    def header(**changes: Any) -> bytes:
        text = json.dumps({"__metadata__": {"policyscope": json.dumps(described | changes)}}).encode()
        return struct.pack("<Q", len(text)) + text

    path.write_bytes(header())
    assert "lacks the weights 'body.0.weight'" in refusal(path)
    path.write_bytes(header(architecture="dream"))
    assert "no network 'dream'; known are dqn" in refusal(path)
    path.write_bytes(header(version=99))
    assert "newer policyscope" in refusal(path)
    path.write_bytes(header(options={"colour": 1}))
    assert "cannot be built from" in refusal(path)
    path.write_bytes(header(protocol={"name": "modern", "sticky": "often"}))
    refusal(path, PolicyscopeError)
    path.write_bytes(struct.pack("<Q", 40) + b'{"a": ' + b" " * 60)
    assert "damaged safetensors" in refusal(path)
    save_file(build("dqn", actions=4).state_dict(), path)
    assert "unknown network" in refusal(path, game="breakout")


def test_an_unreadable_npz_of_statistics_is_told(cleanrl_file: Path, tmp_path: Path) -> None:
    assert "no file" in refusal(cleanrl_file, normalise=tmp_path / "no.npz")
    (tmp_path / "bad.npz").write_bytes(pickle.dumps({"mean": 1}))
    assert "npz file with mean and var" in refusal(cleanrl_file, normalise=tmp_path / "bad.npz")
    np.savez(tmp_path / "small.npz", mean=np.zeros(3), var=np.ones(3))
    assert "mean in" in refusal(cleanrl_file, normalise=tmp_path / "small.npz")


@pytest.mark.parametrize("kind", ["torch", "legacy", "safetensors", "gzip"])
def test_a_file_that_is_damaged_anywhere_is_loaded_or_refused_but_never_breaks(tmp_path: Path, kind: str) -> None:
    state = {
        "conv1.weight": torch.randn(32, 1, 3, 3),
        **{f"conv{i}.weight": torch.randn(32, 32, 3, 3) for i in (2, 3, 4)},
        **{f"conv{i}.bias": torch.randn(32) for i in (1, 2, 3, 4)},
    }
    path = tmp_path / "small"
    if kind == "safetensors":
        save_file(state, path, metadata={"policyscope": "{}"})
    else:
        torch.save(state, path, _use_new_zipfile_serialization=kind != "legacy")
    contents = path.read_bytes()
    if kind == "gzip":
        contents = gzip.compress(contents, 1)
    places = np.random.default_rng(0).integers(0, len(contents), 200)
    for place in [*range(0, 40), *places.tolist()]:
        damaged = bytearray(contents)
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        with pytest.raises(PolicyscopeError) as caught:
            load_agent(path, game="breakout")
        assert "\n" not in str(caught.value)
