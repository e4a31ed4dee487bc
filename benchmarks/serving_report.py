"""The report of `benchmarks.serving_load`, as Markdown."""

from __future__ import annotations

from typing import Any

SERVERS = {
    "promptbank, float32": "promptbank serve",
    "promptbank, float32, tree.v1": "promptbank serve, a row learnt with --loss tree.v1",
    "promptbank, bfloat16": "promptbank serve --dtype bfloat16",
    "promptbank, bfloat16, tree.v1": "the same, a row learnt with --loss tree.v1",
    "promptbank, eight tasks mixed": "promptbank serve, eight tasks mixed",
    "peft": "app around peft and generate",
    "transformers": "app around transformers",
}
BARS = {
    "promptbank, float32": 0.25,
    "promptbank, float32, tree.v1": 0.25,
    "promptbank, bfloat16": 0.14,
    "promptbank, bfloat16, tree.v1": 0.14,
}
"""Processor seconds a request at 8 clients that were aimed at."""


def report(found: dict[str, Any]) -> str:
    """Return the report."""
    about = (
        f"{found['labels']} labels, texts of {found['texts']}, {found['backbone']}, {found['threads']} thread, "
        f"{found['seconds']:g} s a line, closed-loop clients on the servers' core; {found['processor']}, "
        f"{found['cores']} cores, torch {found['torch']}. Beside it ran: {found['beside']}. Load average at the "
        f"beginning and at the end: {', '.join(f'{one[0]:.1f}' for one in found['load_average'])}."
    )
    lines = ["# The service under load", "", about, "", *_table(found), "", *_judged(found), "", *_batch(found)]
    return "\n".join(lines) + "\n"


def _table(found: dict[str, Any]) -> list[str]:
    head = "| server | clients | requests/s | p50 s | p95 s | processor s a request | part of the core it got | MB |"
    lines = [head, "|---|---|---|---|---|---|---|---|"]
    for key, name in SERVERS.items():
        memory = found.get(f"megabytes, {key}", "")
        for one in found[key]:
            lines.append(
                f"| {name} | {one['clients']} | {one['a_second']} | {one['p50']} | {one['p95']} | "
                f"{one['processor_seconds']} | {one['share_of_core']} | {memory} |"
            )
    return lines


def _judged(found: dict[str, Any]) -> list[str]:
    """Say of each figure that was aimed at how it came out."""
    ours = {one["clients"]: one for one in found["promptbank, float32"]}
    peft = {one["clients"]: one for one in found["peft"]}
    lines = []
    for key, bar in BARS.items():
        cost = next(one["processor_seconds"] for one in found[key] if one["clients"] == 8)
        lines.append(f"* {SERVERS[key]}, processor seconds a request at 8 clients: {cost} ({bar} was aimed at).")
    for clients, bar in ((8, 3.0), (1, 1.0)):
        cost = peft[clients]["processor_seconds"] / ours[clients]["processor_seconds"]
        rate = ours[clients]["a_second"] / peft[clients]["a_second"]
        lines.append(
            f"* Beside peft at {clients} clients: {rate:.2f} times the requests a second, {cost:.2f} times those "
            f"a processor second ({bar:g} was aimed at)."
        )
    mixed = found["promptbank, eight tasks mixed"][0]["processor_seconds"]
    share = ours[8]["processor_seconds"] / mixed
    lines.append(f"* Eight tasks mixed: {share:.2f} of one task's requests a processor second (0.95 was aimed at).")
    scored = found["one text, eight tasks"][0]["processor_seconds"]
    single = found["one text, eight requests"][0]["processor_seconds"]
    lines.append(
        f"* One text, eight tasks: {scored} processor seconds, {scored / (8 * single):.2f} of eight requests one after "
        "the other (0.5 was aimed at)."
    )
    return lines


def _batch(found: dict[str, Any]) -> list[str]:
    one = found["64 tasks in one batch"]
    return [
        f"{one['tasks']} tasks of the kinds {' and '.join(one['kinds'])} in one batch, each with a text of its own: "
        f"{one['same labels']} labels are those that each gives alone, probabilities differ by at most "
        f"{one['largest difference of a probability']:.1e}; {one['processor_seconds together']} processor seconds "
        f"together and {one['processor_seconds one by one']} one by one; {one['megabytes more at the peak']} MB more "
        f"memory at the peak, {one['kilobytes of prompts']} kB of it prompts."
    ]
