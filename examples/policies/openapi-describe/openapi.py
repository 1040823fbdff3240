"""What an OpenAPI file says of its API.

YAML is read line by line, in the block style that people and generators write: a whole parser
in Python takes seconds for what a large API needs, and a call has one.
"""

import json
import re
from dataclasses import dataclass, field

METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace", "query"}

# A line of YAML: its indent, the dashes of lists, and a key with its value or a value alone.
LINE = re.compile(r"( *)((?:- +)*)(?:(\"[^\"]*\"|'[^']*'|[^\s#'\"\[{-].*?|-\S.*?) *:(?: +(.*))?|(.*))$")

# A longer line is no key that counts, and not worth the time.
LONGEST = 2000

# The value stands in the deeper lines that follow.
BLOCK = re.compile(r"[|>][+\-0-9]*(?: +#.*)?$")


@dataclass
class Api:
    standard: str = ""
    title: str = ""
    version: str = ""
    operations: int = 0
    tags: list = field(default_factory=list)

    def add_tags(self, tags):
        self.tags += [tag for tag in dict.fromkeys(tags) if tag not in self.tags]


def read(text):
    """The API in a text; None where it is no OpenAPI file."""
    text = text.lstrip("\ufeff")
    api = of_json(text) if text.lstrip().startswith("{") else of_yaml(text)
    return api if api and api.standard and api.title else None


def of_json(text):
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        return None
    info = mapping(whole.get("info"))
    api = Api(title=str(info.get("title", "")), version=str(info.get("version", "")))
    if "openapi" in whole:
        api.standard = f"OpenAPI {whole['openapi']}"
    api.add_tags(str(tag["name"]) for tag in listed(whole.get("tags")) if "name" in mapping(tag))
    for path in mapping(whole.get("paths")).values():
        for method, operation in mapping(path).items():
            if method in METHODS:
                api.operations += 1
                api.add_tags(str(tag) for tag in listed(mapping(operation).get("tags")))
    return api


def mapping(value):
    return value if isinstance(value, dict) else {}


def listed(value):
    return value if isinstance(value, list) else []


def of_yaml(text):
    api, of_operations = Api(), []
    for path, value in entries(text):
        match path:
            case ["openapi"]:
                api.standard = f"OpenAPI {value}"
            case ["info", "title"]:
                api.title = value
            case ["info", "version"]:
                api.version = value
            case ["tags", "name"]:
                api.add_tags([value])
            case ["paths", _, method] if method in METHODS:
                api.operations += 1
            case ["paths", _, method, "tags"] if value and method in METHODS:
                flow = value[1:-1].split(",") if value.startswith("[") else [value]
                of_operations += [plain(tag.strip()) for tag in flow if tag.strip()]
    # Those that the file lists come first, wherever it does that.
    api.add_tags(of_operations)
    return api


def entries(text):
    """The keys that lead to each value, and the value; each item of a list by itself."""
    path, indents = [], []
    block = None  # of a text in several lines: the indent of its key, and the lines
    for line in text.splitlines():
        stripped = line.strip()
        indent = len(line) - len(line.lstrip(" "))
        if block is not None:
            if not stripped or indent > block[0]:
                block[1].append(stripped)
                continue
            yield path, " ".join(part for part in block[1] if part)
            block = None
        if not stripped or stripped.startswith("#") or stripped == "---" or len(line) > LONGEST:
            continue
        _, dashes, key, value, item = LINE.match(line.rstrip()).groups()
        # A list may stand as far to the left as its key.
        while indents and (indents[-1] > indent if dashes else indents[-1] >= indent):
            indents.pop()
            path.pop()
        if key is not None:
            at = indent + len(dashes)
            while indents and indents[-1] >= at:
                indents.pop()
                path.pop()
            path.append(plain(key))
            indents.append(at)
            if value and BLOCK.match(value):
                block = (at, [])
                continue
            yield path, plain(value or "")
        elif dashes:
            yield path, plain(item)
    if block is not None:
        yield path, " ".join(part for part in block[1] if part)


def plain(value):
    """A value without its quotes, or without the comment behind it."""
    quoted = re.match(r"\"((?:[^\"\\]|\\.)*)\"|'((?:[^']|'')*)'", value)
    if quoted is None:
        return re.sub(r"(?:^| +)#.*", "", value).strip()
    if quoted[1] is None:
        return quoted[2].replace("''", "'")
    try:
        return json.loads(f'"{quoted[1]}"')
    except ValueError:
        return quoted[1]
