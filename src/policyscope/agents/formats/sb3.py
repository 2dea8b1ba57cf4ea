"""Stable-Baselines3 zips, read without that library: ``data`` as text, ``policy.pth`` as weights only.

Entries of ``data`` named ``:serialized:`` are pickles and stay closed; their plain neighbours tell the spaces.
"""

from __future__ import annotations

import io
import json
from typing import Any

from policyscope.agents.agent import Agent, ContinuousActions
from policyscope.agents.checkpoint import Checkpoint, load_torch
from policyscope.agents.formats import sb3_folder
from policyscope.agents.formats.sb3_network import network_of
from policyscope.agents.formats.sb3_spaces import Image, actions_of, image_of, plain
from policyscope.agents.protocol import Protocol
from policyscope.agents.weights import find_state, restore
from policyscope.agents.wishes import Wishes
from policyscope.errors import CheckpointError


def recognise(file: Checkpoint, wishes: Wishes) -> bool:
    """By the names of the files in the archive."""
    return {"data", "policy.pth"} <= file.members.keys()


def load(file: Checkpoint, wishes: Wishes) -> Agent:
    """The agent of any image policy of Stable-Baselines3 or sb3-contrib."""
    data = _data(file)
    state = find_state(load_torch(io.BytesIO(file.member("policy.pth")), f"policy.pth in {file.name}"), file.name)
    sb3_folder.check_normalisation(file, wishes)
    options = plain(data.get("policy_kwargs"))
    image = image_of(data.get("observation_space"), file.name)
    actions = actions_of(data.get("action_space"), file.name)
    built = network_of(state, options, image, actions.count, wishes, file.name)
    network = restore(built.architecture, built.options, built.state, file.name)
    hints = (*file.hints, *sb3_folder.environments(file.path))
    protocol = wishes.settle("sb3", hints, file.name, **_picture(image, options))
    if tuple(protocol.observation_shape) != image.shape:
        raise CheckpointError(
            f"{file.name} was trained on observations of shape {image.shape}, but the protocol {protocol.name!r} makes "
            f"{tuple(protocol.observation_shape)}"
        )
    bounds = None
    if actions.low:
        bounds = ContinuousActions(actions.low, actions.high, squash=built.squash)
        names = tuple(f"action {number}" for number in range(actions.count))
    else:
        protocol, names = wishes.with_actions(protocol, actions.count, file.name)
    algorithm = built.algorithm
    if algorithm == "A2C" and ("n_epochs" in data or "clip_range" in data):
        algorithm = "PPO"
    facts = {k: data[v] for k, v in (("steps", "num_timesteps"), ("seed", "seed")) if data.get(v) is not None}
    return Agent(
        network=network,
        protocol=protocol,
        streams=built.streams,
        actions=names,
        policy=wishes.policy or _policy(built.streams, bounds, protocol, data),
        continuous=bounds,
        source=file.name,
        facts={"format": "stable-baselines3", "algorithm": algorithm, **facts, **built.facts},
    )


def _data(file: Checkpoint) -> dict[str, Any]:
    try:
        data = json.loads(file.member("data", limit=256 << 20))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"data in {file.name} is no JSON ({error}); is it a Stable-Baselines3 zip?") from error
    if not isinstance(data, dict):
        raise CheckpointError(f"data in {file.name} is no JSON object; is it a Stable-Baselines3 zip?")
    return data


def _picture(image: Image, options: dict[str, Any]) -> dict[str, Any]:
    """What the observation space tells about the protocol."""
    channels, height, width = image.shape
    # Three channels are one coloured frame far more often than three grey ones; --protocol says otherwise.
    colours = 3 if channels % 3 == 0 else 1
    scaled = image.bytes and str(options.get("normalize_images", True)) != "False"
    return {
        "size": (height, width),
        "stack": channels // colours,
        "colour": "rgb" if colours == 3 else "grey",
        "scale": 255.0 if scaled else 1.0,
    }


def _policy(
    streams: tuple[str, ...], bounds: ContinuousActions | None, protocol: Protocol, data: dict[str, Any]
) -> str:
    """As rl-baselines3-zoo plays them: Atari agents with the noise they were trained with, others without."""
    if bounds is not None or protocol.game is None:
        return "greedy"
    if "q" not in streams:
        return "sample"
    noise = data.get("exploration_final_eps")
    return f"epsilon={noise}" if isinstance(noise, float) and 0 < noise <= 0.1 else "greedy"
