"""Architectures and surroundings that agents come in: which layer is meant, whose rows are whose, what is refused."""

import gc
import threading

import pytest
import torch
import torch.nn.functional as F
from test_adversary import Body, X, agrees, built
from torch import nn
from torch.func import functional_call, vmap
from torch.utils.checkpoint import checkpoint

import policyscope as ps
from policyscope.errors import TargetError
from policyscope.saliency.plan import METHODS

FRAMES = torch.rand(3, 4, 4, 20, 20, generator=torch.Generator().manual_seed(6), dtype=torch.float64)


# -- which layer is meant -------------------------------------------------------------------------------------------


class OldSpectralNorm(Body):
    def extra(self):
        nn.utils.spectral_norm(self.c1)
        nn.utils.spectral_norm(self.c3)


class ComputedWeightsInAnotherOrder(Body):
    def extra(self):
        self.before = nn.Conv2d(6, 6, 3, padding=1)
        for conv in (self.c2, self.before):
            nn.utils.parametrizations.weight_norm(conv)

    def clean(self, x, r):
        return self.head(r(self.c2(r(self.before(r(self.c1(x)))))), r)


class SharedParameter(Body):
    def extra(self):
        self.twin = nn.Conv2d(6, 6, 3, padding=1)
        self.twin.weight = self.c2.weight

    def clean(self, x, r):
        return self.head(r(self.twin(r(self.c2(r(self.c1(x)))))), r)


class FunctionalCall(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = Body()

    def forward(self, x):
        weights = {name: value * 1.0 for name, value in self.body.named_parameters()}
        return functional_call(self.body, weights, (x,))

    def clean(self, x, r):
        return self.body.clean(x, r)


class Standardised(Body):
    def extra(self):
        class Conv(nn.Conv2d):
            def forward(self, x):
                weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
                return F.conv2d(x, weight, self.bias, self.stride, self.padding)

        self.c1, self.c2 = Conv(4, 6, 3, padding=1), Conv(6, 6, 3, padding=1)


class TwoSizes(Body):
    def clean(self, x, r):
        large, small = r(self.c1(x)), r(self.c1(F.avg_pool2d(x, 2)))
        return self.head(large + F.interpolate(small, scale_factor=2), r)


class UShaped(nn.Module):
    def __init__(self):
        super().__init__()
        self.down1, self.down2 = nn.Conv2d(4, 6, 4, 2, 1), nn.Conv2d(6, 8, 4, 2, 1)
        self.up, self.fc = nn.ConvTranspose2d(8, 6, 4, 2, 1), nn.Linear(12 * 100, 5)

    def clean(self, x, r):
        a = r(self.down1(x))
        return self.fc(torch.cat([a, r(self.up(r(self.down2(a))))], 1).flatten(1))

    def forward(self, x):
        return self.clean(x, F.relu)


@pytest.mark.parametrize(
    ("kind", "layers"),
    [
        (OldSpectralNorm, ["c1", "c2", "c3"]),
        (ComputedWeightsInAnotherOrder, ["c1", "before", "c2", "c3"]),
        (SharedParameter, ["c1", "c2", "twin", "c3"]),
        (FunctionalCall, ["body.c1", "body.c2", "body.c3"]),
        (Standardised, ["c1", "c2", "c3"]),
        (TwoSizes, ["c1", "c1@10x10", "c3"]),
        (UShaped, ["down1", "down2", "up"]),
    ],
)
def test_layers_are_named_by_the_modules_that_run_them(kind, layers):
    agrees(built(kind), layers=layers, complete=True)


def test_a_users_hooks_keep_working_and_survive():
    network, seen = built(Body), []
    network.c1.register_forward_hook(lambda *_: seen.append("forward"))
    network.c1.register_full_backward_hook(lambda *_: seen.append("backward"))
    hooks = [len(network.c1._forward_hooks), len(network.c1._backward_hooks)]
    result = agrees(network)
    assert set(seen) == {"forward", "backward"}
    assert hooks == [len(network.c1._forward_hooks), len(network.c1._backward_hooks)] == [1, 1]
    plain = ps.attribute(built(Body), X, METHODS, target=1)
    assert all(torch.allclose(result[m], plain[m], atol=1e-14) for m in METHODS)


def test_layers_that_do_not_lead_to_the_target_weigh_nothing():
    class Separate(nn.Module):
        def __init__(self):
            super().__init__()
            self.actor, self.critic = Body(), Body()

        def forward(self, x):
            return {"policy": self.actor(x), "value": self.critic(x)[:, :1]}

    network = built(Separate)
    result = ps.attribute(network, X, METHODS, target=1, stream="policy", layer="actor.c1")
    alone = ps.attribute(network.actor, X, METHODS, target=1, layer="c1")
    assert all(torch.equal(result[m], alone[m]) for m in METHODS)
    assert list(result.layer_weights) == ["actor.c1", "actor.c2", "actor.c3"]
    with pytest.raises(TargetError, match=r"'critic.c1' does not lead to the target"):
        ps.attribute(network, X, ["grad_cam"], target=1, stream="policy", layer="critic.c1")


# -- norms and attention --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "norm",
    [
        lambda: nn.LayerNorm([6, 20, 20]),
        lambda: nn.GroupNorm(3, 6),
        lambda: nn.InstanceNorm2d(6, affine=True),
        lambda: nn.BatchNorm2d(6, track_running_stats=False),
        lambda: nn.LocalResponseNorm(3),
        lambda: nn.RMSNorm([6, 20, 20]),
    ],
)
def test_a_rectifier_behind_any_norm_is_the_convolutions(norm):
    class Normed(Body):
        def extra(self):
            self.norm = norm()

        def clean(self, x, r):
            return self.head(r(self.norm(self.c1(x))), r)

    network = built(Normed)
    agrees(network)
    probe = X.clone().requires_grad_()
    a = F.relu(network.norm(network.c1(probe)))
    g = torch.autograd.grad(network.head(a, F.relu)[:, 1].sum(), a)[0]
    wanted = (g.mean((2, 3), keepdim=True) * a).sum(1).clamp(min=0).detach()
    assert torch.allclose(ps.attribute(network, X, ["grad_cam"], target=1, layer="c1")["grad_cam"], wanted)


