"""Where a game's objects are: from the console's RAM to boxes on the screen and shares of the observation's pixels."""

from policyscope.evaluation.objects.agreement import agreement
from policyscope.evaluation.objects.extract import GAMES, LOOKS, objects_of, objects_of_episode
from policyscope.evaluation.objects.placing import centres, coverage
from policyscope.evaluation.objects.scene import Objects, Scene, Thing

__all__ = [
    "GAMES",
    "LOOKS",
    "Objects",
    "Scene",
    "Thing",
    "agreement",
    "centres",
    "coverage",
    "objects_of",
    "objects_of_episode",
]
