"""A3C with real processes: what they share, and how they end. Small networks, since most time goes into starting."""

from __future__ import annotations

import copy
import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from multiprocessing import current_process
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

import policyscope as ps
from policyscope.episodes.play import one_thread
from policyscope.errors import RecipeError, TrainingError
from policyscope.training.actor_critic import make_network
from policyscope.training.asynchronous import AsynchronousActorCritic, Player, make_optimiser, train, work
from policyscope.training.compute import Compute
from policyscope.training.games import Turn
from policyscope.training.run import Run, RunOptions
from policyscope.training.shared_memory import SharedRMSprop, share, shared_adam

SMALL = {"hidden": 32, "workers": 2, "games": 2, "length": 10, "steps": 200}
START = """
from pathlib import Path
from policyscope.training.asynchronous import AsynchronousActorCritic, train
from policyscope.training.run import Run, RunOptions
recipe = AsynchronousActorCritic(hidden=32, workers=2, games=2, length=10)
with Run("a3c", recipe, RunOptions(out=Path({out!r}), resume={resume}, save_every=40, tensorboard=False), "how") as run:
    train(recipe, run)
"""


def trained(recipe: AsynchronousActorCritic, out: Path, **options: Any) -> tuple[Run, dict[str, Tensor]]:
    """A finished run, and its weights."""
    with Run("a3c", recipe, RunOptions(out=out, tensorboard=False, device="cpu", **options), "how") as run:
        train(recipe, run)
    return run, ps.load_agent(out / "agent.safetensors").network.state_dict()


def fresh(recipe: AsynchronousActorCritic, actions: int = 4) -> nn.Module:
    """The network that a run begins with."""
    torch.manual_seed(recipe.seed)
    return make_network(recipe.of_worker(), actions)


def children(of: int) -> list[int]:
    """Processes that a process started, without the one in which Python keeps track of resources."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            command = (entry / "cmdline").read_text()
        except OSError:
            continue
        if parent == of and "resource_tracker" not in command:
            found.append(int(entry.name))
    return found


def until(holds: Any, seconds: float = 300.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


# -- the recipe --


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"games": 5, "workers": 2}, "--games is 5; it must be a multiple of --workers = 2"),
        ({"workers": 0, "games": 1}, "--workers is 0"),
        ({"length": 0}, "--length is 0"),
        ({"smoothing": 1.0}, "--smoothing is 1.0; it must be at least 0 and below 1"),
        ({"eps": 0.0}, "--eps is 0.0"),
        ({"trace": 1.5}, "--trace is 1.5"),
    ],
)
def test_values_out_of_range_are_named(values: dict[str, Any], told: str) -> None:
    with pytest.raises(RecipeError, match=re.escape(told)):
        AsynchronousActorCritic(**values)


def test_a_worker_plays_its_share_of_the_games_and_uses_them_once() -> None:
    own = AsynchronousActorCritic(workers=4, games=8, length=5, entropy=0.02, gamma=0.9).of_worker()
    assert (own.games, own.batch, own.objective, own.epochs) == (2, 10, "a2c", 1)
    assert (own.length, own.entropy, own.gamma, own.trace) == (5, 0.02, 0.9, 1.0)


def test_the_learning_rate_falls_to_zero_only_if_asked() -> None:
    assert AsynchronousActorCritic(learning_rate=0.1).rate(0.75) == pytest.approx(0.025)
    assert AsynchronousActorCritic(learning_rate=0.1).rate(1.2) == 0
    assert AsynchronousActorCritic(learning_rate=0.1, decay=False).rate(0.75) == 0.1


def test_another_device_is_refused_with_a_way_out(tmp_path: Path) -> None:
    recipe = AsynchronousActorCritic(**SMALL)
    with (
        Run("a3c", recipe, RunOptions(out=tmp_path, device="meta", tensorboard=False), "how") as run,
        pytest.raises(RecipeError, match="use --device cpu, or the batched form on a GPU"),
    ):
        train(recipe, run)


# -- one update, in this process --


class Exact(Compute):
    """Products in float32."""

    def inputs(self, observations: Tensor) -> Tensor:
        return observations.float().div_(255)

    def autocast(self) -> AbstractContextManager[Any]:
        return nullcontext()


def a2c_gradient(
    network: nn.Module, player: Player, recipe: AsynchronousActorCritic, seen: list[Any], last: Tensor
) -> list[Tensor]:
    """What a worker should find, in float64 and loops: the gradient of A3C's loss, scaled down to its norm."""
    network = copy.deepcopy(network).double()
    rollout, total = player.rollout, torch.zeros((), dtype=torch.float64)
    steps, games = rollout.actions.shape
    for game in range(games):
        value = float(last[game])
        for step in reversed(range(steps)):
            value = float(rollout.rewards[step, game]) + (
                0.0 if rollout.ends[step, game] else recipe.gamma * value
            )  # the n-step return
            streams = network(torch.from_numpy(seen[step][game : game + 1]).double() / 255)
            chances = streams["policy"][0].softmax(dim=0)
            advantage = value - float(rollout.values[step, game])
            total = total - chances[rollout.actions[step, game]].log() * advantage
            total = total + recipe.value_weight * (streams["value"][0, 0] - value) ** 2
            total = total + recipe.entropy * (chances * chances.log()).sum()
    gradients = torch.autograd.grad(total / (steps * games), list(network.parameters()))
    norm = torch.sqrt(sum((gradient**2).sum() for gradient in gradients))
    return [gradient * min(1.0, recipe.max_grad_norm / float(norm)) for gradient in gradients]


