"""What all plots share: paper, colours, words, and bytes that are the same each time.

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

__all__ = [
    "COLOURS",
    "DASHES",
    "LINE",
    "LISTED",
    "MARKERS",
    "QUIET",
    "WIDTH",
    "draw",
    "look",
    "need_matplotlib",
    "pale",
    "upright",
    "words",
]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito (2008), told apart by colour-blind readers; their yellow is too pale on white."""

MARKERS = "osD^vPX*"
DASHES = ("-", "--", ":", "-.")
QUIET = "#57606a"

WIDTH = 8.0
"""Inches; at 150 dots an inch a plot has 1,200 pixels, and text of 11 points is 15 pixels high on a page 800 wide."""

LISTED = "listed"
"""Label of what stands in the legend; `draw` writes the names there."""

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
        title: at the top; long ones are broken.
        x_label: with the unit.
        y_label: with the unit.
        height: of the axes, in inches; the words around them get their own room.
        below: room for names that lean, in inches.
        legend: names of what `paint` labelled `LISTED`, in order; one alone needs none, the title names it.

    Raises:
        PromptBankError: matplotlib is not installed.
    """
    need_matplotlib()
    from matplotlib import style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    title, x_label, y_label = words(title, 64), words(x_label, 64), upright(y_label, height)
    columns, room = _legend(legend)
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
            for text, name in zip(drawn.get_texts(), legend, strict=True):
                text.set_text(_shown(name))  # as a label, a name that begins with "_" would be left out
        return _png(figure)


def _legend(names: Sequence[str]) -> tuple[int, float]:
    """Columns of a legend below the plot, where it hides nothing, and the inches that it takes; none for one name."""
    if len(names) < 2:
        return 0, 0.0
    longest = max(len(line) for name in names for line in _shown(name).splitlines())
    columns = min(len(names), 3 if longest <= 22 else 2)
    rows = -(-len(names) // columns)
    return columns, LINE * rows * max(_lines(_shown(name)) for name in names) + 0.2


def _shown(name: str) -> str:
    """Return a name as the legend shows it."""
    return words(name, 38, lines=2)


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
