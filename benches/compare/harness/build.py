"""Builds what is measured, and says where it is.

The program is built by itself: beside tests and benchmarks it would share their features of its libraries.
"""

import json
import subprocess

from rig import ROOT, Refused


def build(profile, target):
    """The path of a built program, for targets such as `["--bin", "lockkeeper"]`."""
    command = ["cargo", "build", "--locked", "--profile", profile, *target]
    done = subprocess.run(
        [*command, "--message-format=json-render-diagnostics"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    if done.returncode != 0:
        raise Refused(f"`{' '.join(command)}` failed")
    built = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    found = [line["executable"] for line in built if line.get("executable") and line["target"]["name"] == target[1]]
    if not found:
        raise Refused(f"`{' '.join(command)}` made no program")
    return found[-1]


def program(profile):
    """Lockkeeper itself."""
    return build(profile, ["--bin", "lockkeeper"])


def client(profile):
    """The client, the data and our own decisions."""
    return build(profile, ["--bench", "compare"])


def target_folder():
    """Cargo's own."""
    asked = ["cargo", "metadata", "--locked", "--no-deps", "--format-version", "1"]
    done = subprocess.run(asked, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise Refused("`cargo metadata` failed")
    return json.loads(done.stdout)["target_directory"]
