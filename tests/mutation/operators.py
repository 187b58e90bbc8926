"""Which faults a source file can be given: Cosmic Ray's operators, and where they mean something.

Cosmic Ray replaces each operator by every other one. Most of these faults say nothing of tests: a
number cannot be shifted by a float, so any test that runs the line kills the mutant, and ``is``
instead of ``==`` changes nothing for what there is only once. They would move the score either way.
So each operator gets the replacements that remain of its type, and what is neutral at run time
(annotations, hints for the compiler) gets none.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator

from tests.mutation.mutant import Change, Mutant

#: Operators that are used, by Cosmic Ray's names.
OPERATORS: Final = (
    "AddNot",
    "ExceptionReplacer",
    "NumberReplacer",
    "ReplaceAndWithOr",
    "ReplaceBinaryOperator_Add_Sub",
    "ReplaceBinaryOperator_BitAnd_BitOr",
    "ReplaceBinaryOperator_BitOr_BitAnd",
    "ReplaceBinaryOperator_Div_Mul",
    "ReplaceBinaryOperator_FloorDiv_Mul",
    "ReplaceBinaryOperator_Mod_Mul",
    "ReplaceBinaryOperator_Mul_Div",
    "ReplaceBinaryOperator_Pow_Mul",
    "ReplaceBinaryOperator_Sub_Add",
    "ReplaceBreakWithContinue",
    "ReplaceComparisonOperator_Eq_NotEq",
    "ReplaceComparisonOperator_GtE_Gt",
    "ReplaceComparisonOperator_GtE_Lt",
    "ReplaceComparisonOperator_Gt_GtE",
    "ReplaceComparisonOperator_Gt_LtE",
    "ReplaceComparisonOperator_IsNot_Is",
    "ReplaceComparisonOperator_Is_IsNot",
    "ReplaceComparisonOperator_LtE_Gt",
    "ReplaceComparisonOperator_LtE_Lt",
    "ReplaceComparisonOperator_Lt_GtE",
    "ReplaceComparisonOperator_Lt_LtE",
    "ReplaceComparisonOperator_NotEq_Eq",
    "ReplaceContinueWithBreak",
    "ReplaceFalseWithTrue",
    "ReplaceOrWithAnd",
    "ReplaceTrueWithFalse",
    "ReplaceUnaryOperator_Delete_Not",
    "ReplaceUnaryOperator_USub_UAdd",
    "ZeroIterationForLoop",
)

#: Nodes of a parso tree whose operators are arithmetic; a bare ``*`` among parameters is not.
_ARITHMETIC: Final = frozenset({"arith_expr", "term", "power", "expr", "and_expr"})

#: A place in a source: line from 1, column from 0.
Place = tuple[int, int]


class _Span(NamedTuple):
    start: Place
    end: Place

    def holds(self, place: Place) -> bool:
        return self.start <= place < self.end


class CosmicRay:
    """Faults that Cosmic Ray's operators make."""

    def mutants(self, path: str, source: str) -> Iterator[Mutant]:
        """All mutants of a file, by operator and place.

        Args:
            path: of the file, from the root of the repository.
            source: its text.
        """
        module = ast.parse(source)
        neutral = [*_neutral(module)]
        statements = [*_statements(module)]
        nodes = [*ast_nodes(get_ast(source))]
        for name in OPERATORS:
            operator = get_operator(f"core/{name}")()
            places = (
                (node, start) for node in nodes for start, _ in operator.mutation_positions(node)
            )
            for occurrence, (node, start) in enumerate(places):
                binary = name.startswith("ReplaceBinaryOperator")
                if binary and node.parent.type not in _ARITHMETIC:
                    continue
                if not any(span.holds(start) for span in neutral):
                    first, last = _statement_at(statements, start[0])
                    yield Mutant(path, first, last, name, occurrence)

    def change(self, mutant: Mutant, source: str) -> Change | None:
        """What a mutant does to its source; None if no valid program comes out."""
        return _change(mutant, source)


@lru_cache(maxsize=512)
def _change(mutant: Mutant, source: str) -> Change | None:
    operator = get_operator(f"core/{mutant.operator}")()
    mutated: str | None = mutate_code(source, operator, mutant.occurrence)
    if mutated is None:
        return None
    try:
        if ast.dump(ast.parse(mutated)) == ast.dump(ast.parse(source)):
            return None
    except SyntaxError:
        return None
    before, after = [], []
    for line in difflib.ndiff(source.splitlines(), mutated.splitlines()):
        if line.startswith("- "):
            before.append(line[2:].strip())
        elif line.startswith("+ "):
            after.append(line[2:].strip())
    return Change(" ".join(before), " ".join(after), mutated)


def _neutral(module: ast.Module) -> Iterator[_Span]:
    """What tests cannot see, or what is a test itself.

    Annotations and decorators (immutable, with slots, hints for the compiler) are for mypy and
    mypyc, which hold them. An assertion that is weaker lets the same right programs through, and
    coverage does not count what must never happen either.
    """
    for node in ast.walk(module):
        match node:
            case ast.arg(annotation=ast.expr() as annotation):
                yield _span(annotation)
            case ast.AnnAssign(annotation=annotation):
                yield _span(annotation)
            case ast.Assert():
                yield _span(node)
            case ast.Raise(exc=ast.Call(func=ast.Name(id="AssertionError"))):
                yield _span(node)
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                yield _Span((node.lineno, 0), (node.body[-1].end_lineno or 0, 10_000))
            case ast.FunctionDef() | ast.ClassDef():
                yield from map(_span, node.decorator_list)
                if isinstance(node, ast.FunctionDef) and node.returns is not None:
                    yield _span(node.returns)


def _span(node: ast.expr | ast.stmt) -> _Span:
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    return _Span((node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset))


def _statements(module: ast.Module) -> Iterator[tuple[int, int]]:
    """First and last line of each statement; of one with a body, of its header."""
    for node in ast.walk(module):
        if isinstance(node, ast.stmt | ast.ExceptHandler | ast.match_case):
            first = node.pattern.lineno if isinstance(node, ast.match_case) else node.lineno
            body = getattr(node, "body", None)
            end = max(first, body[0].lineno - 1) if body else getattr(node, "end_lineno", first)
            yield first, end


def _statement_at(statements: list[tuple[int, int]], line: int) -> tuple[int, int]:
    """The narrowest statement that has a line."""
    having = [it for it in statements if it[0] <= line <= it[1]]
    return min(having, key=lambda it: it[1] - it[0], default=(line, line))
