-- Rounds, the models they make, the runs that make them, and the units that runs are divided into.

CREATE TABLE rounds (
    number     integer PRIMARY KEY CHECK (number >= 1),
    name       text NOT NULL CHECK (btrim(name) <> ''),
    status     text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'running', 'done', 'failed', 'cancelled')),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- tandem.json of a model's folder, as a row.
CREATE TABLE models (
    id          text PRIMARY KEY CHECK (id <> ''),
    name        text NOT NULL CHECK (btrim(name) <> ''),
    kind        text NOT NULL CHECK (kind IN ('policy', 'helpfulness', 'safety')),
    url         text NOT NULL CHECK (url <> ''),
    parent      text REFERENCES models (id) CHECK (parent <> id),
    round       integer REFERENCES rounds (number),
    stage       text NOT NULL CHECK (stage IN ('import', 'pretrain', 'sft', 'collect', 'reward_helpfulness',
                    'reward_safety', 'reject', 'ppo', 'evaluate', 'promote')),
    snapshot    text NOT NULL DEFAULT '', -- a snapshot's id or a file's SHA-256
    config      jsonb NOT NULL DEFAULT '{}',
    seed        bigint NOT NULL DEFAULT 0, -- the bits of an unsigned number
    kernel      text NOT NULL DEFAULT '',
    metrics     jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metrics) = 'object'),
    calibration jsonb,
    ensemble    text[] NOT NULL DEFAULT '{}',
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (calibration IS NULL OR kind <> 'policy')
);
CREATE INDEX models_parent ON models (parent);
CREATE INDEX models_newest ON models (created_at DESC, id);

-- Which model of a kind serves. The newest row counts; a rollback is one more row.
CREATE TABLE promotions (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model_id    text NOT NULL REFERENCES models (id),
    reason      text NOT NULL CHECK (btrim(reason) <> ''),
    promoted_by text NOT NULL,
    promoted_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX promotions_model ON promotions (model_id);

CREATE TABLE runs (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    round       integer REFERENCES rounds (number),
    stage       text NOT NULL CHECK (stage IN ('import', 'pretrain', 'sft', 'collect', 'reward_helpfulness',
                    'reward_safety', 'reject', 'ppo', 'evaluate', 'promote')),
    status      text NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'done', 'failed', 'cancelled')),
    config      jsonb NOT NULL DEFAULT '{}',
    seed        bigint NOT NULL DEFAULT 0,
    kernel      text NOT NULL DEFAULT '',
    host        text NOT NULL DEFAULT '',
    model_id    text REFERENCES models (id), -- what it made
    error       text NOT NULL DEFAULT '',
    started_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz,
    CHECK ((status = 'running') = (finished_at IS NULL)),
    CHECK ((status = 'failed') = (error <> ''))
);
CREATE INDEX runs_round ON runs (round, stage);

-- A run that resumes from a checkpoint repeats steps, and their values replace the first ones. NaN is a
-- value: a loss that breaks must be seen.
CREATE TABLE metrics (
    run_id bigint NOT NULL REFERENCES runs (id),
    name   text NOT NULL CHECK (name <> ''),
    step   bigint NOT NULL CHECK (step >= 0),
    value  double precision NOT NULL,
    at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_id, name, step)
);

CREATE TABLE events (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id  bigint NOT NULL REFERENCES runs (id),
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    kind    text NOT NULL CHECK (kind <> ''), -- 'checkpoint', 'resume', 'warning' …
    message text NOT NULL,
    detail  jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX events_run ON events (run_id, id);

-- One idempotent piece of a stage's work. Who holds the lease may write its result, as long as nobody
-- took it over: every taking raises the fence. Round 0 is work outside any round.
CREATE TABLE units (
    round        integer NOT NULL CHECK (round >= 0),
    stage        text NOT NULL CHECK (stage IN ('import', 'pretrain', 'sft', 'collect', 'reward_helpfulness',
                     'reward_safety', 'reject', 'ppo', 'evaluate', 'promote')),
    shard        integer NOT NULL CHECK (shard >= 0),
    round_number integer GENERATED ALWAYS AS (nullif(round, 0)) STORED REFERENCES rounds (number),
    spec         jsonb NOT NULL DEFAULT '{}', -- what to do
    fence        bigint NOT NULL DEFAULT 0 CHECK (fence >= 0),
    holder       text,
    lease_until  timestamptz,
    result       jsonb,
    error        text NOT NULL DEFAULT '', -- of the last try that failed
    failures     integer NOT NULL DEFAULT 0 CHECK (failures >= 0),
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    done_at      timestamptz,
    PRIMARY KEY (round, stage, shard),
    CHECK ((holder IS NULL) = (lease_until IS NULL)),
    CHECK ((done_at IS NULL) = (result IS NULL)),
    CHECK (done_at IS NULL OR holder IS NULL),
    CHECK (holder IS NULL OR fence > 0)
);
CREATE INDEX units_open ON units (round, stage, shard) WHERE done_at IS NULL;
