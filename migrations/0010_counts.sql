-- What keeps claims, lists and counts as quick in a project of a million comparisons as in one of a thousand.

-- A claim looks for a place that nobody has had, or for one whose lease ran out. Each has an index that holds those
-- alone: a claim does not pass the places that others hold, and what is finished is in neither.
DROP INDEX slots_open;
CREATE INDEX slots_free ON slots (project_id, priority DESC, task_id, number) WHERE assignment_id IS NULL AND NOT gold;
CREATE INDEX slots_held ON slots (project_id, lease_until) WHERE assignment_id IS NOT NULL AND done_at IS NULL;

-- How much there is of a project, kept by triggers in the transaction that changes it. A person's row counts what they
-- did, and the row of nobody, the nil UUID, what there is to do. People's operations wait for each other one by one, so
-- that nobody waits for another's row. Places on gold tasks do not count.
CREATE TABLE project_counts (
    project_id   bigint NOT NULL REFERENCES projects (id),
    annotator_id uuid NOT NULL,
    tasks        bigint NOT NULL DEFAULT 0 CHECK (tasks >= 0),
    slots        bigint NOT NULL DEFAULT 0, -- of nobody's row: judgments wanted
    done         bigint NOT NULL DEFAULT 0, -- of slots
    judgments    bigint NOT NULL DEFAULT 0 CHECK (judgments >= 0), -- first versions
    surplus      bigint NOT NULL DEFAULT 0 CHECK (surplus >= 0),   -- of judgments
    PRIMARY KEY (project_id, annotator_id)
) WITH (fillfactor = 50); -- rows change often, and stay on their page
GRANT SELECT, INSERT, UPDATE ON project_counts TO tandem_app;

INSERT INTO project_counts (project_id, annotator_id, tasks)
SELECT project_id, '00000000-0000-0000-0000-000000000000', count(*) FROM tasks GROUP BY project_id;
INSERT INTO project_counts AS c (project_id, annotator_id, slots)
SELECT project_id, '00000000-0000-0000-0000-000000000000', count(*) FROM slots WHERE NOT gold GROUP BY project_id
ON CONFLICT (project_id, annotator_id) DO UPDATE SET slots = excluded.slots;
INSERT INTO project_counts (project_id, annotator_id, done)
SELECT s.project_id, a.annotator_id, count(*) FROM slots s JOIN assignments a ON a.id = s.assignment_id
WHERE s.done_at IS NOT NULL AND NOT s.gold GROUP BY s.project_id, a.annotator_id;
INSERT INTO project_counts AS c (project_id, annotator_id, judgments, surplus)
SELECT t.project_id, j.annotator_id, count(*), count(*) FILTER (WHERE j.surplus) FROM judgments j JOIN tasks t ON t.id = j.task_id
WHERE j.version = 1 GROUP BY t.project_id, j.annotator_id
ON CONFLICT (project_id, annotator_id) DO UPDATE SET judgments = excluded.judgments, surplus = excluded.surplus;

CREATE FUNCTION count_tasks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tandem.project_counts AS c (project_id, annotator_id, tasks)
    SELECT project_id, '00000000-0000-0000-0000-000000000000', count(*) FROM added GROUP BY project_id ORDER BY project_id
    ON CONFLICT (project_id, annotator_id) DO UPDATE SET tasks = c.tasks + excluded.tasks;
    RETURN NULL;
END
$$;
CREATE TRIGGER count_tasks AFTER INSERT ON tasks REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION count_tasks();

CREATE FUNCTION count_slots() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tandem.project_counts AS c (project_id, annotator_id, slots)
    SELECT project_id, '00000000-0000-0000-0000-000000000000', count(*) FROM added WHERE NOT gold GROUP BY project_id ORDER BY project_id
    ON CONFLICT (project_id, annotator_id) DO UPDATE SET slots = c.slots + excluded.slots;
    RETURN NULL;
END
$$;
CREATE TRIGGER count_slots AFTER INSERT ON slots REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION count_slots();

-- A slot that is done, or not any more, or turns out to be on a gold task.
CREATE FUNCTION count_done() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    was integer := (OLD.done_at IS NOT NULL AND NOT OLD.gold)::integer;
    is_now integer := (NEW.done_at IS NOT NULL AND NOT NEW.gold)::integer;
BEGIN
    IF OLD.gold <> NEW.gold THEN
        UPDATE tandem.project_counts SET slots = slots + OLD.gold::integer - NEW.gold::integer
        WHERE project_id = NEW.project_id AND annotator_id = '00000000-0000-0000-0000-000000000000';
    END IF;
    IF was <> is_now THEN
        INSERT INTO tandem.project_counts AS c (project_id, annotator_id, done)
        SELECT NEW.project_id, a.annotator_id, is_now - was FROM tandem.assignments a WHERE a.id = coalesce(NEW.assignment_id, OLD.assignment_id)
        ON CONFLICT (project_id, annotator_id) DO UPDATE SET done = c.done + excluded.done;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER count_done AFTER UPDATE OF done_at, gold ON slots FOR EACH ROW
    WHEN (OLD.gold <> NEW.gold OR (OLD.done_at IS NULL) <> (NEW.done_at IS NULL)) EXECUTE FUNCTION count_done();

CREATE FUNCTION count_judgments() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tandem.project_counts AS c (project_id, annotator_id, judgments, surplus)
    VALUES (coalesce(NEW.project_id, (SELECT project_id FROM tandem.tasks WHERE id = NEW.task_id)), NEW.annotator_id, 1, NEW.surplus::integer)
    ON CONFLICT (project_id, annotator_id) DO UPDATE SET judgments = c.judgments + 1, surplus = c.surplus + excluded.surplus;
    RETURN NULL;
END
$$;
CREATE TRIGGER count_judgments AFTER INSERT ON judgments FOR EACH ROW WHEN (NEW.version = 1) EXECUTE FUNCTION count_judgments();
