from __future__ import annotations

from policyscope.rendering.lettering import CARD, lettered, plain, shortened, width, write


def test_long_labels_are_shortened_to_fit_and_short_ones_are_left():
    text = "guided grad cam of the advantage of the action taken"
    cut = shortened(text, 15, 120)
    assert cut.endswith("…")
    assert width(cut, 15) <= 120
    assert shortened("q", 15, 120) == "q"
    assert shortened(text, 15, 1) == ""


def test_text_stays_inside_the_canvas_and_its_limit():
    canvas = plain(20, 60, CARD)
    before = canvas.copy()
    write(canvas, "a label that is far too long", (2, 10), 14, limit=30)
    assert (canvas[:, :10] == before[:, :10]).all()
    assert (canvas[:, 40:] == before[:, 40:]).all()
    write(canvas, "over the edge", (15, 50), 14)
    write(canvas, "beyond", (30, 5), 14)


def test_a_label_is_drawn_once():
    assert lettered("same", 14, (1, 2, 3), (4, 5, 6)) is lettered("same", 14, (1, 2, 3), (4, 5, 6))


def test_characters_without_a_picture_become_question_marks():
    assert (lettered("agent 見", 14, (1, 2, 3), (4, 5, 6)) == lettered("agent ?", 14, (1, 2, 3), (4, 5, 6))).all()
