"""The file of an agent of the zoo: as small as its maps allow, and what that costs them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import policyscope as ps
from policyscope.storage import replacing

TYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
METHODS = ("gradient", "guided_backprop", "grad_cam", "g1_grad_cam", "full_grad")
ALIKE = 0.99
"""Least rank correlation of maps that 16-bit weights must keep."""


def store(agent: ps.Agent, path: Path, dtype: str) -> tuple[str, dict[str, float]]:
    """Writes an agent's file in the smallest type whose maps are like those of the trained weights.

    Returns:
        The type, and for each method the least rank correlation.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if dtype == "float32":  # nothing is rounded, and there may be no maps: the paper's broken agents have no gradient
        write(agent, path, TYPES[dtype])
        return dtype, dict.fromkeys(METHODS, 1.0)
    tried: dict[str, dict[str, float]] = {}
    episode = ps.play(agent, 200, seed=5)
    for name in ("float16", "bfloat16") if dtype == "auto" else (dtype,):
        write(agent, path, TYPES[name])
        tried[name] = same_maps(agent, ps.load_agent(path), episode)
        print(f"{name}: " + ", ".join(f"{m} {c:.4f}" for m, c in tried[name].items()))
    best = max(tried, key=lambda name: min(tried[name].values()))
    if dtype == "auto" and min(tried[best].values()) < ALIKE:
        best, tried = "float32", {"float32": dict.fromkeys(METHODS, 1.0)}
    write(agent, path, TYPES[best])
    return best, tried[best]


def write(agent: ps.Agent, path: Path, dtype: torch.dtype) -> None:
    """Writes an agent's file with its matrices in a type.

    They are nearly all of its size. Convolutions and biases stay as they are: rounded, they cost Grad-CAM a rank
    correlation of 0.07 where a state's map is nearly zero (zoo:breakout-dddqn, float16), and would save 2 % of a file.
    So do buffers, such as C51's support.
    """
    ps.save_agent(agent, path)
    with safe_open(path, "pt") as opened:
        metadata = opened.metadata()
    matrices = {name for name, value in agent.network.named_parameters() if value.dim() == 2}
    state = {k: v.to(dtype) if k in matrices else v for k, v in load_file(path).items()}
    with replacing(path) as part:
        save_file(state, part, metadata)
    trained, loaded = agent.network.state_dict(), ps.load_agent(path).network.state_dict()
    for name, value in state.items():
        if loaded[name].dtype != trained[name].dtype or not torch.equal(loaded[name], value.to(trained[name].dtype)):
            raise SystemExit(f"{path} does not load as it was stored: {name}")


def same_maps(agent: ps.Agent, stored: ps.Agent, episode: ps.Episode) -> dict[str, float]:
    """Rank correlation between the maps of the trained and the stored weights, the least over some states."""
    first, second = (ps.explain(a, episode, METHODS, action="taken") for a in (agent, stored))
    states = range(20, len(episode), 5)
    return {m: min(alike(first[m][i].ravel(), second[m][i].ravel()) for i in states) for m in METHODS}


def alike(one: np.ndarray, other: np.ndarray) -> float:
    """Rank correlation of two maps; a map without any contrast is like an equal one alone."""
    from scipy.stats import spearmanr

    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return float(np.array_equal(one, other))
    return float(spearmanr(one, other).statistic)
