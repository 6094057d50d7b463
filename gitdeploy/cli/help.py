"""`gitdeploy help [TOPIC]`: shows a page of the documentation that comes with the package."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from gitdeploy import docs
from gitdeploy.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("topic", nargs="?", metavar="TOPIC", help="one of the topics that `gitdeploy help` lists")


def run(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Print the page, or the list of topics; return 0. Raise UsageError for a topic that does not exist."""
    pages = {page.stem: page.read_text(encoding="utf-8") for page in sorted(Path(docs.__path__[0]).glob("*.md"))}
    if arguments.topic is None:
        headings = {topic: page.partition("\n")[0].lstrip("# ") for topic, page in pages.items()}
        print("\n".join(f"gitdeploy help {topic:<16}{heading}" for topic, heading in headings.items()))
        return 0
    if arguments.topic not in pages:
        raise UsageError(f"there is no page about {arguments.topic[:80]!r}", f"topics: {', '.join(pages)}")
    print(pages[arguments.topic], end="")
    return 0
