"""The probe's numbers against formulas and networks whose answer is known."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from scipy.stats import spearmanr
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

import policyscope as ps
from policyscope.agents.agent import Agent
from policyscope.agents.networks.actor_critic import ActorCritic
from policyscope.agents.networks.dqn import DQN, CategoricalDQN, DuelingDQN
from policyscope.agents.networks.gru_actor_critic import GRUActorCritic
from policyscope.agents.networks.recurrent_actor_critic import RecurrentActorCritic
from policyscope.agents.networks.recurrent_q import SplitAttentionDRQN
from policyscope.agents.protocol import Protocol
from policyscope.errors import ProtocolError, TargetError
from policyscope.training.probe import SaliencyProbe, measures
from policyscope.training.probe.film import FRAMES, gif
from policyscope.training.probe.sheet import Looked, columns


def observations(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def agent_of(network: nn.Module, **protocol: object) -> Agent:
    return Agent(network, Protocol(**protocol), (), ())


class Small(nn.Module):
    """Two layers on 4 x 16 x 16; ``value`` may be cut off."""

    def __init__(self, cut: str = "") -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 8, 4, 2)
        self.dense = nn.Linear(8 * 7 * 7, 16)
        self.q, self.value = nn.Linear(16, 3), nn.Linear(16, 1)
        self.cut = cut

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        features = F.relu(self.dense(F.relu(self.conv(x)).flatten(1)))
        base = features.detach() if self.cut == "features" else features
        value = self.value(base)
        if self.cut == "constant":
            value = value.new_zeros(value.shape)
        return {"q": self.q(features), "value": value}


def test_a_stream_that_is_cut_off_is_zero_everywhere_and_the_layers_say_where_it_stops() -> None:
    torch.manual_seed(0)
    scalars = SaliencyProbe.for_module(Small("features"), observations(6, 4, 16, 16), scale=255.0)()
    assert scalars["saliency/value/zero_share"] == scalars["saliency/value/guided/zero_share"] == 1
    assert scalars["saliency/value/gradient_norm"] == 0
    assert [scalars[f"saliency/value/lag_share/t-{lag}"] for lag in range(4)] == [0, 0, 0, 0]
    assert scalars["layers/value/gradient_norm/value"] == 1
    assert scalars["layers/dense/gradient_norm/value"] == scalars["layers/conv/gradient_norm/value"] == 0
    assert scalars["saliency/q/zero_share"] == 0
    assert scalars["layers/conv/gradient_norm/q"] > 0
    constant = SaliencyProbe.for_module(Small("constant"), observations(6, 4, 16, 16), scale=255.0)()
    assert constant["saliency/value/zero_share"] == 1
    assert constant["layers/value/gradient_norm/value"] == 0
    assert constant.keys() == scalars.keys()


def test_a_dead_value_stream_is_found_in_a_dueling_network() -> None:
    network = DuelingDQN(4)
    with torch.no_grad():
        network.value[0].bias.fill_(-1e3)
    scalars = SaliencyProbe(agent_of(network), observations(4, 4, 84, 84))()
    assert scalars["saliency/value/zero_share"] == 1
    assert scalars["saliency/advantage/zero_share"] == 0
    assert scalars["layers/value.0/dead_units"] == 1
    assert scalars["layers/value.0/active"] == 0
    assert scalars["layers/value.0/rank"] == 0
    assert scalars["layers/value.0/gradient_norm/value"] == 0
    assert scalars["layers/value.2/gradient_norm/value"] == 1


@pytest.mark.parametrize("layout", ["channels", "channels_last"])
def test_a_network_that_reads_only_the_newest_frame_has_no_share_in_the_others(layout: str) -> None:
    class Newest(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Small()

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            x = x.movedim(-1, 1) if layout == "channels_last" else x
            return self.inner(torch.cat([torch.zeros_like(x[:, :3]), x[:, 3:]], dim=1))

    shape = (6, 16, 16, 4) if layout == "channels_last" else (6, 4, 16, 16)
    scalars = SaliencyProbe.for_module(Newest(), observations(*shape), scale=255.0)()
    assert [scalars[f"saliency/q/lag_share/t-{lag}"] for lag in range(4)] == [1, 0, 0, 0]


def test_units_that_never_fire_are_counted() -> None:
    network = Small()
    with torch.no_grad():
        network.conv.weight[:2] = 0
        network.conv.bias[:2] = torch.tensor([-1.0, 0.0])
        network.conv.weight[2:].abs_()
        network.conv.bias[2:] = 1
        network.dense.weight[:4] = 0
        network.dense.bias[:4] = -1
        network.dense.weight[4:] = 0
        network.dense.bias[4:] = 1
    scalars = SaliencyProbe.for_module(network, observations(6, 4, 16, 16), scale=255.0)()
    assert scalars["layers/conv/dead_units"] == 2 / 8
    assert scalars["layers/conv/active"] == 6 / 8
    assert scalars["layers/dense/dead_units"] == 4 / 16
    assert scalars["layers/dense/active"] == 12 / 16
    assert scalars["layers/dense/rank"] == 1
    # heads have no rectifier, so that a negative output is no dead unit
    assert "layers/q/dead_units" not in scalars


@pytest.mark.parametrize("rectifier", [nn.ReLU(inplace=True), nn.ELU(), nn.ReLU6()], ids=["in place", "elu", "relu6"])
@pytest.mark.parametrize("norm", [False, True])
def test_linear_layers_are_followed_to_their_rectifier(rectifier: nn.Module, norm: bool) -> None:
    torch.manual_seed(0)
    dense = nn.Linear(4 * 8 * 8, 10)
    between = nn.LayerNorm(10) if norm else nn.Identity()
    network = nn.Sequential(nn.Flatten(), dense, between, rectifier, nn.Linear(10, 3))
    states = observations(5, 4, 8, 8)
    scalars = SaliencyProbe.for_module(network, states, scale=255.0)()
    with torch.no_grad():
        rows = rectifier(between(dense(torch.as_tensor(states).flatten(1) / 255)))
    assert scalars["layers/1/active"] == pytest.approx((rows > 0).float().mean().item())
    assert scalars["layers/1/dead_units"] == pytest.approx((rows == 0).all(dim=0).float().mean().item())


def test_gradient_norms_are_those_of_autograd_by_hand() -> None:
    torch.manual_seed(1)
    network = Small().double()
    states = observations(6, 4, 16, 16)
    scalars = SaliencyProbe.for_module(network, states, scale=255.0)()
    x = (torch.as_tensor(states).double() / 255).requires_grad_()
    z1 = network.conv(x)
    z2 = network.dense(F.relu(z1).flatten(1))
    q = network.q(F.relu(z2))
    expected = torch.autograd.grad(q.max(dim=1).values.sum(), [x, z1, z2])
    norms = [(sum(float(row.norm()) ** 2 for row in g) / 6) ** 0.5 for g in expected]
    names = ["saliency/q/gradient_norm", "layers/conv/gradient_norm/q", "layers/dense/gradient_norm/q"]
    assert [scalars[name] for name in names] == pytest.approx(norms, rel=1e-6)
    sizes = expected[0].abs().sum(dim=(2, 3))
    shares = (sizes / sizes.sum(dim=1, keepdim=True)).mean(dim=0)
    assert [scalars[f"saliency/q/lag_share/t-{lag}"] for lag in (3, 2, 1, 0)] == pytest.approx(
        shares.tolist(), rel=1e-6
    )


def test_guided_maps_are_guided_backpropagation() -> None:
    torch.manual_seed(1)
    network, states = Small(), observations(6, 4, 16, 16)
    scalars = SaliencyProbe.for_module(network, states, scale=255.0)()
    inputs = torch.as_tensor(states).float() / 255
    maps = ps.attribute(network, inputs, ["guided_backprop"], "greedy", stream="q")["guided_backprop"]
    expected = measures.area_half(maps.abs().sum(dim=1)).item()
    assert scalars["saliency/q/guided/area_half"] == pytest.approx(expected)
    assert scalars["saliency/q/area_half"] != pytest.approx(expected)
    with torch.no_grad():
        network.q.weight.abs_().neg_()  # nothing positive comes back to the rectifiers
    scalars = SaliencyProbe.for_module(network, states, scale=255.0)()
    assert scalars["saliency/q/guided/zero_share"] == 1
    assert scalars["saliency/q/zero_share"] == 0


def test_the_gradient_norm_does_not_depend_on_who_divides_by_255() -> None:
    network, states = DQN(3), observations(3, 4, 84, 84)
    outside = SaliencyProbe.for_module(network, states, scale=255.0)()
    inside = SaliencyProbe.for_module(network, states, forward=lambda net, x: net(x / 255.0))()
    floats = SaliencyProbe.for_module(network, (states / 255).astype(np.float32))()
    for name in ("saliency/q/gradient_norm", "saliency/q/on_moving"):
        if name in outside:
            assert outside[name] == pytest.approx(inside[name], rel=1e-4) == pytest.approx(floats[name], rel=1e-4)


def test_half_of_a_map_takes_this_area() -> None:
    point = torch.zeros(2, 10, 10)
    point[:, 3, 3] = 5
    assert measures.area_half(point).item() == pytest.approx(0.01)
    assert measures.area_half(torch.ones(2, 10, 10)).item() == pytest.approx(0.5)
    noise = torch.randn(4, 200, 200, generator=torch.Generator().manual_seed(0)).abs()
    assert measures.area_half(noise).item() == pytest.approx(0.239, abs=0.005)
    assert measures.area_half(torch.zeros(2, 10, 10)).item() == 0
    # a state without a map does not count
    assert measures.area_half(torch.cat([point, torch.zeros(2, 10, 10)])).item() == pytest.approx(0.01)


def test_a_map_on_what_moves_is_told_from_a_flat_one() -> None:
    frames = torch.zeros(3, 2, 1, 40, 40)
    frames[0, 1, 0, 10, 10] = 255
    frames[1, 0, 0, 30, 20] = 255
    places = measures.moving(frames, 255)
    assert places.sum(dim=(1, 2)).tolist() == [25, 25, 0]
    assert measures.on_moving(torch.ones(3, 40, 40), places).item() == pytest.approx(1)
    assert measures.on_moving(places.float(), places).item() == pytest.approx(1600 / 25)
    assert measures.on_moving((~places).float(), places).item() == 0
    # a new scene says nothing
    flash = torch.stack([torch.zeros(1, 1, 40, 40), torch.full((1, 1, 40, 40), 255.0)], dim=1)
    assert not measures.moving(flash, 255).any()


def test_change_is_one_minus_spearmans_correlation() -> None:
    generator = torch.Generator().manual_seed(0)
    before, now = (torch.rand(4, 21, 21, generator=generator) for _ in range(2))
    before[:, :10], now[:, 5:12] = 0, 0  # ties
    expected = np.mean([1 - spearmanr(a.flatten(), b.flatten()).statistic for a, b in zip(before, now, strict=True)])
    assert measures.change(measures.ranks(now), measures.ranks(before)).item() == pytest.approx(expected, abs=1e-5)
    flat = measures.ranks(torch.zeros(4, 21, 21))
    assert measures.change(flat, flat).item() == 0
    assert measures.change(measures.ranks(now), flat).item() == pytest.approx(1)


def test_change_follows_the_weights_and_can_start_from_a_copy() -> None:
    torch.manual_seed(0)
    network, states = Small(), observations(6, 4, 16, 16)
    untrained = Small()
    untrained.load_state_dict(network.state_dict())
    probe = SaliencyProbe.for_module(network, states, scale=255.0)
    assert probe()["saliency/q/change"] == pytest.approx(0, abs=1e-5)
    network.load_state_dict(Small().state_dict())
    changed = probe()
    assert changed["saliency/q/change"] == changed["saliency/q/change_from_start"] > 0.2
    again = probe()
    assert again["saliency/q/change"] == pytest.approx(0, abs=1e-5)
    assert again["saliency/q/change_from_start"] == pytest.approx(changed["saliency/q/change_from_start"])
    late = SaliencyProbe.for_module(network, states, scale=255.0)
    late.start_from(untrained)
    assert late()["saliency/q/change_from_start"] == pytest.approx(changed["saliency/q/change_from_start"])
    resumed = SaliencyProbe.for_module(network, states, scale=255.0)
    resumed.load_state_dict(probe.state_dict())
    assert resumed() == probe()


def test_outputs_are_summed_up_by_their_formulas() -> None:
    logits = torch.tensor([[20.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 9.0, 0.0], [1.0, 0.0, 0.0]])

    class Given(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(()))

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            rows = logits[: len(x)] + self.weight * x.mean(dim=(1, 2, 3))[:, None]
            return {"policy": rows, "q": rows, "value": rows[:, :1]}

    scalars = SaliencyProbe.for_module(Given(), observations(4, 4, 8, 8))()
    p = logits.double().softmax(dim=1)
    assert scalars["policy/entropy"] == pytest.approx(float(-(p * p.log()).sum(dim=1).mean()), rel=1e-5)
    assert scalars["policy/saturation"] == 0.5
    assert scalars["policy/gap"] == scalars["q/gap"] == pytest.approx((20 + 0 + 9 + 1) / 4)
    assert scalars["q/mean"] == pytest.approx(30 / 4)
    assert scalars["value/mean"] == pytest.approx(21 / 4)
    assert scalars["value/spread"] == pytest.approx(np.std([20, 0, 0, 1]))
    assert scalars["policy/distinct_actions"] == pytest.approx(np.exp(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25))))


class Noisy(nn.Module):
    """What a probe could leave its marks on: modes, running statistics, gradients, random numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.drop = nn.Conv2d(4, 8, 4, 2), nn.BatchNorm2d(8), nn.Dropout(0.5)
        self.frozen, self.q = nn.Linear(8 * 7 * 7, 8), nn.Linear(8, 3)
        self.frozen.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        noise = torch.rand_like(x)
        return self.q(torch.relu(self.frozen(self.drop(torch.relu(self.norm(self.conv(x + noise)))).flatten(1))))


