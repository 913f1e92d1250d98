"""Tables in Markdown from the raw numbers: medians over the rounds, ratios, and what belongs to the machine."""

import statistics

from rig import Refused
from targets import TARGETS

BEGIN, END = "<!-- Written by scripts/compare. -->", "<!-- End of what scripts/compare writes. -->"


def tables(measured):
    parts = [facts(measured)]
    for cell in measured["rounds"][0]:
        parts.append(cell_table(measured, cell))
    parts += [ratios(measured), memory(measured), fidelity(measured), decisions(measured)]
    return "\n\n".join(parts) + "\n"


def write(document, tables):
    """Replaces what stands between the marks; the words around them are people's."""
    text = document.read_text()
    if BEGIN not in text or END not in text:
        raise Refused(f"{document} does not hold the marks that the tables go between")
    before, rest = text.split(BEGIN, 1)
    document.write_text(f"{before}{BEGIN}\n\n{tables}\n{END}{rest.split(END, 1)[1]}")


def facts(measured):
    of = measured["machine"]
    versions = ", ".join(f"{name} {text.removeprefix(name).strip()}" for name, text in of["versions"].items())
    loads = [
        load["load_1min"] for round_ in measured["rounds"] for cell in round_.values() for load in cell["load"].values()
    ]
    sizes = of["sizes"]
    is_shared = of["load_1min"] > of["cores"] / 2
    return "\n".join([
        f"Run of {of['when']}, revision `{of['revision']}`, built with `--profile {of['profile']}`: {sizes['rounds']} rounds, "
        f"{of['minutes']} minutes." + (" **The machine did much else meanwhile**: read ratios, not times." if is_shared else ""),
        "",
        "| Machine | |",
        "|---|---|",
        f"| processor | {of['cpu']}, {of['cores']} cores |",
        f"| memory, kernel | {of['memory_gib']} GiB, {of['kernel']} |",
        f"| load average before the run; during it | {of['load_1min']:.1f}; {min(loads):.1f} to {max(loads):.1f} |",
        f"| versions | {versions} |",
        f"| single requests in a round | {sizes['turns']['record']} for the record, {sizes['turns']['list']} for the list, of each target |",
        f"| load in a round | {sizes['seconds']} s on each target |",
    ])


class Cell:
    """One workload over one protocol: what each round measured."""

    def __init__(self, measured, cell):
        self.rounds = [round_[cell] for round_ in measured["rounds"]]
        self.names = [name for name in TARGETS if name in self.rounds[0]["load"]]

    def own_us(self, name, which):
        return [round_["latency"][name][f"{which}_ns"] / 1e3 for round_ in self.rounds]

    def added_us(self, name, which):
        """Against the direct way in the same round."""
        return [of - direct for of, direct in zip(self.own_us(name, which), self.own_us("direct", which))]

    def cpu_us(self, name):
        return [round_["load"][name]["cpu_us"] for round_ in self.rounds]

    def rate(self, name):
        return [round_["load"][name]["rate"] for round_ in self.rounds]


def ratio(above, below):
    """The median of the ratios within each round."""
    return statistics.median([a / b for a, b in zip(above, below)])


def cell_table(measured, cell):
    of = Cell(measured, cell)
    lines = [
        f"### {title(cell)}",
        "",
        "| | added p50, µs | added p99, µs | processor per request, µs | × nginx | peak, requests/s |",
        "|---|---|---|---|---|---|",
    ]
    for name, (label, _, _) in TARGETS.items():
        if name not in of.names:
            lines.append(f"| {label} | does not speak it | | | | |")
            continue
        if name == "direct":
            p50, p99 = (f"(in all: {number(statistics.median(of.own_us(name, which)))})" for which in ("p50", "p99"))
            against = ""
        else:
            p50, p99 = spread(of.added_us(name, "p50")), spread(of.added_us(name, "p99"))
            against = f"{ratio(of.cpu_us(name), of.cpu_us('nginx')):.1f}"
        lines.append(f"| {label} | {p50} | {p99} | {spread(of.cpu_us(name))} | {against} | {spread(of.rate(name))} |")
    return "\n".join(lines)


