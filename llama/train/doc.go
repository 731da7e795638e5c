// Package train is the loop that every fit shares: pre-training, supervised fine-tuning and reward models.
// It turns a [Task]'s examples into steps of equal size, sums the gradients of as many micro-batches as a
// step needs, moves the weights by AdamW on the paper's schedule (sections 3.1 and 3.2.2), reports
// statistics and writes checkpoints that a run continues from to the same bits.
//
// PPO brings its own loop and uses what lies below this one: llama.Program and nn.AdamW.
//
//	trainer := train.Trainer{Device: dev, Weights: w, Task: task, Config: train.DefaultConfig(), Observe: log}
//	err := trainer.Fit(ctx)
//
// A step is a function of the weights, the optimizer's state and the step's number: which examples it takes
// is computed from (seed, epoch) and nothing is drawn from a stream. So a checkpoint is the first two, and
// data position is the third.
package train
