"""The runner of scripts/compare: jobs, contestants, measurements, tables. Its usage is in scripts/compare."""

import argparse
import fcntl
import json
import os
import re
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

import benches
import jobs
import peers
import topology as at

ROOT = peers.ROOT
BEGIN, END = "<!-- compare:begin -->", "<!-- compare:end -->"
ENOUGH = 0.999  # recall below which a peer does not count as one to beat
SETTLE = 0.3  # seconds between runs, for stragglers of the one before
ONE_AT_A_TIME = Path("/run/lock/jiebei-compare")


@dataclass
class Run:
    wall: float
    cpu: float
    memory: float  # MiB
    packets: int
    resets: int
    rate: float  # packets a second, or None
    found: int
    missed: int
    invented: int
    exit: int


@dataclass
class Failed:
    why: str


class Runner:
    def __init__(self, scratch):
        self.scratch, self.children = scratch, []
        self.topology = at.Topology()

    def start(self, argv, **more):
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, start_new_session=True, **more)
        self.children.append(child)
        return child

    def kill(self, child):
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass

    def measure(self, job, who):
        """One run. Memory is told by time(1): the kernel counts this process's own pages to a child until it executes."""
        if who.prepare:
            who.prepare()
        self.topology.forget()
        time.sleep(SETTLE)
        out, err, peak = (self.scratch / name for name in ("stdout", "stderr", "peak"))
        argv = ["ip", "netns", "exec", at.SCAN, "/usr/bin/time", "-q", "-o", str(peak), "-f", "%M", *map(str, who.argv)]
        late = threading.Event()
        resets = self.topology.resets()
        with open(out, "wb") as stdout, open(err, "wb") as stderr, at.Meter() as meter:
            begin = time.monotonic()
            child = self.start(argv, stdout=stdout, stderr=stderr, cwd=self.scratch)
            watchdog = threading.Timer(job.timeout, lambda: (late.set(), self.kill(child)))
            watchdog.start()
            try:
                _, status, used = os.wait4(child.pid, 0)
            finally:
                watchdog.cancel()
            wall = time.monotonic() - begin
            child.returncode = os.waitstatus_to_exitcode(status)
        self.kill(child)  # what it left behind
        self.children.remove(child)
        if late.is_set():
            return Failed(f"over {job.timeout:.0f} s")
        found = who.read(out.read_text(errors="replace")) if who.read else set()
        if child.returncode and not found:
            last = (err.read_text(errors="replace").strip().splitlines() or ["silent"])[-1]
            return Failed(f"exit {child.returncode}: {last[:100]}")
        truth = job.truth if job.truth is not None else found
        return Run(wall, used.ru_utime + used.ru_stime, int(peak.read_text().split()[-1]) / 1024, meter.packets(),
                   self.topology.resets() - resets, meter.rate(), len(found & truth), len(truth - found), len(found - truth), child.returncode)

    def job(self, job, runs):
        """Each contestant once a round, the order turned by one each time. Who fails is not asked again."""
        self.topology.rules(job.come, job.go)
        if job.before:
            job.before(self.topology)
        results = [[] for _ in job.who]
        burners = [self.start(["sh", "-c", "while :; do :; done"]) for _ in range(os.cpu_count() if job.burners else 0)]
        try:
            for turn in range(runs):
                for step in range(len(job.who)):
                    place = (turn + step) % len(job.who)
                    if any(isinstance(result, Failed) for result in results[place]):
                        continue
                    result = self.measure(job, job.who[place])
                    results[place].append(result)
                    note = result.why if isinstance(result, Failed) else f"{result.wall:.2f} s, {result.found:,} found"
                    print(f"  {turn + 1}/{runs} {job.who[place].tool} {job.who[place].label}: {note}", flush=True)
        finally:
            for burner in burners:
                self.kill(burner)
                burner.wait()
                self.children.remove(burner)
        return results

    def end(self):
        for child in self.children:
            self.kill(child)
        self.topology.down()


@dataclass
class Row:
    who: peers.Contestant
    runs: list
    failed: str

    def middle(self, pick):
        values = [value for value in map(pick, self.runs) if value is not None]
        return statistics.median(values) if values else None

    def recall(self, truth):
        return self.middle(lambda run: run.found / truth) if truth else None


def figure(value, digits=2):
    return "–" if value is None else f"{value:,.{digits}f}"


