"""How verbs share options: a group of them is declared once, as a record, and spliced into each verb that takes it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import wraps
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from typer.core import TyperCommand
from typer.models import OptionInfo

from lawful.errors import LawfulError, UnsupportedError

TYPED = "lawful.typed"
"""Where a context keeps the former flags that were typed."""

KEYWORDS = {"fix": "fixed", "budget": "target", "trained": "budgets"}
"""Options that Python knows by another keyword."""


class Preset:
    """Default values that one verb gives to the options of a group: ``Annotated[Sampling, Preset(draws=99)]``."""

    def __init__(self, **values: Any) -> None:
        self.values = values


class Omit:
    """Options of a group that make no sense for one verb: ``Annotated[Reading, Omit("check")]``."""

    def __init__(self, *names: str) -> None:
        self.names = names


@dataclass(frozen=True, slots=True)
class Formerly:
    """Flags under which an option was known: they work as before, and no help shows them."""

    flags: tuple[str, ...]

    def __init__(self, *flags: str) -> None:
        object.__setattr__(self, "flags", flags)


@dataclass(frozen=True, slots=True)
class Switch:
    """
    An option with few values that may stand alone, and flags that mean one of its values.

    ``Switch("screen", ("screen", "paper", "none"), {"--no-figures": "none"})``: without a value it is the first.
    """

    alone: str
    values: Collection[str]
    flags: Mapping[str, str]


def spliced(verb: Callable[..., None]) -> Callable[..., None]:
    """
    Return a command whose flags are the verb's own and those of the groups it takes.

    A parameter annotated with a record stands for the record's fields: typer sees one option for each of them, and
    the verb is called with the record built from what was given. The record may refuse values in ``__post_init__``.

    Examples
    --------
    >>> @dataclass(frozen=True)
    ... class Sampling:
    ...     seed: int = 0
    ...     draws: int = 200
    >>> @spliced
    ... def verb(runs: str, *, sampling: Annotated[Sampling, Preset(draws=99)]) -> None:
    ...     print(runs, sampling)
    >>> inspect.signature(verb)
    <Signature (runs: str, *, seed: int = 0, draws: int = 99)>
    >>> verb("runs.csv", seed=1, draws=7)
    runs.csv Sampling(seed=1, draws=7)
    """
    hints = get_type_hints(verb, include_extras=True)
    shown: list[inspect.Parameter] = []
    groups: dict[str, tuple[type, list[str]]] = {}
    for parameter in inspect.signature(verb).parameters.values():
        group, remarks = _group(hints[parameter.name])
        if group is None:
            shown.append(parameter.replace(annotation=hints[parameter.name]))
            continue
        options = list(_options(group, remarks))
        groups[parameter.name] = (group, [option.name for option in options])
        shown += options

    @wraps(verb)
    def command(*args: Any, **given: Any) -> None:
        built = {
            name: group(**{option: given.pop(option) for option in options})
            for name, (group, options) in groups.items()
        }
        verb(*args, **given, **built)

    command.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in shown}
    command.former = _former(shown)  # type: ignore[attr-defined]
    command.switches = _switches(shown)  # type: ignore[attr-defined]
    return command


def _group(hint: Any) -> tuple[type | None, Sequence[Any]]:
    """Return the record that a parameter stands for, with the verb's remarks on it; None for a plain option."""
    remarks: Sequence[Any] = ()
    if get_origin(hint) is Annotated:
        hint, *remarks = get_args(hint)
    return (hint, remarks) if isinstance(hint, type) and is_dataclass(hint) else (None, ())


def _options(group: type, remarks: Sequence[Any]) -> Iterator[inspect.Parameter]:
    left_out = {name for remark in remarks if isinstance(remark, Omit) for name in remark.names}
    presets = {name: value for remark in remarks if isinstance(remark, Preset) for name, value in remark.values.items()}
    hints = get_type_hints(group, include_extras=True)
    for one in fields(group):
        if one.name not in left_out:
            default = presets.get(one.name, _default(one))
            yield inspect.Parameter(
                one.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hints[one.name]
            )


def _default(one: Field[Any]) -> Any:
    return inspect.Parameter.empty if one.default is MISSING else one.default


def _former(parameters: Sequence[inspect.Parameter]) -> dict[str, str]:
    """Return the former flags of these options, and the flag that each of them is today."""
    return {
        flag: next(name for name in _flags(parameter) if name.startswith("--"))
        for parameter in parameters
        if get_origin(parameter.annotation) is Annotated
        for remark in get_args(parameter.annotation)
        if isinstance(remark, Formerly)
        for flag in remark.flags
    }


