"""The markup of explorables; what they draw is tested in tests/site."""

import base64
import json
import re

import numpy as np
import pytest

from companion import explorables
from companion.explorables.figure import Explorable, packed, rounded


@pytest.mark.parametrize("name", ["l1_ball", "slices", "score_field", "refinement"])
def test_the_page_holds_what_the_library_made(name):
    figure = getattr(explorables, name)()
    html = figure.html()
    (text,) = re.findall(r'<script type="application/json">(.*?)</script>', html)
    assert json.loads(text) == figure.data
    assert f'src="../_static/explorables/{name}.js"' in html
    assert "<svg" in html  # the picture that is shown where no script runs
    assert len(figure.alt) > 40
    assert len(figure.caption) > 100
    assert figure._repr_mimebundle_()["text/plain"] == f"Explorable: {figure.title}"


def test_text_cannot_end_the_data():
    html = Explorable("none", {"x": "</script>"}, title="a", caption="b < c and $d < e$", alt="f").html()
    assert html.count("</script>") == 3
    assert r"b &lt; c and <span" in html
    assert r"\(d &lt; e\)" in html


def test_grids_are_packed_to_half_a_step():
    grid = np.random.default_rng(0).normal(size=(4, 5))
    found = packed(grid)
    raw = np.frombuffer(base64.b64decode(found["bytes"]), np.uint8).reshape(found["shape"])
    back = found["low"] + (found["high"] - found["low"]) * raw / 255
    assert np.abs(back - grid).max() <= 0.51 * (found["high"] - found["low"]) / 255
    assert packed(np.ones((2, 2)))["bytes"] == "AAAAAA=="


def test_numbers_are_short():
    assert json.dumps(rounded([1 / 3, 1e-14, -2.0])) == "[0.3333, 0.0, -2.0]"
