"""Packaging as a checked fact: what is built installs, runs, completes, and is free to use.

    make packages                   wheel, sdist, the oldest dependencies, completion, licences
    make packages PACKAGES=--all    the newest as well, every extra alone, the demo, pipx
    make packages PACKAGES='--licences docs/reference/licences.md'    write that page anew

One line a check, with its seconds; the first that fails ends the run and says what to do. It is
run as a module, `python -m tests.packaging`: as a file it would stand before the package of its
own name.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import venv
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from email.message import Message
from email.parser import HeaderParser
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tests.distill.worlds import CONFIG, changed, write_world

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/reference/licences.md"
# What people run; the others are for those who work on polymux.
EXTRAS = ("distill", "experiments", "openvino", "sheets", "ray")

# The demo, as small as it can be: a tokenizer, an encoder, models and choices.
DEMO = """
from pathlib import Path
from polymux.demo import Plan, Settings, Shape, Training, demo
plan = Plan(labelled=60, pool={"hi": 60}, targets=("ur",), sample=15, test=15, text=20)
shape = Shape(vocabulary=400, hidden=16, layers=1, heads=2, updates=5)
once = {"start": Training(epochs=1, batch_size=32), "further": Training(epochs=1, batch_size=8)}
demo(Path("demo"), settings=Settings(plan, shape, ("slots",), budget=10, seeds=(1,), **once))
"""
EXPERIMENT = """
corpus = "slots"
task = "token-classification"
setting = "small"
strategies = ["random", "knn-uncertainty"]
budgets = [5]
choice_seeds = [1, 2]
train_seeds = [1, 2]
models.demo.path = "demo/slots/start"
configurations.Urdu = { target = ["ur"], source = ["hi"] }
training.epochs = 1
[data]
train = "demo/data/{language}/pool.conll"
target = "demo/data/{language}/sample.conll"
test = "demo/data/{language}/test.conll"
"""
DATA = "--task token-classification --source demo/data/hi/pool.conll --target demo/data/ur/"
SELECT = f"select demo/slots/start {DATA}sample.conll --budget 5 --store off --backend"
INIT = f"init run --model demo/slots/start {DATA}sample.conll --test demo/data/ur/test.conll"
# What needs no extra, in order; what is made here is used below.
CORE = (
    "--help",
    f"{SELECT} torch --out chosen",
    f"{INIT} --budget 12 --rounds 2 --preset small --epochs 1",
    "next run",
    "simulate small.toml --out results --workers 1",
)
# What each extra is for: without it the first must name it, with it all must work.
NEEDS: Mapping[str, Sequence[str]] = {
    "distill": ("distill world/distill.toml",),
    "experiments": ("tables results --out tables",),
    "openvino": (
        f"{SELECT} openvino --out by-openvino",
        f"{SELECT} openvino --screen int8 --out by-int8",
    ),
    "sheets": ("export run --out round.xlsx", "import run round.xlsx"),
    "ray": (f"{SELECT} torch --engine ray --workers 1 --out by-ray",),
}

# Many commands at the price of one: most of it is importing.
IN_TURN = """
import sys
from polymux.cli import main
for line in sys.argv[1:]:
    try:
        main(line.split())
    except SystemExit as end:
        print("ended with", end.code, file=sys.stderr)
