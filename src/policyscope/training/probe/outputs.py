"""What comes out of a network that is being trained, in a few numbers: means, gaps, entropies, attention."""

from __future__ import annotations

from policyscope.agents.agent import Streams
from policyscope.saliency import targets
from policyscope.training.probe import measures
from policyscope.training.probe.layers import Scalars

USUAL = ("q", "policy", "value", "advantage")
# Streams that are no decision and no value: the attention has scalars of its own, a spread is not looked for.
ATTENTION = "attention"
UNEXPLAINED = (ATTENTION, "log_std")
SATURATED = 0.99


def of_outputs(outputs: Streams, discrete: bool) -> Scalars:
    """The scalars of the streams themselves.

    Args:
        outputs: Name -> (n, k), without gradients.
        discrete: Whether a policy's entries are the logits of one choice.
    """
    scalars: Scalars = {}
    for name, values in outputs.items():
        if name.startswith(ATTENTION):
            means = values.mean(dim=0).flatten().flip(0)
            scalars |= {f"attention/{name}/t-{lag}": mean for lag, mean in enumerate(means)}
        if name not in USUAL:
            continue
        wide = targets.entries(values, len(values), name)
        best = wide.topk(min(2, wide.shape[1]), dim=1).values
        if name != "policy":
            shown = best[:, 0] if name == "q" else wide.mean(dim=1)
            scalars |= {f"{name}/mean": shown.mean(), f"{name}/spread": shown.std(correction=0)}
        elif discrete:
            logarithms = wide.log_softmax(dim=1)
            scalars["policy/entropy"] = -(logarithms.exp() * logarithms).sum(dim=1).mean()
            scalars["policy/saturation"] = (logarithms.amax(dim=1).exp() > SATURATED).float().mean()
        if name in ("q", "policy") and discrete and wide.shape[1] > 1:
            scalars[f"{name}/gap"] = (best[:, 0] - best[:, 1]).mean()
            scalars[f"{name}/distinct_actions"] = measures.distinct(wide.argmax(dim=1), wide.shape[1])
    return scalars
