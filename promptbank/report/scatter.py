"""Methods as named dots: what quality costs, say."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from promptbank.report.canvas import QUIET, draw, look, words
from promptbank.report.errors import ReportError
from promptbank.report.placing import Box, place_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Dot", "scatter_plot"]

GAP = 8
"""Points between the middle of a dot and its name."""


@dataclass(frozen=True)
class Dot:
    """A method in a scatter plot.

    Attributes:
        name: written beside it.
        x: such as seconds.
        y: such as macro-F1.
        y_sd: spread of ``y``, drawn as a bar; None for one value alone.
    """

    name: str
    x: float
    y: float
    y_sd: float | None = None


def scatter_plot(dots: Sequence[Dot], *, title: str, x_label: str, y_label: str, log_x: bool = False) -> bytes:
    """Draw methods as named dots.

    Args:
        dots: at least one.
        title: of the plot.
        x_label: with the unit.
        y_label: with the unit, and over what the spread is.
        log_x: x is logarithmic.

    Raises:
        PromptBankError: matplotlib is not installed.
        ReportError: no dots, a number that is not finite, or an x of 0 or less on a logarithmic axis.
    """
    if not dots:
        raise ReportError(f"plot {title!r} has no dots; give at least one")
    for dot in dots:
        if not all(map(math.isfinite, (dot.x, dot.y, dot.y_sd or 0.0))) or (log_x and dot.x <= 0):
            raise ReportError(f"{dot.name!r} at {dot.x}, {dot.y} has no place in plot {title!r}; leave it out")

    def paint(figure: Figure, axes: Axes) -> None:
        if log_x:
            from matplotlib.ticker import EngFormatter

            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(EngFormatter(sep=""))  # 10k, 1M; the usual one writes powers as formulas
            axes.xaxis.set_minor_formatter(lambda *_: "")
        axes.grid()
        axes.margins(x=0.15, y=0.15)
        for number, dot in enumerate(dots):
            colour, marker, _ = look(number)
            axes.errorbar(dot.x, dot.y, yerr=dot.y_sd, color=colour, marker=marker, markersize=8, capsize=3)
        figure.draw_without_rendering()  # the layout decides where the dots are
        _name(axes, dots, figure.dpi / 72)

    return draw(paint, title=title, x_label=x_label, y_label=y_label, height=4.0)


def _name(axes: Axes, dots: Sequence[Dot], scale: float) -> None:
    """Write names where they hide neither dots, their bars nor each other, with a thin line to a dot far off.

    Args:
        axes: laid out.
        dots: all of them.
        scale: pixels a point.
    """
    names = [
        axes.annotate(words(d.name, 28, lines=2), (d.x, d.y), fontsize=10, in_layout=False, zorder=4) for d in dots
    ]
    sizes = [(box.width, box.height) for box in (name.get_window_extent() for name in names)]
    places = _pixels(axes, [(dot.x, dot.y) for dot in dots])
    found = place_labels(places, sizes, Box(*axes.bbox.bounds), gap=GAP * scale, hidden=list(_bars(axes, dots, scale)))
    for name, (x, y), box in zip(names, places, found, strict=True):
        name.set(anncoords="offset points", verticalalignment="bottom")
        name.set_position(((box.left - x) / scale, (box.bottom - y) / scale))
        if box.distance(x, y) > 1.5 * GAP * scale:
            ends = axes.transData.inverted().transform([(x, y), box.nearest(x, y)])
            axes.plot(ends[:, 0], ends[:, 1], color=QUIET, linewidth=0.8, scalex=False, scaley=False, zorder=1)


def _bars(axes: Axes, dots: Sequence[Dot], scale: float) -> Iterator[Box]:
    """What the bars of the spread cover."""
    for dot in dots:
        if dot.y_sd:
            (x, low), (_, high) = _pixels(axes, [(dot.x, dot.y - dot.y_sd), (dot.x, dot.y + dot.y_sd)])
            yield Box(x - 3 * scale, low, 6 * scale, high - low)


def _pixels(axes: Axes, points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in axes.transData.transform(points)]
