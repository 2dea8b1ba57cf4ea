"""Grad-CAM that is inverted: low exactly where perturbation and guided backpropagation are high."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from policyscope.diagnosis.comparing import agreement, perturbed
from policyscope.diagnosis.examination import Examination
from policyscope.diagnosis.finding import Finding, Where
from policyscope.diagnosis.intervals import interval
from policyscope.diagnosis.pictures import beside, over_row
from policyscope.storage import Array

AGAINST = -0.2
"""Unrelated maps have a rank correlation of 0; beyond -0.2 it is against them rather than beside them."""
FEWEST = 4
METHODS = {"grad_cam": "Grad-CAM", "g1_grad_cam": "G1 Grad-CAM"}


def inverted_cam(examination: Examination) -> Iterator[Finding]:
    """Each convolution's Grad-CAM against noise saliency, which needs no gradient, and against guided backpropagation.

    Measured by the mean over states of Spearman's rank correlation on patches. A warning where both are below -0.2 and
    their 95 % intervals (over states) below 0: the map then shows where the agent does not look. States whose map is
    flat do not count; they are another rule's.
    """
    stream = examination.acting
    if stream not in examination.streams or not np.isfinite(examination.streams[stream]).all():
        return
    layers = examination.trace.layer_names()
    if len(examination.rows) < FEWEST or not layers:
        return
    guided = np.abs(examination.map("guided_backprop", stream))
    chosen, noise = perturbed(examination)
    for layer in layers:
        for method, name in METHODS.items():
            cam = examination.map(method, stream, layer)
            by_noise, by_guided = _mean(agreement(cam[chosen], noise)), _mean(agreement(cam, guided))
            if not all(found is not None and found[0] < AGAINST and found[2] < 0 for found in (by_noise, by_guided)):
                continue
            assert by_noise is not None
            assert by_guided is not None
            worst = int(np.nanargmin(agreement(cam[chosen], noise)))
            yield Finding(
                "inverted_cam",
                "warning",
                Where("maps", stream=stream, layer=layer),
                f"{name} is inverted: its rank correlation with noise saliency is {by_noise[0]:.2f} "
                f"[{by_noise[1]:.2f}, {by_noise[2]:.2f}] and with guided backpropagation {by_guided[0]:.2f} "
                f"[{by_guided[1]:.2f}, {by_guided[2]:.2f}] (healthy: above 0)",
                f"do not read {name} of this layer; use another layer, or guided backpropagation, FullGrad or noise "
                "saliency",
                "likely",
                {"noise_saliency": by_noise[0], "guided_backprop": by_guided[0]},
                _picture(examination, int(examination.rows[chosen[worst]]), cam[chosen[worst]], noise[worst], name),
            )


def _mean(found: Array) -> tuple[float, float, float] | None:
    """The mean over states in which there is a correlation, and its interval."""
    known = found[np.isfinite(found)]
    if len(known) < FEWEST:
        return None
    return float(known.mean()), *interval(lambda rows: float(known[rows].mean()), len(known))


def _picture(examination: Examination, row: int, cam: Array, noise: Array, name: str) -> Array:
    return beside(
        [
            over_row(examination.episode, row, cam, False, name),
            over_row(examination.episode, row, noise, False, "Noise saliency"),
        ],
        f"Step {row}: one is low where the other is high",
    )
