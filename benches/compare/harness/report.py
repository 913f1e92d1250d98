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


def median(rows):
    return statistics.median(rows)


def facts(measured):
    of = measured["machine"]
    versions = ", ".join(f"{name} {text.removeprefix(name).strip()}" for name, text in of["versions"].items())
    loads = [
        load["load_1min"] for round_ in measured["rounds"] for cell in round_.values() for load in cell["load"].values()
    ]
    sizes = of["sizes"]
    return "\n".join([
        f"Run of {of['when']}, revision `{of['revision']}`, built with `--profile {of['profile']}`: {sizes['rounds']} rounds, "
        f"{of['minutes']} minutes.",
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
    """One workload over one protocol: medians over the rounds."""

    def __init__(self, measured, cell):
        self.rounds = [round_[cell] for round_ in measured["rounds"]]
        self.names = [name for name in TARGETS if name in self.rounds[0]["load"]]

    def own_us(self, name, which):
        return median([round_["latency"][name][f"{which}_ns"] / 1e3 for round_ in self.rounds])

    def added_us(self, name, which):
        """Against the direct way in the same round."""
        added = [
            (round_["latency"][name][f"{which}_ns"] - round_["latency"]["direct"][f"{which}_ns"]) / 1e3
            for round_ in self.rounds
        ]
        return median(added)

    def cpu_us(self, name):
        return median([round_["load"][name]["cpu_us"] for round_ in self.rounds])

    def rate(self, name):
        return median([round_["load"][name]["rate"] for round_ in self.rounds])


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
        elif name == "direct":
            p50, p99 = of.own_us(name, "p50"), of.own_us(name, "p99")
            lines.append(
                f"| {label} | ({number(p50)} in all) | ({number(p99)} in all) | {number(of.cpu_us(name))} | "
                f"| {number(of.rate(name))} |"
            )
        else:
            added = [number(of.added_us(name, which)) for which in ("p50", "p99")]
            ratio = of.cpu_us(name) / of.cpu_us("nginx")
            lines.append(
                f"| {label} | {added[0]} | {added[1]} | {number(of.cpu_us(name))} | {ratio:.1f} | {number(of.rate(name))} |"
            )
    return "\n".join(lines)


def title(cell):
    workload, protocol = cell.split()
    return {"record": "One record, 1 KB", "list": "A list of 1000 records, 1 MB"}[workload] + f", {protocol}"


def ratios(measured):
    record, records = Cell(measured, "record HTTP/1.1"), Cell(measured, "list HTTP/1.1")
    nginx_p50, nginx_cpu = record.added_us("nginx", "p50"), record.cpu_us("nginx")
    rows = [
        ("passing 1 KB through, × nginx: added p50", record.added_us("pass", "p50") / nginx_p50, "≤ 1.3"),
        ("passing 1 KB through, × nginx: processor", record.cpu_us("pass") / nginx_cpu, "≤ 1.3"),
        ("whole job on 1 KB, ledger in memory, × nginx: added p50", record.added_us("memory", "p50") / nginx_p50, "≤ 1.5"),
        ("whole job on 1 KB, ledger in memory, × nginx: processor", record.cpu_us("memory") / nginx_cpu, "≤ 2"),
        ("list: processor of nginx + Lua, × ours", records.cpu_us("lua") / records.cpu_us("memory"), "≥ 7"),
        ("list: processor of Express, × ours", records.cpu_us("express") / records.cpu_us("memory"), "≥ 10"),
        ("list: the same against our durable ledger, nginx + Lua", records.cpu_us("lua") / records.cpu_us("disk"), ""),
        ("list: the same against our durable ledger, Express", records.cpu_us("express") / records.cpu_us("disk"), ""),
        ("1000 × 40 decisions: processor of Cerbos at its best, × ours, warm", pdp_ratio(measured, "warm"), "≥ 1000"),
        ("the same, × ours with nothing kept", pdp_ratio(measured, "cold"), ""),
    ]
    lines = ["### Ratios", "", "| HTTP/1.1, medians of one run | measured | goal |", "|---|---|---|"]
    lines += [f"| {what} | {ratio:.1f} | {goal} |" for what, ratio, goal in rows]
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
                f"{kind} ({of['count']:,}, e.g. `{of['example']}`)" for kind, of in sorted(told["changed"].items())
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
    for which, label in (("cold", "nothing kept yet"), ("warm", "warm")):
        took = of["lockkeeper"][which]
        lines.append(f"| Lockkeeper, in process, {label} | {took['wall_ns'] / 1e6:.3f} | {took['cpu_ns'] / 1e6:.3f} |")
    return "\n".join(lines)


def number(value):
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.1f}"
