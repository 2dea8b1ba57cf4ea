"""From a Stable-Baselines3 state dict to the network that its names and shapes describe."""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from policyscope.agents.formats.sb3_spaces import Image
from policyscope.agents.networks.sb3 import ACTIVATIONS, side_after
from policyscope.agents.weights import State, part, widths
from policyscope.agents.wishes import Wishes
from policyscope.errors import CheckpointError


@dataclass(frozen=True)
class Built:
    """How to build a network, the part of the state dict that belongs in it, and what they turned out to be."""

    architecture: str
    options: dict[str, Any]
    state: State
    algorithm: str
    streams: tuple[str, ...]
    squash: bool = False
    facts: dict[str, Any] = field(default_factory=dict)


def network_of(state: State, options: dict[str, Any], image: Image, actions: int, wishes: Wishes, name: str) -> Built:
    """Tells the network of a policy from its names and shapes.

    Args:
        state: The whole state dict of ``policy.pth``.
        options: The plain part of ``policy_kwargs``.
        image: The observation.
        actions: Number of actions, or dimensions of an action.
        wishes: Their network is the features extractor, where it is not Stable-Baselines3's.
        name: What to call the file in an error.
    """
    context = _Context(state, options, image, actions, wishes, name)
    if any(key.startswith("q_net.") for key in state):
        return _q(context, "q_net", quantiles=0)
    if any(key.startswith("quantile_net.") for key in state):
        outputs = widths(state, "quantile_net.quantile_net")
        return _q(context, "quantile_net", quantiles=outputs[-1] // actions if outputs else 0)
    if "action_net.weight" in state:
        return _actor_critic(context)
    if any(key.startswith("actor.mu.") for key in state):
        return _continuous(context)
    raise CheckpointError(f"{name} is no policy of DQN, QR-DQN, A2C, PPO, RecurrentPPO, SAC, TQC, TD3 or DDPG")


@dataclass(frozen=True)
class _Context:
    state: State
    options: dict[str, Any]
    image: Image
    actions: int
    wishes: Wishes
    name: str

    def activation(self, usual: str) -> str:
        told = re.search(r"(\w+)'>$", str(self.options.get("activation_fn", "")))
        kind = told[1] if told else usual
        if kind not in ACTIVATIONS:
            raise CheckpointError(f"{self.name} uses the activation {kind}; known are {', '.join(ACTIVATIONS)}")
        return kind

    def bound(self) -> float:
        told = self.options.get("clip_mean", 2.0)
        return float(told) if isinstance(told, (int, float)) else 2.0

    def facts(self) -> dict[str, Any]:
        return {"zeros_for": list(self.image.others)} if self.image.others else {}

    def features(self, prefix: str) -> tuple[dict[str, Any] | nn.Module, int]:
        """Options or module of the features at ``prefix``, and how many features it makes."""
        found = part(self.state, prefix)
        image = self.image
        if self.wishes.network is not None:
            return self._own(prefix)
        inner = f"extractors.{image.key}." if image.key else ""
        first, last = found.get(f"{inner}cnn.0.weight"), found.get(f"{inner}linear.0.weight")
        kernels = [tuple(found[k].shape[2:]) for n in (0, 2, 4) if (k := f"{inner}cnn.{n}.weight") in found]
        if first is None or last is None or kernels != [(8, 8), (4, 4), (3, 3)]:
            has = next(iter(found), "no weights")
            raise CheckpointError(
                f"{self.name} has a features extractor of its own ({prefix}{has}): pass --network "
                f"MODULE:FACTORY, whose module takes {image.shape} and has the names that follow {prefix!r}"
            )
        flat = 64 * side_after(image.shape[1]) * side_after(image.shape[2])
        if first.shape[1] != image.shape[0] or last.shape[1] != flat:
            raise CheckpointError(
                f"weights {prefix + inner}cnn.0.weight of {self.name} take {first.shape[1]} channels and linear.0 "
                f"{last.shape[1]} features, but its observations of {image.shape} give {image.shape[0]} and {flat}"
            )
        options: dict[str, Any] = {"shape": list(image.shape), "width": len(last)}
        if image.key:
            options |= {"key": image.key, "before": image.before, "after": image.after}
        return options, len(last) + image.before + image.after

    def _own(self, prefix: str) -> tuple[nn.Module, int]:
        # An actor and a critic may each have features of their own, which one module cannot hold.
        module = copy.deepcopy(self.wishes.build(self.image.shape, self.actions)).eval()
        weights = part(self.state, prefix)
        lacking = next((key for key in module.state_dict() if key not in weights), None)
        unknown = next((key for key in weights if key not in module.state_dict()), None)
        if lacking or unknown:
            which = f"lacks {prefix}{lacking}" if lacking else f"has {prefix}{unknown}, which the module does not"
            raise CheckpointError(
                f"{self.name} {which}: the module of --network needs the names that follow {prefix!r}"
            )
        with torch.no_grad():
            features = module(torch.zeros(1, *self.image.shape))
        return module, features.flatten(1).shape[1]


def _q(context: _Context, net: str, quantiles: int) -> Built:
    weights = part(context.state, f"{net}.{net}.", "q_net.")
    features, inputs = context.features(f"{net}.features_extractor.")
    options = {
        "actions": context.actions,
        "features": features,
        "inputs": inputs,
        "hidden": widths(weights, "q_net")[:-1],
        "quantiles": quantiles,
        "activation": context.activation("ReLU"),
    }
    weights |= part(context.state, f"{net}.features_extractor.", "features_extractor.")
    return Built("sb3_q", options, weights, "QR-DQN" if quantiles else "DQN", ("q",), facts=context.facts())


def _actor_critic(context: _Context) -> Built:
    state = context.state
    actor, critic = part(state, "pi_features_extractor."), part(state, "vf_features_extractor.")
    shared = all(k in actor and torch.equal(v, actor[k]) for k, v in critic.items())
    prefix = "features_extractor."
    features, inputs = context.features(prefix)
    value_features = None if shared else context.features("vf_features_extractor.")[0]
    recurrent = "lstm_actor.weight_hh_l0" in state
    memory = None
    if recurrent:
        critic_kind = (
            "lstm" if "lstm_critic.weight_hh_l0" in state else "linear" if "critic.weight" in state else "shared"
        )
        layers = sum(key.startswith("lstm_actor.weight_hh_l") for key in state)
        memory = {"hidden": state["lstm_actor.weight_hh_l0"].shape[1], "layers": layers, "critic": critic_kind}
    options = {
        "actions": context.actions,
        "features": features,
        "inputs": inputs,
        "value_features": value_features,
        "policy_hidden": widths(state, "mlp_extractor.policy_net"),
        "value_hidden": widths(state, "mlp_extractor.value_net"),
        "shared_hidden": widths(state, "mlp_extractor.shared_net"),
        "activation": context.activation("Tanh"),
        "memory": memory,
    }
    # With state-dependent exploration (gSDE) it is a matrix, whose noise holds on over steps and is not drawn here.
    spread = "log_std" in state and state["log_std"].dim() == 1
    options["spread"] = spread
    dropped = ("pi_features_extractor.", *(("vf_features_extractor.",) if shared else ()))
    weights = {k: v for k, v in state.items() if not k.startswith(dropped) and (spread or k != "log_std")}
    squash = str(context.options.get("squash_output", False)) == "True"
    algorithm = "RecurrentPPO" if recurrent else "A2C"
    streams = ("policy", "value", *(("log_std",) if spread else ()))
    return Built("sb3_actor_critic", options, weights, algorithm, streams, squash, context.facts())


def _continuous(context: _Context) -> Built:
    state = context.state
    # SAC tells a spread from the state; with gSDE its noise is a matrix, which is not drawn here; TD3 has none.
    spread = "actor.log_std.weight" in state
    one_net = not spread and "actor.log_std" not in state
    explored = "actor.mu.0.weight" in state and not one_net
    features, inputs = context.features("actor.features_extractor.")
    critics = sum(re.fullmatch(r"critic\.qf\d+\.0\.weight", key) is not None for key in state)
    critic_features = context.features("critic.features_extractor.")[0] if critics else None
    critic_widths = widths(state, "critic.qf0")
    options = {
        "actions": context.actions,
        "features": features,
        "inputs": inputs,
        "critic_features": critic_features,
        "hidden": widths(state, "actor.mu")[:-1] if one_net else widths(state, "actor.latent_pi"),
        "critic_hidden": critic_widths[:-1],
        "critics": critics,
        "quantiles": critic_widths[-1] if critic_widths else 1,
        "activation": context.activation("ReLU"),
        "one_net": one_net,
        "clip": context.bound() if explored else 0.0,
        "spread": spread,
    }
    parts = ("actor.features_extractor.", "actor.latent_pi.", "actor.mu.")
    kept = (*parts, *(("actor.log_std.",) if spread else ()), *(("critic.",) if critics else ()))
    weights = {k: v for k, v in state.items() if k.startswith(kept)}
    algorithm = ("TD3" if critics > 1 else "DDPG") if one_net else "TQC" if critic_widths[-1:] > [1] else "SAC"
    streams = ("policy", *(("value",) if critics else ()), *(("log_std",) if spread else ()))
    return Built("sb3_continuous", options, weights, algorithm, streams, True, context.facts())
