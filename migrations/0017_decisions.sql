-- Whether a round's version took over from the one that served, and why: refusals leave no trace in promotions.

CREATE TABLE decisions (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    round      integer NOT NULL UNIQUE REFERENCES rounds (number), -- decided once
    model_id   text NOT NULL REFERENCES models (id),
    against    text NOT NULL REFERENCES models (id),
    promoted   boolean NOT NULL,
    reason     text NOT NULL CHECK (btrim(reason) <> ''),
    least      double precision NOT NULL CHECK (least BETWEEN 0 AND 1),
    contests   jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(contests) = 'array'),
    decided_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (model_id <> against)
);
CREATE INDEX decisions_model ON decisions (model_id);

GRANT SELECT, INSERT ON decisions TO tandem_app;
CREATE TRIGGER only_added_to BEFORE UPDATE OR DELETE OR TRUNCATE ON decisions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