def test_an_instance_norm_with_kept_statistics_adds_its_effective_bias():
    class Normed(Body):
        def extra(self):
            self.norm = nn.InstanceNorm2d(6, affine=True, track_running_stats=True)
            nn.init.uniform_(self.norm.running_mean)

        def clean(self, x, r):
            return self.head(r(self.norm(self.c1(x))), r)

    agrees(built(Normed), layers=["c1", "norm", "c3"], complete=True)


def test_norms_over_the_last_axes_and_transformers_have_no_maps_but_no_harm_is_done():
    class LastAxis(Body):
        def extra(self):
            self.norm = nn.LayerNorm(6)

        def clean(self, x, r):
            return self.head(r(self.norm(self.c1(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)), r)

    class Transformer(Body):
        def extra(self):
            layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
            self.encoder, self.out = nn.TransformerEncoder(layer, 2), nn.Linear(8, 5)

        def forward(self, x):
            tokens = F.relu(self.c3(F.relu(self.c1(x)))).flatten(2).transpose(1, 2)
            return self.out(self.encoder(tokens).mean(1))

    agrees(built(LastAxis), layers=["c1", "c3"])
    network = built(Transformer)
    result = ps.attribute(network, X, METHODS, target=1, check_completeness=True)
    probe = X.clone().requires_grad_()
    assert torch.allclose(result["gradient"], torch.autograd.grad(network(probe)[:, 1].sum(), probe)[0], atol=1e-14)
    assert {"encoder.layers.0.norm1", "encoder.layers.1.linear2"} <= result.completeness.biases.keys()


def test_a_weight_computed_from_the_input_carries_its_gradient():
    class Dynamic(Body):
        def extra(self):
            self.weights = nn.Linear(4, 6 * 6 * 16)

        def clean(self, x, r):
            weight = self.weights(x.mean((0, 2, 3))).view(6, 6, 4, 4)
            return self.fc(F.pad(F.conv2d(r(self.c1(x)), weight, stride=2), (0, 0, 0, 0, 0, 2)).flatten(1))

    agrees(built(Dynamic))


# -- whose rows are whose -------------------------------------------------------------------------------------------


def looped(body, x):
    return torch.cat([body(one[None]) for one in x])


def copied(body, x):
    rows = body(torch.cat([x, x.flip(-1)]))
    return rows[: len(x)] + rows[len(x) :]


def interleaved(body, x):
    return body(torch.stack([x, x.flip(-1)], 1).flatten(0, 1)).view(len(x), 2, -1).sum(1)


@pytest.mark.parametrize("how", [looped, copied, interleaved])
def test_rows_find_their_state_however_a_network_lays_them_out(how):
    network = built(Body)
    whole, alone = (
        ps.attribute(network, x, METHODS, target=1, forward=lambda x: how(network, x), check_completeness=True)
        for x in (X, X[1:2])
    )
    assert whole.completeness.remainder.abs().max() < 1e-12
    for method in METHODS:
        assert torch.allclose(whole[method][1], alone[method][0], atol=1e-13), method


def time_first(body, x):
    return body(x.transpose(0, 1).flatten(0, 1)).view(x.shape[1], len(x), -1).transpose(0, 1)


def shuffled(body, x):
    order = torch.randperm(x.shape[0] * x.shape[1], generator=torch.Generator().manual_seed(0))
    return body(x.flatten(0, 1)[order])[order.argsort()].view(*x.shape[:2], -1)


def two_at_a_time(body, x):
    return torch.cat([body(x[:, [t, t + 1]].flatten(0, 1)).view(len(x), 2, -1) for t in (0, 2)], 1)


@pytest.mark.parametrize("how", [time_first, shuffled, two_at_a_time])
@pytest.mark.parametrize("frames", [FRAMES, torch.zeros_like(FRAMES)], ids=["seen", "blank"])
def test_frames_find_their_lag_even_where_all_are_blank(how, frames):
    network = built(Body)
    shares = torch.tensor([1.0, 0.0, -0.5, 2.0], dtype=torch.float64)

    def output(x, how):
        return (how(network, x) * shares[:, None]).sum(1)

    def plain(body, x):
        return body(x.flatten(0, 1)).view(*x.shape[:2], -1)

    given, wanted = (
        ps.attribute(network, frames, METHODS, target=1, layer="c2", forward=lambda x, h=h: output(x, h))
        for h in (how, plain)
    )
    for method in METHODS:
        assert torch.allclose(given[method], wanted[method], atol=1e-13), method
    assert given["grad_cam"][:, 0].any()
    assert not given["grad_cam"][:, 1].any()


def test_a_convolution_used_twice_on_each_frame_keeps_its_lags():
    class Twice(Body):
        def forward(self, x):
            a = F.relu(self.c1(x.flatten(0, 1)))
            a = F.relu(self.c2(F.relu(self.c2(a))))
            return self.head(a, F.relu).view(*x.shape[:2], -1)[:, -1]

    network = built(Twice)
    given = ps.attribute(network, FRAMES, METHODS, target=1, layer="c2")
    single = ps.attribute(network, FRAMES[:, -1:], METHODS, target=1, layer="c2")
    for method in METHODS:
        assert torch.allclose(given[method][:, -1:], single[method], atol=1e-13), method
    assert not given["grad_cam"][:, 0].any()


def test_a_layer_that_sees_all_frames_at_once_stands_for_each():
    class Merged(Body):
        def extra(self):
            self.merge = nn.Conv2d(16, 4, 1)

        def forward(self, x):
            return self.clean(self.merge(x.flatten(1, 2)), F.relu)

    given = ps.attribute(built(Merged), FRAMES, METHODS, target=1, layer="c1")
    assert all(given[m].shape == FRAMES.shape[:2] + FRAMES.shape[3:] for m in ("grad_cam", "full_grad_pp", "full_grad"))
    assert torch.equal(given["grad_cam"][:, 0], given["grad_cam"][:, 3])


def test_inner_modules_that_run_on_frames_are_explained_in_order():
    class TimeFirst(Body):
        def forward(self, x):
            return time_first(super().forward, x)[:, -1]

    network = built(TimeFirst)
    given = ps.attribute(network, FRAMES, ["gradient"], stream="fc", target=1)["gradient"]
    probe = FRAMES.clone().requires_grad_()
    wanted = torch.autograd.grad(network.clean(probe.flatten(0, 1), F.relu)[:, 1].sum(), probe)[0]
    assert torch.allclose(given, wanted, atol=1e-14)
    given = ps.attribute(built(Body), X, ["gradient"], stream="c2", target=4)["gradient"]
    probe = X.clone().requires_grad_()
    plain = built(Body)
    wanted = torch.autograd.grad(plain.c2(F.relu(plain.c1(probe)))[:, 4].sum(), probe)[0]
    assert torch.allclose(given, wanted, atol=1e-14)


# -- surroundings ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["inside", "outside"])
def test_autocast_is_explained_as_it_runs(where):
    class Autocast(Body):
        def forward(self, x):
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=where == "inside"):
                return super().forward(x).float()

    network = built(Autocast).float()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=where == "outside"):
        given = ps.attribute(network, X.float(), METHODS, target=1)
    wanted = ps.attribute(built(Body), X, METHODS, target=1)
    assert {given[method].dtype for method in METHODS} == {torch.float32}
    for method in ("gradient", "guided_backprop", "full_grad"):
        assert F.cosine_similarity(given[method].double().flatten(), wanted[method].flatten(), dim=0) > 0.98, method


