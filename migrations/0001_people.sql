-- Who works with tandem, and what was done in their name.

-- An annotator's id is the pseudonym that judgments keep. Nothing here says who it is.
CREATE TABLE annotators (
    id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    role        text NOT NULL DEFAULT 'annotator' CHECK (role IN ('annotator', 'engineer', 'admin')),
    simulated   boolean NOT NULL DEFAULT false,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    disabled_at timestamptz
);

-- The one table that can be erased: dropping a row leaves the judgments with a pseudonym that leads nowhere.
CREATE TABLE identities (
    annotator_id uuid PRIMARY KEY REFERENCES annotators (id),
    name         text NOT NULL CHECK (btrim(name) <> ''),
    email        text CHECK (email LIKE '%_@_%'),
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE UNIQUE INDEX identities_email ON identities (lower(email));

-- Keys of programs. The secret is shown once; only its SHA-256 is kept.
CREATE TABLE api_keys (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name         text NOT NULL CHECK (btrim(name) <> ''),
    prefix       text NOT NULL UNIQUE CHECK (prefix <> ''),
    secret_hash  bytea NOT NULL CHECK (octet_length(secret_hash) = 32),
    scopes       text[] NOT NULL CHECK (cardinality(scopes) > 0
                     AND scopes <@ ARRAY['annotate', 'score', 'chat', 'read', 'admin']),
    annotator_id uuid REFERENCES annotators (id),
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at   timestamptz,
    revoked_at   timestamptz,
    CHECK (annotator_id IS NOT NULL OR NOT 'annotate' = ANY (scopes)) -- who judges is always someone
);

CREATE TABLE audit (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor   text NOT NULL CHECK (actor <> ''),   -- an annotator's id, 'key:ID' or 'cli'
    action  text NOT NULL CHECK (action <> ''),  -- 'key.revoke', 'annotator.erase' …
    subject text NOT NULL DEFAULT '',
    detail  jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_subject ON audit (subject, id);
