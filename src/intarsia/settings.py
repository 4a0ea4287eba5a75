"""Reading `intarsia.toml`: what is not a known key or not of its type is refused, with where it is and what is nearest.

A value comes from a flag, else an `INTARSIA_SECTION_KEY` variable, else the file, else the default.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct

from intarsia.config import FILE, Config
from intarsia.errors import ConfigError


class Loaded(Struct, frozen=True):
    """The effective configuration and, per dotted key, where its value came from."""

    config: Config
    origins: dict[str, str]

    def origin(self, key: str) -> str:
        return self.origins.get(key, "default")


def load(root: Path, environ: Mapping[str, str] = os.environ, flags: Mapping[str, Any] | None = None) -> Loaded:
    """Read `root/intarsia.toml`, if there; raises ConfigError with file, key path and the nearest valid name."""
    path = root / FILE
    values = _read(path)
    _check_names(values, Config, str(path), ())
    origins = {".".join(key): FILE for key, _ in _leaves(values)}
    for name, key in _variables(environ):
        _put(values, key, environ[name])
        origins[".".join(key)] = name
    for dotted, value in (flags or {}).items():
        if value is not None:
            _put(values, tuple(dotted.split(".")), value)
            origins[dotted] = "flag"
    return Loaded(_convert(values, path, origins), origins)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {}
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {error}", hint="Correct that line; nothing was done.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8: {error}") from error
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror}") from error


def _variables(environ: Mapping[str, str]) -> Iterator[tuple[str, tuple[str, str]]]:
    """`INTARSIA_RUN_AGENTS` is `run.agents`; a section's name with an unknown key is refused."""
    for section in ("project", "database", "run", "limits", "workspace", "land", "gate", "policy", "gateway"):
        model = _model(get_type_hints(Config, include_extras=True)[section])
        assert model is not None
        prefix = f"INTARSIA_{section.upper()}_"
        for name in environ:
            if name.startswith(prefix):
                key = name.removeprefix(prefix).lower()
                if key not in model.__struct_fields__:
                    raise ConfigError(f"The variable {name} is no setting.", hint=_nearest(key, model, prefix.upper()))
                yield name, (section, key)


def _check_names(values: Mapping[str, Any], model: type[Struct], path: str, at: tuple[str, ...]) -> None:
    hints = get_type_hints(model, include_extras=True)
    for key, value in values.items():
        if key not in hints:
            where = ".".join((*at, key))
            raise ConfigError(f"{path}: unknown key {where}.", hint=_nearest(key, model, ".".join((*at, ""))))
        inner = _model(hints[key])
        if inner is None:
            continue
        if not isinstance(value, dict):
            raise ConfigError(f"{path}: {key} is a table, not {value!r}.", hint=f"Write: [{key}]")
        if _is_mapping(hints[key]):
            for name, item in value.items():
                if isinstance(item, dict):
                    _check_names(item, inner, path, (*at, key, name))
        else:
            _check_names(value, inner, path, (*at, key))


def _nearest(key: str, model: type[Struct], prefix: str) -> str:
    import difflib

    names = list(model.__struct_fields__)
    close = difflib.get_close_matches(key.lower(), names, n=1, cutoff=0.5)
    upper = prefix.startswith("INTARSIA_")
    shown = [name.upper() if upper else name for name in (close or names)]
    return f"Did you mean {prefix}{shown[0]}?" if close else f"Known here: {', '.join(shown)}."


