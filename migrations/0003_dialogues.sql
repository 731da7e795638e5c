-- What is said: openings and their side of the split, dialogues as a tree of messages, prompts, answers
-- and their scores, imported comparisons, snapshots.

-- The one train / held-out split. An opening's side is decided once, when it is first seen, and the
-- foreign key of prompts carries it: no opening can stand on both sides.
CREATE TABLE openings (
    hash       bytea PRIMARY KEY CHECK (octet_length(hash) = 32), -- SHA-256 of the normalised first human turn
    held_out   boolean NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (hash, held_out)
);

-- A message's id hashes its role, its text and its parent's id, so dialogues that begin alike share rows.
CREATE TABLE messages (
    id      bytea PRIMARY KEY CHECK (octet_length(id) = 32),
    parent  bytea REFERENCES messages (id),
    role    text NOT NULL CHECK (role IN ('system', 'user', 'assistant')),
    content text NOT NULL,
    CHECK (role <> 'system' OR parent IS NULL),
    CHECK (role <> 'assistant' OR parent IS NOT NULL)
);
CREATE INDEX messages_parent ON messages (parent);

-- The dialogue that ends with a message, as [{"role": …, "content": …}, …].
CREATE FUNCTION dialogue(last bytea) RETURNS jsonb LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH RECURSIVE line AS (
        SELECT m.parent, m.role, m.content, 0 AS back FROM tandem.messages m WHERE m.id = last
        UNION ALL
        SELECT m.parent, m.role, m.content, line.back + 1 FROM tandem.messages m JOIN line ON m.id = line.parent
    )
    SELECT jsonb_agg(jsonb_build_object('role', role, 'content', content) ORDER BY back DESC) FROM line
$$;

-- A prompt is a dialogue that ends with the user, and why it was asked.
CREATE TABLE prompts (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id    bytea NOT NULL REFERENCES messages (id),
    opening       bytea NOT NULL,
    held_out      boolean NOT NULL,
    safety        boolean NOT NULL,
    risk_category text NOT NULL DEFAULT '' CHECK (risk_category IN ('', 'illicit_and_criminal', 'hateful_and_harmful', 'unqualified_advice')),
    attack_vector text NOT NULL DEFAULT '' CHECK (attack_vector IN ('', 'psychological', 'logic', 'syntactic', 'semantic', 'perspective', 'non_english', 'other')),
    source        text NOT NULL DEFAULT '',
    author        uuid REFERENCES annotators (id),
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    FOREIGN KEY (opening, held_out) REFERENCES openings (hash, held_out),
    UNIQUE (message_id, safety)
);
CREATE INDEX prompts_opening ON prompts (opening);
CREATE INDEX prompts_side ON prompts (held_out, safety, id);

-- An answer. Sampled ones name model, sampling and the key of their randomness, and are the same bits
-- whenever they are drawn again; imported ones are told apart by their text.
CREATE TABLE responses (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    prompt_id    bigint NOT NULL REFERENCES prompts (id),
    content      text NOT NULL,
    content_hash bytea NOT NULL CHECK (octet_length(content_hash) = 32),
    model_id     text REFERENCES models (id),
    origin       text NOT NULL DEFAULT '', -- what imported data said of the model
    sampling     jsonb,
    seed         bigint,
    sample       bigint CHECK (sample >= 0),
    finish       text CHECK (finish IN ('stop', 'length')),
    tokens       integer CHECK (tokens >= 0),
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (id, prompt_id),
    CHECK ((model_id IS NULL) = (sampling IS NULL)),
    CHECK ((model_id IS NULL) = (seed IS NULL)),
    CHECK ((model_id IS NULL) = (sample IS NULL))
);
CREATE UNIQUE INDEX responses_imported ON responses (prompt_id, content_hash, origin) WHERE model_id IS NULL;
CREATE UNIQUE INDEX responses_sampled ON responses (prompt_id, model_id, seed, sample, md5(sampling::text)) WHERE model_id IS NOT NULL;

