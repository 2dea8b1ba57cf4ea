"""What happened at each step, in words and curves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from policyscope.episodes.episode import Episode
from policyscope.rendering.sources import Array
from policyscope.rendering.words import number


@dataclass(frozen=True)
class Curve:
    """A named number a step, (N,)."""

    name: str
    values: Array


@dataclass(frozen=True)
class Facts:
    """What the pictures tell about an episode.

    Attributes:
        title: Agent and game.
        actions: Name of each step's action; None where the actions were not recorded.
        greedy: (N,) bool: the action was the best of ``q`` or ``policy``; None where neither tells.
        rewards: (N,) float.
        returns: (N,) reward of the game so far, this step's included.
        lives: (N,) int, or None where the game has none.
        lost: (N,) bool: the step cost a life.
        starts: (N,) bool: a game begins.
        curves: Q of the action taken, the value, the probability of the action: what the streams have.
    """

    title: str
    actions: list[str] | None
    greedy: Array | None
    rewards: Array
    returns: Array
    lives: Array | None
    lost: Array
    starts: Array
    curves: tuple[Curve, ...]

    def __len__(self) -> int:
        return len(self.rewards)


def facts(episode: Episode) -> Facts:
    """Reads the facts of an episode."""
    rewards = np.nan_to_num(np.asarray(episode.rewards, np.float64))
    n = len(rewards)
    over = np.asarray(episode.game_over, bool)
    starts = np.ones(n, bool)
    starts[1:] = over[:-1]
    lives = np.asarray(episode.lives).astype(int)
    has_lives = bool(lives.max(initial=0) > 0)
    lost = over & np.asarray(episode.terminated, bool) & has_lives
    lost[:-1] |= (np.diff(lives) < 0) & ~over[:-1]
    actions = None if episode.actions is None else np.asarray(episode.actions)
    return Facts(
        title=title_of(episode),
        actions=None if actions is None else action_names(actions, episode),
        greedy=None if actions is None else _greedy(actions, episode),
        rewards=rewards,
        returns=_returns(rewards, starts),
        lives=lives if has_lives else None,
        lost=lost,
        starts=starts,
        curves=_curves(actions, episode),
    )


def action_names(actions: Array, episode: Episode) -> list[str]:
    """Each step's action in words; of continuous ones the largest components by name."""
    names = actions_of(episode)
    if actions.ndim == 1:
        return [names[a] if 0 <= a < len(names) else f"action {a}" for a in actions.astype(int)]
    labels = names if len(names) == actions.shape[1] else tuple(f"a{i}" for i in range(actions.shape[1]))
    return [
        " ".join(f"{labels[i]} {row[i]:+.2f}" for i in sorted(np.argsort(-np.abs(row), kind="stable")[:3]))
        for row in actions
    ]


def actions_of(episode: Episode) -> tuple[str, ...]:
    """The names of the actions; none where they are not known."""
    return tuple(str(name) for name in episode.meta.get("actions") or ())


def probabilities(logits: Array) -> Array:
    """The softmax of each row, (N, k) -> (N, k) float64."""
    exact = logits.astype(np.float64)
    odds = np.exp(exact - exact.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def game_of(episode: Episode) -> str:
    """The game's name."""
    game = episode.meta.get("game") or episode.protocol.game or episode.protocol.env
    return str(game) if game else "recorded episode"


def agent_of(episode: Episode) -> str:
    """Where the agent came from."""
    agent = episode.meta.get("agent")
    source = agent.get("source") if isinstance(agent, dict) else agent
    return str(source) if source else "agent"


def short_name(source: str) -> str:
    """The last part of a path, for a title; names such as ``zoo:breakout-dqn`` are left whole."""
    return source.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1] or source


def signed_number(value: float) -> str:
    """A reward: ``+4``, ``-1``, ``0``."""
    return "0" if value == 0 else ("+" if value > 0 else "") + number(float(value))


def title_of(episode: Episode) -> str:
    """Agent and game."""
    game, agent = game_of(episode), agent_of(episode)
    return game if agent == "agent" else f"{short_name(agent)} · {game}"


def _returns(rewards: Array, starts: Array) -> Array:
    total = np.cumsum(rewards)
    before = np.where(starts, total - rewards, -np.inf)
    # sums can fall, so the last start is carried forward by its index rather than by its value
    last = np.maximum.accumulate(np.where(starts, np.arange(len(rewards)), 0))
    return np.asarray(total - before[last])


def _discrete(actions: Array, stream: Array | None) -> bool:
    if stream is None or actions.ndim != 1 or stream.ndim != 2:
        return False
    return not len(actions) or (int(actions.max()) < stream.shape[1] and stream.shape[1] > 1)


def _greedy(actions: Array, episode: Episode) -> Array | None:
    for name in ("q", "policy"):
        stream = episode.streams.get(name)
        if stream is not None and _discrete(actions, stream):
            rows = np.asarray(stream)
            taken = np.take_along_axis(rows, actions.astype(int)[:, None], axis=1)[:, 0]
            return np.asarray(taken >= rows.max(axis=1))
    return None


def _curves(actions: Array | None, episode: Episode) -> tuple[Curve, ...]:
    found = []
    q, value, policy = (episode.streams.get(name) for name in ("q", "value", "policy"))
    if actions is not None and q is not None and _discrete(actions, q):
        found.append(Curve("Q(action)", np.take_along_axis(np.asarray(q), actions.astype(int)[:, None], 1)[:, 0]))
    if value is not None:
        found.append(Curve("value", np.asarray(value).reshape(len(value), -1)[:, 0]))
    if actions is not None and policy is not None and _discrete(actions, policy):
        chances = probabilities(np.asarray(policy))
        found.append(Curve("p(action)", np.take_along_axis(chances, actions.astype(int)[:, None], 1)[:, 0]))
    return tuple(found)
