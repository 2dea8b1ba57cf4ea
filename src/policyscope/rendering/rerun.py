"""A run as a recording of Rerun (https://rerun.io): screens, maps and numbers on the timeline ``step``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from policyscope.episodes.episode import Episode
from policyscope.errors import MissingExtraError
from policyscope.rendering.facts import action_names, actions_of, agent_of, game_of
from policyscope.rendering.look import Look
from policyscope.rendering.overlay import Overlay, rgb
from policyscope.rendering.panels import PanelPictures
from policyscope.rendering.sources import Array, Pictures
from policyscope.rendering.words import detail, title
from policyscope.saliency.maps import Maps, Panel
from policyscope.storage import disk_errors, replacing

TIMELINE = "step"
_BATCH = 64
_QUALITY = 92

Series = Mapping[tuple[str, str], Array]
"""(group, name) -> (N,), NaN where it is not known."""


def write_rerun(
    path: Path,
    episode: Episode,
    maps: Maps,
    series: Series,
    *,
    look: Look | None = None,
    raw: bool = False,
    progress: Callable[[int, int, str], None] | None = None,
) -> None:
    """Writes ``.rrd``, whole or not at all.

    The screens are under ``screen``, pictures of the maps under ``maps/…``, numbers under ``series/GROUP/NAME``.

    Args:
        path: The file to replace.
        episode: What was played, as far as it was explained.
        maps: What was explained.
        series: Numbers of each step.
        look: How maps are shown.
        raw: Also write the maps' values, as tensors under ``raw/…``: at the layer's own size, where they have one.
        progress: Called with (steps done, steps in all, what is done).

    Raises:
        MissingExtraError: Rerun's SDK is not installed.
    """
    try:
        import rerun as rr
    except ImportError as error:
        raise MissingExtraError("Rerun's SDK", "rerun", "a recording for Rerun") from error
    look, pictures = look or Look(), Pictures(episode)
    # Rerun has square pixels; an Atari screen's are nearly twice as wide as they are high.
    overlay = Overlay(pictures.shape, pictures.placement, (2 if pictures.pixel > 1.4 else 1, 1), look.style)
    panels = [PanelPictures(maps, panel, look, overlay) for panel in maps.panels]
    names = {panel: panel_name(panel, actions_of(episode)) for panel in maps.panels}
    count = len(episode)
    with disk_errors(path.parent), replacing(path) as part:
        # A name for the recording that is the episode's own, so that writing it twice is writing it once.
        recording = rr.RecordingStream("policyscope", recording_id=f"{episode.fingerprint}-{maps.meta['fingerprint']}")
        recording.save(part, default_blueprint=_blueprint(list(names.values()), list(series)))
        recording.send_recording_name(f"{agent_of(episode)} in {game_of(episode)}")

        def send(place: Sequence[str], steps: Array, column: Any) -> None:
            times = [rr.TimeColumn(TIMELINE, sequence=steps)]
            # Without strict a mistake is a warning, and the file lacks something.
            rr.send_columns(rr.new_entity_path(list(place)), times, column, recording=recording, strict=True)

        for (group, name), values in series.items():
            known = np.flatnonzero(np.isfinite(values[:count]))
            send(("series", group, name), known, rr.Scalars.columns(scalars=values[known].astype(np.float64)))
        if episode.actions is not None:
            words = action_names(np.asarray(episode.actions), episode)
            send(("action",), np.arange(count), rr.TextLog.columns(text=words))
        for start in range(0, count, _BATCH):
            rows = slice(start, min(start + _BATCH, count))
            steps = np.arange(rows.start, rows.stop)
            background = overlay.background(pictures[rows])
            send(("screen",), steps, _encoded(rr, rgb(background.plain), "png"))
            for panel in panels:
                frames, _ = panel.frames(rows, background)
                send(("maps", names[panel.panel]), steps, _encoded(rr, rgb(frames), "jpeg"))
                if raw:
                    place = rr.new_entity_path(["raw", names[panel.panel]])
                    for step, values in enumerate(maps[panel.panel].stored[rows], start):
                        recording.set_time(TIMELINE, sequence=step)
                        recording.log(place, rr.Tensor(values, dim_names=("y", "x")), strict=True)
            if progress:
                progress(rows.stop, count, f"writing {path.name}")
        recording.flush()
        recording.disconnect()


def panel_name(panel: Panel, actions: Sequence[str] = ()) -> str:
    """What a panel is called in the recording: ``Grad-CAM q RIGHT-LEFT conv1``."""
    return f"{title(panel)} {detail(panel, lags=panel.lag is not None, actions=actions)}".replace(" · ", " ")


def _encoded(rr: Any, frames: Array, kind: str) -> Any:
    """A column of encoded pictures: screens without loss, maps (noise, often) at a tenth of a lossless size."""
    options = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY] if kind == "jpeg" else [cv2.IMWRITE_PNG_COMPRESSION, 6]
    bgr = np.ascontiguousarray(frames[..., ::-1])
    blobs = [cv2.imencode(f".{kind}", frame, options)[1].tobytes() for frame in bgr]
    return rr.EncodedImage.columns(blob=blobs, media_type=[f"image/{kind}"] * len(blobs))


def _blueprint(panels: Sequence[str], series: Iterable[tuple[str, str]]) -> Any:
    """Pictures above, curves below; at most as many pictures at first as one can look at."""
    import rerun as rr
    import rerun.blueprint as rrb

    shown = [rrb.Spatial2DView(origin="screen", name="screen")]
    shown += [rrb.Spatial2DView(origin=rr.new_entity_path(["maps", name]), name=name) for name in panels[:8]]
    groups = list(dict.fromkeys(group for group, _ in series))
    views = [rrb.TimeSeriesView(origin=rr.new_entity_path(["series", group]), name=group) for group in groups]
    streams = [view for view, group in zip(views, groups, strict=True) if group.startswith("stream:")]
    others = [view for view in views if view not in streams]
    curves = rrb.Horizontal(*(rrb.Tabs(*some) for some in (streams, others) if some))
    return rrb.Blueprint(
        rrb.Vertical(rrb.Grid(*shown), curves, row_shares=[3, 1]),
        rrb.TimePanel(timeline=TIMELINE),
        collapse_panels=True,
    )
