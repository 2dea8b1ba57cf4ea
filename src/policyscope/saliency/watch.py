"""Watching a forward pass: PyTorch's function-override mode sees every call and leaves nothing in the model."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._C._functorch import is_functorch_wrapped_tensor
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.overrides import TorchFunctionMode

from policyscope.errors import TargetError
from policyscope.saliency import layers, rectifiers
from policyscope.saliency.convolution import VIEWS, laid_out, strided_conv2d, view
from policyscope.saliency.layers import Kind
from policyscope.saliency.names import Names
from policyscope.saliency.rectifiers import Backward, Point

_POOLS = {
    *(F.max_pool1d, F.max_pool2d, F.max_pool3d, torch.max_pool1d, torch.max_pool2d, torch.max_pool3d),
    *(F.max_pool1d_with_indices, F.max_pool2d_with_indices, F.max_pool3d_with_indices),
    *(F.avg_pool1d, F.avg_pool2d, F.avg_pool3d, F.lp_pool2d, F.adaptive_avg_pool1d, F.adaptive_avg_pool2d),
    *(F.adaptive_max_pool1d, F.adaptive_max_pool2d, torch.adaptive_avg_pool1d, torch.avg_pool1d),
    *(F.adaptive_max_pool1d_with_indices, F.adaptive_max_pool2d_with_indices, torch.adaptive_max_pool1d),
    F.local_response_norm,
}
# What changes nothing in evaluation mode: a layer's output is followed through it.
_PASSES = {F.dropout, F.dropout2d, F.dropout3d, F.alpha_dropout, F.feature_alpha_dropout, Tensor.contiguous, Tensor.to}
_RECURRENT = {getattr(torch, name) for name in ("lstm", "gru", "rnn_tanh", "rnn_relu")}
_CUTS = {
    Tensor.detach: "detach()",
    Tensor.detach_: "detach_()",
    Tensor.data.__get__: ".data",  # type: ignore[attr-defined]
    Tensor.numpy: "numpy()",
    Tensor.item: "item()",
    Tensor.tolist: "tolist()",
}


@dataclass(frozen=True)
class Fed:
    """What a layer was given: the place in the graph, and how to make a gradient for it."""

    edge: GradientEdge
    shape: torch.Size
    like: Tensor


@dataclass(eq=False)
class Call:
    """One call of a convolution, normalisation or linear layer during the pass.

    Attributes:
        name: Module path of the layer; where it runs at several sizes, those after the first add theirs (``@HxW``).
        kind: What it is.
        output: Its raw output z.
        bias: The (effective) bias that was added in z, shaped to be multiplied with z; None without one.
        shape: z's shape, rows first.
        spatial: Whether z has channels, height and width.
        fed: Its input; None where that has no gradient.
        rectified: Outputs of the rectifiers that z reaches through normalisation and pooling alone.
    """

    name: str
    kind: Kind
    output: Point
    bias: Tensor | None
    shape: torch.Size
    spatial: bool
    fed: Fed | None = None
    rectified: list[Point] = field(default_factory=list)

    @property
    def activation(self) -> Point:
        """The one rectifier's output, else the raw output."""
        return self.rectified[0] if len(self.rectified) == 1 else self.output


