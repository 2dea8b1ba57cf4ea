"""Maps by captum, judged by the same measures as ours: ``captum:IntegratedGradients`` and others.

captum is an optional dependency (the extra ``evaluate``). A class is any of ``captum.attr`` that is made from a forward
function, or from a module, and attributes its inputs: ``IntegratedGradients``, ``DeepLift``, ``InputXGradient``,
``Saliency``, ``GuidedBackprop``, ``Deconvolution``, ``FeatureAblation`` … ``SmoothGrad`` is ``NoiseTunnel`` over
``Saliency``, for which captum has no name of its own.
"""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from policyscope.agents.agent import Agent
from policyscope.episodes.episode import Episode
from policyscope.errors import MissingExtraError, TargetError
from policyscope.saliency import targets
from policyscope.saliency.lags import by_lag
from policyscope.saliency.passes import Passes
from policyscope.saliency.record import differentiating, eagerly, evaluating
from policyscope.saliency.request import default_stream
from policyscope.storage import Array

SMOOTH_GRAD = "SmoothGrad"
NOISE, SAMPLES = 0.15, 16
"""SmoothGrad's noise as a share of the range of each picture (Smilkov et al., 2017), and its samples."""
STEPS = 20
"""Of integrated gradients' path, in captum's Gauss-Legendre rule."""
_STATES = 8
"""States at once: captum multiplies them by its steps or samples."""
_MISSING = 0.05
"""Share of the output's change that DeepLIFT may leave over; a rectifier that it does not see costs more."""
_BY_MODULES = ("GuidedBackprop", "Deconvolution")
_FEATURES = "a few features apart, of which a picture has thousands"
_UNFIT = {
    "NoiseTunnel": "other attributions: ask for SmoothGrad",
    "Lime": _FEATURES,
    "LimeBase": _FEATURES,
    "KernelShap": _FEATURES,
    "ShapleyValues": _FEATURES,
    "ShapleyValueSampling": _FEATURES,
    "FeaturePermutation": "features that are exchanged between states",
    "DataLoaderAttribution": "whole data sets",
    "RemoteLLMAttribution": "language models",
    "Attribution": "classes that attribute",
    "GradientAttribution": "classes that attribute",
    "PerturbationAttribution": "classes that attribute",
}


