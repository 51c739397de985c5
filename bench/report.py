"""Pages of docs made from results of benchmarks: performance, reliability, results, model, robustness, unseen. No
figure in them is typed.

    python -m bench.report [--results bench/results] [--docs docs] [--check]

Each result is a JSON file that a benchmark wrote with --json. With --check nothing is written: ends with 1 when a page
is not what the results make of it.
"""

from pathlib import Path
from typing import Annotated

import typer

from bench.environment import ROOT
from bench.errors import BenchError, run
from bench.pages import PAGES, PICTURES
from bench.results import Result, console, read
from bench.tables import tables

RESULTS = ROOT / "bench" / "results"


def main(
    results: Annotated[Path, typer.Option(help="Directory of results.")] = RESULTS,
    docs: Annotated[Path, typer.Option(help="Directory of the pages.")] = ROOT / "docs",
    check: Annotated[bool, typer.Option("--check", help="Write nothing; compare.")] = False,
) -> None:
    """Make the pages from the results."""
    found = [read(path) for path in sorted(results.glob("*.json"))]
    for name, text in files(found).items():
        path = docs / name
        if check and (not path.exists() or path.read_text() != text):
            raise BenchError(f"{path} is not what the results make", hint="run `python -m bench.report`")
        if not check:
            path.write_text(text)
            console.print(f"written: {path}")


def files(results: list[Result]) -> dict[str, str]:
    """Pages and pictures by name."""
    made = {name: page(name, results) for name in PAGES}
    for _, _, sections in PAGES.values():
        for section in sections:
            mine = [result for result in results if result["benchmark"] == section.benchmark]
            for picture in filter(None, (section.picture, *section.gallery)) if mine else ():
                made[picture] = PICTURES[picture](mine[0])
    return made


def page(name: str, results: list[Result]) -> str:
    """A page's Markdown; a benchmark without a result is named with the command that takes it."""
    title, text, sections = PAGES[name]
    parts = [f"# {title}", "Made by `python -m bench.report` from the files in `bench/results/`. " + text]
    for section in sections:
        parts += [f"## {section.title}", section.text]
        if section.computed:
            parts += [table.markdown() for table in section.computed({each["benchmark"]: each for each in results})]
            continue
        mine = [result for result in results if result["benchmark"] == section.benchmark]
        if section.picture and mine:
            parts.append(f"![{section.title}]({section.picture})")
        if section.findings and mine:
            parts.append(section.findings(mine[0]))
        for result in mine:
            parts += [f"```\n{result['command']}\n```", described(result), *(t.markdown() for t in tables(result))]
        parts += [f"![{section.title}]({picture})" for picture in section.gallery if mine]
        if not mine:
            parts.append(f"Not taken yet: `python -m bench.{section.benchmark} --help`.")
    return "\n\n".join(parts) + "\n"


def described(result: Result) -> str:
    """Where and with what a result was taken, in one paragraph."""
    machine, versions = result["machine"], result["versions"]
    load = ", ".join(f"{value:g}" for value in result["load_average_before"])
    return (
        f"Taken {result['taken_at'][:10]} at revision {result['revision'] or 'unknown'} on {machine['cores']} cores of "
        f"{machine['cpu']}, {machine['memory_gib']:g} GiB, {machine['system']}; load average before: {load}. "
        + ", ".join(f"{name} {number}" for name, number in versions.items())
        + "."
    )


if __name__ == "__main__":
    run(main)
