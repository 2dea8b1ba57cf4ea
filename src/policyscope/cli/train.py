"""``policyscope train RECIPE``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, make_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

import tyro

from policyscope.cli.failures import Told
from policyscope.cli.options import Flag, shown
from policyscope.cli.terminal import command, console
from policyscope.errors import RecipeError


@dataclass
class Train:
    """Train an agent of the two documents, by a recipe; without one, list the recipes."""

    name: Annotated[tyro.conf.Positional[str], shown("RECIPE")] = ""
    """Whose values the options default to: breakout-a3c, dddqn … (policyscope train lists them)."""
    debug: Flag = False
    """Show the traceback of an error."""


def train_type(words: Sequence[str]) -> type[Train]:
    """The command's options: with those of the recipe that the words name.

    Args:
        words: What follows ``train``.

    Raises:
        RecipeError: There is no such recipe.
    """
    from policyscope.training.recipes import RECIPES
    from policyscope.training.run import RunOptions

    name = next((word for word in words if not word.startswith("-")), "")
    if not name:
        return Train
    if name not in RECIPES:
        close = get_close_matches(name, RECIPES, n=2, cutoff=0.4)
        hint = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(RECIPES)}"
        raise RecipeError(f"no recipe {name!r}; {hint}")
    recipe = RECIPES[name]
    fields: list[Any] = [
        ("run", tyro.conf.OmitArgPrefixes[RunOptions], field(default=RunOptions(Path("runs") / f"train-{name}"))),
        (
            "recipe",
            tyro.conf.OmitArgPrefixes[type(recipe)],  # type: ignore[misc]
            field(default=recipe),
        ),
    ]
    made = make_dataclass("TrainRecipe", fields, bases=(Train,), kw_only=True)
    made.__doc__ = f"{type(recipe).__doc__}"
    made.folder = property(_folder)  # type: ignore[attr-defined]
    return made


def train_command(options: Any) -> None:
    """Trains, and says where the agent is; or lists the recipes."""
    from policyscope.training.recipes import FAMILIES, RECIPES
    from policyscope.training.run import Run

    if not options.name:
        for name, recipe in RECIPES.items():
            print(f"{name:26} {recipe.game:16} {(type(recipe).__doc__ or '').splitlines()[0]}")
        return
    family = FAMILIES[type(options.recipe)]
    with Run(options.name, options.recipe, options.run, family.how, command()) as run:
        family.train(options.recipe, run)
    if run.stopped:
        console.print(
            f"stopped at {run.step:,} steps; go on with the same command and --resume", highlight=False, markup=False
        )
        raise Told(128 + run.stopped)
    console.print(f"{run.step:,} steps; see: policyscope explain {run.folder}/agent.safetensors", highlight=False)


def _folder(options: Any) -> Path:
    out: Path = options.run.out
    return out