def test_nothing_is_left_in_the_module() -> None:
    network = Noisy().train()
    network.norm.eval()
    network.q.weight.grad = torch.ones_like(network.q.weight)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    random = torch.get_rng_state()
    probe = SaliencyProbe.for_module(network, observations(6, 4, 16, 16), scale=255.0)
    with torch.no_grad():
        probe()
        probe.picture()
        probe.film()
    assert [module.training for module in network.modules()] == modes
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert torch.equal(network.q.weight.grad, torch.ones_like(network.q.weight))
    assert network.conv.weight.grad is None
    assert not network.frozen.weight.requires_grad
    assert all(not module._forward_hooks and not module._backward_hooks for module in network.modules())
    assert torch.is_grad_enabled()


GRU = {"size": (80, 80), "stack": 1}
TIME = {"stack": 10, "layout": "time"}
AGENTS = {
    "dqn": (lambda: DQN(4), {}, (3, 4, 84, 84), ("q",), 4),
    "dueling": (lambda: DuelingDQN(4), {}, (3, 4, 84, 84), ("q", "value", "advantage"), 4),
    "c51": (lambda: CategoricalDQN(4), {}, (3, 4, 84, 84), ("q",), 4),
    "actor-critic": (lambda: ActorCritic(4), {"stack": 3}, (3, 3, 84, 84), ("policy", "value"), 3),
    "split attention": (
        lambda: SplitAttentionDRQN(4, hidden=16),
        TIME,
        (2, 10, 1, 84, 84),
        ("q", "value", "advantage"),
        10,
    ),
    "a3c-lstm": (lambda: RecurrentActorCritic(4, hidden=16), TIME, (2, 10, 1, 84, 84), ("policy", "value"), 10),
    "gru": (lambda: GRUActorCritic(4), GRU, (2, 5, 1, 80, 80), ("policy", "value"), 5),
    "gru, one frame": (lambda: GRUActorCritic(4), GRU, (2, 1, 80, 80), ("policy", "value"), 1),
    "colours": (lambda: DQN(4, channels=12), {"colour": "rgb"}, (2, 12, 84, 84), ("q",), 4),
}


