"""The Laplacian hypothesis, on maps whose shape is known."""

import cv2
import numpy as np
import pytest
from scipy import ndimage

import policyscope as ps
from policyscope.agents.protocol import Protocol
from policyscope.errors import TargetError
from policyscope.evaluation import laplacian
from policyscope.evaluation.fits import difference, families, fit
from policyscope.evaluation.laplacian import around, laplacian_table, moving
from policyscope.evaluation.laplacian_around import deepest_ring, opposition
from policyscope.evaluation.laplacian_compare import by_loss, compared
from policyscope.evaluation.laplacian_figure import figure
from policyscope.evaluation.objects import objects_of
from policyscope.evaluation.operators import OPERATORS, gaussian, laplacian_of_gaussian, response

RADIUS = 8


def noisy(mean, count=120, noise=0.5, seed=0):
    return mean[None] + noise * np.random.default_rng(seed).normal(size=(count, *mean.shape))


def fitted(mean, **options):
    mask = np.zeros((17, 17))
    mask[7:10, 6:11] = 1
    picture = ndimage.gaussian_filter(mask, 0.5)
    answers = {name: response(picture[None], name)[0] for name in (*OPERATORS, "sobel")}
    fits, ceiling = fit(noisy(mean, **options), families(RADIUS, mask, answers))
    return {one.name: one for one in fits}, ceiling


def test_the_papers_operators_add_up_to_zero_but_for_the_misprint():
    sums = {name: operator.sum() for name, operator in OPERATORS.items()}
    assert sums == {"L1": 0, "L2": 0, "L2 as printed": 2, "L3": 0, "L4": 0}


@pytest.mark.parametrize("name", OPERATORS)
def test_responses_are_scipys(name):
    picture = np.random.default_rng(0).normal(size=(2, 12, 15))
    wanted = np.stack([ndimage.correlate(one, OPERATORS[name], mode="nearest") for one in picture])
    np.testing.assert_allclose(response(picture, name), wanted, atol=1e-5)


def test_sobel_is_scipys_gradient():
    picture = np.random.default_rng(0).normal(size=(1, 12, 15))
    wanted = np.hypot(*(ndimage.sobel(picture[0], axis=axis, mode="nearest") for axis in (0, 1)))
    np.testing.assert_allclose(response(picture, "sobel")[0], wanted, rtol=1e-5)


def test_the_laplacian_of_a_gaussian_is_scipys():
    point = np.zeros((81, 81))
    point[40, 40] = 1
    wanted = -ndimage.gaussian_laplace(point, 2.5, truncate=12)[32:49, 32:49]
    np.testing.assert_allclose(laplacian_of_gaussian(RADIUS, 2.5), wanted / wanted.max(), atol=1e-3)


@pytest.mark.parametrize(("sigma", "sign"), [(1.2, 1), (2.0, -1)])
def test_a_laplacian_of_gaussian_is_recognised_with_its_width_and_sign(sigma, sign):
    fits, ceiling = fitted(sign * 4 * laplacian_of_gaussian(RADIUS, sigma))
    best = fits["laplacian of gaussian"]
    assert best.explained.mean > 0.95
    assert best.sigma == pytest.approx(sigma, rel=0.1)
    assert best.amplitude == pytest.approx(4 * sign, rel=0.1)
    assert difference(best, fits["gaussian"]).against() == "higher"
    assert ceiling.mean > 0.9


def test_a_blob_is_not_taken_for_a_laplacian():
    fits, _ = fitted(4 * gaussian(RADIUS, 1.8))
    assert fits["gaussian"].explained.mean > 0.95
    assert difference(fits["laplacian of gaussian"], fits["gaussian"]).against() == "lower"


def test_an_edge_detectors_answer_is_recognised():
    mask = np.zeros((17, 17))
    mask[7:10, 6:11] = 1
    fits, _ = fitted(response(ndimage.gaussian_filter(mask, 0.5)[None], "L4")[0].astype(float))
    assert max(fits.values(), key=lambda one: one.explained.mean).name == "L4"


def test_noise_is_explained_by_nothing():
    fits, ceiling = fitted(np.zeros((17, 17)))
    assert abs(ceiling.mean) < 1.5
    assert all(one.explained.mean < 0.1 for one in fits.values())


def test_explained_variance_is_the_other_halfs():
    # Even and odd frames disagree in sign: what fits one explains less than nothing of the other.
    sign = np.where(np.arange(120) % 2, -1, 1)[:, None, None]
    stack = sign * laplacian_of_gaussian(RADIUS, 1.5) + 0.01 * noisy(np.zeros((17, 17)))
    fits, ceiling = fit(stack, families(RADIUS, np.ones((17, 17)), {}))
    assert fits[0].explained.mean < -1
    assert ceiling.mean < -1


def test_too_few_frames_say_nothing():
    fits, ceiling = fitted(np.ones((17, 17)), count=10)
    assert all(np.isnan(one.explained.mean) for one in fits.values())
    assert np.isnan(ceiling.mean)


@pytest.mark.parametrize(
    ("core", "surround", "wanted"), [(2, -2, 1), (2, 0, 0), (-1, -1, -1), (3, -1, 0.5), (-3, 1, 0.5)]
)
def test_opposition_is_between_the_same_and_the_opposite(core, surround, wanted):
    assert opposition(np.full(50, float(core)), np.full(50, float(surround))).mean == pytest.approx(wanted)