-- What a pair of reward models says of an answer. NaN sorts above infinity, so the bounds keep it out.
CREATE TABLE scores (
    response_id       bigint NOT NULL REFERENCES responses (id),
    helpfulness_model text NOT NULL REFERENCES models (id),
    safety_model      text NOT NULL REFERENCES models (id),
    helpfulness       double precision NOT NULL CHECK (helpfulness > '-Infinity' AND helpfulness < 'Infinity'),
    safety            double precision NOT NULL CHECK (safety > '-Infinity' AND safety < 'Infinity'),
    combined          double precision NOT NULL CHECK (combined > '-Infinity' AND combined < 'Infinity'),
    gated             boolean NOT NULL,
    branch            text NOT NULL CHECK (branch IN ('helpfulness', 'safety')),
    uncertainty       double precision NOT NULL DEFAULT 0 CHECK (uncertainty >= 0 AND uncertainty < 'Infinity'),
    created_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (response_id, helpfulness_model, safety_model),
    CHECK (NOT gated OR branch = 'safety')
);

CREATE TABLE imports (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    file       text NOT NULL CHECK (file <> ''),
    sha256     bytea NOT NULL CHECK (octet_length(sha256) = 32),
    format     text NOT NULL CHECK (format <> ''),
    aspects    text NOT NULL CHECK (aspects IN ('', 'helpfulness', 'safety', 'both')), -- empty: as each record says
    records    integer NOT NULL CHECK (records >= 0),    -- comparisons that the file held
    added      integer NOT NULL CHECK (added >= 0),
    duplicates integer NOT NULL CHECK (duplicates >= 0), -- of each other or of earlier imports
    skipped    jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(skipped) = 'object'), -- reason: how many
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (sha256, format, aspects),
    CHECK (records = added + duplicates)
);

-- Judged pairs that came from outside. Content_key hashes all that was judged, so that a pair is kept
-- once however often and in whichever file it comes.
CREATE TABLE imported_comparisons (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    import_id      bigint NOT NULL REFERENCES imports (id),
    content_key    bytea NOT NULL UNIQUE CHECK (octet_length(content_key) = 32),
    aspect         text NOT NULL CHECK (aspect IN ('helpfulness', 'safety')),
    prompt_id      bigint NOT NULL,
    chosen         bigint NOT NULL,
    rejected       bigint NOT NULL,
    degree         text NOT NULL DEFAULT '' CHECK (degree IN ('', 'negligibly_better', 'slightly_better', 'better', 'significantly_better')),
    margin         double precision CHECK (margin > '-Infinity' AND margin < 'Infinity'),
    chosen_label   text NOT NULL DEFAULT '' CHECK (chosen_label IN ('', 'safe', 'unsafe')),
    rejected_label text NOT NULL DEFAULT '' CHECK (rejected_label IN ('', 'safe', 'unsafe')),
    source         text NOT NULL DEFAULT '',
    batch          integer NOT NULL DEFAULT 0 CHECK (batch >= 0),
    FOREIGN KEY (chosen, prompt_id) REFERENCES responses (id, prompt_id),
    FOREIGN KEY (rejected, prompt_id) REFERENCES responses (id, prompt_id),
    CHECK (chosen <> rejected)
);
CREATE INDEX imported_comparisons_import ON imported_comparisons (import_id);
CREATE INDEX imported_comparisons_prompt ON imported_comparisons (prompt_id);

-- A frozen set of comparisons under a name. Its hash is over what they say, so that the same data has
-- the same hash in any database.
CREATE TABLE snapshots (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name        text NOT NULL UNIQUE CHECK (btrim(name) <> ''),
    hash        bytea NOT NULL CHECK (octet_length(hash) = 32),
    comparisons integer NOT NULL CHECK (comparisons >= 0),
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE snapshot_items (
    snapshot_id bigint NOT NULL REFERENCES snapshots (id),
    kind        text NOT NULL CHECK (kind IN ('i', 'j')), -- imported_comparisons or judgments
    number      bigint NOT NULL,
    PRIMARY KEY (snapshot_id, kind, number)
);
