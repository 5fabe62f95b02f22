#!/usr/bin/env python3
"""Draws the two pictures of ARCHITECTURE.md: the life of a request and the rooms of src/.

Run it after a change of the stack or of the layers in tests/architecture/main.rs.
"""

import html
import pathlib
import re

HERE = pathlib.Path(__file__).parent
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1c2733 }
.type { font: 12px ui-monospace, monospace; fill: #5b6b7b }
.why { fill: #5b6b7b }
.box { fill: #eef3f8; stroke: #8aa0b5 }
.edge { stroke: #8aa0b5; fill: none }
@media (prefers-color-scheme: dark) {
  text { fill: #e3e9ef } .type, .why { fill: #9fb0c0 }
  .box { fill: #1e2a36; stroke: #56697b } .edge { stroke: #56697b }
}
"""

# What a layer is called, what it does, and the type that it hands down.
LAYERS = [
    ("server", "a place among the sockets, TLS, HTTP/1.1 or HTTP/2", "Arrival"),
    ("record", "opens the record: one line, metrics, spans", "Opened"),
    ("finish", "errors become problem documents; fields of every answer", "Opened"),
    ("cors", "pages of named origins", "Opened"),
    ("validate", "refuses what means two things, and loops", "Opened"),
    ("authenticate", "the key becomes an app; credentials end here", "Authenticated"),
    ("me", "what an app asks about itself", "Authenticated"),
    ("route", "path and method become an operation", "Call"),
    ("caller deadline", "the caller's time ends here; a sent call goes on", "Call"),
    ("buffer body", "the whole body, bounded", "BufferedCall"),
    ("idempotency", "a send under a key is one send", "BufferedCall"),
    ("cache", "a fresh copy answers; a write clears", "BufferedCall"),
    ("retry", "further attempts by proof and budget", "Attempt"),
    ("breaker", "a dead host is not queued for", "Attempt"),
    ("admission", "its turn, and a slot of each pool", "AdmittedCall"),
    ("commit", "what it must be known by is written down", "AdmittedCall"),
    ("credentials", "the tenant's token, as late as possible", "AuthorizedCall"),
    ("upstream", "pooled sockets; the answer streams back up", None),
]


def svg(width, height, parts):
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">'
    return f"{head}\n<style>{STYLE}</style>\n" + "\n".join(parts) + "\n</svg>\n"


def text(x, y, words, kind="", anchor="start"):
    kind = f' class="{kind}"' if kind else ""
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}"{kind}>{html.escape(words)}</text>'


def box(x, y, width, height):
    return f'<rect class="box" x="{x}" y="{y}" width="{width}" height="{height}" rx="5"/>'


def arrow(x, y, end):
    tip = f"M{x - 4} {end - 6} L{x} {end} L{x + 4} {end - 6}"
    return f'<path class="edge" d="M{x} {y} V{end} {tip}"/>'


def life():
    parts, y = ["<title>The life of a request</title>"], 10
    for name, does, hands in LAYERS:
        parts += [box(10, y, 150, 28), text(85, y + 19, name, anchor="middle")]
        parts.append(text(250, y + 19, does, "why"))
        if hands:
            parts += [arrow(85, y + 28, y + 50), text(95, y + 44, hands, "type")]
        y += 50
    return svg(620, y - 12, parts)


def rooms():
    source = (HERE.parent / "tests/architecture/main.rs").read_text()
    table = source.split("const LAYERS", 1)[1].split("];\n", 1)[0].split("= &[", 1)[1]
    layers = [re.findall(r'"(\w+)"', layer) for layer in re.findall(r"&\[([^\]]*)\]", table)]
    parts, y = ["<title>What may import what: only what lies below</title>"], 10
    for layer in reversed(layers):
        lines = [layer[at : at + 7] for at in range(0, len(layer), 7)]
        height = 12 + 20 * len(lines)
        parts.append(box(10, y, 680, height))
        for at, line in enumerate(lines):
            parts.append(text(350, y + 21 + 20 * at, "   ·   ".join(line), anchor="middle"))
        y += height
        if layer is not layers[0]:
            parts.append(arrow(350, y, y + 14))
            y += 14
    return svg(700, y + 10, parts)


for name, picture in (("life", life()), ("rooms", rooms())):
    (HERE / f"{name}.svg").write_text(picture)
