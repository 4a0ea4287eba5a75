from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from intarsia.config import Config
from intarsia.errors import ConfigError
from intarsia.settings import Loaded, describe, flatten, load

WHOLE = """\
[project]
id = "mine"

[run]
agents = 2
lease = 30

[workspace]
keep = ["node_modules", ".venv"]

[land]
strategy = "squash"

[checks]
lint = "ruff check"

[checks.test]
command = "pytest"
timeout = 60

[agents.claude]
driver = "command"
command = "claude -p"
wall = 10
"""


def read(tmp_path: Path, text: str = "", environ: dict[str, str] | None = None, **flags: Any) -> Loaded:
    if text:
        (tmp_path / "intarsia.toml").write_text(text, encoding="utf-8")
    return load(tmp_path, environ or {}, {name.replace("__", "."): value for name, value in flags.items()})


def refusal(tmp_path: Path, text: str = "", environ: dict[str, str] | None = None) -> ConfigError:
    with pytest.raises(ConfigError) as refused:
        read(tmp_path, text, environ)
    assert refused.value.exit_code == 2
    return refused.value


def test_nothing_needs_a_file(tmp_path: Path) -> None:
    loaded = read(tmp_path)
    assert loaded.config == Config()
    assert loaded.origins == {}
    assert {loaded.origin(key) for key in flatten(loaded.config)} == {"default"}


def test_a_whole_file(tmp_path: Path) -> None:
    config = read(tmp_path, WHOLE).config
    assert config.project.id == "mine"
    assert config.run.agents == 2
    assert config.run.followups == 3
    assert config.workspace.keep == ["node_modules", ".venv"]
    assert config.land.strategy == "squash"
    checks = config.check_list()
    assert [(name, check.command, check.timeout) for name, check in checks.items()] == [
        ("lint", "ruff check", 600),
        ("test", "pytest", 60),
    ]
    assert config.agents["claude"].command == "claude -p"
    assert (config.agents["claude"].wall, config.agents["claude"].idle) == (10, None)


def test_a_flag_wins_over_a_variable_over_the_file_over_the_default(tmp_path: Path) -> None:
    file, environ = "[run]\nagents = 2\nfollowups = 2\nattempts = 2", {"INTARSIA_RUN_AGENTS": "3"}
    environ["INTARSIA_RUN_FOLLOWUPS"] = "0"
    loaded = read(tmp_path, file, environ, run__agents=5, run__agent=None)
    run = loaded.config.run
    assert (run.agents, run.followups, run.attempts, run.lease) == (5, 0, 2, 60)
    origins = {key: loaded.origin(f"run.{key}") for key in ("agents", "followups", "attempts", "lease", "agent")}
    assert origins == {
        "agents": "flag",
        "followups": "INTARSIA_RUN_FOLLOWUPS",
        "attempts": "intarsia.toml",
        "lease": "default",
        "agent": "default",
    }


def test_variables_get_the_type_of_their_setting(tmp_path: Path) -> None:
    environ = {
        "INTARSIA_PROJECT_ID": "12",
        "INTARSIA_RUN_AGENTS": "7",
        "INTARSIA_WORKSPACE_KEEP": "a,b",
        "INTARSIA_GATE_CODE": "*.py",
        "INTARSIA_LAND_TARGET": "",
    }
    config = read(tmp_path, '[land]\ntarget = "main"', environ).config
    assert config.project.id == "12"
    assert config.run.agents == 7
    assert config.workspace.keep == ["a", "b"]
    assert config.gate.code == ["*.py"]
    assert config.land.target == ""


def test_variables_that_are_no_settings_are_left_alone(tmp_path: Path) -> None:
    sessions = dict.fromkeys(("INTARSIA_SESSION", "INTARSIA_SECRET", "INTARSIA_ROOT", "INTARSIA_ISSUE"), "x")
    assert read(tmp_path, environ=sessions | {"PATH": "/bin"}).config == Config()


