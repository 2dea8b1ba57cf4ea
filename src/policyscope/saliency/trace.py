"""The trace: one watched forward pass, from which gradients go back under either rule."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import get_gradient_edge

from policyscope.errors import TargetError
from policyscope.saliency.layers import Kind
from policyscope.saliency.order import order_of_rows
from policyscope.saliency.rectifiers import Backward, Point, Rule
from policyscope.saliency.watch import Call


@dataclass
class Gradients:
    """Gradients of one target, summed over nothing: every state is explained by itself.

    ``input`` has the explained input's shape; ``at(point)`` that of the point's value.
    """

    input: Tensor
    _points: dict[int, Tensor | None]

    def at(self, point: Point) -> Tensor | None:
        """The gradient at a point; None where the target does not depend on it."""
        return self._points[id(point)]


@dataclass(eq=False)
class Trace:
    """A watched forward pass.

    Attributes:
        leaf: The explained input, (B, …) or (B, lags, …), floating point.
        outputs: What the network returned.
        calls: Its convolutions, normalisations and linear layers, in the order they ran.
        cuts: Where the path from the input was cut, for error messages.
        lags: Frames in the leaf when it is time-distributed, else 0.
    """

    leaf: Tensor
    outputs: Any
    calls: list[Call]
    cuts: list[str]
    lags: int
    back: Backward
    captured: dict[str, Tensor] = field(default_factory=dict)
    _orders: dict[tuple[int, ...], Tensor] = field(default_factory=dict)
    _cache: dict[tuple[int, Rule], Gradients] = field(default_factory=dict)
    _targets: list[Tensor] = field(default_factory=list)

    @property
    def states(self) -> int:
        """Number of states, B."""
        return len(self.leaf)

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of the maps."""
        return self.leaf.shape[-2], self.leaf.shape[-1]

    def layer_names(self, kind: Kind = "conv") -> list[str]:
        """Names of the layers that ran, in order, each once."""
        return list(dict.fromkeys(call.name for call in self.calls if call.kind == kind))

    def layer(self, layer: str | int) -> list[Call]:
        """The calls of a convolution, by module path or counted from 1.

        Raises:
            TargetError: If there is no such convolution, or it did not run.
        """
        names = self.layer_names()
        name = names[layer - 1] if isinstance(layer, int) and 1 <= layer <= len(names) else layer
        calls = [call for call in self.calls if call.kind == "conv" and call.name == name]
        if not names and self.cuts:
            raise TargetError(cut_message(self.cuts))
        if not calls:
            known = ", ".join(f"{i} ({n})" for i, n in enumerate(names, start=1)) or "none: no convolution ran"
            raise TargetError(f"no layer {layer!r} ran between the input and the output; there are: {known}")
        return calls

    def gradients(
        self, target: Tensor, rule: Rule, points: list[Point] | None = None, *, keep: bool = True
    ) -> Gradients:
        """Gradients of each state's target under a rule, in one backward pass.

        Args:
            target: (B,), one scalar per state.
            rule: ``standard`` or ``guided``.
            keep: Answer the next call for this target and rule with the same gradients.
            points: The points that will be asked for; by default those of all convolutions and normalisations.

        Raises:
            TargetError: If no gradient reaches the input.
        """
        key = (id(target), rule)
        found = self._cache.get(key) if keep else None
        if found is None:
            if points is None:
                layers = [call for call in self.calls if call.kind != "linear"]
                points = [call.activation for call in layers] + [call.output for call in layers]
            found = self._go_back(target, rule, points)
            if keep:
                self._cache[key] = found
                self._targets.append(target)  # keeps the id unique while the cache lives
        missing = [point for point in points or () if id(point) not in found._points]
        if missing:
            # Another layer of the same target, by a method of which the first pass did not know.
            more = self._go_back(target, rule, missing)
            found = self._cache[key] = Gradients(found.input, found._points | more._points)
        return found

    def forget(self, target: Tensor) -> None:
        """Lets go of a target's gradients."""
        for rule in ("standard", "guided"):
            self._cache.pop((id(target), rule), None)
        self._targets = [kept for kept in self._targets if kept is not target]

    def _go_back(self, target: Tensor, rule: Rule, points: list[Point]) -> Gradients:
        unique = list({id(p): p for p in points}.values())
        if not target.requires_grad:
            raise TargetError(cut_message(self.cuts))
        edges = [get_gradient_edge(self.leaf), *(p.edge for p in unique)]
        self.back.rule = rule
        try:
            first, *others = torch.autograd.grad(target.sum(), edges, retain_graph=True, allow_unused=True)
        except RuntimeError as error:
            if "checkpoint" not in str(error):
                raise
            raise TargetError(
                "the network computes parts of itself anew when gradients go back (torch.utils.checkpoint), where "
                "they cannot be guided: switch its checkpointing off"
            ) from error
        finally:
            self.back.rule = "standard"
        if first is None:
            raise TargetError(cut_message(self.cuts))
        return Gradients(first, {id(p): g for p, g in zip(unique, others, strict=True)})

    # -- rows to states ----------------------------------------------------------------------------------------

    def by_state(self, tensors: list[Tensor]) -> Tensor:
        """Puts the rows of a layer's calls in order of states and lags.

        Args:
            tensors: One (rows, …) tensor for each call of the layer.

        Returns:
            (B, k, …): k is 1, the number of calls, or, where the layer ran on every frame, a multiple of the number
            of lags (oldest first, the calls on a frame side by side).

        Raises:
            TargetError: If it cannot be told which rows belong to which state.
        """
        rows = tensors[0] if len(tensors) == 1 else torch.cat(tensors)
        rows = rows.to(self.leaf.dtype)
        if len(rows) == self.states:
            return rows.unsqueeze(1)
        counts = tuple(len(t) for t in tensors)
        if counts not in self._orders:
            self._orders[counts] = order_of_rows(self.leaf, self.lags, self.calls, counts).to(rows.device)
        return rows[self._orders[counts]]

    def per_lag(self, values: Tensor) -> Tensor:
        """(B, k, …) as ``by_state`` gives it to (B, lags or 1, calls, …).

        A layer that sees all lags at once stands for each of them.
        """
        lags = self.lags or 1
        if values.shape[1] % lags == 0:
            grouped: Tensor = values.unflatten(1, (lags, -1))
            return grouped
        return values.unsqueeze(1).expand(-1, lags, *values.shape[1:])

    def captured_stream(self, path: str) -> Tensor:
        """The output of an inner module, one row a state.

        Raises:
            TargetError: If it did not run or returned no tensor.
        """
        values = self.captured.get(path)
        if values is None:
            raise TargetError(f"module {path!r} did not run, or returned no tensor")
        return values if len(values) == self.states else self.by_state([values])


def cut_message(cuts: list[str]) -> str:
    """What to say where no gradient reaches the input."""
    if cuts:
        return f"no gradient of the target reaches the input: it is cut by {' and by '.join(cuts[:2])}"
    return "no gradient of the target reaches the input: the target does not depend on it"
