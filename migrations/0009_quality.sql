-- How good the work is: places on gold tasks, what was answered to them, and what keeps gold out of the data.

-- A place on a gold task is made for one person when they claim it, beyond the overlap, and is nobody else's.
ALTER TABLE slots ADD COLUMN gold boolean NOT NULL DEFAULT false;
UPDATE slots SET gold = true WHERE task_id IN (SELECT task_id FROM golds);
DROP INDEX slots_open;
CREATE INDEX slots_open ON slots (project_id, priority DESC, task_id, number) WHERE done_at IS NULL AND NOT gold;

-- A person's day: its limit, its gold tasks, its streak.
CREATE INDEX judgments_day ON judgments (annotator_id, created_at) WHERE version = 1;
CREATE INDEX returns_judgment ON returns (judgment_id);

-- What people answered to gold tasks by themselves: before a reviewer sent it back, and in a qualification, where
-- they are told what was wrong, at first. What is excluded, and a gold task that was closed, say nothing.
CREATE VIEW gold_answers AS
SELECT g.project_id, g.task_id, a.annotator_id, a.id AS assignment_id, j.id AS judgment_id, j.created_at,
       j.chosen = g.chosen AND NOT EXISTS (
           SELECT FROM labels l
           WHERE l.judgment_id = j.id
             AND l.label <> nullif(CASE l.response_id WHEN g.chosen THEN g.chosen_label ELSE g.rejected_label END, '')
       ) AS correct
FROM golds g
JOIN tasks t ON t.id = g.task_id AND t.closed_at IS NULL
JOIN assignments a ON a.task_id = g.task_id
JOIN judgments j ON j.assignment_id = a.id
WHERE NOT coalesce((SELECT e.excluded FROM exclusions e WHERE e.assignment_id = a.id ORDER BY e.id DESC LIMIT 1), false)
  AND CASE
      WHEN EXISTS (SELECT FROM projects q WHERE q.qualification_id = g.project_id) THEN j.version = 1
      ELSE NOT EXISTS (SELECT FROM returns r WHERE r.assignment_id = a.id AND r.judgment_id < j.id)
           AND NOT EXISTS (
               SELECT FROM judgments newer
               WHERE newer.replaces = j.id
                 AND NOT EXISTS (SELECT FROM returns r WHERE r.assignment_id = a.id AND r.judgment_id < newer.id))
      END;
GRANT SELECT ON gold_answers TO tandem_app;

-- As before, and a gold task's judgments never count: its answer was known. Sets that were frozen keep what they held.
CREATE OR REPLACE VIEW comparisons AS
SELECT 'i' AS kind, id AS number, aspect, prompt_id, chosen, rejected, degree, margin, chosen_label, rejected_label, source, batch,
       true AS newest, false AS excluded
FROM imported_comparisons
UNION ALL
SELECT 'j', j.id, p.aspect, t.prompt_id, j.chosen, j.rejected, j.degree, NULL,
       coalesce(c.label, ''), coalesce(r.label, ''), p.name, t.batch,
       NOT EXISTS (SELECT FROM judgments newer WHERE newer.replaces = j.id),
       coalesce((SELECT e.excluded FROM exclusions e WHERE e.assignment_id = j.assignment_id ORDER BY e.id DESC LIMIT 1), false)
           OR EXISTS (SELECT FROM golds g WHERE g.task_id = j.task_id)
FROM judgments j
JOIN tasks t ON t.id = j.task_id
JOIN projects p ON p.id = t.project_id
LEFT JOIN labels c ON c.judgment_id = j.id AND c.response_id = j.chosen
LEFT JOIN labels r ON r.judgment_id = j.id AND r.response_id = j.rejected
WHERE j.kind = 'pairwise';
