"""`scripts/export-500mb`: an export through the whole proxy, its memory above idle and its rate.

The upstream sends records in chunks and never says how long the whole will be, as exports do. The caller counts what
arrives and keeps none of it. Ledger on disk, as in production.
"""

import argparse
import multiprocessing
import os
import pathlib
import shutil
import socket
import sys
import tempfile
import threading
import time

import build
from rig import HERE, Process, Refused, end_with_us, fill, free_ports, run, stop_all
from targets import AUTHORIZATION, write_keys

CHUNK_BYTES = 64 * 1024
READ_BYTES = 1024 * 1024
RECORDS_PER_BLOCK = 1000
MARK = b'{"id":'
MEMORY_GOAL_MB, RATE_GOAL = 16, 300


def main():
    parser = argparse.ArgumentParser(prog="scripts/export-500mb")
    parser.add_argument("--megabytes", type=int, default=500, help="of JSON that the upstream sends")
    parser.add_argument("--profile", default="release", help="the profile of Cargo that Lockkeeper is built with")
    options = parser.parse_args()
    end_with_us()
    program, client = build.program(options.profile), build.client(options.profile)
    work = pathlib.Path(build.target_folder()) / "compare"
    work.mkdir(parents=True, exist_ok=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="export-", dir=work)).resolve()
    try:
        run([client, "data", folder])
        return export(program, folder, options.megabytes)
    finally:
        stop_all()
        shutil.rmtree(folder, ignore_errors=True)


def export(program, folder, megabytes):
    """Prints a table; 1 if the export did not pass whole."""
    block = (folder / "block.json").read_bytes()
    blocks = max(1, megabytes * 1_000_000 // len(block))
    ports = free_ports(["port"])
    upstream = Upstream(block, blocks)
    values = {**ports, "upstream": upstream.port, "folder": folder, "bundle": HERE / "bundle", "ledger": folder / "ledger"}
    fill(HERE / "peers" / "lockkeeper-export.toml", folder / "lockkeeper.toml", values)
    write_keys(folder)
    server = Process("lockkeeper", [program, "serve", "--config", folder / "lockkeeper.toml"], folder)
    server.wait_for(ports["port"])
    # What the first request brings into memory is not the export's.
    upstream.answer_with(1)
    ask(ports["port"])
    upstream.answer_with(blocks)
    idle_mb, cpu_s = server.memory_mb("VmRSS"), server.cpu_s()
    start = time.perf_counter()
    answer = ask(ports["port"])
    seconds, cpu_s = time.perf_counter() - start, server.cpu_s() - cpu_s
    start = time.perf_counter()
    straight = ask(upstream.port)
    straight_seconds = time.perf_counter() - start
    if straight.body_bytes != upstream.length(blocks) or not straight.is_whole:
        raise Refused("the export does not even come whole straight from the upstream")
    sent_mb = upstream.length(blocks) / 1e6
    passed = answer.status == 200 and answer.is_whole and answer.records == blocks * RECORDS_PER_BLOCK
    rows = [
        ("the CRM sends", f"{sent_mb:,.0f} MB, {blocks * RECORDS_PER_BLOCK:,} records"),
        ("status", answer.status),
        ("arrived", f"{answer.body_bytes / 1e6:,.0f} MB, {answer.records:,} records"
                    + ("" if answer.is_whole else ", broken off")),
        ("resident when idle", f"{idle_mb:.1f} MB"),
        ("peak above idle", f"{server.memory_mb() - idle_mb:.1f} MB (goal: ≤ {MEMORY_GOAL_MB})"),
        ("the same without Lockkeeper", f"{sent_mb / straight_seconds:,.0f} MB/s: upstream and caller allow no more"),
        ("load average", f"{os.getloadavg()[0]:.1f}"),
    ]
    if passed:
        rows += [
            ("rate", f"{sent_mb / seconds:,.0f} MB/s (goal: ≥ {RATE_GOAL})"),
            ("processor", f"{cpu_s:.2f} s, {cpu_s * 1e9 / (sent_mb * 1e6):.1f} ns per byte"),
        ]
    print("| Export | |\n|---|---|")
    for what, value in rows:
        print(f"| {what} | {value} |")
    if passed:
        return 0
    came = answer.start[:600].decode(errors="replace")
    print(f"export-500mb: it did not pass whole. What came begins with:\n{came}", file=sys.stderr)
    print(f"Lockkeeper's log ends with:\n{server.last_words()}", file=sys.stderr)
    return 1


class Upstream:
    """A CRM that answers every request with the same export, in chunks. A process of its own, else it would wait for us."""

    def __init__(self, block, blocks):
        self.block = block
        self.first, self.later = chunked(block), chunked(b"," + block)
        self.count = multiprocessing.Value("q", blocks)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        multiprocessing.get_context("fork").Process(target=self.serve, daemon=True).start()

    def answer_with(self, blocks):
        """From the next request on."""
        self.count.value = blocks

    def length(self, blocks):
        return blocks * (len(self.block) + 1) - 1 + len(b'{"data":[') + len(b"]}")

    def serve(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.answer, args=(connection,), daemon=True).start()

    def answer(self, connection):
        with connection:
            while read_head(connection):
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
                )
                try:
                    connection.sendall(chunked(b'{"data":['))
                    for number in range(self.count.value):
                        connection.sendall(self.later if number else self.first)
                    connection.sendall(chunked(b"]}") + b"0\r\n\r\n")
                except OSError:
                    return


