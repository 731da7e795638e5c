-- Two answers of two models on the seven-point scale of human evaluation (section 3.4.2 and appendix A.3.7): 1 where the answer
-- with the smaller id is much better, 4 where they are about the same, 7 where the other is much better. It is a kind of task of its own,
-- since it has a middle, which a comparison that is learnt from has not: nothing learns from it.

ALTER TABLE tasks
    DROP CONSTRAINT tasks_kind_check,
    ADD CONSTRAINT tasks_kind_check CHECK (kind IN ('pairwise', 'ranking', 'rating', 'side_by_side'));

-- Of either kind a judgment is a rating from 1 to 7, of no other.
ALTER TABLE judgments
    DROP CONSTRAINT judgments_check5,
    ADD CONSTRAINT judgments_rated CHECK ((kind IN ('rating', 'side_by_side')) = (rating IS NOT NULL));
