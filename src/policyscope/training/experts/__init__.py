"""Experts written by hand: what to do, read off the screen, where no teacher here knows it.

Their word goes before the teacher's while a student learns (``policyscope train distil --expert NAME``); where they are
silent the teacher speaks.
"""

from policyscope.training.experts import pong, seaquest, video_pinball
from policyscope.training.experts.expert import SILENT, Expert

EXPERTS = {
    "seaquest-breath": Expert("seaquest", seaquest.breathe, frames=1),
    "seaquest-rescue": Expert("seaquest", seaquest.rescue),
    "pong-return": Expert("pong", pong.play_back),
    "pinball-nudge": Expert("video_pinball", video_pinball.nudge),
}
"""By the names that ``--expert`` takes."""

__all__ = ["EXPERTS", "SILENT", "Expert"]
