"""Which column of a table is which quantity: the names the field uses, and how to override them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container, Iterable, Mapping, Sequence
from difflib import get_close_matches

from lawful.core.expression import quoted
from lawful.errors import InputError, UnsupportedError

_ACCENT = re.compile("([A-Za-z])[\u0300-\u036f]+")
"""A Latin letter and its accents; the marks of kana and other scripts tell letters apart."""

_OUTER = " \t\r\n'\"“”‘’*†‡↓↑"
"""Signs around a name that are no part of it."""


def plain_width(text: str) -> str:
    """
    Write letters, digits and signs in their usual width and form; raised digits stay raised.

    Examples
    --------
    >>> plain_width("ｌｏｓｓ（ﾊﾟﾗﾒｰﾀ）"), plain_width("10⁹")
    ('loss(パラメータ)', '10⁹')
    """
    if text.isascii():
        return text
    # NFKC makes 109 of 10⁹.
    kept = (c if unicodedata.decomposition(c).startswith(("<super>", "<sub>")) else _usual(c) for c in text)
    return unicodedata.normalize("NFC", "".join(kept))


def _usual(letter: str) -> str:
    return unicodedata.normalize("NFKC", letter)


def normalise(name: str) -> str:
    """
    Reduce a name to what is compared: case, accents, widths, outer blanks, quotes and marks do not count.

    A blank or a hyphen counts as an underscore.

    Examples
    --------
    >>> normalise(" Model Size"), normalise("Paramètres"), normalise("ﾊﾟﾗﾒｰﾀ数")
    ('model_size', 'parametres', 'パラメータ数')
    """
    if not name.isascii():
        name = _ACCENT.sub(r"\1", unicodedata.normalize("NFD", plain_width(name).replace("’", "'")))
        name = unicodedata.normalize("NFC", name)
    return name.strip(_OUTER).lstrip("# ").casefold().replace(" ", "_").replace("-", "_")


PARAMS_NAMES = (
    "params",
    "N",
    "parameter_count",
    "model_size",
    "n_params",
    "num_params",
    "parameters",
    "n_parameters",
    "num_parameters",
    "param_count",
)
"""Names of the model size."""

TOKENS_NAMES = (
    "tokens",
    "D",
    "throughput/total_tokens",
    "n_tokens",
    "num_tokens",
    "total_tokens",
    "training_tokens",
)
"""Names of the number of training tokens. ``train_tokens`` is left out: in logs that also
have ``D`` it means the same and would make the table ambiguous."""

LOSS_NAMES = ("loss", "L", "val_loss", "validation_loss", "eval_loss", "eval/loss", "val/loss", "final_loss")
"""Names of the loss in nats per token. A training loss or one of several evaluation sets must be asked for."""

BUDGET_NAMES = (
    "budget",
    "C",
    "flops",
    "flop",
    "compute",
    "total_flops",
    "training_flops",
    "training_flop",
    "train_flops",
    "compute_budget",
)
"""Names of the training compute in FLOPs. ``throughput/total_gflops`` is left out: its unit is another."""

UNIQUE_NAMES = ("unique_tokens", "U", "unique", "n_unique_tokens")
"""Names of the number of unique tokens, which laws for repeated data need."""

ACCEPTED: dict[str, tuple[str, ...]] = {
    "params": PARAMS_NAMES,
    "tokens": TOKENS_NAMES,
    "loss": LOSS_NAMES,
    "budget": BUDGET_NAMES,
}
"""The names of each quantity, matched without regard to case, outer blanks, or blank and hyphen for underscore."""

_OTHER_NAMES: dict[str, tuple[str, ...]] = {
    "params": (
        "size",
        "model",
        "model_params",
        "params_total",
        "number_of_parameters",
        "number_of_params",
        "nb_params",
        "no_of_parameters",
        "size_params",
        "total_params",
        "total_parameters",
        "n_total",
        "nparams",
        "num_model_params",
        "non_embedding_params",
        "params_non_embedding",
        "non_embedding_parameters",
        "non_embedding_param_size",
        "active_params",
        "active_parameters",
        "n_active",
        *(
            "parameter",
            "parameterzahl",
            "parameteranzahl",
            "anzahl_parameter",
            "anzahl_der_parameter",
            "modellgröße",
            "modellgroesse",
        ),
        *("paramètres", "nombre_de_paramètres", "nb_paramètres", "nb_de_paramètres", "taille_du_modèle"),
        *("parámetros", "número_de_parámetros", "num_parámetros", "nº_de_parámetros", "cantidad_de_parámetros"),
        *(
            "tamaño_del_modelo",
            "参数",
            "参数量",
            "参数数",
            "参数数量",
            "参数个数",
            "模型参数",
            "模型参数量",
            "模型规模",
        ),
        *("模型大小", "參數", "參數量", "參數數量", "パラメータ", "パラメータ数", "パラメーター", "パラメーター数"),
        *("モデルサイズ", "モデルパラメータ数"),
    ),
    "tokens": (
        "data",
        "train_tokens",
        "number_of_tokens",
        "nb_tokens",
        "actual_tokens",
        "tokens_actual",
        "realized_tokens",
        "realised_tokens",
        "tokens_consumed",
        "pretraining_tokens",
        "pretrain_tokens",
        "tokens_trained",
        "tokens_seen",
        "trained_tokens",
        "consumed_tokens",
        "data_tokens",
        "token_count",
        "tokens_total",
        "n_train_tokens",
        "seen_tokens",
        "data_size",
        "training_data",
        "num_training_tokens",
        "throughput/tokens",
        "num_input_tokens_seen",
        *(
            "token",
            "trainingstokens",
            "trainingstoken",
            "trainings_token",
            "trainings_tokens",
            "tokenzahl",
            "tokenanzahl",
            "anzahl_tokens",
            "anzahl_token",
        ),
        *("anzahl_der_tokens", "anzahl_der_token", "jetons", "nombre_de_jetons", "nb_jetons", "nb_de_jetons"),
        *("jetons_d'entraînement", "tokens_d'entraînement", "nombre_de_tokens", "tokens_de_entrenamiento"),
        *(
            "número_de_tokens",
            "cantidad_de_tokens",
            "词元",
            "词元数",
            "词元数量",
            "训练词元",
            "训练词元数",
            "训练词元数量",
        ),
        *(
            "token数",
            "token数量",
            "tokens数",
            "训练token",
            "训练tokens",
            "训练token数",
            "训练token数量",
            "詞元",
            "詞元數",
        ),
        *("トークン", "トークン数", "学習トークン数", "訓練トークン数", "学習トークン", "訓練トークン"),
    ),
    "loss": (
        "test_loss",
        "heldout_loss",
        "held_out_loss",
        "valid_loss",
        "cross_entropy",
        "cross_entropy_loss",
        "ce_loss",
        "xent",
        "nll",
        "lm_loss",
        "final_val_loss",
        "final_validation_loss",
        "best_val_loss",
        "validation/loss",
        "valid/loss",
        "test/loss",
        "c4_loss",
        "loss_validation",
        "loss_val",
        "loss_eval",
        *("verlust", "validierungsverlust", "testverlust", "endverlust", "kreuzentropie", "perte", "perte_finale"),
        *("perte_de_validation", "perte_validation", "perte_de_test", "perte_d'évaluation", "entropie_croisée"),
        *("pérdida", "pérdida_final", "pérdida_de_validación", "pérdida_validación", "pérdida_de_evaluación"),
        *("pérdida_de_prueba", "entropía_cruzada", "损失", "损失值", "验证损失", "验证集损失", "测试损失", "评估损失"),
        *(
            "最终损失",
            "验证loss",
            "交叉熵",
            "交叉熵损失",
            "損失",
            "損失值",
            "驗證損失",
            "検証損失",
            "評価損失",
            "テスト損失",
        ),
        *("検証ロス", "ロス", "最終損失", "交差エントロピー"),
    ),
    "budget": (
        "flops_budget",
        "total_compute",
        "train_compute",
        "training_compute",
        "pretraining_flops",
        "compute_flops",
        "flops_total",
        "isoflop",
        "isoflop_budget",
        "model_flops",
        "c_flops",
        "nominal_budget",
        "total_flos",
        "target_flops",
        *("rechenaufwand", "rechenbudget", "trainings_flops", "trainingsflops", "budget_de_calcul", "cómputo"),
        *("presupuesto_de_cómputo", "cómputo_de_entrenamiento", "算力", "训练算力", "计算量", "训练计算量", "总计算量"),
        *("浮点运算量", "浮点运算数", "計算量", "訓練計算量", "学習計算量", "総計算量", "演算量"),
    ),
}
ALSO = {quantity: tuple(map(normalise, names)) for quantity, names in _OTHER_NAMES.items()}
"""
Names that say less, belong to one project or to another language than English: taken, with a note, where no name of
:data:`ACCEPTED` is there.
"""

TRAINING_LOSSES = tuple(
    map(
        normalise,
        (
            *("train_loss", "training_loss", "train/loss", "loss_train", "trainingsverlust", "perte_d'entraînement"),
            *("pérdida_de_entrenamiento", "训练损失", "訓練損失", "学習損失", "訓練ロス", "学習ロス"),
        ),
    )
)
"""Losses on the training data, which are never taken unasked."""

STEPS = (
    "step",
    "steps",
    "num_steps",
    "iterations",
    "num_iterations",
    "iters",
    "train_steps",
    "training_steps",
    "_step",
)
BATCHES = ("batch_size", "batch", "bsz", "global_batch_size", "total_batch_size", "train_batch_size")
LENGTHS = (
    "seq_len",
    "sequence_length",
    "seq_length",
    "context_length",
    "block_size",
    "max_seq_len",
    "ctx_len",
    "context",
    "ctx",
)
SMALL_BATCHES = (
    "per_device_train_batch_size",
    "per_device_batch_size",
    "per_gpu_batch_size",
    "micro_batch_size",
    "microbatch_size",
    "device_batch_size",
)
ACCUMULATION = ("gradient_accumulation_steps", "grad_accum_steps", "grad_accum", "gradient_accumulation", "accum_steps")
DEVICES = ("world_size", "num_gpus", "n_gpus", "gpus", "num_devices", "n_devices", "data_parallel_size", "dp_size")
MOST_SEQUENCES = 2.0**15
"""A batch of more than this is counted in tokens."""
BATCH_TOKENS = ("batch_tokens", "tokens_per_batch", "tokens_per_step", "batch_size_tokens", "total_batch_tokens")
EPOCHS = ("epoch", "epochs", "num_epochs", "n_epochs")
EPOCH_TOKENS = (
    "dataset_tokens",
    "tokens_per_epoch",
    "dataset_size",
    "corpus_tokens",
    "unique_tokens",
    "train_set_tokens",
)
RATIOS = (
    "tokens_per_param",
    "tokens_per_parameter",
    "tokens_per_params",
    "tok_per_param",
    "token_param_ratio",
    "tokens_to_params",
    "d_over_n",
    "d/n",
    "tpp",
    "tokens/param",
    "tokens/params",
    "tokens/parameter",
    "tok/param",
)
MULTIPLES = ("chinchilla_multiple", "chinchilla_multiplier", "chinchilla_ratio", "chinchilla", "xc", "overtraining")
"""Tokens in units of twenty per parameter."""
SAMPLES = ("samples", "num_samples", "train_samples", "consumed_samples", "sequences", "num_sequences")
DAYS = ("gpu_days", "gpu_day", "gpudays", "h100_days", "a100_days", "accelerator_days", "tpu_days", "chip_days")
CLOCKS = ("wall_clock_h", "wall_clock_hours", "walltime_h", "walltime_hours", "train_hours", "training_hours", "hours")
PER_TOKEN = ("flops_per_token", "train_flops_per_token", "flops/token")
HOURS = ("gpu_hours", "gpu_hrs", "gpuhours", "h100_hours", "a100_hours", "accelerator_hours", "tpu_hours", "chip_hours")

SYMBOLS = {"N": "params", "D": "tokens", "L": "loss", "C": "budget"}

EXPERIMENT_NAMES = (
    "experiment",
    "dataset",
    "source",
    "sweep",
    "model_family",
    "family",
    "corpus",
    "study",
    "dataset_name",
    "experiment_name",
    "domain",
    "data_mix",
    "mixture",
    "architecture",
    "arch",
    "model_type",
    "recipe",
    "group",
    "tag",
    "tags",
    "variant",
    "arm",
    "mix",
    "tokenizer",
    "optimizer",
    "split",
    "eval_set",
    "eval_dataset",
    "task",
    "language",
    "ablation",
    "project",
)
"""Columns that tell experiments apart, the first that varies being the one that is named in a note."""

LOOSE_NAMES = frozenset({"architecture", "arch", "model_type", "group", "tag", "tags"})
"""Those of them that may as well name sizes or budgets."""

SEED_NAMES = ("seed", "random_seed", "replicate", "replica", "trial")
"""Columns that tell the replicates of a run apart."""

LISTED = 20
"""Columns named in a message before the rest is counted."""


def listed(names: Iterable[object], limit: int = LISTED) -> str:
    """
    Join names for a message, counting what does not fit.

    Examples
    --------
    >>> listed(["a", "b", "c", "d"], limit=2)
    'a, b and 2 more'
    """
    words = [" ".join(str(name).split()) for name in names]  # a line break in a header stays out of a sentence
    more = len(words) - limit
    return ", ".join(words[:limit]) + (f" and {more} more" if more > 0 else "")


def unique_names(header: Iterable[object]) -> list[str]:
    """
    Turn a header into distinct, non-blank names in the same order.

    Examples
    --------
    >>> unique_names(["loss ", "", "loss"])
    ['loss', 'column_2', 'loss.1']
    """
    names: list[str] = []
    taken: set[str] = set()
    for position, raw in enumerate(header, start=1):
        stem = str(raw).strip() or f"column_{position}"
        name, count = stem, 0
        while name in taken:
            count += 1
            name = f"{stem}.{count}"
        names.append(name)
        taken.add(name)
    return names


def find_column(name: str, keys: Sequence[str], header: Sequence[str], *, asked: str) -> str:
    """
    Find the column that a user named.

    Parameters
    ----------
    name : str
        As the user wrote it.
    keys : sequence of str
        Distinct names of the columns.
    header : sequence of str
        Names as the file has them, in the same order, possibly repeated.
    asked : str
        The option that gave the name (``select``), for the message.

    Returns
    -------
    str
        One of ``keys``.

    Raises
    ------
    InputError
        If no column has that name, or several have.

    Examples
    --------
    >>> find_column("Loss", ["N", "loss"], ["N", "loss"], asked="columns")
    'loss'
    """
    wanted = str(name).strip()
    exact = [key for key, title in zip(keys, header, strict=True) if title == wanted]
    found = exact or [key for key in keys if key == wanted]
    found = found or [key for key, title in zip(keys, header, strict=True) if title.casefold() == wanted.casefold()]
    if len(found) > 1:
        msg = f"The table has {len(found)} columns named {wanted!r}, which `{asked}` names; rename all but one of them."
        raise InputError(msg)
    if not found:
        msg = f"The table has no column {wanted!r}, which `{asked}` names; its columns are {listed(keys)}."
        raise InputError(msg)
    return found[0]


def recognise(
    keys: Sequence[str],
    header: Sequence[str],
    mapping: Mapping[str, str] | None = None,
    *,
    least: int = 2,
    words: Container[str] = (),
    tokenwise: Container[str] = (),
) -> dict[str, str]:
    """
    Find the columns of params, tokens, loss and budget.

    Parameters
    ----------
    keys, header : sequence of str
        Distinct names of the columns, and the names as the file has them.
    mapping : mapping of str to str, optional
        Quantity (params, tokens, loss, budget or N, D, L, C) to column; it wins
        over the recognised names.
    least : int
        How many of params, tokens and budget are needed; two imply the third.
    words : container of str
        Those of ``keys`` that hold no number, such as a ``model`` that is a name: no name of :data:`ALSO` counts there.
    tokenwise : container of str
        Those of ``keys`` that are a batch size in tokens, not in sequences.

    Returns
    -------
    dict of str to str
        Quantity to one of ``keys``: the loss and at least so many of the others.

    Raises
    ------
    UnsupportedError
        If ``mapping`` names an unknown quantity, or one twice.
    InputError
        If a mapped column does not exist or serves two quantities, if two columns carry
        names of one quantity, or if too few quantities are found.

    Examples
    --------
    >>> recognise(["N", "flops", "val_loss"], ["N", "flops", "val_loss"])
    {'params': 'N', 'loss': 'val_loss', 'budget': 'flops'}
    """
    found = known_quantities(keys, header, mapping, words=words)
    if "loss" not in found or len(found) < 1 + least:
        raise InputError(missing_sentence(keys, found, tokenwise))
    return found


def recognise_points(
    keys: Sequence[str],
    header: Sequence[str],
    mapping: Mapping[str, str] | None = None,
    *,
    words: Container[str] = (),
) -> dict[str, str]:
    """
    Find two of params, tokens and budget, of runs that have no loss yet.

    Raises
    ------
    UnsupportedError, InputError
        As :func:`recognise`.

    Examples
    --------
    >>> recognise_points(["N", "note", "flops"], ["N", "note", "flops"])
    {'params': 'N', 'budget': 'flops'}
    """
    known = known_quantities(keys, header, mapping, words=words)
    found = {quantity: key for quantity, key in known.items() if quantity != "loss"}
    if len(found) < 2:
        lacking = next(quantity for quantity in ("params", "tokens", "budget") if quantity not in found)
        msg = (
            f"A run to be predicted needs two of params, tokens and budget, but the columns are {listed(keys)}; "
            f"name one with `columns` {lacking}=COLUMN."
        )
        raise InputError(msg)
    return found


def known_quantities(
    keys: Sequence[str],
    header: Sequence[str],
    mapping: Mapping[str, str] | None = None,
    *,
    words: Container[str] = (),
) -> dict[str, str]:
    """
    Find what there is of params, tokens, loss and budget, by known names or as named.

    Parameters
    ----------
    keys, header, mapping, words
        As for :func:`recognise`.

    Raises
    ------
    UnsupportedError, InputError
        As :func:`recognise`, but nothing has to be there.

    Examples
    --------
    >>> known_quantities(["experts", "flops"], ["experts", "flops"])
    {'budget': 'flops'}
    >>> known_quantities(["model", "total_params"], ["model", "total_params"], words={"model"})
    {'params': 'total_params'}
    """
    chosen = _chosen(keys, header, mapping or {})
    free = [(key, title) for key, title in zip(keys, header, strict=True) if key not in chosen.values()]
    found: dict[str, str] = {}
    for quantity, names in ACCEPTED.items():
        if quantity in chosen:
            found[quantity] = chosen[quantity]
            continue
        known = {normalise(name) for name in names}
        hits = [(key, title) for key, title in free if normalise(title) in known]
        hits = hits or [(k, title) for k, title in free if normalise(title) in ALSO[quantity] and k not in words]
        hits = hits or [(k, title) for k, title in free if k not in words and _ends_in(title, quantity, known)]
        hits = hits or [(k, title) for k, title in free if k not in words and by_words(title) == quantity]
        if len(hits) > 1:
            raise InputError(_ambiguous(quantity, hits))
        if hits:
            found[quantity] = hits[0][0]
    return found


_OTHER_PATHS = frozenset(
    ("eval", "val", "valid", "validation", "test", "vocab", "tokenizer", "batch", "plan", "planned")
)


def _ends_in(title: str, quantity: str, known: Container[str]) -> bool:
    """Whether a path such as ``model.num_params`` ends in a name of a quantity; of losses only ``eval.loss`` is one."""
    parts = [normalise(part) for part in re.split(r"[./]", title)]
    if len(parts) < 2:
        return False
    if quantity == "loss":
        # A tracker puts what was measured under a word of its own.
        return "/".join(parts[-2:]) in known or (parts[0] in _TRACKED and "/".join(parts[1:]) in known)
    return parts[-1] in known and len(parts[-1]) > 1 and not _OTHER_PATHS & set(parts)


EVALUATION_SETS = frozenset(
    (
        *("pile", "thepile", "c4", "mc4", "wikitext", "103", "wikitext103", "wikitext2", "wikipedia", "wiki", "owt"),
        *("openwebtext", "webtext", "webtext2", "fineweb", "refinedweb", "slimpajama", "redpajama", "dclm", "paloma"),
        *("dolma", "books", "bookcorpus", "ptb", "lm1b", "github", "arxiv", "massivetext", "proofpile"),
    )
)
"""Texts that models are evaluated on, as one word of a header."""

_TRACKED = frozenset(("summary", "metrics"))

_FILLERS = frozenset(("n", "no", "num", "nb", "number", "of", "the", "count", "total", "model", "train", "training"))
_SPOKEN: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "params": (
        frozenset(("param", "params", "parameter", "parameters")),
        _FILLERS | frozenset(("non", "nonembedding", "embedding", "trainable", "size")),
    ),
    "tokens": (
        frozenset(("token", "tokens", "tok", "toks")),
        _FILLERS | frozenset(("seen", "trained", "processed", "consumed", "pretraining", "pretrain", "on", "data")),
    ),
    "loss": (
        frozenset(("loss", "nll", "ce", "xent", "crossentropy")),
        frozenset(
            ("val", "valid", "validation", "eval", "evaluation", "test", "heldout", "dev", "final", "last", "mean")
        )
        | EVALUATION_SETS
        | frozenset(("avg", "average", "converged", "end", "lm", "language", "modeling", "modelling"))
        | frozenset(("held", "out", "set", "split", "per", "token", "english", "en", "nat", "nats")),
    ),
}
"""Words of a quantity, and those that may stand beside them without saying another."""


def by_words(title: str) -> str:
    """
    Return the quantity that a header's words speak of, if they speak of nothing else; empty otherwise.

    Examples
    --------
    >>> by_words("Train tokens seen"), by_words("Pile test loss"), by_words("val/ce"), by_words("# trainable params")
    ('tokens', 'loss', 'loss', 'params')
    >>> by_words("tokens per batch"), by_words("train loss"), by_words("mean")
    ('', '', '')
    """
    said = {word for word in re.split(r"[\W_]+", normalise(title)) if word}
    if {"cross", "entropy"} <= said:
        said = said - {"cross", "entropy"} | {"crossentropy"}
    if "embedding" in said and "non" not in said:
        return ""  # the parameters of the embedding are a part of the others
    for quantity, (nouns, others) in _SPOKEN.items():
        if said & nouns and said <= nouns | others:
            return quantity
    return ""


def _chosen(keys: Sequence[str], header: Sequence[str], mapping: Mapping[str, str]) -> dict[str, str]:
    chosen: dict[str, str] = {}
    for given, name in mapping.items():
        word = str(given).strip()
        quantity = SYMBOLS.get(word.upper(), word.lower())
        if quantity not in ACCEPTED:
            msg = f"`columns` cannot set {word!r}; the quantities are {', '.join(ACCEPTED)} (or {', '.join(SYMBOLS)})."
            raise UnsupportedError(msg)
        if quantity in chosen:
            msg = f"`columns` sets {quantity} twice; name one column for it."
            raise UnsupportedError(msg)
        key = find_column(name, keys, header, asked="columns")
        for other, used in chosen.items():
            if used == key:
                msg = f"`columns` names {key!r} for both {other} and {quantity}; they are different quantities."
                raise InputError(msg)
        chosen[quantity] = key
    return chosen


def _ambiguous(quantity: str, hits: Sequence[tuple[str, str]]) -> str:
    titles = [title for _, title in hits]
    if len(set(titles)) == 1:
        return f"The table has {len(hits)} columns named {titles[0]!r}; rename all but one of them."
    return (
        f"{len(hits)} columns look like {quantity}: {', '.join(map(repr, titles))}; "
        f"choose one with `columns` {quantity}={_as_argument(titles[0])}."
    )


def suggestion(
    keys: Sequence[str], lacking: Sequence[str], found: Mapping[str, str], tokenwise: Container[str] = ()
) -> str:
    """
    Say how the names of a table could give what it lacks: a recipe, or a name that is nearly right; empty otherwise.

    Parameters
    ----------
    keys : sequence of str
        Columns that are no quantity yet.
    lacking : sequence of str
        Quantities that no column is.
    found : mapping of str to str
        Quantity to the column that is it.
    tokenwise : container of str
        Batch sizes in tokens.

    Examples
    --------
    >>> suggestion(["steps", "Batch Size", "seq_len"], ["tokens", "budget"], {"params": "n_params"})
    "`columns` tokens='steps*`Batch Size`*seq_len'"
    >>> suggestion(["tokens_per_param"], ["tokens", "budget"], {"params": "N"})
    "`columns` tokens='N*tokens_per_param'"
    >>> suggestion(["tokns"], ["tokens", "budget"], {"params": "params"})
    '`columns` tokens=tokns'
    >>> suggestion(["final_eval_loss", "train_loss"], ["loss"], {"params": "N", "tokens": "D"})
    '`columns` loss=final_eval_loss'
    """
    by_name = {normalise(key): key for key in keys}

    def first(names: Sequence[str]) -> str | None:
        return next((by_name[n] for n in names if n in by_name), None)

    small = first(SMALL_BATCHES)
    if "tokens" in lacking and small and first(STEPS) and first(LENGTHS):
        # What one device takes at a time is a part of the batch.
        whole = [first(names) for names in (STEPS, SMALL_BATCHES, ACCUMULATION, DEVICES, LENGTHS)]
        return f"`columns` tokens='{'*'.join(quoted(part) for part in whole if part)}'"
    batch = first(BATCHES)
    in_tokens = BATCHES if batch is not None and batch in tokenwise else ()
    recipes: tuple[tuple[str, tuple[Sequence[str], ...], str], ...] = (
        ("tokens", (STEPS, in_tokens), "{}*{}"),
        ("tokens", (STEPS, BATCH_TOKENS), "{}*{}"),
        ("tokens", (STEPS, BATCHES, LENGTHS), "{}*{}*{}"),
        ("tokens", (EPOCHS, EPOCH_TOKENS), "{}*{}"),
        ("tokens", (SAMPLES, LENGTHS), "{}*{}"),
        ("budget", (HOURS,), "{}*3600*4e14"),
        ("budget", (DAYS,), "{}*86400*4e14"),
        ("budget", (CLOCKS, DEVICES), "{}*{}*3600*4e14"),
        ("params", (PER_TOKEN,), "{}/6"),
    )
    for quantity, parts, form in recipes:
        columns = [first(names) for names in parts]
        if quantity in lacking and all(columns):
            hint = " (4e14 being the FLOP/s that one accelerator reached)" if quantity == "budget" else ""
            return f"`columns` {quantity}='{form.format(*(quoted(c) for c in columns if c))}'{hint}"
    ratio = first(RATIOS)
    for quantity, known, sign in (("tokens", "params", "*"), ("params", "tokens", "/")):
        if ratio and quantity in lacking and known in found:
            return f"`columns` {quantity}='{quoted(found[known])}{sign}{quoted(ratio)}'"
    multiple = first(MULTIPLES)
    if multiple and "tokens" in lacking and "params" in found:
        return f"`columns` tokens='20*{quoted(found['params'])}*{quoted(multiple)}'"
    measured = _other_measure(keys) if "loss" in lacking else ""
    if measured:
        return measured
    for quantity in lacking:
        near = _near(quantity, by_name)
        if near is not None:
            return f"`columns` {quantity}={_as_argument(near)}"
    return ""


def _other_measure(keys: Sequence[str]) -> str:
    """The recipe of the first column that is a perplexity or in bits, of several."""
    for words, form in (({"ppl", "perplexity"}, "'log({})'"), ({"bpb", "bpc"}, "{}")):
        for key in keys:
            said = set(re.split(r"[\W_]+", normalise(key)))
            if said & words and not said & {"train", "training", "word", "byte", "log"}:
                return f"`columns` loss={form.format(quoted(key) if '(' in form else _as_argument(key))}"
    return ""


_NO_LOSS = frozenset(
    ("log", "excess", "std", "stderr", "sem", "var", "delta", "diff", "train", "training", "min", "max", "smoothed")
)
_NO_COUNT = re.compile(r"per_|/s|/p|_s$|sec|throughput|batch|vocab|context|speed|rate")


def _near(quantity: str, by_name: Mapping[str, str]) -> str | None:
    """The column whose name is a misspelling of the quantity's, or the only one that has its word in it."""
    if quantity == "loss":
        by_name = {name: key for name, key in by_name.items() if not set(re.split(r"[\W_]+", name)) & _NO_LOSS}
    for name, cutoff in ((quantity, 0.75), *((normalise(name), 0.85) for name in ACCEPTED[quantity])):
        near = get_close_matches(name, list(by_name), n=1, cutoff=cutoff)
        if near:
            return by_name[near[0]]
    word = {"params": "param", "tokens": "tokens", "loss": "loss", "budget": "flop"}[quantity]
    inside = [key for name, key in by_name.items() if word in name and name not in (*TRAINING_LOSSES, *RATIOS)]
    # A rate, a batch and a vocabulary are counted in tokens too.
    inside = [key for key in inside if quantity == "loss" or not _NO_COUNT.search(normalise(key))]
    return inside[0] if len(inside) == 1 else None


