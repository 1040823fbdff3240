"""A describe policy: how a project describes itself.

The functions and what they take are those of wit/describe.wit and wit/types.wit: their names
there with underscores in place of the dashes, None for what is absent, and a class for each
of several cases.
"""

import json
import re

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.describe import Description
from wit_world.imports.types import PolicyError_Failed, PolicyError_InvalidConfig

# How much of a README is read, in bytes.
MOST = 65536

# A file in a project, and what it says that the project is written in.
STACKS = {"Cargo.toml": "Rust", "package.json": "JavaScript", "pyproject.toml": "Python"}


class Describe(exports.Describe):
    def check(self, config):
        """Is this config usable? This policy has none."""
        for key in json.loads(config):
            problem = f"{key} is not known; this policy has no config"
            raise Err(PolicyError_InvalidConfig(problem))

    def describe(self, config, project):
        """The first paragraph of README.md."""
        text = first_paragraph(readme(project))
        if not text:
            raise Err(PolicyError_Failed("README.md has no paragraph"))
        stacks = [stack for file, stack in STACKS.items() if exists(project, file)]
        return Description(text=text, mcp_servers=[], stacks=stacks, databases=[])


def readme(project):
    try:
        return project.read("README.md", MOST).text
    except Err:
        raise Err(PolicyError_Failed("the project has no README.md that can be read"))


def exists(project, path):
    try:
        project.look(path)
        return True
    except Err:
        return False  # nothing is there, or nothing that may be seen


def first_paragraph(text):
    """The first lines that belong together and are no heading, as one line."""
    for block in re.split(r"\n\s*\n", text):
        lines = [line.strip() for line in block.split("\n")]
        lines = [line for line in lines if line and not line.startswith("#")]
        if lines:
            return " ".join(lines)
    return ""
