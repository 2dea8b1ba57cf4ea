"""Turns a finished training run into an agent of the zoo: file, card, learning curve.

    python training/publish.py --run runs/breakout --name breakout-dddqn --ship

The file is as small as its maps allow; the games are played by policyscope's own emulator, side by side.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import tyro
from finished_run import Finished, continued, earlier, finished
from learning_curve import write_curve
from stored_weights import store
from zoo_table import write as write_table

import policyscope as ps
from policyscope.agents.protocol import Protocol, skip_range
from policyscope.agents.zoo import Card, Measured, Weights, shelves
from policyscope.agents.zoo.consoles import PROTOCOLS, in_words, under
from policyscope.episodes.returns import LIMIT, play_returns
from policyscope.episodes.statistics import mean_interval
from policyscope.storage import replacing
from policyscope.training.curve import draw

ROOT = Path(__file__).parents[1]
SHIPPED = 20_000_000
"""Bytes of weights that the wheel may carry."""


@dataclass
class Options:
    run: Path
    """Folder that the training wrote."""
    name: str
    """Of the entry, such as breakout-dddqn."""
    checkpoint: str | None = None
    """A file in the run's folder or its checkpoints/; left out, the run's last weights."""
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    """What matrices are stored as; auto takes 16 bits if all maps' rank correlations stay above 0.99."""
    games: int = 30
    seed: int = 1000
    limit: int = LIMIT
    """Actions after which a game is cut off (an agent that never fires would play for ever)."""
    policy: str | None = None
    """How it acts; by default as its file says."""
    ship: bool = False
    """Into the wheel, rather than into the repository's zoo/."""
    before: tuple[str, ...] = ()
    """Folders of the runs that it went on from with --start, or zoo:NAME, the first first: their steps and seconds
    count too, and their curves come before its own."""
    summary: str | None = None
    how: str | None = None
    """How it was trained, in plain words; by default as the run says. So too the next two."""
    hardware: str | None = None
    command: str | None = None
    seeds: Annotated[tuple[int, ...], tyro.conf.arg(help_behavior_hint="(default: the run's)")] = ()
    """Of all training runs that it comes from, its teacher's too."""


def main(options: Options) -> None:
    torch.set_num_threads(1)
    run = continued(finished(options.run, options.checkpoint), [earlier(name) for name in options.before])
    agent = replace(run.agent, policy=options.policy or run.agent.policy)
    told = run.told | {k: v for k in ("how", "hardware", "command") if (v := getattr(options, k)) is not None}
    # Nothing is published before all of it is known: a card that is another file's would be refused.
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / f"{options.name}.safetensors"
        dtype, correlation = store(agent, made, options.dtype)
        print(f"stored as {dtype}, maps alike to {min(correlation.values()):.4f}")
        stored = ps.load_agent(made)
        returns = {name: measured(stored, name, options) for name in PROTOCOLS}
        sha256 = hashlib.sha256(made.read_bytes()).hexdigest()
        file = Weights(dtype, made.stat().st_size, sha256, correlation)
        card = describe(run, told, stored, options, file, returns)
        place(made, ship=options.ship)
    with replacing(shelves.FOLDER / f"{options.name}.json") as part:
        part.write_text(json.dumps(card.to_dict(), indent=1) + "\n")
    write_curve(run.curve, shelves.FOLDER / card.curve)
    picture = ROOT / "docs" / "images" / "zoo" / f"{options.name}.png"
    picture.parent.mkdir(parents=True, exist_ok=True)
    draw(shelves.FOLDER / card.curve, picture, shows="return, mean of 100 games")
    write_table(ROOT / "docs" / "zoo.md")
    shipped = sum(file.stat().st_size for file in shelves.FOLDER.glob("*.safetensors"))
    if shipped > SHIPPED:
        print(f"the wheel carries {shipped:,} bytes of weights, more than {SHIPPED:,}: publish one without --ship")


def place(made: Path, ship: bool) -> None:
    """Puts a file into the wheel or into the repository's folder, and takes it out of the other."""
    folders = shelves.FOLDER, ROOT / "zoo"
    wanted, other = folders if ship else folders[::-1]
    wanted.mkdir(parents=True, exist_ok=True)
    with replacing(wanted / made.name) as part:
        shutil.copyfile(made, part)
    (other / made.name).unlink(missing_ok=True)


def measured(agent: ps.Agent, name: str, options: Options) -> Measured:
    """How an agent plays under one of ``PROTOCOLS``."""
    protocol = under(agent.protocol, name)
    returns = play_returns(agent, options.games, options.seed, protocol=protocol, limit=options.limit)
    low, high = mean_interval(returns)
    print(f"{name}: mean return {returns.mean():.1f} [{low:.1f}, {high:.1f}]", flush=True)
    return Measured(
        protocol=in_words(protocol),
        policy=agent.policy,
        seed=options.seed,
        limit=options.limit,
        returns=tuple(returns.tolist()),
        mean=float(returns.mean()),
        interval=(low, high),
    )


def describe(
    run: Finished,
    told: dict[str, Any],
    agent: ps.Agent,
    options: Options,
    file: Weights,
    returns: dict[str, Measured],
) -> Card:
    """The card of an agent."""
    network, own = agent.network.recipe, returns["own"]
    game = agent.protocol.game or agent.protocol.env or ""
    return Card(
        name=options.name,
        game=game,
        architecture=network["architecture"],
        options=network["options"],
        summary=options.summary
        or f"{run.step:,} steps of {game}: mean return {own.mean:.4g} over {len(own.returns)} games",
        how=told["how"],
        recipe=told["recipe"],
        values=told["values"],
        command=told["command"],
        steps=run.step,
        frames=frames(run.step, agent.protocol),
        seeds=options.seeds or (int(told["seed"]),),
        hardware=told["hardware"],
        seconds=run.seconds,
        weights=file,
        curve=f"{options.name}.csv",
        returns=returns,
    )


def frames(steps: int, protocol: Protocol) -> int:
    """How many frames of the game a number of actions lasts."""
    return steps * sum(skip_range(protocol.frame_skip)) // 2


if __name__ == "__main__":
    main(tyro.cli(Options))
