"""Maps that nobody stored, made when the page asks for them, by the code of ``explain``."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace

import numpy as np

from policyscope.agents.agent import Agent
from policyscope.episodes.episode import Episode
from policyscope.errors import PolicyscopeError, RunError, TargetError
from policyscope.saliency.explainer import Explainer
from policyscope.saliency.maps import Panel, map_column
from policyscope.saliency.plan import PERTURBATION
from policyscope.saliency.request import LAYERED, Request, make_request
from policyscope.storage import Array

BUDGET = 256 << 20
"""Bytes of maps that are kept."""

LONGEST = 64
"""Frames that a recurrent network is unrolled over at most: a page could ask for any number."""

SLOW_ROWS = 4
"""Rows of a perturbation method that are explained before others have their turn."""

Wanted = tuple[str, str, int, int]


def request_of(agent: Agent, episode: Episode, layers: Sequence[str], panels: Sequence[Panel]) -> Request:
    """One request for several panels, each checked.

    Args:
        agent: Whose panels.
        episode: What is explained.
        layers: The agent's convolutions, in the order they run.
        panels: As somebody asked for them; the request's have the same order, in their own words.

    Raises:
        TargetError: The agent lacks what a panel asks for.
    """
    requests = [_checked(agent, episode, layers, panel) for panel in panels]
    whole = requests[0]
    return replace(
        whole,
        panels=tuple(dict.fromkeys(request.panels[0] for request in requests)),
        window=max(request.window for request in requests),
        notes=tuple(dict.fromkeys(note for request in requests for note in request.notes)),
    )


class Computing:
    """Explains rows of episodes when they are asked for.

    Networks run one at a time, whoever asks. Those who wait for maps of the same rows get them from one pass.

    Attributes:
        agents: Who can be asked: ``""`` played, ``b`` is compared with it.
        lock: Held while a network runs.
    """

    def __init__(self, agents: Mapping[str, Agent], episode: Episode, budget: int = BUDGET) -> None:
        """Runs each agent once.

        Args:
            agents: By their keys in panels' names.
            episode: At least one row.
            budget: Bytes of maps that are kept.

        Raises:
            ProtocolError: The episode's observations are not those that an agent sees.
            RunError: The episode is empty.
        """
        if len(episode) == 0:
            raise RunError("the episode has no steps to explain")
        self.agents = dict(agents)
        self.lock = threading.RLock()
        self._explainers = {key: Explainer(agent, episode) for key, agent in agents.items()}
        self._kept: OrderedDict[tuple[Wanted, Panel], Array] = OrderedDict()
        self._bytes, self._budget = 0, budget
        self._wanted: dict[Wanted, list[Panel]] = {}
        self._guard = threading.Lock()
        self._ended = threading.Event()

    def end(self) -> None:
        """Leaves off what takes long: nobody waits for it any more."""
        self._ended.set()

    def agent(self, key: str) -> Agent:
        """Who is meant by a key.

        Raises:
            TargetError: Nobody.
        """
        return self._explainer(key).agent

    def layers(self, agent: str = "") -> list[str]:
        """An agent's convolutions, in the order they run."""
        return self._explainer(agent).layer_names

    def request(self, episode: Episode, panels: Sequence[Panel], agent: str = "") -> Request:
        """Panels as a request.

        Raises:
            TargetError: The agent lacks what one asks for, or there is no such agent.
        """
        explainer = self._explainer(agent)
        return request_of(explainer.agent, episode, explainer.layer_names, panels)

    def rows(self, episode: Episode, request: Request, start: int, stop: int, agent: str = "") -> dict[Panel, Array]:
        """Maps of some rows, computed now.

        Returns:
            Each of the request's panels' (stop - start, h, w) float32, at the layer's own size.
        """
        with self.lock:
            explainer = self._explainer(agent).with_episode(episode)
            found = next(iter(explainer.run(request, [slice(start, stop)])))
        return {panel: found[map_column(request.panels, panel)] for panel in request.panels}

    def maps(self, episode: Episode, panel: Panel, agent: str, start: int, stop: int, name: str = "") -> Array:
        """Maps of one panel, kept for the next who asks.

        Args:
            episode: What is explained.
            panel: As somebody asked for it.
            agent: Who explains.
            start: First row.
            stop: Behind the last row.
            name: Of the episode, where there are several.

        Returns:
            (stop - start, h, w) float32, at the layer's own size.

        Raises:
            TargetError: The agent lacks what the panel asks for.
        """
        if not 0 <= start < stop <= len(episode):
            raise RunError(f"no steps {start} to {stop - 1}: the episode has {len(episode)}")
        panel = self.request(episode, [panel], agent).panels[0]
        wanted: Wanted = (name, agent, start, stop)
        with self._guard:
            self._wanted.setdefault(wanted, []).append(panel)
        try:
            slow = panel.method in PERTURBATION
            # One that takes seconds gives the lock back between its rows, so that no one else waits for all of it.
            with nullcontext() if slow else self.lock:
                kept = self._of_kept(wanted, panel)
                return self._made(episode, panel, wanted) if kept is None else kept
        finally:
            with self._guard:
                self._wanted[wanted].remove(panel)
                if not self._wanted[wanted]:
                    del self._wanted[wanted]

    def _made(self, episode: Episode, panel: Panel, wanted: Wanted) -> Array:
        _, agent, start, stop = wanted
        if panel.method in PERTURBATION:
            return self._made_slowly(episode, panel, wanted)
        with self._guard:
            others = [p for p in self._wanted[wanted] if p.method not in PERTURBATION]
        try:
            found = self.rows(episode, self.request(episode, [panel, *others], agent), start, stop, agent)
        except PolicyscopeError:  # perhaps another's fault
            found = self.rows(episode, self.request(episode, [panel], agent), start, stop, agent)
        for made, maps in found.items():
            self._keep(wanted, made, maps)
        return found[panel]

    def _made_slowly(self, episode: Episode, panel: Panel, wanted: Wanted) -> Array:
        _, agent, start, stop = wanted
        request, parts = self.request(episode, [panel], agent), []
        for row in range(start, stop, SLOW_ROWS):
            if self._ended.is_set():
                raise RunError("the viewer is ending")
            parts.append(self.rows(episode, request, row, min(row + SLOW_ROWS, stop), agent)[panel])
            # A lock that is taken again at once is never seen free by those who wait for it.
            time.sleep(0.001)
        maps = np.concatenate(parts)
        self._keep(wanted, panel, maps)
        return maps

    def _explainer(self, agent: str) -> Explainer:
        if agent not in self._explainers:
            named = ", ".join(repr(key) for key in self._explainers)
            raise TargetError(f"no agent {agent!r} in this view; there are: {named}")
        return self._explainers[agent]

    def _of_kept(self, wanted: Wanted, panel: Panel) -> Array | None:
        with self._guard:
            found = self._kept.get((wanted, panel))
            if found is not None:
                self._kept.move_to_end((wanted, panel))
            return found

    def _keep(self, wanted: Wanted, panel: Panel, maps: Array) -> None:
        with self._guard:
            before = self._kept.pop((wanted, panel), None)
            self._bytes += maps.nbytes - (0 if before is None else before.nbytes)
            self._kept[wanted, panel] = maps
            while self._bytes > self._budget and len(self._kept) > 1:
                self._bytes -= self._kept.popitem(last=False)[1].nbytes


def _checked(agent: Agent, episode: Episode, layers: Sequence[str], panel: Panel) -> Request:
    lag = 0 if panel.lag is None else panel.lag
    if isinstance(lag, int) and lag >= LONGEST:
        raise TargetError(f"no lag {lag} here: at most {LONGEST - 1} frames back can be asked for")
    if panel.method in LAYERED and panel.layer is None:
        raise TargetError(f"{panel.method} explains a layer; this agent has: {', '.join(layers) or 'none'}")
    # Eq. 1 compares whole outputs; its panel says so in a word that is no selection.
    action = "greedy" if panel.action == "all" and panel.method == "noise_saliency" else panel.action
    try:
        return make_request(
            agent,
            episode,
            layers,
            methods=panel.method,
            stream=panel.stream,
            action=action,
            layer=panel.layer or 1,
            lag=lag,
        )
    except ValueError as error:  # digits that are no numbers
        raise TargetError(f"no panel {panel.label!r}: {error}") from error
