"""What an MCP server says of a tool -> a Tool; what it answers -> plain values.

A server's schemas and texts are somebody else's: references are written out here within bounds and never fetched,
and regular expressions are left to the server, because one made for it can keep Python's engine busy for ever.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from keyword import iskeyword
from typing import TYPE_CHECKING, Any

from pinjra.core.errors import PinjraError
from pinjra.tools.base import Tool
from pinjra.tools.hints import ALL_TYPES, Schema, kinds_of
from pinjra.tools.schema import has_subschemas, map_subschemas

if TYPE_CHECKING:
    from mcp.types import CallToolResult, ContentBlock
    from mcp.types import Tool as ServerTool

Call = Callable[[str, dict[str, Any]], "CallToolResult"]
"""The server's name of a tool and its arguments → the server's answer."""

_DESCRIPTION_CHARACTERS = 10_000  # of one tool, as much as fits a prompt
# Of one schema, written out: it may grow exponentially with its references.
_SCHEMA_CHARACTERS = 200_000
_REFERENCE_CHARACTERS = 1000
_IMAGES = ("PNG", "JPEG", "GIF", "WEBP")
_PIXELS = 50_000_000  # as of images from a box
_LEFT_TO_THE_SERVER = ("pattern", "patternProperties", "format", "$schema", "$defs", "definitions")


class MCPToolError(PinjraError):
    """A tool of an MCP server failed; the message is what the server says. It goes back to whoever called."""


class MCPTool(Tool):
    """A tool of an MCP server; a call goes to the server and waits for the answer.

    Attributes:
        server_name: The tool's name on its server, where that is no Python identifier.
    """

    skip_forward_signature_validation = True

    def __init__(self, told: ServerTool, call: Call, *, structured_output: bool, seconds: float) -> None:
        self.server_name = told.name
        self.name = identifier(told.name)
        self.description = (told.description or told.title or told.name)[:_DESCRIPTION_CHARACTERS]
        self.seconds = seconds + 5.0  # the connection's own limit comes first, with the better message
        self._call = call
        self._arguments: dict[str, str] = {}
        self._optional: set[str] = set()
        self.inputs = self._inputs(told.input_schema)
        self._is_structured = structured_output and told.output_schema is not None
        self._is_wrapped = self._is_structured and _is_wrapped(told.output_schema)
        self.output_type, self.output_schema = self._output(told.output_schema)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return the server's answer as plain values.

        Raises:
            MCPToolError: The tool failed.
            BackendError: The server is gone or did not answer.
        """
        given = self.signature.bind(*args, **kwargs).arguments
        arguments = {
            self._arguments[name]: value
            for name, value in given.items()
            # None for an argument that may be left out means that it is; servers refuse a null there.
            if value is not None or name not in self._optional
        }
        result = self._call(self.server_name, arguments)
        if result.is_error:
            raise MCPToolError(_text_of(result.content) or f"{self.server_name} failed and did not say why")
        if self._is_structured and result.structured_content is not None:
            found = result.structured_content
            return found["result"] if self._is_wrapped and "result" in found else found
        return _plain(result.content)

    def _inputs(self, schema: Schema) -> dict[str, Schema]:
        written = _Writer(schema).properties()
        required = schema.get("required") or []
        inputs: dict[str, Schema] = {}
        for name, entry in written.items():
            own = identifier(name)
            while own in inputs:
                own += "_"
            self._arguments[own] = name
            if name not in required:
                if not _allows_null(entry):
                    self._optional.add(own)
                entry = {**entry, "nullable": True}
            inputs[own] = entry
        return inputs

    def _output(self, schema: Schema | None) -> tuple[str, Schema | None]:
        if not self._is_structured or schema is None:
            return "any", None
        written = _Writer(schema).schema()
        if self._is_wrapped:
            written = written["properties"]["result"]
        kind = written.get("type")
        if kind == "object":
            return "object", written
        return (kind if isinstance(kind, str) and kind in ALL_TYPES else "any"), None


def identifier(name: str) -> str:
    """Return the name as a Python identifier ("read-file" → "read_file")."""
    made = re.sub(r"\W", "_", name, flags=re.ASCII).lstrip("_") or "tool"
    return f"{made}_" if iskeyword(made) else f"_{made}" if made[0].isdigit() else made