@pytest.mark.parametrize("name", AGENTS)
def test_every_kind_of_agent_is_measured_under_stable_names(name: str) -> None:
    make, protocol, shape, streams, lags = AGENTS[name]
    torch.manual_seed(0)
    network = make()
    states = observations(*shape) // 8
    states[..., 20:30, 20:30] *= np.random.default_rng(1).integers(1, 8, (*shape[:-2], 1, 1), dtype=np.uint8)
    probe = SaliencyProbe(agent_of(network, **protocol), states)
    assert set(probe.streams) == set(streams)
    first = probe(100)
    with torch.no_grad():
        for value in network.parameters():
            value.add_(0.01 * torch.randn_like(value))
    second = probe(200)
    assert list(first) == list(second)
    assert all(np.isfinite(value) for value in second.values())
    for stream in streams:
        names = {n for n in first if n.startswith(f"saliency/{stream}/lag_share/")}
        assert names == {f"saliency/{stream}/lag_share/t-{lag}" for lag in range(lags)}
        assert sum(first[n] for n in names) == pytest.approx(1, abs=1e-5)
        assert second[f"saliency/{stream}/change"] > 0
    attention = [n for n in first if n.startswith("attention/")]
    assert len(attention) == (20 if lags == 10 else 0)
    assert sum(first[n] for n in attention) == pytest.approx(len(attention) / 10, abs=1e-5)
    picture = probe.picture()
    assert picture.dtype == np.uint8
    assert picture.shape[2] == 3
    assert picture.std() > 1


