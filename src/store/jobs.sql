-- One row a job, from the moment it was asked for until it is forgotten. Its reply is in the
-- table of replies, under the same id, which is also the id of its run.
CREATE TABLE job (
    id TEXT NOT NULL PRIMARY KEY,   -- 32 hexadecimal digits
    agent TEXT NOT NULL,
    status TEXT NOT NULL,           -- pending, running, and the final done, failed, cancelled
    task TEXT NOT NULL,             -- the beginning of it
    created_ms INTEGER NOT NULL,    -- since 1970, as the others
    started_ms INTEGER,             -- when its agent was started
    completed_ms INTEGER,
    keeper_pid INTEGER,             -- the process that keeps it, once that is known
    keeper_started INTEGER,
    success INTEGER,
    cost_usd REAL,
    session_id TEXT,
    error TEXT,
    error_type TEXT,
    progress TEXT,                  -- the last lines, a JSON list
    progress_ms INTEGER,
    request TEXT NOT NULL           -- as JSON; last, so that the rest is read without it
) STRICT;

CREATE INDEX job_by_time ON job (created_ms);
CREATE INDEX job_not_over ON job (status) WHERE status IN ('pending', 'running');