def test_bytes_may_be_scaled_in_place():
    class Scales(Body):
        def forward(self, x):
            return super().forward(x.double().div_(255))

    x = (X * 255).byte()
    given = ps.attribute(built(Scales), x, METHODS, target=1)
    wanted = ps.attribute(built(Body), x.double() / 255, METHODS, target=1)
    assert torch.allclose(given["gradient"], wanted["gradient"] / 255)
    assert torch.allclose(given["grad_cam"], wanted["grad_cam"])


def test_inference_tensors_beside_the_explained_one_are_taken():
    with torch.inference_mode():
        speed = torch.ones(3, 1, dtype=torch.float64)
    network = built(Body)
    given = ps.attribute(network, (X, speed), ["gradient"], target=1, forward=lambda x, s: network(x) * s)
    assert torch.equal(given["gradient"], ps.attribute(network, X, ["gradient"], target=1)["gradient"])


def test_threads_that_share_a_part_evaluate_it_until_the_last_has_finished():
    shared, started, go_on, modes = built(Body).train(), threading.Event(), threading.Event(), []

    def late(x):
        started.set()
        go_on.wait(10)
        modes.append(shared.training)
        return shared(x)

    thread = threading.Thread(
        target=lambda: ps.attribute(nn.Sequential(shared), X, ["gradient"], target=1, forward=late)
    )

    def early(x):
        thread.start()
        started.wait(10)
        return shared(x)

    ps.attribute(shared, X, ["gradient"], target=1, forward=early)
    go_on.set()
    thread.join()
    assert modes == [False]
    assert shared.training


