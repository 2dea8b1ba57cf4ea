"""What a page may have done to a game that is being played."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from policyscope.errors import PolicyscopeError

if TYPE_CHECKING:
    from policyscope.viewer.live import Live

MOST_PANELS = 24
FASTEST = 1000.0


@dataclass(frozen=True)
class Command:
    """A command and its values, as a page sent them.

    Attributes:
        do: Its name.
        values: What goes with it.
    """

    do: str
    values: Mapping[str, Any]

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Command:
        """A command from what a page sent.

        Raises:
            PolicyscopeError: There is none of that name.
        """
        name = body.get("do")
        if not isinstance(name, str) or name not in COMMANDS:
            raise PolicyscopeError(f"no command {name!r}; there are: {', '.join(COMMANDS)}")
        return cls(name, body)

    def run(self, live: Live) -> None:
        """Carries it out.

        Raises:
            PolicyscopeError: It cannot be; the line says why.
        """
        COMMANDS[self.do](live, self)

    def number(self, name: str, default: int | None = None) -> int:
        """A whole number that goes with it.

        Raises:
            PolicyscopeError: It is none.
        """
        value = self.values.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise PolicyscopeError(f"{self.do} needs {name!r}, a number from 0, not {value!r}")
        return value


def _rate(live: Live, command: Command) -> None:
    rate = command.values.get("rate")
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate <= FASTEST:
        raise PolicyscopeError(f"a rate is from 0 (as fast as it goes) to {FASTEST:g} steps a second, not {rate!r}")
    live.rate = float(rate)


def _panels(live: Live, command: Command) -> None:
    keys = command.values.get("panels")
    if not isinstance(keys, list) or len(keys) > MOST_PANELS or not all(isinstance(key, str) for key in keys):
        raise PolicyscopeError(f"panels are up to {MOST_PANELS} names, method~stream~action~layer~lag~agent")
    live.show(list(dict.fromkeys(keys)))


def _branch(live: Live, command: Command) -> None:
    track = command.number("track", live.player.track.number)
    live.player.branch(track, command.number("step"), command.number("action"))
    live.moved()


def _track(live: Live, command: Command) -> None:
    live.player.switch(command.number("track"))
    live.moved()


def _reset(live: Live, command: Command) -> None:
    live.player.reset(command.number("seed") if command.values.get("seed") is not None else None)
    live.moved()


COMMANDS: dict[str, Callable[[Live, Command], None]] = {
    "play": lambda live, _: live.go(True),
    "pause": lambda live, _: live.go(False),
    "step": lambda live, _: live.single(),
    "rate": _rate,
    "panels": _panels,
    "take": lambda live, _: live.hand(True),
    "give": lambda live, _: live.hand(False),
    "action": lambda live, command: live.press(command.number("action")),
    "branch": _branch,
    "track": _track,
    "reset": _reset,
}
"""Name -> what it does."""
