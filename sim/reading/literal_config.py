"""A ``gunicorn.conf.py`` read without running it, for one that cannot run here.

Its top-level statements are followed in order, as far as they are literal: constants, arithmetic
with them, names that were given such values, counted processors, environment variables, and ``if``
of these. Everything else is named, with its line, and not guessed.
"""

from __future__ import annotations
import __future__

import ast
import operator
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sim.reading.processors import SYSCONF

_OPERATORS: dict[type, Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left not in right,
    ast.Not: operator.not_,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}

#: Largest value that is followed: characters of texts and bits of numbers, and for each value
#: `EACH`. Settings are small, and doubling one in each of 40 lines would take all of the memory.
MOST, EACH = 10_000, 10

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (abs, bool, dict, float, int, len, list, max, min, round, str, tuple)
}


#: A width or a precision in a format of ``%``.
_WIDTH = re.compile(r"%(?:\([^)]*\))?[-+ #0]*(?:\d{3}|\*|\d*\.(?:\d{3}|\*))")


class _NotLiteralError(Exception):
    """An expression needs the file to run."""


@dataclass(frozen=True, slots=True)
class Literal:
    """What a file says without running.

    Attributes:
        values: of its global names; functions are there to be looked into, not to be called.
        unread: what is not literal, with its line.
        unset: environment variables that are not set here, whose defaults were taken.
        counted: whether it counts processors.
    """

    values: dict[str, Any]
    unread: tuple[str, ...]
    unset: tuple[str, ...]
    counted: bool


def read(
    source: bytes,
    filename: str,
    settings: Collection[str],
    cores: int,
    environ: Mapping[str, str],
) -> Literal:
    """Read a configuration file's source.

    Args:
        source: of the file.
        filename: for messages, and the functions.
        settings: names that are to be named where their values are not literal.
        cores: processors that it counts.
        environ: the environment that it sees.

    Raises:
        SyntaxError: when it is no Python.
        ValueError: when it has a NUL.
        RecursionError: when it is nested too deeply; also MemoryError, of the parser.
    """
    reader = _Reader(filename, settings, cores, environ)
    reader.follow(ast.parse(source, filename).body)
    return Literal(
        {**reader.functions, **reader.values},
        tuple(f"{what} (line {line})" for what, line in reader.unread.items()),
        tuple(reader.unset),
        reader.counted,
    )


