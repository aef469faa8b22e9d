"""What the examples of a fine-tuning stand on: data that were looked at, and what was decided of them, before Ray."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipelines.errors import FingerprintError, SpecError
from pipelines.example_spec import ExampleSpec
from pipelines.finetune_spec import LABELLED, FinetuneSpec
from pipelines.fingerprint import canonical, differences, fingerprint
from pipelines.model.folder import read_folder
from pipelines.run.finetune.finetune_order import FinetuneOrder
from pipelines.run.finetune.label_checks import check_classes, check_rows
from pipelines.run.finetune.label_survey import LabelSurvey, shards_of, survey_labels
from pipelines.run.order import Order
from pipelines.spec import Storage, refuse
from pipelines.stages.decision import Decision
from pipelines.stages.example_recipe import ExampleRecipe
from pipelines.store.location import Location, locate
from pipelines.store.models import fetch, identify
from pipelines.store.output import expand, read_spec
from pipelines.text.bins import bounds_of, in_bins
from pipelines.text.document_keys import Keys
from pipelines.text.split import Flags, Split, split_by_group, split_by_id


@dataclass(frozen=True, kw_only=True)
class ExampleGround:
    """One output of examples: to train on, with those held out of them, or to evaluate on."""

    order: Order
    recipe: ExampleRecipe
    survey: LabelSurvey
    output: Location
    decision: Decision
    is_evaluated: Flags
    """Which rows of the survey are to evaluate on."""
    is_twin: Flags
    """Of these, the ones whose text is trained on."""
    before: Decision | None = None
    """What an earlier run decided, by which the examples that are there were made."""

    @property
    def is_left_out(self) -> Flags:
        """Which rows make no examples, since their text is trained on."""
        return self.is_twin if self.recipe.spec.twins == "drop" else np.zeros_like(self.is_twin)

    @property
    def has_new_twins(self) -> bool:
        """Whether texts are left out from now on of which there may be examples already."""
        return self.before is not None and bool(len(np.setdiff1d(self.decision.twins, self.before.twins)))

    @property
    def is_kept(self) -> Flags:
        """Which rows are to train on; of data that are all to evaluate on, those."""
        return ~self.is_evaluated if self.decision.split else ~self.is_left_out


def check_data(order: FinetuneOrder, spec: FinetuneSpec) -> None:
    """SpecError where no data have the columns that a spec names, as far as footers tell: no row is read."""
    shards_of(order.train, spec, with_group=order.evaluation is None)
    if order.evaluation:
        shards_of(order.evaluation, spec, with_group=False)


def survey_data(order: FinetuneOrder, spec: FinetuneSpec) -> tuple[ExampleGround, ExampleGround | None]:
    """Look at the data to train on, and at those to evaluate on where there are any.

    Nothing is written. SpecError where they can't be learnt, or nothing would be left to train or to evaluate on.
    """
    is_split = order.evaluation is None
    asked, examples = order.train, ExampleSpec.of(spec, spec.labels, is_split=is_split)
    found = shards_of(asked, spec, with_group=bool(examples.group))
    check_layers(spec, order.storage)
    recipe = ExampleRecipe.of(examples, order.storage)  # a model that can't be had is told of before rows are read
    seen = survey_labels(asked, spec, examples, found)
    check_rows(len(seen), seen.faults, "the data to train on")
    if spec.task in LABELLED:
        check_classes(spec, seen.names, seen.counts(np.ones(len(seen), bool)), len(seen))
    recipe = ExampleRecipe(model=recipe.model, spec=replace(recipe.spec, labels=seen.names), storage=order.storage)
    train = _train(asked, recipe, seen, spec)
    if order.evaluation is None:
        return train, None
    return train, survey_evaluation(order.evaluation, spec, seen.names, seen.digests)


def check_layers(spec: FinetuneSpec, storage: Storage) -> None:
    """SpecError where more layers are to be frozen than the model's config says that it has."""
    config = read_folder(fetch(identify(spec.model, storage), storage)).config
    there = config.get("num_hidden_layers")
    if isinstance(there, int) and spec.frozen_layers > there:
        refuse(spec, "frozen_layers", f"{spec.model} has {there} layers, write that at most")


