"""Experts written by hand: what to do, read off the screen, where no teacher here knows it.

Their word goes before the teacher's while a student learns (``policyscope train distil --expert NAME``); where they are
silent the teacher speaks.
"""

from policyscope.training.experts import pong, seaquest, video_pinball
from policyscope.training.experts.expert import SILENT, Expert, surely

EXPERTS = {
    "seaquest-breath": Expert("seaquest", surely(seaquest.breathe, 18), frames=1),
    "seaquest-hunt": Expert("seaquest", seaquest.hunt),
    "pong-return": Expert("pong", surely(pong.play_back, 6)),
    "pinball-nudge": Expert("video_pinball", surely(video_pinball.nudge, 9)),
}
"""By the names that ``--expert`` takes."""

__all__ = ["EXPERTS", "SILENT", "Expert", "surely"]