"""

# What runs may still compute wrong: these tests know the right numbers.
TESTS = (
    "tests/contract/test_backends.py",
    "tests/encoders/test_pytorch.py",
    "tests/readers/test_streams.py",
)

# A real bash asks the function that the printed script gave it, as Tab does.
COMPLETION = """
eval "$(polymux --show-completion)"
function=$(complete -p polymux | sed 's/.*-F \\([^ ]*\\).*/\\1/')
ask() {
  COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
  "$function" polymux "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"
  echo "${COMPREPLY[@]}"
}
ask polymux sel
ask polymux select --strat
"""

# Heads of the tables on the page of licences, whose rows are made here.
PACKAGES = "| package | for | licence |\n|---|---|---|\n"
INSIDE = "| package | library | licence |\n|---|---|---|\n"
_EXCEPTION = "GPL-3.0-or-later WITH GCC-exception-3.1"
GNU = {
    "libgcc_s": _EXCEPTION,
    "libgfortran": _EXCEPTION,
    "libgomp": _EXCEPTION,
    "libquadmath": "LGPL-2.1-or-later",
    "libstdc++": _EXCEPTION,
}
FORBIDDEN = re.compile(r"\bA?GPL(?!\S* WITH GCC)|Affero|GNU General Public")
GPU = re.compile(r"nvidia-|cuda-|triton$")


class CheckError(Exception):
    """A check failed: what is wrong, and what to do."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(f"{what}\n  hint: {hint}")


@contextmanager
def check(name: str) -> Iterator[None]:
    """Print a line and the seconds of what is done inside."""
    start = time.monotonic()
    state = "FAILED"
    try:
        yield
        state = "ok"
    finally:
        print(f"{time.monotonic() - start:7.1f} s  {state:6}  {name}", flush=True)


def run(*command: str | Path, cwd: Path, hint: str, **env: str) -> str:
    """What a command says, all of it; an error where it fails."""
    own = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    left = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    told = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**left, **own, **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if told.returncode:
        line = " ".join(str(part) for part in command)
        end = "\n".join(told.stdout.splitlines()[-25:])
        raise CheckError(f"{line}\nended with {told.returncode}:\n{end}", hint)
    return told.stdout


class Environment:
    """A virtual environment and a folder to work in; pip is that of the one that runs this."""

    def __init__(
        self, work: Path, name: str, *, pins: str, hint: str, base: Environment | None = None
    ) -> None:
        self.name, self.hint = name, hint
        self.root = work / name.replace(" ", "-")
        venv.create(self.root / "venv", symlinks=True)
        self.bin = self.root / "venv/bin"
        (self.site,) = self.root.glob("venv/lib/python*/site-packages")
        self.constraints = self.root / "constraints.txt"
        self.constraints.write_text(pins, encoding="utf-8")
        self.folder = self.root / "folder"
        if base is None:
            self.folder.mkdir()
        else:
            # By hard links: a second environment costs no disk and no second.
            shutil.copytree(base.site, self.site, copy_function=os.link, dirs_exist_ok=True)
            shutil.copytree(base.folder, self.folder)

    def run(self, *command: str | Path, **env: str) -> str:
        """What a command says in the folder; what it keeps for next time stays there."""
        env = {"XDG_CACHE_HOME": str(self.folder / "cache"), **env}
        return run(*command, cwd=self.folder, hint=self.hint, **env)

    def pip(self, *arguments: str | Path) -> None:
        """Have pip work on this environment."""
        pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python")
        run(*pip, self.bin / "python", *arguments, cwd=self.folder, hint=self.hint)

    def install(self, *what: str | Path) -> None:
        """Install this, and see that all that is installed goes together."""
        self.pip("install", "--quiet", "--no-compile", "--constraint", self.constraints, *what)
        self.pip("check")


def contents(wheel: Path) -> dict[str, str]:
    """The files of a wheel, each with a hash of what is in it."""
    with zipfile.ZipFile(wheel) as opened:
        return {name: hashlib.sha256(opened.read(name)).hexdigest() for name in opened.namelist()}


def metadata(wheel: Path) -> Message:
    """What a wheel says of itself."""
    with zipfile.ZipFile(wheel) as opened:
        (name,) = (name for name in opened.namelist() if name.endswith(".dist-info/METADATA"))
        return HeaderParser().parsestr(opened.read(name).decode("utf-8"))


