"""What an environment of somebody else's tells about itself before it is played."""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import prod
from typing import Any

import gymnasium
from gymnasium import spaces

from policyscope.errors import PolicyscopeError, ProtocolError


def count_actions(env: str) -> int:
    """How many actions, or dimensions of an action, an environment has.

    Args:
        env: A Gymnasium id or ``MODULE:FACTORY``.
    """
    with _opened(env) as made:
        space = made.action_space
        return int(space.n) if isinstance(space, spaces.Discrete) else prod(space.shape or ())


def is_stacked(env: str, shape: tuple[int, int, int]) -> bool:
    """Whether an environment's observation is a whole stack of (channels, height, width) already.

    Args:
        env: A Gymnasium id or ``MODULE:FACTORY``.
        shape: What the network takes.
    """
    if shape[0] in (1, 3):
        return False
    try:
        with _opened(env) as made:
            space = made.observation_space
            boxes = list(space.spaces.values()) if isinstance(space, spaces.Dict) else [space]
            return any(sorted(box.shape or ()) == sorted(shape) for box in boxes)
    # An agent can be loaded where its environment cannot be made; playing it will say what is missing.
    except PolicyscopeError:
        return False


def imported(where: str, option: str) -> Callable[..., Any]:
    """What ``MODULE:NAME`` names, looked for in the current folder too, as ``python -m`` does.

    Args:
        where: ``MODULE:NAME``.
        option: The option that said so, for an error.
    """
    module, _, attribute = where.partition(":")
    if not module or not attribute:
        raise ProtocolError(f"{option} {where} is not of the form MODULE:FACTORY")
    try:
        with _current_folder():
            found: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        raise ProtocolError(f"{option} {where}: {error}; is its folder the current one or in PYTHONPATH?") from error
    except AttributeError as error:
        raise ProtocolError(f"{option} {where}: the module {module} has no {attribute}") from error
    return found


@contextmanager
def _opened(env: str) -> Iterator[gymnasium.Env]:
    try:
        if ":" in env and not re.search(r"-v\d+$", env):
            made: gymnasium.Env = imported(env, "--env")()
        else:
            made = gymnasium.make(env)
    except (gymnasium.error.Error, ImportError, TypeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise ProtocolError(f"the environment {env!r} cannot be made: {reason}") from error
    try:
        yield made
    finally:
        made.close()


@contextmanager
def _current_folder() -> Iterator[None]:
    here = os.getcwd()
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)
