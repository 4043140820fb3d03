#!/usr/bin/env python3
"""Draws a program's output as an SVG picture of a terminal.

usage: make_terminal_picture.py "COMMAND AS SHOWN" OUTPUT.svg < output
"""
import sys
from xml.sax.saxutils import escape

command, target = sys.argv[1:3]
lines = [f"$ {command}"] + sys.stdin.read().splitlines()
width = max(map(len, lines)) * 7.8 + 32
height = len(lines) * 18 + 32
rows = "\n".join(
    f'<text x="16" y="{28 + 18 * i}" fill="{"#7ee787" if i == 0 else "#e6edf3"}">{escape(line)}</text>'
    for i, line in enumerate(lines))
with open(target, "w", encoding="utf-8") as file:
    file.write(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" font-family="ui-monospace, Menlo, '
        f'Consolas, monospace" font-size="13" xml:space="preserve">\n<rect width="100%" height="100%" rx="8" '
        f'fill="#0d1117"/>\n{rows}\n</svg>\n')
