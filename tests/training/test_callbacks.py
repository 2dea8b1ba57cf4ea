"""The callbacks inside the trainers of other people."""

from __future__ import annotations

import builtins
import importlib
import runpy
import sys
import types
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from sb3_contrib import QRDQN, RecurrentPPO
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.logger import KVWriter, Logger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from policyscope.errors import MissingExtraError, ProtocolError
from policyscope.training.callbacks.stable_baselines3 import SaliencyCallback
from policyscope.training.callbacks.weights_and_biases import log, send
from policyscope.training.probe import SaliencyProbe
from policyscope.training.probe.film import gif

ROOT = Path(__file__).parents[2]


class Crossing(gymnasium.Env):
    """A block crosses a picture of four frames; the action that matches its side is rewarded."""

    def __init__(self, channels_last: bool = False, actions: spaces.Space | None = None) -> None:
        self.channels_last = channels_last
        shape = (36, 36, 4) if channels_last else (4, 36, 36)
        self.observation_space = spaces.Box(0, 255, shape, np.uint8)
        self.action_space = actions or spaces.Discrete(3)
        self.time = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.time = 0
        return self.picture(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.time += 1
        return self.picture(), 1.0, self.time >= 20, False, {}

    def picture(self) -> np.ndarray:
        frames = np.full((4, 36, 36), 30, np.uint8)
        for place in range(4):
            left = (self.time + place) % 30
            frames[place, 15:20, left : left + 5] = 220
        return frames.transpose(1, 2, 0) if self.channels_last else frames


class Kept(KVWriter):
    """Everything that was logged."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, Any], step: int = 0) -> None:
        self.rows.append(dict(key_values))


ON_POLICY = {"n_steps": 16}
OFF_POLICY = {"learning_starts": 20, "buffer_size": 100, "batch_size": 8}
MODELS = {
    "dqn": (DQN, OFF_POLICY, ("q",)),
    "qr-dqn": (QRDQN, OFF_POLICY, ("q",)),
    "a2c": (A2C, ON_POLICY, ("policy", "value")),
    "ppo": (PPO, ON_POLICY | {"batch_size": 16, "n_epochs": 1}, ("policy", "value")),
}


@pytest.mark.parametrize("channels_last", [False, True], ids=["channels first", "transposed"])
@pytest.mark.parametrize("name", MODELS)
def test_scalars_are_logged_beside_the_reward(name: str, channels_last: bool) -> None:
    kind, options, streams = MODELS[name]
    model = kind("CnnPolicy", Crossing(channels_last), seed=0, **options)
    kept = Kept()
    model.set_logger(Logger(None, [kept]))
    callback = SaliencyCallback(every=40, states=8, spacing=4, budget=1.0)
    model.learn(160, callback=callback, log_interval=1)
    assert callback.probe is not None
    rows = [row for row in kept.rows if f"saliency/{streams[0]}/gradient_norm" in row]
    assert len(rows) >= 2
    for stream in streams:
        assert rows[-1][f"saliency/{stream}/gradient_norm"] > 0
        assert sum(rows[-1][f"saliency/{stream}/lag_share/t-{lag}"] for lag in range(4)) == pytest.approx(1, abs=1e-5)
        assert rows[-1][f"saliency/{stream}/change_from_start"] > 0
    assert any("rollout/ep_rew_mean" in row for row in rows)


def test_the_start_is_the_untrained_network() -> None:
    model = PPO("CnnPolicy", Crossing(), seed=0, n_steps=16, batch_size=16, n_epochs=1, learning_rate=0.0)
    kept = Kept()
    model.set_logger(Logger(None, [kept]))
    model.learn(96, callback=SaliencyCallback(every=1, states=8, spacing=4, budget=1.0), log_interval=1)
    changes = [row["saliency/value/change_from_start"] for row in kept.rows if "saliency/value/change" in row]
    assert changes
    assert max(changes) < 1e-5


def test_training_goes_on_as_without_the_callback() -> None:
    def trained(callback: SaliencyCallback | None) -> list[torch.Tensor]:
        model = PPO("CnnPolicy", Crossing(), seed=3, n_steps=16, batch_size=16, n_epochs=1)
        model.learn(96, callback=callback)
        return list(model.policy.state_dict().values())

    plain, watched = trained(None), trained(SaliencyCallback(every=8, states=4, spacing=2, budget=1.0))
    assert all(torch.equal(a, b) for a, b in zip(plain, watched, strict=True))


def test_tensorboard_gets_pictures_and_the_console_the_headlines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = DQN("CnnPolicy", Crossing(), tensorboard_log=str(tmp_path), verbose=1, seed=0, **OFF_POLICY)
    model.learn(120, callback=SaliencyCallback(every=30, states=8, spacing=4, budget=1.0), log_interval=1)
    (folder,) = tmp_path.iterdir()
    events = EventAccumulator(str(folder))
    events.Reload()
    assert events.Tags()["images"] == ["saliency/film", "saliency/maps"]
    assert "saliency/q/on_moving" in events.Tags()["scalars"]
    assert "layers/features_extractor.cnn.0/gradient_norm/q" in events.Tags()["scalars"]
    printed = capsys.readouterr().out
    assert "q/gradient_norm" in printed
    assert "cnn.0" not in printed


FILM = "saliency/film"


class FakeRun:
    """What ``wandb.init`` returns; files are read as they are logged, for they may be gone later."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, dict[str, Any]]] = []

    def log(self, row: dict[str, Any], step: int) -> None:
        read = {FILM: Path(row[FILM][1]).read_bytes()} if FILM in row else {}
        self.rows.append((step, row | read))


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> FakeRun:
    module = types.ModuleType("wandb")
    module.Image = lambda picture: ("image", picture)  # type: ignore[attr-defined]
    module.Video = lambda path: ("video", path)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wandb", module)
    return FakeRun()


def test_weights_and_biases_gets_scalars_always_and_pictures_when_asked(wandb: FakeRun) -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(4, 4, 8, 4), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(256, 3)
    )
    states = np.random.default_rng(0).integers(0, 256, (5, 4, 36, 36), np.uint8)
    probe = SaliencyProbe.for_module(network, states, scale=255.0)
    log(probe, wandb, 10)
    log(probe, wandb, 20, picture=True, film=True)
    (first, plain), (second, drawn) = wandb.rows
    assert (first, second) == (10, 20)
    assert set(plain) == set(drawn) - {"saliency/maps", FILM}
    assert all(isinstance(value, float) for value in plain.values())
    assert np.array_equal(drawn["saliency/maps"][1], probe.picture())
    assert drawn[FILM] == gif(probe.film())