def _as_argument(key: str) -> str:
    """A column's name as a shell takes it in one piece."""
    return key if re.fullmatch(r"[\w./-]+", key) else f"'{key}'"


def missing_sentence(keys: Sequence[str], found: Mapping[str, str], tokenwise: Container[str] = ()) -> str:
    """Say which quantities a table lacks, and how to name a column for one."""
    given = " and ".join(f"{quantity} ({key!r})" for quantity, key in found.items()) or "none of them"
    lacking = [quantity for quantity in ACCEPTED if quantity not in found]
    if "loss" in lacking:
        train = [key for key in keys if normalise(key) in TRAINING_LOSSES]
        if train and len(found) >= 2:
            return (
                f"The only loss is that of training ({', '.join(map(repr, train))}), which is not taken unasked; name "
                f"it with `columns` loss={train[0]}."
            )
    hint = suggestion([key for key in keys if key not in found.values()], lacking, found, tokenwise)
    names = "; ".join(f"{quantity} may be called {', '.join(ACCEPTED[quantity][:4])}" for quantity in lacking)
    remedy = f"try {hint}" if hint else f"{names}; or name a column with `columns` {lacking[0]}=COLUMN"
    asked = "Runs need the loss and two of params, tokens and budget"
    return f"{asked}, but the columns {listed(keys)} give {given}: {remedy}."
