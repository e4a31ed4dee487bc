"""What a browser's form sends: fields by name, and files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from email.policy import HTTP
from urllib.parse import parse_qs

from promptbank.errors import BodyFormatError

__all__ = ["PageForm", "read_form"]

MOST_FIELDS = 2000


@dataclass(frozen=True)
class PageForm:
    """The fields of a form.

    Attributes:
        fields: every value of a field, in order.
        files: name and content of each file that was chosen, by its field.
    """

    fields: Mapping[str, Sequence[str]] = field(default_factory=dict)
    files: Mapping[str, tuple[str, bytes]] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """Return the first value of a field; empty where it is not there. Line breaks are as programs write them."""
        return self.fields.get(name, [""])[0].replace("\r\n", "\n")


def read_form(body: bytes, content_type: str) -> PageForm:
    """Read a form that was sent in either of the two ways that browsers know.

    Raises:
        BodyFormatError: it is sent in another way, or has more fields than any form of ours.
    """
    kind = content_type.partition(";")[0].strip().lower()
    try:
        if kind == "application/x-www-form-urlencoded":
            text = body.decode("utf-8", "replace")
            return PageForm(parse_qs(text, keep_blank_values=True, max_num_fields=MOST_FIELDS))
        if kind == "multipart/form-data":
            message = message_from_bytes(b"content-type: " + content_type.encode() + b"\r\n\r\n" + body, policy=HTTP)
            return _of_parts([part for part in message.walk() if not part.is_multipart()])
    except ValueError as exc:
        raise BodyFormatError(f"the form cannot be read: {exc}") from exc
    raise BodyFormatError(f"the content type is {content_type[:80]!r}; a form is sent as multipart or urlencoded")


def _of_parts(parts: Sequence[Message]) -> PageForm:
    fields: dict[str, list[str]] = {}
    files: dict[str, tuple[str, bytes]] = {}
    for part in parts:
        name = str(part.get_param("name", "", header="content-disposition"))
        content = part.get_payload(decode=True)
        content = content if isinstance(content, bytes) else b""
        if (filename := part.get_filename()) is None:
            fields.setdefault(name, []).append(content.decode("utf-8", "replace"))
        elif filename:
            files[name] = (filename, content)
    return PageForm(fields, files)
