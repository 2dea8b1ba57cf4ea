from __future__ import annotations

import pytest

from policyscope.rendering.layout import arrange, scales
from policyscope.saliency.maps import Panel

METHODS = ("gradient", "guided_backprop", "grad_cam", "guided_grad_cam", "g1_grad_cam", "g2_grad_cam")


def test_methods_of_one_stream_flow_after_the_screen_in_their_order():
    panels = [Panel(method, "q") for method in METHODS]
    layout = arrange(panels, (210, 160), 12 / 7)
    flat = [cell for row in layout.rows for cell in row if cell is not None]
    assert flat == ["screen", *panels]


def test_six_methods_of_two_streams_make_a_table_with_one_stream_in_a_line():
    panels = [Panel(method, stream) for method in METHODS for stream in ("value", "advantage")]
    layout = arrange(panels, (210, 160), 12 / 7, screen=False)
    across = {tuple(sorted({cell.stream for cell in row})) for row in layout.rows}
    down = {tuple(sorted({row[i].stream for row in layout.rows})) for i in range(len(layout.rows[0]))}
    assert all(len(line) == 1 for line in across) or all(len(line) == 1 for line in down)
    assert sum(cell is not None for row in layout.rows for cell in row) == 12


def test_lags_of_several_methods_make_a_table():
    panels = [Panel(method, "q", lag=lag) for method in ("gradient", "guided_backprop") for lag in range(4)]
    layout = arrange(panels, (84, 84), screen=False)
    assert {len(layout.rows), len(layout.rows[0])} == {2, 4}


def test_a_missing_combination_leaves_an_empty_place():
    panels = [Panel(method, stream) for method in METHODS for stream in ("value", "advantage")][:-1]
    layout = arrange(panels, (210, 160), 12 / 7, screen=False)
    assert [cell for row in layout.rows for cell in row].count(None) == 1


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 9, 14])
def test_every_panel_has_one_place_and_places_do_not_overlap(count):
    panels = [Panel("gradient", "q", layer=str(i)) for i in range(count)]
    layout = arrange(panels, (210, 160), 12 / 7)
    cells = layout.cells()
    assert len(cells) == count + 1
    corners = {(row, column) for _, row, column in cells}
    assert len(corners) == len(cells)
    height, width = layout.size
    assert all(row + layout.picture[0] < height and column + layout.picture[1] < width for row, column in corners)


def test_up_to_nine_panels_fit_a_full_hd_frame_beside_header_and_timeline():
    for count in range(1, 10):
        height, width = arrange([Panel("gradient", "q", layer=str(i)) for i in range(count)], (210, 160), 12 / 7).size
        assert height <= 1040
        assert width <= 1920


def test_scales_are_whole_numbers_near_the_consoles_pixel_shape():
    assert all(1.5 <= across / down <= 2 for across, down in scales(12 / 7))
    assert all(across == down for across, down in scales(1.0))
