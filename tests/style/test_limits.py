"""The limits of our style, read off the syntax tree of every module under ``src``.

A rule is a function from a parsed module (or all of them) to what breaks it. ``EXCEPTIONS`` is the only way around one.
"""

import ast
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "dllm_rl"
EXCEPTIONS: list[tuple[str, str, str]] = []  # (rule, place as the rule prints it, reason); the list may only shrink

MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 50
SHORT_FUNCTION_LINES = 30
SHARE_OF_SHORT_FUNCTIONS = 0.9
MIN_REPEATED_LINES = 12
MAX_STRINGS_IN_A_CHAIN = 2
MAY_IMPORT_IN_FUNCTIONS = {"cli.py", "registry.py", "__init__.py"}
WITHOUT_MIRROR = {"e2e", "style", "property", "helpers"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One source file: its path relative to the package, its text, its tree."""

    path: str
    text: str
    tree: ast.Module

    def functions(self) -> Iterator[Function]:
        """Every function and method, nested ones too."""
        return (node for node in ast.walk(self.tree) if isinstance(node, Function))

    def place(self, node: ast.AST) -> str:
        """``path:name`` of a definition, ``path:line`` of anything else."""
        return f"{self.path}:{getattr(node, 'name', getattr(node, 'lineno', 1))}"


def read(folder: Path) -> list[Module]:
    """Parse every module below ``folder``."""
    files = sorted(folder.rglob("*.py"))
    return [Module(str(f.relative_to(folder)), f.read_text(), ast.parse(f.read_text(), str(f))) for f in files]


def body(function: Function) -> list[ast.stmt]:
    """The statements of a function after its docstring."""
    return function.body[1:] if ast.get_docstring(function, clean=False) is not None else function.body


def num_lines(function: Function) -> int:
    """Lines from ``def`` to the end, the docstring's not counted."""
    docstring = function.body[0] if len(body(function)) < len(function.body) else None
    without = (docstring.end_lineno - docstring.lineno + 1) if docstring else 0
    return function.end_lineno - function.lineno + 1 - without


def long_modules(modules: list[Module]) -> Iterator[str]:
    """Modules of more than 400 lines."""
    return (m.path for m in modules if len(m.text.splitlines()) > MAX_MODULE_LINES)


def long_functions(modules: list[Module]) -> Iterator[str]:
    """Functions of more than 50 lines."""
    return (m.place(f) for m in modules for f in m.functions() if num_lines(f) > MAX_FUNCTION_LINES)


def many_longish_functions(modules: list[Module]) -> Iterator[str]:
    """The functions of 30 lines and more, if they are more than a tenth of all."""
    sizes = {m.place(f): num_lines(f) for m in modules for f in m.functions()}
    longish = [place for place, lines in sizes.items() if lines >= SHORT_FUNCTION_LINES]
    yield from longish if len(longish) > (1 - SHARE_OF_SHORT_FUNCTIONS) * len(sizes) else []


def repeated_bodies(modules: list[Module]) -> Iterator[str]:
    """Functions of 12 lines or more whose bodies have equal trees."""
    places = defaultdict(list)
    for module in modules:
        for function in module.functions():
            statements = body(function)
            if statements and statements[-1].end_lineno - statements[0].lineno + 1 >= MIN_REPEATED_LINES:
                places["\n".join(map(ast.dump, statements))].append(module.place(function))
    return (" = ".join(same) for same in places.values() if len(same) > 1)


def compared_strings(test: ast.expr) -> Iterator[tuple[str, str]]:
    """(what is compared, string constant) of each ``x == "a"`` or ``x in ("a", "b")`` inside a condition."""
    for node in ast.walk(test):
        if not isinstance(node, ast.Compare) or not isinstance(node.ops[0], ast.Eq | ast.In | ast.Is):
            continue
        left, right = node.left, node.comparators[0]
        if isinstance(left, ast.Constant):
            left, right = right, left
        for constant in ast.walk(right):
            if isinstance(constant, ast.Constant) and isinstance(constant.value, str):
                yield ast.unparse(left), constant.value


def strings_of_chain(function: Function) -> dict[str, set[tuple[int, str]]]:
    """Per compared expression the strings it is told apart by in ``if``, ``elif``, ``a if b else c`` and ``match``."""
    found = defaultdict(set)
    for node in ast.walk(function):
        if isinstance(node, ast.If | ast.IfExp):
            for subject, value in compared_strings(node.test):
                found[subject].add((node.test.lineno, value))
        elif isinstance(node, ast.Match):
            for pattern in (p for case in node.cases for p in ast.walk(case.pattern)):
                if isinstance(pattern, ast.MatchValue) and isinstance(pattern.value, ast.Constant):
                    found[ast.unparse(node.subject)].add((pattern.lineno, str(pattern.value.value)))
    return found


def string_chains(modules: list[Module]) -> Iterator[str]:
    """Functions that tell three strings or more apart in several tests; one membership test is not a chain."""
    for module in modules:
        for function in module.functions():
            for seen in strings_of_chain(function).values():
                tests, values = {line for line, _ in seen}, {value for _, value in seen}
                if len(tests) > 1 and len(values) > MAX_STRINGS_IN_A_CHAIN:
                    yield module.place(function)


def attribute_guesses(modules: list[Module]) -> Iterator[str]:
    """Calls of ``getattr`` or ``hasattr`` outside a module's own ``__getattr__``."""
    for module in modules:
        allowed = {id(n) for f in module.tree.body if isinstance(f, Function) and f.name == "__getattr__"
                   for n in ast.walk(f)}
        for node in ast.walk(module.tree):
            named = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            if named and node.func.id in ("getattr", "hasattr") and id(node) not in allowed:
                yield module.place(node)


def local_imports(modules: list[Module]) -> Iterator[str]:
    """Imports inside functions, except in commands, the registry and package front doors."""
    for module in modules:
        if Path(module.path).name not in MAY_IMPORT_IN_FUNCTIONS:
            inner = (n for f in module.functions() for n in ast.walk(f) if isinstance(n, ast.Import | ast.ImportFrom))
            yield from {module.place(node) for node in inner}


def globals_written(modules: list[Module]) -> Iterator[str]:
    """``global`` statements."""
    return (m.place(n) for m in modules for n in ast.walk(m.tree) if isinstance(n, ast.Global))


def public_definitions(parent: ast.Module | ast.ClassDef) -> Iterator[Function | ast.ClassDef]:
    """Public classes, functions and methods, not those inside functions; overloads and setters share one text."""
    for node in parent.body:
        if not isinstance(node, Function | ast.ClassDef) or node.name.startswith("_"):
            continue
        if not any(ast.unparse(d).endswith(("overload", ".setter")) for d in node.decorator_list):
            yield node
        if isinstance(node, ast.ClassDef):
            yield from public_definitions(node)


def missing_docstrings(modules: list[Module]) -> Iterator[str]:
    """Public modules, classes and functions that say nothing about themselves."""
    for module in modules:
        for node in (module.tree, *public_definitions(module.tree)):
            if not ast.get_docstring(node):
                yield module.place(node)


RULES: dict[str, Callable[[list[Module]], Iterator[str]]] = {
    rule.__name__: rule
    for rule in (long_modules, long_functions, many_longish_functions, repeated_bodies, string_chains,
                 attribute_guesses, local_imports, globals_written, missing_docstrings)
}


def orphaned_tests(tests: Path, package: Path) -> Iterator[str]:
    """Test files whose module does not exist, in the package or, for ``tests/benchmarks``, in ``benchmarks``."""
    for file in sorted(tests.rglob("test_*.py")):
        inside = file.relative_to(tests)
        names = {file.name.removeprefix("test_"), "__init__.py" if file.stem == f"test_{file.parent.name}" else ""}
        folder = (tests.parent if inside.parts[0] == "benchmarks" else package) / inside.parent
        if inside.parts[0] not in WITHOUT_MIRROR and not any(n and (folder / n).is_file() for n in names):
            yield str(inside)


@pytest.fixture(scope="module")
def modules() -> list[Module]:
    found = read(PACKAGE)
    assert found, f"no module under {PACKAGE}"
    return found


def without_exceptions(rule: str, places: Iterator[str]) -> list[str]:
    return sorted(set(places) - {place for name, place, _ in EXCEPTIONS if name == rule})


@pytest.mark.parametrize("rule", RULES)
def test_source_keeps_the_limit(rule: str, modules: list[Module]) -> None:
    assert without_exceptions(rule, RULES[rule](modules)) == [], RULES[rule].__doc__


def test_tests_mirror_the_source() -> None:
    assert without_exceptions("orphaned_tests", orphaned_tests(ROOT / "tests", PACKAGE)) == []


def test_every_exception_is_still_needed(modules: list[Module]) -> None:
    found = {(name, place) for name, rule in RULES.items() for place in rule(modules)}
    found |= {("orphaned_tests", place) for place in orphaned_tests(ROOT / "tests", PACKAGE)}
    assert [entry for entry in EXCEPTIONS if entry[:2] not in found] == []


# Each rule, shown source that breaks it and source that only looks like it.
LONG_BODY = "\n".join(f"    a{i} = {i}" for i in range(MIN_REPEATED_LINES))
CHAIN = """
def f(x):
    if x == 'a':
        return 1
    {word} x == 'b':
        return 2
    {word} x in ('c', 'd'):
        return 3
"""
BREAKS = {
    "long_modules": "x = 1\n" * 401,
    "long_functions": "def f():\n" + "    x = 1\n" * 50,
    "many_longish_functions": "def f():\n" + "    x = 1\n" * 29,
    "repeated_bodies": f"def f():\n{LONG_BODY}\ndef g():\n{LONG_BODY}\n",
    "string_chains": CHAIN.format(word="elif"),
    "attribute_guesses": "class A:\n    def __getattr__(self, name):\n        return getattr(self.inner, name)\n",
    "local_imports": "def f():\n    import torch\n",
    "globals_written": "def f():\n    global x\n",
    "missing_docstrings": '"""Text."""\nclass A:\n    """Text."""\n    def b(self):\n        pass\n',
}
KEEPS = {
    "long_modules": "x = 1\n" * 400,
    "long_functions": 'def f():\n    """One\n    two."""\n' + "    x = 1\n" * 49,
    "many_longish_functions": "def f():\n" + "    x = 1\n" * 28,
    "repeated_bodies": f"def f():\n{LONG_BODY}\ndef g():\n{LONG_BODY}0\n",
    "string_chains": "def f(x, y):\n    if x in ('a', 'b', 'c'):\n        return 1\n    if y == 'd':\n        pass\n",
    "attribute_guesses": "def __getattr__(name):\n    return getattr(other, name)\n",
    "local_imports": "import torch\ndef f():\n    pass\n",
    "globals_written": "x = 1\ndef f():\n    y = 2\n",
    "missing_docstrings": '"""Text."""\nclass _A:\n    def method(self):\n        pass\n',
}


@pytest.mark.parametrize("rule", RULES)
def test_rule_tells_bad_from_good(rule: str, tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(BREAKS[rule])
    assert list(RULES[rule](read(tmp_path)))
    (tmp_path / "module.py").write_text(KEEPS[rule])
    assert list(RULES[rule](read(tmp_path))) == []


def test_chains_are_seen_in_other_clothes(tmp_path: Path) -> None:
    conditional = "def f(x):\n    return 1 if x == 'a' else (2 if x == 'b' else\n        3 if 'c' == x else 4)\n"
    match = "def f(x):\n    match x:\n        case 'a' | 'b':\n            pass\n        case 'c':\n            pass\n"
    for source in (CHAIN.format(word="if"), conditional, match):
        (tmp_path / "module.py").write_text(source)
        assert list(string_chains(read(tmp_path))) == ["module.py:f"], source


def test_orphans_are_found(tmp_path: Path) -> None:
    for name in ("src/a/__init__.py", "src/a/x.py", "tests/a/test_x.py", "tests/a/test_a.py", "tests/a/test_y.py",
                 "tests/e2e/test_z.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for name in ("benchmarks/b/z.py", "tests/benchmarks/b/test_z.py", "tests/benchmarks/b/test_w.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert list(orphaned_tests(tmp_path / "tests", tmp_path / "src")) == ["a/test_y.py", "benchmarks/b/test_w.py"]
