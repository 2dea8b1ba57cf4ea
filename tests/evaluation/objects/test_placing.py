"""Shares of observation pixels are what the protocol's own resize makes of a painted mask."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

import policyscope as ps
from policyscope.agents.presets import preset
from policyscope.agents.protocol import Protocol
from policyscope.episodes.picture import picture
from policyscope.errors import ProtocolError, RunError
from policyscope.evaluation.objects import Objects, centres, coverage
from policyscope.evaluation.objects.extract import objects_of_episode


def some(count=5, slots=7, screen=(210, 160), seed=0):
    """Objects with boxes anywhere, some beyond the edges, some absent."""
    random = np.random.default_rng(seed)
    corner = random.integers(-20, 220, (count, slots, 2))
    boxes = np.concatenate([corner, corner + random.integers(1, 60, (count, slots, 2))], axis=-1).astype(np.float32)
    boxes[random.random((count, slots)) < 0.3] = np.nan
    kind_of = np.arange(slots) % 3
    return Objects("a game", ("a", "b", "c"), tuple(f"slot {s}" for s in range(slots)), kind_of, boxes, screen)


def painted(objects, frame, kind):
    """One kind's mask, box by box."""
    mask = np.zeros(objects.screen, np.float32)
    for box, k in zip(objects.boxes[frame], objects.kind_of, strict=True):
        if k == kind and not np.isnan(box[0]):
            x0, y0, x1, y1 = (int(v) for v in np.clip(box, 0, 1000))
            mask[y0:y1, x0:x1] = 1
    return mask


@pytest.mark.parametrize("size", [(84, 84), (80, 80), (64, 96), (210, 160), (42, 42)])
@pytest.mark.parametrize("crop", [None, (35, 0, 160, 160), (10, 8, 150, 140)])
def test_coverage_is_the_area_resize_of_a_painted_mask(size, crop):
    objects, protocol = some(), Protocol(size=size, crop=crop)
    shares = coverage(objects, protocol)
    top, left, height, width = crop or (0, 0, 210, 160)
    for frame in range(len(objects)):
        for kind in range(3):
            mask = painted(objects, frame, kind)[top : top + height, left : left + width]
            wanted = mask if size == mask.shape else cv2.resize(mask, size[::-1], interpolation=cv2.INTER_AREA)
            np.testing.assert_allclose(shares[frame, kind], wanted, atol=2e-6)


@pytest.mark.parametrize("name", ["modern", "sb3", "cleanrl", "baby-a3c", "paper"])
def test_coverage_is_what_the_protocol_makes_of_a_mask_as_a_screen(name):
    objects = some()
    # A mask of zeros and two hundreds is stretched to others where the protocol stretches.
    protocol = replace(preset(name), stretch=False, colour="mean")
    shares = coverage(objects, protocol)
    for frame in range(len(objects)):
        screen = np.repeat(painted(objects, frame, 1)[..., None], 3, axis=2)
        wanted = picture([screen, screen], protocol)[..., 0]
        np.testing.assert_allclose(shares[frame, 1], wanted, atol=1e-5)


@pytest.mark.parametrize("method", ["bilinear", "nearest", "pillow"])
def test_other_interpolations_give_the_weight_in_the_pixel(method):
    objects, protocol = some(count=2), Protocol(resize=method, colour="mean")
    shares = coverage(objects, protocol)
    screen = np.repeat(painted(objects, 1, 0)[..., None], 3, axis=2)
    np.testing.assert_allclose(shares[1, 0], picture([screen], protocol)[..., 0], atol=1e-5)


def test_what_two_boxes_cover_counts_once():
    boxes = np.array([[[0, 0, 40, 40], [20, 20, 60, 60]]], np.float32)
    objects = Objects("a game", ("a",), ("one", "two"), np.zeros(2, int), boxes)
    assert coverage(objects, Protocol(size=None)).sum() == 40 * 40 * 2 - 20 * 20


def test_rows_are_chosen_and_chunks_do_not_matter(monkeypatch):
    objects, protocol = some(count=9), Protocol()
    whole = coverage(objects, protocol)
    monkeypatch.setattr("policyscope.evaluation.objects.placing._AT_ONCE", 1)
    np.testing.assert_array_equal(coverage(objects, protocol, np.array([1, 5])), whole[[1, 5]])
    np.testing.assert_array_equal(coverage(objects, protocol, slice(3, 8)), whole[3:8])


def test_centres_are_the_middle_of_the_coverage():
    boxes = np.array([[[40, 60, 60, 90]], [[0, 0, 8, 8]], [[np.nan] * 4]], np.float32)
    objects = Objects("a game", ("a",), ("one",), np.zeros(1, int), boxes)
    protocol = Protocol(crop=(30, 0, 160, 160), size=(80, 80))
    found = centres(objects, protocol)[:, 0]
    share = coverage(objects, protocol)[0, 0]
    y, x = np.indices(share.shape)
    np.testing.assert_allclose(found[0], [(y * share).sum() / share.sum(), (x * share).sum() / share.sum()], atol=1e-4)
    assert np.isnan(found[1:]).all()  # above the crop; not there


def test_a_crop_that_does_not_fit_the_screen_is_told():
    with pytest.raises(ProtocolError, match=r"crop \(100, 0, 160, 160\) reaches beyond the screen"):
        coverage(some(), Protocol(crop=(100, 0, 160, 160)))


def test_an_observation_that_is_not_made_from_the_screen_is_told():
    with pytest.raises(ProtocolError, match="takes the environment's observation as it is"):
        centres(some(), Protocol(ready=True))


def test_an_episode_without_ram_is_told():
    episode = ps.Episode.from_arrays(np.zeros((3, 4, 84, 84), np.uint8), protocol=Protocol(game="pong"))
    with pytest.raises(RunError, match="recorded without the console's RAM"):
        objects_of_episode(episode)
    with pytest.raises(ProtocolError, match="this episode names none"):
        objects_of_episode(ps.Episode.from_arrays(np.zeros((3, 4, 84, 84), np.uint8)))


def test_an_episode_with_smaller_screens_is_told():
    episode = ps.Episode.from_arrays(
        np.zeros((3, 4, 84, 84), np.uint8),
        ram=np.zeros((3, 128), np.uint8),
        screens=np.zeros((3, 84, 84, 3), np.uint8),
        protocol=Protocol(game="pong"),
    )
    with pytest.raises(RunError, match="these are 84 x 84: record them without resizing"):
        objects_of_episode(episode)
