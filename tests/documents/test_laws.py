"""Laws of ARCHITECTURE.md that can be read off the sources, and that a fault would be seen."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import edgetransfer
from edgetransfer.engines.registry import KINDS

PACKAGE = Path(edgetransfer.__file__).parent
# "sparse" is a choice of `--training-engine` there, or a phase of a training, and no engine.
NO_ENGINE = {"finetune/lane_choice.py", "finetune/lane_running.py", "jobs/analysing/trainings.py"}
LEGACY = {
    "seed",
    "rand",
    "randn",
    "randint",
    "random",
    "shuffle",
    "permutation",
    "choice",
    "normal",
}


def sources(words: Iterable[str]) -> Iterator[tuple[str, ast.Module]]:
    """The files that have one of these words."""
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text("utf-8")
        if any(word in text for word in words):
            yield path.relative_to(PACKAGE).as_posix(), ast.parse(text)


def compared(tree: ast.AST) -> set[str]:
    """The texts that something is compared with, or looked for in."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = (node.left, *node.comparators)
        elif isinstance(node, ast.MatchValue):
            sides = (node.value,)
        else:
            continue
        for side in sides:
            items = side.elts if isinstance(side, ast.Tuple | ast.List | ast.Set) else [side]
            found |= {
                i.value for i in items if isinstance(i, ast.Constant) and isinstance(i.value, str)
            }
    return found


# Between a process and those that it starts, as `multiprocessing` does; nothing of it is a file.
TO_OWN_PROCESSES = ("extract/member.py", "extract/pool.py")


def unseeded(tree: ast.AST) -> set[str]:
    """Calls that draw something which no seed decides."""
    found = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        room, _, name = called.rpartition(".")
        if name == "default_rng" and not node.args and not node.keywords:
            found.add(called)
        if room in ("random", "np.random", "numpy.random") and name in LEGACY:
            found.add(called)
        if called in ("random.Random", "Random") and not node.args:
            found.add(called)
    return found


def pickled(tree: ast.AST) -> set[str]:
    """Calls that write a pickle."""
    calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return calls & {"pickle.dump", "pickle.dumps", "torch.save", "joblib.dump", "marshal.dump"}


def test_the_sources_keep_the_laws() -> None:
    """Law 4: a seed decides all that is drawn. 6: what an engine can do stands in its record, and
    its name is compared nowhere else. 7: nothing is kept as a pickle."""
    engines = {kind.name for kind in KINDS}
    breaches = []
    words = (*(f'"{name}"' for name in engines), "random", "Random", "rng", "dump", ".save(")
    for path, tree in sources(words):
        kept = set() if path in TO_OWN_PROCESSES else pickled(tree)
        breaches += [(path, call) for call in unseeded(tree) | kept]
        if not path.startswith("engines/") and path not in NO_ENGINE:
            breaches += [(path, name) for name in compared(tree) & engines]
    assert not breaches


def options_with_defaults(tree: ast.AST) -> set[str]:
    """Parameters that are options, or arguments, and say what holds where nothing is typed."""
    found = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef):
            continue
        first = len(node.args.args) - len(node.args.defaults)
        given = [
            *zip(node.args.args[first:], node.args.defaults, strict=True),
            *zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True),
        ]
        for parameter, default in given:
            typed = parameter.annotation is not None and re.search(
                r"\b(?:Option|Argument|Opt)\(", ast.unparse(parameter.annotation)
            )
            if typed and default is not None and ast.unparse(default) not in ("None", "False"):
                found.add(f"{node.name}({parameter.arg})")
    return found


def test_a_default_stands_in_settings() -> None:
    """Law 3; `demo`, which has no settings, names its folder."""
    found = set()
    for _, tree in ((p, t) for p, t in sources(["typer"]) if p.startswith("cli/")):
        found |= options_with_defaults(tree)
    assert found == {"demo(out)"}


def test_a_breach_would_be_seen() -> None:
    name = KINDS[0].name
    for text in (f"x == {name!r}", f"x in ({name!r}, 'y')", f"match x:\n  case {name!r}: pass"):
        assert compared(ast.parse(text)) >= {name}
    assert unseeded(ast.parse("np.random.default_rng(); random.shuffle(x); Random()")) == {
        "np.random.default_rng",
        "random.shuffle",
        "Random",
    }
    assert not unseeded(ast.parse("np.random.default_rng(3); random.Random(seed).shuffle(x)"))
    assert pickled(ast.parse("pickle.dumps(x)"))
    text = (
        "def f(a: Annotated[int, typer.Option('-a')] = 3, *, b: Annotated[str, Opt('b')] = None): 0"
    )
    assert options_with_defaults(ast.parse(text)) == {"f(a)"}
