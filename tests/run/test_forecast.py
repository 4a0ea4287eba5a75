from __future__ import annotations

import pytest

from intarsia.errors import InputError
from intarsia.kernel import Database, issues
from intarsia.kernel.issues import Draft, Issue
from intarsia.run.changed import Changed
from intarsia.run.forecast import Forecaster
from intarsia.run.names import IndexedNames
from intarsia.workspace.repository import Repository
from tests.support.sandbox import Sandbox

SOURCE = """\
import os


class Parser:
    def parse(self):
        return os.name

    def reset(self):
        pass


def parse_all(texts):
    return [Parser().parse() for text in texts]
"""


@pytest.fixture
def database(sandbox: Sandbox) -> Database:
    return Database("sqlite://:memory:", "p")


@pytest.fixture
def box(sandbox: Sandbox) -> Sandbox:
    sandbox.write("src/app/parser.py", SOURCE)
    sandbox.write("src/app/main.py", "print()\n")
    sandbox.write("tests/main.py", "print()\n")
    sandbox.write("docs/usage guide.md", "# Usage\n")
    sandbox.git("add", "--all")
    sandbox.git("commit", "--quiet", "--message=Some files")
    return sandbox


def forecaster(box: Sandbox) -> Forecaster:
    repository = Repository.discover(box.root)
    found = Forecaster(repository.git, "main", IndexedNames(repository, wait=None))
    found.look()
    return found


def issue(database: Database, text: str = "", *claims: str, **more: object) -> Issue:
    with database.transaction() as tx:
        return issues.create(tx, Draft("Do it", text, claims=claims, **more), "me")  # type: ignore[arg-type]


def expected(box: Sandbox, database: Database, text: str, *claims: str) -> dict[str, str]:
    forecast = forecaster(box).of(issue(database, text, *claims))
    return {one.uri.removeprefix("code:"): f"{one.mode} {one.why}" for one in forecast.expected}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Look at src/app/parser.py.", ["src/app/parser.py"]),
        ("(see `./src/app/parser.py:12:3`)", ["src/app/parser.py"]),
        ("parser.py is slow", ["src/app/parser.py"]),
        ("app/main.py, not the other", ["src/app/main.py"]),
        ("main.py: which?", []),
        ("move all of src/app/ away", ["src/app"]),
        ("src, app and docs are only words", []),
        ("docs/ as a whole", ["docs"]),
        ("change README.md and readme.md", ["README.md"]),
        ("add tests/test_parser.py", ["tests/test_parser.py"]),
        ("add nowhere/test_parser.py", []),
        ("see https://example.org/src/app/parser.py, ../etc/passwd and /etc/passwd", []),
        ("src/app/parser.py#Parser.parse.", ["src/app/parser.py#Parser.parse"]),
        ("e.g. 1.2.3, a/b, either/or, 50%, #12, C#", []),
        ("", []),
    ],
)
def test_paths_in_its_text(box: Sandbox, database: Database, text: str, names: list[str]) -> None:
    assert expected(box, database, text) == dict.fromkeys(names, "exclusive named in its text")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("`parse` must not read the name", ["src/app/parser.py#Parser.parse"]),
        ("parse the name and reset", []),
        ("parse_all returns a list", ["src/app/parser.py#parse_all"]),
        ("Parser.reset() and Parser::parse", ["src/app/parser.py#Parser.parse", "src/app/parser.py#Parser.reset"]),
        ("`Parser().parse()` in src/app/parser.py", ["src/app/parser.py#Parser", "src/app/parser.py#Parser.parse"]),
        ("camelCase, snake_case and nobody()", []),
    ],
)
def test_names_in_its_text_that_the_code_has(box: Sandbox, database: Database, text: str, names: list[str]) -> None:
    assert expected(box, database, text) == dict.fromkeys(names, "exclusive named in its text")


def test_claims_count_for_more_than_what_is_named(box: Sandbox, database: Database) -> None:
    found = expected(
        box, database, "In src/app/parser.py", "code:src/app/parser.py", "insert code:src/app/main.py", "db:staging"
    )
    assert found == {
        "src/app/main.py": "insert declared",
        "src/app/parser.py": "exclusive declared",
        "db:staging": "exclusive declared",
    }


