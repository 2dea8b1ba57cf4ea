"""A game of ale-py's, run as a protocol says."""

from __future__ import annotations

import math
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from ale_py import ALEInterface, LoggerMode, roms
from gymnasium.utils import seeding

from policyscope.agents.presets import game_name
from policyscope.agents.protocol import Protocol, noop_range, skip_range
from policyscope.episodes.picture import arranged, first_stack, picture, pushed
from policyscope.errors import ProtocolError
from policyscope.storage import Array

NOOP = 0


@dataclass(frozen=True)
class Outcome:
    """What an action brought.

    Attributes:
        reward: Unclipped, summed over the frames.
        terminated, truncated: Whether the episode has ended, or was cut off.
        game_over: Whether the game itself has; not so where only a life was lost.
    """

    reward: float
    terminated: bool
    truncated: bool
    game_over: bool


@dataclass(frozen=True)
class GameState:
    """Where a game is: what it needs to go on from there, as often as one likes. It can be pickled.

    Attributes:
        emulator: The console's memory, with the chances of its sticky actions.
        draws: State of the generator of idle frames and frame skips.
        screens, greys, stack: What pictures and observations are made of.
        life_lost, lives: What the next step compares with.
        held: The action that a sticky frame repeats. The emulator keeps it to itself: this is the last one it was
            told, which is wrong where all of that action's frames were sticky.
    """

    emulator: Any
    draws: Mapping[str, Any]
    screens: Array
    greys: Array | None
    stack: Array
    life_lost: bool
    lives: int
    held: int


