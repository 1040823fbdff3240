// A describe policy: how a project describes itself.
//
// The functions and what they take are those of wit/describe.wit and wit/types.wit: their
// names there with capitals in place of the dashes, `undefined` for what is absent, and
// `{tag, val}` for one of several cases.

/** How much of a README is read, in bytes. */
const MOST = 65536;

/** A file in a project, and what it says that the project is written in. */
const STACKS = [["Cargo.toml", "Rust"], ["package.json", "JavaScript"], ["pyproject.toml", "Python"]];

export const describe = {
  /** Is this config usable? This policy has none. */
  check(config) {
    for (const key of Object.keys(JSON.parse(config))) {
      throw { tag: "invalid-config", val: `${key} is not known; this policy has no config` };
    }
  },

  /** The first paragraph of README.md. */
  describe(_config, project) {
    const text = firstParagraph(readme(project));
    if (text === "") throw { tag: "failed", val: "README.md has no paragraph" };
    const stacks = STACKS.filter(([file]) => exists(project, file)).map(([, stack]) => stack);
    return { text, mcpServers: [], stacks, databases: [] };
  },
};

function readme(project) {
  try {
    return project.read("README.md", MOST).text;
  } catch {
    throw { tag: "failed", val: "the project has no README.md that can be read" };
  }
}

function exists(project, path) {
  try {
    project.look(path);
    return true;
  } catch {
    return false; // nothing is there, or nothing that may be seen
  }
}

/** The first lines that belong together and are no heading, as one line. */
function firstParagraph(text) {
  const blocks = text.split(/\n\s*\n/).map((block) => block.split("\n").map((line) => line.trim()));
  const lines = blocks.map((block) => block.filter((line) => line !== "" && !line.startsWith("#")));
  return (lines.find((block) => block.length > 0) ?? []).join(" ");
}
