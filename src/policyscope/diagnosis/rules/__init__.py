"""The rules, one file each. A rule looks at an examination and says what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from policyscope.diagnosis.examination import Examination
from policyscope.diagnosis.finding import Finding
from policyscope.diagnosis.rules.actions import actions
from policyscope.diagnosis.rules.blind_region import blind_region
from policyscope.diagnosis.rules.by_heart import by_heart
from policyscope.diagnosis.rules.dead_units import dead_units
from policyscope.diagnosis.rules.dueling import dueling
from policyscope.diagnosis.rules.ends import ends
from policyscope.diagnosis.rules.feature_order import feature_order
from policyscope.diagnosis.rules.finite import finite
from policyscope.diagnosis.rules.fresh_layers import fresh_layers
from policyscope.diagnosis.rules.gain import gain
from policyscope.diagnosis.rules.input_scale import input_scale
from policyscope.diagnosis.rules.inverted_cam import inverted_cam
from policyscope.diagnosis.rules.lags import lags
from policyscope.diagnosis.rules.linear_layers import linear_layers
from policyscope.diagnosis.rules.memory import memory
from policyscope.diagnosis.rules.network_input import network_input
from policyscope.diagnosis.rules.not_acted_on import not_acted_on
from policyscope.diagnosis.rules.output_activation import output_activation
from policyscope.diagnosis.rules.picture import picture
from policyscope.diagnosis.rules.reach import reach
from policyscope.diagnosis.rules.repeatable import repeatable
from policyscope.diagnosis.rules.saturation import saturation
from policyscope.diagnosis.rules.stack_order import stack_order
from policyscope.diagnosis.rules.stack_start import stack_start
from policyscope.diagnosis.rules.twins import twins
from policyscope.diagnosis.rules.value_sense import value_sense
from policyscope.diagnosis.rules.weight_independent import weight_independent
from policyscope.diagnosis.rules.wiring import wiring
from policyscope.diagnosis.rules.zero_products import zero_products

Rule = Callable[[Examination], Iterable[Finding]]

RULES: dict[str, Rule] = {
    "finite": finite,
    "input_scale": input_scale,
    "network_input": network_input,
    "stack_order": stack_order,
    "stack_start": stack_start,
    "picture": picture,
    "ends": ends,
    "memory": memory,
    "actions": actions,
    "wiring": wiring,
    "dueling": dueling,
    "output_activation": output_activation,
    "repeatable": repeatable,
    "feature_order": feature_order,
    "fresh_layers": fresh_layers,
    "twins": twins,
    "linear_layers": linear_layers,
    "reach": reach,
    "gain": gain,
    "dead_units": dead_units,
    "lags": lags,
    "saturation": saturation,
    "value_sense": value_sense,
    "by_heart": by_heart,
    "blind_region": blind_region,
    "not_acted_on": not_acted_on,
    "inverted_cam": inverted_cam,
    "weight_independent": weight_independent,
    "zero_products": zero_products,
}
"""Name -> rule: what is fed comes before what is made of it, since the one explains the other."""
