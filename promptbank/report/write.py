"""Write a report: all of its files, or none."""

from collections.abc import Mapping
from pathlib import Path

from promptbank.files import write_together
from promptbank.report.errors import ReportError
from promptbank.report.parts import Report, check_name
from promptbank.report.render import figure_file, markdown, page

__all__ = ["report_files", "write_files", "write_report"]


def write_report(report: Report, folder: Path, name: str) -> list[Path]:
    """Write ``<name>.md`` with ``<name>-<figure>.png`` beside it, and ``<name>.html``, which needs no other file.

    Equal reports give equal bytes. Everything is written under other names first, and takes its place only when all of
    it is on the disk.

    Args:
        report: what to write.
        folder: made if it is not there; files of these names in it are replaced.
        name: lower-case letters and digits in words joined by ``-``.

    Returns:
        The paths: Markdown, page, and the figures in their order.

    Raises:
        ReportError: the name cannot be a file's, or the folder cannot be written.
    """
    contents = report_files(report, name)
    try:
        write_files(folder, contents)
    except OSError as exc:
        raise ReportError(
            f"report {name!r} cannot be written to {folder} ({exc.strerror}); name another folder"
        ) from exc
    return [folder / file for file in contents]


def report_files(report: Report, name: str) -> dict[str, str | bytes]:
    """Return the files of a report by name, see `write_report`."""
    check_name(name, "report")
    contents: dict[str, str | bytes] = {f"{name}.md": markdown(report, name), f"{name}.html": page(report)}
    return contents | {figure_file(name, figure): figure.png for figure in report.figures}


def write_files(folder: Path, contents: Mapping[str, str | bytes]) -> None:
    """Write files by name into a folder that is made if it is not there; none takes its place before all are written.

    Raises:
        OSError: one cannot be written; none has changed then.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_together({folder / name: content for name, content in contents.items()})