def test_the_deepest_ring_is_chosen_on_even_frames_and_measured_on_odd_ones():
    random = np.random.default_rng(0)
    truth = np.array([4.0, 2.0, -0.5, -1.0, -0.2])
    found = deepest_ring(truth + 0.1 * random.normal(size=(200, 5)))
    assert found.radius == 3
    assert found.depth.mean == pytest.approx(0.25, abs=0.02)
    assert found.depth.low < found.depth.mean < found.depth.high
    assert found.far == pytest.approx(0.05, abs=0.02)
    turned = deepest_ring(-truth + 0.1 * random.normal(size=(200, 5)))
    assert (turned.radius, turned.depth.against()) == (3, "higher")
    halo = deepest_ring(np.abs(truth) + 0.01 * random.normal(size=(200, 5)))
    assert halo.depth.against() == "lower"
    assert np.isnan(deepest_ring(np.full((8, 5), np.nan)).far)


def test_opposition_has_an_interval():
    random = np.random.default_rng(0)
    core, surround = 2 + random.normal(size=200), -0.5 + random.normal(size=200)
    found = opposition(core, surround)
    assert found.against() == "higher"
    assert found.low < 0.4 < found.high
    assert np.isnan(opposition(core[:3], surround[:3]).low)


# -- the whole way -------------------------------------------------------------------------------------------------

SHARP = laplacian_of_gaussian(6, 1.5)


def pong(count=60, seed=0):
    """An episode of Pong's RAM in which ball and paddles move, and screens that show them."""
    random = np.random.default_rng(seed)
    ram = np.zeros((count, 128), np.uint8)
    ram[:, 49], ram[:, 54] = random.integers(90, 170, count), random.integers(80, 170, count)
    ram[:, 50], ram[:, 51] = random.integers(70, 180, (2, count))
    objects = objects_of("pong", ram)
    screens = np.zeros((count, 210, 160, 3), np.uint8)
    for frame in range(count):
        for box in objects.boxes[frame, :3]:
            x0, y0, x1, y1 = (int(v) for v in box)
            screens[frame, y0:y1, x0:x1] = 200
    greys = np.stack([cv2.resize(one[..., 0], (84, 84), interpolation=cv2.INTER_AREA) for one in screens])
    stacks = np.stack([greys[np.maximum(np.arange(count) - lag, 0)] for lag in (3, 2, 1, 0)], axis=1)
    return ps.Episode.from_arrays(
        stacks, actions=np.zeros(count, int), ram=ram, screens=screens, protocol=Protocol(game="pong", pad="repeat")
    )


def agent_of(kernel, lags=(1.0, 0.5, 0.25, 1.0)):
    """Its value is the picture times what a kernel makes of it, so that its gradient is what the kernel makes of it."""
    import torch
    from torch import nn

    class Sees(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(4, 4, 13, padding=6, groups=4, bias=False)
            weights = np.stack([kernel * factor for factor in lags])[:, None]
            self.conv.weight.data = torch.as_tensor(weights, dtype=torch.float32)

        def forward(self, x):
            seen = (self.conv(x) * x.detach()).sum(dim=(1, 2, 3))
            return {"q": torch.stack([seen, -seen], dim=1)}

    from policyscope.agents.custom import make_agent

    return make_agent(Sees(), protocol=Protocol(game="pong", pad="repeat"), actions=("A", "B"))


def test_moving_kinds_are_found():
    assert moving(objects_of("pong", np.asarray(pong().ram))) == ("ball", "player", "opponent")


def test_a_method_without_the_inputs_shape_is_refused():
    episode = pong()
    with pytest.raises(TargetError, match="with the input's shape"):
        around(agent_of(SHARP), episode, method="grad_cam")


def test_a_network_that_sees_through_a_laplacian_is_recognised_and_a_blurring_one_is_not():
    episode = pong()
    sharp = {one.kind: one for one in around(agent_of(SHARP), episode, kinds=["ball"], method="gradient")}["ball"]
    assert sharp.opposition.against() == "higher"
    assert sharp.laplacian.explained.mean > 0.8
    assert sharp.lead.against() == "higher"
    assert sharp.verdict == "Laplacian"
    blurred = around(agent_of(gaussian(6, 1.5)), episode, kinds=["ball"], method="gradient")[0]
    assert blurred.opposition.against() != "higher"
    assert blurred.verdict != "Laplacian"


def test_two_agents_are_set_side_by_side(tmp_path):
    pytest.importorskip("matplotlib")
    episode = pong()
    late, early = (
        around(agent_of(kernel), episode, kinds=["ball"], method="gradient") for kernel in (SHARP, gaussian(6, 1.5))
    )
    table = compared(early, late)
    change = dict(zip(table.columns, table.rows[0], strict=True))
    assert change["opposition stronger"] == "late"
    assert change["opposition low"] > 0
    assert by_loss([*early, *late]).rows == []  # both act by q
    figure([*early, *late], tmp_path / "profiles.png")
    assert (tmp_path / "profiles.png").stat().st_size > 1000


def test_older_frames_are_measured_where_things_were_and_where_they_are():
    episode = pong()
    rows = laplacian_table(agent_of(SHARP), episode, kinds=["ball"], method="gradient", lags=(0, 2), name="sharp")
    assert [(r["lag"], r["at"]) for r in rows] == [(0, "then"), (2, "then"), (2, "now")]
    then, now = rows[1], rows[2]
    assert then["core"] > 3
    assert abs(now["core"]) < 1
    assert then["agent"] == "sharp"


def test_chunks_do_not_matter(monkeypatch):
    episode = pong(30)
    whole = around(agent_of(SHARP), episode, kinds=["ball"], method="gradient")[0]
    monkeypatch.setattr(laplacian, "CHUNK", 7)
    parts = around(agent_of(SHARP), episode, kinds=["ball"], method="gradient")[0]
    np.testing.assert_allclose(whole.core, parts.core, rtol=1e-5)
    np.testing.assert_allclose(whole.mean, parts.mean, rtol=1e-4, atol=1e-6)
