"""The queue before the model: bounded, all or nothing, fair over tasks, batches of like lengths, no work for nobody."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptbank.engine.predictor import PreparedRequest
from promptbank.errors import DrainingError, ExpiredError, FullQueueError
from promptbank.service.queue import MOST_ASIDE, QueuedRequest, QueueLimits, RequestQueue


def waiting(task: str, tokens: int = 10, *, is_open: bool = False, seconds: float = 60.0) -> QueuedRequest:
    stand_in: Any = SimpleNamespace(task=SimpleNamespace(taskname=task, lang="en"), tokens=tokens, is_open=is_open)
    return QueuedRequest(cast(PreparedRequest, stand_in), time.monotonic() + seconds)


def scored(queue: RequestQueue) -> list[QueuedRequest]:
    taken = queue.take(1)  # as if one answer were being written, so that it does not wait
    assert taken is not None
    return taken[0]


def names(batch: list[QueuedRequest]) -> list[str]:
    return [one.task[0] for one in batch]


def test_tasks_take_turns_however_many_requests_one_of_them_has() -> None:
    queue = RequestQueue(QueueLimits(batch_tokens=40))
    queue.put([waiting("flood") for _ in range(20)])
    queue.put([waiting("a"), waiting("b")])
    assert names(scored(queue)) == ["flood", "a", "b", "flood"]
    assert names(scored(queue)) == ["flood"] * 4


def test_a_task_that_comes_late_waits_for_one_batch_only() -> None:
    queue = RequestQueue(QueueLimits(batch_tokens=20))
    queue.put([waiting("flood") for _ in range(100)])
    scored(queue)
    queue.put([waiting("late")])
    assert "late" in names(scored(queue))


def test_a_prompt_over_the_budget_runs_alone() -> None:
    queue = RequestQueue(QueueLimits(batch_tokens=40))
    queue.put([waiting("long", 500), waiting("short"), waiting("short")])
    assert names(scored(queue)) == ["long"]
    assert names(scored(queue)) == ["short", "short"]


def test_what_would_mostly_be_padding_begins_the_next_batch() -> None:
    queue = RequestQueue(QueueLimits(batch_tokens=4096))
    queue.put([waiting(f"short-{n}") for n in range(8)])
    queue.put([waiting("long", 300), waiting("last")])
    first, second = scored(queue), scored(queue)
    assert len(first) == 9
    assert names(second) == ["long"]


def test_a_request_is_taken_whole_or_not_at_all() -> None:
    queue = RequestQueue(QueueLimits(records=3, tokens=1000, task_share=1))
    queue.put([waiting("a"), waiting("a")])
    with pytest.raises(FullQueueError, match="2 records with 20 tokens are waiting"):
        queue.put([waiting("b"), waiting("b")])
    assert (queue.records, queue.tokens) == (2, 20)
    queue.put([waiting("c")])
    assert len(scored(queue)) == 3


def test_tokens_are_bounded_too_but_one_large_request_goes_into_an_empty_queue() -> None:
    queue = RequestQueue(QueueLimits(records=100, tokens=50))
    queue.put([waiting("a", 200)])
    with pytest.raises(FullQueueError, match="more than 100 or 50"):
        queue.put([waiting("b", 1)])


def test_one_task_leaves_a_quarter_of_the_room_to_others() -> None:
    queue = RequestQueue(QueueLimits(records=8, tokens=400))
    queue.put([waiting("flood") for _ in range(6)])
    with pytest.raises(FullQueueError, match=r"6 records of flood:en with 60 tokens are waiting.* more than 6 or 300"):
        queue.put([waiting("flood")])
    with pytest.raises(FullQueueError, match="of flood:en"):
        queue.put([waiting("other"), waiting("flood")])  # all or nothing
    queue.put([waiting("other"), waiting("other")])
    with pytest.raises(FullQueueError, match=r"8 records with 80 tokens are waiting.* more than 8 or 400"):
        queue.put([waiting("third")])
    assert len(scored(queue)) == 8
    queue.put([waiting("long", 250)])
    with pytest.raises(FullQueueError, match="1 records of long:en with 250 tokens"):
        queue.put([waiting("long", 51)])
    queue.put([waiting("long", 50)])
    assert (queue.records, queue.tokens) == (2, 300)
    queue.put([waiting("other", 100)])


def test_the_error_says_when_to_ask_again() -> None:
    queue = RequestQueue(QueueLimits(records=1))
    queue.answered(tokens=100, seconds=10.0)
    queue.put([waiting("a", 70)])
    with pytest.raises(FullQueueError) as caught:
        queue.put([waiting("b")])
    assert caught.value.retry_after == 7


def test_what_was_cancelled_or_is_too_late_is_not_computed() -> None:
    queue = RequestQueue(QueueLimits())
    late, gone, left, wanted = waiting("late", seconds=-1), waiting("gone"), waiting("left"), waiting("wanted")
    gone.answer.cancel()
    left.abandoned = True
    queue.put([late, gone, left, wanted])
    assert scored(queue) == [wanted]
    assert isinstance(late.answer.exception(0), ExpiredError)
    assert (queue.records, queue.tokens) == (0, 0)


def test_open_answers_are_taken_up_to_the_room_there_is() -> None:
    queue = RequestQueue(QueueLimits(answers=4, batch_tokens=1000))
    queue.put([waiting("t", is_open=True) for _ in range(6)])
    assert [len(lane) for lane in queue.take(3) or ()] == [0, 1]
    assert [len(lane) for lane in queue.take(4) or ()] == [0, 0]
    assert [len(lane) for lane in queue.take(0) or ()] == [0, 4]


def test_a_drained_queue_takes_nothing_new_and_ends_when_it_is_empty() -> None:
    queue = RequestQueue(QueueLimits())
    queue.put([waiting("a")])
    queue.drain()
    with pytest.raises(DrainingError):
        queue.put([waiting("b")])
    assert queue.take(0) is not None
    assert queue.take(0) is None


def test_what_nobody_waits_for_comes_last_and_alone_and_is_dropped_at_a_stop() -> None:
    queue = RequestQueue(QueueLimits(records=1))
    aside = [waiting("shadow"), waiting("shadow", is_open=True), waiting("late", seconds=-1), waiting("shadow")]
    for one in aside:
        queue.put_aside(one)
    asked = waiting("asked")
    queue.put([asked])  # what stands aside takes no room
    assert [queue.take(0), queue.take(0), queue.take(0)] == [([asked], []), ([aside[0]], []), ([], [aside[1]])]
    assert queue.take(1) == ([], [])  # while an answer is written, none
    assert queue.take(0) == ([aside[3]], [])
    for _ in range(MOST_ASIDE + 5):
        queue.put_aside(waiting("shadow"))
    queue.put([waiting("asked")])
    queue.drain()
    assert names((queue.take(0) or ([],))[0]) == ["asked"]
    assert queue.take(0) is None


def test_taking_waits_for_a_request() -> None:
    queue = RequestQueue(QueueLimits())
    taken: list[QueuedRequest] = []
    thread = threading.Thread(target=lambda: taken.extend((queue.take(0) or ([],))[0]))
    thread.start()
    one = waiting("a")
    queue.put([one])
    thread.join(10)
    assert taken == [one]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.sampled_from("abcde"), st.integers(1, 700), st.booleans()), max_size=40),
    st.integers(1, 600),
)
def test_everything_comes_out_once_in_the_order_of_its_task(
    asked: list[tuple[str, int, bool]], batch_tokens: int
) -> None:
    queue = RequestQueue(QueueLimits(batch_tokens=batch_tokens, tokens=10**6))
    requests = [waiting(task, tokens, is_open=is_open) for task, tokens, is_open in asked]
    queue.put(requests)
    queue.drain()
    seen: list[QueuedRequest] = []
    while (taken := queue.take(0)) is not None:
        for batch in taken:
            assert len(batch) < 2 or len(batch) * max(one.prepared.tokens for one in batch) <= batch_tokens
            seen += batch
    assert sorted(map(id, seen)) == sorted(map(id, requests))
    for lane in {(one.task, one.prepared.is_open) for one in requests}:
        mine = [one for one in requests if (one.task, one.prepared.is_open) == lane]
        assert [one for one in seen if one in mine] == mine
    assert (queue.records, queue.tokens) == (0, 0)
