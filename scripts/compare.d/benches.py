"""The medians of `cargo bench`, as criterion left them, as a table between the markers of a page."""

import json
import subprocess
from pathlib import Path

BEGIN, END = "<!-- benches:begin -->", "<!-- benches:end -->"


def run(root, quick):
    subprocess.run(["cargo", "bench", "--locked", "--", *(["--quick"] if quick else [])], cwd=root, check=True)


def rows(root):
    """Name, nanoseconds of one element, elements a second; an element is what a bench says it counts."""
    for path in sorted(Path(root, "target/criterion").glob("**/new/benchmark.json")):
        about = json.loads(path.read_text())
        median = json.loads((path.parent / "estimates.json").read_text())["median"]["point_estimate"]
        through = about.get("throughput")
        elements = next(iter(through.values())) if through else 1
        each = median / elements
        yield about["full_id"], each, 1e9 / each


def table(root, head):
    lines = [head, "", "| bench | ns each | each second |", "|---|---:|---:|"]
    lines += [f"| `{name}` | {each:,.1f} | {second:,.0f} |" for name, each, second in rows(root)]
    return "\n".join(lines)


def merged(text, told):
    block = f"{BEGIN}\n{told}\n{END}"
    if BEGIN in text and END in text:
        return text.split(BEGIN, 1)[0] + block + text.split(END, 1)[1]
    return f"{text.rstrip()}\n\n{block}\n".lstrip()