def spread(rounds):
    """The median of the rounds, and the lowest and highest of them."""
    return f"{number(statistics.median(rounds))} ({number(min(rounds))} to {number(max(rounds))})"


def title(cell):
    workload, protocol = cell.split()
    return {"record": "One record, 1 KB", "list": "A list of 1000 records, 1 MB"}[workload] + f", {protocol}"


def ratios(measured):
    record, records = Cell(measured, "record HTTP/1.1"), Cell(measured, "list HTTP/1.1")
    added = lambda name: ratio(record.added_us(name, "p50"), record.added_us("nginx", "p50"))  # noqa: E731
    processor = lambda name: ratio(record.cpu_us(name), record.cpu_us("nginx"))  # noqa: E731
    peer = lambda name, ours: ratio(records.cpu_us(name), records.cpu_us(ours))  # noqa: E731
    rows = [
        ("passing 1 KB through, × nginx: added p50", added("pass"), "≤ 1.3"),
        ("passing 1 KB through, × nginx: processor", processor("pass"), "≤ 1.3"),
        ("whole job on 1 KB, ledger in memory, × nginx: added p50", added("memory"), "≤ 1.5"),
        ("whole job on 1 KB, ledger in memory, × nginx: processor", processor("memory"), "≤ 2"),
        ("list: processor of nginx + Lua, × ours", peer("lua", "memory"), "≥ 7"),
        ("list: processor of Express, × ours", peer("express", "memory"), "≥ 10"),
        ("list: processor of nginx + Lua, × ours with a durable ledger", peer("lua", "disk"), ""),
        ("list: processor of Express, × ours with a durable ledger", peer("express", "disk"), ""),
        ("1000 × 40 decisions: processor of Cerbos at its best, × ours, warm", pdp_ratio(measured, "warm"), "≥ 1000"),
        ("1000 × 40 decisions: processor of Cerbos at its best, × ours, cold", pdp_ratio(measured, "cold"), ""),
    ]
    lines = ["### Ratios", "", "| HTTP/1.1; the median of the rounds' own ratios | measured | goal |", "|---|---|---|"]
    lines += [f"| {what} | {value:.1f} | {goal} |" for what, value, goal in rows]
    return "\n".join(lines)


def pdp_ratio(measured, which):
    of = measured["decisions"]
    best = min(way["cpu_ms"] for way in of["cerbos"]["ways"].values())
    return best * 1e6 / of["lockkeeper"][which]["cpu_ns"]


def memory(measured):
    lines = ["### Memory", "", "| | resident at its peak, MB |", "|---|---|"]
    for name, (label, _, _) in TARGETS.items():
        lines.append(f"| {label} | {measured['memory_mb'][name]:.0f} |")
    lines.append(f"| Cerbos | {measured['decisions']['cerbos']['memory_mb']:.0f} |")
    return "\n".join(lines)


def fidelity(measured):
    lines = [
        "### What filtering changes of the text", "",
        "| The list | bytes that leave | changed beside what is removed |", "|---|---|---|",
    ]
    for name, (label, filters, _) in TARGETS.items():
        told = measured["same"]["list"][name]
        if filters:
            changed = "; ".join(
                f"{kind} ({of['count']:,} times, such as `{of['example']}`)" for kind, of in sorted(told["changed"].items())
            )
            lines.append(f"| {label} | {told['bytes']:,} | {changed or 'nothing'} |")
    return "\n".join(lines)


def decisions(measured):
    of = measured["decisions"]
    lines = [
        "### 1000 × 40 decisions", "",
        "| `view` and 40 fields of 1000 records | on the clock, ms | processor, ms |", "|---|---|---|",
    ]
    for way, took in of["cerbos"]["ways"].items():
        lines.append(f"| Cerbos CheckResources, {way} | {took['wall_ms']:.0f} | {took['cpu_ms']:.0f} |")
    for which, label in (("cold", "cold"), ("warm", "warm")):
        took = of["lockkeeper"][which]
        lines.append(f"| Lockkeeper, in process, {label} | {took['wall_ns'] / 1e6:.3f} | {took['cpu_ns'] / 1e6:.3f} |")
    return "\n".join(lines)


def number(value):
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.1f}"
