"""The measurements: single requests timed in turn by the Rust client, load by h2load over both protocols."""

import json
import os
import re

from rig import Refused, run
from targets import AUTHORIZATION, TARGETS

# Connections and requests at once on each, without and with HTTP/2: 32 records or 8 lists at once.
LOAD = {"record": ((32, 1), (4, 8)), "list": ((8, 1), (4, 2))}


def names(http2):
    return [name for name, (_, _, speaks_http2) in TARGETS.items() if speaks_http2 or not http2]


def latency(rig, client, workload, http2, turns, warm_turns):
    """One request in flight, targets in turn: p10, p50 and p99 of each in nanoseconds."""
    targets = [{"name": name, "url": rig.url(name, workload, http2)} for name in names(http2)]
    plan = {
        "http2": http2, "turns": turns, "warm_turns": warm_turns, "authorization": AUTHORIZATION, "targets": targets,
    }
    return {row["name"]: row for row in json.loads(run([client, "latency", json.dumps(plan)]))}


def load(rig, name, workload, http2, count):
    """So many requests, many at once: requests a second, and microseconds of the target's processor for each.

    The number is fixed, not the time: what a time cuts off would be paid for and not counted.
    """
    process = rig.processes[name]
    before = process.cpu_s()
    count, rate = h2load(rig.url(name, workload, http2), LOAD[workload][http2], ["--requests", count])
    cpu_s = process.cpu_s() - before
    return {"requests": count, "rate": rate, "cpu_us": cpu_s * 1e6 / count, "load_1min": os.getloadavg()[0]}


def requests_in(rig, name, workload, http2, seconds):
    """About how many requests a target answers in so many seconds; warms it up by the way."""
    shape = LOAD[workload][http2]
    count, rate = h2load(rig.url(name, workload, http2), shape, ["--duration", 1])
    at_once = shape[0] * shape[1]
    return max(round(rate * seconds / at_once), 2) * at_once


def h2load(url, shape, how_long):
    """One thread: there are two cores, and the targets need them. Returns how many were answered, and how many a second."""
    clients, streams = shape
    protocol = ["--h1"] if streams == 1 else ["--max-concurrent-streams", streams]
    output = run(
        ["h2load", "--threads", 1, "--clients", clients, *protocol, *how_long,
         "--header", f"authorization: {AUTHORIZATION}", url]
    )
    answers = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", output)
    rate = re.search(r"finished in .*?, ([\d.]+) req/s", output)
    failed = re.search(r"(\d+) failed, (\d+) errored, (\d+) timeout", output)
    is_cut_off = how_long[0] == "--duration"
    if not answers or not rate or any(int(answers.group(number)) for number in (2, 3, 4)):
        raise Refused(f"not all answers were in order under load, {url}:\n{output}")
    if not is_cut_off and any(int(failed.group(number)) for number in (1, 2, 3)):
        raise Refused(f"not all requests were answered under load, {url}:\n{output}")
    return int(answers.group(1)), float(rate.group(1))
