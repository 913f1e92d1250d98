"""What is compared: the upstream by itself, and what stands in front of it, each started as its own documentation recommends."""

import hashlib
import json
import os
import pathlib
import tomllib

from rig import HERE, Process, Refused, fill, free_ports

KEY = "compare-key-of-u1"
AUTHORIZATION = f"Bearer {KEY}"
LARGE_AMOUNT = 1_500_000

# name, what it says in tables, whether it filters, whether it speaks HTTP/2 in the clear
TARGETS = {
    "direct": ("upstream, nothing between", False, True),
    "nginx": ("nginx, plain proxy", False, True),
    "pass": ("Lockkeeper, passing through, ledger in memory", False, True),
    "memory": ("Lockkeeper, whole job, ledger in memory", True, True),
    "disk": ("Lockkeeper, whole job, ledger durable", True, True),
    "lua": ("nginx + Lua + cjson", True, True),
    "express": ("Express, JSON.parse", True, False),
}
WORKLOADS = {"record": "/deals/7", "list": "/deals"}


class Rig:
    """All targets, running."""

    def __init__(self, folder, program, npm):
        self.folder, self.program, self.npm = folder, program, npm
        self.ports = free_ports(
            ["upstream", "upstream_h2", "nginx", "nginx_h2", "lua", "lua_h2", "express", "pass", "memory", "disk"]
        )
        self.processes = {}

    def start(self):
        self.write_files()
        nginx = ["nginx", "-p", self.folder, "-e", "stderr", "-c"]
        self.add("direct", [*nginx, "upstream.conf"], "upstream")
        self.add("nginx", [*nginx, "nginx.conf"], "nginx")
        self.add("lua", [*nginx, "nginx-lua.conf"], "lua")
        workers = len(os.sched_getaffinity(0))
        express = ["node", "express.js", self.ports["express"], self.ports["upstream"], "fields.json", workers]
        env = {"NODE_ENV": "production", "NODE_PATH": str(self.npm / "node_modules")}
        self.add("express", express, "express", env)
        for name in ("pass", "memory", "disk"):
            self.add(name, [self.program, "serve", "--config", self.lockkeeper(name)], name)

    def add(self, name, command, port, env=None):
        self.processes[name] = Process(name, command, self.folder, env).wait_for(self.ports[port])

    def stop(self):
        for process in self.processes.values():
            process.stop()

    def values(self):
        root = os.geteuid() == 0
        # A master that runs as root would hand its workers to a user who cannot read our folder.
        return {**self.ports, "folder": self.folder, "user": "user root;" if root else "", "bundle": HERE / "bundle"}

    def write_files(self):
        for name in ("upstream", "nginx", "lua"):
            (self.folder / "tmp" / name).mkdir(parents=True, exist_ok=True)
        for pattern in ("*.conf", "filter.lua", "express.js"):
            for file in (HERE / "peers").glob(pattern):
                fill(file, self.folder / file.name, self.values())
        (self.folder / "fields.json").write_text(json.dumps(fields()))
        write_keys(self.folder)

    def lockkeeper(self, name):
        """The configuration of one instance."""
        ledger = self.folder / f"ledger-{name}" if name == "disk" else memory_folder() / f"{self.folder.name}-{name}"
        values = {**self.values(), "port": self.ports[name], "ledger": ledger}
        path = self.folder / f"lockkeeper-{name}.toml"
        fill(HERE / "peers" / "lockkeeper.toml", path, values)
        return path

    def url(self, name, workload, http2):
        """Where a target answers a workload."""
        port = {"direct": "upstream"}.get(name, name)
        if http2 and name in ("direct", "nginx", "lua"):
            port += "_h2"
        path = WORKLOADS[workload]
        return f"http://127.0.0.1:{self.ports[port]}{'/plain' + path if name == 'pass' else path}"


def memory_folder():
    """A folder in memory, where a sync costs nothing."""
    folder = pathlib.Path("/dev/shm")
    if not folder.is_dir():
        raise Refused("/dev/shm is missing: the ledger in memory needs a tmpfs there")
    return folder


def write_keys(folder):
    """Keys made for the run; Lockkeeper warns of such files if others can read them."""
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    keys = f"[[key]]\nprincipal = 'User::\"u1\"'\nsha256 = \"{digest}\"\n"
    for name, text in (("crm.key", "the-upstream-does-not-look\n"), ("api-keys.toml", keys)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)


def fields():
    """The rules' lists, read from the profile, so that nobody's copy can differ: the fields of each set, and what is shown
    in each of four cases, in the profile's order, which is that of the records."""
    profile = tomllib.loads((HERE / "bundle" / "profile.toml").read_text())
    set_of = {name: field["sets"][0] for name, field in profile["types"]["Deal"]["fields"].items()}
    sets = {}
    for name, of in set_of.items():
        sets.setdefault(of, []).append(name)
    cases = {"neither": {"open"}, "contact": {"open", "contact"}, "money": {"open", "money"}}
    cases["both"] = cases["contact"] | cases["money"]
    shown = {case: [name for name, of in set_of.items() if of in shown] for case, shown in cases.items()}
    stages = profile["pipelines"]["sales"]["stages"]
    open_stages = [name for name, stage in stages.items() if "open" in stage["groups"]]
    return {"sets": sets, "shown": shown, "open_stages": open_stages, "caller_crm_id": 1, "large_amount": LARGE_AMOUNT}
