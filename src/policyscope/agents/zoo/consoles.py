"""What an agent of the zoo is measured under: what it was trained for, and other people's consoles."""

from __future__ import annotations

from dataclasses import replace

from policyscope.agents.presets import PRESETS
from policyscope.agents.protocol import Protocol

PROTOCOLS = ("own", "paper", "modern")
"""The agent's own protocol, and its picture on the console of these presets."""

_CONSOLE = ("frame_skip", "sticky", "noops", "max_pool", "pad", "fire_reset", "life_ends_episode")


def under(protocol: Protocol, name: str) -> Protocol:
    """An agent's protocol on the console of a preset.

    What the network sees is the agent's own (crop, colour, size, stack, layout, scale, actions); how the console runs
    is the preset's.

    Args:
        protocol: The agent's.
        name: Of ``PROTOCOLS``; ``own`` changes nothing.
    """
    if name == "own":
        return protocol
    preset = PRESETS[name]
    changed = {field: getattr(preset, field) for field in _CONSOLE}
    return replace(protocol, name=f"{protocol.name} on the console of {name}", **changed)


def in_words(protocol: Protocol) -> str:
    """What of a protocol decides how hard the game is, and what the agent sees of it."""
    skip, noops = protocol.frame_skip, protocol.noops
    idle = f"{noops[0]} to {noops[1]}" if isinstance(noops, tuple) else f"1 to {noops}" if noops else "no"
    held = f"{skip[0]} to {skip[1]}" if isinstance(skip, tuple) else skip
    size = " x ".join(map(str, protocol.size)) if protocol.size else "the screen's size"
    screen = "of the last screen" if protocol.max_pool == "none" else f"of the maximum of two {protocol.max_pool}"
    parts = [
        f"{held} frames an action",
        f"sticky actions {protocol.sticky:g}" if protocol.sticky else "no sticky actions",
        f"{idle} idle frames at the start",
        f"{protocol.stack} pictures of {size} {screen}",
        *(["FIRE begins a game"] if protocol.fire_reset else []),
        *(["a lost life ends an episode"] if protocol.life_ends_episode else []),
    ]
    return f"{protocol.name}: {', '.join(parts)}"