def test_an_update_is_the_step_computed_by_hand() -> None:
    recipe = AsynchronousActorCritic(**SMALL | {"games": 4}, max_grad_norm=0.3, smoothing=0.9, eps=1e-3, gamma=0.9)
    shared = fresh(recipe)
    optimiser = make_optimiser(recipe, shared)
    share(shared, optimiser)
    player = Player(recipe, shared, optimiser, 3, Exact("cpu"))

    rng, step = np.random.default_rng(0), player.games.step
    seen: list[Any] = []

    def eventful(actions: Any) -> Turn:
        seen.append(player.games.observations.copy())
        turn = step(actions)  # a game's first steps bring neither reward nor end
        return Turn(rng.normal(size=2).astype(np.float32), rng.random(2) < 0.2, turn.over)

    player.games.step = eventful  # type: ignore[method-assign]
    squares = [torch.zeros_like(parameter, dtype=torch.float64) for parameter in shared.parameters()]
    for rate in (0.01, 0.003):  # the second begins from statistics that are not zero
        before = copy.deepcopy(shared)
        seen.clear()
        player.update(rate)
        with torch.no_grad():
            last = before(torch.from_numpy(player.games.observations).float() / 255)["value"].squeeze(1)
        gradients = a2c_gradient(before, player, recipe, seen, last)
        for index, (gradient, old, new) in enumerate(
            zip(gradients, before.parameters(), shared.parameters(), strict=True)
        ):
            squares[index] = 0.9 * squares[index] + 0.1 * gradient**2
            expected = old.double() - rate * gradient / (squares[index] + 1e-3).sqrt()
            torch.testing.assert_close(new.double(), expected, rtol=1e-5, atol=1e-6)
            found = optimiser.state[optimiser.param_groups[0]["params"][index]]["square_avg"]
            torch.testing.assert_close(found.double(), squares[index], rtol=1e-3, atol=1e-9)
    player.games.close()


@pytest.mark.parametrize("head", ["value", "policy"])
def test_a_gradient_that_is_no_number_moves_nothing(head: str) -> None:
    recipe = AsynchronousActorCritic(**SMALL)
    shared = fresh(recipe)
    optimiser = make_optimiser(recipe, shared)
    player = Player(recipe, shared, optimiser, 3, Compute("cpu"))
    with torch.no_grad():
        getattr(shared, head).bias.fill_(float("nan"))
    before = copy.deepcopy(shared.state_dict())
    assert np.isnan(player.update(0.1)["loss"])
    player.games.close()
    torch.testing.assert_close(dict(shared.state_dict()), dict(before), rtol=0, atol=0, equal_nan=True)
    assert all(not state["square_avg"].any() for state in optimiser.state.values())


@pytest.mark.parametrize("kind", ["rmsprop", "adam"])
def test_shared_statistics_are_one_for_all_who_hold_them(kind: str) -> None:
    weight = nn.Parameter(torch.randn(8, 3, 4, 4).contiguous(memory_format=torch.channels_last))
    module = nn.Module()
    module.weight = weight
    made = SharedRMSprop([weight], 0.1, 0.9, 1e-5) if kind == "rmsprop" else shared_adam([weight], 0.1, 1e-5)
    share(module, made)
    for value in (weight, *made.state[weight].values()):
        assert value.is_shared()
        assert value.dim() == 0 or value.stride() == weight.stride()


# -- processes --


@dataclass(frozen=True, kw_only=True)
class Watched(AsynchronousActorCritic):
    """Workers that note each update, all begin together, and of which only one moves the weights."""

    notes: str = ""
    learner: int = 0

    def rate(self, fraction: float) -> float:  # called by each worker before each of its updates
        number = int(current_process().name.rpartition(" ")[2])
        with Path(self.notes, f"{number}").open("a") as file:
            file.write(".")
        until(lambda: len(list(Path(self.notes).iterdir())) == self.workers)
        return super().rate(fraction) if number == self.learner else 0.0


