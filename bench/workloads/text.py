import re

WORD = re.compile(r"[a-z]+|\d+|[^\sa-z\d]")


def tokens(source):
    for match in WORD.finditer(source):
        text = match.group()
        kind = "number" if text.isdigit() else "name" if text.isalpha() else "sign"
        yield kind, text


def table(rows):
    widths = [max(len(str(row[i])) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        lines.append(" | ".join(str(cell).ljust(width) for cell, width in zip(row, widths)))
    return "\n".join(lines)


def caesar(text, shift):
    out = ""
    for char in text:
        if char.isalpha():
            base = ord("a")
            out += chr((ord(char) - base + shift) % 26 + base)
        else:
            out += char
    return out


source = "\n".join(f"let value{i % 9} = alpha * {i} + beta{i % 5} - (gamma / {i + 1});" for i in range(300))
counts = {}
for kind, text in tokens(source):
    counts[kind, text] = counts.get((kind, text), 0) + 1
rows = [(text, kind, count) for (kind, text), count in sorted(counts.items())]
secret = caesar(source.lower()[:4000], 3)
parts = [part.strip().upper().replace("A", "4") for part in source.split(";") if part.startswith("\nlet")]
(
    len(rows),
    len(table(rows)),
    sum(map(ord, secret)),
    sum(len(part) for part in parts),
    caesar(secret, 23)[:20],
)