def built(work: Path) -> Path:
    """The wheel, once it was seen that it lacks nothing and that the sdist makes the same."""
    hint = "see [build-system] and [tool.hatch] in pyproject.toml"
    with check("wheel and sdist: the same files, all of them, the licence too"):
        builder = Environment(work, "builder", pins="", hint=hint)
        with (ROOT / "pyproject.toml").open("rb") as file:
            builder.install(*tomllib.load(file)["build-system"]["requires"])
        hatch = (builder.bin / "python", "-m", "hatchling", "build", "--target", "sdist")
        run(*hatch, "--directory", work / "sdist", cwd=ROOT, hint=hint)
        (sdist,) = (work / "sdist").iterdir()
        for source, out in ((ROOT, work / "wheel"), (sdist, work / "again")):
            asked = ("--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", out)
            builder.pip("wheel", *asked, source)
        (wheel,), (again,) = (work / "wheel").iterdir(), (work / "again").iterdir()
        ours, theirs = contents(wheel), contents(again)
        odd = sorted(name for name in {*ours, *theirs} if ours.get(name) != theirs.get(name))
        if odd:
            raise CheckError(f"a wheel made of the sdist has others: {', '.join(odd)}", hint)
        wanted = {
            str(path.relative_to(ROOT / "src"))
            for path in (ROOT / "src/polymux").rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        missing = sorted(wanted - ours.keys())
        if missing or not any(name.endswith("/licenses/LICENSE") for name in ours):
            raise CheckError(f"the wheel lacks {', '.join(missing) or 'LICENSE'}", hint)
    return wheel


def floors(wheel: Path) -> dict[str, str]:
    """The lowest version of all that the core and the extras ask for, but for torch."""
    found: dict[str, str] = {}
    for one in map(Requirement, metadata(wheel).get_all("Requires-Dist", [])):
        asked = [one.marker is None or one.marker.evaluate({"extra": e}) for e in ("", *EXTRAS)]
        if not any(asked) or one.name == "torch":
            continue
        lowest = [s.version for s in one.specifier if s.operator == ">="]
        if len(lowest) != 1 or found.setdefault(one.name, *lowest) != lowest[0]:
            what = f"{one}: there is no one lowest version"
            raise CheckError(what, "write NAME>=VERSION in pyproject.toml, everywhere the same")
    return found


def works(python: Environment, commands: Iterable[str]) -> None:
    """Each command ends well."""
    for command in commands:
        shown = command if len(command) < 60 else f"{command.split()[0]} ... {command[-32:]}"
        with check(f"{python.name}: polymux {shown}"):
            python.run(python.bin / "python", "-m", "polymux", *command.split())


def without_extras(python: Environment, wheel: Path) -> None:
    """The wheel works by itself, and what needs an extra says which to install."""
    with check(f"{python.name}: polymux installs"):
        python.install(wheel)
    with check(f"{python.name}: polymux --version, import polymux"):
        said = python.run(python.bin / "polymux", "--version")
        if said != f"polymux {metadata(wheel)['Version']}\n":
            raise CheckError(f"polymux --version says {said!r}", "see polymux.__version__")
        python.run(python.bin / "python", "-c", "import polymux")
    with check(f"{python.name}: the demo in small"):
        python.run(python.bin / "python", "-c", DEMO)
    (python.folder / "small.toml").write_text(EXPERIMENT, encoding="utf-8")
    (python.folder / "world").mkdir()
    short = {"tokens": 4000}
    shape = {"layers": 1, "hidden": 16, "intermediate": 16}
    config = changed(CONFIG, model=shape, training=short, teachers=short, systems={"student": {}})
    write_world(python.folder / "world", config)
    works(python, CORE)
    with check(f"{python.name}: what needs an extra names it"):
        asked = [commands[0] for commands in NEEDS.values()]
        told = python.run(python.bin / "python", "-c", IN_TURN, *asked)
        hints = [f"pip install 'polymux[{extra}]'" for extra in NEEDS]
        if any(hint not in told for hint in hints) or told.count("ended with 2") != len(NEEDS):
            hint = f"raise UsageError with the hints {', '.join(hints)}"
            raise CheckError(f"without extras the commands say:\n{told}", hint)


def with_extras(python: Environment, wheel: Path) -> None:
    """The wheel works with all extras together, and nothing of that is under the GPL."""
    with check(f"{python.name}: {', '.join(EXTRAS)} install"):
        python.install(f"{wheel}[{','.join(EXTRAS)}]")
    for commands in NEEDS.values():
        works(python, commands)
    with check(f"{python.name}: licences"):
        for package in closure(("", *EXTRAS), python.site).values():
            licence(package)


def alone(base: Environment, wheel: Path, work: Path, pins: str) -> None:
    """Every extra by itself, upon the core: it installs, and what it is for works."""
    for extra in metadata(wheel).get_all("Provides-Extra", []):
        hint = f"see the extra {extra} in pyproject.toml"
        python = Environment(work, f"{extra} alone", pins=pins, hint=hint, base=base)
        with check(f"{python.name}: installs"):
            python.install(f"{wheel}[{extra}]")
        works(python, NEEDS.get(extra, ()))
        shutil.rmtree(python.root)


def right(base: Environment, work: Path, pins: str) -> None:
    """What is computed is right, too, by tests that need few packages more."""
    python = Environment(work, f"{base.name} tests", pins=pins, hint=base.hint, base=base)
    with check(f"{base.name}: {', '.join(TESTS)}"):
        python.install("hypothesis", "pytest", "zstandard")
        # Older packages warn of newer ones, and the other way round.
        own = ("-o", "addopts=--import-mode=importlib", "-o", "filterwarnings=default")
        pytest = (python.bin / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", *own)
        run(*pytest, *TESTS, cwd=ROOT, hint=python.hint)
    shutil.rmtree(python.root)


def completes(python: Environment) -> None:
    """Bash completes a command, and an option, once it has read what polymux prints for it."""
    with check("bash completes polymux sel and polymux select --strat"):
        path = f"{python.bin}{os.pathsep}{os.environ['PATH']}"
        told = python.run("bash", "--norc", "-c", COMPLETION, PATH=path).split()
        if told != ["select", "--strategy"]:
            hint = "see what polymux --show-completion prints in bash"
            raise CheckError(f"it completes to {told}", hint)


def pipx(wheel: Path, work: Path, pins: str) -> None:
    """Whoever has pipx needs nothing else."""
    python = Environment(work, "pipx", pins=pins, hint="see what pipx says, and its log")
    with check("pipx run polymux --version"):
        python.install("pipx")
        told = python.run(
            *(python.bin / "python", "-m", "pipx", "run", "--spec", wheel),
            *(f"--pip-args=--no-compile --constraint={python.constraints}", "polymux", "--version"),
            PIPX_HOME=str(python.root / "home"),
            PIPX_BIN_DIR=str(python.root / "bin"),
        )
        if f"polymux {metadata(wheel)['Version']}" not in told:
            raise CheckError(f"it says {told!r}", python.hint)


def closure(extras: Iterable[str], site: Path) -> dict[str, Distribution]:
    """All that polymux with these extras stands on, as it is installed in a folder."""
    there = {canonicalize_name(d.metadata["Name"]): d for d in distributions(path=[str(site)])}
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [("polymux", extra) for extra in extras]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in seen or GPU.match(name):
            continue
        seen.add((name, extra))
        if name not in there:
            raise CheckError(f"{name} is not installed in {site}", "make install")
        found[name] = there[name]
        for one in map(Requirement, there[name].requires or ()):
            if one.marker is None or one.marker.evaluate({"extra": extra}):
                waiting += [(canonicalize_name(one.name), e) for e in ("", *one.extras)]
    return found


def licence(package: Distribution) -> str:
    """What a package says of its own licence; an error where that is nothing, or the GPL."""
    told = package.metadata
    classified = [c.split(" :: ")[-1] for c in told.get_all("Classifier", []) if "License ::" in c]
    words = (told.get("License") or "").strip().splitlines()[:1]
    said = told.get("License-Expression") or ", ".join(classified) or "".join(words)
    if not said or FORBIDDEN.search(said):
        name = told["Name"]
        raise CheckError(
            f"{name} is under {said or 'no licence that it names'}", f"leave out {name}"
        )
    return said.removeprefix("OSI Approved :: ")


def inside(package: Distribution) -> list[str]:
    """The libraries of the GNU compiler that lie in a package."""
    names = {re.split(r"[-.]", path.name)[0] for path in package.files or () if ".so" in path.name}
    return sorted(names & GNU.keys())


def rows() -> tuple[list[str], list[str]]:
    """Of the page of licences: a row a package, and a row a library of GNU's inside one."""
    (site,) = Path(sys.prefix).glob("lib/python*/site-packages")
    packages = closure(("", *EXTRAS), site)
    core = closure([""], site).keys()
    extras = {extra: closure(["", extra], site).keys() - core for extra in EXTRAS}
    outer, inner = [], []
    for name in sorted(packages.keys() - {"polymux"}):
        whom = ["core"] if name in core else [e for e, names in extras.items() if name in names]
        outer.append(f"| {name} | {', '.join(whom)} | {licence(packages[name])} |\n")
        inner += [f"| {name} | {lib} | {GNU[lib]} |\n" for lib in inside(packages[name])]
    return outer, inner


def write_rows(page: Path) -> None:
    """Put the rows under the heads of the page's tables, in place of those there."""
    text = page.read_text("utf-8")
    for head, body in zip((PACKAGES, INSIDE), rows(), strict=True):
        before, after = text.split(head)
        text = before + head + "".join(body) + re.sub(r"\A(\|.*\n)*", "", after)
    page.write_text(text, encoding="utf-8")


def told_on_the_page() -> None:
    """Every package that polymux stands on in the developers' environment is on the page."""
    with check(f"licences: none of the GPL, and as {PAGE.relative_to(ROOT)} tells"):
        text = PAGE.read_text("utf-8")
        # What lies inside the packages differs between systems, and is not compared.
        missing = [row for row in rows()[0] if row not in text]
        if missing:
            raise CheckError(
                f"the page lacks:\n{''.join(missing)}",
                "make packages PACKAGES='--licences docs/reference/licences.md', and look at it",
            )


def checks(work: Path, *, everything: bool) -> None:
    """All of them in order, the cheap ones first."""
    told_on_the_page()
    wheel = built(work)
    constraints = (ROOT / "constraints.txt").read_text("utf-8")
    (torch,) = re.findall(r"^torch==\S+\n", constraints, re.MULTILINE)
    # First and alone, so that pip takes the CPU build wherever the machine offers one.
    base = Environment(work, "torch", pins=torch, hint="see torch in constraints.txt")
    with check(f"{torch.strip()} installs"):
        base.install("torch")
    pins = torch + "".join(f"{name}=={version}\n" for name, version in floors(wheel).items())
    hint = "raise a lowest version in pyproject.toml to the lowest that works"
    oldest = Environment(work, "oldest", pins=pins, hint=hint, base=base)
    without_extras(oldest, wheel)
    completes(oldest)
    with_extras(oldest, wheel)
    if not everything:
        return
    right(oldest, work, pins)
    hint = "make polymux work with the newest versions"
    newest = Environment(work, "newest", pins=torch, hint=hint, base=base)
    without_extras(newest, wheel)
    alone(newest, wheel, work, torch)
    with_extras(newest, wheel)
    right(newest, work, torch)
    for python in (oldest, newest):
        works(python, ["demo --out whole"])
    pipx(wheel, work, torch)


def main() -> None:
    """Check, or write the tables of the page of licences."""
    parser = argparse.ArgumentParser(prog="python -m tests.packaging")
    parser.add_argument("--all", action="store_true", help="the newest versions and more, too")
    parser.add_argument("--licences", type=Path, metavar="PAGE", help="only write its tables anew")
    asked = parser.parse_args()
    try:
        if asked.licences:
            write_rows(asked.licences)
            return
        with tempfile.TemporaryDirectory(prefix="polymux-packages-") as work:
            checks(Path(work), everything=asked.all)
    except CheckError as error:
        print(error, file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
