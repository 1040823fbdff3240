-- The shop's jobs. Whoever adds one says when it is to run first.
INSERT INTO jobs (name, next_run) VALUES ('stock-report', '2026-11-20 22:00');
INSERT INTO jobs (name, next_run) VALUES ('invoice-mail', NULL); -- TODO after the launch
