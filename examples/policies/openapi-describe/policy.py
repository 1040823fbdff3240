"""The describe policy `openapi-describe`: what API a project offers, from its OpenAPI file.

The functions and what they take are those of wit/0.1.0/describe.wit: their names there with
underscores in place of the dashes, None for what is absent, and a class for each of several
cases.
"""

import json
import re

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.describe import Description
from wit_world.imports import host
from wit_world.imports.project_view import ViewError_NotFound, ViewError_WrongKind
from wit_world.imports.types import PolicyError_Failed, PolicyError_InvalidConfig

import openapi

# Where such a file usually lies.
FOLDERS = ["", "api/", "docs/", "openapi/", "spec/"]
NAMES = ["openapi.yaml", "openapi.yml", "openapi.json"]

READMES = ["README.md", "README.rst", "README"]

# How much of a file is read, in bytes: all that the host gives of one.
MOST = 1 << 20

EXAMPLE = '{"files": ["services/orders/openapi.yaml"], "max_tags": 5}'


class Describe(exports.Describe):
    def check(self, config):
        settings(config)

    def describe(self, config, project):
        files, max_tags = settings(config)
        for path in files or [folder + name for folder in FOLDERS for name in NAMES]:
            excerpt = read(project, path)
            if excerpt is None:
                continue
            api = openapi.read(excerpt.text)
            if api is not None:
                text = words(api, excerpt.complete, max_tags)
                return Description(text=text, mcp_servers=[], stacks=["OpenAPI"], databases=[])
            host.log(host.Level.WARN, f"{path} is left out: it is no OpenAPI file that can be read")
        for path in READMES:
            excerpt = read(project, path)
            text = first_paragraph(excerpt.text) if excerpt else ""
            if text:
                return Description(text=text, mcp_servers=[], stacks=[], databases=[])
        raise Err(PolicyError_Failed(
            "the project has neither an OpenAPI file at a usual place nor a README with a "
            f"paragraph; name the file in the config, which looks like this: {EXAMPLE}"
        ))


def settings(config):
    """Which files are looked for, none for the usual ones, and how many tags are named."""
    given = json.loads(config)
    if not isinstance(given, dict):
        raise Err(PolicyError_InvalidConfig(f"a config looks like this: {EXAMPLE}"))
    files, max_tags = given.pop("files", []), given.pop("max_tags", 8)
    problem = None
    if given:
        problem = f"`{next(iter(given))}` is not known"
    elif not isinstance(files, list) or not all(isinstance(file, str) for file in files):
        problem = "`files` has to be a list of paths"
    elif type(max_tags) is not int or max_tags < 0:
        problem = "`max_tags` has to be a whole number"
    if problem:
        raise Err(PolicyError_InvalidConfig(f"{problem}; a config looks like this: {EXAMPLE}"))
    return files, max_tags


def read(project, path):
    """The file at this path; None where there is none that can be read."""
    try:
        return project.read(path, MOST)
    except Err as err:
        if not isinstance(err.value, (ViewError_NotFound, ViewError_WrongKind)):
            host.log(host.Level.WARN, f"{path} cannot be read: {err.value}")
        return None


def words(api, is_whole, max_tags):
    """One sentence on an API."""
    count = "1 operation" if api.operations == 1 else f"{api.operations} operations"
    text = f"{api.title} {api.version}".strip() + ": an API with "
    text += count if is_whole else f"at least {count}"
    tags = api.tags[:max_tags]
    if tags:
        more = len(api.tags) - len(tags)
        text += " on " + ", ".join(tags) + (f" and {more} more" if more else "")
    return text + f" ({api.standard})"


def first_paragraph(text):
    """The first lines that belong together and are no heading, badge or code, as one line."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    for block in re.split(r"\n\s*\n", text):
        lines = [line.strip() for line in block.splitlines()]
        is_heading = len(lines) > 1 and re.fullmatch(r"[=\-~^]{3,}", lines[-1])
        prose = [line for line in lines if line and not re.match(r"#|\[!\[|!\[|<|\.\. ", line)]
        if prose and not is_heading:
            return " ".join(prose)
    return ""
