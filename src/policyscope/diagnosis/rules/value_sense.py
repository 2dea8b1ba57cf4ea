"""A value stream that is strong but chaotic: it moves a lot, and has nothing to do with what is to come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from policyscope.diagnosis.examination import Examination
from policyscope.diagnosis.finding import Finding, Severity, Where
from policyscope.episodes.episode import Episode
from policyscope.storage import Array

GAMMA = 0.99
"""The documents' discount; others of use (0.95 to 0.997) give returns that go along with these."""
BLOCK, DRAWS = 25, 300
"""Steps that are drawn together, so that the interval does not take neighbours for independent; and draws."""
FEWEST = 8
"""Blocks below which nothing is said."""
RELATED = 0.2
WORSE = -0.5
"""Explained variance of a value that moves seven tenths as much as the returns do, without going along with them. One
that has learnt nothing yet is near 0, since it hardly moves."""
STRONG = -0.1
"""One that moves by less than a third of what the returns do is not strong."""
FAR_WORSE = -2.0
"""A value that moves more than the returns do: whatever the interval of the correlation, it is no forecast of them."""
IMPOSSIBLE = 1_000.0
"""No return of clipped rewards exceeds 1 / (1 - gamma), and nobody discounts by less than 0.999."""


def value_sense(examination: Examination) -> Iterator[Finding]:
    """Whether the value says anything of the return that follows.

    Explained variance is 1 - Var(G - V) / Var(G), with G the discounted sum of the rewards that followed (of their
    signs, and of them as they were: nobody tells which were learnt from). With 95 % intervals (blocks of 25 steps drawn
    anew): a warning where the correlation lies below 0.2 for both, and the explained variance below -0.1 for one; grave
    where it lies below -0.5 for both. A value that has not learnt is near 0 in both, a good one well above. Where the
    episode does not decide, a longer one is played if that is allowed. Grave too where values exceed any return.
    """
    value = examination.streams.get("value")
    if value is None or value.shape[1] != 1 or not np.isfinite(value).all():
        return
    stream, rewards = value[:, 0].astype(np.float64), examination.episode.rewards.astype(np.float64)
    largest, bound = float(np.abs(stream).max()), IMPOSSIBLE * max(float(np.abs(rewards).max(initial=0.0)), 1.0)
    where = Where("network", stream="value", layer=_first_own_layer(examination))
    if largest > bound:
        yield Finding(
            "value_sense",
            "grave",
            where,
            f"the value reaches {largest:,.0f}, which no return can (healthy: at most {bound:,.0f} with such rewards)",
            "look at the scale of the rewards and of the stream's weights, and whether terminal states are masked",
            "certain",
            {"largest": largest},
        )
        return
    stretches = [(examination.episode, stream)]
    kinds = _judged(stretches)
    if any(said.doubtful for said in kinds) and examination.longer is not None:
        longer = examination.longer
        kinds = _judged([*stretches, (longer, longer.streams["value"][:, 0].astype(np.float64))])
    if not kinds or not all(said.unrelated for said in kinds) or not any(said.strong for said in kinds):
        return
    severity: Severity = "grave" if all(said.explained[1] < WORSE for said in kinds) else "warning"
    said = min(kinds, key=lambda kind: kind.explained[1])
    yield Finding(
        "value_sense",
        severity,
        where,
        f"the value has nothing to do with the returns that follow: correlation {said.correlation[0]:.2f} (at most "
        f"{said.correlation[1]:.2f}), explained variance {said.explained[0]:.2f}, though it moves by {said.spread:.2g} "
        f"(returns: {said.returns:.2g}; healthy: both above 0)",
        "its gradients are strong and mean nothing. Look at what the value stream is fed with, how it is merged, "
        "whether its weights were loaded, and at the targets of its loss",
        "likely",
        {"correlation": said.correlation[0], "explained variance": said.explained[0], "spread": said.spread},
    )


@dataclass(frozen=True)
class _Judged:
    """How values and returns go along: each measure with the upper end of its 95 % interval."""

    correlation: tuple[float, float]
    explained: tuple[float, float]
    spread: float
    returns: float

    @property
    def unrelated(self) -> bool:
        return self.correlation[1] < RELATED or (self.correlation[0] < RELATED and self.explained[1] < FAR_WORSE)

    @property
    def strong(self) -> bool:
        return self.explained[1] < STRONG

    @property
    def doubtful(self) -> bool:
        return self.correlation[0] < RELATED and self.explained[0] < 0 and not (self.unrelated and self.strong)


def _judged(stretches: Sequence[tuple[Episode, Array]]) -> list[_Judged]:
    """Values against the returns that followed, over stretches of play: of clipped rewards, and of rewards as they are.

    Nobody tells by which a value has learnt. Empty where too little is known.
    """
    kinds: list[tuple[Array, Array]] = []
    for clipped in (True, False):
        values, returns = [], []
        for episode, value in stretches:
            rewards = episode.rewards.astype(np.float64)
            found, known = _returns(np.sign(rewards) if clipped else rewards, episode.terminated | episode.truncated)
            values.append(value[known])
            returns.append(found[known])
        kinds.append((np.concatenate(values), np.concatenate(returns)))
    if np.array_equal(kinds[0][1], kinds[1][1]):
        kinds.pop()
    return [
        _Judged(*_intervals(value, followed), float(value.std()), float(followed.std()))
        for value, followed in kinds
        if len(value) >= FEWEST * BLOCK and followed.std() > 0 and value.std() > 0
    ]


def _returns(rewards: Array, ends: Array) -> tuple[Array, Array]:
    """Discounted sums of what followed, (N,), and where they are known: to an end, or far enough from the last row."""
    returns = np.zeros(len(rewards))
    total, last = 0.0, len(rewards)
    known = np.zeros(len(rewards), bool)
    ended = False
    for row in range(len(rewards) - 1, -1, -1):
        if ends[row]:
            total, ended = 0.0, True
        total = returns[row] = rewards[row] + GAMMA * total
        # A hundred steps on, a reward counts for a third of what it does now.
        known[row] = ended or last - row > 1 / (1 - GAMMA)
    return returns, known


def _intervals(value: Array, returns: Array) -> tuple[tuple[float, float], tuple[float, float]]:
    """Correlation and explained variance, each with the upper end of its 95 % interval."""
    random = np.random.default_rng(0)
    count = len(value) // BLOCK
    found = []
    for _ in range(DRAWS):
        firsts = random.integers(0, len(value) - BLOCK + 1, count)
        rows = (firsts[:, None] + np.arange(BLOCK)).ravel()
        found.append((_correlation(value[rows], returns[rows]), _explained(value[rows], returns[rows])))
    upper = np.nanpercentile(np.array(found), 97.5, axis=0)
    return (_correlation(value, returns), float(upper[0])), (_explained(value, returns), float(upper[1]))


def _correlation(one: Array, other: Array) -> float:
    if one.std() == 0 or other.std() == 0:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def _explained(value: Array, returns: Array) -> float:
    return float(1 - (returns - value).var() / returns.var()) if returns.var() > 0 else float("nan")


def _first_own_layer(examination: Examination) -> str | None:
    """The first layer that is the value stream's alone, but for the Q that it is merged into."""
    found = examination.wiring
    others = [s for s in examination.outputs if s not in ("value", "q")]
    for name in found.layers:
        path = name.partition("@")[0]
        if path in found.uses("value") and not any(path in found.uses(s) for s in others):
            return path
    return None
