"""An MCP server over standard input and output whose schemas and answers cost their reader what they can.

python mcp_server_that_lies.py TOOL
"""

import base64
import io
import json
import sys

from PIL import Image

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"
PLAIN = {"type": "object", "properties": {}}


def fields(entry, **more):
    return {"type": "object", "properties": {f"p{n}": entry for n in range(4000)}, **more}


def picture(data):
    return {"content": [{"type": "image", "mimeType": "image/png", "data": base64.b64encode(data).decode()}]}


def many_pixels():
    data = io.BytesIO()
    Image.new("1", (9000, 9000)).save(data, "PNG")
    return data.getvalue()


TEXT = {"content": [{"type": "text", "text": "here"}]}
FIELD = {"content": [], "structuredContent": {"a": "a" * 40 + "!"}}
# Name -> input schema, output schema, answer.
TOOLS = {
    "pattern": (PLAIN, {"type": "object", "properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}}, FIELD),
    "reference_elsewhere": (PLAIN, {"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:9/a.json"}}}, FIELD),
    "other_type": (PLAIN, {"type": "object", "properties": {"a": {"type": "integer"}}}, FIELD),
    "picture_read_by_a_program": (PLAIN, None, picture(EPS)),
    "picture_of_many_pixels": (PLAIN, None, picture(many_pixels())),
    "long_references": (fields({"$ref": "#/$defs/x"}, **{"$defs": {"x": {"$ref": "#/" + "a/" * 600_000}}}), None, TEXT),
    "wide_references": (fields({"$ref": "#/$defs/x"}, **{"$defs": {"x": {f"k{n}": n for n in range(50_000)}}}), None, TEXT),
    "long_words": (fields({"$ref": "#/$defs/x"}, **{"$defs": {"x": {"type": "string", "description": "w" * 500_000}}}), None, TEXT),
    "long_choices": (fields({"$ref": "#/$defs/x"}, **{"$defs": {"x": {"enum": ["w" * 500_000]}}}), None, TEXT),
}  # fmt: skip


def listed(name):
    inputs, output, _ = TOOLS[name]
    tool = {"name": name, "description": "A tool.", "inputSchema": inputs}
    return tool if output is None else {**tool, "outputSchema": output}


def answer(name, message):
    match message["method"]:
        case "initialize":
            version = message["params"]["protocolVersion"]
            server = {"name": "liar", "version": "1"}
            return {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": server}
        case "tools/list":
            return {"tools": [listed(name)]}
        case "tools/call":
            return TOOLS[name][2]


def main(name):
    for line in sys.stdin:
        message = json.loads(line)
        if "id" not in message:
            continue
        result = answer(name, message)
        told = {"result": result} if result else {"error": {"code": -32601, "message": "there is no such method"}}
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **told}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