def test_the_callback_gives_a_run_of_weights_and_biases_few_pictures(wandb: FakeRun) -> None:
    model = PPO("CnnPolicy", Crossing(), seed=0, n_steps=16, batch_size=16, n_epochs=1)
    model.learn(
        160, callback=SaliencyCallback(every=1, states=4, spacing=2, budget=1e9, pictures=3, films=4, run=wandb)
    )
    rows = [row for _, row in wandb.rows]
    assert len(rows) > 8
    assert all("saliency/value/gradient_norm" in row for row in rows)
    assert [i for i, row in enumerate(rows) if "saliency/maps" in row] == list(range(0, len(rows), 3))
    assert [i for i, row in enumerate(rows) if FILM in row] == list(range(0, len(rows), 4))
    assert rows[0][FILM][:6] == b"GIF89a"


def test_without_weights_and_biases_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    run = FakeRun()
    send(run, {"saliency/q/zero_share": 0.0}, 1)  # numbers need nothing but the run
    assert run.rows == [(1, {"saliency/q/zero_share": 0.0})]
    with pytest.raises(MissingExtraError, match=r"policyscope\[wandb\]"):
        send(run, {}, 1, picture=np.zeros((2, 2, 3), np.uint8))


def test_measurements_keep_to_their_share_of_the_time() -> None:
    model = PPO("CnnPolicy", Crossing(), seed=0, n_steps=16, batch_size=16, n_epochs=1)
    kept = Kept()
    model.set_logger(Logger(None, [kept]))
    model.learn(160, callback=SaliencyCallback(every=1, states=4, spacing=2, budget=1e-6), log_interval=1)
    assert sum("saliency/value/gradient_norm" in row for row in kept.rows) == 1


@pytest.mark.parametrize(
    ("actions", "stream"),
    [(spaces.Box(-1, 1, (2,), np.float32), "policy"), (spaces.MultiDiscrete([2, 3]), "logits")],
    ids=["continuous", "several choices"],
)
def test_what_is_no_single_softmax_has_no_entropy(actions: spaces.Space, stream: str) -> None:
    model = A2C("CnnPolicy", Crossing(actions=actions), n_steps=8, seed=0)
    callback = SaliencyCallback(every=1, states=4, spacing=2, budget=1.0)
    model.learn(32, callback=callback)
    assert callback.probe is not None
    scalars = callback.probe()
    assert scalars[f"saliency/{stream}/gradient_norm"] > 0
    assert "policy/entropy" not in scalars


def test_an_actor_and_a_critic_may_have_features_of_their_own() -> None:
    options = {"share_features_extractor": False}
    model = A2C("CnnPolicy", Crossing(), n_steps=8, seed=0, policy_kwargs=options)
    callback = SaliencyCallback(every=1, states=4, spacing=2, budget=1.0)
    model.learn(32, callback=callback)
    assert callback.probe is not None
    scalars = callback.probe()
    actor, critic = "layers/pi_features_extractor.cnn.0", "layers/vf_features_extractor.cnn.0"
    actor = actor if f"{actor}/active" in scalars else "layers/features_extractor.cnn.0"
    assert scalars[f"{actor}/gradient_norm/policy"] > 0 == scalars[f"{actor}/gradient_norm/value"]
    assert scalars[f"{critic}/gradient_norm/value"] > 0 == scalars[f"{critic}/gradient_norm/policy"]


def test_a_policy_with_a_memory_is_refused_in_one_line() -> None:
    model = RecurrentPPO("CnnLstmPolicy", Crossing(), n_steps=8)
    with pytest.raises(ProtocolError, match="knows DQN, QR-DQN, A2C and PPO, not RecurrentPPO"):
        model.learn(8, callback=SaliencyCallback())


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "policyscope.training.callbacks.stable_baselines3"
    real = builtins.__import__

    def without(module: str, *args: Any, **kwargs: Any) -> Any:
        if module.startswith("stable_baselines3"):
            raise ImportError(module)
        return real(module, *args, **kwargs)

    monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"policyscope\[sb3\]"):
        importlib.import_module(name)


def test_the_example_for_ones_own_loop_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = ROOT / "examples" / "cleanrl_saliency.py"
    arguments = ["--steps", "192", "--every", "64", "--learning-starts", "64", "--logs", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", [str(script), *arguments])
    runpy.run_path(str(script), run_name="__main__")
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert len(events.Scalars("saliency/q/on_moving")) == 3
    assert events.Tags()["images"] == ["saliency/maps"]
