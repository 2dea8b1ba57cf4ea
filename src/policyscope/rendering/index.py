"""The index page of a run: one file that opens offline and tells someone new what there is to see."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from policyscope.episodes.episode import Episode
from policyscope.rendering.facts import Facts, actions_of, agent_of, facts, game_of, short_name
from policyscope.rendering.look import Look
from policyscope.rendering.moments import Moment
from policyscope.rendering.normalise import SCOPES
from policyscope.rendering.palettes import Palette, palette_for
from policyscope.rendering.series import lanes
from policyscope.rendering.words import has_lags, meaning, number, target, title, where
from policyscope.saliency.maps import Maps, Panel
from policyscope.storage import disk_errors, replacing

_FILES = {
    "episode.zarr": "the episode: screens, observations, actions, rewards, lives, outputs",
    "maps.zarr": "the maps: raw values at the observation's size",
    "run.json": "how it was made, and its state",
    "video.mp4": "the film",
    "video.gif": "the film for places that play no video",
    "sheet.png": "the contact sheet",
}


def write_index(
    run_folder: Path,
    episode: Episode,
    maps: Maps,
    look: Look | None = None,
    *,
    made: Sequence[str] | None = None,
    moments: Sequence[Moment] = (),
    gif_every: int = 1,
    notes: Sequence[str] = (),
    command: str | None = None,
) -> Path:
    """Writes ``index.html``, which shows what the run folder holds and links to nothing outside it.

    Args:
        run_folder: Where the video, the sheet and the data are.
        episode: What was played.
        maps: What was explained.
        look: How the pictures were drawn.
        made: Names of the pictures to show, such as ``video.mp4``; by default those that the folder has.
        moments: The steps of the contact sheet.
        gif_every: Every how many steps the GIF has a frame.
        notes: Sentences to tell first, such as what could not be made.
        command: The command line that made the run; by default what ``run.json`` says.

    Returns:
        The page.
    """
    folder, look = Path(run_folder), look or Look()
    known, record = facts(episode), _run_record(folder)
    shown = {name for name in _FILES if (folder / name).exists() and (made is None or name in made)}
    body = "".join(
        (
            _head(episode, maps, known, notes),
            _film(shown, known, look, gif_every),
            _timeline(known, "video.mp4" in shown),
            _methods(maps, look, actions_of(episode)),
            _sheet(shown, moments),
            _making(episode, maps, look, record, command),
            _data(folder),
        )
    )
    name = escape(f"{short_name(agent_of(episode))} in {game_of(episode)} · policyscope")
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{name}</title><link rel="icon" href="data:,"><style>{_resource("page.css")}</style></head>\n'
        f"<body><main>{body}</main><script>{_resource('page.js')}</script></body></html>\n"
    )
    path = folder / "index.html"
    with disk_errors(folder), replacing(path) as part:
        part.write_text(page, encoding="utf-8")
    return path


def _resource(name: str) -> str:
    return (files("policyscope.rendering") / name).read_text(encoding="utf-8")


def _run_record(folder: Path) -> Mapping[str, Any]:
    try:
        record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _head(episode: Episode, maps: Maps, known: Facts, notes: Sequence[str]) -> str:
    games = int(known.starts.sum())
    figures = [
        (str(len(known)), "steps"),
        (number(float(known.rewards.sum())), "reward in all" if games > 1 else "return"),
    ]
    figures += [(str(games), "games")] if games > 1 else []
    figures += [(str(int(known.lost.sum())), "lives lost")] if known.lives is not None else []
    figures.append((str(len(maps.panels)), "panels"))
    items = "".join(f"<li><b>{escape(value)}</b><span>{escape(name)}</span></li>" for value, name in figures)
    warnings = "".join(f'<p class="warning">{escape(note)}</p>' for note in notes)
    return (
        f"<h1>What does {escape(short_name(agent_of(episode)))} look at?</h1>"
        f'<p class="quiet">It plays {escape(game_of(episode))}. Colour marks the parts of the picture that matter to '
        "an output of its network, at every step of the game.</p>"
        f'{warnings}<ul class="numbers">{items}</ul>'
    )


def _film(shown: set[str], known: Facts, look: Look, gif_every: int) -> str:
    label = escape(f"Film of {len(known)} steps: the game's screen and one picture for each method")
    mp4, gif = "video.mp4" in shown, "video.gif" in shown
    image = f'<img class="film" src="video.gif" alt="{label}">' if gif else ""
    if mp4:
        film = f'<video src="video.mp4" controls loop muted playsinline aria-label="{label}">{image}</video>'
        caption = f"{len(known)} steps, {look.fps:g} a second."
        caption += ' Also as a <a href="video.gif">GIF</a>.' if gif else ""
    elif gif:
        film, caption = image, f"{len(known)} steps, {look.fps:g} a second."
    else:
        return ""
    if gif and gif_every > 1:
        caption += f" The GIF shows one step in {gif_every}."
    return f"<figure>{film}<figcaption>{caption}</figcaption></figure>"


def _timeline(known: Facts, film: bool) -> str:
    hint = '<p class="quiet after">Click to see that moment in the film.</p>' if film else ""
    return f'<h2>What it expected and what it got</h2><div class="card">{lanes(known)}</div>{hint}'


def _sheet(shown: set[str], moments: Sequence[Moment]) -> str:
    if "sheet.png" not in shown:
        return ""
    chosen = "; ".join(f"step {m.step}" + (f" ({m.reason})" if m.reason else "") for m in moments)
    label = escape("Contact sheet: " + (chosen or "chosen steps") + "; the screen and every method side by side")
    caption = f"<figcaption>{escape(chosen)}.</figcaption>" if chosen else ""
    return (
        '<h2>Moments</h2><figure><a href="sheet.png" title="Open at full size">'
        f'<img class="sheet" src="sheet.png" alt="{label}"></a>{caption}</figure>'
    )


def _methods(maps: Maps, look: Look, actions: Sequence[str]) -> str:
    rows = []
    for method in dict.fromkeys(panel.method for panel in maps.panels):
        same = [panel for panel in maps.panels if panel.method == method]
        panel = same[0]
        explained = dict.fromkeys(_explained(p, has_lags(maps.panels), actions) for p in same)
        bar = _gradient(palette_for(look.palette, panel.signed, look.style), panel.signed)
        ends = "lowers it … raises it" if panel.signed else "no part … most"
        rows.append(
            f"<tr><td>{escape(title(panel))}</td><td>{escape(meaning(panel))}</td><td>{'<br>'.join(explained)}</td>"
            f'<td class="bar"><i style="background:{bar}"></i><span>{ends}</span></td></tr>'
        )
    gain = f" Values were multiplied by {look.gain:g} first." if look.gain != 1 else ""
    smooth = f" Maps were smoothed over {look.smooth:g} pixels." if look.smooth else ""
    frames = "t-0 is the newest frame that the agent sees. " if has_lags(maps.panels) else ""
    told = maps.meta.get("notes") or ()
    notes = "".join(f'<p class="quiet">{escape(str(n))}</p>' for n in ([told] if isinstance(told, str) else told))
    return (
        '<h2>How to read the panels</h2><div class="card wide"><table><thead><tr><th>method</th><th>what it shows</th>'
        f"<th>of which output</th><th>colours</th></tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
        f'<p class="quiet after">Scale: {escape(SCOPES[look.normalise])}; the numbers beneath a picture '
        f"are the raw values at the ends of the colour bar.{gain}{smooth} “Clipped” is the share of pixels beyond; "
        f"a picture with words such as “no gradient” has a map that is zero everywhere. {frames}Saliency "
        f"shows what an output depends on; it does not prove why an action was chosen.</p>{notes}"
    )


def _explained(panel: Panel, lags: bool, actions: Sequence[str]) -> str:
    place = where(panel, lags)
    return escape(target(panel, actions)) + (f" <small>{escape(place)}</small>" if place else "")


def _gradient(palette: Palette, signed: bool) -> str:
    values = np.linspace(-1 if signed else 0, 1, 9)
    colours = palette.colours(values) * palette.opacity(values)[:, None]
    return f"linear-gradient(90deg,{','.join('#' + ''.join(f'{round(c):02x}' for c in row) for row in colours)})"


def _making(episode: Episode, maps: Maps, look: Look, record: Mapping[str, Any], command: str | None) -> str:
    meta = episode.meta
    agent = meta.get("agent") or {}
    agent = agent if isinstance(agent, dict) else {}
    line = command or record.get("command")
    line = " ".join(str(word) for word in line) if isinstance(line, list) else line
    known: dict[str, Any] = {
        "agent": agent_of(episode),
        "fingerprint": agent.get("fingerprint"),
        "episode's fingerprint": getattr(episode, "fingerprint", None),
        **{str(name): value for name, value in (agent.get("facts") or {}).items()},
        "game": game_of(episode),
        "protocol": episode.protocol.name,
        "acts by": meta.get("policy"),
        "seed": meta.get("seed"),
        "state": "stopped before its end" if meta.get("complete") is False else None,
        "policyscope": meta.get("policyscope"),
    }
    entries = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(_text(value))}</dd>" for name, value in known.items() if value is not None
    )
    shown = f"<pre><code>{escape(str(line))}</code></pre>" if line else ""
    details = {
        "Protocol: how the screen becomes what the agent sees": episode.protocol.to_dict(),
        "Maps: methods and options": dict(maps.meta),
        "Look of the pictures": look.to_dict(),
        "run.json": dict(record),
    }
    folded = "".join(
        f"<details><summary>{escape(name)}</summary>"
        f"<pre>{escape(json.dumps(value, indent=1, default=str))}</pre></details>"
        for name, value in details.items()
        if value
    )
    return f'<h2>How it was made</h2><div class="card">{shown}<dl>{entries}</dl>{folded}</div>'


def _text(value: Any) -> str:
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, default=str)
    return (
        f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10_000 else str(value)
    )


def _data(folder: Path) -> str:
    items = "".join(
        f'<dt><a href="{quote(name)}">{name}</a></dt><dd>{about}</dd>'
        for name, about in _FILES.items()
        if (folder / name).exists()
    )
    code = (
        "import policyscope as ps\n"
        f"maps = ps.Maps({str(folder)!r}); episode = maps.episode  # maps[maps.panels[0]], episode.rewards, …"
    )
    return f'<h2>The data</h2><div class="card"><dl>{items}</dl><pre><code>{escape(code)}</code></pre></div>'
