"""An aggregate policy: how many answers become one.

The functions and what they take are those of wit/aggregate.wit and wit/types.wit: their names
there with underscores in place of the dashes, None for what is absent, and a class for each
of several cases.
"""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.aggregate import (
    Answer_Item,
    Decision_Answer,
    Decision_GiveUp,
    Decision_Wait,
    ItemState_Running,
    ItemState_Settled,
)
from wit_world.imports.types import PolicyError_InvalidConfig


class Aggregate(exports.Aggregate):
    def check(self, config):
        """Is this config usable? This policy has none."""
        for key in json.loads(config):
            problem = f"{key} is not known; this policy has no config"
            raise Err(PolicyError_InvalidConfig(problem))

    def step(self, config, situation):
        """Waits for all, and takes the longest answer; of equals the one asked first."""
        if any(isinstance(item.state, ItemState_Running) for item in situation.items):
            return Decision_Wait()
        settled = [item for item in situation.items if isinstance(item.state, ItemState_Settled)]
        answers = [item for item in settled if item.state.value.success]
        if not answers:
            return Decision_GiveUp("no agent has answered")
        longest = max(answers, key=lambda item: item.state.value.size)
        return Decision_Answer(Answer_Item(longest.id))
