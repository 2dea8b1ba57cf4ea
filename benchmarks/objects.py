"""How well boxes of game objects agree with the screen, over two players a game: docs/objects.md's table and pictures.

Run as ``python benchmarks/objects.py --steps 600 --games breakout pong --agents FOLDER --out docs``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from page import write_between

import policyscope as ps
from policyscope.agents.protocol import Protocol
from policyscope.episodes.atari import AtariGame
from policyscope.evaluation.objects import GAMES, LOOKS, Objects, agreement, objects_of
from policyscope.storage import Array

AGENTS = {
    "breakout": ("zoo:breakout-dddqn-alone", "zoo:breakout-a3c-mid"),
    "seaquest": ("zoo:seaquest-a3c-mid", "zoo:repaired-recurrent"),
    "space_invaders": ("spaceinvaders-dqn",),
    "pong": ("pong-teacher",),
}
"""Players besides chance; those that are no zoo's are folders of training runs in --agents."""
COLOURS = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
    (255, 255, 255),
    (160, 160, 160),
    (120, 255, 120),
    (255, 120, 120),
)
SKIPPED_IN_PICTURES = {"breakout": ("bricks",)}


def chance(game: str, steps: int, hold: int, seed: int) -> tuple[Array, Array]:
    """Screens and RAM of random play; an action lasts ``hold`` steps on average, a step 1 to 4 frames."""
    console = AtariGame(Protocol(game=game, frame_skip=(1, 4), max_pool="screens", size=None, stack=1))
    console.reset(seed)
    random, action, screens, ram = np.random.default_rng(seed), 0, [], []
    fire = console.actions.index("FIRE")
    for step in range(4 * steps):
        if random.random() < 1 / hold:
            action = fire if random.random() < 0.25 else int(random.integers(len(console.actions)))
        if step % 4 == 0:
            screens.append(console.screen.copy())
            ram.append(console.ram.copy())
        if console.step(action).terminated:
            console.reset()
    return np.array(screens), np.array(ram)


def players(game: str, steps: int, agents: Path | None) -> Iterator[tuple[str, Array, Array]]:
    yield "chance", *chance(game, steps, 1, 0)
    yield "chance, actions held", *chance(game, steps, 10, 1)
    for name in AGENTS.get(game, ()):
        source = name if name.startswith("zoo:") else None
        if source is None and agents is not None and (agents / name / "agent.safetensors").exists():
            source = str(agents / name / "agent.safetensors")
        if source is not None:
            episode = ps.play(ps.load_agent(source), steps=3 * steps, seed=5)
            rows = np.arange(0, len(episode), 3)
            assert episode.screens is not None
            assert episode.ram is not None
            yield name.removeprefix("zoo:"), episode.screens[rows], episode.ram[rows]


def table(rows: list[dict[str, str]]) -> str:
    head = list(rows[0])
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"]
    return "\n".join([*lines, *("| " + " | ".join(row.values()) + " |" for row in rows)])


def share(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.3f}"


def drawn(objects: Objects, screen: Array, frame: int, scale: int = 3) -> Array:
    """A screen with boxes and a legend."""
    image = cv2.resize(screen, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)
    image = (0.75 * image).astype(np.uint8)
    legend = np.zeros((image.shape[0], 190, 3), np.uint8)
    line = 0
    for kind, name in enumerate(objects.kinds):
        if name in SKIPPED_IN_PICTURES.get(objects.game, ()):
            continue
        colour = COLOURS[kind % len(COLOURS)]
        for box in objects.boxes[frame, objects.kind_of == kind]:
            if not np.isnan(box[0]):
                x0, y0, x1, y1 = (int(v) * scale for v in box)
                cv2.rectangle(image, (x0 - 1, y0 - 1), (x1, y1), colour, 1)
        cv2.rectangle(legend, (8, 12 + 22 * line), (20, 24 + 22 * line), colour, -1)
        cv2.putText(legend, name, (28, 23 + 22 * line), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255,) * 3, 1, cv2.LINE_AA)
        line += 1
    return np.concatenate([image, legend], axis=1)


def busiest(objects: Objects) -> list[int]:
    """Two frames with the most kinds in them, far apart."""
    kinds = np.stack([objects.present[:, objects.kind_of == k].any(axis=1) for k in range(len(objects.kinds))], axis=1)
    counts = kinds.sum(axis=1) + 0.01 * objects.present.sum(axis=1)
    first, half = int(counts.argmax()), len(counts) // 2
    other = slice(half, None) if first < half else slice(0, half)
    return [first, int(counts[other].argmax()) + (half if first < half else 0)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--games", nargs="*", default=list(GAMES))
    parser.add_argument("--agents", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs"))
    options = parser.parse_args()
    rows: list[dict[str, str]] = []
    for game in options.games:
        pictured = None
        for player, screens, ram in players(game, options.steps, options.agents):
            objects = objects_of(game, ram, screens)
            pictured = (objects, screens)
            for a in agreement(objects, screens, dict(LOOKS[game])):
                rows.append(
                    {
                        "game": game,
                        "player": player,
                        "kind": a.kind,
                        "boxes": f"{a.boxes:,}",
                        "drawn": share(a.drawn),
                        "right": share(a.right),
                        "mean IoU": share(a.overlap),
                        "found": share(a.found),
                    }
                )
                print(*rows[-1].values(), sep="\t", flush=True)
        if pictured is not None:
            objects, screens = pictured
            picture = np.concatenate([drawn(objects, screens[f], f) for f in busiest(objects)], axis=1)
            folder = options.out / "images" / "objects"
            folder.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / f"{game}.png"), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    text = table(rows)
    if not write_between(options.out / "objects.md", "benchmarks/objects.py", text):
        print(text)


if __name__ == "__main__":
    main()