def columns(job):
    """The heads of a job's table, and what each shows of a row."""
    truth = len(job.truth or ())

    def wall(row):
        values = [run.wall for run in row.runs]
        spread = f" ({min(values):.2f}–{max(values):.2f})" if len(values) > 1 else ""
        return figure(row.middle(lambda run: run.wall)) + spread

    def recall(row):
        invented = max(run.invented for run in row.runs)
        return figure(row.recall(truth), 4) + (f", {invented} false" if invented else "")

    shown = {"wall s": wall, "CPU s": lambda row: figure(row.middle(lambda run: run.cpu)),
             "peak MiB": lambda row: figure(row.middle(lambda run: run.memory), 1)}
    if truth:
        shown["recall"] = recall
    if job.asked:
        asked = lambda run: (run.packets - run.resets) / job.asked
        shown["packets"] = lambda row: figure(row.middle(lambda run: run.packets), 0)
        shown[f"per {job.unit}"] = lambda row: figure(row.middle(asked), 3)
        if any(run.resets for run in every_run(job)):
            shown["of them RST"] = lambda row: figure(row.middle(lambda run: run.resets), 0)
        shown["packets a second"] = lambda row: figure(row.middle(lambda run: run.rate), 0)
    if job.amount:
        shown["packets a second"] = lambda row: figure(row.middle(lambda run: job.amount / run.wall), 0)
    return shown


def every_run(job):
    return [run for row in job.rows for run in row.runs]


def ratios(job):
    """Ours against the best peer of each measure, among those that found what is there."""
    truth = len(job.truth or ())
    able = [row for row in job.rows if row.runs and (not truth or row.recall(truth) >= ENOUGH)]
    us = [row for row in able if row.who.ours]
    them = [row for row in able if not row.who.ours and row.who.tool != "bare sender"]
    if not any(row.who.ours for row in job.rows):
        return "Ours is not measured: the binary or its `scan` is not there."
    if not us:
        return f"Ours against the best peer: ours found less than {ENOUGH} of what is there."
    if not them:
        return f"Ours against the best peer: no peer found {ENOUGH} of what is there."
    if job.by_rate:
        rate = lambda row: row.middle(lambda run: run.rate) or 0
        mine, best = max(us, key=rate), max(them, key=rate)
        if not rate(best):
            return "Ours against the best peer: too short to tell a rate."
        return f"**Ours ({mine.who.label}) against the best peer:** {rate(mine) / rate(best):.2f} × the packets a second of {best.who.tool} {best.who.label}."
    measures = {"wall": lambda run: run.wall, "CPU": lambda run: run.cpu, "memory": lambda run: run.memory}
    if job.asked:
        measures["packets"] = lambda run: run.packets - run.resets
    parts = []
    for name, pick in measures.items():
        mine, best = min(row.middle(pick) for row in us), min(them, key=lambda row: row.middle(pick))
        if best.middle(pick):
            parts.append(f"{name} {mine / best.middle(pick):.2f} × ({best.who.tool} {best.who.label})")
    return "**Ours against the best peer:** " + ", ".join(parts) + "."


def section(job, about):
    shown = columns(job)
    lines = [f"### {job.name}", "", f"{job.title[0].upper()}{job.title[1:]}. {about}" + (f" {job.remark}" if job.remark else ""), "",
             "| | " + " | ".join(shown) + " |", "|---|" + "---:|" * len(shown)]
    for number, row in enumerate(job.rows, 1):
        name = f"{'**jiebei**' if row.who.ours else row.who.tool} {row.who.label} [{number}]"
        if row.runs:
            cells = [show(row) for show in shown.values()]
            if row.failed:
                cells[0] += f"; then {row.failed}"
        else:
            cells = [row.failed] + [""] * (len(shown) - 1)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in [name, *cells]) + " |")
    lines += ["", ratios(job), "", "<details><summary>command lines</summary>", "", "```"]
    lines += [f"[{number}] {command(row.who)}" for number, row in enumerate(job.rows, 1)]
    return "\n".join([*lines, "```", "", "</details>", ""])


def command(who):
    """As it was run, without this machine's paths."""
    text = shlex.join(map(str, who.argv))
    return re.sub(r"/\S*/(jiebei|rustscan)\b", r"\1", re.sub(r"/\S*/compare-[a-z0-9_]+/", "", text)).replace(f"{ROOT}/", "")


def machine():
    cpu = Path("/proc/cpuinfo").read_text()
    model = next((line.split(":")[1].strip() for line in cpu.splitlines() if line.startswith("model name")), "unknown processor")
    memory = int(Path("/proc/meminfo").read_text().split()[1]) / 2**20
    return f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, Linux {os.uname().release}"


