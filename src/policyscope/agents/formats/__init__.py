"""The checkpoint formats we read; a new one is one file and one line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from policyscope.agents.agent import Agent
from policyscope.agents.checkpoint import Checkpoint
from policyscope.agents.formats import atari_agents, baby_a3c, cleanrl, jax, own, sb3, state_dict
from policyscope.agents.wishes import Wishes


@dataclass(frozen=True)
class Format:
    """How a kind of checkpoint is known, and how it becomes an agent."""

    recognise: Callable[[Checkpoint, Wishes], bool]
    load: Callable[[Checkpoint, Wishes], Agent]


FORMATS: dict[str, Format] = {
    "policyscope safetensors": Format(own.recognise, own.load),
    "Stable-Baselines3 zip": Format(sb3.recognise, sb3.load),
    "JAX checkpoint (to be converted)": Format(jax.recognise, jax.load),
    "state dict of your own network (with --network)": Format(state_dict.recognise, state_dict.load),
    "atari-agents gzip": Format(atari_agents.recognise, atari_agents.load),
    "baby-a3c": Format(baby_a3c.recognise, baby_a3c.load),
    "CleanRL state dict": Format(cleanrl.recognise, cleanrl.load),
}
"""Tried in this order; the first that recognises a file loads it."""