def test_every_step_counts_and_the_second_worker_moves_the_shared_weights(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    values = SMALL | {
        "games": 4,
        "length": 5,
        "steps": 60,
        "network": "recurrent_actor_critic",
        "stack": 4,
    }
    recipe = Watched(**values, notes=str(tmp_path / "notes"), learner=2)
    run, weights = trained(recipe, tmp_path / "run", report_every=20)
    updates = [len((tmp_path / "notes" / f"{number}").read_text()) for number in (1, 2)]
    assert min(updates) > 0
    assert run.step == sum(updates) * 5 * 2  # length x games of a worker
    assert run.step >= 60
    assert json.loads((tmp_path / "run" / "train.json").read_text())["step"] == run.step
    assert (tmp_path / "run" / "curve.csv").read_text().startswith("step,seconds,games,return,loss,entropy")
    changed = [name for name, value in fresh(recipe).state_dict().items() if not torch.equal(value, weights[name])]
    assert {"frames.body.0.weight", "policy_lstm.weight_hh_l0", "policy.bias", "value.bias"} <= set(changed)
    assert ps.load_agent(tmp_path / "run" / "agent.safetensors").protocol.layout == "time"
    assert not children(os.getpid())


class Alone:
    """The post of a worker that is this very process."""

    number = 1

    def going(self) -> bool:
        return True

    def tell(self, message: Any) -> None:
        pass


def test_one_worker_with_one_seed_learns_the_same_again(tmp_path: Path) -> None:
    recipe = AsynchronousActorCritic(**SMALL | {"workers": 1}, optimiser="adam")
    _, weights = trained(recipe, tmp_path)
    network = Compute("cpu").place(fresh(recipe))
    begun = copy.deepcopy(network.state_dict())
    with one_thread():  # as the worker has it: sums round otherwise
        work(Alone(), recipe, network, make_optimiser(recipe, network), 0, torch.zeros(1, dtype=torch.int64))  # type: ignore[arg-type]
    assert all(torch.equal(weights[name], value) for name, value in network.state_dict().items())
    assert all(not torch.equal(weights[name], value) for name, value in begun.items())


@dataclass(frozen=True, kw_only=True)
class Failing(AsynchronousActorCritic):
    """Its second worker ends badly at its first update, or all learn nonsense."""

    how: str = ""

    def rate(self, fraction: float) -> float:
        mine = current_process().name == "worker 2"
        if mine and self.how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if mine and self.how == "raises":
            raise ZeroDivisionError("nothing to divide by\nor so it seems")
        return float("nan") if self.how == "no number" else 1e-4


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("raises", "worker 2 of 2 died of ZeroDivisionError: nothing to divide by; "),
        ("killed", r"worker 2 of 2 was killed by SIGKILL \(the system does so when memory runs out\); "),
        ("no number", "the loss is not a number any more at step "),
    ],
)
def test_a_bad_end_of_a_worker_is_told_and_ends_all(tmp_path: Path, how: str, told: str) -> None:
    recipe = Failing(**SMALL | {"steps": 10**9}, how=how)
    kept = tmp_path / "checkpoints" / "agent-00000000.safetensors"
    kept.parent.mkdir()
    kept.touch()
    with pytest.raises(TrainingError, match=told) as error:
        trained(recipe, tmp_path)
    assert f"the last good checkpoint is {kept}" in str(error.value)
    assert "\n" not in str(error.value)
    assert not children(os.getpid())


def begin(out: Path, resume: bool = False) -> subprocess.Popen[str]:
    """A training in a process group of its own, as a terminal would have it."""
    return subprocess.Popen(
        [sys.executable, "-c", START.format(out=str(out), resume=resume)],
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that Ctrl-C has ended."""
    out = tmp_path_factory.mktemp("stopped")
    process = begin(out)
    until(lambda: (out / "train.json").exists())
    workers = children(process.pid)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert "stopping after this step" in said
    assert "Traceback" not in said
    assert len(workers) == 2
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)
    return out


def test_ctrl_c_leaves_an_agent_and_what_the_optimiser_needs(stopped: Path) -> None:
    note = json.loads((stopped / "train.json").read_text())
    agent = ps.load_agent(stopped / "agent.safetensors")
    assert agent.facts["step"] == note["step"] > 0
    recipe = AsynchronousActorCritic(**SMALL | {"steps": 10_000_000})
    network = fresh(recipe)
    optimiser = make_optimiser(recipe, network)
    with Run("a3c", recipe, RunOptions(out=stopped, resume=True, tensorboard=False), "how") as run:
        run.restore(network, optimiser)
    share(network, optimiser)
    saved = load_file(stopped / note["optimiser"])
    assert len(saved) == len(list(network.parameters()))
    for index, parameter in enumerate(network.parameters()):
        statistics = optimiser.state[parameter]["square_avg"]
        assert torch.equal(statistics, saved[f"{index}.square_avg"])
        assert statistics.any()
        assert statistics.is_shared()
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in agent.network.state_dict().items())


def test_a_stopped_run_goes_on_and_its_workers_do_not_outlive_it(stopped: Path) -> None:
    before = json.loads((stopped / "train.json").read_text())["step"]
    process = begin(stopped, resume=True)
    until(lambda: json.loads((stopped / "train.json").read_text())["step"] > before)
    workers = children(process.pid)
    assert len(workers) == 2
    process.kill()  # it can tell nobody
    process.communicate(timeout=300)
    until(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))
