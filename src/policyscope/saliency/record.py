"""Recording a trace: a network's forward pass under watch, in evaluation mode, with nothing left behind."""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from policyscope.errors import TargetError
from policyscope.saliency.rectifiers import Backward
from policyscope.saliency.trace import Trace, cut_message
from policyscope.saliency.watch import Watch


@contextmanager
def differentiating() -> Iterator[None]:
    """Gradients on, whatever the caller has switched off."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


_evaluating: weakref.WeakKeyDictionary[nn.Module, int] = weakref.WeakKeyDictionary()
_evaluating_lock = threading.Lock()


@contextmanager
def evaluating(model: nn.Module | None) -> Iterator[None]:
    """Evaluation mode for the duration, then as it was; threads may overlap on one model or on parts of it."""
    if model is None:
        yield
        return
    # A module that was in training mode is counted by all who need it in evaluation mode; the last one puts it back.
    with _evaluating_lock:
        ours = [module for module in model.modules() if module.training or module in _evaluating]
        for module in ours:
            _evaluating[module] = _evaluating.get(module, 0) + 1
            module.training = False
    try:
        yield
    finally:
        with _evaluating_lock:
            for module in ours:
                count = _evaluating.pop(module)
                if count > 1:
                    _evaluating[module] = count - 1
                else:
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
    with differentiating(), evaluating(model), eagerly():
        raw = None
        if inputs.is_floating_point():
            inputs = inputs.clone() if inputs.is_inference() else inputs
            leaf = inputs.detach().requires_grad_()
            fed = leaf.clone()  # the network may write into what it is given
        else:
            leaf, fed, raw = None, inputs, inputs
        watch = Watch(model, back, raw)
        captured: dict[str, Tensor] = {}
        try:
            with _captured(model, capture, captured), watch:
                outputs = call(fed)
        except RuntimeError as error:
            if watch.cuts and "Inference tensors" in str(error):
                raise TargetError(cut_message(watch.cuts)) from error
            raise
    leaf = watch.leaf if leaf is None else leaf
    if leaf is None:
        raise TargetError("the network made no float of its integer input: nothing can be explained")
    if leaf.ndim != inputs.ndim:
        raise TargetError(
            f"the first float that the network makes of its input {tuple(inputs.shape)} has another number of axes, "
            f"{tuple(leaf.shape)}: give it that float as input, and what follows it as forward="
        )
    return Trace(leaf, outputs, watch.calls, watch.cuts, lags, back, captured)


def eagerly() -> AbstractContextManager[Any]:
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