def test_the_names_of_a_dqn_stay_what_they_are() -> None:
    states = np.zeros((2, 4, 84, 84), np.uint8)
    states[:, 3, 40:44, 40:44] = 200
    found = set(SaliencyProbe(agent_of(DQN(4)), states)())
    of_maps = {"zero_share", "area_half", "on_moving", "change", "change_from_start"}
    expected = {f"saliency/q/{n}" for n in of_maps | {f"guided/{n}" for n in of_maps} | {"gradient_norm"}}
    expected |= {f"saliency/q/lag_share/t-{lag}" for lag in range(4)}
    expected |= {f"q/{n}" for n in ("mean", "spread", "gap", "distinct_actions")}
    layers = ("body.0", "body.2", "body.4", "head.0")
    expected |= {f"layers/{layer}/{n}" for layer in layers for n in ("dead_units", "active", "gradient_norm/q")}
    expected |= {"layers/head.0/rank", "layers/head.2/gradient_norm/q"}
    assert found == expected


def test_a_window_inside_a_game_is_taken_from_an_episode() -> None:
    torch.manual_seed(0)
    starts = np.zeros(40, bool)
    starts[[0, 17]] = True
    seen = np.repeat(np.arange(40, dtype=np.uint8), 80 * 80).reshape(40, 1, 80, 80)
    agent = agent_of(GRUActorCritic(4), **GRU)
    episode = ps.Episode.from_arrays(seen, terminated=np.roll(starts, -1), protocol=agent.protocol)
    probe = SaliencyProbe.for_episode(agent, episode, states=8, window=5)
    numbers = probe._states.frames[:, :, 0, 0, 0]
    assert numbers.shape == (8, 5)
    assert (np.diff(numbers, axis=1) == 1).all()
    assert not ((numbers[:, 0] < 17) & (numbers[:, -1] >= 17)).any()
    plain = SaliencyProbe.for_episode(agent_of(DQN(4)), ps.Episode.from_arrays(observations(9, 4, 84, 84)))
    assert len(plain._states) == 9


