"""Figures by matplotlib without its global state: no backend is chosen for the process, no figure is left open."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from policyscope.errors import MissingExtraError
from policyscope.storage import disk_errors, replacing


@contextmanager
def drawing(
    *paths: Path,
    width: float,
    height: float,
    extra: str,
    purpose: str,
    dpi: float = 150,
    layout: Any = "constrained",
    cut: bool = False,
) -> Iterator[Any]:
    """Yields a matplotlib figure that is written when the block ends well.

    Args:
        paths: The files, each of the kind that its ending says (PNG, PDF, SVG); each appears whole.
        width: Inches.
        height: Inches.
        extra: Of policyscope, which brings matplotlib.
        purpose: What the figure is drawn for, should matplotlib be missing.
        dpi: Pixels an inch.
        layout: matplotlib's layout engine, or its name; None where the block places the axes.
        cut: Cut the margins off, or take in what reaches beyond the edges.

    Raises:
        MissingExtraError: There is no matplotlib.
        RunError: A file cannot be written.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("matplotlib", extra, purpose) from None
    drawn = Figure(figsize=(width, height), dpi=dpi, layout=layout)
    FigureCanvasAgg(drawn)
    yield drawn
    for path in paths:
        with disk_errors(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as part:
                drawn.savefig(part, format=path.suffix[1:], bbox_inches="tight" if cut else None)


def of_run(folder: Path, name: str) -> tuple[Path, Path]:
    """A run's figure: a PNG for the report and the viewer, a PDF for papers."""
    return folder / "figures" / f"{name}.png", folder / "figures" / f"{name}.pdf"
