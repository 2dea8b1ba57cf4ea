"""A game that is played and explained while somebody looks, and takes a hand in it."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from policyscope.agents.agent import Agent
from policyscope.episodes.play import one_thread
from policyscope.errors import PolicyscopeError, RunError
from policyscope.saliency.maps import Panel
from policyscope.saliency.request import Request
from policyscope.viewer.commands import Command
from policyscope.viewer.computing import Computing
from policyscope.viewer.newest import Newest
from policyscope.viewer.panels import key_of, panel_of
from policyscope.viewer.player import Player
from policyscope.viewer.watchers import Watchers

RATE = 15.0
BATCH = 8
"""Steps that are explained together at most: more would make the picture stutter."""

PATIENCE = 30.0
"""Seconds after which a game that nobody looks at stands still."""

_OVER = "the game is over: the viewer is being closed"

SLOWEST = 0.25
"""Seconds that a batch may take: as long as a command waits to be obeyed."""


class Live:
    """Plays in a thread of its own, explains each step for the panels that are shown, and obeys.

    Attributes:
        player: The game. Only the thread touches it while it runs.
        computing: Runs the agents.
        watchers: Who looks; while nobody does, the game stands still.
        panels: What is explained, by the names of panels.
        newest: The maps of the rows that were explained last.
        rate: Steps a second; 0 for as many as there can be.
        playing: Whether it goes on by itself.
        human: Whether a person acts.
        message: What a person should know; None where there is nothing.
    """

    def __init__(
        self, player: Player, others: Mapping[str, Agent], panels: Sequence[Panel], rate: float = RATE, steps: int = 0
    ) -> None:
        """Plays the first step.

        Args:
            player: A game at its beginning.
            others: Agents beside the one that plays, by their keys.
            panels: What is explained at first.
            rate: Steps a second; 0 for as many as there can be.
            steps: Of the first track after which the game pauses; 0 for none.

        Raises:
            TargetError: The agent lacks what a panel asks for.
        """
        self.player = player
        with one_thread():
            player.step()
        self.computing = Computing({"": player.agent, **others}, player.track.episode())
        self.watchers, self.newest = Watchers(), Newest()
        self.rate, self.playing, self.human = rate, True, False
        self.message: str | None = None
        self.panels: list[str] = []
        self._steps, self._single, self._action = steps, 0, 0
        self._shown: dict[int, int] = {}
        self._times: deque[float] = deque(maxlen=64)
        self._next = self._cost = 0.0
        self._requests: list[tuple[str, Request, dict[str, Panel]]] = []
        self._commands: queue.SimpleQueue[tuple[Command | None, Future[None]]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="player", daemon=True)
        self.show([key_of(panel) for panel in panels])

    # -- what others see and ask, in any thread -----------------------------------------------------------------

    def shown(self, track: int) -> int:
        """Rows of a track that were played and explained."""
        return self._shown.get(track, 0)

    def speed(self) -> float:
        """Steps a second, of late."""
        times = [moment for moment in list(self._times) if moment > time.monotonic() - 3]
        return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 and times[-1] > times[0] else 0.0

    def request(self) -> Request | None:
        """What is explained now of the agent that plays; None where that is nothing."""
        return next((request for agent, request, _ in self._requests if not agent), None)

    def obey(self, body: Mapping[str, Any]) -> None:
        """Has a command carried out.

        Raises:
            PolicyscopeError: It cannot be; the line says why.
        """
        done: Future[None] = Future()
        self._commands.put((Command.of(body), done))
        if not self._thread.is_alive():
            raise RunError(_OVER)
        while True:
            try:
                return done.result(timeout=1)
            except TimeoutError:
                if not self._thread.is_alive():
                    raise RunError(_OVER) from None

    def start(self) -> None:
        """Lets the game begin once somebody looks."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the game; every track is then a whole episode. The message tells what went wrong, if anything did."""
        if self._thread.is_alive():
            self._commands.put((None, Future()))
            self._thread.join()
        self.player.close()
        self.watchers.changed()

    # -- the thread ---------------------------------------------------------------------------------------------

    def _run(self) -> None:
        with one_thread():
            while self._obeyed():
                try:
                    self._turn()
                except PolicyscopeError as error:
                    self._stand_still(str(error))
                except Exception as error:
                    # A bug must not leave a page that waits forever and a run that is not closed.
                    self._stand_still(f"{type(error).__name__}: {error}; this is a mistake in policyscope")

    def _obeyed(self) -> bool:
        """Carries out what waits; False where the game ends."""
        pause = self._pause()
        while True:
            try:
                command, done = self._commands.get(timeout=pause) if pause else self._commands.get_nowait()
            except queue.Empty:
                return True
            pause = 0.0
            if command is None:
                return False
            try:
                command.run(self)
                done.set_result(None)
            except Exception as error:
                done.set_exception(error)
            self.watchers.changed()

    def _pause(self) -> float:
        """Seconds until there is something to do."""
        if self._behind() or self._single:
            return 0.0
        return max(self._next - time.monotonic(), 0.0) if self._plays() else 0.25

    def _plays(self) -> bool:
        return self.playing and self.watchers.looked(PATIENCE)

    def _behind(self) -> int:
        track = self.player.track
        return len(track) - self.shown(track.number)

    def _turn(self) -> None:
        now = time.monotonic()
        alone = self.human or self._single > 0
        most = 1 if alone else max(1, min(BATCH, int(SLOWEST / self._cost))) if self._cost else 1
        due = self._single > 0 or (self._plays() and now >= self._next)
        if due and self._behind() < most:
            self._play(now)
            hurried = not self.rate or time.monotonic() >= self._next
            if hurried and self._behind() < most:
                return  # the next step can be explained together with this one
        if self._behind():
            self._explain(most)

    def _play(self, now: float) -> None:
        period = 1 / self.rate if self.rate else 0.0
        # Who is late by more than a little does not run after it.
        self._next = max(self._next + period, now - 4 * period)
        self._single = max(self._single - 1, 0)
        self.player.step(self._action if self.human else None)
        track = self.player.track
        if self._steps and track.number == 0 and len(track) >= self._steps and self.playing:
            self.playing = False
            self.message = f"played {self._steps} steps, as asked: press play to go on"

    def _explain(self, most: int) -> None:
        track = self.player.track
        start = self.shown(track.number)
        stop = min(start + most, len(track))
        began = time.monotonic()
        episode = track.episode()
        for agent, request, keys in self._requests:
            found = self.computing.rows(episode, request, start, stop, agent)
            self.newest.put(track.number, start, {key: found[panel] for key, panel in keys.items()})
        taken = (time.monotonic() - began) / (stop - start)
        self._cost = taken if not self._cost else 0.8 * self._cost + 0.2 * taken
        self._shown[track.number] = stop
        self._times.extend([time.monotonic()] * (stop - start))
        self.watchers.changed()

    def _stand_still(self, message: str) -> None:
        self.playing, self._single, self.message = False, 0, message
        track = self.player.track
        self._shown[track.number] = len(track)
        self.watchers.changed()

    # -- what commands change, in the thread --------------------------------------------------------------------

    def go(self, playing: bool) -> None:
        """Goes on, or pauses once all that was played is shown: a game that stands still has no more steps."""
        if not playing and self._behind():
            self._explain(self._behind())
        self.playing, self.message, self._next = playing, None, time.monotonic()
        self._times.clear()
        if not playing:
            self.player.track.flush()

    def single(self) -> None:
        """Plays one step and pauses."""
        self.go(False)
        self._single += 1

    def hand(self, human: bool) -> None:
        """Lets a person act, or the agent again."""
        self.player.check_action(0)
        self.human, self._action = human, 0

    def press(self, action: int) -> None:
        """What the person does from now on."""
        self.player.check_action(action)
        self._action = action

    def show(self, keys: Sequence[str]) -> None:
        """What is explained from now on, by the names of panels."""
        episode = self.player.track.episode()
        by_agent: dict[str, dict[str, Panel]] = {}
        for key in keys:
            panel, agent = panel_of(key)
            by_agent.setdefault(agent, {})[key] = self.computing.request(episode, [panel], agent).panels[0]
        self._requests = [
            (agent, self.computing.request(episode, list(chosen.values()), agent), chosen)
            for agent, chosen in by_agent.items()
        ]
        self.panels, self._cost = list(keys), 0.0

    def moved(self) -> None:
        """The track is another: what is known of the speed is of no use."""
        self.human, self.message = False, None
        self._times.clear()
