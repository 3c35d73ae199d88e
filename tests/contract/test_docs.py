"""The pages say what is there: their tables, links, commands and policies are checked."""

from __future__ import annotations

import re
import shlex
import subprocess
import textwrap
from pathlib import Path

import click
import pytest

from docs.generate import TESTS, in_step, pages
from janitor.cli.app import janitor
from janitor.errors import PolicyError
from janitor.inuse import SOURCES
from janitor.kinds import kinds
from janitor.policyfile import load
from janitor.policyfile.keys import TABLES
from janitor.policyfile.testfile import load_cases
from janitor.policyfile.verdict import run_case
from janitor.providers import PROVIDERS
from janitor.reports import FORMATS

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = [README, *(ROOT / name for name in ("CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")), *pages()]

# What pages tell people to type besides janitor and make; each is a program of its own.
FOREIGN = frozenset(
    {
        "uv tool install .",
        "docker build -t registry.example.com/janitor:0.1.0 .",
        "docker push registry.example.com/janitor:0.1.0",
        "kubectl apply -f cronjob.yaml",
        "kubectl apply -k deploy/monitoring/cronjob",
        "kubectl apply -k deploy/monitoring/daemon",
        "kubectl apply -k deploy/overlays/daemon",
        "kubectl apply -k deploy/overlays/eks-pod-identity",
        "kubectl apply -k deploy/overlays/sharded",
        "kubectl -n janitor create job --from=cronjob/janitor first",
        "kubectl -n janitor create job --from=cronjob/janitor undo --dry-run=client -o yaml > undo.yaml",
        "kubectl -n janitor logs -f job/first",
        "kubectl -n janitor port-forward deployment/janitor 8080",
    }
)


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def _blocks(language: str) -> list[tuple[str, str]]:
    """Every code block of a language, with the page that it stands on."""
    pattern = re.compile(rf"^```{language}\n(.*?)^```$", re.DOTALL | re.MULTILINE)
    return [(_name(page), block) for page in PAGES for block in pattern.findall(page.read_text())]


def _commands() -> list[tuple[str, str]]:
    return [
        (page, line.removeprefix("$ "))
        for page, block in _blocks("console")
        for line in block.splitlines()
        if line.startswith("$ ")
    ]


@pytest.mark.parametrize("page", pages(), ids=_name)
def test_the_tables_are_those_that_the_parser_reads(page: Path) -> None:
    text = page.read_text()
    assert in_step(text) == text, f"{page.name} is not in step with the tables: make docs"


def test_every_block_provider_and_source_has_its_table() -> None:
    text = "\n".join(page.read_text() for page in pages())
    wanted = {f"<!-- keys: {name} -->" for name in TABLES}
    wanted |= {f"<!-- provider: {name} -->" for name in PROVIDERS}
    wanted |= {f"<!-- source: {name} -->" for name in SOURCES}
    wanted |= {f"<!-- test: {name} -->" for name in TESTS}
    assert {marker for marker in wanted if marker not in text} == set()


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        to = (page.parent / path).resolve() if path else page
        if not to.exists() or (anchor and anchor not in _anchors(to)):
            broken.append(target)
    assert broken == []


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_begins_with_the_two_commands() -> None:
    assert [command for page, command in _commands() if page == "README.md"][:2] == ["make demo", "make test"]


@pytest.mark.parametrize(("page", "command"), _commands())
def test_every_command_can_be_typed(page: str, command: str) -> None:
    program, *arguments = shlex.split(command)
    if program == "janitor":
        name, *rest = arguments
        with click.Context(janitor, info_name="janitor", help_option_names=["-h", "--help"]) as context:
            found = janitor.get_command(context, name)
            assert found is not None, f"{page}: there is no command {name}"
            found.make_context(name, rest, parent=context)
    elif program == "make":
        subprocess.run(["make", "--dry-run", *arguments], cwd=ROOT, check=True, capture_output=True)
    else:
        assert command in FOREIGN, f"{page}: {command}"


def test_the_readme_names_what_is_there_and_nothing_else() -> None:
    rows = dict(re.findall(r"^\| ([a-z ]+) \| (.+) \|$", README.read_text(), re.MULTILINE))
    with click.Context(janitor) as context:
        commands = set(janitor.list_commands(context))
    assert set(re.findall(r"`([\w-]+)`", rows["registries"])) == set(PROVIDERS)
    assert set(re.findall(r"`([\w-]+)`", rows["what is in use"])) == set(SOURCES)
    assert set(re.findall(r"`([\w-]+)`", rows["commands"])) == commands
    assert set(re.findall(r"`([.\w]+)`", rows["reports"])) == set(FORMATS)


_TESTS = "\ntests:\n"


@pytest.mark.parametrize(("page", "text"), [block for block in _blocks("yaml") if _TESTS in block[1]])
def test_every_policy_test_that_a_page_shows_passes_with_the_policy_of_the_readme(
    page: str, text: str, tmp_path: Path
) -> None:
    (tmp_path / "services.yaml").write_text(
        next(policy for shown_on, policy in _blocks("yaml") if shown_on == "README.md")
    )
    path = tmp_path / "shown.test.yaml"
    path.write_text(text)
    verdicts = [run_case(case) for case in load_cases(str(path), {}, kinds())]
    assert [str(verdict) for verdict in verdicts if not verdict.passed] == [], page


@pytest.mark.parametrize(("page", "text"), [block for block in _blocks("yaml") if _TESTS not in block[1]])
def test_every_policy_that_a_page_shows_is_right(page: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(_whole(text))
    try:
        load([path], {}, kinds(), unset="keep")
    except PolicyError as error:
        pytest.fail(f"{page}: {error}")


def _whole(text: str) -> str:
    """A policy file around what a page shows of one: a rule, or some keys."""
    if text.startswith("- "):
        rule = textwrap.indent(text, "    ")
        text = f"policies:\n- name: shown\n  registries: '*'\n  repositories: '**'\n  rules:\n{rule}"
    if "registries:\n" not in text:
        text = f"registries: {{shown: {{provider: oci, endpoint: 'https://registry.example.com'}}}}\n{text}"
    return text if text.startswith("version:") else f"version: 1\n{text}"
