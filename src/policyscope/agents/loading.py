"""From whatever people have to an agent."""

from __future__ import annotations

from pathlib import Path

import torch

from policyscope.agents import hub, zoo
from policyscope.agents.agent import Agent
from policyscope.agents.checkpoint import Checkpoint, ForeignFileError
from policyscope.agents.environments import GivenEnv
from policyscope.agents.formats import FORMATS
from policyscope.agents.normalisation import normalised
from policyscope.agents.protocol import Protocol
from policyscope.agents.wishes import GivenNetwork, Wishes
from policyscope.errors import CheckpointError

OWN = "agent.safetensors"
"""What our trainers call a run's newest agent."""


def load_agent(
    source: str | Path,
    *,
    game: str | None = None,
    protocol: Protocol | str | Path | None = None,
    network: GivenNetwork | None = None,
    env: GivenEnv | None = None,
    policy: str | None = None,
    device: str | torch.device = "cpu",
    normalise: str | Path | None = None,
) -> Agent:
    """Loads an agent; what the file does not tell, or tells wrongly, is given beside it.

    Args:
        source: A path (a file, or a folder of a training run), ``zoo:NAME``, or ``hf:ORG/REPO[:FILE]``.
        game: Any way to write one of ale-py's games.
        protocol: How the screen becomes an observation: a Protocol, a preset's name, or a JSON file. Left out, it is
            what the file tells, then what the observations of ``env`` tell, then the usual one of the file's kind.
        network: A module, or ``MODULE:FACTORY`` or a callable (called with the observation's shape and the number of
            actions): the network of a bare state dict, or the features extractor of a Stable-Baselines3 policy.
        env: A Gymnasium environment, its id, ``MODULE:FACTORY`` or a callable that makes it, for an agent that does
            not play Atari.
        policy: How it acts: ``greedy``, ``sample`` or ``epsilon=0.01``.
        device: Where its weights go.
        normalise: An npz file with ``mean`` and ``var`` of the observations; ``off`` if there was no normalising.

    Raises:
        CheckpointError: The file is missing, damaged, foreign, unsafe, or its weights do not fit.
        ProtocolError: Nothing tells the game, or there is no such game or protocol.

    Example:
        >>> agent = load_agent("runs/BreakoutNoFrameskip-v4__dqn_atari__1/dqn_atari.cleanrl_model")
    """
    file = locate(str(source))
    wishes = Wishes(game, protocol, network, env, policy, normalise)
    agent = _load(file, wishes)
    if normalise is not None and str(normalise) != "off":
        agent = normalised(agent, normalise)
    try:
        agent = agent.to(device)
    except (RuntimeError, AssertionError) as error:
        raise CheckpointError(f"no device {device!s}: {str(error).splitlines()[0]}") from error
    agent.check_inputs()
    return agent


def locate(source: str) -> Checkpoint:
    """Finds the file that a source means.

    Args:
        source: Of :func:`load_agent`.
    """
    if source.startswith("zoo:"):
        return Checkpoint(zoo.path(source.removeprefix("zoo:")), source)
    if source.startswith("hf:"):
        path, hints = hub.fetch(source.removeprefix("hf:"))
        return Checkpoint(path, source, hints)
    path = Path(source).expanduser()
    if not path.exists():
        near = sorted(p.name for p in path.parent.iterdir())[:6] if path.parent.is_dir() else []
        beside = f"; {path.parent} has {', '.join(near)}" if near else ""
        raise CheckpointError(f"no file {path}{beside}")
    if path.is_dir() and not FORMATS["JAX checkpoint (to be converted)"].recognise(Checkpoint(path, source), Wishes()):
        path = _in_folder(path)
    return Checkpoint(path, source, tuple(reversed(path.resolve().parts[-5:])))


def _in_folder(folder: Path) -> Path:
    """The checkpoint of a training run: our trainers' newest, the one named like the folder, or the only one."""
    if (folder / OWN).is_file():
        return folder / OWN
    held = sorted(folder.iterdir())
    named = [file for file in held if file.suffix in hub.SUFFIXES and folder.name.startswith(file.stem)]
    if len(named) == 1 and named[0].is_file():
        return named[0]
    return folder / hub.choose([f"{file.name}/" if file.is_dir() else file.name for file in held], str(folder), "/")


def _load(file: Checkpoint, wishes: Wishes) -> Agent:
    known = ", ".join(FORMATS)
    try:
        for format_ in FORMATS.values():
            if format_.recognise(file, wishes):
                return format_.load(file, wishes)
    except ForeignFileError as error:
        raise CheckpointError(f"{error}; known are {known}") from error
    except OSError as error:
        raise CheckpointError(f"cannot read {file.name}: {error.strerror or error}") from error
    first = ", ".join(list(file.state)[:3])
    raise CheckpointError(
        f"{file.name} is a state dict of an unknown network ({first} …): pass --network MODULE:FACTORY; "
        f"known are {known}"
    )
