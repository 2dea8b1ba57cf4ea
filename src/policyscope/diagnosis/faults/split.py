"""Which faults and which agents may set thresholds, and which are held out until the rules are done.

This file was committed before any rule. A kind of fault that is held out was not tried while rules were written, and
neither was an agent; the bench reports both parts.
"""

from __future__ import annotations

SETTING_FAULTS = (
    "value-mislinked",
    "value-merged-away",
    "newest-frame-only",
    "merge-without-mean",
    "stream-detached",
    "layer-dead",
    "layer-exploded",
    "policy-saturated",
    "stream-chaotic",
    "weights-not-finite",
    "rectifier-on-output",
    "scaled-twice-inside",
    "memory-forgotten",
    "stack-reversed",
    "stack-stale",
    "picture-shifted",
    "channels-last-as-first",
    "picture-flipped",
    "scaled-twice",
    "observation-frozen",
    "worst-action",
    "plays-by-clock",
)
"""Kinds of fault that were tried while rules were written."""

HELD_OUT_FAULTS = (
    "bidirectional-unlearned",
    "mean-over-batch",
    "streams-swapped",
    "features-shuffled",
    "stream-zeroed",
    "units-mostly-dead",
    "layer-vanished",
    "attention-saturated",
    "layer-redrawn",
    "tanh-on-output",
    "rectifiers-missing",
    "lag-ignored",
    "unscaled-inside",
    "noise-inside",
    "memory-carried-over",
    "stack-permuted",
    "stack-repeated",
    "observation-late",
    "picture-cropped",
    "picture-coarse",
    "picture-transposed",
    "colours-inverted",
    "not-scaled",
    "observation-blank",
    "observation-noisy",
    "actions-permuted",
    "always-the-same",
    "sees-a-band",
)
"""Kinds of fault that were tried when the rules were done."""

SETTING_AGENTS = (
    "zoo:breakout-dddqn",
    "zoo:seaquest-split-attention-early",
    "zoo:breakout-a3c",
    "baby-a3c/breakout-v4.80.tar",
)
"""Healthy agents that were looked at while rules were written (the last is in ``../shared/agents``)."""

HELD_OUT_AGENTS = (
    "zoo:breakout-dddqn-early",
    "zoo:seaquest-a3c-mid",
    "zoo:seaquest-a3c-lstm",
    "baby-a3c/breakout-v4.40.tar",
    "baby-a3c/spaceinvaders-v4.80.tar",
)
"""Healthy agents that were looked at when the rules were done; every later one of the zoo is one of them too."""

SETTING_TRAINED = ("zoo:faulty-link", "zoo:faulty-merge")
"""The paper's mistakes, trained, that were looked at while rules were written."""

HELD_OUT_TRAINED = ("zoo:faulty-stack", "zoo:faulty-bidirectional")
"""Those that were looked at when the rules were done."""
