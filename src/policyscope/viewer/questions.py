"""What if the network had seen something else, and where does it look into a box?"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from policyscope.agents.agent import Agent
from policyscope.episodes.episode import Episode
from policyscope.episodes.picture import arranged
from policyscope.episodes.policy import Policy, choose
from policyscope.errors import TargetError
from policyscope.rendering.sources import as_bytes, frames, value_range
from policyscope.saliency.perturbation import Regions, gaussian_blur
from policyscope.saliency.resize import to_size
from policyscope.storage import Array
from policyscope.viewer.computing import LONGEST
from policyscope.viewer.encoding import pack_pictures

HOW = ("blur", "mean", "zero", "shuffle", "freeze")
Region = tuple[int, int, int, int]
"""Top, left, height and width, in pixels of the observation."""


@dataclass(frozen=True)
class Edit:
    """A change of what the network saw in one step.

    Attributes:
        step: Row of the episode.
        region: What is changed; None for the whole picture.
        lags: The frames in which it is changed, counted back from the newest.
        how: ``blur`` with a Gaussian of standard deviation 3, as the perturbation methods do; ``mean``, the region's
            own in each colour; ``zero``, in the values that were recorded; ``shuffle`` the region's pixels;
            ``freeze``: the region stays as it was before, that is, it shows the next older frame that is not
            itself frozen (of lag 0 that is lag 1, of lags 0 and 1 both times lag 2). The oldest frame of an
            observation shows what came before it; where the episode begins, nothing did, and it stays.
    """

    step: int
    region: Region | None
    lags: tuple[int, ...]
    how: str

    @classmethod
    def of(cls, question: Mapping[str, Any], agent: Agent, episode: Episode) -> Edit:
        """An edit from what a page sent.

        Raises:
            TargetError: A value is missing or out of range.
        """
        step: Any = question.get("step")
        how, lags = question.get("how"), question.get("lags")
        if not _whole(step) or not 0 <= step < len(episode):
            raise TargetError(f"no step {step!r}: the episode has {len(episode)}, from 0")
        if how not in HOW:
            raise TargetError(f"no edit {how!r}; there are: {', '.join(HOW)}")
        count = LONGEST if agent.memory_size else agent.protocol.stack
        if not isinstance(lags, list) or not lags or not all(_whole(lag) and 0 <= lag < count for lag in lags):
            raise TargetError(f"lags are some of 0 to {count - 1}, not {lags!r}")
        size = frames(np.asarray(episode.observations[step : step + 1]), agent.protocol).shape[2:4]
        region = question.get("region")
        return cls(step, None if region is None else region_of(region, size), tuple(sorted(set(lags))), how)


def region_of(value: Any, size: Sequence[int]) -> Region:
    """A box, cut off at the picture's edges.

    Raises:
        TargetError: It is none, or lies outside.
    """
    if isinstance(value, list) and len(value) == 4 and all(_whole(part) for part in value):
        top, left = max(value[0], 0), max(value[1], 0)
        bottom, right = min(value[0] + value[2], size[0]), min(value[1] + value[3], size[1])
        if bottom > top and right > left:
            return top, left, bottom - top, right - left
    raise TargetError(f"a region is [top, left, height, width] within {size[0]} x {size[1]}, not {value!r}")


def answer(agent: Agent, episode: Episode, edit: Edit) -> dict[str, Any]:
    """What the network says before and after an edit.

    A recurrent network goes on from the memory that was recorded before the oldest frame that is edited.

    Args:
        agent: Who is asked.
        episode: What was played, with that agent's memories.
        edit: What is changed.

    Returns:
        ``before`` and ``after`` (stream -> numbers), ``actions`` (the best ones), ``probabilities`` where the agent
        has logits, and ``picture``: every frame after the edit, the newest on the left, as an address that holds it.
    """
    window = 1 + max(edit.lags) if agent.memory_size else 1
    # One more than the network is given: what the oldest frame shows when it is frozen.
    past = _past(episode, edit.step, window + 1)
    seen = frames(np.asarray(episode.observations[past]).astype(np.float32), agent.protocol)
    window = min(window, len(past))
    changed = edited(seen, window, edit)
    memory = None if episode.memories is None else episode.memories[past[window - 1]]
    streams = _streams(agent, np.stack([seen[:window], changed]), memory)
    told = [{name: values[row].tolist() for name, values in streams.items()} for row in range(2)]
    best = [choose(Policy("greedy"), agent, {k: v[row] for k, v in streams.items()}, 0, 0) for row in range(2)]
    found: dict[str, Any] = {
        "before": told[0],
        "after": told[1],
        "actions": {when: np.asarray(action).tolist() for when, action in zip(("before", "after"), best, strict=True)},
        "picture": _picture(by_lag(changed), episode),
    }
    if "policy" in streams and agent.continuous is None:
        chances = torch.from_numpy(streams["policy"]).softmax(dim=1)
        found["probabilities"] = {"before": chances[0].tolist(), "after": chances[1].tolist()}
    return found


def edited(seen: Array, window: int, edit: Edit) -> Array:
    """The frames that the network is given after an edit.

    Args:
        seen: (n, stack, H, W, colours) float32: observations and their frames, the newest first in both; what is
            behind ``window`` is only shown where frames are frozen.
        window: Observations that the network is given.
        edit: What is changed. The frame of lag k is every observation's that has it.

    Returns:
        (window, stack, H, W, colours) float32.
    """
    given = by_lag(seen)
    height, width = seen.shape[2:4]
    top, left, tall, wide = edit.region or (0, 0, height, width)
    box = (slice(top, top + tall), slice(left, left + wide))
    changed = seen[:window].copy()
    for lag in edit.lags:
        if lag >= len(given):
            continue
        older = [other for other in range(lag + 1, len(given)) if other not in edit.lags]
        source = given[older[0] if older else len(given) - 1] if edit.how == "freeze" else given[lag]
        patch = _changed(source, box, edit, lag)
        for row in range(window):
            if 0 <= lag - row < seen.shape[1]:
                changed[(row, lag - row, *box)] = patch
    return changed


def by_lag(seen: Array) -> Array:
    """Each frame once, newest first: (n, stack, H, W, colours) -> (n + stack - 1, H, W, colours)."""
    return np.concatenate([seen[:, 0], seen[-1, 1:]])


@dataclass(frozen=True)
class Found:
    """Where a panel looks into a box.

    Attributes:
        steps: Rows in which more than the asked share of the map falls into it.
        shares: Of each of them.
    """

    steps: list[int]
    shares: list[float]


def inside(
    read: Callable[[int, int], Array], rows: range, size: tuple[int, int], region: Region, share: float
) -> Found:
    """Rows in which more than a share of |map| falls into a box.

    Args:
        read: (start, stop) -> maps (n, h, w) at the layer's own size.
        rows: Which rows are searched, in blocks of the range's step.
        size: Height and width of the observation.
        region: The box in it.
        share: From 0 to 1.
    """
    top, left, height, width = region
    steps, shares = [], []
    for start in rows:
        maps = torch.from_numpy(np.ascontiguousarray(read(start, min(start + rows.step, rows.stop)), np.float32))
        whole = to_size(maps, size).abs_()
        sums, parts = whole.sum(dim=(1, 2)), whole[:, top : top + height, left : left + width].sum(dim=(1, 2))
        part = torch.where(sums > 0, parts / sums.clamp(min=torch.finfo(sums.dtype).tiny), torch.zeros_like(sums))
        found = torch.nonzero(part > share)[:, 0]
        steps += (found + start).tolist()
        shares += part[found].tolist()
    return Found(steps, shares)


def share_of(question: Mapping[str, Any]) -> float:
    """The share that a question asks for.

    Raises:
        TargetError: It is none.
    """
    share = question.get("share")
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share < 1:
        raise TargetError(f"a share is a number from 0 to below 1, not {share!r}")
    return float(share)


def _past(episode: Episode, step: int, count: int) -> Array:
    """Up to ``count`` rows back from a step, the newest first, none of another game."""
    began = np.flatnonzero(episode.starts[: step + 1])
    first = int(began[-1]) if len(began) else 0
    return np.arange(step, max(step - count, first - 1), -1)


def _changed(source: Array, box: tuple[slice, slice], edit: Edit, lag: int) -> Array:
    patch = source[box]
    if edit.how == "blur":
        planes = torch.from_numpy(np.ascontiguousarray(source.transpose(2, 0, 1)))
        return np.asarray(gaussian_blur(planes, Regions().blur).numpy().transpose(1, 2, 0)[box])
    if edit.how == "mean":
        return np.broadcast_to(patch.mean(axis=(0, 1)), patch.shape)
    if edit.how == "zero":
        return np.zeros_like(patch)
    if edit.how == "shuffle":
        pixels = patch.reshape(-1, patch.shape[2])
        return np.random.default_rng([edit.step, lag]).permutation(pixels).reshape(patch.shape)
    return patch


def _streams(agent: Agent, seen: Array, memory: Array | None) -> dict[str, Array]:
    """Streams (n, k) after (n, window, stack, H, W, colours), whose observations and frames are newest first."""
    device, dtype = agent.device, agent.dtype
    with torch.inference_mode():
        carried = None
        if agent.memory_size and memory is not None:
            carried = torch.as_tensor(memory).to(device, dtype).expand(len(seen), -1)
        for step in range(seen.shape[1] - 1, -1, -1):
            stacks = [arranged(state[step, ::-1], agent.protocol.layout) for state in seen]
            inputs = agent.protocol.scaled(torch.from_numpy(np.stack(stacks)).to(device), dtype)
            streams, carried = agent(inputs, carried)
        return {name: values.float().reshape(len(seen), -1).cpu().numpy() for name, values in streams.items()}


def _picture(pictures: Array, episode: Episode) -> str:
    """Pictures side by side, as an address that holds them."""
    limits = value_range(np.asarray(episode.observations[:1]))
    row = np.concatenate(list(as_bytes(pictures, limits)), axis=1)
    sheet = pack_pictures(row[None])
    return "data:image/webp;base64," + base64.b64encode(sheet.data).decode("ascii")


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
