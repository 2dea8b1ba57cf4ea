"""Plays an agent and records what happens."""

from __future__ import annotations

import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import gymnasium
import torch

from policyscope.agents.agent import Agent
from policyscope.episodes.environment import Environment, GivenEnv, make_environment
from policyscope.episodes.episode import Episode
from policyscope.episodes.interrupts import Interrupts
from policyscope.episodes.policy import Policy, policy_of
from policyscope.episodes.progress import Progress
from policyscope.episodes.recorder import Recorder
from policyscope.episodes.resume import continued, replayed
from policyscope.episodes.turns import Turns
from policyscope.errors import PolicyscopeError, ProtocolError, RunError
from policyscope.storage import disk_errors


def play(
    agent: Agent,
    steps: int = 500,
    seed: int = 0,
    *,
    env: GivenEnv | None = None,
    policy: str | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    progress: bool = False,
) -> Episode:
    """Plays an agent for a number of steps, through as many games as they take.

    The same agent, protocol, policy and seed give the same episode, bit for bit.

    Args:
        agent: Who plays.
        steps: Actions to take.
        seed: Of the first game; later ones go on from there. Also of the policy's own chances.
        env: Played instead of what the agent's protocol names: a Gymnasium environment, its id, ``MODULE:FACTORY``,
            or a callable that makes one.
        policy: ``greedy``, ``sample`` or ``epsilon=0.01``; by default the agent's own.
        out: The run folder; by default a temporary one that lives as long as the episode.
        resume: Goes on with the run in ``out`` as if it had never stopped.
        progress: Shows a progress bar.

    Returns:
        The episode, read back from the folder.

    Raises:
        RunError: The folder already holds a run, cannot be written, or holds a run of another agent, protocol,
            policy or seed.
        ProtocolError: The environment does not exist, or does not fit the agent.
        KeyboardInterrupt: Ctrl-C was pressed; the folder then holds a valid, shorter run.
    """
    if steps < 1 or seed < 0:
        raise PolicyscopeError(f"steps must be at least 1 and the seed at least 0, not {steps} and {seed}")
    chosen = policy_of(policy or agent.policy, agent)
    if out is None:
        return _kept_while_used(agent, steps, seed, env, chosen, progress)
    return _played(agent, steps, seed, env, chosen, Path(out), resume, progress)


def _kept_while_used(
    agent: Agent, steps: int, seed: int, env: GivenEnv | None, policy: Policy, progress: bool
) -> Episode:
    """Plays into a temporary folder that goes when the episode and its arrays do."""
    run = tempfile.mkdtemp(prefix="policyscope-")
    try:
        episode = _played(agent, steps, seed, env, policy, Path(run), False, progress)
    except BaseException:
        shutil.rmtree(run, ignore_errors=True)
        raise
    episode.observations.when_unused(shutil.rmtree, run, True)
    return episode


def _played(
    agent: Agent,
    steps: int,
    seed: int,
    env: GivenEnv | None,
    chosen: Policy,
    run: Path,
    resume: bool,
    progress: bool,
) -> Episode:
    """Plays into a run folder and reads the episode back."""
    folder = run / "episode.zarr"
    with opened(agent, env) as environment:
        meta = description(agent, environment, chosen, seed)
        if not resume and (folder / "meta.json").exists():
            raise RunError(f"{run} already holds a run; resume it, or choose another folder")
        past = continued(folder, meta) if resume else None
        if past is None or len(past) < steps:
            with disk_errors(run):
                folder.mkdir(parents=True, exist_ok=True)
            with one_thread(), Interrupts() as interrupts:
                _play(agent, environment, chosen, steps, seed, folder, meta, past, interrupts, progress)
    return Episode.open(folder)


def _play(
    agent: Agent,
    environment: Environment,
    policy: Policy,
    steps: int,
    seed: int,
    folder: Path,
    meta: dict[str, Any],
    past: Episode | None,
    interrupts: Interrupts,
    progress: bool,
) -> None:
    """The game's loop, from the first step or from where ``past`` stopped, to ``steps``."""
    environment.reset(seed)
    turns, first = Turns(agent, environment, policy), 0
    if past is not None and len(past):
        first = len(past)
        if not replayed(environment, past, interrupts):
            turns.go_on(past)
    recorder = Recorder(folder, meta)
    finished = False
    with Progress(steps, first) if progress else nullcontext() as bar:
        try:
            for step in range(first, steps):
                interrupts.check()
                outcome = turns.take(recorder, seed, step)
                if bar is not None:
                    bar.update(step + 1, outcome)
            finished = True
        finally:
            if recorder.begun:
                _close(recorder, meta | {"complete": finished}, finished)


def _close(recorder: Recorder, meta: dict[str, Any], finished: bool) -> None:
    """Writes what waits; an error of the disk does not hide the one that ended the game."""
    try:
        recorder.close()
        recorder.write_meta(meta)
    except RunError:
        if finished:
            raise


@contextmanager
def one_thread() -> Iterator[None]:
    """Single states gain nothing from threads, lose much on a busy machine, and would round as cores are many."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def opened(agent: Agent, env: GivenEnv | None) -> Iterator[Environment]:
    """The environment to be played, checked against the agent, and closed unless it was given open."""
    environment = make_environment(agent.protocol, env)
    try:
        if (environment.continuous is None) != (agent.continuous is None):
            kinds = ("discrete", "continuous") if environment.continuous is None else ("continuous", "discrete")
            raise ProtocolError(
                f"the environment's actions are {kinds[0]}, those of {agent.source} {kinds[1]}; an agent that is made "
                "with env= takes them from there"
            )
        if len(environment.actions) != len(agent.actions):
            where = environment.protocol.game or environment.protocol.env
            raise ProtocolError(
                f"{where} has {len(environment.actions)} actions, {agent.source} {len(agent.actions)}; "
                "is it another game's agent, or one with all 18 actions (full_action_space)?"
            )
        replace(agent, protocol=environment.protocol).check_inputs()
        yield environment
    finally:
        if not isinstance(env, gymnasium.Env):
            environment.close()


def description(agent: Agent, environment: Environment, policy: Policy, seed: int) -> dict[str, Any]:
    """What is told about a run in its episode, before it is complete."""
    protocol = environment.protocol
    return {
        "protocol": protocol.to_dict(),
        "agent": {"source": agent.source, "fingerprint": agent.fingerprint, "facts": agent.facts},
        "seed": seed,
        "policy": str(policy),
        "game": protocol.game or protocol.env,
        "actions": list(environment.actions),
        "policyscope": _version("policyscope"),
        "versions": {
            "python": platform.python_version(),
            **{name: _version(name) for name in ("ale-py", "gymnasium", "numpy", "opencv-python-headless", "torch")},
        },
        "complete": False,
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except ImportError:
        return "unknown"
