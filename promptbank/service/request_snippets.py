"""A request to this service as a person would send it: with curl, or in Python with OpenAI's client."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["RequestSnippets"]


@dataclass(frozen=True)
class RequestSnippets:
    """Writes requests to one task.

    Attributes:
        service: address of the service, without a path.
        task: ``taskname[:lang][@version]``.
        needs_key: whether an API key must be sent, which is taken from the environment.
    """

    service: str
    task: str
    needs_key: bool

    def curl(self, fields: Mapping[str, str]) -> str:
        """Return a command that asks about a record."""
        body = shlex.quote(json.dumps(dict(fields), ensure_ascii=False))
        key = ' -H "authorization: Bearer $PROMPTBANK_KEY"' if self.needs_key else ""
        address = shlex.quote(f"{self.service}/v1/tasks/{self.task}/predict")
        return f"curl -s {address}{key} -H 'content-type: application/json' -d {body}"

    def python(self, text: str) -> str:
        """Return a program that asks about a record as OpenAI's API takes it."""
        key = 'os.environ["PROMPTBANK_KEY"]' if self.needs_key else '"none"'
        return (
            "import os\n\nfrom openai import OpenAI\n\n"
            f"client = OpenAI(base_url={f'{self.service}/v1'!r}, api_key={key})\n"
            f"messages = {[{'role': 'user', 'content': text}]!r}\n"
            f"answer = client.chat.completions.create(model={self.task!r}, messages=messages)\n"
            "print(answer.choices[0].message.content)\n"
        )
