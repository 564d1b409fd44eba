"""The shape of the house, read from the source: arrows, depth, sizes and names.

search -> results -> budgets -> lightir_core,    search -> spaces -> lightir_core
"""

import ast
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from setuptools import find_packages

ROOT = Path(__file__).parents[1]

MAY_IMPORT = {
    "lightir_core": set(),
    "spaces": {"lightir_core"},
    "budgets": {"lightir_core"},
    "results": {"lightir_core", "budgets"},
    "search": {"lightir_core", "spaces", "budgets", "results"},
}

MAY_USE = {
    "optuna": ("results/", "search/strategies/"),
    "mlflow": ("results/tracking.py",),
    "optuna_dashboard": ("search/cli/",),
    "ray": ("search/engines/",),
    "pyarrow": ("search/engines/",),
    "nni": ("search/strategies/",),
    "onnx": ("lightir_core/onnx.py",),
    "onnxruntime": ("lightir_core/onnx.py",),
}

# extras: imported where they are used, so that the rest works without them
EXTRAS = ("ray", "pyarrow", "nni", "onnx", "onnxruntime", "mlflow", "optuna_dashboard")

# modules of a package that is always there, which need an extra nevertheless
EXTRA_MODULES = ("torch.utils.tensorboard",)

# modules that take seconds to load, imported where they are used: file -> modules
DEFERRED = {
    "results/importance.py": ("optuna.importance",),
    "search/pipeline.py": ("results.report.page",),
    "search/trainings.py": ("results.prior",),
    "results/report/members.py": ("budgets.breakdown", "budgets.parts", "budgets.price"),
}

# a command loads what does its work when it is called; everything else stands at the top
COMMANDS = ("search/cli/app.py", "search/cli/commands.py")

# words that mean nothing to a reader from the field
BANNED = frozenset(
    [
        "desk",
        "pilot",
        "pilots",
        "ears",
        "crew",
        "seat",
        "hub",
        "ledger",
        "shelf",
        "chain",
        "chains",
        "place",
        "places",
        "frame",
        "frames",
        "terms",
        "told",
        "tell",
        "say",
        "says",
        "found",
        "rival",
        "rivals",
        "own",
        "planned",
        "pace",
        "words",
        "sentences",
        "lesson",
        "ahead",
        "launch",
        "turns",
    ]
)

# ask and tell are Optuna's words; `--launch` is the flag of old
FIELD_NAMES = {"tell", "AskTell", "launch_mode", "LaunchMode"}

DECLARATIONS = (
    ast.Import,
    ast.ImportFrom,
    ast.Assign,
    ast.AnnAssign,
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.TypeAlias if sys.version_info >= (3, 12) else ast.Assign,
)


@dataclass(frozen=True)
class Import:
    """`name` is imported in `file`, inside a function or when the module is."""

    file: str
    line: int
    name: str
    deferred: bool

    @property
    def package(self):
        return self.name.partition(".")[0]

    def __str__(self):
        return f"{self.file}:{self.line} imports {self.name}"


