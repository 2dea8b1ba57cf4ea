"""Numbers for what is said of saliency: whether maps show what matters, are stable, and come from the network."""

from policyscope.evaluation.action_guided import action_guided_backprop
from policyscope.evaluation.deletion import deletion
from policyscope.evaluation.discrimination import ActionMaps, discrimination
from policyscope.evaluation.early import early
from policyscope.evaluation.hidden_return import hidden_returns
from policyscope.evaluation.inversion import contrast, inverted
from policyscope.evaluation.laplacian import around
from policyscope.evaluation.method_maps import MethodMaps, spread_rows
from policyscope.evaluation.objects import centres, coverage, objects_of, objects_of_episode
from policyscope.evaluation.recognition import average_precision, gain, pointing
from policyscope.evaluation.runner import Evaluation, evaluate
from policyscope.evaluation.samdp import samdp
from policyscope.evaluation.sanity import sanity
from policyscope.evaluation.sharpness import blob_width, entropy, half_area
from policyscope.evaluation.stability import flash, flicker, followed, visible
from policyscope.evaluation.statistics import Interval, best_of, paired, summary
from policyscope.evaluation.xrl_bench import xrl_bench

__all__ = [
    "ActionMaps",
    "Evaluation",
    "Interval",
    "MethodMaps",
    "action_guided_backprop",
    "around",
    "average_precision",
    "best_of",
    "blob_width",
    "centres",
    "contrast",
    "coverage",
    "deletion",
    "discrimination",
    "early",
    "entropy",
    "evaluate",
    "flash",
    "flicker",
    "followed",
    "gain",
    "half_area",
    "hidden_returns",
    "inverted",
    "objects_of",
    "objects_of_episode",
    "paired",
    "pointing",
    "samdp",
    "sanity",
    "spread_rows",
    "summary",
    "visible",
    "xrl_bench",
]
