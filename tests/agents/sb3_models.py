"""Models of Stable-Baselines3, saved by the library itself."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack

STEER = spaces.Box(np.array([-1, 0, 0], np.float32), np.array([1, 2, 1], np.float32))


class Pictures(gymnasium.Env):
    """Noise of any space, for models that need an environment to be made."""

    def __init__(self, observations: spaces.Space | None = None, actions: spaces.Space | None = None) -> None:
        self.observation_space = observations or spaces.Box(0, 255, (84, 84, 1), np.uint8)
        self.action_space = actions or spaces.Discrete(4)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return self.observation_space.sample(), 0.0, False, False, {}


def stacked() -> VecFrameStack:
    return VecFrameStack(DummyVecEnv([Pictures]), 4)


def coloured(actions: spaces.Space | None = None, side: int = 64) -> Pictures:
    return Pictures(spaces.Box(0, 255, (side, side, 3), np.uint8), actions)


def saved(model: Any, tmp_path: Path, name: str = "model") -> str:
    # Fresh value and action heads are nearly zero, which would hide a wrong latent.
    with torch.no_grad():
        for key, value in model.policy.named_parameters():
            if "features_extractor" not in key:
                value.add_(0.05 * torch.randn_like(value))
    model.policy.set_training_mode(False)
    model.save(tmp_path / name)
    return str(tmp_path / f"{name}.zip")


def streams(agent: Any, observations: np.ndarray) -> dict[str, torch.Tensor]:
    with torch.no_grad():
        return agent(agent.prepare(observations))[0]


def same(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    torch.testing.assert_close(ours, theirs.detach(), atol=1e-6, rtol=1e-6)
    assert theirs.std() > 1e-4


def rewritten(path: str, target: Path, **members: bytes | None) -> Path:
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            contents = members.get(name.replace(".", "_"), old.read(name))
            if contents is not None:
                new.writestr(name, contents)
    return target
