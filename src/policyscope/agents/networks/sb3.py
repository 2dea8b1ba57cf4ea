"""Stable-Baselines3's image policies, under the names that its state dicts have.

Each network is given ``features``: the options of :class:`Features`, or a module of the user's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

ACTIVATIONS: dict[str, type[nn.Module]] = {
    kind.__name__: kind
    for kind in (nn.ReLU, nn.Tanh, nn.ELU, nn.LeakyReLU, nn.SiLU, nn.GELU, nn.Mish, nn.Sigmoid, nn.Softplus, nn.SELU)
}

LOG_STD = (-20.0, 2.0)
"""Within these SAC and TQC keep the logarithm of a spread."""


def mlp(inputs: int, hidden: Sequence[int], activation: str, outputs: int = 0) -> nn.Sequential:
    """Linear layers with an activation after each but the last, which ``outputs`` adds."""
    layers: list[nn.Module] = []
    for width in hidden:
        layers += [nn.Linear(inputs, width), ACTIVATIONS[activation]()]
        inputs = width
    return nn.Sequential(*layers, *([nn.Linear(inputs, outputs)] if outputs else []))


class NatureCNN(nn.Module):
    """Stable-Baselines3's features of one image."""

    def __init__(self, shape: Sequence[int], width: int) -> None:
        super().__init__()
        channels, height, columns = shape
        self.cnn = nn.Sequential(
            nn.Conv2d(channels, 32, 8, 4),
            nn.ReLU(),
            nn.Conv2d(32, 64, 4, 2),
            nn.ReLU(),
            nn.Conv2d(64, 64, 3, 1),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.linear = nn.Sequential(nn.Linear(64 * side_after(height) * side_after(columns), width), nn.ReLU())

    def forward(self, observations: Tensor) -> Tensor:
        """Maps (B, channels, height, width) to (B, width)."""
        features: Tensor = self.linear(self.cnn(observations))
        return features


def side_after(pixels: int) -> int:
    """What the three convolutions leave of a side."""
    for kernel, stride in ((8, 4), (4, 2), (3, 1)):
        pixels = (pixels - kernel) // stride + 1
    return pixels


class DictFeatures(nn.Module):
    """The features of a dictionary of observations with one image; the entries that are no image are zeros."""

    def __init__(self, shape: Sequence[int], width: int, key: str, before: int, after: int) -> None:
        super().__init__()
        self.extractors = nn.ModuleDict({key: NatureCNN(shape, width)})
        self.key, self.before, self.after = key, before, after

    def forward(self, observations: Tensor) -> Tensor:
        """Maps the image (B, channels, height, width) to (B, before + width + after)."""
        features = self.extractors[self.key](observations)
        rows = len(features)
        return torch.cat([features.new_zeros(rows, self.before), features, features.new_zeros(rows, self.after)], dim=1)


def extractor(features: Mapping[str, Any] | nn.Module) -> nn.Module:
    """Builds what turns an image into features.

    Args:
        features: ``shape`` and ``width``, with ``key``, ``before`` and ``after`` for a dictionary's image; or a module.
    """
    if isinstance(features, nn.Module):
        return features
    return DictFeatures(**features) if "key" in features else NatureCNN(**features)


class SB3Q(nn.Module):
    """DQN, and QR-DQN where ``quantiles`` is above 0 (``q`` is their mean)."""

    def __init__(
        self,
        actions: int,
        features: Mapping[str, Any] | nn.Module,
        inputs: int,
        hidden: Sequence[int] = (),
        quantiles: int = 0,
        activation: str = "ReLU",
    ) -> None:
        super().__init__()
        self.quantiles = quantiles
        self.features_extractor = extractor(features)
        self.q_net = mlp(inputs, hidden, activation, actions * max(quantiles, 1))

    def forward(self, observations: Tensor) -> dict[str, Tensor]:
        """Maps images (B, channels, height, width) to ``q`` (B, actions)."""
        values = self.q_net(self.features_extractor(observations))
        return {"q": values.view(len(values), self.quantiles, -1).mean(dim=1) if self.quantiles else values}


class SB3ActorCritic(nn.Module):
    """A2C and PPO, and RecurrentPPO where ``memory`` is given.

    Args:
        actions: Number of actions, or of dimensions of a continuous one.
        features: Of :func:`extractor`.
        inputs: Width of the features.
        value_features: A second extractor for the critic; None where the two share one.
        policy_hidden, value_hidden: Widths of the layers between features and heads.
        shared_hidden: Widths of layers before the two part, as old versions had.
        activation: A name in ``ACTIVATIONS``.
        memory: For LSTMs: ``hidden``, ``layers``, and ``critic``: ``lstm``, ``linear`` or ``shared``.
        spread: Continuous actions have a spread of their own, the same in all states.
    """

    log_std: Tensor | None

    def __init__(
        self,
        actions: int,
        features: Mapping[str, Any] | nn.Module,
        inputs: int,
        value_features: Mapping[str, Any] | nn.Module | None = None,
        policy_hidden: Sequence[int] = (),
        value_hidden: Sequence[int] = (),
        shared_hidden: Sequence[int] = (),
        activation: str = "Tanh",
        memory: Mapping[str, Any] | None = None,
        spread: bool = False,
    ) -> None:
        super().__init__()
        self.features_extractor = extractor(features)
        self.vf_features_extractor = None if value_features is None else extractor(value_features)
        self.lstm_actor = self.lstm_critic = self.critic = None
        if memory:
            hidden, layers = memory["hidden"], memory["layers"]
            self.lstm_actor = nn.LSTM(inputs, hidden, layers)
            self.lstm_critic = nn.LSTM(inputs, hidden, layers) if memory["critic"] == "lstm" else None
            self.critic = nn.Linear(inputs, hidden) if memory["critic"] == "linear" else None
            self.memory_size = 2 * hidden * layers * (2 if self.lstm_critic else 1)
            inputs = hidden
        shared = shared_hidden[-1] if shared_hidden else inputs
        self.mlp_extractor = nn.ModuleDict(
            {
                "shared_net": mlp(inputs, shared_hidden, activation),
                "policy_net": mlp(shared, policy_hidden, activation),
                "value_net": mlp(shared, value_hidden, activation),
            }
        )
        self.action_net = nn.Linear(policy_hidden[-1] if policy_hidden else shared, actions)
        self.value_net = nn.Linear(value_hidden[-1] if value_hidden else shared, 1)
        self.register_buffer("log_std", torch.zeros(actions) if spread else None)

    def forward(self, observations: Tensor, *memory: Tensor) -> Any:
        """Maps images (B, channels, height, width), and memory (B, memory_size) if recurrent, to streams.

        Returns:
            ``policy`` (B, actions), logits or means, ``value`` (B, 1), and ``log_std`` (B, actions) with a spread; with
            the next memory if recurrent.
        """
        actor = self.features_extractor(observations)
        critic = actor if self.vf_features_extractor is None else self.vf_features_extractor(observations)
        if self.lstm_actor is None:
            return self._heads(actor, critic)
        halves = memory[0].chunk(2, dim=1) if self.lstm_critic is not None else memory
        actor_latent, following = _remember(self.lstm_actor, actor, halves[0])
        if self.lstm_critic is not None:
            critic, critic_following = _remember(self.lstm_critic, critic, halves[1])
            following = torch.cat([following, critic_following], dim=1)
        else:
            critic = actor_latent if self.critic is None else self.critic(critic)
        return self._heads(actor_latent, critic), following

    def _heads(self, actor: Tensor, critic: Tensor) -> dict[str, Tensor]:
        nets = self.mlp_extractor
        policy = self.action_net(nets["policy_net"](nets["shared_net"](actor)))
        streams = {"policy": policy, "value": self.value_net(nets["value_net"](nets["shared_net"](critic)))}
        return streams if self.log_std is None else streams | {"log_std": self.log_std.expand_as(policy)}


def _remember(lstm: nn.LSTM, features: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
    """One step of an LSTM whose hidden and cell states, all layers, lie side by side in ``memory``."""
    rows = len(features)
    hidden, cell = memory.view(rows, 2, lstm.num_layers, lstm.hidden_size).permute(1, 2, 0, 3).contiguous()
    outputs, (hidden, cell) = lstm(features.unsqueeze(0), (hidden, cell))
    following = torch.stack([hidden, cell]).permute(2, 0, 1, 3).reshape(rows, -1)
    return outputs[0], following


class SB3Continuous(nn.Module):
    """SAC, TQC, TD3 and DDPG: an actor whose means go through tanh, and critics of its own actions.

    Args:
        actions: Dimensions of an action.
        features: Of :func:`extractor`, for the actor.
        inputs: Width of the features.
        critic_features: The same for the critics; None leaves them, and the stream ``value``, out.
        hidden: Widths of the actor's layers.
        critic_hidden: Widths of the critics' layers.
        critics: How many there are.
        quantiles: Outputs of each critic (1, or more in TQC).
        activation: A name in ``ACTIVATIONS``.
        one_net: The actor is one ``nn.Sequential`` (TD3 and DDPG).
        clip: Bound of the means before tanh (2 with state-dependent exploration); 0 for none.
        spread: The actor tells the spread of its actions (SAC and TQC).
    """

    def __init__(
        self,
        actions: int,
        features: Mapping[str, Any] | nn.Module,
        inputs: int,
        critic_features: Mapping[str, Any] | nn.Module | None = None,
        hidden: Sequence[int] = (256, 256),
        critic_hidden: Sequence[int] = (256, 256),
        critics: int = 2,
        quantiles: int = 1,
        activation: str = "ReLU",
        one_net: bool = False,
        clip: float = 0.0,
        spread: bool = False,
    ) -> None:
        super().__init__()
        actor: dict[str, nn.Module] = {"features_extractor": extractor(features)}
        if one_net:
            actor |= {"mu": mlp(inputs, hidden, activation, actions)}
        else:
            head = nn.Linear(hidden[-1] if hidden else inputs, actions)
            bounded = nn.Sequential(head, nn.Hardtanh(-clip, clip)) if clip else head
            actor |= {"latent_pi": mlp(inputs, hidden, activation), "mu": bounded}
        if spread:
            actor |= {"log_std": nn.Linear(hidden[-1] if hidden else inputs, actions)}
        self.actor = nn.ModuleDict(actor)
        self.critic = None
        if critic_features is not None:
            nets = {f"qf{i}": mlp(inputs + actions, critic_hidden, activation, quantiles) for i in range(critics)}
            self.critic = nn.ModuleDict({"features_extractor": extractor(critic_features), **nets})

    def forward(self, observations: Tensor) -> dict[str, Tensor]:
        """Maps images (B, channels, height, width) to streams.

        Returns:
            ``policy`` (B, actions), the means before tanh; ``value`` (B, 1), the least critic's there (the mean of
            all quantiles where critics have several); and ``log_std`` (B, actions) of the spread before tanh.
        """
        latent = self.actor["features_extractor"](observations)
        if "latent_pi" in self.actor:
            latent = self.actor["latent_pi"](latent)
        policy = self.actor["mu"](latent)
        streams = {"policy": policy}
        if "log_std" in self.actor:
            streams["log_std"] = self.actor["log_std"](latent).clamp(*LOG_STD)
        if self.critic is None:
            return streams
        joined = torch.cat([self.critic["features_extractor"](observations), torch.tanh(policy)], dim=1)
        values = torch.stack([net(joined) for name, net in self.critic.items() if name.startswith("qf")])
        least = values.amin(dim=0) if values.shape[2] == 1 else values.mean(dim=(0, 2)).unsqueeze(1)
        return streams | {"value": least}
