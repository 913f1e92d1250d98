"""`scripts/reload`: a bundle of many policies is replaced while the service runs, idle and beside busy callers.

The demo's CRM, profile, people and policies, and as many policies more as are asked for, of the kinds that people write:
for roles of their own, on records and on fields. Each time one of them is changed and `POST /reload` is timed.
"""

import argparse
import http.client
import json
import multiprocessing
import os
import pathlib
import re
import shutil
import statistics
import sys
import tempfile
import time

import build
from rig import Process, Refused, end_with_us, free_ports, stop_all

CALLERS = 4
PATHS = ("/api/deals/42", "/api/deals")
TOKEN = "reload-token-of-the-benchmark"
GOAL_MS = 600
BLOCK = 20


def main():
    parser = argparse.ArgumentParser(prog="scripts/reload")
    parser.add_argument("--policies", type=int, default=2000, help="that the bundle holds, about")
    parser.add_argument("--times", type=int, default=9, help="how often it is reloaded, idle and busy each")
    parser.add_argument("--profile", default="release", help="the profile of Cargo that Lockkeeper is built with")
    options = parser.parse_args()
    end_with_us()
    program = build.program(options.profile)
    work = pathlib.Path(build.target_folder()) / "compare"
    work.mkdir(parents=True, exist_ok=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="reload-", dir=work)).resolve()
    try:
        return measure(program, folder, options)
    finally:
        stop_all()
        shutil.rmtree(folder, ignore_errors=True)


def measure(program, folder, options):
    service = Service(program, folder, options.policies)
    load = os.getloadavg()[0]
    idle = [service.reload() for _ in range(options.times)]
    with Callers(service.port, service.key) as callers:
        time.sleep(2)
        busy, times = [], []
        for _ in range(options.times):
            start = time.monotonic()
            busy.append(service.reload())
            times.append((start, time.monotonic()))
            time.sleep(1)
    during = [taken for at, taken in callers.answers if any(start <= at <= end for start, end in times)]
    otherwise = [taken for at, taken in callers.answers if not any(start <= at <= end for start, end in times)]
    rows = [
        ("policies", f"{service.policies:,}"),
        ("idle", f"{told(idle)} (goal: ≤ {GOAL_MS} ms)"),
        ("busy", f"{told(busy)} (goal: ≤ {GOAL_MS} ms)"),
        ("requests answered meanwhile, failed", f"{len(callers.answers):,}, {callers.failed}"),
        ("a request while it reloads", quantiles(during)),
        ("a request otherwise", quantiles(otherwise)),
        ("load average before", f"{load:.1f}"),
    ]
    print("| Reload | |\n|---|---|")
    for what, value in rows:
        print(f"| {what} | {value} |")
    return 1 if callers.failed else 0


def told(seconds):
    ms = sorted(value * 1e3 for value in seconds)
    return f"median {statistics.median(ms):,.0f} ms, {ms[0]:,.0f} to {ms[-1]:,.0f}"


def quantiles(taken):
    if len(taken) < 100:
        return f"{len(taken)} requests: too few"
    cuts = statistics.quantiles((value * 1e3 for value in taken), n=100)
    return f"{len(taken):,} requests: p50 {cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms"


class Service:
    """Lockkeeper in front of the demo's CRM, with an admin listener and many policies."""

    def __init__(self, program, folder, policies):
        ports = free_ports(["crm", "demo", "port", "admin"])
        self.port, self.admin = ports["port"], ports["admin"]
        demo = folder / "demo"
        words = [program, "demo", "--dir", demo, "--crm", f"127.0.0.1:{ports['crm']}", "--listen", f"127.0.0.1:{ports['demo']}"]
        crm = Process("demo", words, folder, stdout=open(folder / "demo.txt", "wb")).wait_for(ports["demo"])
        self.key = key_of(folder / "demo.txt", crm)
        own = folder / "own"
        shutil.copytree(demo, own, ignore=shutil.ignore_patterns("state"))
        config = (own / "lockkeeper.toml").read_text().replace(f":{ports['demo']}", f":{self.port}")
        config += f'\n[admin]\naddress = "127.0.0.1:{self.admin}"\ntoken_file = "admin.token"\n\n[log]\nlevel = "warn"\n'
        (own / "lockkeeper.toml").write_text(config)
        (own / "admin.token").write_text(f"{TOKEN}\n")
        (own / "admin.token").chmod(0o600)
        self.file = own / "bundle" / "policies" / "many.cedar"
        of_the_demo = sum(file.read_text().count("@id(") for file in self.file.parent.glob("*.cedar"))
        self.blocks = max(1, (policies - of_the_demo) // BLOCK)
        self.policies, self.revision = of_the_demo + self.blocks * BLOCK, 0
        add_roles(own / "directory.cedarentities.json", self.blocks)
        self.write()
        self.process = Process("lockkeeper", [program, "serve", "--config", own / "lockkeeper.toml"], folder)
        self.process.wait_for(self.port, seconds=120)

    def write(self):
        self.file.write_text("".join(block(number, self.revision) for number in range(self.blocks)))

    def reload(self):
        """Seconds from the question to the answer; the answer says that the new bundle serves."""
        self.revision += 1
        self.write()
        before = self.bundle()
        admin = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=120)
        start = time.perf_counter()
        admin.request("POST", "/reload", headers={"Authorization": f"Bearer {TOKEN}"})
        answer = admin.getresponse()
        text = answer.read().decode()
        seconds = time.perf_counter() - start
        if answer.status != 200 or self.bundle() == before:
            raise Refused(f"a reload answered {answer.status} and did not replace the bundle: {text}")
        return seconds

    def bundle(self):
        admin = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=120)
        admin.request("GET", "/status", headers={"Authorization": f"Bearer {TOKEN}"})
        return json.loads(admin.getresponse().read())["bundle"]


