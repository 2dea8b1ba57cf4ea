"""Stable-Baselines3: a callback that logs the probe's scalars, and now and then a picture, beside the reward."""

from __future__ import annotations

import copy
import time
from collections import deque
from typing import Any

import numpy as np
from gymnasium import spaces
from torch import Tensor, nn

from policyscope.agents.agent import Agent, ContinuousActions, Streams
from policyscope.errors import MissingExtraError, ProtocolError
from policyscope.training.callbacks.weights_and_biases import send
from policyscope.training.probe import SaliencyProbe
from policyscope.training.probe.film import FRAMES, add_gif
from policyscope.training.probe.states import described

try:
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.logger import Image, TensorBoardOutputFormat
except ImportError as missing:
    raise MissingExtraError("stable-baselines3", "sb3", "the saliency callback") from missing

# What the console's table shows; it has no room for the rest.
HEADLINES = ("gradient_norm", "zero_share", "on_moving")


class SaliencyCallback(BaseCallback):
    """Logs what a DQN, QR-DQN, A2C or PPO with ``CnnPolicy`` looks at while it learns.

    The states are taken from the first games, one at a time and far apart; ``change_from_start`` compares with the
    weights before training all the same. Values appear with the next dump of the logger.

    Args:
        every: Environment steps between measurements, at least.
        states: How many states are measured.
        spacing: Calls of ``env.step`` between two states that are kept.
        budget: Share of the training's time that measurements may take; they are put off where they would take more.
        pictures: Every how many measurements a picture goes to TensorBoard; 0 for none.
        films: Every how many measurements a film does; 0 for none.
        run: A run of Weights & Biases that is given scalars, pictures and films as well.
        stack: Frames in an observation's channels; left out, three channels are one coloured frame.
        selection: As for ``SaliencyProbe``.
        verbose: As for every callback.

    Attributes:
        probe: The ``SaliencyProbe``; None until the states are there.
        measured: The step of the last measurement, and its scalars.

    Example:
        >>> model = PPO("CnnPolicy", env, tensorboard_log="runs")
        >>> model.learn(1_000_000, callback=SaliencyCallback())
    """

    def __init__(
        self,
        every: int = 10_000,
        states: int = 64,
        spacing: int = 8,
        budget: float = 0.02,
        pictures: int = 10,
        stack: int | None = None,
        selection: str = "greedy",
        films: int = 20,
        run: Any = None,
        verbose: int = 0,
    ) -> None:
        super().__init__(verbose)
        self.every, self.states, self.spacing = every, states, spacing
        self.budget, self.stack, self.selection = budget, stack, selection
        self.pictures, self.films, self.run = pictures, films, run
        self.probe: SaliencyProbe | None = None
        self._kept: list[np.ndarray] = []
        self._in_a_row: deque[np.ndarray] = deque(maxlen=FRAMES)
        self._untrained: nn.Module | None = None
        self.measured: tuple[int, dict[str, float]] = (-1, {})
        self._measured = 0
        self._next_step = 0
        self._next_time = 0.0

    def _on_training_start(self) -> None:
        if self.probe is None:
            self._untrained = copy.deepcopy(network_of(self.model))

    def _on_step(self) -> bool:
        if self.probe is None:
            self._collect()
        due = self.num_timesteps >= self._next_step and time.monotonic() >= self._next_time
        if self.probe is not None and due:
            self._measure(self.probe)
        return True

    def _collect(self) -> None:
        """Keeps one state, of each environment in turn, and the newest of the first environment in a row."""
        seen: Any = self.model._last_obs
        if not isinstance(seen, np.ndarray):
            raise ProtocolError("the saliency callback takes observations that are one image, not a dictionary of them")
        self._in_a_row.append(seen[0].copy())
        if self.n_calls % self.spacing:
            return
        self._kept.append(seen[len(self._kept) % len(seen)].copy())
        if len(self._kept) == self.states:
            observations = np.stack(self._kept)
            network = network_of(self.model)
            agent = _agent(network, observations, self.stack, self.model.action_space)
            film = np.stack(self._in_a_row)
            self.probe = SaliencyProbe(agent, observations, selection=self.selection, forward=forward_of, film=film)
            if self._untrained is not None:
                self.probe.start_from(self._untrained)
            self._kept, self._untrained = [], None

    def _measure(self, probe: SaliencyProbe) -> None:
        begun, step = time.monotonic(), self.num_timesteps
        scalars = probe(step)
        self.measured = step, scalars
        for name, value in scalars.items():
            hidden = not name.startswith("saliency/") or "/guided/" in name or not name.endswith(HEADLINES)
            self.logger.record(name, value, exclude=("stdout", "log") if hidden else None)
        boards = [form.writer for form in self.logger.output_formats if isinstance(form, TensorBoardOutputFormat)]
        wanted = bool(boards) or self.run is not None
        picture = probe.picture() if wanted and self._is_turn(self.pictures) else None
        film = probe.film() if wanted and self._is_turn(self.films) else None
        if boards and picture is not None:
            image: Any = Image(picture, "HWC")
            self.logger.record("saliency/maps", image, exclude=("stdout", "log", "json", "csv"))
        if film is not None:
            for board in boards:
                add_gif(board, "saliency/film", film, step)
        if self.run is not None:
            send(self.run, scalars, step, picture, film)
        self._measured += 1
        now = time.monotonic()
        self._next_step = self.num_timesteps + self.every
        self._next_time = now + (now - begun) / self.budget

    def _is_turn(self, every: int) -> bool:
        return bool(every) and self._measured % every == 0


def network_of(model: Any) -> nn.Module:
    """The module that decides."""
    policy = model.policy
    for name in ("q_net", "quantile_net"):
        if isinstance(getattr(policy, name, None), nn.Module):
            network: nn.Module = getattr(policy, name)
            return network
    if all(hasattr(policy, name) for name in ("mlp_extractor", "action_net", "value_net")) and not hasattr(
        policy, "lstm_actor"
    ):
        return policy  # type: ignore[no-any-return]
    raise ProtocolError(
        f"the saliency callback knows DQN, QR-DQN, A2C and PPO, not {type(model).__name__} with {type(policy).__name__}"
    )


def forward_of(network: nn.Module, observations: Tensor) -> Streams:
    """A policy's streams, without an action being drawn."""
    policy: Any = network
    if not hasattr(policy, "action_net"):
        values: Tensor = policy(observations)
        return {"q": values.mean(dim=1) if values.ndim == 3 else values}
    features = policy.extract_features(observations)
    if policy.share_features_extractor:
        actor, critic = policy.mlp_extractor(features)
    else:
        actor = policy.mlp_extractor.forward_actor(features[0])
        critic = policy.mlp_extractor.forward_critic(features[1])
    single = isinstance(policy.action_space, (spaces.Discrete, spaces.Box))
    # the logits of several choices at once are no single softmax
    return {"policy" if single else "logits": policy.action_net(actor), "value": policy.value_net(critic)}


def _agent(network: nn.Module, observations: np.ndarray, stack: int | None, actions: spaces.Space) -> Agent:
    bounds = None
    if isinstance(actions, spaces.Box):
        bounds = ContinuousActions(tuple(map(float, actions.low.flat)), tuple(map(float, actions.high.flat)))
    name = type(network).__name__
    return Agent(network, described(observations, name, stack), (), (), continuous=bounds, source=name)
