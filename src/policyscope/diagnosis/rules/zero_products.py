"""Guided Grad-CAM and G2 Grad-CAM that are zero, or lose most of what they show, because one factor is inverted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from policyscope.diagnosis.examination import Examination
from policyscope.diagnosis.finding import Finding, Severity, Where
from policyscope.diagnosis.intervals import interval
from policyscope.diagnosis.pictures import beside, over_row
from policyscope.storage import Array

MANY, SOME = 0.5, 0.1
"""Shares of the states in which nothing is shown: in most of them, or in so many that one will meet them."""
LOST = 0.5
"""Of what an unrelated second factor would leave."""
FEWEST = 6
PRODUCTS = {"Guided Grad-CAM": "grad_cam", "G2 Grad-CAM": "g1_grad_cam"}
_FACTORS = {"grad_cam": "Grad-CAM", "g1_grad_cam": "G1 Grad-CAM"}


@dataclass(frozen=True)
class _Product:
    """A product at one layer.

    Attributes:
        name: Of the method.
        empty: Share of the states in which it is zero though guided backpropagation is not.
        left: sum(cam |guided|) / (mean(cam) sum |guided|) over the other states, and its interval; None where there are
            too few: what is left of the guided map, where 1 is what an unrelated cam leaves.
        cam: (n, H, W) the layer's factor.
    """

    name: str
    empty: float
    left: tuple[float, float, float] | None
    cam: Array

    @property
    def severity(self) -> Severity | None:
        """How bad it is, None if not at all."""
        if self.empty > MANY or (self.left is not None and self.left[2] < LOST):
            return "warning"
        return "note" if self.empty > SOME else None


def zero_products(examination: Examination) -> Iterator[Finding]:
    """The share of the states in which a product is zero, and what it leaves of guided backpropagation elsewhere.

    Both products multiply the guided map by a convolution's (G1) Grad-CAM, which is zero where no channel speaks for
    the output, and everywhere if none does. A warning for a layer where that is so in more than half of the states, or
    where the product keeps less than half of what an unrelated factor would (with its 95 % interval); a note from a
    tenth of the states, and where another layer's products are fine.
    """
    stream = examination.acting
    if stream not in examination.streams or not np.isfinite(examination.streams[stream]).all():
        return
    guided = np.abs(examination.map("guided_backprop", stream))
    alive: Array = np.asarray(guided.any(axis=(1, 2)))
    if alive.sum() < FEWEST:
        return
    bad: dict[str, list[_Product]] = {}
    for layer in examination.trace.layer_names():
        products = [
            _product(name, examination.map(cam, stream, layer), guided, alive) for name, cam in PRODUCTS.items()
        ]
        bad[layer] = [product for product in products if product.severity is not None]
    fine = [layer for layer, found in bad.items() if not found]
    for layer, found in bad.items():
        if found:
            yield _finding(examination, layer, found, guided, fine)


def _product(name: str, cam: Array, guided: Array, alive: Array) -> _Product:
    there = cam.any(axis=(1, 2)) & alive
    kept = (cam * guided)[there].sum(axis=(1, 2), dtype=np.float64)
    unrelated = cam[there].mean(axis=(1, 2), dtype=np.float64) * guided[there].sum(axis=(1, 2), dtype=np.float64)
    left = kept / unrelated
    found = None
    if len(left) >= FEWEST:
        found = float(left.mean()), *interval(lambda rows: float(left[rows].mean()), len(left))
    empty = float(((cam * guided)[alive] == 0).all(axis=(1, 2)).mean())
    return _Product(name, empty, found, cam)


def _finding(examination: Examination, layer: str, bad: list[_Product], guided: Array, fine: Sequence[str]) -> Finding:
    words, numbers = [], {}
    for product in bad:
        if product.empty > SOME:
            words.append(f"{product.name} is zero in {product.empty:.0%} of the states (healthy: none)")
            numbers[f"{product.name} zero"] = product.empty
        if product.left is not None and product.left[2] < LOST:
            mean, low, high = product.left
            words.append(
                f"{product.name} keeps {mean:.0%} [{low:.0%}, {high:.0%}] of what an unrelated factor would leave of "
                "guided backpropagation (healthy: above 100 %)"
            )
            numbers[f"{product.name} left"] = mean
    worst = max(bad, key=lambda product: (product.severity == "warning", product.empty))
    factor = _FACTORS[PRODUCTS[worst.name]]
    return Finding(
        "zero_products",
        "warning" if worst.severity == "warning" and not fine else "note",
        Where("maps", stream=examination.acting, layer=layer),
        "; ".join(words),
        f"no channel of this layer, on average, speaks for the output where guided backpropagation does, so that "
        f"{factor} takes away what that shows: use {fine[0] if fine else 'another layer'}, or guided backpropagation "
        "alone",
        "certain" if worst.empty > SOME else "likely",
        numbers,
        _picture(examination, worst, guided),
    )


def _picture(examination: Examination, worst: _Product, guided: Array) -> Array:
    kept = (worst.cam * guided).sum(axis=(1, 2)) / np.maximum(
        worst.cam.mean(axis=(1, 2)) * guided.sum(axis=(1, 2)), 1e-30
    )
    state = int(kept.argmin())
    row = int(examination.rows[state])
    factor = _FACTORS[PRODUCTS[worst.name]]
    maps = {
        "guided backpropagation": guided[state],
        factor: worst.cam[state],
        worst.name: worst.cam[state] * guided[state],
    }
    return beside(
        [over_row(examination.episode, row, values, False, text) for text, values in maps.items()], f"Step {row}"
    )
