"""The plan: which passes a set of methods needs, so that nine methods cost one forward and two backward passes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from policyscope.errors import TargetError
from policyscope.saliency import full_grad as fg
from policyscope.saliency import grad_cam as gc
from policyscope.saliency.gradient import gradient, guided_backprop
from policyscope.saliency.rectifiers import Point, Rule
from policyscope.saliency.resize import to_size
from policyscope.saliency.trace import Trace

Shape = Literal["input", "layer", "image"]


@dataclass(frozen=True)
class Method:
    """A gradient method.

    Attributes:
        function: From (trace, target, layer) to its map.
        rules: The backward rules it needs.
        shape: ``input``: the input's shape; ``layer``: the layer's size, to be resized; ``image``: the image's size.
        parts: For products: a layer's map and an input-shaped one, multiplied.
        every_layer: It needs the gradients of all layers, not of one.
        variants: The same method as other sources have it.
    """

    function: Callable[[Trace, Tensor, str | int], Tensor] | None
    rules: tuple[Rule, ...]
    shape: Shape
    parts: tuple[str, str] | None = None
    every_layer: bool = False
    variants: dict[str, Callable[[Trace, Tensor, str | int], Tensor]] = field(default_factory=dict)


METHODS: dict[str, Method] = {
    "gradient": Method(lambda t, y, _: gradient(t, y), ("standard",), "input"),
    "guided_backprop": Method(lambda t, y, _: guided_backprop(t, y), ("guided",), "input"),
    "grad_cam": Method(gc.grad_cam, ("standard",), "layer"),
    "guided_grad_cam": Method(None, ("standard", "guided"), "input", parts=("grad_cam", "guided_backprop")),
    "g1_grad_cam": Method(gc.g1_grad_cam, ("guided",), "layer"),
    "g2_grad_cam": Method(None, ("guided",), "input", parts=("g1_grad_cam", "guided_backprop")),
    "grad_cam_pp": Method(
        gc.grad_cam_pp,
        ("standard",),
        "layer",
        variants={
            "published": lambda t, y, layer: gc.grad_cam_pp(t, y, layer, eps=1e-6),
            "blog_text": gc.grad_cam_pp_blog,
        },
    ),
    "full_grad": Method(
        lambda t, y, _: fg.full_grad(t, y),
        ("standard",),
        "image",
        every_layer=True,
        variants={"blog_text": lambda t, y, _: fg.full_grad_blog(t, y)},
    ),
    "full_grad_pp": Method(
        lambda t, y, _: fg.full_grad_pp(t, y),
        ("standard",),
        "image",
        every_layer=True,
        variants={
            "blog_code": lambda t, y, _: fg.full_grad_pp(t, y, layer_weight="sum"),
            "blog_text": lambda t, y, _: fg.full_grad_pp_blog(t, y),
        },
    ),
}
PERTURBATION = ("noise_saliency", "sarfa")
NAMES = (*METHODS, *PERTURBATION)
# The paper's code multiplies only what is positive in both factors.
PRODUCT_VARIANT = "paper_code"


def check_names(methods: Iterable[str]) -> tuple[str, ...]:
    """The methods as a tuple, each once.

    Raises:
        TargetError: At an unknown name; the line lists the known ones.
    """
    wanted = tuple(dict.fromkeys([methods] if isinstance(methods, str) else methods))
    for name in wanted:
        if name not in NAMES:
            raise TargetError(f"no method {name!r}; there are: {', '.join(NAMES)}")
    if not wanted:
        raise TargetError(f"no methods were asked for; there are: {', '.join(NAMES)}")
    return wanted


def check_variants(variants: dict[str, str]) -> None:
    """Raises TargetError where a method lacks the variant asked of it."""
    for name, variant in variants.items():
        known = list(METHODS[name].variants) if name in METHODS else []
        if name in METHODS and METHODS[name].parts:
            known = [PRODUCT_VARIANT]
        if variant != "default" and variant not in known:
            raise TargetError(f"method {name!r} has no variant {variant!r}; it has: {', '.join(['default', *known])}")


def compute(
    trace: Trace,
    target: Tensor,
    methods: Iterable[str],
    layer: str | int = 1,
    variants: dict[str, str] | None = None,
    *,
    other_layers: Iterable[str | int] = (),
    points: Iterable[Point] = (),
    resize: bool = True,
) -> dict[str, Tensor]:
    """Runs gradient methods on a trace, each needed backward pass once.

    Args:
        trace: The watched forward pass.
        target: (B,), one scalar per state.
        methods: Names from ``METHODS``.
        layer: The convolution for the methods that explain one.
        variants: Method -> variant.
        other_layers: Layers that will be asked for next, so that one backward pass serves them all.
        points: Where else the standard gradient will be asked for, if any method takes it.
        resize: Bring layers' maps to the image's size.

    Returns:
        Method -> map: input-shaped for gradient, guided backprop and products, else (B, H, W), or (B, lags, H, W)
        for time-distributed networks.
    """
    variants = variants or {}
    check_variants(variants)
    names = [name for name in methods if name in METHODS]
    parts = {part for name in names for part in METHODS[name].parts or ()}
    wanted = list(dict.fromkeys([*parts, *names]))
    for rule in ("standard", "guided"):
        if any(rule in METHODS[name].rules for name in wanted):
            asked = [METHODS[name] for name in wanted if rule in METHODS[name].rules]
            also = points if rule == "standard" else ()
            trace.gradients(target, rule, [*_points(trace, asked, [layer, *other_layers]), *also])
    computed: dict[str, Tensor] = {}
    small: dict[str, Tensor] = {}
    # Where the caller's autocast would round the maps.
    with torch.autocast(trace.leaf.device.type, enabled=False):
        for name in wanted:
            function = METHODS[name].variants.get(variants.get(name, "default"), METHODS[name].function)
            if function is not None:
                raw = function(trace, target, layer)
                layered = METHODS[name].shape == "layer"
                computed[name] = to_size(raw, trace.image_size) if layered and (resize or name in parts) else raw
                if layered and not resize and name in names:
                    small[name] = raw
        for name in names:
            factors = METHODS[name].parts
            if factors:
                computed[name] = _product(
                    computed[factors[0]], computed[factors[1]], variants.get(name) == PRODUCT_VARIANT
                )
    return {name: small.get(name, computed[name]) for name in names}


def _points(trace: Trace, methods: list[Method], layers: list[str | int]) -> list[Point]:
    points: list[Point] = []
    if any(m.every_layer for m in methods):
        points += [p for call in trace.calls if call.kind != "linear" for p in (call.output, call.activation)]
    if any(m.shape == "layer" for m in methods):
        points += [call.activation for layer in layers for call in trace.layer(layer)]
    return points


def _product(cam: Tensor, guided: Tensor, positive_only: bool) -> Tensor:
    """A layer's map times the signed guided map (Selvaraju et al., 2017), or positive times positive."""
    guided = guided.clamp(min=0) if positive_only else guided
    return cam.unsqueeze(-3) * guided if guided.ndim == cam.ndim + 1 else torch.mul(cam, guided)
