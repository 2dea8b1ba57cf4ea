"""``policyscope explain``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

from policyscope.cli.options import AgentOptions, Flag, RunOptions, shown
from policyscope.cli.record import recorded
from policyscope.cli.render import draw
from policyscope.cli.terminal import bar, console, counted, note, returns_of
from policyscope.errors import PolicyscopeError, RunError, TargetError
from policyscope.rendering.look import Look

Names = tuple[str, ...]


@dataclass
class ExplainOptions:
    """What is explained. Several values are given with spaces or commas; each combination is a panel."""

    methods: Annotated[Names, shown("NAME …", "the nine gradient methods")] = ()
    """gradient, guided_backprop, grad_cam, guided_grad_cam, g1_grad_cam, g2_grad_cam, grad_cam_pp, full_grad,
    full_grad_pp; noise_saliency and sarfa, which perturb; or all."""
    stream: Annotated[Names, shown("NAME …", "q, else policy")] = ()
    """q, value, advantage, policy (logits), probability, or the path of an inner module."""
    action: Annotated[Names, shown("NAME …", "taken")] = ()
    """taken, greedy, sum, contrast (the one taken against the mean of the others), an action's name or number, or one
    against another (RIGHT-LEFT)."""
    layer: Annotated[Names, shown("NAME …", "1")] = ("1",)
    """Convolutions for the methods that explain one, by number from 1 or by module path."""
    lag: Annotated[Names, shown("NAME …", "0")] = ("0",)
    """Which of the stacked frames, counted back from the newest, 0; or their sum or mean."""
    variant: Annotated[Names, shown("METHOD=VARIANT …", "none")] = ()
    """A method as another source has it, such as full_grad_pp=blog_code."""
    positive_inputs: Flag = False
    """Guided rule to the paper's letter: rectifiers pass nothing where their input was not positive."""
    batch: Annotated[int, shown("N")] = 64
    """States explained at once; fewer take less memory."""
    observations: Annotated[Path | None, shown("FILE.npz", "play the agent")] = None
    """Explain recorded observations (with actions, rewards … where there are any) instead of playing."""
    render: bool = True
    """Make the video, the pictures and the page."""

    def request(self) -> dict[str, Any]:
        """The keywords of ``policyscope.explain``."""
        from policyscope.saliency.plan import NAMES

        methods = _split(self.methods)
        return {
            "methods": NAMES if "all" in methods else methods or None,
            "stream": _split(self.stream) or None,
            "action": _split(self.action) or None,
            "layer": _split(self.layer) or "1",
            "lag": _split(self.lag) or "0",
            "variants": _variants(self.variant),
            "positive_inputs": self.positive_inputs,
        }


@dataclass
class Explain:
    """Play an agent, explain every decision, and show the result."""

    agent: tyro.conf.OmitArgPrefixes[AgentOptions]
    run: tyro.conf.OmitArgPrefixes[RunOptions]
    explain: tyro.conf.OmitArgPrefixes[ExplainOptions]
    look: Look = field(default_factory=Look)
    """How maps are shown."""

    @property
    def folder(self) -> Path:
        """Where the run goes."""
        return self.run.folder(self.agent.agent)


def explain_command(options: Explain) -> None:
    """Plays (or reads observations), explains and renders."""
    from policyscope.episodes.episode import Episode
    from policyscope.episodes.play import play
    from policyscope.saliency.explain import check_request, explain

    run, asked, out = options.run, options.explain, options.folder
    if asked.batch < 1:
        raise PolicyscopeError(f"--batch is at least 1, not {asked.batch}")
    request = asked.request()
    run.check_folder(out)
    agent = options.agent.load()
    with recorded(out, options, agent.protocol):
        if asked.observations is not None:
            if (out / "episode.zarr").exists():
                raise RunError(f"{out} holds a played run, not one of {asked.observations}; choose another --out")
            episode = Episode.from_npz(asked.observations, protocol=agent.protocol)
        else:
            check_request(agent, **request)  # before a long game is played for nothing
            episode = play(agent, run.steps, run.seed, out=out, resume=run.resume, progress=console.is_terminal)
        with bar("explaining", len(episode)) as advance:
            maps = explain(
                agent,
                episode,
                **request,
                out=out,
                resume=run.resume,
                batch=asked.batch,
                progress=lambda done, total: advance(done, total, "explaining"),
            )
    for text in maps.meta["notes"]:
        note(text)
    if asked.render:
        draw(out, episode, maps, options.look)
    print(f"{counted(len(maps), 'step')} explained by {counted(len(maps.panels), 'panel')}, {returns_of(episode)}")
    print(f"open {(out / 'index.html').resolve()}" if asked.render else f"maps in {(out / 'maps.zarr').resolve()}")


def _split(values: Sequence[str]) -> list[str]:
    """Several values, by spaces or commas."""
    return [part for value in values for part in value.split(",") if part]


def _variants(pairs: Sequence[str]) -> dict[str, str]:
    variants: dict[str, str] = {}
    for pair in _split(pairs):
        method, _, variant = pair.partition("=")
        if not (method and variant):
            raise TargetError(f"--variant takes METHOD=VARIANT, such as full_grad_pp=blog_code, not {pair!r}")
        variants[method] = variant
    return variants
