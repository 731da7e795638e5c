-- Two people who write the same prompt share its row in prompts, and may see different risks in it. What each of them
-- entered stands with their turn.

ALTER TABLE live_turns
    ADD COLUMN risk_category text NOT NULL DEFAULT '' CHECK (risk_category IN ('', 'illicit_and_criminal', 'hateful_and_harmful', 'unqualified_advice')),
    ADD COLUMN attack_vector text NOT NULL DEFAULT '' CHECK (attack_vector IN ('', 'psychological', 'logic', 'syntactic', 'semantic', 'perspective', 'non_english', 'other'));
UPDATE live_turns t SET risk_category = p.risk_category, attack_vector = p.attack_vector FROM prompts p WHERE p.id = t.prompt_id;

-- As before, and a live turn's comparison says what its author entered; the other comparisons leave that to their prompts.
CREATE OR REPLACE VIEW comparisons AS
SELECT 'i' AS kind, id AS number, aspect, prompt_id, chosen, rejected, degree, margin, chosen_label, rejected_label, source, batch,
       true AS newest, false AS excluded, NULL::text AS entered_risk, NULL::text AS entered_vector
FROM imported_comparisons
UNION ALL
SELECT 'j', j.id, p.aspect, t.prompt_id, j.chosen, j.rejected, j.degree, NULL,
       coalesce(c.label, ''), coalesce(r.label, ''), p.name, t.batch,
       NOT EXISTS (SELECT FROM judgments newer WHERE newer.replaces = j.id),
       coalesce((SELECT e.excluded FROM exclusions e WHERE e.assignment_id = j.assignment_id ORDER BY e.id DESC LIMIT 1), false)
           OR EXISTS (SELECT FROM golds g WHERE g.task_id = j.task_id),
       l.risk_category, l.attack_vector
FROM judgments j
JOIN tasks t ON t.id = j.task_id
JOIN projects p ON p.id = t.project_id
LEFT JOIN labels c ON c.judgment_id = j.id AND c.response_id = j.chosen
LEFT JOIN labels r ON r.judgment_id = j.id AND r.response_id = j.rejected
LEFT JOIN live_turns l ON l.task_id = j.task_id
WHERE j.kind = 'pairwise';
