"""Plays step by step, on several tracks: with the agent's actions or somebody else's, from any step on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from policyscope.agents.agent import Agent
from policyscope.episodes.atari import AtariGame, GameState, Outcome
from policyscope.episodes.environment import GivenEnv
from policyscope.episodes.episode import Episode
from policyscope.episodes.play import description, opened
from policyscope.episodes.policy import policy_of
from policyscope.episodes.turns import Turns
from policyscope.errors import PolicyscopeError, RunError
from policyscope.viewer.tracks import Origin, Track


class Player:
    """A game and its agent. One thread at a time.

    As long as nobody interferes, the first track is what ``play`` records with the same seed, bit for bit.

    Attributes:
        agent: Who plays.
        folder: The run folder; branches are below its ``branches``.
        tracks: All that were begun, by number.
        track: The one that is played.
    """

    def __init__(
        self, agent: Agent, folder: Path, seed: int = 0, policy: str | None = None, env: GivenEnv | None = None
    ) -> None:
        """Begins a game.

        Raises:
            RunError: The folder already holds a run.
            ProtocolError: The environment does not exist, or does not fit the agent.
        """
        if seed < 0:
            raise PolicyscopeError(f"the seed is at least 0, not {seed}")
        if (folder / "episode.zarr" / "meta.json").exists():
            raise RunError(f"{folder} already holds a run: view it by its name, or choose another --out")
        self.agent, self.folder = agent, folder
        self._policy = policy_of(policy or agent.policy, agent)
        self._open = ExitStack()
        self._environment = self._open.enter_context(opened(agent, env))
        self._environment.reset(seed)
        self._turns = Turns(agent, self._environment, self._policy)
        self.tracks: list[Track] = []
        self.track = self._begin(Origin(None, 0, seed, 0))

    @property
    def branches(self) -> bool:
        """Whether one can go back: ale-py's games can be put where they were."""
        return isinstance(self._environment, AtariGame)

    @property
    def discrete(self) -> bool:
        """Whether a person can act."""
        return self._environment.continuous is None

    def step(self, action: int | None = None) -> Outcome:
        """Plays one step.

        Args:
            action: Somebody's; by default the agent's own choice.
        """
        environment, track, number = self._environment, self.track, len(self.track)
        if isinstance(environment, AtariGame):
            track.snapshots.offer(number, environment)
        if action is not None and "interfered" not in track.meta:
            track.change_meta(interfered=number)
        return self._turns.take(track, track.origin.seed, track.origin.offset + number, action)

    def branch(self, number: int, step: int, action: int) -> Track:
        """Goes back to a step, takes another action there, and goes on from that on a track of its own.

        Args:
            number: The track to leave.
            step: Row of it; its length is where it goes on.
            action: What is done there.

        Returns:
            The new track, whose first row is that step.

        Raises:
            RunError: There is no such step, or it cannot be gone back to.
        """
        self._check_branching("branching")
        self.check_action(action)
        parent = self._known(number)
        if not 0 <= step <= len(parent):
            raise RunError(f"track {number} has {len(parent)} steps: there is no step {step} to branch from")
        left = self._leave()
        try:
            self._go_to(parent, step)
        except RunError:
            left()
            raise
        origin = parent.origin
        self.track = self._begin(Origin(number, step, origin.seed, origin.offset + step))
        self.step(action)
        return self.track

    def switch(self, number: int) -> Track:
        """Goes on where another track was left."""
        track = self._known(number)
        if track is not self.track:
            self._check_branching("going back to another track")
            left = self._leave()
            try:
                self._go_to(track, len(track))
            except RunError:
                left()
                raise
            self.track = track
        return track

    def reset(self, seed: int | None = None) -> Track:
        """Begins another game on a track of its own, by default with the next seed."""
        self._check_branching("another game beside this one")
        seed = 1 + max(track.origin.seed for track in self.tracks) if seed is None else seed
        self._leave()
        self._environment.reset(seed)
        self._turns.forget()
        self.track = self._begin(Origin(None, 0, seed, 0))
        self.step()
        return self.track

    def check_action(self, action: int) -> None:
        """Makes sure that a person's action is one.

        Raises:
            RunError: It is none, or actions are continuous.
        """
        if not self.discrete:
            raise RunError("this agent's actions are continuous: no key stands for one of them")
        names = self._environment.actions
        if not 0 <= action < len(names):
            raise RunError(f"no action {action}; there are 0 to {len(names) - 1}: {', '.join(names)}")

    def close(self) -> None:
        """Writes what waits: every track is then a whole episode."""
        for track in self.tracks:
            track.close()
        self._open.close()

    def _begin(self, origin: Origin) -> Track:
        number = len(self.tracks)
        meta = description(self.agent, self._environment, self._policy, origin.seed)
        folder = self.folder
        if number:
            folder = self.folder / "branches" / str(number)
            meta["branch"] = {"parent": origin.parent, "from": origin.step}
        track = Track(number, origin, folder, self._environment.protocol, meta)
        self.tracks.append(track)
        return track

    def _known(self, number: int) -> Track:
        if not 0 <= number < len(self.tracks):
            raise RunError(f"no track {number}: there are 0 to {len(self.tracks) - 1}")
        return self.tracks[number]

    def _check_branching(self, what: str) -> None:
        if not self.branches:
            name = self._environment.protocol.env
            raise RunError(f"{what} needs a game that can be put back where it was: {name} cannot, ale-py's games can")

    def _leave(self) -> Callable[[], None]:
        """Makes ready for another track; returns how to stay if it cannot be gone to."""
        if not len(self.track):
            raise RunError("nothing was played yet: there is nothing to come back to")
        self.track.flush()
        game, turns = self._environment, self._turns
        assert isinstance(game, AtariGame)
        state, memory, start = game.state(), turns.memory, turns.start

        def stay() -> None:
            game.restore(state)
            turns.memory, turns.start = memory, start

        return stay

    def _go_to(self, track: Track, step: int) -> None:
        """Puts the game where it was before a step of a track, or where the track ends.

        Whoever goes back takes at least one recorded action again, because what is not known of a sticky game (see
        :class:`GameState`) is then either of no account or told by what comes out.

        Raises:
            RunError: What comes out is not what was recorded.
        """
        game, origin, past = self._environment, track.origin, track.episode()
        assert isinstance(game, AtariGame)
        if step == 0 and origin.parent is not None:
            self._go_to(self.tracks[origin.parent], origin.step)
            return
        first, state = track.snapshots.nearest(max(step - 1, 0))
        others = [action for action in range(len(game.actions)) if action != state.held] if game.protocol.sticky else []
        found = [_differing(game, past, first, step, state, state.held)]
        while found[-1] is not None and others:
            found.append(_differing(game, past, first, step, state, others.pop(0)))
        if found[-1] is not None:
            raise RunError(f"step {step} cannot be gone back to: the game comes out differently at step {found[0]}")
        if step and not past.terminated[step - 1] and not past.truncated[step - 1]:
            self._turns.go_on(past[:step])
        else:
            self._turns.forget()


def _differing(game: AtariGame, past: Episode, first: int, step: int, state: GameState, held: int) -> int | None:
    """Takes recorded actions again from a state up to a step; the first row that is not as recorded, if any."""
    assert past.actions is not None
    assert past.screens is not None
    assert past.ram is not None
    game.restore(state, held)
    for row in range(first, min(step + 1, len(past))):
        same = np.array_equal(game.observation, past.observations[row])
        same = same and np.array_equal(game.screen, past.screens[row])
        if not same or (row > first and not np.array_equal(game.ram, past.ram[row])):
            return row
        if row < step:
            outcome = game.step(int(past.actions[row]))
            if np.float32(outcome.reward) != past.rewards[row]:
                return row
            if outcome.terminated or outcome.truncated:
                game.reset()
    return None