def test_a_writer_is_given_scalars_and_the_picture() -> None:
    class Writer:
        def __init__(self) -> None:
            self.scalars: dict[str, tuple[float, int]] = {}
            self.images: dict[str, tuple[int, ...]] = {}

        def add_scalar(self, name: str, value: float, step: int) -> None:
            self.scalars[name] = (value, step)

        def add_image(self, name: str, picture: np.ndarray, step: int, dataformats: str) -> None:
            self.images[name] = (*picture.shape, step)
            assert dataformats == "HWC"

    writer = Writer()
    probe = SaliencyProbe.for_module(Small(), observations(4, 4, 16, 16), scale=255.0)
    scalars = probe.log(writer, 7, picture=True)
    assert {name: (value, 7) for name, value in scalars.items()} == writer.scalars
    assert writer.images["saliency/maps"][2:] == (3, 7)


def test_a_film_shows_steps_in_a_row_and_plays_in_any_viewer_of_gifs() -> None:
    torch.manual_seed(0)
    seen = np.zeros((60, 4, 84, 84), np.uint8)
    for step in range(60):
        seen[step, :, 40, step] = 250  # the frame tells the step
    agent = agent_of(DQN(4))
    probe = SaliencyProbe.for_episode(agent, ps.Episode.from_arrays(seen, protocol=agent.protocol), states=8)
    frames = probe.film()
    assert frames.shape[0] == FRAMES
    assert probe.film(frames=5).shape == (5, *frames.shape[1:])
    screens = frames[:, -174:-6, 6:174].reshape(FRAMES, 84, 2, 84, 2, 3).max(axis=(2, 4, 5))
    first = (60 - FRAMES) // 2
    assert [int(screen[40].argmax()) for screen in screens] == list(range(first, first + FRAMES))
    played = Image.open(io.BytesIO(gif(frames)))
    assert played.n_frames == FRAMES
    assert played.size == (frames.shape[2], frames.shape[1])
    shown = np.asarray(played.convert("RGB")).astype(int)
    assert np.abs(shown - frames[0]).mean() < 3