class AtariGame:
    """A game on the emulator itself.

    Seeds, sticky actions, drawn frame skips and idle frames come from the same generators in the same order as in
    ale-py's ``AtariEnv`` under Gymnasium's and Stable-Baselines3's wrappers, so that a game played there is the game
    played here.

    Attributes:
        protocol: With the picture's size filled in.
        actions: Names of the actions.
        continuous: None; the actions are indices.
        observation: The current one, a new array after each step.
        screen: (height, width, 3) uint8, overwritten by the next step.
    """

    continuous = None

    def __init__(self, protocol: Protocol) -> None:
        if protocol.game is None:
            raise ProtocolError(
                f"protocol {protocol.name!r} names no game; give one, such as game='breakout', or env= if not Atari"
            )
        name = game_name(protocol.game)
        ALEInterface.setLoggerMode(LoggerMode.Error)
        self._ale: Any = ALEInterface()
        self._ale.setFloat("repeat_action_probability", protocol.sticky)
        if protocol.max_frames:
            self._ale.setInt("max_num_frames_per_episode", protocol.max_frames)
        self._rom = Path(str(roms.get_rom_path(name)))
        self._ale.loadROM(self._rom)
        self._modes(protocol)
        height, width = self._ale.getScreenDims()
        crop = protocol.crop
        if crop and (crop[0] + crop[2] > height or crop[1] + crop[3] > width):
            raise ProtocolError(f"crop {crop} reaches beyond the screen of {name}, which is {height} x {width}")
        size = protocol.size or (crop[2:] if crop else (height, width))
        self.protocol = replace(protocol, game=name, size=size)
        legal = self._ale.getLegalActionSet() if protocol.full_action_space else self._ale.getMinimalActionSet()
        self._legal = list(legal)
        self.actions = tuple(action.name for action in self._legal)
        self._skip = skip_range(protocol.frame_skip)
        self._pooled = protocol.max_pool != "none"
        self._fires = protocol.fire_reset and "FIRE" in self.actions and len(self.actions) >= 3
        self._screens: Array = np.zeros((2, height, width, 3), np.uint8)
        # Who pools greys has them from the emulator, whose grey differs from the screen's on European cartridges.
        greys = protocol.colour == "grey" and protocol.colour_first and protocol.max_pool in ("greys", "pictures")
        self._greys: Array | None = np.zeros((2, height, width, 1), np.uint8) if greys else None
        self._ram = np.zeros(self._ale.getRAMSize(), np.uint8)
        self._random: np.random.Generator = np.random.default_rng(0)
        self._life_lost = False
        self._lives = 0
        self._held = NOOP
        self.observation: Array = np.zeros(0, np.uint8)

    @property
    def screen(self) -> Array:
        """(height, width, 3) uint8: the newest screen at full resolution; overwritten by the next step."""
        newest: Array = self._screens[1]
        return newest

    @property
    def lives(self) -> int:
        """Lives left."""
        return int(self._ale.lives())

    @property
    def ram(self) -> Array:
        """(128,) uint8; overwritten when asked for again."""
        self._ale.getRAM(self._ram)
        return self._ram

    def reset(self, seed: int | None = None) -> None:
        """Begins an episode.

        Args:
            seed: Of the emulator and of the draws; None goes on with those of before.
        """
        if seed is not None:
            self._seed(seed)
        if self._life_lost and seed is None:
            self._life_lost = False
            screens = self._advance(NOOP)[1]
            if self._over():
                screens = self._new_game()
        else:
            screens = self._new_game()
        if self._fires:
            screens = self._fire(screens)
        self._lives = self.lives
        self._stack = first_stack(picture(screens, self.protocol), self.protocol)
        self.observation = arranged(self._stack, self.protocol.layout)

    def step(self, action: Any) -> Outcome:
        """Holds an action for a skip's frames."""
        reward, screens = self._advance(action)
        self._stack = pushed(self._stack, picture(screens, self.protocol))
        self.observation = arranged(self._stack, self.protocol.layout)
        terminated, truncated = self._ale.game_over(with_truncation=False), self._ale.game_truncated()
        game_over = terminated or truncated
        lives = self.lives
        # No lives at all is a state that some games (Q*bert) pass through before they are over.
        self._life_lost = self.protocol.life_ends_episode and 0 < lives < self._lives and not game_over
        self._lives = lives
        return Outcome(reward, terminated or self._life_lost, truncated, game_over)

    def state(self) -> GameState:
        """Where the game is; what happens later does not change it."""
        return GameState(
            self._ale.cloneState(include_rng=True),
            deepcopy(self._random.bit_generator.state),
            self._screens.copy(),
            None if self._greys is None else self._greys.copy(),
            self._stack.copy(),
            self._life_lost,
            self._lives,
            self._held,
        )

    def restore(self, state: GameState, held: int | None = None) -> None:
        """Goes back to where this game, or one of the same protocol, was.

        Args:
            state: Where.
            held: The action that a sticky frame repeats, if the state's own is not the one.
        """
        self._ale.restoreState(state.emulator)
        self._held = state.held if held is None else held
        sticky = self.protocol.sticky
        if 0 < sticky < 1:
            # A state has everything but the held action, which only acting changes, at the first frame that is not
            # sticky; the second time, the rest is put back and the action stays.
            for _ in range(min(1000, math.ceil(math.log(1e-12) / math.log(sticky)))):
                self._ale.act(self._legal[self._held])
            self._ale.restoreState(state.emulator)
        self._random.bit_generator.state = deepcopy(state.draws)
        self._screens[:] = state.screens
        if self._greys is not None and state.greys is not None:
            self._greys[:] = state.greys
        self._stack, self._life_lost, self._lives = state.stack.copy(), state.life_lost, state.lives
        self.observation = arranged(self._stack, self.protocol.layout)

    def close(self) -> None:
        """Nothing is held open."""

    def _modes(self, protocol: Protocol) -> None:
        for kind, value, known, choose in (
            ("mode", protocol.mode, self._ale.getAvailableModes, self._ale.setMode),
            ("difficulty", protocol.difficulty, self._ale.getAvailableDifficulties, self._ale.setDifficulty),
        ):
            if value is None:
                continue
            if value not in known():
                choices = ", ".join(str(int(choice)) for choice in known())
                raise ProtocolError(f"{protocol.game} has no {kind} {value}; it has {choices}")
            choose(value)

    def _seed(self, seed: int) -> None:
        draws, emulator = np.random.SeedSequence(seed).generate_state(2)
        self._random, _ = seeding.np_random(int(draws))
        self._ale.setInt("random_seed", np.int32(emulator))
        # The emulator takes its seed when a cartridge is put in.
        self._ale.loadROM(self._rom)
        self._modes(self.protocol)

    def _over(self) -> bool:
        return bool(self._ale.game_over())

    def _new_game(self) -> list[Array]:
        self._ale.reset_game()
        fewest, most = noop_range(self.protocol.noops)
        for _ in range(int(self._random.integers(fewest, most + 1)) if most else 0):
            self._ale.act(NOOP)
            if self._over():
                self._ale.reset_game()
        self._life_lost = False
        self._held = NOOP
        return self._seen(1)

    def _fire(self, screens: list[Array]) -> list[Array]:
        for action in (1, 2):
            before = self.lives
            _, screens = self._advance(action)
            if self._over():
                screens = self._new_game()
            elif self.protocol.life_ends_episode and 0 < self.lives < before:
                screens = self._advance(NOOP)[1]
        return screens

    def _advance(self, action: int) -> tuple[float, list[Array]]:
        low, high = self._skip
        frames = low if low == high else int(self._random.integers(low, high + 1))
        ale, held, reward = self._ale, self._legal[action], 0.0
        self._held = action
        for frame in range(1, frames + 1):
            reward += ale.act(held)
            # The emulator's own skip, which pools nothing, goes on past the end and draws its sticky actions there.
            if self._pooled:
                if ale.game_over():
                    break
                if frame == frames - 1:
                    self._grab(0)
        return reward, self._seen(1 if frames == 1 or not self._pooled else 2)

    def _grab(self, slot: int) -> None:
        if self._greys is None or slot == 1:
            self._ale.getScreenRGB(self._screens[slot])
        if self._greys is not None:
            self._ale.getScreenGrayscale(self._greys[slot, :, :, 0])

    def _seen(self, count: int) -> list[Array]:
        """The last one or two screens, as the picture is made from them."""
        self._grab(1)
        return list((self._screens if self._greys is None else self._greys)[-count:])
