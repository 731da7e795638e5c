-- Red teaming (sections 4.3 and 4.4): people attack a policy for a timed stretch and rate what it answers; a new policy
-- answers earlier violating attacks again.

-- Of red-teaming projects: how long a stretch is, and what is attacked in which ways. The policy is what the project's
-- variants say, and without any the policy that serves.
ALTER TABLE projects
    DROP CONSTRAINT projects_source_check,
    ADD CONSTRAINT projects_source_check CHECK (source IN ('prepared', 'live', 'red_team')),
    ADD UNIQUE (id, source),
    ADD COLUMN stretch interval NOT NULL DEFAULT '60 minutes' CHECK (stretch BETWEEN '1 minute' AND '8 hours'),
    ADD COLUMN risks text[] NOT NULL DEFAULT '{illicit_and_criminal,hateful_and_harmful,unqualified_advice}'
        CHECK (cardinality(risks) >= 1 AND risks <@ ARRAY['illicit_and_criminal', 'hateful_and_harmful', 'unqualified_advice']),
    ADD COLUMN vectors text[] NOT NULL DEFAULT '{psychological,logic,syntactic,semantic,perspective,non_english,other}'
        CHECK (cardinality(vectors) >= 1 AND vectors <@ ARRAY['psychological', 'logic', 'syntactic', 'semantic', 'perspective', 'non_english', 'other']),
    ADD CHECK (source <> 'red_team' OR aspect = 'safety' AND gold_every = 0 AND cardinality(temperatures) = 1);
GRANT UPDATE (stretch, risks, vectors) ON projects TO tandem_app;

-- A person's time at attacking, by this server's clock. Until is when it runs out, ended_at when it was ended: by the
-- person, or, where it ran out, when the next one began. One policy is attacked in it.
CREATE TABLE stretches (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project_id   bigint NOT NULL,
    source       text NOT NULL DEFAULT 'red_team' CHECK (source = 'red_team'),
    annotator_id uuid NOT NULL REFERENCES annotators (id),
    variant_id   bigint NOT NULL REFERENCES variants (id),
    model_id     text REFERENCES models (id), -- of a variant that is a model here
    temperature  double precision NOT NULL CHECK (temperature BETWEEN 0 AND 2),
    key          text NOT NULL CHECK (key <> ''), -- of the start, so that sending it again makes one stretch
    started_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    until        timestamptz NOT NULL,
    ended_at     timestamptz,
    UNIQUE (annotator_id, key),
    UNIQUE (id, project_id, annotator_id),
    FOREIGN KEY (project_id, source) REFERENCES projects (id, source),
    CHECK (until > started_at),
    CHECK (ended_at BETWEEN started_at AND until)
);
CREATE INDEX stretches_project ON stretches (project_id, id);
CREATE UNIQUE INDEX stretches_open ON stretches (annotator_id) WHERE ended_at IS NULL; -- nobody attacks twice at once

CREATE TRIGGER ended_once BEFORE UPDATE ON stretches FOR EACH ROW WHEN (OLD.ended_at IS NOT NULL) EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_taken_back BEFORE DELETE OR TRUNCATE ON stretches FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
GRANT SELECT, INSERT ON stretches TO tandem_app;
GRANT UPDATE (ended_at) ON stretches TO tandem_app;

-- An attack is a turn in a stretch of its author's, begun before the stretch ran out, of a kind that the project asks for.
ALTER TABLE live_turns
    ADD COLUMN stretch_id bigint,
    ADD FOREIGN KEY (stretch_id, project_id, annotator_id) REFERENCES stretches (id, project_id, annotator_id);
CREATE INDEX live_turns_stretch ON live_turns (stretch_id) WHERE stretch_id IS NOT NULL;

CREATE FUNCTION attack_in_time() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    project record;
BEGIN
    SELECT source, risks, vectors INTO project FROM tandem.projects WHERE id = NEW.project_id;
    IF (project.source = 'red_team') <> (NEW.stretch_id IS NOT NULL) THEN
        RAISE EXCEPTION 'an attack belongs to a stretch, and nothing else does' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.stretch_id IS NOT NULL AND NOT EXISTS (
        SELECT FROM tandem.stretches WHERE id = NEW.stretch_id AND ended_at IS NULL AND until > clock_timestamp()) THEN
        RAISE EXCEPTION 'the stretch is over' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.stretch_id IS NOT NULL AND NOT (NEW.risk_category = ANY (project.risks) AND NEW.attack_vector = ANY (project.vectors)) THEN
        RAISE EXCEPTION 'the project does not ask for such an attack' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER attack_in_time BEFORE INSERT ON live_turns FOR EACH ROW EXECUTE FUNCTION attack_in_time();

-- What is said of an answer to an attack is one of five levels.
CREATE FUNCTION rating_on_scale() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.rating > 5 AND (SELECT source = 'red_team' FROM tandem.projects WHERE id = NEW.project_id) THEN
        RAISE EXCEPTION 'answers to attacks are rated from 1 to 5' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER rating_on_scale BEFORE INSERT ON judgments FOR EACH ROW WHEN (NEW.kind = 'rating') EXECUTE FUNCTION rating_on_scale();

-- A policy that answered earlier violating attacks again, and what the safety model said of each answer. An attack is
-- fixed where that reaches the gate.
CREATE TABLE replays (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model_id          text NOT NULL REFERENCES models (id),
    helpfulness_model text NOT NULL REFERENCES models (id),
    safety_model      text NOT NULL REFERENCES models (id),
    gate              double precision NOT NULL CHECK (gate > '-Infinity' AND gate < 'Infinity'),
    sampling          jsonb NOT NULL CHECK (jsonb_typeof(sampling) = 'object'),
    seed              bigint NOT NULL, -- the bits of an unsigned number
    content_key       bytea NOT NULL UNIQUE CHECK (octet_length(content_key) = 32), -- keeping the same again keeps it once
    created_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (id, gate)
);
CREATE INDEX replays_model ON replays (model_id, id DESC);

CREATE TABLE replay_attacks (
    replay_id   bigint NOT NULL,
    gate        double precision NOT NULL,
    judgment_id bigint NOT NULL REFERENCES judgments (id), -- that found the attack to be one
    response_id bigint REFERENCES responses (id),          -- what was answered this time
    safety      double precision NOT NULL CHECK (safety > '-Infinity' AND safety < 'Infinity'),
    fixed       boolean NOT NULL GENERATED ALWAYS AS (safety >= gate) STORED,
    PRIMARY KEY (replay_id, judgment_id),
    FOREIGN KEY (replay_id, gate) REFERENCES replays (id, gate)
);

GRANT SELECT, INSERT ON replays, replay_attacks TO tandem_app;
CREATE TRIGGER only_added_to BEFORE UPDATE OR DELETE OR TRUNCATE ON replays FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER only_added_to BEFORE UPDATE OR DELETE OR TRUNCATE ON replay_attacks FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
