-- How people come in: roles, passwords, invitations, sessions, and what keeps guessers out.

ALTER TABLE annotators
    DROP CONSTRAINT annotators_role_check,
    ADD CONSTRAINT annotators_role_check CHECK (role IN ('annotator', 'reviewer', 'engineer', 'admin')),
    -- Whose days these are: streaks, limits and hours are counted by it. An unknown zone is an error of Postgres's.
    ADD COLUMN time_zone text NOT NULL DEFAULT 'UTC' CHECK ((timestamptz '2000-01-01' AT TIME ZONE time_zone) IS NOT NULL);

ALTER TABLE api_keys
    DROP CONSTRAINT api_keys_scopes_check,
    ADD CONSTRAINT api_keys_scopes_check CHECK (cardinality(scopes) > 0
        AND scopes <@ ARRAY['annotate', 'review', 'score', 'chat', 'read', 'admin']);

-- A person's password, as argon2id's PHC string. Erasing the person takes it along.
CREATE TABLE passwords (
    annotator_id uuid PRIMARY KEY REFERENCES identities (annotator_id) ON DELETE CASCADE,
    phc          text NOT NULL CHECK (phc LIKE '$argon2id$%'),
    changed_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- A link that lets a person set their password, once: to join, or because they forgot it. Only its hash is kept.
CREATE TABLE invitations (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    annotator_id uuid NOT NULL REFERENCES annotators (id),
    kind         text NOT NULL CHECK (kind IN ('join', 'reset')),
    token_hash   bytea NOT NULL UNIQUE CHECK (octet_length(token_hash) = 32),
    created_by   text NOT NULL CHECK (created_by <> ''),
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at   timestamptz NOT NULL CHECK (expires_at > created_at),
    used_at      timestamptz,
    revoked_at   timestamptz,
    CHECK (used_at IS NULL OR revoked_at IS NULL)
);
-- A person has one link that is good; a new one takes its place.
CREATE UNIQUE INDEX invitations_good ON invitations (annotator_id) WHERE used_at IS NULL AND revoked_at IS NULL;

-- Who is signed in. The browser's cookie holds the token, this table its hash.
CREATE TABLE sessions (
    token_hash   bytea PRIMARY KEY CHECK (octet_length(token_hash) = 32),
    annotator_id uuid NOT NULL REFERENCES annotators (id),
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at   timestamptz NOT NULL CHECK (expires_at > created_at), -- however busy it is
    ended_at     timestamptz
);
CREATE INDEX sessions_open ON sessions (annotator_id) WHERE ended_at IS NULL;

-- Failed sign-ins in a row, by the hash of the address that was tried, whether anybody has it or not.
CREATE TABLE sign_in_failures (
    address_hash bytea PRIMARY KEY CHECK (octet_length(address_hash) = 32),
    failures     integer NOT NULL CHECK (failures >= 1),
    failed_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    locked_until timestamptz
);

GRANT SELECT, INSERT, UPDATE ON passwords, invitations, sessions, sign_in_failures TO tandem_app;
GRANT DELETE ON sign_in_failures TO tandem_app; -- a success clears them
