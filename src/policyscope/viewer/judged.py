"""What an evaluation measured of each frame, as lanes of the timeline."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from policyscope.evaluation.baselines import BASELINES
from policyscope.evaluation.scores import FOLDER, Scores
from policyscope.viewer.series import Column

GAIN, FLICKER = "gain", "flicker"
_KINDS = 6
_LEAST = 0.01
"""Of an even map's energy: what is less is drawn as this, or maps that are zero there would take all of the lane."""
_SHARE = 0.1
"""Of the steps in which a kind of object is on the screen, for it to have a lane."""


def score_columns(run: Path, steps: int) -> list[Column]:
    """A lane for each kind of object that is often there: how much of each method's energy is on it, beyond its area.

    Names of groups begin with ``score:``; those of lanes on a logarithmic scale end with ``(log)``.

    Args:
        run: The folder.
        steps: Of the episode; those that were not evaluated are NaN.

    Returns:
        Nothing where the run was not evaluated.

    Raises:
        RunError: The scores are damaged.
    """
    if not (run / FOLDER / "meta.json").is_file():
        return []
    scores = Scores(run)
    methods = [name for name in scores.sources if name not in BASELINES]
    found: list[Column] = []
    lanes = 0
    for kind in scores.kinds if GAIN in scores.measures else ():
        values = [scores.values(GAIN, method, kind) for method in methods]
        if lanes < _KINDS and methods and np.isfinite(values[0]).mean() >= _SHARE:
            lanes += 1
            group = f"score:energy on {kind} (log)"
            shown = [np.maximum(one, _LEAST) for one in values]
            found += [_column(method, group, one, steps) for method, one in zip(methods, shown, strict=True)]
    if FLICKER in scores.measures:
        found += [_column(method, "score:flicker", scores.values(FLICKER, method), steps) for method in methods]
    return found


def _column(name: str, group: str, values: np.ndarray, steps: int) -> Column:
    whole = np.full(steps, np.nan, np.float32)
    whole[: min(len(values), steps)] = values[:steps]
    return Column(name, group, whole)
