"""Processes under test: starting, finding their ports, reading what they cost, ending them.

Promises: listens on 127.0.0.1 only; ends what it started and nothing else, however the run ends.
"""

import atexit
import os
import pathlib
import platform
import re
import signal
import socket
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent.parent
ROOT = HERE.parent.parent
TICKS = os.sysconf("SC_CLK_TCK")


class Refused(Exception):
    """What stops a run, said to whoever started it."""


class Process:
    """One program with everything that it starts."""

    def __init__(self, name, command, folder, env=None, stdin=None, stdout=subprocess.DEVNULL):
        self.name = name
        self.log = folder / f"{name}.log"
        with open(self.log, "wb") as log:
            self.handle = subprocess.Popen(
                [str(word) for word in command], stdin=stdin, stdout=stdout, stderr=log, cwd=folder,
                env={**os.environ, **(env or {})}, start_new_session=True,
            )
        STARTED.append(self)

    def wait_for(self, port, seconds=30):
        """Until it listens, or has ended, which is refused with its own last words."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.handle.poll() is not None:
                break
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return self
            time.sleep(0.02)
        raise Refused(f"{self.name} does not listen on port {port}; its log ends with:\n{self.last_words()}")

    def last_words(self):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-8:])

    def stop(self):
        if self.handle.poll() is None:
            os.killpg(self.handle.pid, signal.SIGTERM)
            try:
                self.handle.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(self.handle.pid, signal.SIGKILL)
                self.handle.wait()

    def pids(self):
        """Itself and its workers."""
        found, todo = [], [self.handle.pid]
        while todo:
            pid = todo.pop()
            found.append(pid)
            for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
                try:
                    todo.extend(int(child) for child in task.read_text().split())
                except OSError:
                    pass
        return found

    def cpu_s(self):
        """Processor time of all its threads so far, those that have ended included, in ticks of 10 ms."""
        total = 0
        for pid in self.pids():
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        return total / TICKS

    def memory_mb(self, which="VmHWM"):
        """Resident memory of all its processes, at its highest by default. What they share counts for each."""
        total = 0
        for pid in self.pids():
            status = pathlib.Path(f"/proc/{pid}/status").read_text()
            total += int(re.search(rf"{which}:\s+(\d+)", status).group(1))
        return total / 1024


STARTED = []


def stop_all():
    while STARTED:
        STARTED.pop().stop()


def end_with_us():
    """Children end with us, by whatever signal we end."""
    atexit.register(stop_all)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))


def free_ports(names):
    """A free port for each name. They are held until all are found, so that no two are the same."""
    held = {}
    for name in names:
        held[name] = socket.socket()
        held[name].bind(("127.0.0.1", 0))
    ports = {name: found.getsockname()[1] for name, found in held.items()}
    for found in held.values():
        found.close()
    return ports


def fill(source, target, values):
    """Writes a peer's file with its ports and folders in place of `@name@`."""
    def value(match):
        name = match.group(1)
        if name not in values:
            raise Refused(f"{source.name} wants @{name}@, which nobody sets")
        return str(values[name])
    target.write_text(re.sub(r"@([a-z_0-9]+)@", value, source.read_text()))


def run(command, **more):
    """The output of a program that must succeed."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **more)
    if done.returncode != 0:
        words = " ".join(str(word) for word in command)[:200]
        raise Refused(f"`{words}` failed:\n{done.stderr[-2000:]}{done.stdout[-500:]}")
    return done.stdout


def machine():
    """What the figures belong to."""
    cpu = re.search(r"model name\s*:\s*(.+)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())
    return {
        "cpu": cpu.group(1) if cpu else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(int(memory.group(1)) / 1024 / 1024),
        "kernel": f"{platform.system()} {platform.release()}",
        "load_1min": os.getloadavg()[0],
    }
