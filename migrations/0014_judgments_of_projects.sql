-- Every judgment says whose project it is of, so that a project's are found in their order, however many others there are.

ALTER TABLE judgments DISABLE TRIGGER only_added_to;
UPDATE judgments j SET project_id = t.project_id FROM tasks t WHERE t.id = j.task_id AND j.project_id IS NULL;
ALTER TABLE judgments ENABLE TRIGGER only_added_to;
ALTER TABLE judgments ALTER COLUMN project_id SET NOT NULL;
CREATE INDEX judgments_project ON judgments (project_id, id);
