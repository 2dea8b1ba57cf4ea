"""What does my agent look at, and what is wrong with it?"""

from policyscope import evaluation
from policyscope.agents import zoo
from policyscope.agents.agent import Agent, ContinuousActions
from policyscope.agents.custom import make_agent
from policyscope.agents.formats.own import save_agent
from policyscope.agents.loading import load_agent
from policyscope.agents.protocol import Protocol
from policyscope.diagnosis.doctor import diagnose
from policyscope.diagnosis.finding import Finding
from policyscope.episodes.episode import Episode
from policyscope.episodes.play import play
from policyscope.errors import PolicyscopeError
from policyscope.rendering.render import render_run
from policyscope.saliency.attribute import Attributions, attribute
from policyscope.saliency.explain import explain
from policyscope.saliency.maps import Maps, Panel
from policyscope.saliency.perturbation import Regions
from policyscope.saliency.plan import NAMES as METHODS
from policyscope.viewer.notebook import view

__version__ = "0.1.0"

__all__ = [
    "METHODS",
    "Agent",
    "Attributions",
    "ContinuousActions",
    "Episode",
    "Finding",
    "Maps",
    "Panel",
    "PolicyscopeError",
    "Protocol",
    "Regions",
    "attribute",
    "diagnose",
    "evaluation",
    "explain",
    "load_agent",
    "make_agent",
    "play",
    "render_run",
    "save_agent",
    "view",
    "zoo",
]