def load():
    return Path("/proc/loadavg").read_text().split()[0]


def merged(text, head, done):
    """The block with the sections of this run in place of the same ones of an earlier run, in the order of the jobs."""
    old = text.split(BEGIN, 1)[1].split(END, 1)[0] if BEGIN in text and END in text else ""
    kept = {part.split("\n", 1)[0].strip(): "### " + part.strip() + "\n" for part in old.split("\n### ")[1:]}
    sections = {**kept, **done}
    block = f"{BEGIN}\n{head}\n" + "\n".join(sections[name] for name in jobs.ALL if name in sections) + f"\n{END}"
    if BEGIN in text and END in text:
        return text.split(BEGIN, 1)[0] + block + text.split(END, 1)[1]
    return f"# Jiebei beside other tools\n\n{block}\n"


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/compare")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--runs", type=int)
    parser.add_argument("--only", default="")
    parser.add_argument("--out", type=Path, default=ROOT / "target/compare/compare.md")
    parser.add_argument("--benches", action="store_true")
    parser.add_argument("--list", action="store_true")
    given = parser.parse_args()
    given.only = [name for name in given.only.split(",") if name]
    for name in given.only:
        if name not in jobs.ALL:
            parser.error(f"no job {name}; there are {', '.join(jobs.ALL)}")
    return given


def main():
    given = arguments()
    if given.list:
        print("\n".join(jobs.ALL))
        return 0
    given.out.parent.mkdir(parents=True, exist_ok=True)
    lock = open(ONE_AT_A_TIME, "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("scripts/compare: another one runs", file=sys.stderr)
        return 1
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job has it ignored
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(129))
    load_at_start = load()
    names = given.only or list(jobs.ALL)
    when = datetime.now(timezone.utc)
    at_start = f"{machine()}. {when:%Y-%m-%d %H:%M} UTC, load average at the start {load_at_start}"
    if given.benches:
        benches.run(ROOT, given.quick)
        told = benches.table(ROOT, at_start + (" (quick)." if given.quick else "."))
        given.out.write_text(benches.merged(given.out.read_text() if given.out.exists() else "", told))
        return 0
    if not given.quick and "ports-256x1000" in names:
        peers.build_rustscan()
    kind = "quick: small targets, few runs; not for quoting" if given.quick else "full"
    versions = "; ".join(peers.versions().values())
    head = f"{at_start}; {kind}. {versions}.\n"
    print(head, flush=True)
    scratch = Path(tempfile.mkdtemp(prefix="compare-"))
    runner, done, raw = Runner(scratch), {}, {}
    try:
        runner.topology.up()
        setting = jobs.Setting(given.quick, scratch, bool(peers.scan_help()))
        if not setting.scan:
            print("compare: `jiebei scan` is not there: those jobs show the peers only", flush=True)
        for name in names:
            job = jobs.ALL[name](setting)
            if job is None:
                print(f"{name}: left out", flush=True)
                continue
            runs = given.runs or min(job.runs or 5, 2 if given.quick else 5)
            print(f"{name}: {job.title}", flush=True)
            about = f"{when:%Y-%m-%d}, load {load()}, {f'median of {runs} interleaved runs' if runs > 1 else 'one run'}{' (quick)' if given.quick else ''}."
            results = runner.job(job, runs)
            job.rows = [Row(who, [r for r in rs if isinstance(r, Run)], next((r.why for r in rs if isinstance(r, Failed)), ""))
                        for who, rs in zip(job.who, results)]
            done[name] = section(job, about)
            raw[name] = [{"tool": row.who.tool, "label": row.who.label, "command": command(row.who), "failed": row.failed,
                          "runs": [asdict(run) for run in row.runs]} for row in job.rows]
            # After each job: what was measured before a ^C is kept.
            given.out.write_text(merged(given.out.read_text() if given.out.exists() else "", head, done))
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        runner.end()
        shutil.rmtree(scratch, ignore_errors=True)
        if raw:
            figures = ROOT / "target/compare/compare.json"
            figures.parent.mkdir(parents=True, exist_ok=True)
            figures.write_text(json.dumps({"machine": machine(), "at": when.isoformat(), "load": load_at_start, "kind": kind,
                                           "versions": peers.versions(), "jobs": raw}, indent=1))
    print(f"compare: the tables are in {given.out}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\nscripts/compare: stopped", file=sys.stderr)
        sys.exit(130)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as fault:
        print(f"scripts/compare: {fault}\n{fault.stderr or ''}", file=sys.stderr)
        sys.exit(1)
