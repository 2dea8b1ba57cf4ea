"""Maps on request: the same as those that ``explain`` writes, checked, shared and bounded."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import policyscope as ps
from policyscope.agents.agent import Agent
from policyscope.episodes.episode import Episode
from policyscope.errors import RunError, TargetError
from policyscope.saliency.maps import Panel
from policyscope.viewer.computing import LONGEST, Computing

PANELS = [
    Panel("gradient", "q", "taken", None, 0),
    Panel("gradient", "value", "taken", None, 2),
    Panel("grad_cam", "q", "taken", "body.2", None),
    Panel("full_grad", "q", "1", None, None),
    Panel("guided_backprop", "advantage", "contrast", None, "sum"),
]


@pytest.fixture(scope="module")
def played(duel: Agent) -> Episode:
    return ps.play(duel, steps=40, seed=1)


def stored(agent: Agent, episode: Episode, panel: Panel) -> np.ndarray:
    """What ``explain`` writes for a panel."""
    action = "greedy" if panel.action == "all" else panel.action
    words = {"methods": [panel.method], "stream": panel.stream, "action": action, "lag": panel.lag or 0}
    maps = ps.explain(agent, episode, layer=panel.layer or 1, **words)
    return np.asarray(maps[maps.panels[0]].stored)


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.label)
def test_maps_on_request_are_those_that_explain_writes(duel: Agent, played: Episode, panel: Panel) -> None:
    made = Computing({"": duel}, played).maps(played, panel, "", 8, 21)
    wanted = stored(duel, played, panel)[8:21]
    assert made.shape == wanted.shape
    np.testing.assert_allclose(made, wanted, atol=1e-5 * np.abs(wanted).max())


def test_those_who_wait_for_the_same_rows_share_one_pass(
    duel: Agent, played: Episode, monkeypatch: pytest.MonkeyPatch
) -> None:
    computing = Computing({"": duel}, played)
    calls: list[int] = []
    rows = computing.rows

    def counted(episode, request, *rest):
        calls.append(len(request.panels))
        return rows(episode, request, *rest)

    monkeypatch.setattr(computing, "rows", counted)
    with ThreadPoolExecutor(len(PANELS)) as pool:
        computing.lock.acquire()
        waiting = [pool.submit(computing.maps, played, panel, "", 0, 16) for panel in PANELS]
        while len(computing._wanted.get(("", "", 0, 16), ())) < len(PANELS):
            time.sleep(0.005)
        computing.lock.release()
        made = [future.result() for future in waiting]
    assert calls == [len(PANELS)]
    for panel, maps in zip(PANELS, made, strict=True):
        alone = Computing({"": duel}, played).maps(played, panel, "", 0, 16)
        np.testing.assert_allclose(maps, alone, atol=1e-5 * np.abs(alone).max())


def test_panels_of_any_methods_and_layers_go_together(duel: Agent, played: Episode) -> None:
    layered = [("grad_cam", "body.4"), ("g1_grad_cam", "body.0"), ("grad_cam_pp", "body.2"), ("g2_grad_cam", "body.4")]
    panels = [Panel(method, "q", "taken", layer, 0 if "g2" in method else None) for method, layer in layered]
    panels += [Panel("guided_backprop", "q", "taken", None, 0), Panel("full_grad_pp", "q", "taken")]
    for order in (panels, panels[::-1], [*panels[4:], *panels[:4]]):
        computing = Computing({"": duel}, played)
        found = computing.rows(played, computing.request(played, order), 5, 12)
        for panel in panels:
            alone = computing.rows(played, computing.request(played, [panel]), 5, 12)[panel]
            np.testing.assert_allclose(found[panel], alone, atol=1e-5 * max(np.abs(alone).max(), 1e-6))


def test_a_recurrent_agents_past_frames_have_their_maps(recurrent: Agent) -> None:
    episode = ps.play(recurrent, steps=14, seed=0)
    panel = Panel("gradient", "value", "taken", None, 3)
    made = Computing({"": recurrent}, episode).maps(episode, panel, "", 4, 12)
    wanted = stored(recurrent, episode, panel)[4:12]
    np.testing.assert_allclose(made, wanted, atol=1e-5 * np.abs(wanted).max())
    assert np.abs(made).max() > 0


def test_a_perturbation_leaves_the_network_to_others_between_its_rows(duel: Agent, played: Episode) -> None:
    computing = Computing({"": duel}, played)
    panel = Panel("noise_saliency", "q", "all", None, 0)
    turns: list[float] = []
    done = threading.Event()

    def other() -> None:
        while not done.is_set():
            computing.rows(played, computing.request(played, [PANELS[0]]), 0, 1)
            turns.append(time.perf_counter())
            time.sleep(0.005)

    with ThreadPoolExecutor(1) as pool:
        others = pool.submit(other)
        began = time.perf_counter()
        made = computing.maps(played, panel, "", 0, 9)
        ended = time.perf_counter()
        done.set()
        others.result()
    assert sum(began < turn < ended for turn in turns) >= 2
    np.testing.assert_allclose(made, stored(duel, played, panel)[:9], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    ("panel", "line"),
    [
        (Panel("gradient", "soul", "taken", None, 0), "no stream 'soul'; this agent has: q, value, advantage"),
        (Panel("gradient", "q", "jump", None, 0), "no action 'jump'"),
        (Panel("grad_cam", "q", "taken", "body.9", None), "no layer 'body.9'; this agent has: 1 (body.0)"),
        (Panel("grad_cam", "q", "taken", None, None), "grad_cam explains a layer; this agent has: body.0, body.2"),
        (Panel("gradient", "q", "taken", None, 4), "no lag 4; this agent sees lags 0 to 3"),
        (Panel("gradient", "q", "taken", None, LONGEST), f"at most {LONGEST - 1} frames back"),
        (Panel("gradient", "q", "taken", None, "²"), "no panel 'gradient"),
        (Panel("sarfa", "value", "taken", None, 0), "sarfa explains one action of several"),
    ],
)
def test_a_panel_that_the_agent_lacks_is_refused_in_one_line(
    duel: Agent, played: Episode, panel: Panel, line: str
) -> None:
    with pytest.raises(TargetError) as caught:
        Computing({"": duel}, played).maps(played, panel, "", 0, 4)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_agent_that_is_not_there_and_rows_that_are_not_there_are_refused(duel: Agent, played: Episode) -> None:
    computing = Computing({"": duel}, played)
    with pytest.raises(TargetError, match="no agent 'b' in this view"):
        computing.maps(played, PANELS[0], "b", 0, 4)
    with pytest.raises(RunError, match="the episode has 40"):
        computing.maps(played, PANELS[0], "", 32, 64)


def test_maps_are_kept_within_their_budget(duel: Agent, played: Episode) -> None:
    one = 4 * 84 * 84 * 4
    computing = Computing({"": duel}, played, budget=3 * one)
    first = computing.maps(played, PANELS[0], "", 0, 4)
    assert computing.maps(played, PANELS[0], "", 0, 4) is first
    for start in (4, 8, 12):
        computing.maps(played, PANELS[0], "", start, start + 4)
    assert computing._bytes == 3 * one
    assert computing.maps(played, PANELS[0], "", 0, 4) is not first


def test_another_checkpoint_explains_the_same_states(duel: Agent, other_duel: Agent, played: Episode) -> None:
    computing = Computing({"": duel, "b": other_duel}, played)
    made = computing.maps(played, PANELS[0], "b", 0, 6)
    np.testing.assert_allclose(made, stored(other_duel, played, PANELS[0])[:6], atol=1e-6)
    assert not np.allclose(made, computing.maps(played, PANELS[0], "", 0, 6))


def test_a_longer_episode_needs_no_new_pass_over_the_network(duel: Agent, played: Episode) -> None:
    computing = Computing({"": duel}, played[:4])
    made = computing.maps(played, PANELS[0], "", 30, 40)
    np.testing.assert_allclose(made, stored(duel, played, PANELS[0])[30:40], atol=1e-6)
