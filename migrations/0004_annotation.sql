-- The collecting of judgments: projects, tasks, slots, assignments, judgments.

CREATE TABLE projects (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text NOT NULL UNIQUE CHECK (btrim(name) <> ''),
    aspect     text NOT NULL CHECK (aspect IN ('helpfulness', 'safety')),
    guideline  text NOT NULL DEFAULT '',
    overlap    integer NOT NULL DEFAULT 1 CHECK (overlap BETWEEN 1 AND 100), -- judgments wanted of a task
    lease      interval NOT NULL DEFAULT '30 minutes' CHECK (lease > '0'),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    closed_at  timestamptz
);

-- One or more answers to a prompt, to be judged. Content_key hashes kind, prompt and answers: making a
-- task again makes none.
CREATE TABLE tasks (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project_id  bigint NOT NULL REFERENCES projects (id),
    prompt_id   bigint NOT NULL REFERENCES prompts (id),
    kind        text NOT NULL CHECK (kind IN ('pairwise', 'ranking', 'rating')),
    batch       integer NOT NULL DEFAULT 0 CHECK (batch >= 0),
    content_key bytea NOT NULL CHECK (octet_length(content_key) = 32),
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    closed_at   timestamptz,
    UNIQUE (project_id, content_key),
    UNIQUE (id, prompt_id),
    UNIQUE (id, project_id),
    UNIQUE (id, kind)
);

CREATE TABLE task_responses (
    task_id     bigint NOT NULL,
    prompt_id   bigint NOT NULL,
    response_id bigint NOT NULL,
    position    integer NOT NULL CHECK (position >= 0),
    PRIMARY KEY (task_id, response_id),
    UNIQUE (task_id, position),
    FOREIGN KEY (task_id, prompt_id) REFERENCES tasks (id, prompt_id),
    FOREIGN KEY (response_id, prompt_id) REFERENCES responses (id, prompt_id) -- answers to the task's own prompt
);

-- A task has as many slots as judgments are wanted. A claim locks a slot; the lease lives here.
CREATE TABLE slots (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    task_id       bigint NOT NULL,
    project_id    bigint NOT NULL,
    number        integer NOT NULL CHECK (number >= 1),
    priority      integer NOT NULL DEFAULT 0,
    assignment_id bigint UNIQUE,
    lease_until   timestamptz,
    done_at       timestamptz,
    UNIQUE (task_id, number),
    FOREIGN KEY (task_id, project_id) REFERENCES tasks (id, project_id),
    CHECK ((assignment_id IS NULL) = (lease_until IS NULL)),
    CHECK (done_at IS NULL OR assignment_id IS NOT NULL)
);
CREATE INDEX slots_open ON slots (project_id, priority DESC, task_id, number) WHERE done_at IS NULL;

-- A person's place on a task, one for good. Shown is the order in which the answers stood, drawn at the claim.
CREATE TABLE assignments (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    task_id      bigint NOT NULL REFERENCES tasks (id),
    annotator_id uuid NOT NULL REFERENCES annotators (id),
    shown        bigint[] NOT NULL CHECK (cardinality(shown) > 0),
    claimed_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    outcome      text CHECK (outcome IN ('submitted', 'skipped')),
    closed_at    timestamptz,
    UNIQUE (task_id, annotator_id),
    UNIQUE (id, task_id, annotator_id),
    CHECK ((outcome IS NULL) = (closed_at IS NULL))
);
CREATE INDEX assignments_annotator ON assignments (annotator_id) WHERE closed_at IS NULL;
ALTER TABLE slots ADD FOREIGN KEY (assignment_id) REFERENCES assignments (id);

