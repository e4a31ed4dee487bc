"""Arms of a cross-validation: other rows to learn from, the same rows to answer."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from promptbank.errors import InputError
from promptbank.lab.experiments.arms import Arms, OtherLanguage, arm_split, read_flagged, relabelled
from promptbank.lab.experiments.crossval import run_crossval
from promptbank.lab.reports.crossval import crossval_report
from promptbank.report.parts import Table
from tasks import Example, crossval_split
from tests.unit.test_experiments import apart_from_timings, setup_of
from tests.worlds import card_of, examples_of

MINE = examples_of(32)
SWEDISH = {"positive": "positiv", "negative": "negativ"}


def swedish() -> list[Example]:
    """The same rows, as if in another language and with its labels."""
    return [
        replace(e, lang="sv", fields={"sentence": f"på svenska {e.fields['sentence']}"}, answer=SWEDISH[e.answer or ""])
        for e in MINE
    ]


SWEDISH_TASK = OtherLanguage(card_of(lang="sv"), swedish())


def test_rows_of_another_language_get_the_answers_of_this_one() -> None:
    found = relabelled(swedish(), MINE)
    assert [e.answer for e in found] == [e.answer for e in MINE]
    assert {e.id for e in found}.isdisjoint(e.id for e in MINE)
    assert [e.group for e in found] == [e.group for e in MINE]
    assert all("svenska" in e.fields["sentence"] for e in found)


def test_a_row_that_was_not_translated_is_still_learnt_from() -> None:
    assert len(relabelled(swedish(), MINE[:10])) == 32


def test_answers_that_do_not_stand_for_one_another_are_an_error() -> None:
    mixed = [replace(swedish()[0], answer="negativ"), *swedish()[1:]]
    with pytest.raises(InputError, match="must mean the same"):
        relabelled(mixed, MINE)
    with pytest.raises(InputError, match="has the answer negativ, positiv"):
        relabelled([replace(e, id=f"other{e.id}") for e in swedish()], MINE)


def test_rows_of_one_id_in_two_groups_could_be_learnt_from_where_they_are_tested() -> None:
    moved = [replace(swedish()[0], group="another"), *swedish()[1:]]
    with pytest.raises(InputError, match="the row with id 'e0' is of group 'another', and of 'g0' in the tested set"):
        relabelled(moved, MINE)


def test_flags_of_another_set_are_refused() -> None:
    with pytest.raises(InputError, match="none of the 2 flagged ids, such as 'a', is a row of the set"):
        Arms(flagged={"b", "a"}).pools(MINE)


@pytest.mark.parametrize("fold", [0, 1, 2])
def test_an_arm_never_learns_from_a_group_that_is_tested(fold: int) -> None:
    own = crossval_split(MINE, 3, fold, 0.25)
    for pool in Arms(SWEDISH_TASK, {"e3"}).pools(MINE).values():
        split = arm_split(pool, own, 3, fold, 0.25)
        assert split.test == own.test
        tested = {e.group for e in split.test}
        assert tested.isdisjoint(e.group for e in (*split.train, *split.dev))
        assert {e.group for e in split.train} <= {e.group for e in own.train}
        assert {e.group for e in split.dev} <= {e.group for e in own.dev}


def test_the_pools_are_the_other_rows_both_and_those_without_a_flag() -> None:
    pools = Arms(SWEDISH_TASK, {"e3", "e4"}).pools(MINE)
    assert {name: len(pool) for name, pool in pools.items()} == {"sv": 32, "sv and en": 64, "ok": 30}
    assert Arms().pools(MINE) == {}


def run(home: Path, arms: Arms | None) -> dict[str, Any]:
    return json.loads(run_crossval(setup_of(home, 32), folds=3, arms=arms).read_text())


def test_an_arm_is_added_to_a_finished_cross_validation_without_learning_it_again(tmp_path: Path) -> None:
    alone = run(tmp_path, None)
    arms = Arms(SWEDISH_TASK, frozenset({"e3", "e4"}))
    both = run(tmp_path, arms)
    assert both["results"]["ptuned"] == alone["results"]["ptuned"]
    assert all(both["timings"][name] == timing for name, timing in alone["timings"].items())
    assert sorted(both["results"]["arms"]) == ["ok", "sv", "sv and en", "sv, then en"]
    then = both["results"]["arms"]["sv, then en"]["ptuned"]
    before = both["results"]["arms"]["sv"]["ptuned"]
    assert [fold["start"] for fold in then] == [f"mood:en@{4 + k}" for k in range(3)]  # 1 to 3 are the set's own
    assert [fold["sizes"] for fold in then] == [fold["sizes"] for fold in both["results"]["ptuned"]]
    assert [sorted(fold["predicted"]) for fold in then] == [sorted(fold["predicted"]) for fold in before]
    for arm in both["results"]["arms"].values():
        assert sorted(i for fold in arm["ptuned"] for i in fold["predicted"]) == sorted(e.id for e in MINE)
    assert apart_from_timings(run(tmp_path / "fresh", arms)) == apart_from_timings(both)
    assert apart_from_timings(run(tmp_path, None)) == apart_from_timings(both)  # what is there is not dropped


def test_the_report_sets_arms_and_flagged_rows_apart(tmp_path: Path) -> None:
    result = run(tmp_path, Arms(SWEDISH_TASK, frozenset({"e3", "e4"})))
    report = crossval_report(result, MINE)
    methods, apart = (
        next(part for part in report.parts if isinstance(part, Table) and part.title == title)
        for title in ("By method", "Flagged rows apart")
    )
    names = ["p-tuned", *(f"p-tuned on {arm}" for arm in ("sv", "sv, then en", "sv and en", "ok"))]
    assert [row[0] for row in methods.rows][:5] == names
    gold = {e.id: e.answer for e in MINE}
    predicted = {i: label for fold in result["results"]["ptuned"] for i, label in fold["predicted"].items()}
    clean = [i for i in predicted if i not in ("e3", "e4")]
    assert apart.rows[0][1] == pytest.approx(sum(predicted[i] == gold[i] for i in clean) / 30)
    assert apart.rows[0][2] == pytest.approx(sum(predicted[i] == gold[i] for i in ("e3", "e4")) / 2)
    assert "on 2 flagged rows" in apart.columns


def test_flags_are_read_from_a_provenance_file(tmp_path: Path) -> None:
    path = tmp_path / "provenance.jsonl"
    path.write_text('{"row_id": "a", "status": "ok"}\n{"row_id": "b", "status": "review"}\n')
    assert read_flagged(path) == {"b"}
    path.write_text('{"row_id": "c#answer", "status": "warn"}\n')
    assert "c" in read_flagged(path)  # a flag on a second text of a row is a flag on the row
    path.write_text('{"row": "a"}\n')
    with pytest.raises(InputError, match=r"no provenance\.jsonl"):
        read_flagged(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_flagged(tmp_path / "absent")