def _bare(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def _is_mapping(hint: Any) -> bool:
    return get_origin(_bare(hint)) is dict


def _model(hint: Any) -> type[Struct] | None:
    """The Struct inside an annotation: of the field itself or of a mapping's values."""
    bare = _bare(hint)
    if _is_mapping(hint):
        bare = get_args(bare)[1]
    for candidate in (bare, *get_args(bare)):
        if isinstance(candidate, type) and issubclass(candidate, Struct):
            return candidate
    return None


def _convert(values: dict[str, Any], path: Path, origins: Mapping[str, str]) -> Config:
    try:
        config = msgspec.convert(_typed(values, origins), Config)
        _refuse_commands_without_driver(config, path)
        return config
    except msgspec.ValidationError as error:
        said, _, where = str(error).partition(" - at `$.")
        key = _with_name(where.rstrip("`"), values)
        origin = origins.get(key, FILE)
        place = str(path) if origin == FILE else origin
        raise ConfigError(f"{place}: {key or 'the file'}: {said}.", hint="See: intarsia config show") from error


def _refuse_commands_without_driver(config: Config, path: Path) -> None:
    """An agent that intarsia does not run needs no driver; one that it should run does."""
    for name, agent in config.agents.items():
        if (agent.command or agent.scenario) and not agent.driver:
            driver = "command" if agent.command else "script"
            raise ConfigError(f"{path}: agents.{name}: it has no driver.", hint=f'Add: driver = "{driver}"')


def _with_name(where: str, values: Mapping[str, Any]) -> str:
    """`checks[...].timeout` with the name that msgspec keeps to itself."""
    section, found, rest = where.partition("[...]")
    for name, item in values[section].items() if found else ():
        try:
            msgspec.convert({section: {name: item}}, Config)
        except msgspec.ValidationError:
            return f"{section}.{name}{rest}"
    return where


def _typed(values: dict[str, Any], origins: Mapping[str, str]) -> dict[str, Any]:
    """Environment variables are text; give numbers and lists their type where they parse."""
    for dotted, origin in origins.items():
        if origin.startswith("INTARSIA_"):
            section, key = dotted.split(".")
            text = values[section][key]
            hint = _bare(get_type_hints(Config, include_extras=True)[section])
            wanted = _bare(get_type_hints(hint, include_extras=True)[key])
            if wanted is int and re.fullmatch(r"-?\d+", text):
                values[section][key] = int(text)
            elif wanted is float and re.fullmatch(r"-?\d+(\.\d+)?", text):
                values[section][key] = float(text)
            elif get_origin(wanted) is list:
                values[section][key] = [part for part in text.split(",") if part]
    return values


def _put(values: dict[str, Any], key: tuple[str, ...], value: Any) -> None:
    for part in key[:-1]:
        values = values.setdefault(part, {})
    values[key[-1]] = value


def _leaves(values: Mapping[str, Any], at: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*at, key))
        else:
            yield (*at, key), value


def flatten(config: Config) -> dict[str, Any]:
    """Every effective value by its dotted key."""
    plain = msgspec.to_builtins(config)
    found = {".".join(key): value for key, value in _leaves(plain)}
    return {**found, **{name: {} for name, value in plain.items() if value == {}}}


class Described(Struct, frozen=True):
    key: str
    type: str
    default: Any
    description: str


def describe() -> list[Described]:
    """Every field of the file, for the reference."""
    return list(_describe(Config, ()))


def _describe(model: type[Struct], at: tuple[str, ...]) -> Iterator[Described]:
    defaults = {f.name: f for f in msgspec.structs.fields(model)}
    for name, hint in get_type_hints(model, include_extras=True).items():
        meta = next((m for m in get_args(hint)[1:] if isinstance(m, Meta) and m.description), None)
        inner = _model(hint)
        if inner is not None:
            yield from _describe(inner, (*at, name, "NAME") if _is_mapping(hint) else (*at, name))
            continue
        yield Described(
            key=".".join((*at, name)),
            type=str(getattr(_bare(hint), "__name__", _bare(hint))),
            default=_default(defaults[name]),
            description=(meta.description if meta else "") or "",
        )


def _default(info: msgspec.structs.FieldInfo) -> Any:
    if info.default is not msgspec.NODEFAULT:
        return info.default
    return info.default_factory() if info.default_factory is not msgspec.NODEFAULT else msgspec.UNSET
