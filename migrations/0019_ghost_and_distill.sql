-- Two more stages: Ghost Attention and context distillation, which make dialogues to fine-tune on.

ALTER TABLE models DROP CONSTRAINT models_stage_check, ADD CONSTRAINT models_stage_check CHECK (stage IN ('import', 'pretrain', 'sft',
    'collect', 'reward_helpfulness', 'reward_safety', 'reject', 'ppo', 'ghost', 'distill', 'evaluate', 'promote'));
ALTER TABLE runs DROP CONSTRAINT runs_stage_check, ADD CONSTRAINT runs_stage_check CHECK (stage IN ('import', 'pretrain', 'sft',
    'collect', 'reward_helpfulness', 'reward_safety', 'reject', 'ppo', 'ghost', 'distill', 'evaluate', 'promote'));
ALTER TABLE units DROP CONSTRAINT units_stage_check, ADD CONSTRAINT units_stage_check CHECK (stage IN ('import', 'pretrain', 'sft',
    'collect', 'reward_helpfulness', 'reward_safety', 'reject', 'ppo', 'ghost', 'distill', 'evaluate', 'promote'));
