"""What all pictures have in common."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from milopyp_shared.plotting import circles, new_figure, save, show_grey, show_window


@pytest.mark.parametrize("shape", [(60, 60), (30, 90), (90, 30)])
def test_titles_are_not_cut_off(shape: tuple[int, int], tmp_path: Path) -> None:
    figure = new_figure(6, 2)
    for panel in figure.subplots(1, 3):
        show_grey(panel, np.indices(shape).sum(axis=0))
        panel.set_title("z = 10.5")
    figure.suptitle("the name of a tomogram " * 5)
    save(figure, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        pixels = np.asarray(picture.convert("L"))
    edges = (pixels[:4], pixels[-4:], pixels[:, :4], pixels[:, -4:])
    assert all(edge.min() == 255 for edge in edges) and pixels.min() < 50


def test_a_place_at_the_edge_is_drawn_on_the_scale_of_others() -> None:
    figure = new_figure(4, 2)
    inside, edge = figure.subplots(1, 2)
    for panel, shape in ((inside, (20, 20)), (edge, (12, 20))):  # the latter was cut off by a tomogram's end
        show_grey(panel, np.indices(shape).sum(axis=0))
        circles(panel, np.array([[9.5, shape[0] - 10.5, 0.0]]), 0.0, 4.0, "C0")
        show_window(panel, (9.5, shape[0] - 10.5), 10.0)
    figure.canvas.draw()
    across = [panel.transData.transform([[0, 0], [8, 8]]) for panel in (inside, edge)]
    np.testing.assert_allclose(across[0][1] - across[0][0], across[1][1] - across[1][0], rtol=1e-6)
