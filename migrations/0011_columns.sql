-- What the application may change of a row is what changes as work goes on, column by column. What somebody entered or drew
-- stays as it was: who has an assignment and in which order the answers stood, what a prompt is, what a variant answers with,
-- what a key or a link is for, how many judgments a project wants.

REVOKE UPDATE ON annotators, identities, passwords, api_keys, invitations, sessions, projects, tasks, slots, assignments, drafts,
    variants, live_turns, live_answers FROM tandem_app;
GRANT UPDATE (role, time_zone, disabled_at) ON annotators TO tandem_app;
GRANT UPDATE (name, email) ON identities TO tandem_app;
GRANT UPDATE (phc, changed_at) ON passwords TO tandem_app;
GRANT UPDATE (revoked_at) ON api_keys TO tandem_app;
GRANT UPDATE (used_at, revoked_at) ON invitations TO tandem_app;
GRANT UPDATE (seen_at, ended_at) ON sessions TO tandem_app;
GRANT UPDATE (lease, qualification_id, pass_share, gold_every, gold_window, gold_floor, warning, daily_limit, blurred, temperatures,
    answer_tokens, closed_at) ON projects TO tandem_app;
GRANT UPDATE (closed_at) ON tasks TO tandem_app;
GRANT UPDATE (gold, assignment_id, lease_until, done_at) ON slots TO tandem_app;
GRANT UPDATE (claimed_at, outcome, closed_at) ON assignments TO tandem_app;
GRANT UPDATE (revision, body, updated_at, closed_at) ON drafts TO tandem_app;
GRANT UPDATE (retired_at) ON variants TO tandem_app;
GRANT UPDATE (abandoned_at, task_id) ON live_turns TO tandem_app;
GRANT UPDATE (variant_id, temperature, seed, lease_until, failures, error, response_id) ON live_answers TO tandem_app;

-- Prompts had the grants, and not yet the trigger that holds for the owner too.
CREATE TRIGGER only_added_to BEFORE UPDATE OR DELETE OR TRUNCATE ON prompts FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
