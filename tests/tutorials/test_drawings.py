"""Drawings by code.

claim                                                 oracle
letters can be read on a phone                        points of each text, inches of the figure
nothing is cut off, no words leave their box          boxes of ink that matplotlib computes
each has a white ground, so it can be read in the dark the figure's own colour
the squares of a batch are its tokens                 counted by hand
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "tutorials"))

import drawings

LENGTHS = [7, 12, 9, 21, 5, 14]
ALL = {
    **{name: getattr(drawings, name) for name in ("layer", "slots", "child_mask", "machine")},
    **{name: getattr(drawings, name) for name in ("networks", "student")},
    "packed": lambda: drawings.packed(LENGTHS),
    "one slot": lambda: drawings.slots("gradients"),
}


@pytest.fixture(params=ALL)
def figure(request):
    ALL[request.param]()
    yield plt.gcf()
    plt.close("all")


def test_letters_are_of_nine_points_or_more_on_a_figure_as_wide_as_a_phone_takes(figure):
    assert figure.get_size_inches()[0] == drawings.WIDTH == 4.8
    texts = [text for axes in figure.axes for text in axes.texts if text.get_text()]
    assert texts and min(text.get_size() for text in texts) >= 9
    assert figure.get_facecolor() == (1, 1, 1, 1)


def test_no_words_are_cut_off_or_leave_their_box_or_touch_others(figure):
    figure.draw_without_rendering()
    everything = figure.bbox
    texts = [text for axes in figure.axes for text in axes.texts if text.get_text()]
    places = [text.get_window_extent() for text in texts]
    for text, place in zip(texts, places):
        assert everything.x0 <= place.x0 and place.x1 <= everything.x1, text.get_text()
        assert everything.y0 <= place.y0 and place.y1 <= everything.y1, text.get_text()
        for other, there in zip(texts, places):
            assert other is text or not place.overlaps(there), (text.get_text(), other.get_text())
    for axes in figure.axes:
        boxes = [p for p in axes.patches if isinstance(p, matplotlib.patches.FancyBboxPatch)]
        for box in (patch.get_window_extent() for patch in boxes):
            for text, place in zip(texts, places):
                if box.contains((place.x0 + place.x1) / 2, (place.y0 + place.y1) / 2):
                    assert box.x0 <= place.x0 and place.x1 <= box.x1, text.get_text()
                    assert box.y0 <= place.y0 and place.y1 <= box.y1, text.get_text()


def test_a_batch_has_a_square_per_place_and_packed_a_square_per_token():
    assert drawings.packed([2, 3, 1]) == (9, 6)
    coloured = [p for p in plt.gcf().axes[0].patches if p.get_facecolor()[:3] != (208 / 255,) * 3]
    assert len(plt.gcf().axes[0].patches) == 9 + 6 and len(coloured) == 6 + 6
    plt.close("all")