def chunked(data):
    """Bytes as chunks of at most 64 KB."""
    parts = [data[at:at + CHUNK_BYTES] for at in range(0, len(data), CHUNK_BYTES)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)


def read_head(connection):
    """The bytes of a head with its empty line, or nothing at the connection's end. Requests here have no body."""
    head = b""
    while b"\r\n\r\n" not in head:
        part = connection.recv(65536)
        if not part:
            return b""
        head += part
    return head


class Answer:
    """What arrived: how much, how many records, and whether it ended as it should."""

    def __init__(self, status):
        self.status, self.body_bytes, self.records = status, 0, 0
        self.start, self.tail, self.is_whole = b"", b"", False

    def take(self, part):
        self.body_bytes += len(part)
        self.start += part[:max(0, 2000 - len(self.start))]
        # A mark may be cut in two; neither half is long enough to hold another.
        self.records += part.count(MARK) + (self.tail + part[:len(MARK) - 1]).count(MARK)
        self.tail = (self.tail + part[1 - len(MARK):])[1 - len(MARK):]


def ask(port):
    """Reads the answer as it comes, chunked or not."""
    with socket.create_connection(("127.0.0.1", port), timeout=600) as connection:
        connection.sendall(
            f"GET /export HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: {AUTHORIZATION}\r\n"
            "Connection: close\r\n\r\n".encode()
        )
        file = connection.makefile("rb", READ_BYTES)
        answer = Answer(int(file.readline().split()[1]))
        headers = {}
        while (line := file.readline().strip()):
            name, _, value = line.lower().partition(b":")
            headers[name] = value.strip()
        if b"content-length" in headers:
            answer.is_whole = pass_on(file, int(headers[b"content-length"]), answer)
        else:
            answer.is_whole = pass_on_chunks(file, answer)
        return answer


def pass_on_chunks(file, answer):
    """Whole only if the last chunk arrived: that is how a proxy says that it did not break off."""
    while (line := file.readline()):
        length = int(line.split(b";")[0], 16)
        if length == 0:
            return True
        if not pass_on(file, length, answer):
            return False
        file.readline()
    return False


def pass_on(file, length, answer):
    while length:
        part = file.read(min(length, READ_BYTES))
        if not part:
            return False
        answer.take(part)
        length -= len(part)
    return True


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Refused as refused:
        sys.exit(f"export-500mb: {refused}")