-- What was said of a task. Rows are never changed: an edit is the next version, which names the one it
-- replaces. What is chosen is a response, never a side. A surplus judgment came after its place was taken.
CREATE TABLE judgments (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    assignment_id   bigint NOT NULL,
    task_id         bigint NOT NULL,
    annotator_id    uuid NOT NULL,
    kind            text NOT NULL,
    version         integer NOT NULL CHECK (version >= 1),
    replaces        bigint UNIQUE REFERENCES judgments (id),
    chosen          bigint,
    rejected        bigint,
    degree          text NOT NULL DEFAULT '' CHECK (degree IN ('', 'negligibly_better', 'slightly_better', 'better', 'significantly_better')),
    rating          integer CHECK (rating BETWEEN 1 AND 7),
    comment         text NOT NULL DEFAULT '',
    surplus         boolean NOT NULL DEFAULT false,
    shown           bigint[] NOT NULL,
    duration        interval CHECK (duration >= '0'),
    idempotency_key text NOT NULL CHECK (idempotency_key <> ''),
    body_hash       bytea NOT NULL CHECK (octet_length(body_hash) = 32),
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (annotator_id, idempotency_key),
    UNIQUE (assignment_id, version),
    UNIQUE (id, task_id),
    FOREIGN KEY (assignment_id, task_id, annotator_id) REFERENCES assignments (id, task_id, annotator_id),
    FOREIGN KEY (task_id, kind) REFERENCES tasks (id, kind),
    FOREIGN KEY (task_id, chosen) REFERENCES task_responses (task_id, response_id),
    FOREIGN KEY (task_id, rejected) REFERENCES task_responses (task_id, response_id),
    CHECK ((version = 1) = (replaces IS NULL)),
    CHECK (chosen <> rejected),
    CHECK ((kind = 'pairwise') = (chosen IS NOT NULL)),
    CHECK ((kind = 'pairwise') = (rejected IS NOT NULL)),
    CHECK ((kind = 'pairwise') = (degree <> '')),
    CHECK ((kind = 'rating') = (rating IS NOT NULL))
);
CREATE INDEX judgments_task ON judgments (task_id);

-- A ranking, place 1 the best; equal places are ties.
CREATE TABLE judgment_ranks (
    judgment_id bigint NOT NULL,
    task_id     bigint NOT NULL,
    response_id bigint NOT NULL,
    place       integer NOT NULL CHECK (place >= 1),
    PRIMARY KEY (judgment_id, response_id),
    FOREIGN KEY (judgment_id, task_id) REFERENCES judgments (id, task_id),
    FOREIGN KEY (task_id, response_id) REFERENCES task_responses (task_id, response_id)
);

CREATE TABLE labels (
    judgment_id bigint NOT NULL,
    task_id     bigint NOT NULL,
    response_id bigint NOT NULL,
    label       text NOT NULL CHECK (label IN ('safe', 'unsafe')),
    PRIMARY KEY (judgment_id, response_id),
    FOREIGN KEY (judgment_id, task_id) REFERENCES judgments (id, task_id),
    FOREIGN KEY (task_id, response_id) REFERENCES task_responses (task_id, response_id)
);

-- A task put back unjudged (skip), or pointed at for someone to look (flag); either says why.
CREATE TABLE remarks (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    task_id      bigint NOT NULL REFERENCES tasks (id),
    annotator_id uuid NOT NULL REFERENCES annotators (id),
    kind         text NOT NULL CHECK (kind IN ('skip', 'flag')),
    reason       text NOT NULL CHECK (btrim(reason) <> ''),
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX remarks_task ON remarks (task_id);

-- Whether a person's judgment of a task counts; the newest row does. Taking an exclusion back is one more row.
CREATE TABLE exclusions (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    assignment_id bigint NOT NULL REFERENCES assignments (id),
    excluded      boolean NOT NULL,
    reason        text NOT NULL CHECK (btrim(reason) <> ''),
    excluded_by   text NOT NULL CHECK (excluded_by <> ''),
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX exclusions_assignment ON exclusions (assignment_id, id);

-- What is not submitted yet. A save names the revision it was made from; a submit closes the draft.
CREATE TABLE drafts (
    assignment_id bigint PRIMARY KEY REFERENCES assignments (id),
    revision      integer NOT NULL CHECK (revision >= 1),
    body          jsonb NOT NULL,
    updated_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    closed_at     timestamptz
);

-- Every comparison: what was imported, and every pairwise judgment. Those count that are the newest
-- version of their judgment and not excluded. Ids are i and the number of an imported one, j and that of a judgment.
CREATE VIEW comparisons AS
SELECT 'i' AS kind, id AS number, aspect, prompt_id, chosen, rejected, degree, margin, chosen_label, rejected_label, source, batch,
       true AS newest, false AS excluded
FROM imported_comparisons
UNION ALL
SELECT 'j', j.id, p.aspect, t.prompt_id, j.chosen, j.rejected, j.degree, NULL,
       coalesce(c.label, ''), coalesce(r.label, ''), p.name, t.batch,
       NOT EXISTS (SELECT FROM judgments newer WHERE newer.replaces = j.id),
       coalesce((SELECT e.excluded FROM exclusions e WHERE e.assignment_id = j.assignment_id ORDER BY e.id DESC LIMIT 1), false)
FROM judgments j
JOIN tasks t ON t.id = j.task_id
JOIN projects p ON p.id = t.project_id
LEFT JOIN labels c ON c.judgment_id = j.id AND c.response_id = j.chosen
LEFT JOIN labels r ON r.judgment_id = j.id AND r.response_id = j.rejected
WHERE j.kind = 'pairwise';
