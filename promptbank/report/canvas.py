"""What all plots share: size, colours, wrapped labels, a legend below, and the same bytes for the same input.

matplotlib (extra ``experiments``) is imported when a plot is made, without pyplot, so no window system and no state of
other code is touched; the reader's own matplotlib settings decide nothing.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from promptbank.errors import PromptBankError
from promptbank.report.cells import plain_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["COLOURS", "LINE", "LISTED", "QUIET", "WIDTH", "draw", "look", "need_matplotlib", "pale", "upright", "words"]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito (2008), told apart by colour-blind readers; their yellow is too pale on white."""

MARKERS = "osD^vPX*"
DASHES = ("-", "--", ":", "-.")
QUIET = "#57606a"

WIDTH = 8.0
"""Inches; at 150 dots an inch a plot has 1,200 pixels, and text of 11 points is 15 pixels high on a page 800 wide."""

LISTED = "listed"
"""Label that a painter gives to what the legend names; `draw` writes the names themselves."""

LINE = 0.23
"""Height of a line of text, in inches."""

STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": QUIET,
    "axes.grid": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 13,
    "figure.constrained_layout.h_pad": 0.12,  # inches
    "figure.constrained_layout.w_pad": 0.12,
    "figure.dpi": 150,
    "figure.titlesize": 14,
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": 11,
    "grid.color": "#d8dde3",
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "text.parse_math": False,  # a label with two $ is no formula
}


def need_matplotlib() -> None:
    """Make sure that plots can be made, before what they are to show is computed for hours.

    Raises:
        PromptBankError: matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise PromptBankError("plots need matplotlib; install it with: pip install 'promptbank[experiments]'")


def draw(
    paint: Callable[[Figure, Axes], None],
    *,
    title: str,
    x_label: str,
    y_label: str,
    height: float,
    below: float = 0.0,
    legend: Sequence[str] = (),
) -> bytes:
    """Return a plot as PNG bytes, the same for equal input on one machine.

    Args:
        paint: draws on the axes of the figure.
        title: at the top; long ones are broken, as are the labels.
        x_label: with the unit.
        y_label: with the unit.
        height: of the axes, in inches; the words around them get their own room.
        below: room for slanted names, in inches.
        legend: names of what `paint` labelled `LISTED`, in order; none for no legend.

    Raises:
        PromptBankError: matplotlib is not installed.
    """
    need_matplotlib()
    from matplotlib import style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    title, x_label, y_label = words(title, 64), words(x_label, 64), upright(y_label, height)
    names = [words(name, 38, lines=2) for name in legend]
    columns, room = _legend(names)
    height += LINE * (1.6 * _lines(title) + _lines(x_label)) + below + room + 0.5
    with style.context(["default", STYLE]):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        FigureCanvasAgg(figure)
        figure.suptitle(title, x=0.015, ha="left", fontweight="bold")
        axes = figure.add_subplot()
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
        paint(figure, axes)
        if columns:
            drawn = figure.legend(loc="outside lower center", ncols=columns)
            for text, name in zip(drawn.get_texts(), names, strict=True):
                text.set_text(name)  # as a label, a name that begins with "_" would be left out
        return _png(figure)


def _legend(names: Sequence[str]) -> tuple[int, float]:
    """Return the columns of a legend below the plot, where it hides nothing, and its height in inches."""
    if not names:
        return 0, 0.0
    longest = max(len(line) for name in names for line in name.splitlines())
    columns = min(len(names), 3 if longest <= 22 else 2)
    return columns, LINE * -(-len(names) // columns) * max(map(_lines, names)) + 0.2


def upright(text: str, height: float) -> str:
    """Return text that is written upwards, broken so that it is no longer than so many inches."""
    return words(text, max(12, int(11.5 * height)))


def _lines(text: str) -> int:
    return text.count("\n") + 1


def _png(figure: Figure) -> bytes:
    """Write what is drawn with 256 colours, which look the same and take a third of the bytes (125 to 40 kB)."""
    from PIL import Image  # matplotlib needs it too

    drawn, file = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", metadata={"Software": None})  # the version of matplotlib would be in it
    image = Image.open(drawn).convert("RGB")
    image.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return file.getvalue()


def pale(colour: str, share: float = 0.45) -> tuple[float, float, float]:
    """Return a colour mixed with white, so that nothing shines through as it would through a transparent one."""
    red, green, blue = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    return 1 - share * (1 - red), 1 - share * (1 - green), 1 - share * (1 - blue)


def words(text: str, width: int, lines: int = 3) -> str:
    """Return text that can be drawn, broken into lines of so many characters; what does not fit ends with "…"."""
    return "\n".join(textwrap.wrap(plain_text(text), width, max_lines=lines, placeholder=" …")) or " "


def look(place: int) -> tuple[str, str, str]:
    """Return colour, marker and dashes of a series: never told apart by colour alone."""
    return COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)], DASHES[place // len(COLOURS) % len(DASHES)]