def test_without_steps_in_a_row_a_film_shows_the_states() -> None:
    probe = SaliencyProbe.for_module(Small(), observations(6, 4, 16, 16), scale=255.0)
    assert len(probe.film()) == 6
    windows = SaliencyProbe(agent_of(GRUActorCritic(4), **GRU), observations(2, 5, 1, 80, 80))
    assert len(windows.film()) == 2


def test_a_films_maps_have_one_scale_and_a_sheets_each_its_own() -> None:
    maps = np.zeros((3, 16, 16), np.float32)
    maps[:, 4, 4] = [1, 0.1, 0.01]
    frames = np.zeros((3, 1, 16, 16), np.uint8)
    found = [Looked("q", "guided_backprop", maps)]
    alike = columns(found, frames)[1].pictures
    scaled = columns(found, frames, together=True)[1].pictures
    assert np.array_equal(alike[0], alike[2])
    assert scaled[0].sum(dtype=int) > scaled[1].sum(dtype=int) > scaled[2].sum(dtype=int)


def test_tensorboard_is_given_the_film_as_a_gif_that_moves(tmp_path: Path) -> None:
    writer = SummaryWriter(str(tmp_path))
    probe = SaliencyProbe.for_module(Small(), observations(4, 4, 16, 16), scale=255.0)
    probe.log(writer, 7, film=True)
    writer.close()
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    (event,) = events.Images("saliency/film")
    assert event.step == 7
    assert event.encoded_image_string == gif(probe.film())
    assert Image.open(io.BytesIO(event.encoded_image_string)).n_frames == 4
    assert (event.height, event.width) == probe.film().shape[1:3]


def test_mistakes_are_told_in_one_line() -> None:
    states = observations(2, 4, 16, 16)
    with pytest.raises(ProtocolError, match=r"shape \(n, 4, 84, 84\), not \(2, 4, 16, 16\)"):
        SaliencyProbe(agent_of(DQN(4)), states)
    with pytest.raises(ProtocolError, match="does not run on its observations"):
        SaliencyProbe.for_module(DQN(4), states)
    with pytest.raises(TargetError, match="no stream 'policy' to measure; the network has: q, value"):
        SaliencyProbe.for_module(Small(), states, streams=["policy"])
    with pytest.raises(ProtocolError, match="4 channels, which are no stack of 3"):
        SaliencyProbe.for_module(Small(), states, stack=3)
    with pytest.raises(TargetError, match="no selection 'best'"):
        SaliencyProbe.for_module(Small(), states, selection="best")
    with pytest.raises(ProtocolError, match="dict of streams"):
        SaliencyProbe.for_module(Small(), states, read=lambda outputs: outputs["q"])