class _Writer:
    """Writes a server's schema out: references followed, what we do not check left out, size bounded."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._left = _SCHEMA_CHARACTERS

    def schema(self) -> Schema:
        return self._write(self._root, ())

    def properties(self) -> dict[str, Schema]:
        found = self._root.get("properties") or {}
        written = {str(name): self._write(entry, ()) for name, entry in found.items()}
        return {name: _described(entry) for name, entry in written.items()}

    def _write(self, schema: Any, path: tuple[str, ...]) -> Schema:
        if not isinstance(schema, dict) or self._left < 0:
            return {"type": "any"}
        reference = schema.get("$ref")
        if isinstance(reference, str):
            # A type that contains itself has no end when written out: its inner self takes anything.
            target = None if reference in path else self._target(reference)
            rest = {key: value for key, value in schema.items() if key != "$ref"}
            self._left -= len(rest) + len(target or ())
            return (
                self._write({**target, **rest}, (*path, reference)) if target is not None else {"type": "any"}
            )
        kept = {key: value for key, value in schema.items() if key not in _LEFT_TO_THE_SERVER}
        self._left -= sum(_length(key, value) for key, value in kept.items())
        if self._left < 0:
            return {"type": "any"}
        return {
            key: map_subschemas(key, value, lambda part: self._write(part, path))
            for key, value in kept.items()
        }

    def _target(self, reference: str) -> Schema | None:
        if len(reference) > _REFERENCE_CHARACTERS:
            return None
        found: Any = self._root
        for part in reference.removeprefix("#/").split("/"):
            found = found.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
        return found if isinstance(found, dict) and reference.startswith("#/") else None


def _length(key: str, value: Any) -> int:
    """Return about how long a keyword is as JSON, without the schemas in it."""
    return len(key) + (10 * len(value) if has_subschemas(key, value) else len(json.dumps(value)))


def _described(entry: Schema) -> Schema:
    said = str(entry.get("description") or entry.get("title") or "")
    entry = {key: value for key, value in entry.items() if key != "title"} | {"description": said}
    is_known = set() < set(kinds_of(entry)) <= set(ALL_TYPES)
    if not is_known and not {"anyOf", "oneOf", "allOf", "enum"} & set(entry):
        return {**entry, "type": "any"}
    return entry


def _allows_null(entry: Schema) -> bool:
    parts = [*entry.get("anyOf", []), *entry.get("oneOf", [])]
    return "null" in kinds_of(entry) or any(
        isinstance(part, dict) and part.get("type") == "null" for part in parts
    )


def _is_wrapped(schema: Schema | None) -> bool:
    """Whether a plain result travels as {"result": …}, because older protocols know only objects."""
    return (
        schema is not None
        and set(schema.get("properties") or ()) == {"result"}
        and schema.get("type") == "object"
    )


def _text_of(content: list[ContentBlock]) -> str:
    return "\n".join(block.text for block in content if block.type == "text")[:_DESCRIPTION_CHARACTERS]


def _plain(content: list[ContentBlock]) -> Any:
    """Return one value for one block, one text for several texts, else a list."""
    values = [_plain_block(block) for block in content]
    if all(isinstance(value, str) for value in values):
        return "\n".join(values)
    return values[0] if len(values) == 1 else values


def _plain_block(block: ContentBlock) -> Any:
    if block.type == "text":
        return block.text
    if block.type == "image":
        return _image(base64.b64decode(block.data))
    if block.type == "audio":
        return base64.b64decode(block.data)
    if block.type == "resource_link":
        return str(block.uri)
    resource = block.resource
    return resource.text if hasattr(resource, "text") else base64.b64decode(resource.blob)


def _image(data: bytes) -> Any:
    """Return a PIL image; the bytes where Pillow is not installed, or they are no image of the web."""
    import io

    try:
        from PIL import Image
    except ImportError:
        return data
    try:
        # SECURITY: Pillow reads some formats by a program of this machine (EPS: gs); a header may promise any size
        image = Image.open(io.BytesIO(data), formats=_IMAGES)
        if image.width * image.height > _PIXELS:
            return data
        image.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return data
    return image
