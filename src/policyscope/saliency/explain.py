"""``explain``: every step of an episode, explained in batches and written as it goes."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from policyscope.agents.agent import Agent
from policyscope.episodes.episode import Episode
from policyscope.errors import RunError
from policyscope.saliency.columns import BESIDE
from policyscope.saliency.disagreement import comparisons
from policyscope.saliency.explainer import Explainer
from policyscope.saliency.maps import Maps, panel_dicts
from policyscope.saliency.perturbation import Regions
from policyscope.saliency.request import Request, make_request
from policyscope.storage import Array, Columns, read_count, read_json

Progress = Callable[[int, int], None]


def explain(
    agent: Agent,
    episode: Episode,
    methods: str | Iterable[str] | None = None,
    stream: str | Iterable[str] | None = None,
    action: str | int | Iterable[str | int] | None = None,
    layer: str | int | Iterable[str | int] = 1,
    lag: str | int | Iterable[str | int] = 0,
    *,
    out: str | Path | None = None,
    resume: bool = False,
    batch: int = 64,
    variants: dict[str, str] | None = None,
    positive_inputs: bool = False,
    regions: Regions | None = None,
    progress: Progress | None = None,
) -> Maps:
    """Explains every step of an episode.

    Several streams, actions, layers and lags give a panel for each combination; one forward pass and at most two
    backward passes per target serve all methods, layers and lags.

    Args:
        agent: Whose decisions are explained.
        episode: What it saw and did.
        methods: Names; by default the nine gradient methods.
        stream: ``q``, ``value``, ``advantage``, ``policy``, ``probability`` or an inner module's path; by default what
            the agent acts by.
        action: ``taken`` (default), ``greedy``, ``sum``, ``contrast`` (the action taken against the mean of the
            others), an action by index or name, or one against another (``RIGHT-LEFT``, ``2-3``).
        layer: The convolution, by module path or counted from 1.
        lag: Frames before the newest, ``sum`` or ``mean``.
        out: Run folder for ``maps.zarr``; a temporary one when None.
        resume: Go on where an earlier, interrupted call with the same request stopped.
        batch: States that go through the network at once.
        variants: Method -> variant, such as ``{"full_grad_pp": "blog_code"}``.
        positive_inputs: The guided rule's paper-faithful option for rectifiers other than ReLU.
        regions: The grid of the perturbation methods.
        progress: Called with (steps done, steps in all).

    Returns:
        The maps; ``maps["gradient"]`` is (steps, height, width).

    Raises:
        TargetError: If the agent lacks what is asked, or no gradient reaches its input.
        RunError: If ``out`` holds maps already and ``resume`` is off, or was made by another request.
    """
    if len(episode) == 0:
        raise RunError("the episode has no steps to explain")
    explainer = Explainer(agent, episode)
    request = make_request(
        agent,
        episode,
        explainer.layer_names,
        methods=methods,
        stream=stream,
        action=action,
        layer=layer,
        lag=lag,
        variants=variants,
        positive_inputs=positive_inputs,
        regions=regions,
    )
    if out is not None:
        return _write(Path(out) / "maps.zarr", agent, episode, explainer, request, resume, batch, progress)
    run = Path(tempfile.mkdtemp(prefix="policyscope-"))
    try:
        maps = _write(run / "maps.zarr", agent, episode, explainer, request, False, batch, progress)
    except BaseException:
        shutil.rmtree(run, ignore_errors=True)
        raise
    maps.when_unused(shutil.rmtree, run, True)
    return maps


def explain_request(
    agent: Agent,
    episode: Episode,
    request: Request,
    out: str | Path,
    *,
    batch: int = 64,
    progress: Progress | None = None,
) -> Maps:
    """Explains every step of an episode for panels that are already known, which need not be all combinations.

    Args:
        agent: Whose decisions are explained.
        episode: What it saw and did.
        request: Checked against the agent.
        out: Run folder for ``maps.zarr``.
        batch: States that go through the network at once.
        progress: Called with (steps done, steps in all).

    Raises:
        RunError: ``out`` holds maps already.
    """
    return _write(Path(out) / "maps.zarr", agent, episode, Explainer(agent, episode), request, False, batch, progress)


def _write(
    folder: Path,
    agent: Agent,
    episode: Episode,
    explainer: Explainer,
    request: Request,
    resume: bool,
    batch: int,
    progress: Progress | None,
) -> Maps:
    """Explains batch after batch, while another thread writes the one before."""
    _check_folder(folder, agent, request, resume)
    columns: Columns | None = None
    start = 0
    with ThreadPoolExecutor(max_workers=1) as writer:
        # A thread that Ctrl-C meets while it starts is not waited for: this one starts before it has anything to write.
        writer.submit(int).result()
        waiting: list[Future[None]] = []
        try:
            for rows in explainer.run(request, _batches(episode, folder, batch, resume)):
                if columns is None:
                    columns = Columns(folder, _specs(folder, rows), meta=_meta(agent, episode, request, explainer))
                    start = columns.length
                waiting.append(writer.submit(columns.append, rows))
                while len(waiting) > 2:
                    waiting.pop(0).result()
                start += len(next(iter(rows.values())))
                if progress:
                    progress(start, len(episode))
        finally:
            writer.shutdown()
            for future in waiting:
                future.result()
            if columns is not None:
                columns.close()
    return Maps(folder, episode)


def check_request(agent: Agent, **request: Any) -> None:
    """Explains one blank observation, to find out before a long game whether an agent has what is asked for.

    Raises:
        TargetError: As ``explain`` would.
    """
    shape = agent.protocol.observation_shape
    actions = np.zeros((1, len(agent.actions)), np.float32) if agent.continuous else np.zeros(1, np.int64)
    memories = np.zeros((1, agent.memory_size), np.float32) if agent.memory_size else None
    blank = Episode.from_arrays(np.zeros((1, *shape), np.uint8), actions, memories=memories, protocol=agent.protocol)
    explainer = Explainer(agent, blank)
    next(explainer.run(make_request(agent, blank, explainer.layer_names, **request), [slice(0, 1)]))


def _batches(episode: Episode, folder: Path, batch: int, resume: bool) -> Iterator[slice]:
    start = len(Maps(folder, episode)) if resume and (folder / "meta.json").exists() else 0
    while start < len(episode):
        # Batches begin at multiples of their size, so that a resumed explanation is the same as an unbroken one.
        stop = min((start // batch + 1) * batch, len(episode))
        yield slice(start, stop)
        start = stop


def _specs(folder: Path, rows: dict[str, Array]) -> dict[str, tuple[tuple[int, ...], Any]]:
    """The columns to write; what goes along with the maps is left out where an earlier version began without it."""
    begun = read_count(folder) > 0
    return {
        name: (value.shape[1:], value.dtype)
        for name, value in rows.items()
        if not (begun and name.startswith(BESIDE) and not (folder / name).is_dir())
    }


def request_fingerprint(agent: Agent, request: Request) -> str:
    """A hash of what is asked and of whom, by which a resumed explanation knows itself."""
    value = {"agent": agent.fingerprint, "request": asdict(request)}
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _meta(agent: Agent, episode: Episode, request: Request, explainer: Explainer) -> dict[str, Any]:
    from policyscope import __version__

    return {
        "panels": panel_dicts(request.panels),
        "size": list(explainer.size),
        "layers": explainer.layer_names,
        "weighted_layers": explainer.weighted_layers,
        "window": request.window,
        "variants": request.variants,
        "positive_inputs": request.positive_inputs,
        "regions": asdict(request.regions),
        "notes": list(request.notes),
        "compared": {c.column: [request.panels.index(p) for p in c.panels] for c in comparisons(request.panels)},
        "completeness": explainer.completeness,
        "agent": agent.fingerprint,
        "fingerprint": request_fingerprint(agent, request),
        "episode": episode.fingerprint,
        "versions": {"policyscope": __version__, "torch": torch.__version__},
    }


def _check_folder(folder: Path, agent: Agent, request: Request, resume: bool) -> None:
    if not (folder / "meta.json").exists():
        return
    if not resume:
        raise RunError(f"{folder.parent} holds maps already: choose another --out, or continue it with --resume")
    if read_json(folder / "meta.json").get("fingerprint") != request_fingerprint(agent, request):
        raise RunError(f"the maps in {folder.parent} are of another agent or request: choose another --out")
