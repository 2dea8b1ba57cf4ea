"""The options of a rendering, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from policyscope.errors import PolicyscopeError
from policyscope.rendering.normalise import SCOPES, Scope
from policyscope.rendering.overlay import STYLES
from policyscope.rendering.palettes import PALETTES


@dataclass(frozen=True)
class Look:
    """How maps are shown.

    Attributes:
        style: clear: grey, dimmed screen under the palette; paper: half frame, half colour.
        palette: blue_orange, ember, viridis or paper for all panels; None for the style's own.
        normalise: Whose statistics make the scale: the frame's, the episode's, the paper's, or a peer's (captum,
            pytorch_grad_cam).
        gain: Factor on the maps before they are clipped (250 for the paper's actor).
        smooth: Sigma of a Gaussian over the maps, in observation pixels; 0 for none.
        fps: Steps a second (8 in the paper).
        screen: Whether the plain screen stands beside the maps.
        gif_frames: Frames of the GIF at most; a longer episode is thinned out evenly.
        sheet_steps: Rows of the contact sheet.
        video: Whether to write video.mp4.
        gif: Whether to write video.gif.
        sheet: Whether to write sheet.png.
    """

    style: str = "clear"
    palette: str | None = None
    normalise: Scope = "frame"
    gain: float = 1.0
    smooth: float = 0.0
    fps: float = 15.0
    screen: bool = True
    gif_frames: int = 100
    sheet_steps: int = 6
    video: bool = True
    gif: bool = True
    sheet: bool = True

    def __post_init__(self) -> None:
        for name, value, known in (
            ("style", self.style, STYLES),
            ("normalisation", self.normalise, SCOPES),
            ("palette", self.palette, (None, *PALETTES)),
        ):
            if value not in known:
                raise PolicyscopeError(f"no {name} '{value}'; there are {', '.join(k for k in known if k)}")
        for name, limits in {"fps": (1, 60), "gain": (1e-9, 1e9), "smooth": (0, 50)}.items():
            if not limits[0] <= getattr(self, name) <= limits[1]:
                raise PolicyscopeError(f"{name} {getattr(self, name)} is not between {limits[0]} and {limits[1]}")
        for name in ("gif_frames", "sheet_steps"):
            if getattr(self, name) < 1:
                raise PolicyscopeError(f"{name} {getattr(self, name)} is less than 1")

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return dict(vars(self))
