"""Plots: bytes that repeat, text that is text, numbers where they belong, and one line where something is missing."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from promptbank.errors import PromptBankError
from promptbank.report.canvas import COLOURS, MARKERS, look
from promptbank.report.errors import ReportError
from promptbank.report.matrix import matrix_plot
from promptbank.report.parts import Figure
from promptbank.report.plots import Dot, bar_plot, curve_plot, scatter_plot
from tasks.errors import DataError
from tests.stores import ROOT

matplotlib = pytest.importorskip("matplotlib")

WORDS = "$a$ _b <c> & ${"


def curves(name: str = "p-tuned", **changes: object) -> bytes:
    series = {name: {8: [0.5, 0.6], 64: [0.7, 0.72]}, "TF-IDF": {8: [0.4], 64: [0.5]}}
    return curve_plot(series, **({"title": name, "x_label": "rows", "y_label": "macro-F1", "log_x": True} | changes))


def bars(name: str = "p-tuned") -> bytes:
    methods = {name: {"accuracy": [0.8, 0.9], name: [0.7]}, "majority": {"accuracy": [0.6], name: [0.4]}}
    return bar_plot(methods, title=name, value_label="score")


def matrix(name: str = "a") -> bytes:
    return matrix_plot([[0.8, None], [0.8, 0.7]], [name, "b"], title=name)


def scatter(name: str = "p-tuned") -> bytes:
    dots = [Dot(name, 44.2, 0.82, 0.01), Dot("majority", 0.1, 0.65)]
    return scatter_plot(dots, title=name, x_label="time (s)", y_label="accuracy", log_x=True)


PLOTS = [curves, bars, matrix, scatter]


@contextmanager
def drawn(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """The matplotlib figures of the plots made inside, as they were when written."""
    from matplotlib.figure import Figure as Drawing

    found: list[object] = []
    save = Drawing.savefig

    def keep(figure: Drawing, *arguments: object, **options: object) -> None:
        save(figure, *arguments, **options)
        found.append(figure)

    with monkeypatch.context() as patch:
        patch.setattr(Drawing, "savefig", keep)
        yield found


@pytest.mark.parametrize("plot", PLOTS)
def test_a_plot_is_a_picture_1200_pixels_wide_of_less_than_100_kilobytes(plot: Callable[..., bytes]) -> None:
    figure = Figure("f", "t", plot(), alt="x")
    assert figure.size[0] == 1200
    assert len(figure.png) < 100_000


@pytest.mark.parametrize("plot", PLOTS)
def test_equal_input_gives_equal_bytes_whatever_the_readers_own_settings(plot: Callable[..., bytes]) -> None:
    before = plot()
    with matplotlib.rc_context(
        {"font.size": 20, "axes.facecolor": "black", "savefig.dpi": 30, "savefig.bbox": "tight"}
    ):
        assert plot() == before
        assert matplotlib.rcParams["font.size"] == 20
    assert b"matplotlib" not in before
    assert plot("other") != before


@pytest.mark.parametrize("plot", PLOTS)
def test_names_are_text_and_not_formulas(plot: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    with drawn(monkeypatch) as found:
        plot(WORDS)
    texts = [text.get_text() for text in found[0].findobj(matplotlib.text.Text)]
    assert texts.count(WORDS) >= 2  # the title and a name
    assert not [text for text in texts if "mathdefault" in text]


LONG = "a rather long name of a method that was learnt with a prompt of ten virtual tokens, and then measured"
LONG_NAMES = [f"{n} {LONG}" for n in range(7)]


def long_matrix(n: int) -> bytes:
    return matrix_plot([[0.5] * n] * n, LONG_NAMES[:n], title=LONG)


CROWDED: dict[str, Callable[[], bytes]] = {
    "curves": lambda: curve_plot(
        {name: {1: [0.5], 2: [0.6]} for name in LONG_NAMES}, title=LONG, x_label=LONG, y_label=LONG, levels={LONG: 0.1}
    ),
    "bars": lambda: bar_plot(
        {method: {metric: [0.5, 0.6] for metric in LONG_NAMES[:2]} for method in LONG_NAMES},
        title=LONG, value_label=LONG,
    ),
    "two bars": lambda: bar_plot({"a": {LONG: [0.5], "m": [0.4]}}, title=LONG, value_label=LONG),
    "matrix": lambda: long_matrix(7),
    "small matrix": lambda: long_matrix(2),
    "scatter": lambda: scatter_plot(
        [Dot(name, n, 0.5, 0.1) for n, name in enumerate(LONG_NAMES)], title=LONG, x_label=LONG, y_label=LONG
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", CROWDED)
def test_long_names_are_neither_cut_off_at_the_edge_nor_crowd_out_the_plot(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with drawn(monkeypatch) as found:
        CROWDED[kind]()
    figure, axes = found[0], found[0].axes[0]
    used, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert 0 <= used.x0 < used.x1 <= width
    assert 0 <= used.y0 < used.y1 <= height
    words = [figure._suptitle, axes.xaxis.label, axes.yaxis.label, *figure.legends, *axes.texts]
    boxes = [word.get_window_extent() for word in words]
    for place, box in enumerate(boxes):
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.x1
        assert box.y0 >= 0
        assert box.y1 <= figure.bbox.y1
        assert not [other for other in boxes[:place] if box.overlaps(other)]
    names = [label.get_window_extent() for label in axes.get_yticklabels()]
    assert not any(one.overlaps(other) for one, other in itertools.pairwise(names))
    assert axes.bbox.width > figure.bbox.width / 3
    level = [label.get_window_extent() for label in axes.get_xticklabels() if not label.get_rotation()]
    assert not any(one.overlaps(other) for one, other in itertools.pairwise(level))


def test_a_curve_is_the_means_in_order_with_a_band_of_one_standard_deviation(monkeypatch: pytest.MonkeyPatch) -> None:
    with drawn(monkeypatch) as found:
        curve_plot({"a": {2: [1.0, 3.0], 1: [5.0]}}, title="t", x_label="x", y_label="y", levels={"floor": 0.5})
    axes = found[0].axes[0]
    curve, level = axes.lines
    assert curve.get_xydata().tolist() == [[1, 5], [2, 2]]
    assert level.get_ydata() == [0.5, 0.5]
    band = axes.collections[0].get_paths()[0].vertices
    assert {y for x, y in band if x == 1} == {5}
    assert sorted({y for x, y in band if x == 2}) == pytest.approx([2 - 2**0.5, 2 + 2**0.5])
    assert sorted(map(tuple, axes.collections[1].get_offsets().tolist())) == [(2, 1), (2, 3)]


def test_every_curve_and_level_is_in_the_legend_even_with_a_low_line_first(monkeypatch: pytest.MonkeyPatch) -> None:
    with drawn(monkeypatch) as found:
        curve_plot({"_a": {1: [0.1]}, "b": {1: [0.2]}}, title="t", x_label="x", y_label="y", levels={"_c": 0.3})
        bar_plot({"m": {"_a": [1.0], "b": [2.0]}}, title="t", value_label="v")
    names = [[text.get_text() for text in figure.legends[0].get_texts()] for figure in found]
    assert names == [["_a", "b", "_c"], ["_a", "b"]]


def test_ticks_of_a_logarithmic_axis_are_what_was_measured_and_do_not_touch(monkeypatch: pytest.MonkeyPatch) -> None:
    points = {x: [0.5] for x in (8, 16, 800, 820, 1000)}
    with drawn(monkeypatch) as found:
        curve_plot({"a": points}, title="t", x_label="x", y_label="y", log_x=True)
    labels = [label.get_text() for label in found[0].axes[0].get_xticklabels()]
    assert labels == ["8", "16", "800"]


def test_bars_begin_at_zero_and_say_their_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    with drawn(monkeypatch) as found:
        bar_plot({"a": {"m": [0.8, 0.9]}, "b": {"m": [-0.2]}}, title="t", value_label="v")
    axes = found[0].axes[0]
    assert [(bar.get_x(), bar.get_width()) for bar in axes.patches] == [(0, pytest.approx(0.85)), (0, -0.2)]
    low, high = axes.get_xlim()
    assert low < -0.2
    assert high > 0.9
    assert [text.get_text() for text in axes.texts] == ["0.8500 ± 0.0707", "-0.2000"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
    assert axes.yaxis_inverted()


def test_a_matrix_has_its_numbers_in_its_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    with drawn(monkeypatch) as found:
        matrix_plot([[0.9, 0.25], [None, 0.5]], ["a", "b"], title="t")
    axes = found[0].axes[0]
    numbers = {text.get_position(): text.get_text() for text in axes.texts if text.get_text()}
    assert numbers == {(0, 0): "0.900", (1, 0): "0.250", (1, 1): "0.500"}
    assert [[label.get_text() for label in side] for side in (axes.get_xticklabels(), axes.get_yticklabels())] == [
        ["a", "b"],
        ["a", "b"],
    ]
    assert axes.images[0].get_clim() == (0, 1)  # the same colours in all matrices
    assert axes.yaxis_inverted()


def test_every_dot_has_its_name_in_a_legend_that_hides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    dots = [Dot(f"method number {n}", 10 + n / 3, 0.8 + 0.004 * n, 0.01) for n in range(6)] + [Dot("far", 90, 0.6)]
    with drawn(monkeypatch) as found:
        scatter_plot(dots, title="t", x_label="x", y_label="y")
    figure, axes = found[0], found[0].axes[0]
    (legend,) = figure.legends
    names = [text.get_window_extent() for text in legend.get_texts()]
    assert [text.get_text() for text in legend.get_texts()] == [dot.name for dot in dots]
    for place, name in enumerate(names):
        assert not any(name.overlaps(other) for other in names[:place])
        assert figure.bbox.containsx(name.x0)
        assert figure.bbox.containsx(name.x1)
        assert not name.overlaps(axes.get_tightbbox())
    assert not axes.texts


def test_a_dot_stands_where_it_was_measured_and_looks_as_in_the_legend(monkeypatch: pytest.MonkeyPatch) -> None:
    dots = [Dot(f"{n}", 1 + n, 0.5 + 0.02 * n, 0.01 if n % 2 else None) for n in range(9)]
    with drawn(monkeypatch) as found:
        scatter_plot(dots, title="t", x_label="x", y_label="y")
    painted = found[0].axes[0].containers
    assert [bar[0].get_xydata().tolist() for bar in painted] == [[[dot.x, dot.y]] for dot in dots]
    looks = [(bar[0].get_color(), bar[0].get_marker()) for bar in painted]
    lines = found[0].legends[0].findobj(matplotlib.lines.Line2D)
    listed = [(line.get_color(), line.get_marker()) for line in lines if line.get_marker() in MARKERS]
    assert looks == listed
    assert len(set(looks)) == 9
    for dot, bar in zip(dots, painted, strict=True):
        spread = [segment[:, 1].tolist() for part in bar[2] for segment in part.get_segments()]
        assert spread == ([pytest.approx([dot.y - 0.01, dot.y + 0.01])] if dot.y_sd else [])


def test_a_lonely_dot_has_its_name_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with drawn(monkeypatch) as found:
        scatter_plot([Dot("_alone", 20, 50)], title="t", x_label="x", y_label="y")
    assert [text.get_text() for text in found[0].legends[0].get_texts()] == ["_alone"]


def test_series_differ_in_more_than_colour() -> None:
    looks = [look(place) for place in range(28)]
    assert len({look[:1] for look in looks[: len(COLOURS)]}) == len(COLOURS)
    assert len(set(looks)) == 28
    assert len({look[1:] for look in looks[:7]}) == 7


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ReportError, match="no curve at all"):
        curve_plot({}, title="t", x_label="x", y_label="y")
    with pytest.raises(ReportError, match="x = 0 has no place"):
        curve_plot({"a": {0: [1.0]}}, title="t", x_label="x", y_label="y", log_x=True)
    with pytest.raises(DataError, match="nan"):
        curve_plot({"a": {1: [float("nan")]}}, title="t", x_label="x", y_label="y")
    with pytest.raises(ReportError, match="b has other and the first has m"):
        bar_plot({"a": {"m": [1.0]}, "b": {"other": [1.0]}}, title="t", value_label="v")
    with pytest.raises(ReportError, match="the same metrics"):
        bar_plot({}, title="t", value_label="v")
    with pytest.raises(ReportError, match="no dots"):
        scatter_plot([], title="t", x_label="x", y_label="y")
    with pytest.raises(ReportError, match="'a' at 0, 1 has no place"):
        scatter_plot([Dot("a", 0, 1)], title="t", x_label="x", y_label="y", log_x=True)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[1.0]], r"has 1 rows of \[1\] cells, and 2 names"),
        ([[1.0, 0.5], [1.0]], r"2 rows of \[1, 2\] cells"),
        ([[None, None], [None, None]], "at least one number"),
        ([[float("inf"), 1], [1, 1]], "finite"),
    ],
)
def test_matrices_that_cannot_be_drawn_are_refused(values: list[list[float | None]], message: str) -> None:
    with pytest.raises(ReportError, match=message):
        matrix_plot(values, ["a", "b"], title="t")


def test_a_matrix_too_large_to_read_is_refused() -> None:
    with pytest.raises(ReportError, match="17 rows; at most 16"):
        matrix_plot([[0.5] * 17] * 17, [str(n) for n in range(17)], title="t")


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(PromptBankError, match=r"pip install 'promptbank\[experiments\]'"):
        curves()


def test_importing_reports_and_plots_loads_neither_matplotlib_nor_torch() -> None:
    code = "import sys, promptbank.report.plots, promptbank.report.write, tasks.statistics; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not {"matplotlib", "numpy", "torch", "PIL"} & set(done.stdout.split())
