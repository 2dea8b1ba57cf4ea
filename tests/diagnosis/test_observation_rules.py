"""Rules that look at what an agent was shown, remembered and did, on recordings that are broken in one place."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small import ACTIONS, STACK, SmallDueling, agent_of, asked, episode_of, frames, stacked, trained_looking
from torch import nn

import policyscope as ps
from policyscope.diagnosis.rules.value_sense import GAMMA
from policyscope.episodes.episode import Episode
from policyscope.episodes.picture import picture


@pytest.fixture(scope="module")
def agent():
    return agent_of(trained_looking(SmallDueling()))


def order_found(agent, order) -> tuple[int, ...] | None:
    found = asked("stack_order", agent, episode_of(stacked(frames(40))[:, list(order)]))
    return None if not found else found[0].where.lag


@settings(max_examples=24)
@given(st.permutations(range(STACK)))
def test_stack_order_names_every_frame_that_is_out_of_place(agent, order):
    lags = tuple(STACK - 1 - place for at, place in enumerate(order) if at != place)
    assert order_found(agent, order) == (lags or None)


def test_stack_order_knows_repeated_and_frozen_frames(agent):
    pictures = frames(40)
    (found,) = asked("stack_order", agent, episode_of(np.repeat(pictures[:, None], STACK, axis=1)))
    assert "are the same" in found.evidence
    assert found.where.lag == (0, 1, 2, 3)
    (found,) = asked("stack_order", agent, episode_of(np.repeat(stacked(pictures)[20:21], 40, axis=0)))
    assert "does not change" in found.evidence


def test_stack_order_knows_what_is_no_stack(agent):
    last = np.ascontiguousarray(stacked(frames(40)).transpose(0, 2, 3, 1))
    reshaped = last.reshape(40, STACK, *last.shape[1:3])
    (found,) = asked("stack_order", agent, episode_of(reshaped))
    assert "channels last" in found.advice
    assert found.severity == "grave"


def test_stack_order_needs_no_movement_in_every_step(agent):
    pictures = frames(40)
    pictures[1::2] = pictures[::2]
    assert asked("stack_order", agent, episode_of(stacked(pictures))) == []


@pytest.mark.parametrize("blank", [True, False])
def test_stack_start_wants_an_empty_stack(agent, blank):
    one, other = frames(20), frames(20, seed=1)
    ends = np.zeros(40, bool)
    ends[19] = True
    padded = np.concatenate([np.repeat(other[:1], STACK - 1, axis=0), other])
    second = stacked(other) if blank else np.stack([padded[i : i + STACK] for i in range(20)])
    good = episode_of(np.concatenate([stacked(one), second]), terminated=ends)
    assert asked("stack_start", agent, good) == []
    stale = episode_of(stacked(np.concatenate([one, other])), terminated=ends)
    (found,) = asked("stack_start", agent, stale)
    assert (found.severity, found.where.lag) == ("grave", (3, 2, 1))


@pytest.fixture(scope="module")
def breakout():
    agent = ps.load_agent("zoo:breakout-dddqn")
    return agent, ps.play(agent, 120, seed=3)


def altered(episode: Episode, change) -> Episode:
    """The same play with other observations, (n, 4, 84, 84)."""
    return Episode.from_arrays(
        change(np.asarray(episode.observations)),
        actions=episode.actions,
        rewards=episode.rewards,
        screens=np.asarray(episode.screens),
        protocol=episode.protocol,
    )


def resized(observations: np.ndarray, change) -> np.ndarray:
    return np.stack([[change(frame) for frame in stack] for stack in observations])


def zoomed(frame: np.ndarray) -> np.ndarray:
    return cv2.resize(np.ascontiguousarray(frame[8:-8, 8:-8]), (84, 84), interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda o: o[..., ::-1], "mirrored"),
        (lambda o: o.swapaxes(2, 3), "rows and columns exchanged"),
        (lambda o: 255 - o, "inverted"),
        (lambda o: np.roll(o, (5, -3), axis=(2, 3)), "moved by 5 rows and -3 columns"),
        (lambda o: np.zeros_like(o), "blank"),
        (lambda o: np.concatenate([o[:1], o[:-1]]), "of the step before"),
        (lambda o: resized(o, zoomed), "is cropped"),
        (lambda o: np.random.default_rng(0).integers(0, 255, o.shape).astype(np.uint8), "noise"),
    ],
)
def test_picture_says_what_became_of_the_screen(breakout, change, words):
    agent, episode = breakout
    (found,) = asked("picture", agent, altered(episode, change))
    assert words in found.evidence
    assert found.where.part == "observation"
    assert found.picture is not None


def test_picture_is_content_with_what_the_protocol_makes(breakout):
    agent, episode = breakout
    assert asked("picture", agent, episode) == []
    assert asked("stack_order", agent, episode) == []


def test_picture_names_the_protocols_value_that_was_mistaken(breakout):
    agent, episode = breakout
    other = replace(agent.protocol, crop=(34, 0, 160, 160))
    shown = np.stack([picture([screen], other)[:, :, 0] for screen in episode.screens[:]])
    (found,) = asked("picture", agent, altered(episode, lambda o: np.repeat(shown[:, None], 4, axis=1)))
    assert "crop = (34, 0, 160, 160)" in found.evidence


def test_ends_that_are_not_acted_on_or_not_told(agent):
    over, lives = np.zeros(40, bool), np.repeat([3, 2, 1, 0], 10)
    over[39] = True
    observations = stacked(frames(40))
    assert asked("ends", agent, episode_of(observations, terminated=over, lives=lives)) == []
    (found,) = asked("ends", agent, episode_of(observations, terminated=np.arange(40) > 29, lives=lives))
    assert (found.severity, "from step 30" in found.evidence) == ("grave", True)
    back = np.repeat([2, 1, 3, 2], 10)
    assert [f.severity for f in asked("ends", agent, episode_of(observations, lives=back))] == ["warning"]


class Remembering(nn.Module):
    """A memory that takes in a little of each picture."""

    memory_size = 8

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(STACK, 4, 6, stride=6), nn.ReLU(), nn.Flatten(), nn.Linear(144, 8))
        self.cell, self.policy = nn.GRUCell(8, 8), nn.Linear(8, ACTIONS)

    def forward(self, observations, memory):
        memory = self.cell(self.body(observations), memory)
        return {"policy": self.policy(memory)}, memory


@pytest.fixture(scope="module")
def remembered():
    agent = agent_of(trained_looking(Remembering()))
    observations = stacked(frames(40))
    memories, memory = [], torch.zeros(1, 8)
    for row in range(40):
        memory = torch.zeros(1, 8) if row == 20 else memory
        memories.append(memory[0].numpy())
        with torch.no_grad():
            memory = agent(agent.prepare(observations[row : row + 1]), memory)[1]
    return agent, observations, np.stack(memories)


def test_memory_goes_from_step_to_step_and_not_over_an_end(remembered):
    agent, observations, memories = remembered
    ends = np.zeros(40, bool)
    ends[19] = True

    def found(kept):
        return asked("memory", agent, episode_of(observations, memories=kept, terminated=ends))

    assert found(memories) == []
    (forgotten,) = found(np.zeros_like(memories))
    assert "is empty" in forgotten.evidence
    carried = memories.copy()
    carried[20] = 1
    assert any("begin with a memory" in f.evidence for f in found(carried))
    (late,) = found(np.concatenate([memories[:1], memories[:-1]]) * (1 - np.eye(40)[20])[:, None].astype(np.float32))
    assert "another" in late.evidence


def test_actions_follow_from_the_outputs_or_from_something_else(agent):
    observations = stacked(frames(90))
    with torch.no_grad():
        q = agent(agent.prepare(observations))[0]["q"].numpy()

    def found(actions):
        episode = episode_of(observations, actions=actions)
        return [(f.severity, f.where.stream) for f in asked("actions", agent, episode)]

    assert found(q.argmax(axis=1)) == []
    assert found(q.argmin(axis=1)) == [("grave", "q")]
    exploring = np.random.default_rng(0).integers(0, ACTIONS, 90)
    assert found(exploring) == [("warning", "q")]


def test_drawn_actions_are_as_likely_as_the_policy_says(remembered):
    agent, observations, memories = remembered
    episode = episode_of(observations, memories=memories, actions=np.zeros(40, np.int64))
    from policyscope.diagnosis.examination import Examination

    logits = Examination(agent, episode).streams["policy"].astype(float) * 1.0
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    random = np.random.default_rng(1)
    drawn = np.array([random.choice(ACTIONS, p=row) for row in p])
    assert asked("actions", agent, episode_of(observations, memories=memories, actions=drawn)) == []


def values(kind: str, returns: np.ndarray) -> np.ndarray:
    random = np.random.default_rng(2)
    noise = random.normal(0, returns.std(), len(returns))
    return {
        "good": returns + 0.5 * noise,
        "none": np.full(len(returns), returns.mean()) + 0.01 * noise,
        "chaotic": returns.mean() + 1.5 * noise,
    }[kind]


@pytest.mark.parametrize(("kind", "severity"), [("good", None), ("none", None), ("chaotic", "grave")])
def test_value_sense_wants_values_that_go_along_with_returns(agent, kind, severity, monkeypatch):
    random = np.random.default_rng(0)
    rewards = (random.random(600) < 0.05 + 0.1 * np.sin(np.arange(600) / 40)).astype(np.float32)
    returns, total = np.zeros(600), 0.0
    for row in range(599, -1, -1):
        total = returns[row] = rewards[row] + GAMMA * total
    from policyscope.diagnosis.examination import Examination

    said = {"value": values(kind, returns)[:, None].astype(np.float32)}
    monkeypatch.setattr(Examination, "streams", said)
    episode = episode_of(np.repeat(stacked(frames(40)), 15, axis=0), rewards=rewards)
    assert [f.severity for f in asked("value_sense", agent, episode)] == ([severity] if severity else [])


def test_every_pair_of_small_frames_moves():
    assert all((a != b).any() for a, b in pairwise(frames(40)))