def _switches(parameters: Sequence[inspect.Parameter]) -> dict[str, Switch]:
    """Return the switches among these options by their flag."""
    return {
        next(name for name in _flags(parameter) if name.startswith("--")): remark
        for parameter in parameters
        if get_origin(parameter.annotation) is Annotated
        for remark in get_args(parameter.annotation)
        if isinstance(remark, Switch)
    }


def _flags(parameter: inspect.Parameter) -> Sequence[str]:
    """Return the flags that an option declares; typer keeps the first of them where it expects a default."""
    option = next(remark for remark in get_args(parameter.annotation) if isinstance(remark, OptionInfo))
    return [flag for flag in (option.default, *(option.param_decls or ())) if isinstance(flag, str)]


class VerbCommand(TyperCommand):
    """A command that knows its former flags and names everything that is missing at once."""

    @property
    def former(self) -> Mapping[str, str]:
        """The flags of earlier versions, each with the flag of today."""
        found: Mapping[str, str] = getattr(self.callback, "former", {})
        return found

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments under today's names; what is required and absent is one sentence."""
        ctx.meta[TYPED] = {}
        args = list(self._switched(list(self._renamed(args, ctx.meta[TYPED]))))
        if not ctx.resilient_parsing:
            # Asked here and not of click: which of its releases call a missing argument missing depends on typer's.
            given, *_ = self.make_parser(ctx).parse_args(list(args))
            params = self.get_params(ctx)
            absent = [p for p in params if p.required and not _given(given.get(p.name))]
            answered = any(p.is_eager and given.get(p.name) is True for p in params)  # --help, whatever its name is
            if absent and not answered:
                raise UnsupportedError(self._missing(ctx, absent))
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the verb; an option that an error names is named by the flag that was given for it."""
        try:
            return super().invoke(ctx)
        except LawfulError as error:
            error.args = (self.with_flags(str(error), ctx),)
            raise

    def with_flags(self, sentence: str, ctx: Any) -> str:
        """
        Write the options that a sentence names as the flags of this verb.

        The library names an option in backticks, as its Python keyword (`fixed`); a former flag that was
        given stands for its successor, so that the sentence speaks of what was typed.
        """
        flags = {p.name: p.opts[0] for p in self.get_params(ctx) if p.param_type_name == "option"}
        known = {KEYWORDS.get(name, name): flag for name, flag in flags.items()} | flags
        said = re.sub(r"`(\w+)`", lambda found: known.get(found[1], found[1]), sentence)
        for old, new in ctx.meta.get(TYPED, {}).items():
            said = re.sub(rf"(?<![\w-]){new}(?![\w-])", old, said)
        return said

    def _renamed(self, args: Sequence[str], typed: dict[str, str]) -> Iterator[str]:
        """Yield the arguments with former flags under their names of today; behind a bare -- nothing is a flag."""
        flags = True
        for argument in args:
            flags = flags and argument != "--"
            flag, equals, value = argument.partition("=")
            if flags and flag in self.former:
                typed[flag] = self.former[flag]
                yield f"{typed[flag]}{equals}{value}"
            else:
                yield argument

    def _switched(self, args: Sequence[str]) -> Iterator[str]:
        """Yield the arguments with every switch as a flag and its value."""
        switches: Mapping[str, Switch] = getattr(self.callback, "switches", {})
        known = {flag: f"{name}={value}" for name, one in switches.items() for flag, value in one.flags.items()}
        end = args.index("--") if "--" in args else len(args)
        for i, argument in enumerate(args):
            one = switches.get(argument)
            if i < end and one is not None and not (i + 1 < end and args[i + 1] in one.values):
                yield f"{argument}={one.alone}"
            else:
                yield known.get(argument, argument) if i < end else argument

    def _missing(self, ctx: Any, absent: Sequence[Any]) -> str:
        """Say all that is missing at once, and how the verb is called."""
        *first, last = [_named(p) for p in absent]
        listed = f"{', '.join(first)} and {last}" if first else last
        needed = [_named(p) if p.param_type_name == "argument" else f"{_named(p)} {p.metavar}" for p in self.params]
        usage = " ".join([*(text for text, p in zip(needed, self.params, strict=True) if p.required), "[OPTIONS]"])
        return f"{ctx.command_path} needs {listed}; usage: {ctx.command_path} {usage}; see {ctx.command_path} --help."


def _named(parameter: Any) -> str:
    """Return an argument as help shows it, an option by its flag."""
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name.upper())
    return str(parameter.opts[0])


def _given(value: Any) -> bool:
    """Whether a parsed value came from the command line: what parsers put in the place of none is no text."""
    return isinstance(value, str) or (isinstance(value, (list, tuple)) and len(value) > 0)