@pytest.mark.parametrize("claim", ["", "src/a.py", "write code:src/a.py", "insert", "insert src/a.py"])
def test_a_claim_that_names_no_resource_is_refused(database: Database, claim: str) -> None:
    with pytest.raises(InputError):
        issue(database, "", claim)


def test_what_the_issues_it_needs_have_changed(box: Sandbox, database: Database) -> None:
    first, other = issue(database, id="it-1"), issue(database, id="it-12")
    box.commit("src/app/main.py", "print(1)\n", f"Print one\n\nIssue: {first.id}")
    box.commit("tests/main.py", "print(1)\n", f"Test one\n\nIssue: {other.id}")
    box.commit("README.md", "Issue: it-1\n", "Speak of Issue: it-1 without a trailer")
    found = forecaster(box).of(issue(database, needs=[first.id])).expected
    assert [(one.uri, one.why) for one in found] == [("code:src/app/main.py", "changed by it-1")]


def by(box: Sandbox, path: str, text: str, patience: float = 60) -> list[str]:
    """What an issue changed that made the file so."""
    box.commit(path, text, "Do it\n\nIssue: it-7")
    return Changed(Repository.discover(box.root).git, patience).by("it-7", "main")


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ("return os.name", "return os.sep", ["#Parser.parse"]),
        ("def parse_all", "def new_one():\n    return 1\n\n\ndef parse_all", ["#new_one"]),
        ("def reset(self)", "def restart(self)", ["#Parser.restart"]),
        ("def reset(self)", "def reset(self, to=0)", ["#Parser.reset"]),
        ("import os", "import os\nimport re", [""]),
        ("class Parser", "print()\n\n\nclass Parser", [""]),
    ],
    ids=["body", "added", "renamed", "signature", "import", "statement"],
)
def test_what_an_issue_changed_is_told_by_symbol(box: Sandbox, old: str, new: str, names: list[str]) -> None:
    assert old in SOURCE
    found = by(box, "src/app/parser.py", SOURCE.replace(old, new))
    assert found == [f"code:src/app/parser.py{name}" for name in names]


def test_new_files_are_told_as_such(box: Sandbox) -> None:
    assert by(box, "src/app/new.py", "def f():\n    pass\n") == ["code:src/app/new.py"]


def test_what_takes_too_long_is_told_by_file(box: Sandbox) -> None:
    text = SOURCE.replace("return os.name", "return os.sep")
    assert by(box, "src/app/parser.py", text, patience=0) == ["code:src/app/parser.py"]


def test_links_and_what_is_no_code_are_told_by_file(box: Sandbox) -> None:
    (box.root / "README.md").write_text("More\n")
    (box.root / "link").symlink_to("README.md")
    box.git("add", "--all")
    assert by(box, "docs/usage guide.md", "# Use\n") == ["code:README.md", "code:docs/usage guide.md", "code:link"]


def test_a_look_at_the_branch_learns_what_is_new(box: Sandbox, database: Database) -> None:
    here, one = forecaster(box), issue(database, "later.py and `later`")
    assert here.of(one).expected == []
    box.commit("later.py", "def later():\n    pass\n", "Later")
    assert here.of(one).expected == []
    here.look()
    assert [found.uri for found in here.of(one).expected] == ["code:later.py#later"]


def test_an_edit_of_the_issue_is_another_forecast(box: Sandbox, database: Database) -> None:
    here, one = forecaster(box), issue(database)
    assert here.of(one).expected == []
    with database.transaction() as tx:
        issues.change(tx, one.id, body="README.md")
        edited = issues.get(tx, one.id)
    assert [found.uri for found in here.of(edited).expected] == ["code:README.md"]


def test_a_branch_that_is_gone_has_no_files(box: Sandbox, database: Database) -> None:
    here = Forecaster(Repository.discover(box.root).git, "gone")
    here.look()
    assert here.of(issue(database, "README.md", needs=[issue(database).id])).expected == []


def test_files_with_odd_names(box: Sandbox, database: Database) -> None:
    for name in ("a b.py", "c#d.py", "é.py", "line\nbreak.py"):
        box.write(f"odd/{name}", "def odd_one():\n    pass\n")
    box.git("add", "--all")
    box.git("commit", "--quiet", "--message=Odd\n\nIssue: it-9")
    found = forecaster(box).of(issue(database, needs=[issue(database, id="it-9").id])).expected
    assert {one.uri for one in found} >= {"code:odd/a b.py", "code:odd/é.py"}
