-- A run that was interrupted is the same run when it is resumed: another attempt at it. Who made an earlier attempt and
-- wakes up late may write no more. A run whose process no longer says that it lives was interrupted.

ALTER TABLE runs
    ADD COLUMN attempt     integer NOT NULL DEFAULT 1 CHECK (attempt >= 1),
    ADD COLUMN alive_until timestamptz NOT NULL DEFAULT clock_timestamp() + interval '30 seconds',
    ADD COLUMN idle        interval NOT NULL DEFAULT '0' CHECK (idle >= '0'); -- between attempts

-- What is resumed from an earlier state than the last forgets the numbers of the steps after it.
GRANT DELETE ON metrics TO tandem_app;