def test_an_interrupt_in_the_middle_leaves_nothing_behind():
    class Interrupted(Body):
        def forward(self, x):
            super().forward(x)
            raise KeyboardInterrupt

    network = built(Interrupted).train()
    with pytest.raises(KeyboardInterrupt):
        ps.attribute(network, X, ["gradient"], target=1, stream="fc")
    assert network.training
    assert not network.fc._forward_hooks
    assert F.relu(torch.ones(1, requires_grad=True)).grad_fn.name() == "ReluBackward0"


def test_no_tensor_outlives_the_calls_even_without_the_garbage_collector():
    network = built(Body)

    def alive():
        return sum(issubclass(type(o), torch.Tensor) for o in gc.get_objects())

    ps.attribute(network, X, METHODS, target=1)
    gc.collect()
    gc.disable()
    try:
        before = alive()
        for _ in range(10):
            ps.attribute(network, X, METHODS, target=1, check_completeness=True)
        assert alive() == before
    finally:
        gc.enable()


def test_what_is_not_a_number_comes_back_as_such_and_stays_in_its_state():
    network = built(Body)
    factors = torch.tensor([1.0, float("inf"), float("nan")], dtype=torch.float64)
    given = ps.attribute(network, X, METHODS, target=lambda y: y[:, 1] * factors)
    for method in METHODS:
        assert given[method][0].isfinite().all(), method
        assert not given[method][1].isfinite().all(), method
        assert not given[method][2].isfinite().all(), method


# -- what is refused ------------------------------------------------------------------------------------------------


def test_unbatched_convolutions_have_gradients_but_no_maps_of_layers():
    network = built(Body)

    def unbatched(x):
        return torch.stack([network.fc(F.relu(network.c3(network.c1(one))).flatten()) for one in x])

    ps.attribute(network, X, ["gradient", "guided_backprop"], target=1, forward=unbatched, check_completeness=True)
    with pytest.raises(TargetError, match=r"'c1' has an output of shape \(6, 20, 20\)"):
        ps.attribute(network, X, ["grad_cam"], target=1, forward=unbatched)


@pytest.mark.parametrize(
    ("forward", "line"),
    [
        (lambda n, x: checkpoint(n, x, use_reentrant=True), "torch.utils.checkpoint"),
        (lambda n, x: checkpoint(n, x, use_reentrant=False), "torch.utils.checkpoint"),
        (lambda n, x: vmap(lambda one: n(one[None])[0])(x), r"torch.func .* at .*test_adversary.py:\d+"),
        (lambda n, x: torch.inference_mode()(n)(x), r"conv2d under torch.inference_mode\(\)"),
        (lambda n, x: n.fc(torch.inference_mode()(n.c3)(n.c1(x)).flatten(1)), r"conv2d under torch.inference_mode"),
        (lambda n, x: n(x).unsqueeze(0).expand(2, -1, -1), r"shape \(2, 3, 5\), which is not one row per state"),
    ],
)
def test_what_would_be_wrong_is_refused_in_one_line(forward, line):
    network = built(Body)
    with pytest.raises(TargetError, match=line) as caught:
        ps.attribute(network, X, ["guided_backprop"], target=1, forward=lambda x: forward(network, x))
    assert "\n" not in str(caught.value)


def test_integers_that_are_embedded_are_refused_in_one_line():
    class Embedded(Body):
        def extra(self):
            self.table = nn.Embedding(8, 4)

        def forward(self, x):
            return super().forward(self.table(x).movedim(-1, 1))

    with pytest.raises(TargetError, match=r"\(2, 20, 20, 4\): give it that float as input"):
        ps.attribute(built(Embedded), torch.randint(0, 8, (2, 20, 20)), ["gradient"], target=1)
