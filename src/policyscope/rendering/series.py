"""Curves of an episode as inline SVG that stretches with the page."""

from __future__ import annotations

from html import escape
from itertools import pairwise

import numpy as np

from policyscope.rendering.facts import Curve, Facts
from policyscope.rendering.sources import Array
from policyscope.rendering.words import number

_WIDTH = 1000


def lanes(facts: Facts) -> str:
    """All curves, the rewards and the return above each other on one timeline, as HTML."""
    marks = _uprights(np.flatnonzero(facts.lost), facts, "loss") + _uprights(
        np.flatnonzero(facts.starts)[1:], facts, "start"
    )
    parts = [_curve(curve, facts, marks) for curve in facts.curves]
    parts.append(_rewards(facts, marks))
    parts.append(_curve(Curve("return", facts.returns), facts, marks))
    last = len(facts) - 1
    axis = "".join(f"<span>{'step ' if not i else ''}{last * i // 4}</span>" for i in range(5))
    return (
        f'<div class="lanes">{"".join(parts)}<div class="now"></div></div><div class="axis">{axis}</div>{_key(facts)}'
    )


def curve_path(values: Array, height: float) -> str:
    """An SVG path through (N,) values; of long episodes it keeps each column's smallest and largest."""
    values = np.asarray(values, np.float64)
    good = np.isfinite(values)
    if not good.any():
        return ""
    low, high = float(values[good].min()), float(values[good].max())
    span = high - low or 1.0
    steps = _kept(np.where(good, values, low))
    pieces, pen = [], False
    for step in steps:
        if not good[step]:
            pen = False
            continue
        y = (height - 3) - (values[step] - low) / span * (height - 6) if high > low else height / 2
        pieces.append(f"{'L' if pen else 'M'}{_x(step, len(values)):.1f} {y:.1f}")
        pen = True
    return "".join(pieces)


def _kept(values: Array) -> list[int]:
    n = len(values)
    if n <= 2 * _WIDTH:
        return list(range(n))
    edges = np.linspace(0, n, _WIDTH + 1).astype(int)
    kept: list[int] = []
    for start, stop in pairwise(edges.tolist()):
        part = values[start:stop]
        kept += sorted({start + int(part.argmin()), start + int(part.argmax())})
    return kept


def _x(step: float, n: int) -> float:
    # the middle of the frame that the video shows for this step
    return float((step + 0.5) * _WIDTH / n)


def _curve(curve: Curve, facts: Facts, marks: str) -> str:
    values = np.asarray(curve.values, np.float64)
    good = values[np.isfinite(values)]
    span = f"{number(float(good.min()))} to {number(float(good.max()))}" if good.size else "not finite"
    path = f'<path class="curve" d="{curve_path(values, 80)}"/>'
    return _lane(curve.name, span, marks + path, 80)


def _rewards(facts: Facts, marks: str) -> str:
    largest = float(np.abs(facts.rewards).max(initial=0)) or 1.0
    up: list[str] = []
    down: list[str] = []
    for step in np.flatnonzero(facts.rewards).tolist():
        reward = float(facts.rewards[step])
        size = (0.3 + 0.7 * abs(reward) / largest) * 20
        piece = f"M{_x(step, len(facts)):.1f} 24v{-size if reward > 0 else size:.1f}"
        (up if reward > 0 else down).append(piece)
    base = f'<path class="base" d="M0 24H{_WIDTH}"/>'
    bars = f'<path class="gain" d="{"".join(up)}"/><path class="fall" d="{"".join(down)}"/>'
    count = len(up) + len(down)
    return _lane("reward", f"{count} of {len(facts)} steps", marks + base + bars, 48)


def _uprights(steps: Array, facts: Facts, kind: str) -> str:
    path = "".join(f"M{_x(step, len(facts)):.1f} 0V100" for step in steps)
    return f'<path class="{kind}" d="{path}"/>' if path else ""


def _lane(name: str, span: str, drawn: str, height: int) -> str:
    label = escape(f"{name} over the episode: {span}")
    return (
        f'<div class="lane"><header><b>{escape(name)}</b><span>{escape(span)}</span></header>'
        f'<svg viewBox="0 0 {_WIDTH} {height}" height="{height}" preserveAspectRatio="none" role="img" '
        f'aria-label="{label}">{drawn}</svg></div>'
    )


def _key(facts: Facts) -> str:
    entries = [("--accent", "solid", "reward")]
    entries += [("--loss", "solid", "penalty")] if (facts.rewards < 0).any() else []
    entries += [("--loss", "dashed", f"life lost ({int(facts.lost.sum())})")] if facts.lost.any() else []
    entries += [("--quiet", "solid", "a new game begins")] if facts.starts[1:].any() else []
    marks = "".join(
        f'<span><i style="border-color:var({c});border-top-style:{s}"></i>{t}</span>' for c, s, t in entries
    )
    return f'<div class="key">{marks}</div>'
