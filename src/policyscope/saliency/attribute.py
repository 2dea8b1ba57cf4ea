"""``attribute``: every method on any torch module and any batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from torch import Tensor, nn

from policyscope.errors import TargetError
from policyscope.saliency import plan, targets
from policyscope.saliency.full_grad import WEIGHT_OF_VARIANT, Completeness, completeness, layer_weights
from policyscope.saliency.perturbation import Regions, noise_saliency, perturbed_outputs, sarfa
from policyscope.saliency.record import differentiating, evaluating, record
from policyscope.saliency.targets import Selection


class Attributions(dict[str, Tensor]):
    """Method -> map, with what goes along.

    Attributes:
        target: (B,), the explained scalar of each state.
        layer_weights: FullGrad++'s share of each layer, where it was computed.
        completeness: FullGrad's terms and what they leave over, where it was computed.
    """

    target: Tensor
    layer_weights: dict[str, Tensor]
    completeness: Completeness | None


def attribute(
    model: nn.Module,
    inputs: Tensor | Sequence[Any],
    methods: Iterable[str],
    target: Selection | None = None,
    layer: str | int = 1,
    stream: str | int | None = None,
    *,
    explain: int = 0,
    forward: Callable[..., Any] | None = None,
    time_distributed: bool | None = None,
    positive_inputs: bool = False,
    variants: dict[str, str] | None = None,
    regions: Regions | None = None,
    check_completeness: bool = False,
) -> Attributions:
    """Explains a batch of inputs; every state is explained by itself, and nothing is left behind in the model.

    Args:
        model: Any torch module; it is explained in evaluation mode and returned as it was.
        inputs: (B, C, H, W), or (B, lags, C, H, W) for time-distributed networks; a tuple where the model takes more.
            Bytes are explained at the first float that the network makes of them.
        methods: Names; ``policyscope.METHODS`` lists them.
        target: What is explained: an index, one per state (B,), ``greedy``, ``sum``, ``contrast[:INDEX]``, one entry
            against another (``2-3``) or a function from the output to (B,). None where the output is one number per
            state.
        layer: The convolution for the methods that explain one: its module path, or counted from 1.
        stream: Which output, where the model returns a tuple or dict; or the path of an inner module.
        explain: Which of several inputs is explained.
        forward: Called instead of the model, with the inputs.
        time_distributed: Whether the input's second axis is time; by default where the input has five axes.
        positive_inputs: The paper's words for rectifiers other than ReLU: nothing passes a negative input.
        variants: Method -> variant, such as ``{"full_grad_pp": "blog_code"}``.
        regions: The grid of the perturbation methods.
        check_completeness: Also compute FullGrad's terms.

    Returns:
        Method -> tensor: of the explained input's shape for ``gradient``, ``guided_backprop`` and their products,
        (B, H, W) at the input's size for the rest, (B, lags, H, W) when time-distributed.

    Raises:
        TargetError: If a name is unknown, or the target is cut off from the input (the line says where).
    """
    names = plan.check_names(methods)
    everything = list(inputs) if isinstance(inputs, (tuple, list)) else [inputs]
    explain = range(len(everything))[explain]
    subject = everything[explain]
    if not isinstance(subject, Tensor) or subject.ndim < 3 or len(subject) == 0:
        raise TargetError("the explained input must be a tensor (B, C, H, W) with at least one state")
    run = forward or model
    # What was made in inference mode cannot take part in a gradient.
    everything = [v.clone() if isinstance(v, Tensor) and v.is_inference() else v for v in everything]

    def call(explained: Tensor) -> Any:
        return run(*everything[:explain], explained, *everything[explain + 1 :])

    lags = subject.shape[1] if (subject.ndim == 5 if time_distributed is None else time_distributed) else 0
    inner = _inner_module(model, stream)
    capture = (inner,) if inner is not None else ()
    with differentiating():
        trace = record(call, subject, model, lags=lags, positive_inputs=positive_inputs, capture=capture)
        outputs = trace.captured_stream(inner) if inner is not None else trace.outputs
        scalar = targets.resolve(outputs, None if inner is not None else stream, target, trace.states)
        results = Attributions(plan.compute(trace, scalar, names, layer, variants))
        results.completeness = completeness(trace, scalar) if check_completeness else None
        weight = WEIGHT_OF_VARIANT[(variants or {}).get("full_grad_pp", "default")]
        results.layer_weights = layer_weights(trace, scalar, weight) if "full_grad_pp" in names else {}
    results.target = scalar.detach()
    if any(name in plan.PERTURBATION for name in names):
        if inner is not None or not subject.is_floating_point():
            raise TargetError("perturbation methods need a stream that the model returns, and a floating-point input")

        def rows_of(rows: Tensor, index: Tensor) -> Any:
            before, after = (
                [v[index] if isinstance(v, Tensor) and len(v) == trace.states else v for v in part]
                for part in (everything[:explain], everything[explain + 1 :])
            )
            return run(*before, rows, *after)

        with evaluating(model):
            results.update(_perturb(rows_of, subject, names, stream, target, lags, regions or Regions()))
    ordered = Attributions({name: results[name] for name in names})
    ordered.__dict__.update(results.__dict__)
    return ordered


def _inner_module(model: nn.Module, stream: str | int | None) -> str | None:
    if not isinstance(stream, str):
        return None
    return stream if stream in dict(model.named_modules()) and stream else None


def _perturb(
    call: Callable[[Tensor, Tensor], Any],
    inputs: Tensor,
    names: tuple[str, ...],
    stream: str | int | None,
    target: Selection | None,
    lags: int,
    regions: Regions,
) -> dict[str, Tensor]:
    """The perturbation methods on the newest picture: the last channel, or the last frame in time."""
    size = (inputs.shape[-2], inputs.shape[-1])
    frame: tuple[Any, ...] = (-1,) if lags else (slice(-1, None),)
    base, perturbed = perturbed_outputs(call, inputs, lambda o: targets.stream_of(o, stream), frame, regions)
    results = {}
    if "noise_saliency" in names:
        results["noise_saliency"] = noise_saliency(base, perturbed, regions, size)
    if "sarfa" in names:
        if (callable(target) and not isinstance(target, Tensor)) or base.shape[1] < 2:
            raise TargetError("sarfa explains one action of several: give its index as target")
        results["sarfa"] = sarfa(base, perturbed, targets.chosen(target, base), regions, size)
    return results
