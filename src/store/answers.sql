-- One row a question that was answered lately, by whichever process.
CREATE TABLE answer (
    number INTEGER PRIMARY KEY AUTOINCREMENT, -- a later one is a higher one, also of those that are gone
    key BLOB NOT NULL UNIQUE,       -- what tells the question from all others
    agent TEXT NOT NULL,
    asked_ms INTEGER NOT NULL,      -- since 1970
    kept_ms INTEGER NOT NULL,       -- since 1970
    bytes INTEGER NOT NULL,         -- what it counts for
    clean INTEGER NOT NULL,         -- given again; any other is for those who waited for it
    json TEXT NOT NULL              -- last, so that the rest is read without it
) STRICT;

CREATE INDEX answer_by_time ON answer (kept_ms, clean);

-- One row: what the others add up to, so that nobody has to count them.
CREATE TABLE answer_totals (
    answers INTEGER NOT NULL,
    clean INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    clears INTEGER NOT NULL         -- how often all were forgotten
) STRICT;

INSERT INTO answer_totals VALUES (0, 0, 0, 0);
