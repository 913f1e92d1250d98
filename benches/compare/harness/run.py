"""The comparison as a whole: `scripts/compare` calls it when everything that is compared with is installed."""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import build
import load
import pdp
import report
import same
from rig import ROOT, Refused, end_with_us, machine, run, stop_all
from targets import TARGETS, WORKLOADS, Rig, memory_folder

# turns of one request in flight for each workload, seconds of load, rounds, runs of Cerbos
FULL = {"turns": {"record": 600, "list": 40}, "seconds": 2, "rounds": 5, "cerbos": 7}
QUICK = {"turns": {"record": 200, "list": 10}, "seconds": 1, "rounds": 3, "cerbos": 3}


def main():
    options = arguments()
    end_with_us()
    options.program, options.client = build.program(options.profile), build.client(options.profile)
    work = pathlib.Path(build.target_folder()) / "compare"
    work.mkdir(parents=True, exist_ok=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="compare-", dir=work)).resolve()
    try:
        measured = measure(options, folder)
    finally:
        stop_all()
        shutil.rmtree(folder, ignore_errors=True)
        for left in memory_folder().glob(f"{folder.name}-*"):
            shutil.rmtree(left, ignore_errors=True)
    raw = work / "compare.json"
    raw.write_text(json.dumps(measured, indent=1))
    tables = report.tables(measured)
    print(tables)
    if options.write:
        report.write(ROOT / "docs" / "performance" / "compare.md", tables)
    say(f"raw numbers: {raw}")


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/compare")
    parser.add_argument("--npm", required=True, type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("--profile", default="release", help="the profile of Cargo that Lockkeeper is built with")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and requests")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/performance/compare.md")
    return parser.parse_args()


def measure(options, folder):
    sizes = QUICK if options.quick else FULL
    start, facts = time.monotonic(), {**machine(), **versions(options), "sizes": sizes}
    run([options.client, "data", folder])
    rig = Rig(folder, options.program, options.npm.resolve())
    rig.start()
    say("all started; do they yield the same?")
    told = {"machine": facts, "same": same.check(rig), "rounds": []}
    say("they do; warming up")
    counts = {
        (http2, workload, name): load.requests_in(rig, name, workload, http2, sizes["seconds"])
        for http2 in (False, True) for workload in WORKLOADS for name in load.names(http2)
    }
    for number in range(sizes["rounds"]):
        say(f"round {number + 1} of {sizes['rounds']}")
        told["rounds"].append(one_round(rig, options.client, sizes, counts, number))
    told["memory_mb"] = {name: process.memory_mb() for name, process in rig.processes.items()}
    rig.stop()
    say("decisions: Cerbos and our own")
    told["decisions"] = pdp.measure(rig, options.client, sizes["cerbos"])
    facts["minutes"] = round((time.monotonic() - start) / 60, 1)
    facts["load_1min_after"] = machine()["load_1min"]
    return told


def one_round(rig, client, sizes, counts, number):
    """Each workload and protocol: single requests, then load on one target after the other, in an order that turns."""
    cells = {}
    for http2 in (False, True):
        for workload in WORKLOADS:
            turns = sizes["turns"][workload]
            cell = {"latency": load.latency(rig, client, workload, http2, turns, max(3, turns // 20)), "load": {}}
            names = load.names(http2)
            for name in names[number % len(names):] + names[:number % len(names)]:
                cell["load"][name] = load.load(rig, name, workload, http2, counts[http2, workload, name])
            cells[f"{workload} {'HTTP/2' if http2 else 'HTTP/1.1'}"] = cell
    return cells


def versions(options):
    def first_line(command):
        done = subprocess.run(command, capture_output=True, text=True)
        return (done.stdout + done.stderr).splitlines()[0].strip()
    def package(name):
        return json.loads((options.npm / "node_modules" / name / "package.json").read_text())["version"]
    return {
        "versions": {
            "rustc": first_line(["rustc", "--version"]),
            "nginx": first_line(["nginx", "-v"]).rpartition("/")[2],
            "node": first_line(["node", "--version"]),
            "express": package("express"), "undici": package("undici"), "cerbos": package("cerbos"),
            "h2load": first_line(["h2load", "--version"]).rpartition("/")[2],
        },
        "profile": options.profile,
        "revision": run(["git", "-C", ROOT, "describe", "--always", "--dirty"]).strip(),
        "when": time.strftime("%Y-%m-%d"),
    }


def say(text):
    print(f"compare: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main()
    except Refused as refused:
        sys.exit(f"compare: {refused}")
