"""From a training run's folder to an entry of the zoo."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import publish
import pytest
import stored_weights
import torch
import zoo_table
from finished_run import Finished, continued, finished, walked
from learning_curve import write_curve
from safetensors.torch import load_file

import policyscope as ps
from policyscope.agents.networks import build
from policyscope.cli import main

CURVE = "step,seconds,return,loss\n250,5.0,,0.1\n500,10.0,1.5,0.1\n750,15.0,2.5,0.1\n1000,20.0,3.5,0.1\n"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """What ``policyscope train`` leaves: a C51 agent, an earlier checkpoint of other weights, a curve."""
    folder = tmp_path / "run"
    for seed, (name, step) in enumerate((("agent", 1000), ("checkpoints/agent-00000500", 500))):
        torch.manual_seed(seed)
        network = build("categorical_dqn", actions=4, hidden=4, atoms=5, low=-10.001, high=10.001)
        facts = {"recipe": "breakout-c51", "step": step}
        agent = ps.make_agent(network, "paper", game="breakout", policy="epsilon=0.5", facts=facts)
        ps.save_agent(agent, folder / f"{name}.safetensors")
    told = {
        "recipe": "breakout-c51",
        "values": {"gamma": 0.99, "widths": [4]},
        "command": "policyscope train breakout-c51",
        "step": 1000,
        "seconds": 20.0,
        "hardware": "none",
        "how": "batched",
        "seed": 3,
    }
    (folder / "train.json").write_text(json.dumps(told))
    (folder / "curve.csv").write_text(CURVE)
    return folder


@pytest.fixture
def repository(shelf: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout that is not ours."""
    monkeypatch.setattr(publish, "ROOT", tmp_path / "repository")
    page = tmp_path / "repository" / "docs" / "zoo.md"
    page.parent.mkdir(parents=True)
    page.write_text(f"# The zoo\n{zoo_table.BEGIN}{zoo_table.END}The end.\n")
    return tmp_path / "repository"


def options(run: Path, **changes: Any) -> publish.Options:
    return publish.Options(run=run, name="breakout-c51", games=3, limit=12, **changes)


