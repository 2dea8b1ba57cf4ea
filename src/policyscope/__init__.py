"""What does my agent look at, and what is wrong with it?"""

from policyscope.agents.agent import Agent, ContinuousActions
from policyscope.agents.protocol import Protocol
from policyscope.episodes.episode import Episode
from policyscope.errors import PolicyscopeError
from policyscope.saliency.attribute import Attributions, attribute
from policyscope.saliency.explain import explain
from policyscope.saliency.maps import Maps, Panel
from policyscope.saliency.plan import NAMES as METHODS
from policyscope.saliency.request import Regions

__version__ = "0.1.0"

__all__ = [
    "METHODS",
    "Agent",
    "Attributions",
    "ContinuousActions",
    "Episode",
    "Maps",
    "Panel",
    "PolicyscopeError",
    "Protocol",
    "Regions",
    "attribute",
    "explain",
]
