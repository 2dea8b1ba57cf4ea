"""A stream's gradient at every layer, as a picture."""

from __future__ import annotations

from collections.abc import Collection

from policyscope.diagnosis.pictures import bars
from policyscope.diagnosis.wiring import Wiring
from policyscope.storage import Array


def flow_picture(wiring: Wiring, stream: str, mark: Collection[str] = ()) -> Array:
    """Bars of the gradient's norm at each layer's output and at the input; nothing leads to layers that have none.

    Args:
        wiring: Of the network.
        stream: What is gone back from.
        mark: Layers that are wrong.
    """
    flow = wiring.flow(stream)
    ran = {name.partition("@")[0]: size for name, size in flow.output.items()}
    names = list(dict.fromkeys([*(path for path in wiring.owners if path), *ran]))
    sizes = [*(ran.get(name) for name in names), flow.leaf or 0.0]
    names.append("input")
    wrong = [index for index, name in enumerate(names) if name in mark]
    return bars(names, sizes, f"gradient of {stream}, layer by layer", mark=wrong, log=True)
