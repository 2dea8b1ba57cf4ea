"""Edited observations against the network run by hand, and boxes against sums."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter

import policyscope as ps
from policyscope.agents.agent import Agent
from policyscope.episodes.episode import Episode
from policyscope.errors import TargetError
from policyscope.saliency.resize import to_size
from policyscope.viewer.questions import Edit, answer, edited, inside, region_of, share_of


@pytest.fixture(scope="module")
def played(duel: Agent) -> Episode:
    return ps.play(duel, steps=30, seed=1)


def ask(agent: Agent, episode: Episode, step: int, how: str, lags: list[int], region: list[int] | None = None):
    question = {"step": step, "how": how, "lags": lags, "region": region}
    return answer(agent, episode, Edit.of(question, agent, episode))


def picture_of(found) -> np.ndarray:
    kind, _, data = found["picture"].partition(",")
    assert kind == "data:image/webp;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def run(agent: Agent, observation: np.ndarray) -> dict[str, np.ndarray]:
    with torch.no_grad():
        streams, _ = agent(agent.prepare(observation[None].astype(np.float32)))
    return {name: values[0].reshape(-1).numpy() for name, values in streams.items()}


def check(agent: Agent, found, before: np.ndarray, after: np.ndarray) -> None:
    for told, observation in ((found["before"], before), (found["after"], after)):
        for name, values in run(agent, observation).items():
            np.testing.assert_allclose(told[name], values, rtol=1e-4, atol=1e-5)


BOX = [30, 20, 12, 25]
INSIDE = np.s_[30:42, 20:45]


def test_a_blurred_region_is_the_perturbation_methods_blur(duel: Agent, played: Episode) -> None:
    before = played.observations[20].astype(np.float32)
    after = before.copy()
    for lag in (0, 2):
        after[3 - lag][INSIDE] = gaussian_filter(before[3 - lag], 3.0, mode="reflect", truncate=4)[INSIDE]
    check(duel, ask(duel, played, 20, "blur", [0, 2], BOX), before, after)


def test_mean_zero_and_shuffled_pixels_are_the_regions_own(duel: Agent, played: Episode) -> None:
    before = played.observations[20].astype(np.float32)
    flat, dark = before.copy(), before.copy()
    flat[3][INSIDE] = before[3][INSIDE].mean()
    dark[:, :, :] = 0
    check(duel, ask(duel, played, 20, "mean", [0], BOX), before, flat)
    check(duel, ask(duel, played, 20, "zero", [0, 1, 2, 3]), before, dark)
    edit = Edit(20, tuple(BOX), (0,), "shuffle")
    seen = before[::-1, :, :, None][None]
    shuffled = edited(seen, 1, edit)
    assert not np.array_equal(shuffled, seen)
    np.testing.assert_array_equal(np.sort(shuffled[0, 0][INSIDE], axis=None), np.sort(before[3][INSIDE], axis=None))
    shuffled[0, 0][INSIDE] = before[3][INSIDE][..., None]
    np.testing.assert_array_equal(shuffled, seen)
    assert ask(duel, played, 20, "shuffle", [0], BOX) == ask(duel, played, 20, "shuffle", [0], BOX)


def test_a_frozen_lag_shows_the_next_older_frame_that_is_not_frozen(duel: Agent, played: Episode) -> None:
    before = played.observations[20].astype(np.float32)
    one, two, all_four = before.copy(), before.copy(), before.copy()
    one[3] = before[2]
    two[3] = two[2] = before[1]
    all_four[:] = played.observations[19][0]
    check(duel, ask(duel, played, 20, "freeze", [0]), before, one)
    check(duel, ask(duel, played, 20, "freeze", [1, 0]), before, two)
    check(duel, ask(duel, played, 20, "freeze", [0, 1, 2, 3]), before, all_four)


def test_nothing_came_before_the_first_frame_of_a_game(duel: Agent, played: Episode) -> None:
    before = played.observations[0].astype(np.float32)
    check(duel, ask(duel, played, 0, "freeze", [3]), before, before)


def test_greedy_actions_and_the_picture_are_told(duel: Agent, played: Episode) -> None:
    found = ask(duel, played, 20, "zero", [0], BOX)
    assert found["actions"]["before"] == int(np.argmax(found["before"]["q"]))
    assert found["actions"]["after"] == int(np.argmax(found["after"]["q"]))
    assert "probabilities" not in found
    sheet = picture_of(found)
    assert sheet.shape == (84, 4 * 84, 3)
    wanted = played.observations[20][3].copy()
    wanted[INSIDE] = 0
    np.testing.assert_array_equal(sheet[:, :84, 0], wanted)
    np.testing.assert_array_equal(sheet[:, 3 * 84 :, 0], played.observations[20][0])


def test_a_recurrent_network_goes_on_from_the_recorded_memory(recurrent: Agent) -> None:
    episode = ps.play(recurrent, steps=12, seed=0)
    found = ask(recurrent, episode, 9, "zero", [2], [0, 0, 40, 80])
    pictures = [episode.observations[row].astype(np.float32) for row in (7, 8, 9)]
    pictures[0][:, :40, :80] = 0
    memory = torch.as_tensor(episode.memories[7])[None]
    with torch.no_grad():
        for picture in pictures:
            streams, memory = recurrent(recurrent.prepare(picture[None]), memory)
    np.testing.assert_allclose(found["before"]["policy"], episode.streams["policy"][9], atol=1e-4)
    np.testing.assert_allclose(found["after"]["policy"], streams["policy"][0], atol=1e-5)
    np.testing.assert_allclose(found["probabilities"]["after"], streams["policy"].softmax(1)[0], atol=1e-5)
    assert picture_of(found).shape == (80, 3 * 80, 3)


def test_a_recurrent_networks_past_ends_where_its_game_begins(recurrent: Agent) -> None:
    episode = ps.play(recurrent, steps=4, seed=0)
    found = ask(recurrent, episode, 1, "freeze", [0, 1, 2, 3])
    memory = torch.zeros(1, recurrent.memory_size)
    with torch.no_grad():
        for _ in range(2):
            streams, memory = recurrent(recurrent.prepare(episode.observations[0][None]), memory)
    np.testing.assert_allclose(found["after"]["value"], streams["value"][0], atol=1e-5)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"step": 30}, "no step 30: the episode has 30"),
        ({"step": True}, "no step True"),
        ({"how": "melt"}, "no edit 'melt'; there are: blur, mean, zero, shuffle, freeze"),
        ({"lags": [4]}, "lags are some of 0 to 3"),
        ({"lags": []}, "lags are some of"),
        ({"region": [0, 0, 5]}, r"a region is \[top, left, height, width\] within 84 x 84"),
        ({"region": [84, 0, 5, 5]}, "a region is"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(duel: Agent, played: Episode, change, line: str) -> None:
    question = {"step": 3, "how": "blur", "lags": [0], "region": None} | change
    with pytest.raises(TargetError, match=line):
        Edit.of(question, duel, played)


def test_a_box_is_cut_off_at_the_pictures_edges() -> None:
    assert region_of([-3, 80, 10, 10], (84, 84)) == (0, 80, 7, 4)


def test_rows_are_found_by_the_share_of_their_map_in_a_box() -> None:
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(50, 20, 20)).astype(np.float32)
    maps[7, :10] *= 100
    maps[31] = 0
    full = np.abs(to_size(torch.from_numpy(maps), (84, 84)).numpy().astype(np.float64))
    shares = full[:, :40, 10:70].sum((1, 2)) / np.maximum(full.sum((1, 2)), 1e-30)
    found = inside(lambda a, b: maps[a:b], range(0, 50, 16), (84, 84), (0, 10, 40, 60), 0.34)
    assert found.steps == np.flatnonzero(shares > 0.34).tolist()
    assert 7 in found.steps
    np.testing.assert_allclose(found.shares, shares[found.steps], rtol=1e-4)


@pytest.mark.parametrize("share", [None, 1, -0.1, True, "half"])
def test_a_share_is_a_number_below_one(share) -> None:
    with pytest.raises(TargetError, match="a share is a number"):
        share_of({"share": share})
