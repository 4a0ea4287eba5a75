"""Which agent a run uses."""

from __future__ import annotations

import msgspec
import pytest

from intarsia.config import Agent, Config
from intarsia.errors import ConfigError
from intarsia.run.start import choose_agent


def configured(**tables: object) -> Config:
    return msgspec.convert(tables, Config)


def test_it_may_be_a_driver_that_needs_to_be_told_nothing() -> None:
    assert choose_agent(configured(run={"agent": "claude"})) == ("claude", Agent(driver="claude"))
    with pytest.raises(ConfigError, match="no agent 'command'"):
        choose_agent(configured(run={"agent": "command"}))


def test_an_agent_of_that_name_counts_for_more() -> None:
    name, agent = choose_agent(configured(run={"agent": "claude"}, agents={"claude": {"driver": "script"}}))
    assert (name, agent.driver) == ("claude", "script")
