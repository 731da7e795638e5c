-- Counting in a row that is there already costs less than trying to add it.

CREATE OR REPLACE FUNCTION count_done() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    was integer := (OLD.done_at IS NOT NULL AND NOT OLD.gold)::integer;
    is_now integer := (NEW.done_at IS NOT NULL AND NOT NEW.gold)::integer;
    person uuid;
BEGIN
    IF OLD.gold <> NEW.gold THEN
        UPDATE tandem.project_counts SET slots = slots + OLD.gold::integer - NEW.gold::integer
        WHERE project_id = NEW.project_id AND annotator_id = '00000000-0000-0000-0000-000000000000';
    END IF;
    IF was <> is_now THEN
        person := (SELECT a.annotator_id FROM tandem.assignments a WHERE a.id = coalesce(NEW.assignment_id, OLD.assignment_id));
        UPDATE tandem.project_counts SET done = done + is_now - was WHERE project_id = NEW.project_id AND annotator_id = person;
        IF NOT FOUND AND person IS NOT NULL THEN
            INSERT INTO tandem.project_counts AS c (project_id, annotator_id, done) VALUES (NEW.project_id, person, is_now - was)
            ON CONFLICT (project_id, annotator_id) DO UPDATE SET done = c.done + excluded.done;
        END IF;
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION count_judgments() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    project bigint := coalesce(NEW.project_id, (SELECT project_id FROM tandem.tasks WHERE id = NEW.task_id));
BEGIN
    UPDATE tandem.project_counts SET judgments = judgments + 1, surplus = surplus + NEW.surplus::integer
    WHERE project_id = project AND annotator_id = NEW.annotator_id;
    IF NOT FOUND THEN
        INSERT INTO tandem.project_counts AS c (project_id, annotator_id, judgments, surplus)
        VALUES (project, NEW.annotator_id, 1, NEW.surplus::integer)
        ON CONFLICT (project_id, annotator_id) DO UPDATE SET judgments = c.judgments + 1, surplus = c.surplus + excluded.surplus;
    END IF;
    RETURN NULL;
END
$$;
