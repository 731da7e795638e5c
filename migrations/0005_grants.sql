-- What the application may do. Migrations run as the owner of this schema, everything else as tandem_app.

GRANT USAGE ON SCHEMA tandem TO tandem_app;
GRANT SELECT ON ALL TABLES IN SCHEMA tandem TO tandem_app;
GRANT INSERT ON ALL TABLES IN SCHEMA tandem TO tandem_app;
REVOKE INSERT ON schema_version FROM tandem_app;

-- Rows that change as work goes on. Drafts, slots and leases are states, not what a person said.
GRANT UPDATE ON annotators, identities, api_keys, rounds, models, runs, metrics, units, projects, tasks, slots,
    assignments, drafts TO tandem_app;
-- Erasing a person is the one deletion.
GRANT DELETE ON identities TO tandem_app;

-- What was said stays said, for the owner too.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is only ever added to', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END
$$;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['audit', 'promotions', 'openings', 'messages', 'responses', 'scores', 'imports',
        'imported_comparisons', 'snapshots', 'snapshot_items', 'task_responses', 'judgments', 'judgment_ranks',
        'labels', 'remarks', 'exclusions']
    LOOP
        EXECUTE format('CREATE TRIGGER only_added_to BEFORE UPDATE OR DELETE OR TRUNCATE ON %I
                        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', name);
    END LOOP;
END
$$;
