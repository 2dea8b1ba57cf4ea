"""Observation statistics that a training wrapper kept beside the network, given as an npz file."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from policyscope.agents.agent import Agent
from policyscope.agents.networks.normalised import Normalised
from policyscope.errors import CheckpointError


def normalised(agent: Agent, path: str | Path) -> Agent:
    """The agent with observations normalised before its network sees them; the protocol's scale comes after.

    Args:
        agent: As loaded.
        path: An npz file with ``mean`` and ``var``, of the observation's shape (or with channels last), or scalars.
    """
    path = Path(path)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            mean, variance = (torch.from_numpy(np.asarray(arrays[key], dtype=np.float32)) for key in ("mean", "var"))
    except FileNotFoundError:
        raise CheckpointError(f"no file {path} for --normalise") from None
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"--normalise {path} must be an npz file with mean and var: {error}") from error
    shape = tuple(agent.protocol.observation_shape)
    last = (*shape[1:], shape[0])
    # VecNormalize keeps channels last where it wraps the environment before the channels are moved.
    if mean.shape == variance.shape == last and last != shape:
        mean, variance = mean.movedim(-1, 0), variance.movedim(-1, 0)
    for name, value in (("mean", mean), ("var", variance)):
        if tuple(value.shape) not in ((), (1,), shape):
            raise CheckpointError(f"{name} in {path} has shape {tuple(value.shape)}, but observations have {shape}")
        if not bool(torch.isfinite(value).all()) or (name == "var" and bool((value < 0).any())):
            raise CheckpointError(f"{name} in {path} holds values that no {'variance' if name == 'var' else name} has")
    network = Normalised(agent.network, mean, variance, scale=agent.protocol.scale).eval()
    facts = {**agent.facts, "normalised": path.name}
    return replace(agent, network=network, protocol=replace(agent.protocol, scale=1.0), facts=facts)
