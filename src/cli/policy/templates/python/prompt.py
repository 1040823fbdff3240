"""A prompt policy: how a request reads, and what its reply means.

The functions and what they take are those of wit/prompt.wit and wit/types.wit: their names
there with underscores in place of the dashes, None for what is absent, and a class for each
of several cases.
"""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.prompt import Edit_Keep, Interpretation, Rendered
from wit_world.imports.types import PolicyError_InvalidConfig

# What the agent is told at the end where the config says nothing else.
CLOSING = (
    "Answer in one paragraph. Where you cannot go on, end with a line that begins with"
    " BLOCKED: and says why."
)


class Prompt(exports.Prompt):
    def check(self, config):
        """Is this config usable? `closing` is all that it may have."""
        for key, value in json.loads(config).items():
            if key != "closing":
                refuse(f"{key} is not known; there is only closing")
            if not isinstance(value, str):
                refuse("closing has to be a text")

    def render(self, config, request):
        """The request in the house's words."""
        parts = [f"# Task\n{request.task}"]
        if request.context:
            parts.append(f"# Context\n{request.context}")
        if request.goal:
            parts.append(f"# What it is for\n{request.goal}")
        parts.append(json.loads(config).get("closing", CLOSING))
        return Rendered(user="\n\n".join(parts), system=None)

    def interpret(self, config, request, reply):
        """Says `blocked` where the last line of the reply does; the text stays as it is."""
        last = reply.text.strip().split("\n")[-1]
        if not last.startswith("BLOCKED:"):
            return Interpretation(edit=Edit_Keep(), outcome=None, hint=None, parsed=None)
        why = last.removeprefix("BLOCKED:").strip()
        return Interpretation(edit=Edit_Keep(), outcome="blocked", hint=why, parsed=None)


def refuse(problem):
    """Ends the call with an error that is for the person who wrote the config."""
    raise Err(PolicyError_InvalidConfig(problem))
