-- A ranking of more than two answers counts as every pair of them, ties left out. Its pairs are one verdict: they say
-- which ranking they are of, and are learnt from together.

ALTER TABLE imported_comparisons ADD COLUMN ranking text NOT NULL DEFAULT '';

-- As before, and rankings count as their pairs. The pairs of a ranking share its number: a frozen set holds all or none.
-- Sets that were frozen hold no rankings.
CREATE OR REPLACE VIEW comparisons AS
SELECT 'i' AS kind, id AS number, aspect, prompt_id, chosen, rejected, degree, margin, chosen_label, rejected_label, source, batch,
       true AS newest, false AS excluded, NULL::text AS entered_risk, NULL::text AS entered_vector, ranking
FROM imported_comparisons
UNION ALL
SELECT 'j', j.id, p.aspect, t.prompt_id, j.chosen, j.rejected, j.degree, NULL,
       coalesce(c.label, ''), coalesce(r.label, ''), p.name, t.batch,
       NOT EXISTS (SELECT FROM judgments newer WHERE newer.replaces = j.id),
       coalesce((SELECT e.excluded FROM exclusions e WHERE e.assignment_id = j.assignment_id ORDER BY e.id DESC LIMIT 1), false)
           OR EXISTS (SELECT FROM golds g WHERE g.task_id = j.task_id),
       l.risk_category, l.attack_vector, ''
FROM judgments j
JOIN tasks t ON t.id = j.task_id
JOIN projects p ON p.id = t.project_id
LEFT JOIN labels c ON c.judgment_id = j.id AND c.response_id = j.chosen
LEFT JOIN labels r ON r.judgment_id = j.id AND r.response_id = j.rejected
LEFT JOIN live_turns l ON l.task_id = j.task_id
WHERE j.kind = 'pairwise'
UNION ALL
SELECT 'j', j.id, p.aspect, t.prompt_id, better.response_id, worse.response_id, '', NULL,
       coalesce(c.label, ''), coalesce(r.label, ''), p.name, t.batch,
       NOT EXISTS (SELECT FROM judgments newer WHERE newer.replaces = j.id),
       coalesce((SELECT e.excluded FROM exclusions e WHERE e.assignment_id = j.assignment_id ORDER BY e.id DESC LIMIT 1), false)
           OR EXISTS (SELECT FROM golds g WHERE g.task_id = j.task_id),
       NULL, NULL, 'j' || j.id
FROM judgment_ranks better
JOIN judgment_ranks worse ON worse.judgment_id = better.judgment_id AND worse.place > better.place
JOIN judgments j ON j.id = better.judgment_id
JOIN tasks t ON t.id = j.task_id
JOIN projects p ON p.id = t.project_id
LEFT JOIN labels c ON c.judgment_id = j.id AND c.response_id = better.response_id
LEFT JOIN labels r ON r.judgment_id = j.id AND r.response_id = worse.response_id;
