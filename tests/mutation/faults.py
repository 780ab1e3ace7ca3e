"""The small faults that can be made in a source file, as mutmut makes them, with the lines they stand on."""

from __future__ import annotations

import ast
import difflib
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.file_mutation import Mutation, MutationVisitor
from mutmut.mutation.mutators import mutation_operators
from mutmut.mutation.pragma_handling import IgnoredCode


class _Visitor(MutationVisitor):
    """mutmut's choice of mutants, without those of sentences, and with where each stands."""

    def __init__(self) -> None:
        super().__init__(mutation_operators, IgnoredCode(set(), set(), set()))
        self.lines: list[int] = []

    def _create_mutations(self, node: cst.CSTNode) -> None:
        if isinstance(node, cst.SimpleString) and " " in node.value:
            return
        super()._create_mutations(node)
        line = self.get_metadata(PositionProvider, node).start.line
        self.lines += [line] * (len(self.mutations) - len(self.lines))


@dataclass(frozen=True)
class Fault:
    """One operator, constant, argument or condition changed."""

    file: str
    line: int
    index: int

    @property
    def name(self) -> str:
        """File, line and number of the fault within its file."""
        return f"{self.file}:{self.line}#{self.index}"

    @property
    def module(self) -> str:
        """The module that has the fault."""
        return self.file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    def source(self) -> str:
        """The file with the fault in it."""
        module, mutations = _parsed(self.file)
        mutation = mutations[self.index].mutation
        return module.deep_replace(mutation.original_node, mutation.mutated_node).code

    def difference(self) -> str:
        """The lines that make the fault."""
        before, after = Path(self.file).read_text("utf-8").splitlines(), self.source().splitlines()
        told = difflib.unified_diff(before, after, lineterm="", n=0)
        return "\n".join(line for line in told if line[:3] not in ("+++", "---") and line[:1] in "+-")

    def lines(self) -> frozenset[int]:
        """Those of the statement that has the fault, without what is nested in it."""
        best = range(self.line, self.line + 1)
        for node in ast.walk(ast.parse(Path(self.file).read_text("utf-8"))):
            if isinstance(node, ast.stmt) and node.lineno <= self.line <= (node.end_lineno or 0):
                body = getattr(node, "body", None)
                end = body[0].lineno - 1 if body else node.end_lineno or node.lineno
                if self.line <= end:
                    best = range(node.lineno, max(end, node.lineno) + 1)
        return frozenset(best)

    def plant(self) -> None:
        """From now on the module has the fault: in place where that can be, else imported anew."""
        if _exchanged(self.module, self.file, self.source()):
            return
        here = str(Path.cwd())
        for name, module in list(sys.modules.items()):  # of tests as well: they hold what they imported
            if (getattr(module, "__file__", None) or "").startswith(here) and "site-packages" not in str(
                module
            ):
                del sys.modules[name]
        sys.meta_path.insert(0, _Finder(self.module, self.file, self.source()))


@dataclass(frozen=True)
class _Placed:
    line: int
    mutation: Mutation


@cache
def _parsed(file: str) -> tuple[cst.Module, Sequence[_Placed]]:
    wrapper = MetadataWrapper(cst.parse_module(Path(file).read_text("utf-8")))
    visitor = _Visitor()
    wrapper.visit(visitor)
    return wrapper.module, [
        _Placed(line, mutation)
        for line, mutation in zip(visitor.lines, visitor.mutations, strict=True)
        if isinstance(mutation.contained_by_top_level_function, cst.FunctionDef)
    ]


def faults_in(sources: Sequence[str]) -> Iterator[Fault]:
    """All faults of these files and folders, in their order."""
    for source in map(Path, sources):
        for file in sorted(source.rglob("*.py")) if source.is_dir() else [source]:
            for index, placed in enumerate(_parsed(str(file))[1]):
                yield Fault(str(file), placed.line, index)


def _exchanged(module: str, file: str, text: str) -> bool:
    """Give functions of an imported module the code of another text; False where more than that differs."""
    imported = sys.modules.get(module)
    before = compile(Path(file).read_text("utf-8"), file, "exec", dont_inherit=True)
    pairs = list(_functions(before, compile(text, file, "exec", dont_inherit=True), imported))
    if imported is None or not all(function for function, _ in pairs):
        return False
    try:
        for function, code in pairs:
            function.__code__ = code
    except ValueError:  # other variables of the function around it
        return False
    return bool(pairs)


def _functions(before: CodeType, after: CodeType, holder: Any) -> Iterator[tuple[Any, CodeType]]:
    """Functions of a module or class whose code differs, with the new one; None for what is no function."""
    olds, news = _inner(before), _inner(after)
    if before.co_code != after.co_code or _plain(before) != _plain(after) or len(olds) != len(news):
        yield None, after
        return
    for old, new in zip(olds, news, strict=True):
        if old == new:
            continue
        one = vars(holder).get(old.co_name) if holder is not None else None
        one = getattr(one, "__func__", one)
        if isinstance(one, type):
            yield from _functions(old, new, one)
        else:
            yield (one if isinstance(one, FunctionType) and one.__code__ == old else None), new


def _inner(code: CodeType) -> list[CodeType]:
    return [one for one in code.co_consts if isinstance(one, CodeType)]


def _plain(code: CodeType) -> list[object]:
    return [one for one in code.co_consts if not isinstance(one, CodeType)]


class _Loader(importlib.machinery.SourceFileLoader):
    def __init__(self, module: str, file: str, text: str) -> None:
        super().__init__(module, file)
        self._text = text

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._text, self.path, "exec", dont_inherit=True)


class _Finder:
    def __init__(self, module: str, file: str, text: str) -> None:
        self._module, self._file, self._text = module, file, text

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._module:
            return None
        loader = _Loader(fullname, str(Path(self._file).resolve()), self._text)
        return importlib.util.spec_from_file_location(fullname, loader.path, loader=loader)
