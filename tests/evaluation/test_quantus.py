"""Measures against Quantus's (Hedström et al., 2023), for those that it has in the same meaning."""

import numpy as np
import pytest
import torch
from little import LittleQ, episode_for, made, protocol
from stubs import stub_torchvision
from torch import nn

import policyscope as ps
from policyscope.evaluation.deletion import deletion
from policyscope.evaluation.hiding import Hiding
from policyscope.evaluation.recognition import gain, pointing
from policyscope.evaluation.sharpness import entropy
from policyscope.evaluation.similarity import spearman
from policyscope.evaluation.xrl_bench import xrl_bench
from policyscope.saliency.perturbation import gaussian_blur

QUIET = {"disable_warnings": True, "display_progressbar": False}
PLAIN = {"abs": True, "normalise": False}
SIDE = 24


@pytest.fixture(scope="module")
def quantus():
    stub_torchvision()  # Quantus imports zennit where it is installed, and that wants torchvision
    return pytest.importorskip("quantus")


def maps(seed=0, count=6):
    return np.random.default_rng(seed).standard_normal((count, SIDE, SIDE)).astype(np.float32)


def boxes(count=6):
    """(n, 1, H, W): a box that moves."""
    found = np.zeros((count, 1, SIDE, SIDE), np.float32)
    for row in range(count):
        found[row, 0, row : row + 9, 2 * row : 2 * row + 7] = 1
    return found


def asked(measure, attributions, **more):
    """A measure of Quantus that asks no model anything."""
    given = {"x_batch": np.zeros((len(attributions), 1, SIDE, SIDE)), "y_batch": np.zeros(len(attributions), int)}
    return np.asarray(measure(model=nn.Flatten(), **given, a_batch=attributions[:, None], **more), float)


def test_energy_on_an_object_is_the_relevance_mass(quantus):
    own, coverage = maps(), boxes()
    mass = asked(quantus.RelevanceMassAccuracy(**PLAIN, **QUIET), own, s_batch=coverage)
    assert np.allclose(gain(own, coverage)[:, 0] * coverage.mean(axis=(1, 2, 3)), mass, rtol=1e-5)


def test_pointing_without_tolerance_is_the_pointing_game(quantus):
    own, coverage = maps(count=6), boxes()
    own[:3] += 5 * coverage[:3, 0]
    hit = asked(quantus.PointingGame(**PLAIN, **QUIET), own, s_batch=coverage)
    assert 0 < hit.sum() < len(hit)
    assert np.array_equal(pointing(own, coverage, tolerance=0)[:, 0], hit)


def test_entropy_is_the_complexity(quantus):
    own = maps()
    complexity = asked(quantus.Complexity(**PLAIN, **QUIET), own)
    assert np.allclose(entropy(own) * np.log(SIDE * SIDE), complexity, rtol=1e-5)


def test_spearman_is_the_one_of_its_randomisation_test(quantus):
    one, other = maps(0), maps(0) + maps(1)
    flat = (part.reshape(len(part), -1) for part in (one, other))
    assert np.allclose(
        spearman(one, other), quantus.similarity_func.correlation_spearman(*flat, batched=True), atol=1e-5
    )


class OnlyQ(nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        return self.network(x)["q"]


def single_frame_agent():
    agent = made(LittleQ(stack=1), stack=1)
    return agent, episode_for(agent)


def test_the_deletion_curve_of_q_is_pixel_flipping(quantus):
    agent, episode = single_frame_agent()
    rows, own = np.arange(3, 9), maps()
    steps = 16
    shares = tuple(np.arange(1, steps) / steps)
    curves = deletion(agent, episode, rows, lambda _: {"own": own}, shares=shares, sigma=2.0)
    seen = agent.prepare(np.asarray(episode.observations[rows]))
    blurred = gaussian_blur(seen, 2.0).numpy().reshape(len(rows), -1)

    def blur(arr, indices, **_):
        found = arr.copy()
        np.put_along_axis(found, indices, np.take_along_axis(blurred, indices, axis=1), axis=1)
        return found

    flipping = quantus.PixelFlipping(features_in_step=SIDE * SIDE // steps, perturb_func=blur, **PLAIN, **QUIET)
    actions = np.asarray(episode.actions[rows]).astype(int)
    model = OnlyQ(agent.network).eval()
    found = np.array(flipping(model=model, x_batch=seen.numpy(), y_batch=actions, a_batch=own[:, None], softmax=False))
    with torch.no_grad():
        before = model(seen).numpy()[np.arange(len(rows)), actions]
    fallen = curves.deletion["own"][:, curves.measures.index("q")]
    assert np.abs(fallen).max() > 0.01
    assert np.allclose(fallen[:, 1:], before[:, None] - found, atol=1e-4)


def test_the_relative_input_stability_is_the_same_where_nothing_is_clipped(quantus):
    agent, dark = single_frame_agent()
    frames = np.asarray(dark.observations) // 2 + 40
    episode = ps.Episode.from_arrays(frames, np.asarray(dark.actions), protocol=protocol(stack=1))
    rows = np.arange(4)
    one, other = np.abs(maps(0, 4)) + 0.1, np.abs(maps(1, 4)) + 0.1

    class Given:
        names = ("own",)

        def __call__(self, chunk, seen=None):
            return {"own": one if seen is None else other}

    ours = xrl_bench(agent, episode, rows, Given()).values["own"]["RIS"]
    seen = Hiding(agent, episode).states(rows).seen.double()
    measure = quantus.RelativeInputStability(**QUIET)
    theirs = measure.relative_input_stability_objective(
        seen.numpy(), gaussian_blur(seen, 5.0).numpy(), one[:, None].astype(float), other[:, None].astype(float)
    )
    assert np.allclose(ours, theirs, rtol=1e-4)