def _train(order: Order, recipe: ExampleRecipe, seen: LabelSurvey, spec: FinetuneSpec) -> ExampleGround:
    output = _output(order, recipe)
    before = _before(output, recipe)
    split = _split(recipe.spec, seen, before.split if before else None) if recipe.spec.eval_share else None
    held = Decision(split=split).held_out(seen.ids, seen.groups, seen.classes, seen.numbers)
    if recipe.spec.eval_share and not held.any():
        what = "groups" if spec.group else "rows"
        refuse(spec, "eval_share", f"there are too few {what} to hold out any: raise it, or give --eval_data")
    is_twin = held & np.isin(seen.digests, seen.digests[~held])
    _refuse_twins_alone(spec, held, is_twin)
    return ExampleGround(
        order=order,
        recipe=recipe,
        survey=seen,
        output=output,
        decision=Decision(split=split, twins=_twins(recipe.spec, seen.digests[is_twin], before)),
        is_evaluated=held,
        is_twin=is_twin,
        before=before,
    )


def survey_evaluation(order: Order, spec: FinetuneSpec, labels: Sequence[str], trained: Keys) -> ExampleGround:
    """Look at data that are all to evaluate on, of these classes. ``trained``: digests of the texts that are learnt.

    Nothing is written. SpecError where nothing can be evaluated on.
    """
    examples = ExampleSpec.of(spec, labels, is_split=False, is_evaluation=True)
    seen = survey_labels(order, spec, examples)
    check_rows(len(seen), seen.faults, "the data to evaluate on")
    recipe = ExampleRecipe.of(examples, order.storage)
    output = _output(order, recipe)
    before = _before(output, recipe)
    is_twin = np.isin(seen.digests, trained)
    everything = np.ones(len(seen), bool)
    _refuse_twins_alone(spec, everything, is_twin)
    return ExampleGround(
        order=order,
        recipe=recipe,
        survey=seen,
        output=output,
        decision=Decision(twins=_twins(recipe.spec, seen.digests[is_twin], before)),
        is_evaluated=everything,
        is_twin=is_twin,
        before=before,
    )


def _output(order: Order, recipe: ExampleRecipe) -> Location:
    return locate(expand(order.output, fingerprint(recipe.spec, recipe.identity.hash)), order.storage)


def _before(output: Location, recipe: ExampleRecipe) -> Decision | None:
    """What an output has decided; None where it is new. FingerprintError where it is of another spec."""
    theirs = read_spec(output)
    if theirs is None:
        return None
    if theirs.fingerprint != fingerprint(recipe.spec, recipe.identity.hash):
        ours = canonical(recipe.spec) | {"tokenizer": recipe.identity.hash[:12]}
        found = "; ".join(differences(ours, theirs.spec | {"tokenizer": theirs.model["hash"][:12]}))
        raise FingerprintError(
            f"{output} holds examples of another spec ({found or theirs.kind}); nothing was touched: name another "
            "folder with --examples, or another --output, or go back to that spec"
        )
    return Decision.read(output)


def _split(spec: ExampleSpec, seen: LabelSurvey, before: Split | None) -> Split:
    """Which rows are held out; what an output has decided stays."""
    split, keys = (split_by_id, seen.ids) if seen.groups is None else (split_by_group, seen.groups)
    classes, num_classes, bounds = seen.classes, len(seen.names), np.zeros(0, np.float32)
    if before:
        classes, bounds = before.classes_of(seen.classes, seen.numbers), before.bounds
    elif seen.numbers is not None:
        bounds = bounds_of(seen.numbers, spec.eval_share)
        classes, num_classes = in_bins(seen.numbers, bounds), len(bounds) + 1
    made = split(keys, classes, num_classes, share=spec.eval_share, seed=spec.split_seed, before=before)
    return replace(made, bounds=bounds)


def _twins(spec: ExampleSpec, digests: Keys, before: Decision | None) -> Keys:
    """Digests of texts that are left out, where they are; what was left out before stays so."""
    if spec.twins != "drop":
        return np.zeros(0, np.uint64)
    return np.union1d(digests, before.twins) if before else np.unique(digests)


def _refuse_twins_alone(spec: FinetuneSpec, evaluated: Flags, is_twin: Flags) -> None:
    if spec.twins == "drop" and evaluated.any() and is_twin[evaluated].all():
        raise SpecError(
            "all rows to evaluate on have a text that is trained on, so that none is left: give other --eval_data, or "
            "write --spec.twins name"
        )
