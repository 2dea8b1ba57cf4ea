"""What an explanation yields: one map per state and panel, kept on disk and read lazily."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from policyscope.episodes.episode import Episode
from policyscope.errors import RunError, TargetError
from policyscope.lazy import ArrayLike, Lazy
from policyscope.saliency.columns import (
    ALIVE,
    disagreement_column,
    flow_column,
    shares_column,
    target_column,
    weights_column,
)
from policyscope.saliency.columns import (
    map_column as map_column,
)
from policyscope.saliency.health import Health
from policyscope.saliency.resize import to_size
from policyscope.storage import Array, check_chunks, open_group, read_count, read_json, write_json

SIGNED = frozenset({"gradient", "guided_backprop", "guided_grad_cam", "g2_grad_cam"})
STATISTICS = ("mean", "std", "max", "q995")


@dataclass(frozen=True)
class Panel:
    """One explained thing: a method applied to a target.

    Attributes:
        method: Its name.
        stream: The stream that is explained.
        action: The selection in it: ``taken``, ``greedy``, ``sum``, ``contrast``, an action's index as text, or two of
            them against each other (``2-3``).
        layer: Module path of the convolution, for the methods that have one.
        lag: Frames before the current one, ``sum`` or ``mean``; None where the method has one map for all lags.
    """

    method: str
    stream: str
    action: str = "taken"
    layer: str | None = None
    lag: int | str | None = None

    @property
    def signed(self) -> bool:
        """Whether negative values mean something."""
        return self.method in SIGNED

    @property
    def label(self) -> str:
        """A short text for people."""
        parts = [self.method.replace("_", " "), self.stream]
        parts += [] if self.action == "taken" else [f"action {self.action}"]
        parts += [] if self.layer is None else [self.layer]
        parts += (
            [] if self.lag in (None, 0) else [f"t-{self.lag}" if isinstance(self.lag, int) else f"{self.lag} of lags"]
        )
        return " · ".join(parts)


class PanelMaps(ArrayLike):
    """One panel's maps (N, H, W) float32; a layer's small maps are brought to the image's size when read."""

    def __init__(self, stored: Lazy, size: tuple[int, int]) -> None:
        self.stored, self.size = stored, size

    @property
    def shape(self) -> tuple[int, int, int]:
        """States, height, width."""
        return (len(self.stored), *self.size)

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32."""
        return self.stored.dtype

    @property
    def ndim(self) -> int:
        """3."""
        return 3

    def __len__(self) -> int:
        return len(self.stored)

    def __iter__(self) -> Iterator[Array]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, key: Any) -> Array:
        rows, rest = (key[0], key[1:]) if isinstance(key, tuple) and key else (key, ())
        if rows is Ellipsis or rows is None:
            return np.asarray(np.asarray(self)[key])
        maps = self._resized(self.stored[rows])
        leading = maps.ndim - 2
        return np.asarray(maps[(*[slice(None)] * leading, *rest)]) if rest else maps

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return self._resized(np.asarray(self.stored)).astype(dtype or self.dtype, copy=False)

    def __repr__(self) -> str:
        return f"PanelMaps(shape={self.shape})"

    def _resized(self, maps: Array) -> Array:
        if maps.shape[-2:] == self.size:
            return maps
        return to_size(torch.from_numpy(np.ascontiguousarray(maps)), self.size).numpy()


class Maps:
    """The maps of an episode: ``maps["gradient"]``, or ``maps[panel]`` where a method has several panels.

    Attributes:
        panels: What was explained.
        meta: How: methods, options, layers, notes, versions.
        path: The folder they are in.
    """

    def __init__(self, path: str | Path, episode: Episode | None = None) -> None:
        """Opens a run folder or the ``maps.zarr`` in it.

        Raises:
            RunError: If there are no maps.
        """
        folder = Path(path)
        folder = folder / "maps.zarr" if (folder / "maps.zarr").is_dir() else folder
        if not (folder / "meta.json").is_file():
            raise RunError(f"{path} holds no maps: explain the run first (policyscope explain)")
        self.path, self._episode = folder, episode
        self.meta: dict[str, Any] = read_json(folder / "meta.json")
        try:
            self.panels = tuple(Panel(**panel) for panel in self.meta["panels"])
            self._size: tuple[int, int] = (int(self.meta["size"][0]), int(self.meta["size"][1]))
        except (KeyError, TypeError, IndexError, ValueError) as error:
            raise RunError(f"{folder / 'meta.json'} is damaged: it does not describe maps") from error
        self._count, group = read_count(folder), open_group(folder)
        names = sorted(part.parent.name for part in folder.glob("*/zarr.json"))
        self._columns = {name: Lazy(group[name], self._count) for name in names}
        check_chunks(folder, {name: group[name] for name in names}, self._count)

    def __len__(self) -> int:
        return self._count

    @cached_property
    def episode(self) -> Episode:
        """The episode they explain."""
        return Episode.open(self.path.parent) if self._episode is None else self._episode

    def __getitem__(self, key: str | Panel) -> PanelMaps:
        panel = self.panel(key)
        return PanelMaps(self._columns[map_column(self.panels, panel)], self._size)

    def when_unused(self, function: Callable[..., Any], *args: Any) -> None:
        """Calls a function once nothing refers to these maps nor to any panel's."""
        next(iter(self._columns.values())).when_unused(function, *args)

    def _repr_html_(self) -> str:
        # A notebook asks the object itself, though the page lies further along the way of the data.
        from policyscope.viewer.notebook import cell

        return cell(self)

    def __contains__(self, key: object) -> bool:
        return key in self.panels or any(panel.method == key for panel in self.panels)

    def panel(self, key: str | Panel) -> Panel:
        """The panel itself, or the only one of a method.

        Raises:
            TargetError: If there is none, or more than one (the line lists them).
        """
        found = [panel for panel in self.panels if key in (panel, panel.method)]
        if len(found) == 1:
            return found[0]
        if not found:
            raise TargetError(
                f"no maps of {key!r}; there are: {', '.join(dict.fromkeys(p.method for p in self.panels))}"
            )
        raise TargetError(f"{key!r} has {len(found)} panels; select one: {'; '.join(p.label for p in found)}")

    def select(self, **values: Any) -> tuple[Panel, ...]:
        """The panels with these attributes, such as ``select(stream="value", lag=0)``."""
        return tuple(p for p in self.panels if all(getattr(p, name) == value for name, value in values.items()))

    def targets(self, panel: str | Panel) -> Array:
        """(N,) the explained scalar of each state."""
        found = self.panel(panel)
        return np.asarray(self._columns[target_column(found.stream, found.action)])

    def layer_weights(self, panel: str | Panel) -> dict[str, Array]:
        """FullGrad++'s share of each layer in each state: layer -> (N,)."""
        found = self.panel(panel)
        if found.method != "full_grad_pp":
            raise TargetError(f"{found.method} weighs no layers; full_grad_pp does")
        values = np.asarray(self._columns[weights_column(found)])
        return {layer: values[:, i] for i, layer in enumerate(self.meta["weighted_layers"])}

    def lag_shares(self, stream: str | None = None, action: str | None = None) -> Array | None:
        """How a target's gradient is shared between the frames of the input.

        Args:
            stream: The explained stream; by default the first panel's.
            action: The selection in it, as panels have it; by default the stream's first.

        Returns:
            (N, lags) float32, newest frame first: the share of each in the sum of absolute input gradients, NaN where
            all are zero. None where no method took the standard gradient, or the maps are an earlier version's.
        """
        return self._beside(shares_column(*self._target(stream, action)))

    def health(self, stream: str | None = None, action: str | None = None) -> Health | None:
        """How alive each layer is, and how large a target's gradients are that pass it; arguments as above.

        Returns:
            None where no gradient method was asked for, or the maps are an earlier version's.
        """
        alive, flow = self._beside(ALIVE), self._beside(flow_column(*self._target(stream, action)))
        if alive is None and flow is None:
            return None
        layers = tuple(self.meta["layers"]) if alive is not None else ()
        return Health(layers, np.zeros((self._count, 0), np.float32) if alive is None else alive, flow)

    def disagreement(
        self, stream: str | None = None, action: str | None = None, lag: int | str | None = None
    ) -> Array | None:
        """How far the methods disagree on where to look, (N,) float32; see ``saliency/disagreement.py``.

        ``meta["compared"]`` lists the panels by their places in ``panels``; by default the first lag's are compared.
        """
        stream, action = self._target(stream, action)
        lags = [p.lag for p in self.select(stream=stream, action=action) if p.lag is not None]
        return self._beside(disagreement_column(stream, action, next(iter(lags), None) if lag is None else lag))

    def statistics(self, panel: str | Panel) -> Mapping[str, Array]:
        """Per state (N,): ``mean``, ``std``, ``max`` and ``q995`` (the last two of the absolute value).

        Worked out at the first call and kept beside the maps.
        """
        found = self.panel(panel)
        name = map_column(self.panels, found)
        file = self.path / f"{name}.statistics.json"
        kept = read_json(file) if file.exists() else {}
        if len(kept.get("mean", ())) != self._count:
            kept = _statistics(self[found])
            if os.access(self.path, os.W_OK):
                write_json(file, kept)
        return {key: np.asarray(kept[key], dtype=np.float32) for key in STATISTICS}

    def _target(self, stream: str | None, action: str | None) -> tuple[str, str]:
        """The first explained stream and selection that fit; noise saliency's are of no one action."""
        found = [p for p in self.panels if stream in (None, p.stream) and action in (None, p.action)]
        if not found:
            known = ", ".join(dict.fromkeys(f"{p.stream} {p.action}" for p in self.panels))
            asked = " ".join(str(word) for word in (stream, action) if word is not None)
            raise TargetError(f"nothing was explained of {asked!r}; there are: {known}")
        panel = next((p for p in found if p.method != "noise_saliency"), found[0])
        return panel.stream, panel.action

    def _beside(self, column: str) -> Array | None:
        return np.asarray(self._columns[column]) if column in self._columns else None


def _statistics(maps: PanelMaps, block: int = 256) -> dict[str, list[float]]:
    values: dict[str, list[float]] = {key: [] for key in STATISTICS}
    for start in range(0, len(maps), block):
        flat = torch.from_numpy(maps[start : start + block]).flatten(1)
        magnitude = flat.abs()
        rank = max(1, round(0.005 * flat.shape[1]))
        values["mean"] += flat.mean(dim=1).tolist()
        values["std"] += flat.std(dim=1, correction=0).tolist()
        values["max"] += magnitude.amax(dim=1).tolist()
        values["q995"] += magnitude.topk(rank, dim=1).values[:, -1].tolist()
    return values


def panel_dicts(panels: tuple[Panel, ...]) -> list[dict[str, Any]]:
    """Plain values, for the metadata."""
    return [asdict(panel) for panel in panels]
