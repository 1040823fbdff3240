-- One row a reply that somebody fetches later; never changed once it is there.
CREATE TABLE reply (
    id TEXT NOT NULL PRIMARY KEY,   -- the run's or the job's, 32 hexadecimal digits
    agent TEXT NOT NULL,
    kept_ms INTEGER NOT NULL,       -- since 1970
    json TEXT NOT NULL              -- last, so that the rest is read without it
) STRICT;

CREATE INDEX reply_by_time ON reply (kept_ms);
