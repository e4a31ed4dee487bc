import json
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store import AliasMove, Scope, Store, open_store
from store.aliases import undo_stack
from store.sealing import seal
from tests.stores import ENGINES, bank_url, content, new_row

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
NAME = TEXT.filter(bool)
SIZES = st.integers(1, 5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT, lambda inner: st.dictionaries(TEXT, inner, max_size=3)
)


@pytest.fixture(scope="module", params=ENGINES)
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with open_store(bank_url(request, tmp_path_factory.mktemp("bank"), request.param)) as opened:
        yield opened


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_whatever_is_frozen_comes_back_the_same(store: Store, data: st.DataObject) -> None:
    shape, probes = data.draw(st.tuples(SIZES, SIZES)), data.draw(st.tuples(st.integers(0, 4), SIZES))
    new = new_row(
        Scope(data.draw(NAME), data.draw(NAME), data.draw(NAME)),
        shape=shape,
        data=data.draw(st.binary(min_size=4 * shape[0] * shape[1], max_size=4 * shape[0] * shape[1])),
        card_json=json.dumps(data.draw(JSON), ensure_ascii=False),
        training_json=json.dumps(data.draw(JSON)),
        seed=data.draw(st.integers(-(2**63), 2**63 - 1)),
        parent_version=data.draw(st.none() | st.integers(1, 2**31 - 1)),
        probe_logits=data.draw(st.binary(min_size=4 * probes[0] * probes[1], max_size=4 * probes[0] * probes[1])),
        probe_shape=probes,
    )
    row = store.rows.freeze(new)
    assert content(row) == content(new)
    assert store.rows.get(new.scope, row.version) == row
    same = store.rows.import_row(row)
    assert (same.sha256, same.card_json, same.training_json) == (new.sha256, new.card_json, new.training_json)
    assert len(store.rows.versions(new.scope)) == row.version


@given(st.dictionaries(NAME, TEXT | st.binary() | st.integers() | st.none(), min_size=1), st.data())
def test_a_seal_tells_any_two_records_apart(values: dict[str, object], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(values)))
    other = values | {name: data.draw((TEXT | st.binary() | st.integers()).filter(lambda new: new != values[name]))}
    assert seal(values) == seal(dict(reversed(values.items())))
    assert seal(values) != seal(other)
    assert seal(values) != seal({key: value for key, value in values.items() if key != name})


@given(st.lists(st.one_of(st.integers(1, 4), st.sampled_from(["rollback", "retire"])), max_size=25))
def test_rollback_is_undo(acts: list[int | str]) -> None:
    """Compare with an editor's undo: a stack of versions, kept while acting instead of read from the history."""
    stack: list[int] = []
    pointed: int | None = None
    moves: list[AliasMove] = []

    def log(kind: str, to: int | None) -> int | None:
        moves.append(AliasMove(kind=kind, from_version=pointed, to_version=to, reason="", moved_at=None))  # type: ignore[arg-type]
        return to

    for act in acts:
        if act == "retire" and pointed is not None:
            pointed = log("retire", None)
        elif act == "rollback" and pointed is not None and len(stack) > 1:
            stack.pop()
            pointed = log("rollback", stack[-1])
        elif isinstance(act, int) and act != pointed:
            if not stack or stack[-1] != act:
                stack.append(act)
            pointed = log("move", act)
        assert undo_stack(moves) == stack
        assert pointed is None or stack[-1] == pointed
