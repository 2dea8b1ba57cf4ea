"""Watching a forward pass: PyTorch's function-override mode sees every call and leaves nothing in the model."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.graph import get_gradient_edge
from torch.overrides import TorchFunctionMode

from policyscope.saliency import rectifiers
from policyscope.saliency.convolution import laid_out, strided_conv2d, view
from policyscope.saliency.rectifiers import Backward, Point

Kind = Literal["conv", "norm", "linear"]

_CONVOLUTIONS = {torch.conv1d, torch.conv2d, torch.conv3d, F.conv1d, F.conv2d, F.conv3d}
_CONVOLUTIONS_2D = {torch.conv2d, F.conv2d}
_BATCH_NORMS = {F.batch_norm, torch.batch_norm}
_NORMS = {F.layer_norm, torch.layer_norm, F.group_norm, torch.group_norm, F.instance_norm, torch.instance_norm}
_LINEAR = {F.linear}
_POOLS = {
    *(F.max_pool1d, F.max_pool2d, F.max_pool3d, torch.max_pool1d, torch.max_pool2d, torch.max_pool3d),
    *(F.avg_pool1d, F.avg_pool2d, F.avg_pool3d, F.lp_pool2d, F.adaptive_avg_pool1d, F.adaptive_avg_pool2d),
    *(F.adaptive_max_pool1d, F.adaptive_max_pool2d, torch.adaptive_avg_pool1d, torch.avg_pool1d),
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


@dataclass(eq=False)
class Call:
    """One call of a convolution, normalisation or linear layer during the pass.

    Attributes:
        name: Module path of the layer.
        kind: What it is.
        output: Its raw output z.
        bias: The (effective) bias that was added in z, shaped to be multiplied with z; None without one.
        rectified: Outputs of the rectifiers that z reaches through normalisation and pooling alone.
        shape: z's shape, rows first.
        input_sums: For the first convolution of a time-distributed pass: each row's sum, by which rows are told apart.
    """

    name: str
    kind: Kind
    output: Point
    bias: Tensor | None
    shape: torch.Size
    rectified: list[Point] = field(default_factory=list)
    input_sums: Tensor | None = None

    @property
    def spatial(self) -> bool:
        """Whether z has channels, height and width."""
        return self.kind != "linear" and len(self.shape) == 4

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
        sum_inputs: Keep the row sums of the first convolution's input.
    """

    def __init__(self, model: nn.Module | None, back: Backward, raw_input: Tensor | None, sum_inputs: bool) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self.cuts: list[str] = []
        self.leaf: Tensor | None = None
        self._back, self._sum_inputs = back, sum_inputs
        self._names = dict(_named_weights(model)) if model is not None else {}
        self._parametrised = list(_parametrised(model)) if model is not None else []
        self._buffers = {id(b) for b in model.buffers()} if model is not None else set()
        self._sources: dict[int, list[Call]] = {}
        self._bytes: set[int] = set() if raw_input is None else {id(raw_input)}
        self._held: dict[int, list[Any]] = {}
        # Tensors are told apart by id, so those that are watched must not die during the pass.
        self._alive: list[Tensor] = []

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Handles one torch call (PyTorch calls this; the mode is off meanwhile)."""
        kwargs = kwargs or {}
        call = rectifiers.recognise(func, args, kwargs)
        subject = args[0] if args else kwargs.get("input")
        if call is not None and isinstance(subject, Tensor) and subject.requires_grad and torch.is_grad_enabled():
            return self._rectifier(call, func, args, kwargs, subject)
        if func in _CONVOLUTIONS or func in _BATCH_NORMS or func in _NORMS or func in _LINEAR:
            return self._layer(func, args, kwargs)
        written = _written(func, args, kwargs)
        if written is not None:
            self._save_before_write(written)
        if func in _RECURRENT and isinstance(subject, Tensor) and subject.is_cuda:
            with torch.backends.cudnn.flags(enabled=False):  # cuDNN's recurrences refuse to go back in evaluation mode
                return func(*args, **kwargs)
        result = view(func, args, kwargs) if func is Tensor.view else func(*args, **kwargs)
        if self._bytes and self.leaf is None:
            self._follow_bytes(args, kwargs, result)
        if func in _POOLS or func in _PASSES:
            self._inherit(subject, result[0] if isinstance(result, tuple) else result)
        if isinstance(subject, Tensor) and subject.requires_grad:
            self._note_cut(func, result)
        return result

    # -- layers ------------------------------------------------------------------------------------------------

    def _layer(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        subject, weight, bias = _operands(func, args, kwargs)
        args = laid_out(func, args)
        fast = torch.is_grad_enabled() and isinstance(subject, Tensor) and subject.requires_grad
        phased = strided_conv2d(args, kwargs) if fast and func in _CONVOLUTIONS_2D else None
        result: Tensor = func(*args, **kwargs) if phased is None else phased
        if not result.requires_grad:
            if isinstance(subject, Tensor) and subject.requires_grad:
                self._note_cut(func, result)
            return result
        kind: Kind = "conv" if func in _CONVOLUTIONS else "linear" if func in _LINEAR else "norm"
        anchor = weight if isinstance(weight, Tensor) else _argument(func, args, kwargs, "running_mean")
        call = Call(
            name=self._name(anchor, kind),
            kind=kind,
            output=Point(get_gradient_edge(result), result.detach()),
            bias=bias if func not in _BATCH_NORMS else _effective_bias(func, args, kwargs),
            shape=result.shape,
        )
        if call.bias is not None and kind != "linear" and call.bias.ndim == 1 and result.ndim > 2:
            call.bias = call.bias.view(-1, *[1] * (result.ndim - 2))
        if self._sum_inputs and kind == "conv" and isinstance(subject, Tensor) and self._is_first(call):
            call.input_sums = subject.detach().flatten(1).sum(dim=1)
        self.calls.append(call)
        if kind != "linear":
            sources = [call]
            if kind == "norm" and isinstance(subject, Tensor):
                sources += self._sources.get(id(subject), [])
            self._remember(result, sources)
            self._hold(call.output)
        return result

    def _is_first(self, call: Call) -> bool:
        return call.name == next((c.name for c in self.calls if c.kind == "conv"), call.name)

    def _name(self, anchor: Tensor | None, kind: Kind) -> str:
        if anchor is not None and id(anchor) in self._names:
            return self._names[id(anchor)]
        for index, (name, shape) in enumerate(self._parametrised):
            if anchor is not None and shape == anchor.shape:
                self._parametrised.append(self._parametrised.pop(index))
                return name
        return f"{kind}{1 + sum(c.kind == kind for c in self.calls)}"

    def _rectifier(self, call: rectifiers.RectifierCall, func: Any, args: Any, kwargs: Any, subject: Tensor) -> Tensor:
        sources = self._sources.get(id(subject), [])
        if call.in_place:
            for source in sources:  # the raw output ceases to be; only its gradient is of use now
                self._release(source.output)
            self._save_before_write(subject)
        output, kept = rectifiers.rectify(call, func, args, kwargs, self._back)
        point = Point(get_gradient_edge(output), output.detach())
        for source in sources:
            source.rectified.append(point)
        if call.in_place:
            self._sources.pop(id(subject), None)
        self._hold(point)
        self._hold(kept)
        self._alive.append(output)
        return output

    # -- what is followed from tensor to tensor --------------------------------------------------------------

    def _remember(self, tensor: Tensor, sources: list[Call]) -> None:
        self._sources[id(tensor)] = sources
        self._alive.append(tensor)

    def _inherit(self, source: Any, result: Any) -> None:
        sources = self._sources.get(id(source))
        if sources and isinstance(result, Tensor) and result is not source:
            self._remember(result, sources)

    def _follow_bytes(self, args: Any, kwargs: Any, result: Any) -> None:
        if not isinstance(result, Tensor) or not any(id(t) in self._bytes for t in _tensors(args, kwargs)):
            return
        if result.is_floating_point():
            self.leaf = result.requires_grad_()
        else:
            self._bytes.add(id(result))
        self._alive.append(result)

    def _note_cut(self, func: Any, result: Any) -> None:
        if len(self.cuts) >= 4:
            return
        if func in _CUTS:
            self.cuts.append(f"{_CUTS[func]} at {_caller()}")
        elif not torch.is_grad_enabled() and isinstance(result, Tensor) and result.is_floating_point():
            name = getattr(func, "__name__", str(func))
            if name != "__get__":
                self.cuts.append(f"{name} under torch.no_grad() at {_caller()}")

    # -- values that later writes must not change ------------------------------------------------------------

    def _hold(self, holder: Any) -> None:
        self._held.setdefault(holder.value.untyped_storage().data_ptr(), []).append(holder)

    def _release(self, point: Point) -> None:
        if point.value is not None:
            holders = self._held.get(point.value.untyped_storage().data_ptr(), [])
            if point in holders:
                holders.remove(point)
            point.value = None

    def _save_before_write(self, tensor: Tensor) -> None:
        for holder in self._held.pop(tensor.untyped_storage().data_ptr(), []):
            holder.value = holder.value.clone()


def _named_weights(model: nn.Module) -> Iterator[tuple[int, str]]:
    for name, module in model.named_modules():
        for attribute in ("weight", "running_mean"):
            tensor = module.__dict__.get(attribute)
            if tensor is None:
                tensor = module._parameters.get(attribute)
            if tensor is None:
                tensor = module._buffers.get(attribute)
            if isinstance(tensor, Tensor):
                yield id(tensor), _clean(name)


def _parametrised(model: nn.Module) -> Iterator[tuple[str, torch.Size]]:
    """Layers whose weight is computed at each call (weight or spectral norm), told apart by shape and order."""
    for name, module in model.named_modules():
        parametrizations = getattr(module, "parametrizations", None)
        if parametrizations is not None and "weight" in parametrizations:
            yield (
                _clean(name),
                parametrizations["weight"].original.shape
                if hasattr(parametrizations["weight"], "original")
                else parametrizations["weight"].original1.shape,
            )


def _clean(name: str) -> str:
    return name.replace("_orig_mod.", "").replace("._orig_mod", "") or "model"


def _tensors(args: Any, kwargs: Any) -> Iterator[Tensor]:
    for value in (*args, *kwargs.values()):
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from (v for v in value if isinstance(v, Tensor))


_BATCH_NORM_ORDER: dict[Any, tuple[str, ...]] = {
    F.batch_norm: ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps"),
    torch.batch_norm: ("input", "weight", "bias", "running_mean", "running_var", "training", "momentum", "eps"),
    F.layer_norm: ("input", "normalized_shape", "weight", "bias", "eps"),
    torch.layer_norm: ("input", "normalized_shape", "weight", "bias", "eps"),
    F.group_norm: ("input", "num_groups", "weight", "bias", "eps"),
    torch.group_norm: ("input", "num_groups", "weight", "bias", "eps"),
    F.instance_norm: ("input", "running_mean", "running_var", "weight", "bias", "use_input_stats", "momentum", "eps"),
    torch.instance_norm: (
        "input",
        "weight",
        "bias",
        "running_mean",
        "running_var",
        "use_input_stats",
        "momentum",
        "eps",
    ),
}
_PLAIN_ORDER = ("input", "weight", "bias")


def _argument(func: Any, args: Any, kwargs: Any, name: str) -> Any:
    order = _BATCH_NORM_ORDER.get(func, _PLAIN_ORDER)
    if name in kwargs:
        return kwargs[name]
    index = order.index(name) if name in order else len(args)
    return args[index] if index < len(args) else None


def _operands(func: Any, args: Any, kwargs: Any) -> tuple[Any, Any, Tensor | None]:
    subject, weight, bias = (_argument(func, args, kwargs, name) for name in ("input", "weight", "bias"))
    return subject, weight, bias.detach() if isinstance(bias, Tensor) else None


def _effective_bias(func: Any, args: Any, kwargs: Any) -> Tensor | None:
    """What a batch norm adds to its scaled input: beta - gamma * mean / sqrt(var + eps)."""
    mean, variance, gamma, beta = (
        _argument(func, args, kwargs, name) for name in ("running_mean", "running_var", "weight", "bias")
    )
    beta = beta.detach() if isinstance(beta, Tensor) else None
    if mean is None or _argument(func, args, kwargs, "training"):
        return beta  # statistics of the batch: no constant is added but beta
    eps = _argument(func, args, kwargs, "eps")
    shift: Tensor = mean / (variance + (1e-5 if eps is None else eps)).sqrt()
    shift = shift if gamma is None else shift * gamma.detach()
    return -shift if beta is None else beta - shift


_IN_PLACE_DUNDERS = {"__iadd__", "__isub__", "__imul__", "__itruediv__", "__ipow__", "__setitem__", "__idiv__"}


def _written(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor | None:
    """The tensor that a call writes into, if any."""
    out = kwargs.get("out")
    if isinstance(out, Tensor):
        return out
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