def key_of(printed, crm):
    """The key of the rep, the first that the demo prints."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        found = re.search(r"Bearer (\S+)' .*\n", printed.read_text())
        if found:
            return found.group(1)
        time.sleep(0.02)
    raise Refused(f"the demo prints no key; its log ends with:\n{crm.last_words()}")


def add_roles(path, blocks):
    entities = json.loads(path.read_text())
    for number in range(blocks):
        for kind in ("desk", "lead"):
            entities.append({"uid": {"type": "Role", "id": f"{kind}-{number}"}, "attrs": {}, "parents": []})
    path.write_text(json.dumps(entities))


def block(number, revision):
    """Policies for the two roles of one desk. The first block differs from revision to revision."""
    desk, lead = f'Role::"desk-{number}"', f'Role::"lead-{number}"'
    own = "resource has owner && resource.owner == principal"
    limit = 100_000 + number * 100 + (revision if number == 0 else 0)
    rules = [
        f'permit (principal in {desk}, action == Action::"view", resource is Deal) when {{ {own} }};',
        f'permit (principal in {lead}, action == Action::"view", resource is Deal);',
        f'permit (principal in {desk}, action == Action::"view", resource is Contact);',
        f'forbid (principal in {desk}, action == Action::"view", resource is Deal) when {{ resource has amount && '
        f'resource.amount.greaterThan(decimal("{limit}.00")) }} unless {{ {own} }};',
        f'permit (principal in {desk}, action == Action::"edit", resource is Deal) when {{ {own} }};',
        f'permit (principal in {lead}, action == Action::"edit", resource is Deal);',
    ]
    for action, who in (("readField", desk), ("readField", lead), ("writeField", desk), ("writeField", lead)):
        for fields in ("public", "Deal.financial", "confidential"):
            mine = f" && {own}" if who == desk else ""
            rules.append(
                f'permit (principal in {who}, action == Action::"{action}", resource is Deal) '
                f'when {{ context.field in FieldSet::"{fields}"{mine} }};'
            )
    rules += [
        f'forbid (principal in {desk}, action == Action::"readField", resource) when {{ context.field in FieldSet::"pii" }};',
        f'permit (principal in {lead}, action == Action::"readField", resource is Contact) when {{ context.field in FieldSet::"pii" }};',
    ]
    assert len(rules) == BLOCK
    return "".join(f'@id("desk-{number}.{place}")\n{rule}\n' for place, rule in enumerate(rules))


class Callers:
    """Processes that ask one request after the other, each over one connection, until they are told to stop."""

    def __init__(self, port, key):
        self.fork = multiprocessing.get_context("fork")
        self.stop, self.found = self.fork.Event(), self.fork.Queue()
        self.processes = [self.fork.Process(target=self.call, args=(port, key), daemon=True) for _ in range(CALLERS)]
        self.answers, self.failed = [], 0

    def __enter__(self):
        for process in self.processes:
            process.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for _ in self.processes:
            answers, failed = self.found.get(timeout=60)
            self.answers += answers
            self.failed += failed
        for process in self.processes:
            process.join(10)

    def call(self, port, key):
        answers, failed, number = [], 0, 0
        headers = {"Authorization": f"Bearer {key}"}
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while not self.stop.is_set():
            number += 1
            start = time.monotonic()
            try:
                connection.request("GET", PATHS[number % len(PATHS)], headers=headers)
                answer = connection.getresponse()
                answer.read()
                failed += answer.status != 200
            except (OSError, http.client.HTTPException):
                failed += 1
                connection.close()
            answers.append((start, time.monotonic() - start))
        self.found.put((answers, failed))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Refused as refused:
        sys.exit(f"scripts/reload: {refused}")
