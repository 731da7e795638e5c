-- Llama 2's own protocol (section 3.2.1): a person writes a prompt, two variants of a model answer at two
-- temperatures, the person judges.

-- What answers: a model's folder here, or an endpoint that speaks OpenAI's protocol. The endpoint's key is not
-- kept here: key_env names the variable of the server's environment that holds it.
CREATE TABLE variants (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text NOT NULL UNIQUE CHECK (btrim(name) <> ''),
    kind       text NOT NULL CHECK (kind IN ('folder', 'endpoint')),
    url        text NOT NULL CHECK (url <> ''), -- the folder, or the URL that ends in /v1
    model_name text NOT NULL DEFAULT '',        -- what the endpoint calls it
    key_env    text NOT NULL DEFAULT '',
    created_by text NOT NULL CHECK (created_by <> ''),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    retired_at timestamptz,
    CHECK ((kind = 'endpoint') = (model_name <> '')),
    CHECK (kind = 'endpoint' OR key_env = '')
);

-- Which variants a live project draws two from, old ones beside new ones.
CREATE TABLE project_variants (
    project_id bigint NOT NULL REFERENCES projects (id),
    variant_id bigint NOT NULL REFERENCES variants (id),
    PRIMARY KEY (project_id, variant_id)
);

ALTER TABLE projects
    ADD COLUMN temperatures double precision[] NOT NULL DEFAULT '{0.7, 1.0}'
        CHECK (cardinality(temperatures) >= 1 AND 0 <= ALL (temperatures) AND 2 >= ALL (temperatures)),
    ADD COLUMN answer_tokens integer NOT NULL DEFAULT 256 CHECK (answer_tokens BETWEEN 1 AND 4096);

-- A prompt that a person wrote, or carried on from the answer that they preferred.
CREATE TABLE live_turns (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project_id   bigint NOT NULL REFERENCES projects (id),
    annotator_id uuid NOT NULL REFERENCES annotators (id),
    prompt_id    bigint NOT NULL REFERENCES prompts (id),
    follows      bigint REFERENCES judgments (id),
    key          text NOT NULL CHECK (key <> ''), -- of the submit, so that sending it again makes one turn
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    abandoned_at timestamptz,
    task_id      bigint UNIQUE REFERENCES tasks (id), -- once both answers are there
    UNIQUE (annotator_id, key)
);
CREATE INDEX live_turns_open ON live_turns (annotator_id, project_id) WHERE task_id IS NULL AND abandoned_at IS NULL;

-- One of a turn's two answers: who is to give it, how, and what came of it. The seed makes it repeatable.
CREATE TABLE live_answers (
    turn_id     bigint NOT NULL REFERENCES live_turns (id),
    number      integer NOT NULL CHECK (number IN (1, 2)),
    variant_id  bigint NOT NULL REFERENCES variants (id),
    temperature double precision NOT NULL CHECK (temperature >= 0),
    seed        bigint NOT NULL,
    lease_until timestamptz, -- while a server samples it
    failures    integer NOT NULL DEFAULT 0 CHECK (failures >= 0),
    error       text NOT NULL DEFAULT '', -- of the last try
    response_id bigint REFERENCES responses (id),
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (turn_id, number)
);

GRANT SELECT, INSERT ON variants, project_variants, live_turns, live_answers TO tandem_app;
GRANT UPDATE ON variants, live_turns, live_answers TO tandem_app;
GRANT DELETE ON project_variants TO tandem_app; -- a setting
