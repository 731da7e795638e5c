-- What a team of annotators works by: guidelines, gold answers and qualification, batches, work sent back,
-- time spent, and what keeps an unpleasant task bearable.

-- A guideline's versions, Markdown. The newest counts; each judgment names the one that its page showed.
CREATE TABLE guidelines (
    project_id bigint NOT NULL REFERENCES projects (id),
    version    integer NOT NULL CHECK (version >= 1),
    markdown   text NOT NULL CHECK (btrim(markdown) <> ''),
    created_by text NOT NULL CHECK (created_by <> ''),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (project_id, version)
);
INSERT INTO guidelines (project_id, version, markdown, created_by, created_at)
SELECT id, 1, guideline, 'migration', created_at FROM projects WHERE btrim(guideline) <> '';

ALTER TABLE projects
    DROP COLUMN guideline,
    ADD COLUMN source text NOT NULL DEFAULT 'prepared' CHECK (source IN ('prepared', 'live')),
    -- Nobody may claim here who did not pass there: at least pass_share of its gold tasks right.
    ADD COLUMN qualification_id bigint REFERENCES projects (id) CHECK (qualification_id <> id),
    ADD COLUMN pass_share double precision NOT NULL DEFAULT 0.8 CHECK (pass_share > 0 AND pass_share <= 1),
    -- One task in gold_every is a gold one, 0 for none. Who gets fewer than gold_floor of their last gold_window
    -- gold tasks right is warned.
    ADD COLUMN gold_every integer NOT NULL DEFAULT 0 CHECK (gold_every >= 0),
    ADD COLUMN gold_window integer NOT NULL DEFAULT 20 CHECK (gold_window >= 1),
    ADD COLUMN gold_floor double precision NOT NULL DEFAULT 0.6 CHECK (gold_floor >= 0 AND gold_floor <= 1),
    -- Care: what to know before one starts, how many judgments a person may make of a day (0 for any), and
    -- whether texts stay blurred until they are asked for.
    ADD COLUMN warning text NOT NULL DEFAULT '',
    ADD COLUMN daily_limit integer NOT NULL DEFAULT 0 CHECK (daily_limit >= 0),
    ADD COLUMN blurred boolean NOT NULL DEFAULT false;

ALTER TABLE judgments
    ADD COLUMN project_id bigint,
    ADD COLUMN guideline integer,
    ADD FOREIGN KEY (task_id, project_id) REFERENCES tasks (id, project_id),
    ADD FOREIGN KEY (project_id, guideline) REFERENCES guidelines (project_id, version),
    ADD CHECK (guideline IS NULL OR project_id IS NOT NULL);
CREATE INDEX judgments_annotator ON judgments (annotator_id, id DESC);

-- The answer that is known to be right. A gold task is handed to everyone who works in its project.
CREATE TABLE golds (
    task_id         bigint PRIMARY KEY,
    project_id      bigint NOT NULL,
    chosen          bigint NOT NULL,
    rejected        bigint NOT NULL,
    chosen_label    text NOT NULL DEFAULT '' CHECK (chosen_label IN ('', 'safe', 'unsafe')),
    rejected_label  text NOT NULL DEFAULT '' CHECK (rejected_label IN ('', 'safe', 'unsafe')),
    reason          text NOT NULL DEFAULT '', -- told to who got it wrong
    created_by      text NOT NULL CHECK (created_by <> ''),
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    FOREIGN KEY (task_id, project_id) REFERENCES tasks (id, project_id),
    FOREIGN KEY (task_id, chosen) REFERENCES task_responses (task_id, response_id),
    FOREIGN KEY (task_id, rejected) REFERENCES task_responses (task_id, response_id),
    CHECK (chosen <> rejected)
);
CREATE INDEX golds_project ON golds (project_id, task_id);

-- A collection batch of a project (section 3.2.1: batches came weekly), and what share of its new openings
-- is held out.
CREATE TABLE batches (
    project_id     bigint NOT NULL REFERENCES projects (id),
    number         integer NOT NULL CHECK (number >= 1),
    name           text NOT NULL DEFAULT '',
    held_out_share double precision NOT NULL DEFAULT 0.1 CHECK (held_out_share >= 0 AND held_out_share <= 1),
    created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (project_id, number)
);

-- A judgment that a reviewer sent back, and why. A newer version of it, or taking it back, answers.
CREATE TABLE returns (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    judgment_id   bigint NOT NULL REFERENCES judgments (id),
    assignment_id bigint NOT NULL REFERENCES assignments (id),
    reason        text NOT NULL CHECK (btrim(reason) <> ''),
    returned_by   text NOT NULL CHECK (returned_by <> ''),
    taken_back    bigint UNIQUE REFERENCES returns (id), -- this row takes that one back
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX returns_assignment ON returns (assignment_id);

-- A project that a person would rather not work in, which nobody holds against them. The newest row counts.
CREATE TABLE declines (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project_id   bigint NOT NULL REFERENCES projects (id),
    annotator_id uuid NOT NULL REFERENCES annotators (id),
    declined     boolean NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX declines_person ON declines (annotator_id, project_id, id);

-- Stretches of active work, as the page reports them: moving, typing, reading with the page in front.
CREATE TABLE activity (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    annotator_id uuid NOT NULL REFERENCES annotators (id),
    project_id   bigint REFERENCES projects (id),
    active       interval NOT NULL CHECK (active > '0' AND active <= '5 minutes'),
    key          text NOT NULL CHECK (key <> ''), -- a report that is sent again counts once
    at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (annotator_id, key)
);
CREATE INDEX activity_at ON activity (at);

-- What was answered to a request that makes something, so that sending it again makes it once.
CREATE TABLE idempotency (
    caller     text NOT NULL CHECK (caller <> ''),
    key        text NOT NULL CHECK (key <> ''),
    body_hash  bytea NOT NULL CHECK (octet_length(body_hash) = 32), -- of method, path and body
    status     integer NOT NULL CHECK (status BETWEEN 200 AND 599),
    body       bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (caller, key)
);

GRANT SELECT, INSERT ON guidelines, golds, batches, returns, declines, activity, idempotency TO tandem_app;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['guidelines', 'golds', 'batches', 'returns', 'declines', 'activity', 'idempotency']
    LOOP
        EXECUTE format('CREATE TRIGGER only_added_to BEFORE UPDATE OR DELETE OR TRUNCATE ON %I
                        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', name);
    END LOOP;
END
$$;