class CaptumSource:
    """Maps of one of captum's attribution classes, of the input frames' newest.

    An agent with a memory is explained over its newest observation, with the memory that was recorded before it.

    Args:
        agent: Whose decisions are explained.
        episode: What it saw.
        name: A class of ``captum.attr``, or ``SmoothGrad``.
        stream: What is explained; by default what the agent acts by.
        action: ``taken`` (the default where actions were recorded), ``greedy``, ``sum`` or an index.
        options: Given to captum's ``attribute``.

    Raises:
        MissingExtraError: captum is not installed.
        TargetError: There is no such class, or it cannot explain such a network.
    """

    def __init__(
        self,
        agent: Agent,
        episode: Episode,
        name: str,
        *,
        stream: str | None = None,
        action: str | int | None = None,
        **options: Any,
    ) -> None:
        self.agent, self.episode, self.name = agent, episode, name
        self._class = _class_of(name)
        self._stream = stream or default_stream(agent)
        discrete = episode.actions is not None and episode.actions.ndim == 1
        self._action = action if action is not None else "taken" if discrete else "greedy"
        self._passes, self._options = Passes(agent, episode), options
        self._names: tuple[str, ...] = tuple(inspect.signature(self._class.attribute).parameters)

    def maps(self, rows: slice) -> Array:
        """Raw maps (n, H, W) float32, signed where the class's are."""
        return self.of_rows(np.arange(rows.start or 0, rows.stop))

    def of_rows(self, rows: Array, inputs: Tensor | None = None) -> Array:
        """The same of any rows (n,), or of other pictures of their shape."""
        parts = []
        for first in range(0, len(rows), _STATES):
            given = None if inputs is None else inputs[first : first + _STATES]
            parts.append(self._some(rows[first : first + _STATES], given))
        return np.concatenate(parts)

    def _some(self, rows: Array, inputs: Tensor | None) -> Array:
        memory: tuple[Tensor, Tensor] | None = None
        if self.agent.memory_size:
            own, *kept = self._passes.window(rows, 1)
            memory = (kept[0], kept[1])
        else:
            own = self._passes.pictures(rows)
        subject = (own if inputs is None else inputs).detach().clone()
        head = _Head(self.agent, self._passes, self._stream, memory, self._selected(rows))
        with differentiating(), evaluating(self.agent.network), eagerly(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # captum warns of hooks and flags that it sets and takes away
            if self._action == "greedy":
                # What is explained must not change on the way from a baseline to the state.
                head.choose(head.values(subject, torch.arange(len(rows))).detach().argmax(dim=1))
            try:
                found = self._attribute(head, subject)
            except (RuntimeError, AssertionError, AttributeError, TypeError, ValueError) as error:
                raise TargetError(self._reason(error)) from error
        frames = by_lag(found.detach().float(), self.agent)
        return np.asarray(frames[:, -1].sum(dim=1).cpu().numpy())

    def _attribute(self, head: _Head, subject: Tensor) -> Tensor:
        method = self._class(head)
        options = ({"n_steps": STEPS} if "n_steps" in self._names else {}) | self._options
        options["additional_forward_args"] = (torch.arange(len(subject)),)
        if "sliding_window_shapes" in self._names and "sliding_window_shapes" not in options:
            channels = subject.shape[1:-2]
            side = max(subject.shape[-1] // 10, 1)
            options |= {"sliding_window_shapes": (*channels, side, side), "strides": (*channels, side, side)}
        if "feature_mask" in self._names and "sliding_window_shapes" not in self._names:
            options.setdefault("feature_mask", _patches(subject))
        if self.name == SMOOTH_GRAD:
            spread = float(subject.amax() - subject.amin())
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                method = _captum().NoiseTunnel(method)
                tunnel = {"nt_type": "smoothgrad", "nt_samples": SAMPLES, "stdevs": NOISE * spread, "abs": False}
                return _tensor(method.attribute(subject, **(tunnel | options)))
        if self.name == "Saliency":
            options.setdefault("abs", False)
        if self.name in _BY_MODULES and not any(isinstance(m, nn.ReLU) for m in self.agent.network.modules()):
            raise AttributeError("its rectifiers are no nn.ReLU modules, and captum would return plain gradients")
        if self.name in ("GradientShap", "DeepLiftShap"):
            options.setdefault("baselines", torch.zeros_like(subject[:1]).expand(2, *subject.shape[1:]).clone())
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            if self.name == "DeepLift":
                found, missing = method.attribute(subject, return_convergence_delta=True, **options)
                explained = found.flatten(1).sum(dim=1).detach()
                if bool((missing.abs() > _MISSING * explained.abs().clamp(min=explained.abs().mean())).any()):
                    raise AttributeError("what it attributes does not add up to the change of the output")
                return _tensor(found)
            return _tensor(method.attribute(subject, **options))

    def _selected(self, rows: Array) -> targets.Selection:
        if self._action in ("taken", "contrast"):
            if self.episode.actions is None:
                raise TargetError("the actions taken were not recorded: explain the greedy one, or give an index")
            taken = torch.as_tensor(self.episode.actions[rows]).long()
            return taken
        return self._action

    def _reason(self, error: Exception) -> str:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        if self.name.startswith("DeepLift"):
            return (
                f"captum:{self.name} cannot explain {self.agent.source}: it needs a module of its own for each "
                f"rectifier (nn.ReLU, used once, not in place) and no function that it does not know: {first}"
            )
        return f"captum:{self.name} cannot explain {self.agent.source}: {first}"


class _Head(nn.Module):
    """An agent's network as captum takes it: pictures and which states they are in, one number a row out.

    captum makes several rows of each state, in an order of its own; it repeats the second argument along with them.
    """

    def __init__(
        self,
        agent: Agent,
        passes: Passes,
        stream: str,
        memory: tuple[Tensor, Tensor] | None,
        selection: targets.Selection,
    ) -> None:
        super().__init__()
        self.network = agent.network
        self._passes, self._stream, self._memory, self._selection = passes, stream, memory, selection

    def choose(self, selection: Tensor) -> None:
        """Explains one entry (n,) of each state."""
        self._selection = selection

    def values(self, pictures: Tensor, index: Tensor) -> Tensor:
        """The stream (rows, k)."""
        if self._memory is None:
            streams = self._passes.streams(pictures)
        else:
            memory, alive = self._memory
            streams = self._passes.unrolled(pictures, memory[index], alive[index])
        return targets.entries(targets.stream_of(streams, self._stream), len(pictures), self._stream)

    def forward(self, pictures: Tensor, index: Tensor) -> Tensor:
        values = self.values(pictures, index)
        chosen = self._selection[index] if isinstance(self._selection, Tensor) else self._selection
        return targets.select(values, chosen, len(pictures), self._stream)


def _captum() -> Any:
    try:
        import captum.attr
    except ImportError as error:
        raise MissingExtraError("captum", "evaluate", "maps by captum") from error
    return captum.attr


def _class_of(name: str) -> Any:
    """The class that a name means."""
    attributions = _captum()
    if name == SMOOTH_GRAD:
        return attributions.Saliency
    if name in _UNFIT:
        raise TargetError(f"captum:{name} cannot be a source of maps: it is for {_UNFIT[name]}")
    found = getattr(attributions, name, None)
    if not (inspect.isclass(found) and issubclass(found, attributions.Attribution)):
        known = ", ".join(sorted([SMOOTH_GRAD, *_usable(attributions)]))
        raise TargetError(f"captum has no attribution class {name!r}; there are: {known}")
    if _of_a_layer(name, found):
        raise TargetError(
            f"captum:{name} explains a layer or a neuron; a source explains the input: use ours, or another"
        )
    return found


def _of_a_layer(name: str, found: Any) -> bool:
    return "layer" in inspect.signature(found).parameters or name.startswith(("Layer", "Neuron", "Internal", "LLM"))


def _usable(attributions: Any) -> list[str]:
    return [
        name
        for name, found in vars(attributions).items()
        if inspect.isclass(found)
        and issubclass(found, attributions.Attribution)
        and not _of_a_layer(name, found)
        and name not in _UNFIT
    ]


def _tensor(found: Any) -> Tensor:
    first: Tensor = found[0] if isinstance(found, tuple) else found
    return first


def _patches(subject: Tensor) -> Tensor:
    """A feature for each patch of an eighth of the picture's side, the same over frames and colours."""
    height, width = subject.shape[-2:]
    rows, columns = (torch.arange(n, device=subject.device) * 8 // n for n in (height, width))
    return (rows[:, None] * 8 + columns).expand(1, *subject.shape[1:]).contiguous()
