"""A small chart in SVG: both axes logarithmic, readable on light and on dark pages, without scripts, fonts or colours that carry
meaning alone (each curve has a label at its end and a mark of its own)."""

import math
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 776, 416
LEFT, RIGHT, TOP, BOTTOM = 80, 216, 44, 68
LABEL_HEIGHT = 15
# Every colour here can be read on white and on the dark grey of code hosts: a picture is not told which page it stands on.
COLOURS = ("#2f7ed8", "#d9622b", "#2e9e6b", "#a15fd0")
STYLE = """
    text { font: 12px system-ui, sans-serif; fill: #6e7781 }
    .title { font-size: 14px; font-weight: 600 }
    .note { font-size: 10px }
    .grid { stroke: #8c959f; stroke-opacity: .28 }
    .axis { stroke: #8c959f }
"""


@dataclass
class Curve:
    label: str
    points: list


@dataclass
class Chart:
    title: str
    x_label: str
    y_label: str
    curves: list

    def svg(self, note):
        """The picture; the note says which run it is of."""
        # Nothing is drawn at zero on a logarithmic axis: what was below the bench's resolution is left out.
        curves = [Curve(curve.label, [(x, y) for x, y in curve.points if x > 0 and y > 0]) for curve in self.curves]
        curves = [curve for curve in curves if curve.points]
        xs = [x for curve in curves for x, _ in curve.points]
        ys = [y for curve in curves for _, y in curve.points]
        self.x = Axis(min(xs), max(xs), LEFT, WIDTH - RIGHT)
        self.y = Axis(10 ** math.floor(math.log10(min(ys))), 10 ** math.ceil(math.log10(max(ys))), HEIGHT - BOTTOM, TOP)
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
            f"<title>{escape(self.title)}</title>", f"<style>{STYLE}</style>",
            text(LEFT, 22, self.title, "start", "title"), *self.axes(),
            text(WIDTH - 8, HEIGHT - 8, note, "end", "note"),
        ]
        labels = spread([(self.y.at(curve.points[-1][1]), number) for number, curve in enumerate(curves)])
        for number, curve in enumerate(curves):
            parts += self.curve(curve, number, labels[number])
        return "\n".join([*parts, "</svg>"]) + "\n"

    def axes(self):
        parts = []
        for value in decades(self.y.low, self.y.high):
            y = self.y.at(value)
            parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            parts.append(text(LEFT - 8, y + 4, short(value), "end"))
        for value in self.x_marks():
            x = self.x.at(value)
            parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
            parts.append(text(x, HEIGHT - BOTTOM + 18, short(value), "middle"))
        base = HEIGHT - BOTTOM
        parts.append(f'<path class="axis" fill="none" d="M{LEFT} {TOP}V{base}H{WIDTH - RIGHT}"/>')
        parts.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - BOTTOM + 38, self.x_label, "middle"))
        parts.append(text(LEFT - 8, TOP - 10, self.y_label, "end"))
        return parts

    def x_marks(self):
        """Whole decades, or what was measured where that is within two of them."""
        marks = decades(self.x.low, self.x.high)
        return marks if len(marks) > 2 else sorted({x for curve in self.curves for x, _ in curve.points})

    def curve(self, curve, number, label_y):
        colour = COLOURS[number % len(COLOURS)]
        places = [(self.x.at(x), self.y.at(y)) for x, y in curve.points]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        marks = [mark(x, y, number, colour) for x, y in places]
        end_x, end_y = places[-1]
        lead = f"M{end_x + 6:.1f} {end_y:.1f}L{WIDTH - RIGHT + 12} {label_y:.1f}"
        return [
            f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2" stroke-linejoin="round"/>', *marks,
            f'<path d="{lead}" fill="none" stroke="{colour}" stroke-opacity=".5"/>',
            text(WIDTH - RIGHT + 16, label_y + 4, curve.label, "start"),
        ]


class Axis:
    """A logarithmic axis between two places of the picture."""

    def __init__(self, low, high, start, end):
        self.low, self.high, self.start, self.end = low, high, start, end

    def at(self, value):
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.start + share * (self.end - self.start)


def decades(low, high):
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    return [10 ** exponent for exponent in range(first, last + 1)]


def spread(labels):
    """Places for the labels, moved apart where they would lie on each other: by number of the curve."""
    places, last = {}, -math.inf
    for y, number in sorted(labels):
        last = max(y, last + LABEL_HEIGHT)
        places[number] = last
    over = last - (HEIGHT - BOTTOM)
    return {number: y - max(0, over) for number, y in places.items()}


def mark(x, y, number, colour):
    """A disc, a square, a diamond or a triangle."""
    if number % 4 == 0:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>'
    shapes = {
        1: [(-3, -3), (3, -3), (3, 3), (-3, 3)], 2: [(0, -4.5), (4.5, 0), (0, 4.5), (-4.5, 0)],
        3: [(0, -4), (4, 3.5), (-4, 3.5)],
    }
    corners = " ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in shapes[number % 4])
    return f'<polygon points="{corners}" fill="{colour}"/>'


def short(value):
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def text(x, y, words, anchor, kind=None):
    of = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{of}>{escape(words)}</text>'
