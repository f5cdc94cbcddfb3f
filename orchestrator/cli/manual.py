"""How `--help` looks: sections in bold, commands by group. Drawn without rich, whose import would double the time."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from orchestrator.cli import screen


class Command(TyperCommand):
    """A command: arguments are shown as they are written in a usage line.

    An option whose metavar stands in brackets, `--resume [RUN]`, may come without a value, and then means `last`.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Fill in the values that were left out, which typer knows no words for."""
        bare = {
            name
            for each in self.get_params(ctx)
            if str(each.metavar or "").startswith("[") and each.param_type_name == "option"
            for name in each.opts
        }
        filled: list[str] = []
        for place, word in enumerate(args):
            filled.append(word)
            following = args[place + 1 : place + 2]
            if word in bare and (not following or following[0].startswith("-") or Path(following[0]).is_file()):
                filled.append("last")
        return super().parse_args(ctx, filled)

    def format_usage(self, ctx: Any, formatter: Any) -> None:
        """Write the usage line."""
        arguments = [each for each in self.get_params(ctx) if each.param_type_name == "argument"]
        named = [_name(each) if each.required else f"[{_name(each)}]" for each in arguments]
        formatter.write_usage(ctx.command_path, " ".join(["[OPTIONS]", *named]))

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments, then options."""
        _parameters(self, ctx, formatter)


class Group(TyperGroup):
    """The commands, in the groups and in the order they were declared."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names in the order of the table of commands; typer puts groups of commands last."""
        from orchestrator.cli import commands

        if ctx.parent is not None:
            return list(self.commands)
        return sorted(self.commands, key=commands.place)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the commands, which are why one asks, before the options."""
        self.format_commands(ctx, formatter)
        _parameters(self, ctx, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command = self.commands[name]
            panel = getattr(command, "rich_help_panel", None)
            title = panel if isinstance(panel, str) else "Commands"
            summary = (command.help or "").partition("\n\n")[0].replace("\n", " ").strip()
            sections.setdefault(title, []).append((_styled(name, fg="cyan"), summary))
        for title, rows in sections.items():
            with formatter.section(_styled(title, bold=True)):
                formatter.write_dl(rows)


def _parameters(command: TyperCommand | TyperGroup, ctx: Any, formatter: Any) -> None:
    arguments, options = [], []
    for parameter in command.get_params(ctx):
        if parameter.param_type_name == "argument":
            arguments.append((_name(parameter), _about(parameter)))
        elif record := parameter.get_help_record(ctx):
            options.append(record)
    for title, rows in (("Arguments", arguments), ("Options", options)):
        if rows:
            with formatter.section(_styled(title, bold=True)):
                formatter.write_dl([(_styled(name, fg="cyan"), about) for name, about in rows])


def _about(argument: Any) -> str:
    text = str(argument.help or "")
    shown = argument.show_default and isinstance(argument.default, str) and argument.default
    return f"{text}  [default: {argument.default}]" if shown else text


def _name(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper())


def _styled(text: str, **style: Any) -> str:
    return typer.style(text, **style) if screen.is_coloured(sys.stdout) else text
