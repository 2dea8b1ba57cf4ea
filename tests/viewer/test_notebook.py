"""What a notebook shows of maps, and what its kernel answers."""

from __future__ import annotations

import html
import re

import numpy as np
import pytest

import policyscope as ps
from policyscope.errors import PolicyscopeError
from policyscope.viewer.bundle import unbundle
from policyscope.viewer.encoding import PackedMaps, unpack_maps
from policyscope.viewer.notebook import Answers


@pytest.fixture(scope="module")
def agent() -> ps.Agent:
    return ps.load_agent("zoo:breakout-dddqn")


@pytest.fixture(scope="module")
def maps(agent: ps.Agent) -> ps.Maps:
    return ps.explain(agent, ps.play(agent, 40, seed=1), methods=["gradient"])


def test_maps_show_themselves_in_a_frame_that_reaches_nothing(maps: ps.Maps) -> None:
    text = maps._repr_html_()
    assert re.match(r'<iframe sandbox="allow-scripts allow-downloads"', text)
    page = html.unescape(re.search(r'srcdoc="(.*)"></iframe>', text, re.DOTALL)[1])
    assert "connect-src 'none'" in page
    assert 'data-key="maps/gradient~q~taken~~0~/0"' in page
    assert not re.search(r'(?:src|href)="https?:', page)


def test_the_kernel_answers_with_the_maps(maps: ps.Maps) -> None:
    answers = Answers(maps)
    reply, buffers = answers.to({"id": 7, "key": "maps/gradient~q~taken~~0~/1"})
    assert reply == {"id": 7}
    header, (data, numbers) = unbundle(buffers[0])
    assert (header["first"], header["count"]) == (32, 8)
    scales = np.frombuffer(numbers, "<f4").reshape(8, 5)[:, 0]
    found = unpack_maps(PackedMaps(data, scales), (84, 84))
    wanted = maps["gradient"][32:]
    assert np.abs(found - wanted).max() <= 1.02 / 127 * np.abs(wanted).max()
    assert answers.to({"id": 8, "key": "manifest"})[0]["answer"]["steps"] == 40
    assert answers.to({"id": 9, "key": "stats/gradient~q~taken~~0~"})[0]["answer"]["rows"] == 40


def test_with_an_agent_the_kernel_computes_and_answers_questions(maps: ps.Maps, agent: ps.Agent) -> None:
    answers = Answers(maps, agent)
    _, buffers = answers.to({"id": 1, "key": "maps/grad_cam~value~taken~body.0~~/0"})
    assert unbundle(buffers[0])[0]["count"] == 32
    question = {"kind": "edit", "step": 3, "agent": "", "region": None, "lags": [0], "how": "zero"}
    answer = answers.to({"id": 2, "question": question})[0]["answer"]
    assert answer["before"]["q"] == pytest.approx(maps.episode.streams["q"][3].tolist(), abs=1e-4)
    assert answer["after"]["q"] != answer["before"]["q"]


def test_what_cannot_be_had_is_told_in_a_line(maps: ps.Maps, agent: ps.Agent) -> None:
    answers = Answers(maps)
    assert "no maps" in answers.to({"id": 1, "key": "maps/grad_cam~value~taken~body.0~~/0"})[0]["error"]
    assert answers.to({"id": 2, "key": "../../etc/passwd"})[0]["error"]
    assert answers.to("nonsense")[0]["error"]
    assert "needs the agent" in answers.to({"id": 3, "question": {"kind": "edit"}})[0]["error"]
    with pytest.raises(PolicyscopeError, match="give agent= as well"):
        Answers(maps, against=agent)


def test_the_widget_carries_the_page_and_nothing_of_the_run(maps: ps.Maps) -> None:
    pytest.importorskip("anywidget")
    widget = ps.view(maps)
    state = widget.get_state()
    assert "export default" in state["_esm"]
    assert sum(len(str(value)) for value in state.values()) < 400_000
