"""The trace: one watched forward pass, from which gradients go back under either rule."""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import get_gradient_edge

from policyscope.errors import TargetError
from policyscope.saliency.rectifiers import Backward, Point, Rule
from policyscope.saliency.watch import Call, Kind, Watch


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
    _order: Tensor | None = None
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
        return found

    def forget(self, target: Tensor) -> None:
        """Lets go of a target's gradients."""
        for rule in ("standard", "guided"):
            self._cache.pop((id(target), rule), None)
        self._targets = [kept for kept in self._targets if kept is not target]

    def _go_back(self, target: Tensor, rule: Rule, points: list[Point]) -> Gradients:
        unique = list({id(p): p for p in points}.values())
        if not target.requires_grad:
            raise TargetError(self._cut_message())
        edges = [get_gradient_edge(self.leaf), *(p.edge for p in unique)]
        self.back.rule = rule
        try:
            first, *others = torch.autograd.grad(target.sum(), edges, retain_graph=True, allow_unused=True)
        finally:
            self.back.rule = "standard"
        if first is None:
            raise TargetError(self._cut_message())
        return Gradients(first, {id(p): g for p, g in zip(unique, others, strict=True)})

    def _cut_message(self) -> str:
        if self.cuts:
            return f"no gradient of the target reaches the input: it is cut by {' and by '.join(self.cuts[:2])}"
        return "no gradient of the target reaches the input: the target does not depend on it"

    # -- rows to states ----------------------------------------------------------------------------------------

    def by_state(self, tensors: list[Tensor]) -> Tensor:
        """Puts the rows of a layer's calls in order of states and lags.

        Args:
            tensors: One (rows, …) tensor for each call of the layer.

        Returns:
            (B, k, …): k is 1, the number of calls, or the number of lags (oldest first).
        """
        rows = tensors[0] if len(tensors) == 1 else torch.cat(tensors)
        if len(rows) % self.states:
            raise TargetError(f"a layer ran on {len(rows)} rows, which do not divide into {self.states} states")
        parts = len(rows) // self.states
        if parts == 1:
            return rows.unsqueeze(1)
        if self.lags and parts == self.lags:
            return rows[self._rows(len(tensors) > 1)]
        if len(tensors) == parts:
            return rows.view(parts, self.states, *rows.shape[1:]).transpose(0, 1)
        return rows.view(self.states, parts, *rows.shape[1:])

    def _rows(self, looped: bool) -> Tensor:
        """Index (B, lags) of the row that holds each state's frame, found by comparing sums with the input's."""
        if self._order is None:
            states, lags = self.states, self.lags
            count = states * lags
            batch_major = torch.arange(count).view(states, lags)
            time_major = torch.arange(count).view(lags, states).T
            candidates = [time_major, time_major.flip(1)] if looped else [batch_major, time_major]
            first = [c.input_sums for c in self.calls if c.kind == "conv" and c.input_sums is not None]
            sums = torch.cat([s for s in first if s is not None]) if first else None
            order = candidates[0]
            if sums is not None and len(sums) == count:
                wanted = _standardised(self.leaf.detach().flatten(2).sum(dim=2))
                given = _standardised(sums)
                errors = [float((given[c] - wanted).abs().sum()) for c in candidates]
                order = candidates[errors.index(min(errors))]
            self._order = order.to(self.leaf.device)
        return self._order


def _standardised(values: Tensor) -> Tensor:
    centred = values.double() - values.double().mean()
    return centred / centred.std().clamp(min=1e-300)


@contextmanager
def differentiating() -> Iterator[None]:
    """Gradients on, whatever the caller has switched off."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


_evaluating: weakref.WeakKeyDictionary[nn.Module, tuple[int, list[nn.Module]]] = weakref.WeakKeyDictionary()
_evaluating_lock = threading.Lock()


@contextmanager
def evaluating(model: nn.Module | None) -> Iterator[None]:
    """Evaluation mode for the duration, then as it was; several threads may overlap on one model."""
    if model is None:
        yield
        return
    with _evaluating_lock:
        count, training = _evaluating.get(model, (0, []))
        if count == 0:
            training = [module for module in model.modules() if module.training]
            for module in training:
                module.training = False
        _evaluating[model] = (count + 1, training)
    try:
        yield
    finally:
        with _evaluating_lock:
            count, training = _evaluating.pop(model)
            if count > 1:
                _evaluating[model] = (count - 1, training)
            else:
                for module in training:
                    module.training = True


@contextmanager
def _captured(model: nn.Module | None, paths: tuple[str, ...], into: dict[str, Tensor]) -> Iterator[None]:
    """Keeps the outputs of named inner modules; the hooks live for one pass and hear one thread."""
    if not paths or model is None:
        yield
        return
    thread, modules, handles = threading.get_ident(), dict(model.named_modules()), []

    def keep(path: str) -> Callable[..., None]:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            first = next((o for o in output if isinstance(o, Tensor)), None) if isinstance(output, tuple) else output
            if threading.get_ident() == thread and isinstance(first, Tensor):
                into[path] = first

        return hook

    try:
        for path in paths:
            handles.append(modules[path].register_forward_hook(keep(path)))
        yield
    finally:
        for handle in handles:
            handle.remove()


def record(
    call: Callable[[Tensor], Any],
    inputs: Tensor,
    model: nn.Module | None,
    *,
    lags: int = 0,
    positive_inputs: bool = False,
    capture: tuple[str, ...] = (),
) -> Trace:
    """Runs one forward pass under watch.

    Args:
        call: Takes the explained input and runs the network on it.
        inputs: (B, …) or, time-distributed, (B, lags, …). Integers are explained at the first float made of them.
        model: The module whose layers are named, put into evaluation mode for the pass.
        lags: Number of frames on the input's second axis when it is time-distributed; 0 else.
        positive_inputs: The guided rule's paper-faithful option (see ``rectifiers``).
        capture: Module paths whose outputs are kept.

    Raises:
        TargetError: If the model is scripted.
    """
    _refuse_scripted(model)
    back = Backward(positive_inputs=positive_inputs)
    with differentiating(), evaluating(model), _eagerly():
        raw = None
        if inputs.is_floating_point():
            inputs = inputs.clone() if inputs.is_inference() else inputs
            leaf = inputs.detach().requires_grad_()
            fed = leaf.clone()  # the network may write into what it is given
        else:
            leaf, fed, raw = None, inputs, inputs
        watch = Watch(model, back, raw, sum_inputs=lags > 1 and len(inputs) > 1)
        captured: dict[str, Tensor] = {}
        with _captured(model, capture, captured), watch:
            outputs = call(fed)
    leaf = watch.leaf if leaf is None else leaf
    if leaf is None:
        raise TargetError("the network made no float of its integer input: nothing can be explained")
    return Trace(leaf, outputs, watch.calls, watch.cuts, lags, back, captured)


def _eagerly() -> AbstractContextManager[Any]:
    """Compiled modules run as they were written: a compiled one would silently return plain gradients."""
    # Nothing has been compiled where the compiler was not imported, which takes seconds.
    return torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext()


def _refuse_scripted(model: nn.Module | None) -> None:
    for name, module in model.named_modules() if model is not None else ():
        if isinstance(module, (torch.jit.ScriptModule, torch.jit.ScriptFunction)):
            raise TargetError(
                f"{name or 'the model'} is scripted (torch.jit): its rectifiers cannot be seen; "
                "explain the module it was made from"
            )