class _Reader:
    """Follows statements; a name that something unread gave a value has none."""

    def __init__(
        self, filename: str, settings: Collection[str], cores: int, environ: Mapping[str, str]
    ) -> None:
        self.filename = filename
        self.settings = settings
        self.cores = cores
        self.environ = environ
        self.values: dict[str, Any] = {}
        self.functions: dict[str, Any] = {}
        self.unread: dict[str, int] = {}
        self.unset: dict[str, None] = {}
        self.counted = False

    def follow(self, statements: Sequence[ast.stmt]) -> None:
        for statement in statements:
            try:
                self._statement(statement)
            except _NotLiteralError:
                self._forget(statement)

    def _statement(self, statement: ast.stmt) -> None:
        match statement:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                self._define(statement)
                self.values.pop(name, None)
                self.unread.pop(name, None)
            case ast.Assign(targets=targets, value=value):
                assigned = self._value(value)
                for target in targets:
                    self._assign(target, assigned)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self._assign(target, self._value(value))
            case ast.AugAssign(target=ast.Name(id=name), op=op, value=value):
                left = self._value(ast.Name(name, ast.Load()))
                self._assign(statement.target, self._calculate(op, left, self._value(value)))
            case ast.If(test=test, body=body, orelse=orelse):
                self.follow(body if self._value(test) else orelse)
            case ast.Expr() | ast.Pass() | ast.AnnAssign():
                pass  # A call may do anything, but gives no name a value.
            case _:
                raise _NotLiteralError

    def _assign(self, target: ast.expr, value: object) -> None:
        if not isinstance(target, ast.Name):
            raise _NotLiteralError
        self.functions.pop(target.id, None)
        self.unread.pop(target.id, None)
        self.values[target.id] = value

    def _define(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Make the function without anything of the file running: decorators and defaults."""
        function.decorator_list = []
        _without_defaults(function.args)
        module = ast.Module([function], [])
        exec(self._compiled(module, "exec"), self.functions)  # noqa: S102 - a bare definition

    def _compiled(self, node: ast.Module | ast.Expression, mode: str) -> Any:  # noqa: ANN401
        flags = __future__.annotations.compiler_flag
        return compile(node, self.filename, mode, flags=flags, dont_inherit=True)

    def _forget(self, statement: ast.stmt) -> None:
        """Name what the statement gives values to, as far as it is ours to know."""
        for name in _bound(statement):
            self.values.pop(name, None)
            self.functions.pop(name, None)
            if name in self.settings or name.endswith(" import *"):
                self.unread[name] = statement.lineno

    def _value(self, node: ast.expr) -> Any:  # noqa: ANN401 - of any literal type
        value = self._any_value(node)
        if _size(value) > MOST:
            raise _NotLiteralError
        return value

    def _any_value(self, node: ast.expr) -> Any:  # noqa: ANN401, PLR0911, PLR0912 - as above
        # One case for each kind of node.
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name) if name in self.values:
                return self.values[name]
            case ast.Name(id=name) if name in self.functions:
                return self.functions[name]
            case ast.Tuple(elts=elements):
                return tuple(self._value(element) for element in elements)
            case ast.List(elts=elements):
                return [self._value(element) for element in elements]
            case ast.Dict(keys=keys, values=values) if None not in keys:
                items = zip(keys, values, strict=True)
                pairs = [(self._value(key), self._value(value)) for key, value in items if key]
                return _tried(dict, pairs)
            case ast.BinOp(left=left, op=op, right=right):
                return self._calculate(op, self._value(left), self._value(right))
            case ast.UnaryOp(op=op, operand=operand):
                return self._calculate(op, self._value(operand))
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return self._calculate(op, self._value(left), self._value(right))
            case ast.BoolOp(op=op, values=values):
                return self._any(values) if isinstance(op, ast.Or) else self._all(values)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return self._value(body if self._value(test) else orelse)
            case ast.JoinedStr(values=values):
                return "".join(str(self._value(value)) for value in values)
            case ast.FormattedValue(value=value, conversion=-1, format_spec=None):
                return self._value(value)
            case ast.Lambda(args=arguments):
                _without_defaults(arguments)
                code = self._compiled(ast.Expression(node), "eval")
                return eval(code, self.functions)  # noqa: S307 - a bare definition
            case ast.Subscript(value=base, slice=index) if _last_name(base) == "environ":
                return self._environment(self._value(index))
            case ast.Call():
                return self._call(node)
        raise _NotLiteralError

    def _any(self, nodes: Sequence[ast.expr]) -> object:
        value = None
        for node in nodes:
            value = self._value(node)
            if value:
                break
        return value

    def _all(self, nodes: Sequence[ast.expr]) -> object:
        value = None
        for node in nodes:
            value = self._value(node)
            if not value:
                break
        return value

    def _calculate(self, op: ast.AST, *operands: object) -> Any:  # noqa: ANN401
        function = _OPERATORS.get(type(op))
        # "x" * 10**9 and "%1000000000d" % 1 are no numbers, and no settings.
        repeats = isinstance(op, ast.Mult | ast.Mod) and not all(
            isinstance(it, int | float) for it in operands
        )
        if function is None or (repeats and not _formats_briefly(op, operands)):
            raise _NotLiteralError
        return _tried(function, *operands)

    def _call(self, call: ast.Call) -> Any:  # noqa: ANN401
        name = _last_name(call.func)
        base = call.func.value if isinstance(call.func, ast.Attribute) else None
        if name in ("cpu_count", "process_cpu_count"):
            self.counted = True
            return self.cores
        arguments = [self._value(argument) for argument in call.args]
        keywords = {word.arg: self._value(word.value) for word in call.keywords if word.arg}
        if len(keywords) < len(call.keywords):
            raise _NotLiteralError
        if name == "sched_getaffinity":
            self.counted = True
            return set(range(self.cores))
        if name == "sysconf" and arguments and arguments[0] in SYSCONF:
            self.counted = True
            return self.cores
        if name == "getenv" or (
            name == "get" and base is not None and _last_name(base) == "environ"
        ):
            default = keywords.get("default", arguments[1] if len(arguments) > 1 else None)
            return self._environment(arguments[0] if arguments else keywords.get("key"), default)
        if base is None and name in _FUNCTIONS:
            return _tried(_FUNCTIONS[name], *arguments, **keywords)
        raise _NotLiteralError

    def _environment(self, name: object, *default: object) -> object:
        if not isinstance(name, str) or (name not in self.environ and not default):
            raise _NotLiteralError
        if name in self.environ:
            return self.environ[name]
        self.unset[name] = None
        return default[0]


def _tried(function: Callable[..., Any], *arguments: object, **keywords: object) -> Any:  # noqa: ANN401
    try:
        return function(*arguments, **keywords)
    except (ArithmeticError, LookupError, TypeError, ValueError):
        raise _NotLiteralError from None


def _formats_briefly(op: ast.AST, operands: Sequence[object]) -> bool:
    """Whether ``%`` formats a text without a width or precision, which may be of any size."""
    return (
        isinstance(op, ast.Mod) and isinstance(operands[0], str) and not _WIDTH.search(operands[0])
    )


def _size(value: object) -> int:
    """How large a value is, counted up to `MOST`; what is in it twice counts twice."""
    size, waiting = 0, [value]
    while waiting and size <= MOST:
        each = waiting.pop()
        size += EACH
        if isinstance(each, str | bytes):
            size += len(each)
        elif isinstance(each, int):
            size += each.bit_length()
        elif isinstance(each, dict):
            waiting += [*each, *each.values()]
        elif isinstance(each, list | tuple | set):
            waiting += each
    return size


def _without_defaults(arguments: ast.arguments) -> None:
    """Defaults are evaluated where a function is defined; their number is part of its signature."""
    arguments.defaults = [ast.copy_location(ast.Constant(None), it) for it in arguments.defaults]
    arguments.kw_defaults = [
        None if it is None else ast.copy_location(ast.Constant(None), it)
        for it in arguments.kw_defaults
    ]


def _last_name(node: ast.expr) -> str | None:
    """``c`` of ``a.b.c``, whatever ``a.b`` was imported as."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else None


def _bound(statement: ast.AST) -> list[str]:
    """The names that a statement gives values to, in the scope that it is in."""
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Lambda():
            return []
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            return [name]
        case ast.ImportFrom(module=module, names=[ast.alias(name="*")]):
            return [f"from {module or '.'} import *"]
        case ast.alias(name=name, asname=asname):
            return [asname or name.partition(".")[0]]
    return [name for child in ast.iter_child_nodes(statement) for name in _bound(child)]
