"""FiQA 2018 task 1: financial sentiment of a sentence towards a target; and a small task of the same sentences."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from tasks.builtin import builtin_card
from tasks.converters.conversion import Conversion, group_of
from tasks.errors import DataError
from tasks.records import parse_json
from tasks.template import Text, VirtualBlock, scan_template

__all__ = ["CONVERTERS", "convert_fiqa", "convert_headline_or_post"]

Words = Annotated[str, Field(pattern=r"^[^\x00]*$")]


class _Target(BaseModel):
    target: Words
    sentiment_score: float = Field(ge=-1, le=1)


class _Item(BaseModel):
    sentence: Words
    info: list[_Target]


def convert_fiqa(paths: Sequence[Path]) -> Conversion:
    """Convert FiQA to positive and negative sentiment; targets with a score of 0 are dropped, and counted in the notes.

    The group is the sentence without its target, so one headline with two targets never straddles a split.

    Args:
        paths: the files ``task1_headline_ABSA_train.json`` and ``task1_post_ABSA_train.json``, or one of them.

    Raises:
        DataError: a file is not in this format, or an item occurs twice.
    """
    card = builtin_card("sentiment-task", "en")
    records, neutral = [], 0
    for _, key, item in _items(paths):
        for number, target in enumerate(item.info):
            if target.sentiment_score == 0:
                neutral += 1
                continue
            values = {"sentence": item.sentence, "target": target.target}
            records.append(
                {
                    "taskname": card.taskname,
                    "sentence": _filled(card.phrases["target"], values),
                    "label": "positive" if target.sentiment_score > 0 else "negative",
                    "id": f"fiqa-{key}-{number}",
                    "group": group_of(item.sentence),
                    "target": target.target,
                }
            )
    notes = [f"{len(records)} records in {len({record['group'] for record in records})} groups"]
    notes += [f"{neutral} neutral targets dropped (score 0)"] if neutral else []
    return Conversion(tuple(records), tuple(notes))


def convert_headline_or_post(paths: Sequence[Path]) -> Conversion:
    """Convert FiQA's sentences to where they stood: a newspaper's headline, or a post.

    Raises:
        DataError: a file is not in this format, or its name says neither headline nor post.
    """
    labels = {path: kind for path in paths for kind in ("post", "headline") if kind in path.name}
    for path in set(paths) - labels.keys():
        raise DataError(f"{path}: the file's name must hold 'headline' or 'post', which is the label of its items")
    records: dict[tuple[str, str], dict[str, str]] = {}
    for path, key, item in _items(paths):
        label = labels[path]
        record = {"taskname": "headline-or-post", "sentence": item.sentence, "label": label, "id": f"fiqa-{key}"}
        records.setdefault((item.sentence, label), record | {"group": group_of(item.sentence)})
    return Conversion(tuple(records.values()), (f"{len(records)} different sentences",))


CONVERTERS = {"fiqa": convert_fiqa, "headline-or-post": convert_headline_or_post}


def _filled(phrase: str, values: Mapping[str, str]) -> str:
    """Put values into a phrase; what is in a value stays as it is."""
    segments = scan_template(phrase)[0]
    words = [s for s in segments if not isinstance(s, VirtualBlock)]
    return "".join(s.text if isinstance(s, Text) else values[s.name] for s in words)


def _items(paths: Sequence[Path]) -> Iterator[tuple[Path, str, _Item]]:
    """Yield file, key and content of every item; a key may occur once in all files."""
    seen: dict[str, Path] = {}
    for path in paths:
        for key, item in _content(path).items():
            if key in seen:
                raise DataError(f"{path}: item {key!r} already stands in {seen[key]}; give each file and item once")
            seen[key] = path
            try:
                yield path, key, _Item.model_validate(item)
            except ValidationError as exc:
                why = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in exc.errors())
                raise DataError(f"{path}: item {key!r} is not in FiQA's format ({why})") from exc


def _content(path: Path) -> dict[str, object]:
    try:
        content = parse_json(path.read_bytes())
    except (OSError, DataError) as exc:
        raise DataError(f"{path} cannot be read as FiQA JSON: {exc}") from exc
    if not isinstance(content, dict):
        raise DataError(f"{path} is not in FiQA's format: an object of items is needed, not {type(content).__name__}")
    return content