class Watch(TorchFunctionMode):
    """Records the layers, rectifiers and cuts of one forward pass.

    Args:
        model: Whose parameters name the layers; None where there is no module to name them.
        back: The rule holder of the trace that is being made.
        raw_input: Bytes that are explained at the first float made from them; None where the leaf is known.
    """

    def __init__(self, model: nn.Module | None, back: Backward, raw_input: Tensor | None) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self.cuts: list[str] = []
        self.leaf: Tensor | None = None
        self._back, self._names = back, Names(model)
        self._sizes: dict[tuple[Kind, str], list[torch.Size]] = {}
        self._bytes: set[int] = set() if raw_input is None else {id(raw_input)}
        # By storage, so that an in-place write finds all that it touches: which layers a tensor of some geometry
        # leads from, and the values that are held.
        self._sources: dict[int, dict[Any, list[Call]]] = {}
        self._held: dict[int, list[Any]] = {}
        # Tensors are told apart by where they are, so those that are watched must not die during the pass.
        self._alive: list[Tensor] = []

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Handles one torch call (PyTorch calls this; the mode is off meanwhile)."""
        kwargs = kwargs or {}
        call = rectifiers.recognise(func, args, kwargs)
        if call is not None and torch.is_grad_enabled():
            if call.subject.requires_grad:
                return self._rectifier(call)
            if is_functorch_wrapped_tensor(call.subject):
                raise TargetError(
                    f"a rectifier runs inside torch.func (vmap, grad) at {_caller()}, where its gradient cannot be "
                    "guided: call the network without it"
                )
        if func in layers.KINDS:
            return self._layer(func, args, kwargs)
        subject = args[0] if args else kwargs.get("input")
        written = _written(func, args, kwargs)
        if written is not None:
            self._save_before_write(written)
        if func in _RECURRENT and isinstance(subject, Tensor) and subject.is_cuda:
            with torch.backends.cudnn.flags(enabled=False):  # cuDNN's recurrences refuse to go back in evaluation mode
                return func(*args, **kwargs)
        result = self._view(func, args, kwargs) if func in VIEWS else func(*args, **kwargs)
        if self._bytes and self.leaf is None:
            result = self._follow_bytes(args, kwargs, result)
        if func in _POOLS or func in _PASSES:
            first = result[0] if isinstance(result, tuple) else result
            self._remember(first, self._sources_of(subject))
        if isinstance(subject, Tensor) and subject.requires_grad:
            self._note_cut(func, result)
        return result

    # -- layers ------------------------------------------------------------------------------------------------

    def _layer(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        named, kind = layers.arguments(func, args, kwargs), layers.KINDS[func]
        args = laid_out(func, args)
        subject = named.get("input")
        followed = isinstance(subject, Tensor) and subject.requires_grad
        phased = strided_conv2d(func, args, kwargs) if followed and torch.is_grad_enabled() else None
        result: Tensor = func(*args, **kwargs) if phased is None else phased
        if not result.requires_grad or not torch.is_grad_enabled():
            if followed:
                self._note_cut(func, result)
            return result
        weight = named.get("weight")
        call = Call(
            name=self._sized(
                self._names.of(named.get("running_mean") if weight is None else weight, kind), kind, result
            ),
            kind=kind,
            output=Point(get_gradient_edge(result), result.detach()),
            bias=layers.bias(func, named, result),
            shape=result.shape,
            spatial=layers.has_height_and_width(func, named, result),
        )
        if isinstance(subject, Tensor) and subject.requires_grad:
            call.fed = Fed(get_gradient_edge(subject), subject.shape, subject.new_empty(0))
        self.calls.append(call)
        if kind != "linear":
            self._remember(result, [call, *(self._sources_of(subject) if kind == "norm" else ())])
            self._hold(call.output)
        return result

    def _sized(self, name: str, kind: Kind, output: Tensor) -> str:
        if kind == "linear" or output.ndim < 3:
            return name
        sizes = self._sizes.setdefault((kind, name), [])
        size = output.shape[1:] if output.ndim == 3 else output.shape[2:]
        if size not in sizes:
            sizes.append(size)
        return name if size == sizes[0] else f"{name}@{'x'.join(map(str, size))}"

    def _rectifier(self, call: rectifiers.RectifierCall) -> Tensor:
        output, kept = rectifiers.rectify(call, self._back)
        point = Point(get_gradient_edge(output), output.detach())
        for source in self._sources_of(call.subject):
            source.rectified.append(point)
        self._hold(kept)
        if call.in_place:
            self._save_before_write(call.subject)
            return call.subject.copy_(output)
        self._hold(point)
        return output

    # -- what is followed from tensor to tensor --------------------------------------------------------------

    def _sources_of(self, tensor: Any) -> list[Call]:
        if not self._sources or not isinstance(tensor, Tensor):
            return []
        return self._sources.get(_storage(tensor), {}).get(_geometry(tensor), [])

    def _remember(self, tensor: Any, sources: list[Call]) -> None:
        if sources and isinstance(tensor, Tensor):
            self._sources.setdefault(_storage(tensor), {})[_geometry(tensor)] = sources
            self._alive.append(tensor)

    def _view(self, func: Any, args: Any, kwargs: Any) -> Tensor:
        sources, before = self._sources_of(args[0]), _storage(args[0])
        result: Tensor = view(func, args, kwargs)
        if _storage(args[0]) != before:  # it was laid out anew
            self._sources.pop(before, None)
            self._remember(args[0], sources)
        return result

    def _follow_bytes(self, args: Any, kwargs: Any, result: Any) -> Any:
        if not isinstance(result, Tensor) or not any(id(t) in self._bytes for t in _tensors(args, kwargs)):
            return result
        self._alive.append(result)
        if result.is_floating_point():
            self.leaf = result.detach().requires_grad_()
            return self.leaf.clone()  # the network may write into it
        self._bytes.add(id(result))
        return result

    def _note_cut(self, func: Any, result: Any) -> None:
        if len(self.cuts) >= 4:
            return
        result = result[0] if isinstance(result, tuple) and result else result  # recurrent layers return more than one
        if func in _CUTS:
            self.cuts.append(f"{_CUTS[func]} at {_caller()}")
        elif not torch.is_grad_enabled() and isinstance(result, Tensor) and result.is_floating_point():
            name = getattr(func, "__name__", str(func))
            mode = "inference_mode" if torch.is_inference_mode_enabled() else "no_grad"
            if name != "__get__":
                self.cuts.append(f"{name} under torch.{mode}() at {_caller()}")

    # -- values that later writes must not change ------------------------------------------------------------

    def _hold(self, holder: Any) -> None:
        self._held.setdefault(_storage(holder.value), []).append(holder)

    def _save_before_write(self, tensor: Tensor) -> None:
        storage = _storage(tensor)
        self._sources.pop(storage, None)
        for holder in self._held.pop(storage, []):
            holder.value = holder.value.clone()


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _geometry(tensor: Tensor) -> Any:
    return tensor.storage_offset(), tensor.shape, tensor.stride()


def _tensors(args: Any, kwargs: Any) -> Iterator[Tensor]:
    for value in (*args, *kwargs.values()):
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from (v for v in value if isinstance(v, Tensor))


_IN_PLACE_DUNDERS = {"__iadd__", "__isub__", "__imul__", "__itruediv__", "__ipow__", "__setitem__", "__idiv__"}


def _written(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor | None:
    """The tensor that a call writes into, if any."""
    out = kwargs.get("out")
    if isinstance(out, Tensor):
        return out
    if func in _PASSES or func is Tensor.requires_grad_:
        return None
    name = getattr(func, "__name__", "")
    in_place = name in _IN_PLACE_DUNDERS or (name.endswith("_") and not name.endswith("__")) or kwargs.get("inplace")
    return args[0] if in_place and args and isinstance(args[0], Tensor) else None


def _caller() -> str:
    """File and line of the nearest frame that is neither torch's nor ours."""
    frame = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if "/torch/" not in file and "policyscope/saliency" not in file:
            return f"{file}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return "an unknown place"
