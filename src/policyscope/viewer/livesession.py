"""What the server serves of a game that is being played."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from policyscope.errors import RunError
from policyscope.viewer.document import Document, first_panels
from policyscope.viewer.live import Live
from policyscope.viewer.newest import first_of, newest_bundle
from policyscope.viewer.panels import panel_of, told
from policyscope.viewer.session import Notes, asked, names_of
from policyscope.viewer.tracks import Track


class LiveSession:
    """A game that is being played, for the page. Any thread may ask.

    Attributes:
        live: The game.
        title: For the window.
        tag: None: rows come and tracks change.
    """

    tag: str | None = None

    def __init__(self, live: Live) -> None:
        self.live = live
        self._notes = Notes(live.player.folder)
        self.title = str(self._document(live.player.track).manifest()["title"])

    def manifest(self) -> dict[str, Any]:
        """What the page must know first."""
        track = self.live.player.track
        shown = [(key, *panel_of(key)) for key in self.live.panels]
        return self._document(track).manifest() | {
            "live": True,
            "steps": self.live.shown(track.number),
            "panels": [told(panel, agent, stored=False) for _, panel, agent in shown],
            "first": first_panels([panel for _, panel, agent in shown if not agent]),
            "notes": self._notes.read(),
            "message": None,
        }

    def bundle(self, key: str, track: int | None = None) -> bytes:
        """Rows of a track, by their key."""
        return self._document(self._track(track)).bundle(key)

    def statistics(self, panel: str, track: int | None = None) -> dict[str, float]:
        """Of no panel: its episode is not over."""
        return {"rows": 0}

    def ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a question about a track."""
        track = self._track(question.get("track"))
        return asked(question, self._document(track), self.live.computing, str(track.number))

    def keep(self, notes: Any, before: Any = None) -> list[dict[str, Any]]:
        """Keeps notes; returns all that there are."""
        return self._notes.keep(notes, before)

    def end(self) -> None:
        """Lets nobody wait any longer, be it for news or for maps."""
        self.live.computing.end()
        self.live.watchers.changed()

    def frames(self, since: int, track: int | None = None) -> bytes:
        """The rows of a track that a page does not know yet; see :func:`~policyscope.viewer.newest.newest_bundle`."""
        found = self._track(track)
        stop = self.live.shown(found.number)
        since = min(max(since, 0), stop)
        first = first_of(since, stop)
        maps = {key: self.live.newest.take(found.number, key, first, stop) for key in self.live.panels}
        return newest_bundle(self._document(found), since, stop, maps)

    def status(self) -> dict[str, Any]:
        """Where the game is."""
        live = self.live
        live.watchers.look()
        tracks, now = list(live.player.tracks), live.player.track
        return {
            "version": live.watchers.version,
            "steps": live.shown(now.number),
            "playing": live.playing,
            "human": live.human,
            "fps": round(live.speed(), 1),
            "rate": live.rate,
            "track": now.number,
            "tracks": [
                {
                    "id": track.number,
                    "parent": track.origin.parent,
                    "from": track.origin.step,
                    "steps": live.shown(track.number),
                    "seed": track.origin.seed,
                }
                for track in tracks
            ],
            "panels": list(live.panels),
            "message": live.message,
        }

    def _track(self, number: Any) -> Track:
        tracks = self.live.player.tracks
        if number is None:
            return self.live.player.track
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < len(tracks):
            raise RunError(f"no track {number!r}: there are 0 to {len(tracks) - 1}")
        return tracks[number]

    def _document(self, track: Track) -> Document:
        episode = track.episode()
        compute = partial(self.live.computing.maps, episode, name=str(track.number))
        return Document(episode, None, compute, names_of(self.live.computing.agents), self.live.computing.layers())
