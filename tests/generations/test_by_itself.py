"""What each release sends and does of itself, before a socket that records it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from parts import document
from parts.recorder import AFTER, Recorder
from parts.releases import Release
from parts.world import certificate, drive

# What every HTTP client sends.
COMMON = """accept accept-encoding accept-language authorization connection content-length content-type host sec-fetch-mode
user-agent""".split()

FAILURES = ["400", "408", "409", "425", "429", "500", "502", "503", "504", "cut"]
ALWAYS = ["always_503", "always_429"]
TEXTS = [f"{kind}.{number}" for number in range(3) for kind in ALWAYS]
TEXTS += [f"once_{what}" for what in FAILURES] + ["once_503_after", "once_429_after", "once_503_never"]

# Not to be seen in less time than they take, or than nobody has. Each was read in its source.
READ = {("python", 6): "(60 s)", ("node", 6): "(60 s)", ("node", 7): "(60 s)"}


@contextmanager
def recorder(folder: Path | None = None) -> Iterator[Recorder]:
    here = Recorder(folder)
    try:
        yield here
    finally:
        here.stop()


def test_the_document_says_what_a_release_does_of_itself(release: Release, tmp_path: Path) -> None:
    with recorder() as here:
        drive(release, [f"together:{','.join(TEXTS)}"], here.base, "tg_any", tmp_path / "none")
        fields = [{name.lower(): value for name, value in this.fields} for this in here.tries["always_503.0"]]
        agent = f"`{fields[0]['user-agent']}`"
        own = fields_of_its_own(fields[0])
        seen = [agent, own, time_out(release, fields[0], tmp_path), *again(release, here, fields)]
    document.says(1, release, dict(zip(document.titles(1)[1:], seen, strict=True)))


def fields_of_its_own(fields: dict[str, str]) -> str:
    """The names, with what they begin with told once."""
    said: dict[str, list[str]] = {}
    for name in sorted(set(fields) - set(COMMON)):
        maker = next((start for start in ("x-fern-", "x-stainless-") if name.startswith(start)), "")
        said.setdefault(maker, []).append(f"`{name.removeprefix(maker)}`")
    return "; ".join(f"{f'`{maker}` ' if maker else ''}{', '.join(names)}" for maker, names in said.items()) or "none"


def again(release: Release, here: Recorder, fields: list[dict[str, str]]) -> list[str]:
    """After what it tries again, how long it waits, and what it heeds."""
    tried = [what for what in FAILURES if here.gaps(f"once_{what}") != [[]]]
    if not tried:
        assert len(fields) == 1
        return ["no", "", "", "", ""]
    server = [what for what in FAILURES if what.startswith("5")]
    if set(server) <= set(tried):
        tried = [what for what in tried if what not in server] + ["5xx"] + ["no answer"] * ("cut" in tried)
    tried = [what for what in tried if what != "cut"]
    told = [f"{kind.removeprefix('always_')}: {waits(here.gaps(kind))}" for kind in ALWAYS]
    same = len({line.split(": ")[1] for line in told}) == 1
    counts = [this.get("x-stainless-retry-count") for this in fields] == [str(number) for number in range(len(fields))]
    heeded = all(gap > AFTER - 0.1 for kind in ("once_503_after", "once_429_after") for (gap,) in here.gaps(kind))
    asked = ", where `max_retries` is given" if release.language == "python" and release.major == 6 else ""
    return [
        ", ".join(tried) + asked,
        told[0].split(": ")[1] if same else "; ".join(told),
        "yes" if counts else "no",
        "heeded" if heeded else "not read",
        "heeded" if here.gaps("once_503_never") == [[]] else "not read",
    ]


def waits(sends: list[list[float]]) -> str:
    """Before each retry, the shortest of some, as the nearest of 0.5 s, 1 s, 2 s, …: a slow machine does not matter."""
    shortest = [min(gaps) for gaps in zip(*sends, strict=True)]
    # What the SDKs wait of themselves is cut by up to a quarter by chance, and never much longer.
    return ", ".join(f"{2 ** round(math.log2(gap / 1.02)):g} s" for gap in shortest)


def time_out(release: Release, fields: dict[str, str], folder: Path) -> str:
    if seconds := fields.get("x-stainless-read-timeout"):
        return f"{seconds} s, said in `x-stainless-read-timeout`"
    if release.major < 6:
        return f"{patience(release, folder):.0f} s over TLS" if release.language == "python" else "(none)"
    return READ[release.language, release.major]


def patience(release: Release, folder: Path) -> float:
    """After how long it leaves a socket that says nothing: the shortest of some."""
    certificate(folder)
    texts = [f"hang.{number}" for number in range(3)]
    with recorder(folder) as here:
        drive(release, [f"together:{','.join(texts)}"], here.base, "tg_any", folder / "ca.pem")
        (tries,) = zip(*(here.tries[text] for text in texts), strict=True)
        return min(this.left - this.at for this in tries if this.left)
