"""Names and one plain sentence for what is drawn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from policyscope.saliency.maps import Panel

TITLES: dict[str, str] = {
    "gradient": "Gradient",
    "guided_backprop": "Guided backprop",
    "grad_cam": "Grad-CAM",
    "guided_grad_cam": "Guided Grad-CAM",
    "g1_grad_cam": "G1 Grad-CAM",
    "g2_grad_cam": "G2 Grad-CAM",
    "grad_cam_pp": "Grad-CAM++",
    "full_grad": "FullGrad",
    "full_grad_pp": "FullGrad++",
    "noise_saliency": "Noise saliency",
    "sarfa": "SARFA",
}

MEANINGS: dict[str, str] = {
    "gradient": "Where a slightly brighter pixel raises (positive) or lowers (negative) the explained output.",
    "guided_backprop": "The gradient, followed back only through what speaks for the output at every step: less noise, "
    "sharper outlines.",
    "grad_cam": "Where one convolution's features that raise the output are active: coarse, about places rather than "
    "pixels.",
    "guided_grad_cam": "Guided backprop, kept only where Grad-CAM points too: fine outlines in the places that matter.",
    "g1_grad_cam": "Grad-CAM whose feature weights come from guided backprop, so that only supporting evidence counts.",
    "g2_grad_cam": "G1 Grad-CAM times guided backprop: what both agree on.",
    "grad_cam_pp": "Grad-CAM with weights that keep several or small objects from drowning in one large one.",
    "full_grad": "The input's and every layer's share in the output added up, biases included: nothing is left out.",
    "full_grad_pp": "Grad-CAM++ of every convolution, averaged: places from all layers at once.",
    "noise_saliency": "How much the output changes when a small patch is blurred away: needs no gradient at all.",
    "sarfa": "How much blurring a patch weakens the explained action alone, rather than all actions together.",
}


def title(panel: Panel) -> str:
    """The method's name as people write it."""
    return TITLES.get(panel.method, panel.method.replace("_", " ").capitalize())


def meaning(panel: Panel) -> str:
    """What the method shows, for someone who never saw a saliency map."""
    return MEANINGS.get(panel.method, "How much each place matters to the explained output.")


def target(panel: Panel, actions: Sequence[str] = ()) -> str:
    """What is explained: ``value``, ``q of the action taken``, ``q of RIGHT against LEFT`` …

    Args:
        panel: What is explained.
        actions: The actions' names, where they are known.
    """
    named = {"taken": "of the action taken", "greedy": "of the best action", "sum": "summed over actions"}
    named |= {"contrast": "of the action taken against the rest", "all": "of all actions"}
    # a stream of one value has nothing to select from
    if panel.stream == "value" and panel.action in ("taken", "greedy", "sum", "all"):
        return "value"
    named[panel.action] = named.get(panel.action) or "of " + _chosen(panel.action, actions, " against ", "action ")
    return f"{panel.stream} {named[panel.action]}"


def has_lags(panels: Iterable[Panel]) -> bool:
    """Whether past frames are explained, so that the newest must be told from them."""
    return any(panel.lag not in (None, 0) for panel in panels)


def where(panel: Panel, lags: bool) -> str:
    """Layer and lag: ``conv1 · t-2``; empty where there is neither. ``lags`` tells the newest frame's lag too."""
    parts = [] if panel.layer is None else [panel.layer]
    if isinstance(panel.lag, str):
        parts.append(f"{panel.lag} of frames")
    elif panel.lag is not None and (panel.lag or lags):
        parts.append(f"t-{panel.lag}")
    return " · ".join(parts)


def detail(panel: Panel, lags: bool, actions: Sequence[str] = ()) -> str:
    """Target, layer and lag in short, for a caption: ``q RIGHT-LEFT · conv1 · t-2``."""
    plain = panel.action == "taken" or target(panel) == "value"
    chosen = "" if plain else f" {_chosen(panel.action, actions, '-', '')}"
    return " · ".join(part for part in (panel.stream + chosen, where(panel, lags)) if part)


def nothing(panel: Panel) -> str:
    """What a map that is zero everywhere means: only for some methods that nothing flows back to the input."""
    if panel.method in ("noise_saliency", "sarfa"):
        return "no effect"
    if panel.method in ("gradient", "guided_backprop", "full_grad"):
        return "no gradient"
    return "all zero" if panel.signed else "nothing positive"


def _chosen(action: str, actions: Sequence[str], against: str, unnamed: str) -> str:
    """An action, or two against each other, by name where names are known; words such as ``greedy`` as they are."""
    parts = action.split("-") if action.replace("-", "").isdecimal() else []
    if not parts:
        return action
    if all(int(part) < len(actions) for part in parts):
        return against.join(actions[int(part)] for part in parts)
    return unnamed + against.join(parts)


def number(value: float) -> str:
    """A number in at most six characters or so: ``0.12``, ``3.4e-5``."""
    if value != value:
        return "nan"
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 1e5 or size < 1e-3:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa}e{int(exponent)}"
    return f"{value:.0f}" if size >= 1000 else f"{value:.3g}"
