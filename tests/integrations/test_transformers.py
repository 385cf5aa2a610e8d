"""Inside the Hugging Face Trainer: `compute_loss_func`, deferred weights, gradient accumulation."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny import BATCH, CLOSE, EPOCHS, RATE, C, differ, drw, network, rows, same, trained_by_hand
from torch import Tensor, nn
from torch.utils.data import DataLoader

import longtail as lt

transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")


class Model(nn.Module):
    """What the Trainer wants of a model: keyword inputs, an output object with logits."""

    def __init__(self) -> None:
        super().__init__()
        self.network = network()

    def forward(self, inputs: Tensor, labels: Tensor | None = None) -> object:
        return transformers.modeling_outputs.SequenceClassifierOutput(logits=self.network(inputs))


class InOrder(transformers.Trainer):
    """The Trainer with a loader of our own: rows in order, or by one of our samplers."""

    sampler: lt.sampling.RowSampler | None = None

    def get_train_dataloader(self) -> DataLoader:
        loader = DataLoader(
            self.train_dataset,
            batch_size=self.args.train_batch_size,
            sampler=self.sampler,
            collate_fn=self.data_collator,
        )
        return self.accelerator.prepare(loader)


def trainer_of(
    folder: Path,
    loss: lt.losses.Loss,
    micro: int = BATCH,
    by_items: bool = True,
    model: nn.Module | None = None,
    data: list[dict[str, Tensor]] | None = None,
    **options: object,
) -> tuple[transformers.Trainer, list[tuple[float, float]]]:
    """The recipe of the guide, and (state.epoch, progress) of every call of the loss."""
    calls = []

    def compute_loss(outputs: object, labels: Tensor, num_items_in_batch: Tensor | None = None) -> Tensor:
        progress = int(trainer.state.epoch) / trainer.state.num_train_epochs
        calls.append((trainer.state.epoch, progress))
        normalize = num_items_in_batch if by_items else None
        return loss(outputs.logits, labels, progress=progress, normalize=normalize)

    data = data or [{"inputs": x, "labels": y} for x, y in zip(*rows(), strict=True)]
    arguments = transformers.TrainingArguments(
        **{
            "output_dir": str(folder),
            "num_train_epochs": EPOCHS,
            "per_device_train_batch_size": micro,
            "gradient_accumulation_steps": BATCH // micro,
            "optim": "sgd",
            "learning_rate": RATE,
            "lr_scheduler_type": "constant",
            "max_grad_norm": 0.0,
            "use_cpu": True,
            "dataloader_pin_memory": False,
            "remove_unused_columns": False,
            "save_strategy": "no",
            "report_to": "none",
            "disable_tqdm": True,
            **options,
        }
    )
    trainer = InOrder(
        model or Model(), arguments, train_dataset=data, eval_dataset=data, compute_loss_func=compute_loss
    )
    return trainer, calls


@pytest.mark.parametrize("micro", [16, 4])
def test_it_trains_to_the_weights_of_a_loop_by_hand_with_and_without_accumulation(tmp_path: Path, micro: int) -> None:
    trainer, _ = trainer_of(tmp_path, drw(), micro)
    trainer.train()
    same(trainer.model.network, trained_by_hand("batch"))


def test_left_out_num_items_makes_the_step_the_sum_of_micro_batches(tmp_path: Path) -> None:
    """The Trainer does not divide what a compute_loss_func returns: the caveat of the guide."""
    trainer, _ = trainer_of(tmp_path, drw(), 4, by_items=False)
    trainer.train()
    assert differ(trainer.model.network, trained_by_hand("weights"))
    whole, _ = trainer_of(tmp_path, drw(), 16, by_items=False)
    whole.train()
    same(whole.model.network, trained_by_hand("weights"))


def test_progress_is_finished_epochs_though_state_epoch_is_fractional(tmp_path: Path) -> None:
    trainer, calls = trainer_of(tmp_path, drw(), 4, eval_strategy="epoch")
    trainer.train()
    assert {epoch % 1 for epoch, _ in calls} >= {0.25, 0.5, 0.75}
    assert {progress for _, progress in calls} == {0.0, 0.25, 0.5, 0.75, 1.0}  # 1: the last evaluation
    assert all(progress == (epoch // 1) / EPOCHS for epoch, progress in calls)


def test_progress_knows_the_epochs_of_max_steps(tmp_path: Path) -> None:
    """Which is why it reads state.num_train_epochs: args.num_train_epochs is not the length then."""
    trainer, calls = trainer_of(tmp_path, drw(), max_steps=8, num_train_epochs=100)
    trainer.train()
    assert [progress for _, progress in calls] == [0.0] * 4 + [0.5] * 4


@pytest.mark.slow
def test_a_resumed_training_has_the_same_progress_and_weights(tmp_path: Path) -> None:
    """From the middle of the second epoch, through the Trainer's own checkpoint."""
    saving = {"save_strategy": "steps", "save_steps": 6}
    whole, calls = trainer_of(tmp_path / "whole", drw(), model=tiny_bert(), data=sentences(), **saving)
    whole.train()
    again, later = trainer_of(tmp_path / "again", drw(), model=tiny_bert(), data=sentences())
    again.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-6"))
    assert later == calls[6:]
    assert later[0] == (1.5, 0.25)
    for ours, theirs in zip(again.model.parameters(), whole.model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.slow
def test_a_bert_learns_the_same_with_and_without_accumulation(tmp_path: Path) -> None:
    """A model of the library's own, with its own output object."""
    trained = []
    for micro in (16, 2):
        trainer, _ = trainer_of(tmp_path, drw(), micro, model=tiny_bert(), data=sentences())
        trainer.train()
        trained.append(dict(trainer.model.state_dict()))
    torch.testing.assert_close(*trained, **CLOSE)
    untrained = tiny_bert().state_dict()
    assert max(float((trained[0][name] - untrained[name]).abs().max()) for name in untrained) > 0.01


def test_a_balanced_sampler_draws_each_epoch_as_it_does_alone(tmp_path: Path) -> None:
    targets = rows()[1]
    trainer, _ = trainer_of(tmp_path, drw())
    trainer.sampler = lt.sampling.ClassBalancedSampler(targets, seed=5)
    trainer.train()
    alone = lt.sampling.ClassBalancedSampler(targets, seed=5)

    def drawn(epoch: int) -> list[int]:
        alone.set_epoch(epoch)
        return list(alone)

    same(trainer.model.network, trained_by_hand("batch", order=drawn))


def tiny_bert() -> nn.Module:
    config = transformers.BertConfig(
        vocab_size=40,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        num_labels=C,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    torch.manual_seed(2)
    return transformers.BertForSequenceClassification(config)


def sentences() -> list[dict[str, Tensor]]:
    """Eight words each, half of them from the class's own ten."""
    generator = torch.Generator().manual_seed(0)
    made = []
    for y in rows()[1].tolist():
        words = torch.randint(0, 40, (8,), generator=generator)
        words[:4] = torch.randint(10 * y, 10 * y + 10, (4,), generator=generator)
        made.append({"input_ids": words, "labels": torch.tensor(y)})
    return made
