"""The same 1000 × 40 decisions (and `view` of each record) asked of Cerbos CheckResources and of Lockkeeper's own decider."""

import json
import statistics
import subprocess
import time
import urllib.request

from rig import HERE, Process, Refused, fill, free_ports, run
from same import parse, shown_fields
from targets import fields

BATCHES = (50, 500)
# Enough that the coarse count of processor time does not matter.
OUR_RUNS = 301


def measure(rig, client, runs):
    """Both, after it is shown that they decide alike."""
    rules = fields()
    deals = parse((rig.folder / "deals.json").read_text())["data"]
    wanted = [sorted(shown_fields(deal, rules)) for deal in deals]
    ours = json.loads(run([client, "decide", HERE / "bundle", rig.folder, OUR_RUNS]))
    agree("Lockkeeper", [sorted(names) for names in ours.pop("shown")], wanted)
    return {"lockkeeper": ours, "cerbos": cerbos(rig, deals, wanted, rules, runs)}


def agree(who, found, wanted):
    different = [at for at, (a, b) in enumerate(zip(found, wanted)) if a != b]
    if different or len(found) != len(wanted):
        raise Refused(f"{who} decides otherwise on {len(different)} of {len(wanted)} records, first {different[:3]}")


def cerbos(rig, deals, wanted, rules, runs):
    ports = free_ports(["cerbos", "cerbos_grpc"])
    (rig.folder / "cerbos").mkdir(exist_ok=True)
    fill(HERE / "peers" / "cerbos" / "deal.yaml", rig.folder / "cerbos" / "deal.yaml", {})
    fill(HERE / "peers" / "cerbos.yaml", rig.folder / "cerbos.yaml", {**ports, "folder": rig.folder})
    server = Process("cerbos", [cerbos_program(rig.npm), "server", "--config", "cerbos.yaml"], rig.folder)
    server.wait_for(ports["cerbos"])
    server.wait_for(ports["cerbos_grpc"])
    asked = question(deals, rules)
    (rig.folder / "question.json").write_text(json.dumps(asked))
    try:
        told = {}
        for batch in BATCHES:
            told[f"gRPC, batches of {batch}"] = by_grpc(rig, server, ports["cerbos_grpc"], batch, wanted, runs)
            told[f"HTTP, batches of {batch}"] = by_http(server, ports["cerbos"], asked, batch, wanted, runs)
        return {"ways": told, "memory_mb": server.memory_mb()}
    finally:
        server.stop()


def cerbos_program(npm):
    """The server itself, not the script in node that npm starts it by, which would count as its memory."""
    found = sorted((npm / "node_modules" / "@cerbos").glob("cerbos-*/cerbos-*"))
    if not found:
        raise Refused("npm has no Cerbos for this machine: @cerbos/cerbos-… is missing beside the package `cerbos`")
    return found[0]


def question(deals, rules):
    actions = ["view", *(f"read:{of}:{name}" for of, names in rules["sets"].items() for name in names)]
    resources = [
        {
            "resource": {
                "kind": "deal", "id": str(deal["id"]),
                "attr": {"owner": f"u{deal['owner_id']}", "stage": deal["stage"], "amount": float(deal["amount"])},
            },
            "actions": actions,
        }
        for deal in deals
    ]
    return {"principal": {"id": "u1", "roles": ["rep"]}, "resources": resources}


def field_names(actions):
    return sorted(action.rpartition(":")[2] for action in actions if action != "view")


def by_grpc(rig, server, port, batch, wanted, runs):
    """Through its own client in node; only the server's processor time counts."""
    # Node finds the client's module from where the script lies.
    script = rig.npm / "cerbos.mjs"
    script.write_text((HERE / "peers" / "cerbos.mjs").read_text())
    command = ["node", script, port, rig.folder / "question.json", batch, runs]
    client = Process("cerbos-client", command, rig.folder, None, subprocess.PIPE, subprocess.PIPE)
    lines = client.handle.stdout
    first = lines.readline()
    if not first:
        raise Refused(f"the client of Cerbos ended:\n{client.last_words()}")
    agree("Cerbos", [field_names(actions) for actions in json.loads(first)], wanted)
    measured = []
    for _ in range(runs):
        before = server.cpu_s()
        client.handle.stdin.write(b"\n")
        client.handle.stdin.flush()
        wall_ns = int(lines.readline())
        measured.append((wall_ns / 1e6, (server.cpu_s() - before) * 1e3))
    client.handle.stdin.close()
    client.handle.wait(10)
    return medians(measured)


def by_http(server, port, asked, batch, wanted, runs):
    """Through its JSON API."""
    resources = asked["resources"]
    parts = [resources[at:at + batch] for at in range(0, len(resources), batch)]
    bodies = [json.dumps({"principal": asked["principal"], "resources": part}).encode() for part in parts]
    measured = []
    for number in range(runs + 1):
        before, start = server.cpu_s(), time.perf_counter()
        answers = [post(f"http://127.0.0.1:{port}/api/check/resources", body) for body in bodies]
        measured.append(((time.perf_counter() - start) * 1e3, (server.cpu_s() - before) * 1e3))
        if number == 0:
            results = [result["actions"] for answer in answers for result in json.loads(answer)["results"]]
            allowed = [[name for name, effect in of.items() if effect == "EFFECT_ALLOW"] for of in results]
            agree("Cerbos", [field_names(names) for names in allowed], wanted)
    return medians(measured[1:])


def post(url, body):
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        return response.read()


def medians(measured):
    wall, cpu = zip(*measured)
    return {"wall_ms": statistics.median(wall), "cpu_ms": statistics.median(cpu)}
