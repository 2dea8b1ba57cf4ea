"""The rules of training, one file each. A rule looks at what was told and says what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from policyscope.diagnosis.finding import Finding
from policyscope.training.watch.rules.activation_on_q import activation_on_q
from policyscope.training.watch.rules.dead_stream import dead_stream
from policyscope.training.watch.rules.ends import ends_not_masked
from policyscope.training.watch.rules.exploration import exploration
from policyscope.training.watch.rules.finite import not_finite
from policyscope.training.watch.rules.learning_rate import learning_rate
from policyscope.training.watch.rules.loss_action import loss_over_wrong_action
from policyscope.training.watch.rules.reset import not_reset
from policyscope.training.watch.rules.reward import reward
from policyscope.training.watch.rules.target_network import target_network
from policyscope.training.watch.rules.value_bounds import values_beyond_bounds
from policyscope.training.watch.rules.value_unrelated import value_unrelated
from policyscope.training.watch.rules.wrong_output import wrong_output
from policyscope.training.watch.told import Told

Rule = Callable[[Told], Iterable[Finding]]

RULES: dict[str, Rule] = {
    "not-finite": not_finite,
    "exploration": exploration,
    "wrong-output": wrong_output,
    "ends-not-masked": ends_not_masked,
    "not-reset": not_reset,
    "target-network": target_network,
    "activation-on-q": activation_on_q,
    "reward": reward,
    "learning-rate": learning_rate,
    "loss-over-wrong-action": loss_over_wrong_action,
    "dead-stream": dead_stream,
    "values-beyond-bounds": values_beyond_bounds,
    "value-unrelated": value_unrelated,
}
"""Name -> rule, in the order in which they are asked."""

FOLLOWS: dict[str, tuple[str, ...]] = {
    "exploration": ("wrong-output", "learning-rate"),
    "dead-stream": ("learning-rate", "activation-on-q"),
    "values-beyond-bounds": ("learning-rate", "target-network", "ends-not-masked", "reward"),
    "value-unrelated": ("learning-rate", "wrong-output", "loss-over-wrong-action", "dead-stream"),
}
"""Rule -> those whose grave findings explain what it sees: it says nothing new after one of them. Weights thrown about
by far too large a learning rate kill streams and sharpen policies; actions of another output look random."""
