"""What users of other services complain of, 2025 and 2026: each complaint names the test that keeps it away."""

from __future__ import annotations

import importlib

import pytest

COMPLAINTS = {
    "vllm #42125, #48352, #44939: an adapter loaded again under its name answers from the old one's prefix cache":
        "test_leading.test_a_row_under_the_name_of_another_never_reads_what_that_one_left",
    "llama.cpp #26207, LMCache #2961: keys and values are used by other adapters":
        "test_leading.test_answers_are_the_same_and_less_is_read",
    "vllm #34186, #39278: an adapter that matches nothing answers 200 with the base model's text":
        "test_service_polling.test_a_row_that_fails_its_check_is_not_served_by_a_new_process_either",
    "vllm #45325, #13303: an idle adapter is in no metric, and several names are one label":
        "test_service_metrics.test_each_row_that_is_ready_has_a_series_of_its_own",
    "vllm #18892, #29922, #23052: no keys for inference alone, no rate a key, open to everyone":
        "test_service_quotas.test_a_key_asks_as_many_records_a_minute_as_it_may",
    "sglang #29607: the route that uploads adapters had no admin level":
        "test_service_admin.test_every_change_needs_the_scope_admin_even_without_keys",
    "sglang #33504, vllm #12886: the body of an error is not OpenAI's":
        "test_service_openai.test_errors_reach_the_client_with_all_their_fields",
    "llama.cpp #23463: a response_format that is not supported is 500":
        "test_service_openai_bodies.test_what_cannot_be_honoured_is_refused_by_name",
    "club-3090 #551, trl #5215, vllm #12225: guided_choice is ignored with 200":
        "test_service_openai_bodies.test_an_answer_is_held_to_the_labels_that_are_asked_for",
    "production-stack #708, aibrix #1675: a second replica never gets the adapter":
        "test_service_polling.test_a_task_that_another_process_freezes_is_answered_on_its_first_request",
    "production-stack #699: no metrics by model":
        "test_service_metrics.test_answers_are_counted_by_task_and_outcome",
    "aprender #2375: a stream says stop where the plain answer says length":
        "test_service_openai.test_a_stream_says_what_the_plain_answer_says",
    "mlcommons/endpoints #133: message.refusal is missing":
        "test_service_openai.test_a_chat_answers_with_the_label_and_its_probabilities",
    "SkyRL #1606: an adapter is read from the disk for every step":
        "test_service_polling.test_a_row_is_read_and_checked_once_however_many_ask_for_it",
    "llama.cpp PR #10994: requests of different adapters are not batched together":
        "test_service_model_thread.test_answers_of_mixed_tasks_are_those_that_each_gets_alone",
    "vllm #21039, litellm #5737, gotify #1053, stdapi #185: /docs is blank without the net":
        "test_service.test_the_page_of_endpoints_needs_no_net",
}  # fmt: skip


@pytest.mark.parametrize("complaint", COMPLAINTS, ids=lambda text: text.partition(":")[0])
def test_a_test_keeps_the_complaint_away(complaint: str) -> None:
    module, _, name = COMPLAINTS[complaint].partition(".")
    assert callable(getattr(importlib.import_module(f"tests.unit.{module}"), name))
