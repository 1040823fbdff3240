"""A dialogue policy: who speaks next, and when a dialogue is over.

The functions and what they take are those of wit/dialogue.wit and wit/types.wit: their names
there with underscores in place of the dashes, None for what is absent, and a class for each
of several cases.
"""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.dialogue import Decision_Resolved, Decision_Speak, Side, Speak
from wit_world.imports.types import (
    Piece_Reply,
    Piece_Text,
    PolicyError_InvalidConfig,
    Span,
)

# The last line of a message that ends the dialogue, where the config names no other.
WORD = "AGREED"


class Dialogue(exports.Dialogue):
    def check(self, config):
        """Is this config usable? `word` is all that it may have."""
        for key, value in json.loads(config).items():
            if key != "word":
                refuse(f"{key} is not known; there is only word")
            if not isinstance(value, str) or not value.strip():
                refuse("word has to be a text")

    def step(self, config, situation):
        """Each is told what the other one said, until one agrees."""
        word = json.loads(config).get("word", WORD)
        ending = f"\n\nOnce you agree and nothing is open, end with a line that is just {word}."
        topic = f"Let us settle this: {situation.topic}"
        if not situation.turns:
            return speak(Side.RESPONDER, [Piece_Text(topic + ending)])
        number, last = len(situation.turns) - 1, situation.turns[-1]
        said = last.reply.text.rstrip()
        # Bytes and not characters, counted from the end: the beginning may have been cut.
        if said.split("\n")[-1] == word:
            removed = size(last.reply.text) - size(said) + size(word)
            return Decision_Resolved([quote(number, last.reply.size - removed)])
        to = Side.REQUESTER if last.side == Side.RESPONDER else Side.RESPONDER
        opening = f"{topic}\n\n" if number == 0 else ""
        heading = Piece_Text(f"{opening}The other side says:\n\n")
        return speak(to, [heading, quote(number, last.reply.size), Piece_Text(ending)])


def size(text):
    return len(text.encode())


def speak(to, message):
    return Decision_Speak(Speak(to=to, message=message, tag=""))


def quote(reply, end):
    """What a turn's reply says up to this byte, whole even where this policy saw parts."""
    return Piece_Reply(Span(reply=reply, start=0, end=end))


def refuse(problem):
    """Ends the call with an error that is for the person who wrote the config."""
    raise Err(PolicyError_InvalidConfig(problem))