def test_a_run_becomes_an_entry_that_passes_its_own_check(
    run: Path, shelf: Any, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    publish.main(options(run, ship=True))
    card = ps.zoo.card("breakout-c51")
    assert ps.zoo.place("breakout-c51") == ("shipped", shelf.folder / "breakout-c51.safetensors")
    assert (card.game, card.architecture, card.options["atoms"]) == ("breakout", "categorical_dqn", 5)
    assert (card.steps, card.frames, card.seconds, card.seeds) == (1000, 3000, 20.0, (3,))
    assert (card.how, card.recipe, card.values) == ("batched", "breakout-c51", {"gamma": 0.99, "widths": [4]})
    assert card.own.policy == "epsilon=0.5"
    assert [measured.protocol.split(":")[0] for measured in card.returns.values()] == [
        "paper",
        "paper on the console of paper",
        "paper on the console of modern",
    ]
    assert "4 frames an action" in card.returns["modern"].protocol
    assert len(card.own.returns) == 3
    assert (repository / "docs/images/zoo/breakout-c51.png").stat().st_size > 1000
    assert ps.zoo.curve("breakout-c51").read_text() == CURVE
    assert "| [breakout-c51](images/zoo/breakout-c51.png) |" in (repository / "docs/zoo.md").read_text()
    main(["zoo", "check", "breakout-c51", "--games", "0"])
    main(["zoo", "show", "breakout-c51"])
    assert "3.5 │" in capsys.readouterr().out
    publish.main(options(run))
    assert [file.name for file in (repository / "zoo").iterdir()] == ["breakout-c51.safetensors"]
    assert not (shelf.folder / "breakout-c51.safetensors").exists(), "the weights are in one place"


def test_runs_that_it_went_on_from_count_too(run: Path, shelf: Any, repository: Path) -> None:
    pytest.importorskip("matplotlib")
    publish.main(options(run, ship=True))
    publish.main(options(run, before=("zoo:breakout-c51", str(run))))
    card = ps.zoo.card("breakout-c51")
    assert (card.steps, card.frames, card.seconds) == (3000, 9000, 60.0)
    steps = [line.split(",")[0] for line in ps.zoo.curve("breakout-c51").read_text().splitlines()[1:]]
    assert steps == [f"{1000 * part + step}" for part in range(3) for step in (250, 500, 750, 1000)]


def test_a_curve_goes_on_where_the_run_did(run: Path) -> None:
    def part(*rows: tuple[int, float, int, float], **other: str) -> Finished:
        names = ("step", "seconds", "games", "return")
        curve = [dict(zip(names, map(str, row), strict=True)) | other for row in rows]
        return replace(template, step=20, seconds=5.0, curve=curve)

    template = finished(run, None)
    first, second = (
        part((10, 2.5, 30, 1.5), (20, 5.0, 60, 2.0), loss="0.1"),
        part((10, 2.0, 40, 0.5), (20, 5.0, 120, 3.0)),
    )
    whole = continued(second, [first])
    assert (whole.step, whole.seconds) == (40, 10.0)
    assert [tuple(row.values()) for row in whole.curve] == [
        ("10", "2.5", "30", "1.5"),
        ("20", "5", "60", "2.0"),
        ("30", "7", "40", "0.5"),
        ("40", "10", "120", "3.0"),
    ]
    assert continued(first, []) is first
    assert continued(replace(second, seconds=None), [first]).seconds is None
    assert len(continued(replace(second, curve=[]), [first]).curve) == 2


def test_an_earlier_checkpoint_has_its_own_weights_step_and_curve(run: Path) -> None:
    early, late = finished(run, "agent-00000500.safetensors"), finished(run, None)
    assert (early.step, early.seconds, [row["step"] for row in early.curve]) == (500, 10.0, ["250", "500"])
    assert late.step == 1000
    assert early.agent.fingerprint != late.agent.fingerprint
    with pytest.raises(SystemExit, match=r"has no x\.safetensors; it has agent-00000500\.safetensors, agent"):
        finished(run, "x.safetensors")


def test_a_run_that_was_resumed_counts_what_led_to_the_weights(tmp_path: Path) -> None:
    rows = ["10,10,0,0.0", "20,20,2,1.0", "30,30,3,2.0", "20,4,0,0.0", "30,15,1,5.0", "40,27,1,6.0"]
    (tmp_path / "curve.csv").write_text("\n".join(["step,seconds,games,return", *rows]) + "\n")
    kept, seconds = walked(tmp_path / "curve.csv", 35)
    assert [(row["step"], row["return"]) for row in kept] == [("10", ""), ("20", ""), ("30", "5.0")]
    assert seconds == 10 + 4 + 11


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_matrices_take_half_the_room_and_load_as_what_was_stored(run: Path, tmp_path: Path, dtype: torch.dtype) -> None:
    agent = finished(run, None).agent
    stored_weights.write(agent, tmp_path / "half.safetensors", dtype)
    held = load_file(tmp_path / "half.safetensors")
    loaded = ps.load_agent(tmp_path / "half.safetensors")
    assert held["head.0.weight"].dtype == dtype
    for name, value in loaded.network.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, held[name].float())
    assert torch.equal(held["support"], agent.network.support), "a support that is rounded changes every value"
    assert torch.equal(loaded.network.body[0].weight, agent.network.body[0].weight), "maps depend on it most"
    assert not torch.equal(loaded.network.head[0].weight, agent.network.head[0].weight)
    assert loaded.facts["step"] == 1000


def test_the_type_is_the_smallest_that_keeps_the_maps(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = finished(run, None).agent
    found = iter([{"gradient": 0.97, "grad_cam": 1.0}, {"gradient": 0.995, "grad_cam": 0.992}])
    monkeypatch.setattr(stored_weights, "same_maps", lambda *_: next(found))
    assert stored_weights.store(agent, tmp_path / "a.safetensors", "auto") == (
        "bfloat16",
        {"gradient": 0.995, "grad_cam": 0.992},
    )
    assert load_file(tmp_path / "a.safetensors")["head.0.weight"].dtype == torch.bfloat16
    monkeypatch.setattr(stored_weights, "same_maps", lambda *_: {"gradient": 0.98})
    assert stored_weights.store(agent, tmp_path / "a.safetensors", "auto")[0] == "float32"
    assert load_file(tmp_path / "a.safetensors")["head.0.weight"].dtype == torch.float32


def test_maps_are_alike_by_rank_and_flat_ones_only_if_equal() -> None:
    one = np.random.default_rng(0).random(100)
    assert stored_weights.alike(one, one**3) == pytest.approx(1)
    assert stored_weights.alike(one, -one) == pytest.approx(-1)
    assert stored_weights.alike(np.zeros(9), np.zeros(9)) == 1
    assert stored_weights.alike(np.zeros(100), one) == 0


def test_a_long_curve_keeps_its_last_row(tmp_path: Path) -> None:
    rows = [{"step": str(i), "return": "0"} for i in range(1, 1002)]
    write_curve(rows, tmp_path / "c.csv")
    lines = (tmp_path / "c.csv").read_text().splitlines()
    assert lines[0] == "step,return"
    assert lines[-1] == "1001,0"
    assert 300 < len(lines) <= 401


def test_the_page_of_the_zoo_shows_the_cards_as_they_are() -> None:
    page = zoo_table.PAGE.read_text()
    assert page == zoo_table.written(page)
