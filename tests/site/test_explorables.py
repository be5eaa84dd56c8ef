"""Each explorable in a browser without a network: a control changes the picture, to the library's values."""

import functools
import importlib.util
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from companion.explorables import (
    high_thresholds,
    l1_recovery,
    landscape_design,
    reduction,
    score_estimation,
    stein_moments,
    structure,
    tensor_initialisation,
)
from nnmoments.moments import cross_moment
from nnmoments.sparse import recover_rows
from nnmoments.structured import even_form

ROOT = Path(__file__).resolve().parents[2]
_spec = importlib.util.spec_from_file_location("stills", ROOT / "book" / "stills.py")
stills = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(stills)

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium found")
each = pytest.mark.parametrize("name", stills.NAMES)


@functools.cache
def figure(name: str) -> str:
    """The explorable as it stands in the chapter that shows it."""
    marked = f'data-draw="{name}"'
    for page in sorted((ROOT / "_build" / "html" / "notebooks").glob("[0-9]*.html")):
        text = page.read_text(encoding="utf-8")
        if marked in text:
            start = text.rindex("<figure", 0, text.index(marked))
            return text[start : text.index("</figure>", start) + len("</figure>")]
    raise AssertionError(f"no chapter shows {name}")


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def show(browser, tmp_path):
    """Open an explorable from the disk; fail on any error of its scripts."""
    errors: list[str] = []
    views = []

    def opened(name, *, width=900, **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        context.set_offline(True)
        view = context.new_page()
        view.on("pageerror", lambda error: errors.append(str(error)))
        view.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        view.goto(stills.write_page(tmp_path, figure(name)).as_uri())
        if options.get("java_script_enabled", True):
            view.wait_for_selector("figure[data-ready]")
        views.append(context)
        return view

    yield opened
    for context in views:
        context.close()
    assert not errors


def values(view) -> dict:
    return json.loads(view.locator("figure").get_attribute("data-values"))


def put(view, **places) -> dict:
    """Move controls to places, as a reader does; return the values that are shown then."""
    for control, place in places.items():
        chosen = view.locator(f"[data-control='{control}']")
        if chosen.evaluate("e => e.tagName") == "SELECT":
            chosen.select_option(index=place)
        else:
            chosen.focus()
            chosen.press("Home")
            for _ in range(place):
                chosen.press("ArrowRight")
    return values(view)


@each
def test_every_control_changes_the_picture(show, name):
    """By keyboard alone, and each control has a label that says what it is."""
    view = show(name)
    controls = view.locator("[data-control]")
    assert controls.count() >= 1
    for i in range(controls.count()):
        control = controls.nth(i)
        assert len(view.locator(f"label[for='{control.get_attribute('id')}']").inner_text()) > 2
        before = view.locator(".ex-stage").inner_html()
        control.focus()
        at_end = control.evaluate("e => e.tagName !== 'SELECT' && e.value === e.max")
        control.press(
            "ArrowLeft"
            if at_end
            else "ArrowDown"
            if control.evaluate("e => e.tagName") == "SELECT"
            else "ArrowRight"
        )
        assert view.locator(".ex-stage").inner_html() != before, control.get_attribute("data-control")


@each
def test_the_kept_picture_is_the_first_one(show, name):
    """It stands in the page where no script runs, and shows the same texts."""
    kept = (ROOT / "book" / "_static" / "explorables" / f"{name}.svg").read_text()
    view = show(name, width=800)
    drawn = view.locator(".ex-stage svg text").all_inner_texts()
    view = show(name, java_script_enabled=False)
    assert view.locator(".ex-stage svg text").all_inner_texts() == drawn
    assert kept.count("<image") <= 1
    assert view.locator(".ex-stage svg").bounding_box()["height"] > 100


# Of each text: its contrast with the ground by WCAG 2, and its size as shown in points.
TEXTS = """() => {
  const numbers = c => c.match(/[\\d.]+/g).map(Number);
  const linear = v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = c => numbers(c).slice(0, 3).map(v => linear(v / 255))
    .reduce((s, v, i) => s + v * [.2126, .7152, .0722][i], 0);
  const ground = light(getComputedStyle(document.querySelector("figure.explorable")).backgroundColor);
  const texts = ".explorable text:not(.ex-number), .explorable :is(label, output, p, figcaption, span)";
  return [...document.querySelectorAll(texts)].map(e => {
    const style = getComputedStyle(e), svg = e.ownerSVGElement, own = light(svg ? style.fill : style.color);
    const scale = svg ? svg.getBoundingClientRect().width / svg.viewBox.baseVal.width : 1;
    const ratio = (Math.max(own, ground) + .05) / (Math.min(own, ground) + .05);
    return [ratio, scale * parseFloat(style.fontSize) * .75, e.textContent];
  });
}"""


@each
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_and_fit(show, name, scheme):
    """Contrast of 4.5, no text below nine points as shown, nothing wider than a phone."""
    view = show(name, color_scheme=scheme)
    for ratio, points, text in view.evaluate(TEXTS):
        assert ratio >= 4.5, text
        assert points >= 8.9, text
    view = show(name, width=390, color_scheme=scheme)
    assert view.evaluate("document.documentElement.scrollWidth") <= 390


@each
def test_the_data_are_light(name):
    html = figure(name)
    assert len(html) < 400_000  # two in a chapter stay far below a megabyte
    assert "http://www.w3.org" in html or "http" not in html
    assert not re.search(r"NaN|Infinity", html)


def close(found, expected, digits=3):
    np.testing.assert_allclose(found, expected, rtol=10.0**-digits, atol=2e-4)


def test_both_sides_of_the_identity(show):
    view = show("stein_identity")
    found = put(view, law=2, label=1, order=3, shift=9)
    law = list(stein_moments.LAWS.values())[2]
    close([found["left"], found["right"], found["wrong"]], stein_moments.sides(law, "soft step", 4)[9])
    assert abs(found["left"] - found["right"]) < 0.02 * abs(found["left"] - found["wrong"])
    found = put(view, law=3, order=1, shift=20)  # the curves end where the numbers say
    close(found["drawn"], [found["wrong"], found["right"], found["left"]], 2)


def test_a_moment_is_that_of_the_library(show):
    found = put(show("second_moment"), size=5, way=1)
    law, X, y, truth = stein_moments.labelled_sample(stein_moments.SIZES[5])
    estimate = cross_moment(X, y, law, 2, **list(stein_moments.WAYS.values())[1]).value
    close(found["moment"], estimate, 2)
    close(found["error"], np.linalg.norm(estimate - truth) / np.linalg.norm(truth), 2)


def test_the_ball_touches_where_the_programme_says(show):
    view = show("l1_ball")
    A = l1_recovery.planted(3)
    found = put(view, zeros=3, column=2)
    s = np.array(found["point"]) @ A
    close(np.abs(s).sum(), found["norm"])
    close(s[2], 1.0)
    rows = recover_rows(l1_recovery.MIXING @ A).rows
    cosines = np.abs(rows @ s) / np.linalg.norm(s)
    assert (cosines.max() > 1 - 1e-6) == bool(found["row"])
    assert put(view, zeros=0)["rows"] < put(view, zeros=4)["rows"] == 8


def test_the_sphere_is_that_of_the_loss(show):
    view = show("threshold_sphere")
    for place in (3, 11, 25):
        found = put(view, t=place)
        loss, _ = high_thresholds.landscape(float(high_thresholds.THRESHOLDS[place]))
        close(found["atWeight"], loss.value(high_thresholds.WEIGHTS[0]))
        assert found["low"] <= found["atWeight"] + 1e-3 * (found["high"] - found["low"])
    assert put(view, t=25)["angle"] < 1.0 < 40.0 < put(view, t=10)["angle"]


def test_the_search_is_that_of_the_library(show):
    w, walk, fit = high_thresholds.refinements()
    found = put(show("refinement"), round=30)
    close(found["angle"], np.arccos(walk.directions[30] @ w), 2)
    assert found["fit"] < 1e-8 < walk.angle
    assert fit.n_labels < walk.n_labels / 100


def test_a_descent_from_the_readers_start(show):
    loss = tensor_initialisation.square_loss()
    first, second = np.radians(tensor_initialisation.STARTS[[4, 7]])
    start = np.array([[np.cos(first), np.sin(first)], [np.cos(second), np.sin(second)]])
    rows, losses = tensor_initialisation.descend(loss, start)
    view = show("loss_plane")
    found = put(view, first=4, second=7, step=9)
    close(found["loss"], losses[9])
    close(found["rows"], rows[9], 2)
    assert put(view, source=1, step=17)["loss"] < 0.01
    view.locator(".ex-stage svg").click(position={"x": 200, "y": 100})
    assert json.loads(view.locator("figure").get_attribute("data-state"))["source"] == 0


def test_slices_turn_upright_together(show):
    view = show("slices")
    assert put(view, share=0, noise=0)["off"] > 0.3
    assert put(view, share=20, noise=0)["off"] < 1e-3
    assert 1e-3 < put(view, share=20, noise=2)["off"] < 0.3


def test_the_needle_is_the_correlation(show):
    view = show("needle")
    for width, angle in ((0, 40), (3, 30), (5, 45)):
        found = put(view, width=width, angle=angle)
        expected = structure.plane_correlation(structure.ANGLES[angle], structure.WIDTHS[width])
        close(found["value"], expected)
    assert abs(put(view, width=5, angle=30)["value"] / found["jump"] - 1.0) < 0.05


def test_the_even_landscape_is_the_form(show):
    view = show("even_landscape")
    for place in (2, 30):
        found = put(view, coupling=place)
        form = even_form(structure.even_network(float(structure.COUPLINGS[place])))
        close(found["corner"], form([1.0, 0.0, 0.0])[0])
        close(found["margin"], form.margin)
        assert found["merged"] == (form.margin < 0.0)


def test_the_window_is_that_of_the_library(show):
    view = show("local_window")
    for width, degree, order, point in ((2, 1, 2, 20), (4, 3, 1, 50)):
        found = put(view, width=width, degree=degree, order=order, point=point)
        model = score_estimation.local_fit(
            score_estimation.BANDWIDTHS[width], score_estimation.DEGREES[degree]
        )
        x = score_estimation.POINTS[[point], None]
        close(found["found"], model.score(x, order + 1).item())
        close(found["truth"], score_estimation.BUMPS.score(x, order + 1).item())


def test_the_field_is_that_of_the_library(show):
    view = show("score_field")
    errors = [put(view, width=i)["error"] for i in range(len(score_estimation.FIELD_WIDTHS))]
    assert min(errors) < errors[0]
    assert min(errors) < errors[-1] / 2


def test_two_rows_turn_with_the_network_but_for_laplace(show):
    view = show("two_rows")
    turned = int(np.flatnonzero(landscape_design.TURNS == 30)[0])
    assert put(view, law=1, score=0, mu=0, turn=turned)["off"] < 1.0
    assert put(view, law=3, mu=1)["off"] == pytest.approx(30.0, abs=2.0)  # the rows are the axes
    assert put(view, turn=0)["off"] < 2.0  # where this looks like success


def test_the_turned_direction_is_that_of_the_library(show):
    view = show("turned_direction")
    best = int(np.argmin(np.abs(reduction.ANGLES - reduction.TRUE)))
    for link, seen in enumerate([[True, False, True], [False, True, True], [False, False, False]]):
        X, y = reduction.turned_sample(link)
        for order, expected in enumerate(seen):
            found = put(view, link=link, order=order, angle=best)
            assert found["seen"] is expected
            assert not expected or abs(found["found"] - reduction.TRUE) < 3.0
        close(found["share"], reduction.projected(X, y, reduction.TRUE)[1])
        assert found["share"] > 2.0 * put(view, angle=(best + 30) % len(reduction.ANGLES))["share"]