@pytest.mark.parametrize(
    ("text", "key", "hint"),
    [
        ("[rnu]\nagents = 1", "rnu", "Did you mean run?"),
        ("zzz = 1", "zzz", "Known here: project, database, run"),
        ("[run]\nagent_count = 1", "run.agent_count", "Did you mean run.agent?"),
        ("[Run]\nagents = 1", "Run", "Did you mean run?"),
        ('[checks.test]\ncommand = "x"\ntimeot = 1', "checks.test.timeot", "Did you mean checks.test.timeout?"),
        ('[agents.a]\ndriver = "script"\nscenarios = "x"', "agents.a.scenarios", "Did you mean agents.a.scenario?"),
        ("[database.pool]\nsize = 1", "database.pool", "Known here: url."),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_name(tmp_path: Path, text: str, key: str, hint: str) -> None:
    error = refusal(tmp_path, text)
    assert error.message == f"{tmp_path / 'intarsia.toml'}: unknown key {key}."
    assert error.hint.startswith(hint)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('[run]\nagents = "4"', "run.agents"),
        ("[run]\nagents = 0", "run.agents"),
        ("[run]\nagents = 257", "run.agents"),
        ("[run]\nagents = 1.5", "run.agents"),
        ("[run]\nagents = true", "run.agents"),
        ("[run]\nlease = 4", "run.lease"),
        ("[limits]\nwall = -1", "limits.wall"),
        ('[workspace]\nkeep = "node_modules"', "workspace.keep"),
        ("[workspace]\nkeep = [1]", "workspace.keep[0]"),
        ('[land]\nstrategy = "octopus"', "land.strategy"),
        ("[checks]\ntest = 3", "checks.test"),
        ("[checks.test]\ntimeout = 3", "checks.test"),
        ('[checks.test]\ncommand = ""', "checks.test.command"),
        ('[checks.lint]\ncommand = "a"\n[checks.test]\ncommand = "b"\ntimeout = "c"', "checks.test.timeout"),
        ('[agents]\nclaude = "claude"', "agents.claude"),
        ('[agents.claude]\ncommand = "claude"', "agents.claude"),
        ('[agents.claude]\ndriver = "telnet"', "agents.claude.driver"),
        ('[agents.claude]\ndriver = "command"\nwall = -1', "agents.claude.wall"),
        ('[agents.claude]\ndriver = "command"\nenv = "HOME"', "agents.claude.env"),
        ("run = 5", "run"),
        ("[[run]]\nagents = 1", "run"),
        ('checks = "make test"', "checks"),
    ],
)
def test_a_wrong_value_is_refused_with_its_key(tmp_path: Path, text: str, key: str) -> None:
    message = refusal(tmp_path, text).message
    assert message.startswith(f"{tmp_path / 'intarsia.toml'}: {key}:") or f": {key} is a table" in message


def test_a_wrong_table_is_refused_whatever_the_environment_adds(tmp_path: Path) -> None:
    assert "run is a table" in refusal(tmp_path, "run = 5", {"INTARSIA_RUN_AGENTS": "3"}).message


@pytest.mark.parametrize("text", ["[run]\nagents = \n", "[run]\nagents = 1\nagents = 2\n\n", "[run\n", "x\n"])
def test_broken_toml_is_refused_with_its_line(tmp_path: Path, text: str) -> None:
    message = refusal(tmp_path, text).message
    assert message.startswith(str(tmp_path / "intarsia.toml"))
    assert "line" in message


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    assert read(tmp_path, "\ufeff[run]\nagents = 2").config.run.agents == 2


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "intarsia.toml").write_bytes(b'[project]\nid = "\xff"')
    assert "is not UTF-8" in refusal(tmp_path).message


def test_a_file_that_can_not_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "intarsia.toml").mkdir()
    assert "can't be read" in refusal(tmp_path).message


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("INTARSIA_RUN_X", "Known here: AGENT, ENV, AGENTS"),
        ("INTARSIA_RUN_AGENT_COUNT", "Did you mean INTARSIA_RUN_AGENT?"),
        ("INTARSIA_DATABASE_URI", "Did you mean INTARSIA_DATABASE_URL?"),
        ("INTARSIA_GATE_X", "Known here: CODE"),
    ],
)
def test_an_unknown_variable_is_refused_with_the_nearest_name(tmp_path: Path, name: str, hint: str) -> None:
    error = refusal(tmp_path, environ={name: "1"})
    assert error.message == f"The variable {name} is no setting."
    assert error.hint.startswith(hint)


@pytest.mark.parametrize("value", ["many", "", "0", "1.5", "1e3"])
def test_a_wrong_variable_is_refused_by_its_name(tmp_path: Path, value: str) -> None:
    message = refusal(tmp_path, environ={"INTARSIA_RUN_AGENTS": value}).message
    assert message.startswith("INTARSIA_RUN_AGENTS: run.agents:")


TABLES = ("checks", "agents", "queues", "sync", "prices")


def test_every_setting_is_described_and_has_a_value(tmp_path: Path) -> None:
    described = describe()
    assert all(setting.description.endswith(".") for setting in described)
    keys = [setting.key for setting in described]
    assert len(set(keys)) == len(keys)
    fixed = {key for key in keys if "NAME" not in key}
    assert fixed == {key for key in flatten(read(tmp_path).config) if key not in TABLES}
    assert {"checks.NAME.command", "agents.NAME.driver"} <= set(keys)
