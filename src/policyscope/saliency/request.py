"""What is asked of an explanation, checked against the agent before anything is computed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from policyscope.agents.agent import Agent
from policyscope.episodes.episode import Episode
from policyscope.errors import TargetError
from policyscope.saliency import plan
from policyscope.saliency.maps import Panel
from policyscope.saliency.perturbation import Regions
from policyscope.saliency.targets import PROBABILITY, pair

LAYERED = frozenset(name for name, method in plan.METHODS.items() if method.shape == "layer" or method.parts)
INPUT_SHAPED = frozenset(name for name, method in plan.METHODS.items() if method.shape == "input")
RECURRENT_WINDOW = 10
SELECTIONS = ("taken", "greedy", "sum", "contrast")


@dataclass(frozen=True)
class Request:
    """Everything that shapes a set of maps.

    Attributes:
        panels: What is explained.
        window: Frames that a recurrent network is unrolled over; 0 for others.
        variants: Method -> variant.
        positive_inputs: The guided rule's paper-faithful option.
        regions: The grid of the perturbation methods.
        notes: What a reader of the maps should know.
    """

    panels: tuple[Panel, ...]
    window: int = 0
    variants: dict[str, str] = field(default_factory=dict)
    positive_inputs: bool = False
    regions: Regions = field(default_factory=Regions)
    notes: tuple[str, ...] = ()


def make_request(
    agent: Agent,
    episode: Episode,
    layer_names: Sequence[str],
    *,
    methods: str | Iterable[str] | None = None,
    stream: str | Iterable[str] | None = None,
    action: str | int | Iterable[str | int] | None = None,
    layer: str | int | Iterable[str | int] = 1,
    lag: str | int | Iterable[str | int] = 0,
    variants: dict[str, str] | None = None,
    positive_inputs: bool = False,
    regions: Regions | None = None,
) -> Request:
    """Turns people's words into panels.

    Raises:
        TargetError: If the agent lacks a method, stream, action, layer or lag; the line lists what it has.
    """
    names = plan.check_names(plan.METHODS if methods is None else methods)
    plan.check_variants(variants or {})
    notes: list[str] = []
    streams = [_stream(agent, s) for s in _listed(stream if stream is not None else default_stream(agent))]
    default = "taken" if episode.actions is not None else "greedy"
    if agent.continuous and action is None:
        default = "0"
        if set(streams) & {"policy"} and len(agent.actions) > 1:
            notes.append(
                f"actions are continuous: the mean of {agent.actions[0]!r} is explained; --action names another"
            )
    actions = [_action(agent, episode, a) for a in _listed(default if action is None else action)]
    layers = [_layer(layer_names, entry) for entry in _listed(layer)] if set(names) & LAYERED else []
    lags = [_lag(agent, entry) for entry in _listed(lag)]
    pairs = [a for a in actions if pair(a)]
    if pairs and set(streams) == {"value"}:
        raise TargetError(
            f"the value stream has one entry: there is nothing to set against it in {pairs[0]!r}; use another stream"
        )
    if pairs and "sarfa" in names:
        notes.append("sarfa explains one action: of two against each other it is the first")
    panels: dict[Panel, None] = {}
    for s in streams:
        single = s == "value"
        for a in actions:
            if a == "sum" and s == PROBABILITY:
                raise TargetError(
                    "the sum of probabilities is constant: its gradient is rounding noise; explain one action"
                )
            if a == "sum" and s == "q" and {"value", "advantage"} <= set(agent.streams):
                notes.append(f"the sum of a dueling Q is the value stream times {len(agent.actions)}")
            for name in names:
                if name == "sarfa" and single:
                    if names == ("sarfa",):
                        raise TargetError(
                            "sarfa explains one action of several: the value stream has none; use q or policy"
                        )
                    continue
                what = "all" if name == "noise_saliency" else "taken" if single else a
                for one_layer in layers if name in LAYERED else [None]:
                    for one_lag in lags if _has_lags(agent, name) else [None]:
                        if name in plan.PERTURBATION and isinstance(one_lag, str):
                            raise TargetError(
                                f"{name} perturbs one frame: it has no {one_lag!r} of lags; give --lag a number"
                            )
                        if name in plan.PERTURBATION and agent.memory_size and one_lag and agent.protocol.stack > 1:
                            raise TargetError(f"{name} of a past frame needs a recurrent agent that sees one at a time")
                        panels[Panel(name, s, what, one_layer, one_lag)] = None
    window = 0
    if agent.memory_size:
        window = 1 + max((entry for entry in lags if isinstance(entry, int)), default=0)
        window = max(window, RECURRENT_WINDOW) if any(isinstance(entry, str) for entry in lags) else window
    return Request(
        tuple(panels), window, variants or {}, positive_inputs, regions or Regions(), tuple(dict.fromkeys(notes))
    )


def default_stream(agent: Agent) -> str:
    """What an agent acts by: ``q``, else ``policy``, else its first stream."""
    return next((name for name in ("q", "policy") if name in agent.streams), agent.streams[0])


def known_streams(agent: Agent) -> tuple[str, ...]:
    """The agent's streams, with the policy's probabilities where it has logits."""
    extra = (PROBABILITY,) if "policy" in agent.streams and agent.continuous is None else ()
    return (*agent.streams, *(name for name in extra if name not in agent.streams))


def inner_modules(agent: Agent) -> set[str]:
    """Module paths whose outputs can be explained as well."""
    return {name for name, _ in agent.network.named_modules() if name}


def _listed(value: str | int | Iterable[str | int]) -> list[str | int]:
    return [value] if isinstance(value, (str, int)) else list(value)


def _stream(agent: Agent, name: str | int) -> str:
    known = known_streams(agent)
    if name in known or name in inner_modules(agent):
        return str(name)
    raise TargetError(f"no stream {name!r}; this agent has: {', '.join(known)}, or any inner module's path")


def _action(agent: Agent, episode: Episode, action: str | int) -> str:
    """A selection as panels have it: a word, an index, or two indices (``2-3``)."""
    text = str(action)
    if text in SELECTIONS:
        if text == "taken" and episode.actions is None:
            raise TargetError("the actions taken were not recorded: explain --action greedy, or one of the agent's")
        return text
    index = _index(agent, text)
    if index is not None:
        return str(index)
    # Names may have hyphens of their own, so every one is tried.
    places = [place for place, letter in enumerate(text) if letter == "-"]
    for left, right in ((_index(agent, text[:p].strip()), _index(agent, text[p + 1 :].strip())) for p in places):
        if left is not None and left == right:
            raise TargetError(f"{text!r} sets {agent.actions[left]} against itself: name two actions")
        if left is not None and right is not None:
            return f"{left}-{right}"
    listed = ", ".join(f"{index} {name}" for index, name in enumerate(agent.actions))
    words = f"{', '.join(SELECTIONS)}, or one action against another (0-1)"
    raise TargetError(f"no action {text!r}; this agent has: {listed}; or {words}")


def _index(agent: Agent, text: str) -> int | None:
    """An action's index, by name or number."""
    names = {name.lower(): index for index, name in enumerate(agent.actions)}
    if text.isdecimal() and text.isascii() and int(text) < len(agent.actions):
        return names.get(text, int(text))
    return names.get(text.lower())


def _layer(names: Sequence[str], layer: str | int) -> str:
    if isinstance(layer, str) and layer.isdigit():
        layer = int(layer)
    if isinstance(layer, int) and 1 <= layer <= len(names):
        return names[layer - 1]
    if layer in names:
        return str(layer)
    listed = ", ".join(f"{index} ({name})" for index, name in enumerate(names, start=1)) or "none"
    raise TargetError(f"no layer {layer!r}; this agent has: {listed}")


def _lag(agent: Agent, lag: str | int) -> str | int:
    if lag in ("sum", "mean"):
        return lag
    count = agent.protocol.stack
    if str(lag).isdigit() and (int(lag) < count or agent.memory_size):
        return int(lag)
    raise TargetError(f"no lag {lag!r}; this agent sees lags 0 to {count - 1}, or sum or mean over them")


def _has_lags(agent: Agent, method: str) -> bool:
    """Whether a method has a map for each past frame: those over the input, and all where frames are apart in time."""
    return (
        method in INPUT_SHAPED
        or method in plan.PERTURBATION
        or agent.protocol.layout == "time"
        or agent.memory_size > 0
    )