@cache
def sources():
    """Module name -> path, of all five packages."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for package in MAY_IMPORT
        for path in sorted((ROOT / package).rglob("*.py"))
    }


@cache
def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@cache
def imports():
    return tuple(
        Import(path.relative_to(ROOT).as_posix(), line, name, deferred)
        for path in sources().values()
        for line, name, deferred in imports_of(tree(path), set(sources()))
    )


def imports_of(module, known):
    """(line, module name, whether inside a function); a name that is a module counts as one."""
    inside = {
        id(node)
        for function in ast.walk(module)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for node in ast.walk(function)
    }
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, id(node) in inside
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative imports hide the arrows"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield node.lineno, whole if whole in known else node.module, id(node) in inside


def edges():
    """Module -> modules of ours that it imports when it is imported."""
    names = {path.relative_to(ROOT).as_posix(): name for name, path in sources().items()}
    graph = {name: set() for name in sources()}
    for found in imports():
        if not found.deferred and found.name in graph:
            graph[names[found.file]].add(found.name)
    return graph


def find_cycle(graph):
    """The modules of one import cycle in order, or an empty list."""
    done, path = set(), []

    def visit(node):
        if node in path:
            return [*path[path.index(node) :], node]
        if node in done:
            return []
        path.append(node)
        for following in sorted(graph[node]):
            if cycle := visit(following):
                return cycle
        path.pop()
        done.add(node)
        return []

    return next((cycle for node in sorted(graph) if (cycle := visit(node))), [])


def reachable(graph, starts):
    """All modules that importing `starts` imports, their parent packages included."""
    seen, waiting = set(), list(starts)
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += graph[name]
            waiting += [name.rpartition(".")[0]] if "." in name else []
    return seen


def side_effects(module):
    """Statements at module level that do something instead of declaring something."""
    for node in module.body:
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        guarded = isinstance(node, ast.If) and ast.unparse(node.test) in (
            "__name__ == '__main__'",
            "TYPE_CHECKING",
        )
        if not (docstring or guarded or isinstance(node, DECLARATIONS)):
            yield node


def test_the_five_packages_are_there():
    assert {name.partition(".")[0] for name in sources()} == set(MAY_IMPORT)


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_packages_import_along_the_arrows_only(package):
    wrong = [
        str(found)
        for found in imports()
        if found.file.startswith(package + "/")
        and found.package in MAY_IMPORT.keys() - MAY_IMPORT[package] - {package}
    ]
    assert wrong == []


def test_every_package_is_in_the_wheel_and_the_benchmarks_are_not():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    there = {".".join(path.parent.relative_to(ROOT).parts) for path in sources().values()}
    found = project["tool"]["setuptools"]["packages"]["find"]
    assert set(find_packages(str(ROOT), include=found["include"])) == there
    assert (ROOT / "benchmarks" / "__main__.py").exists()


def test_nothing_imports_the_tests_and_the_benchmarks():
    outside = ("tests", "benchmarks")
    assert [str(found) for found in imports() if found.package in outside] == []


@pytest.mark.parametrize("library", MAY_USE)
def test_engines_are_used_in_their_rooms_only(library):
    wrong = [
        str(found)
        for found in imports()
        if found.package == library and not found.file.startswith(MAY_USE[library])
    ]
    assert wrong == []


def test_imports_inside_functions_are_of_heavy_engines_and_of_what_commands_do():
    deferred = [found for found in imports() if found.deferred and found.package not in EXTRAS]
    wrong = [
        str(found)
        for found in deferred
        if found.name not in (*EXTRA_MODULES, *DEFERRED.get(found.file, ()))
        and not (found.file in COMMANDS and found.name.startswith("search.cli."))
    ]
    assert wrong == []


def test_heavy_engines_are_never_imported_with_a_module():
    wrong = [str(found) for found in imports() if not found.deferred and found.package in EXTRAS]
    assert wrong == []


def test_there_is_no_import_cycle():
    assert find_cycle(edges()) == []


def test_importing_a_module_only_declares():
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno} {ast.unparse(node)[:60]}"
        for path in sources().values()
        for node in side_effects(tree(path))
    ]
    assert wrong == []


def test_the_architecture_and_the_spaces_know_no_torch():
    modules = reachable(edges(), ["lightir_core.architecture", "spaces"])
    files = {sources()[name].relative_to(ROOT).as_posix() for name in modules}
    wrong = [str(found) for found in imports() if found.file in files and found.package == "torch"]
    assert wrong == []


def test_importing_the_architecture_and_the_spaces_loads_no_torch():
    code = "import sys, lightir_core.architecture, spaces; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("False", "")


def lines_of(path):
    return path.read_text(encoding="utf-8").count("\n")


def code_lines(path):
    """Lines that hold something other than space, comments and documentation."""
    texts = {
        number
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if isinstance(node.value.value, str)
        for number in range(node.lineno, node.end_lineno + 1)
    }
    lines = enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    return sum(
        bool(line.strip()) and not line.strip().startswith("#") and number not in texts
        for number, line in lines
    )


def depth(graph):
    """Modules in the longest chain of imports."""
    found = {}

    def measure(module):
        if module not in found:
            found[module] = 1 + max(map(measure, graph[module] - {module}), default=0)
        return found[module]

    return max(map(measure, graph))


def names(module):
    """(line, name) of everything that the source gives a name to."""
    for node in ast.walk(module):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield line, node.name
        elif isinstance(node, ast.arg):
            yield line, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield line, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield line, node.attr
        elif isinstance(node, ast.alias) and node.asname:
            yield line, node.asname


def parts(name):
    """The words of a name, in small letters."""
    return {part.lower() for part in re.split(r"_|(?<=[a-z0-9])(?=[A-Z])", name) if part}


def test_the_house_does_not_grow():
    sizes = dict.fromkeys(MAY_IMPORT, 0)
    for name, path in sources().items():
        sizes[name.partition(".")[0]] += lines_of(path)
    whole = sum(sizes.values())
    assert whole <= 28_600
    assert {name: size for name, size in sizes.items() if size > 0.35 * whole} == {}


def test_imports_are_shallow():
    # what the package itself names is loaded when it is first used
    assert depth(edges() | {"search": set()}) <= 14


def test_imports_are_few():
    statements = sum(
        isinstance(node, ast.Import | ast.ImportFrom)
        for path in sources().values()
        for node in ast.walk(tree(path))
    )
    # aim: 7 %; what is reached may not be lost
    assert statements <= 0.085 * sum(map(code_lines, sources().values()))


def test_no_two_classes_share_a_name():
    places = {}
    for path in sources().values():
        for node in tree(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
    assert {name: files for name, files in places.items() if len(files) > 1} == {}


@pytest.mark.parametrize("package", [*MAY_IMPORT, "benchmarks"])
def test_names_are_of_the_field(package):
    wrong = [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in sorted((ROOT / package).rglob("*.py"))
        for line, name in [(1, path.stem), *names(tree(path))]
        if parts(name) & BANNED and name not in FIELD_NAMES
    ]
    assert wrong == []


EVERYTHING = """
import importlib, os, random, signal, sys, threading
import rich.console  # draws a random number when it is imported
import torch
def world():
    return (random.getstate(), torch.get_rng_state().tolist(), torch.get_num_threads(),
            torch.get_default_dtype(), signal.getsignal(signal.SIGINT), threading.active_count(),
            os.getcwd(), list(sys.path), dict(os.environ))
before = world()
for name in sys.argv[1:]:
    importlib.import_module(name)
print(world() == before)
"""


@pytest.mark.slow
def test_importing_everything_changes_nothing(tmp_path):
    modules = [name for name in sources() if not name.endswith("__main__")]
    done = subprocess.run(
        [sys.executable, "-c", EVERYTHING, *modules],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert (done.stdout.strip(), done.stderr) == ("True", "")
    assert list(tmp_path.iterdir()) == []


def test_a_cycle_would_be_found():
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}
    assert find_cycle(graph) == ["b", "c", "b"]


def test_a_side_effect_would_be_found():
    module = ast.parse('"""Words."""\nimport os\nx = 1\nos.chdir("/")\nfor y in (): pass\n')
    assert [node.lineno for node in side_effects(module)] == [4, 5]


def test_a_deferred_import_would_be_found():
    module = ast.parse("import os\ndef f():\n    from spaces import decode\n")
    found = list(imports_of(module, {"spaces", "spaces.decode"}))
    assert sorted(found) == [(1, "os", False), (3, "spaces.decode", True)]
