"""Wrong versions of the library, each one edit away, and the test that must notice.

A test that no wrong program fails proves nothing. Each entry replaces `old` by `new` in `file`;
`why` says what is then wrong. tests/mutants/test_mutants.py runs `killed_by` on a copy with that
edit and wants to see it fail.

A snippet that no longer fits means that the source has changed: mend the entry, and ask whether
the mistake it stands for can still be made.
"""

from __future__ import annotations

from typing import NamedTuple


class Mutant(NamedTuple):
    """One wrong version.

    Args:
        name: what is wrong, in a few words.
        file: where.
        old: the source as it is; occurs once in the file.
        new: the source as it must not be.
        killed_by: the test that must fail.
        why: what a user would suffer.
    """

    name: str
    file: str
    old: str
    new: str
    killed_by: str
    why: str


PARITY = "tests/bert/test_parity.py::"
SEVERAL = "tests/runs/test_multilabel.py::"
HIDDEN = PARITY + "test_hidden_states_of_every_layer_equal_hugging_face[cpu-gelu-0]"
POOLED = PARITY + "test_pooled_sentence_vector_equals_hugging_face[cpu-0]"
CLASSIFIER = PARITY + "test_sequence_classification_equals_hugging_face_forward_and_backward[cpu-0]"
MASKED_LM = (
    PARITY + "test_masked_lm_with_tied_decoder_equals_hugging_face_forward_and_backward[cpu-0]"
)
ALONE = PARITY + "test_a_sentence_gets_the_same_logits_alone_and_in_any_batch"
WANTED = PARITY + "test_asking_the_last_layer_about_some_tokens_gives_their_rows_and_gradients[0]"
TRAINING_PATH = (
    PARITY
    + "test_attention_that_keeps_its_probabilities_for_dropout_gives_the_numbers_of_evaluation"
)
SAME_MASKS = (
    PARITY
    + "test_dropout_on_attention_probabilities_equals_hugging_face_given_the_same_masks[cpu-0]"
)
SITES = PARITY + "test_each_dropout_site_changes_the_output_in_training_and_none_in_evaluation"
RATES = PARITY + "test_each_site_has_the_probability_that_config_json_names_for_it"
DROPOUT = "tests/bert/test_dropout.py::"
PACKING = "tests/bert/test_packing.py::"
EXPANDS = "tests/pretraining/test_expand.py::"
CONDENSES = "tests/pretraining/test_condenser.py::"
FURTHER = "tests/pretraining/test_further.py::"
SAFETY = "tests/safety/"
CONFIG = "tests/bert/test_config.py::"
STRICTLY = "tests/checkpoints/test_strict.py::"
PUBLISHED = "tests/checkpoints/test_published.py::"
FOREIGN = "tests/checkpoints/test_foreign_taggers.py::"
WEIGHTS = "tests/checkpoints/test_weights.py::"
ALL_NAMED = WEIGHTS + "test_one_error_lists_all_that_is_missing_unexpected_and_misshapen"
FILES = "tests/test_files.py::"
STEPS = "tests/runs/test_steps.py::"
BATCHES = "tests/training/test_items.py::"
ENTITIES = "tests/data/test_entities.py::"
METRICS = "tests/data/test_metrics.py::"
BY_HAND = METRICS + "test_scores_of_five_rows_by_hand"
LOOP = "tests/training/test_loop.py::"
EVALUATE = "tests/runs/test_evaluate.py::"
EXCHANGE = "tests/label/test_exchange.py::"
EDGES = "tests/cli/test_edges.py::"
OPTIONS = "tests/cli/test_options.py::"
SPANS = "tests/data/test_spans.py::"
EXPORTS = "tests/data/test_exports.py::"
TABLES = "tests/label/test_tables.py::"
READERS = "tests/data/test_readers.py::"
LABEL_STUDIO = "tests/label/test_labelstudio.py::"
DOCCANO = "tests/label/test_doccano.py::"
ARGILLA = "tests/label/test_argilla.py::"


def _in(file: str, *entries: tuple[str, str, str, str, str]) -> list[Mutant]:
    """Mutants of one file."""
    return [Mutant(name, file, *rest) for name, *rest in entries]


ENCODER = _in(
    "minift/bert/encoder.py",
    (
        "scores are not scaled",
        "(query, key, value, attn_mask=mask)",
        "(query, key, value, attn_mask=mask, scale=1.0)",
        HIDDEN,
        "softmax saturates; a trained checkpoint gives other hidden states",
    ),
    (
        "scores are not scaled in training",
        " / math.sqrt(self.head_dim)",
        "",
        TRAINING_PATH,
        "training and prediction are two different models",
    ),
    (
        "scores are scaled by the whole width",
        "math.sqrt(self.head_dim)",
        "math.sqrt(self.head_dim * self.num_heads)",
        TRAINING_PATH,
        "the same with another number: sqrt(d_model) instead of sqrt(d_k)",
    ),
    (
        "padding is attended to",
        "attn_mask=mask",
        "attn_mask=None",
        ALONE,
        "a prediction depends on which sentences share the batch",
    ),
    (
        "padding is attended to in training",
        "scores if mask is None else scores + mask",
        "scores",
        TRAINING_PATH,
        "a sentence trains on its neighbours' lengths",
    ),
    (
        "softmax over the queries",
        "softmax(dim=-1)",
        "softmax(dim=-2)",
        TRAINING_PATH,
        "the columns sum to 1 instead of the rows",
    ),
    (
        "no dropout on attention probabilities",
        "self.dropout(scores.softmax(dim=-1)) @ value",
        "scores.softmax(dim=-1) @ value",
        SITES,
        "one of BERT's dropout sites is missing, and MC dropout underestimates its doubt",
    ),
    (
        "dropout on scores instead of probabilities",
        "self.dropout(scores.softmax(dim=-1))",
        "self.dropout(scores).softmax(dim=-1)",
        SAME_MASKS,
        "a dropped score of 0 is not a dropped probability of 0",
    ),
    (
        "queries and keys swapped",
        "(query, key, value, attn_mask=mask)",
        "(key, query, value, attn_mask=mask)",
        HIDDEN,
        "each token is attended to by those it should attend to",
    ),
    (
        "values are the keys",
        "value = self.split(self.value(hidden), layout)",
        "value = self.split(self.key(hidden), layout)",
        HIDDEN,
        "the value projection is loaded and never used",
    ),
    (
        "no output projection",
        "self.output(asking_layout.unpad(mixed.transpose(1, 2).flatten(2)))",
        "asking_layout.unpad(mixed.transpose(1, 2).flatten(2))",
        HIDDEN,
        "the heads are joined and never mixed",
    ),
    (
        "heads are not put side by side",
        "mixed.transpose(1, 2).flatten(2)",
        "mixed.reshape(mixed.shape[0], mixed.shape[2], -1)",
        HIDDEN,
        "the shape is right and heads and tokens are shuffled",
    ),
    (
        "heads interleaved",
        "unflatten(-1, (self.num_heads, self.head_dim)).transpose(1, 2)",
        "unflatten(-1, (self.head_dim, self.num_heads)).movedim(-1, 1)",
        HIDDEN,
        "a head takes every fourth column instead of a block of columns",
    ),
    (
        "no residual around attention",
        "self.attention_norm(residual + self.attention_dropout(attended))",
        "self.attention_norm(self.attention_dropout(attended))",
        HIDDEN,
        "a layer forgets its input",
    ),
    (
        "no residual around feed-forward",
        "self.output_norm(hidden + self.output_dropout(self.output(inner)))",
        "self.output_norm(self.output_dropout(self.output(inner)))",
        HIDDEN,
        "the second half of a layer forgets the first",
    ),
    (
        "LayerNorm before the residual sum",
        "self.attention_norm(residual + self.attention_dropout(attended))",
        "residual + self.attention_norm(self.attention_dropout(attended))",
        HIDDEN,
        "the post-norm layer of 2018 turned into another architecture",
    ),
    (
        "residual of the wrong tokens",
        "residual = hidden if wanted is None else wanted.of(hidden)",
        "residual = hidden[: len(attended)]",
        WANTED,
        "the last layer adds other tokens' input to the wanted ones",
    ),
    (
        "epsilon of the embeddings",
        "self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)",
        "self.norm = nn.LayerNorm(config.hidden_size)",
        HIDDEN,
        "1e-5 instead of 1e-12: off in the sixth digit, invisible in float32",
    ),
    (
        "epsilon after attention",
        "self.attention_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)",
        "self.attention_norm = nn.LayerNorm(config.hidden_size)",
        HIDDEN,
        "as above, once a layer",
    ),
    (
        "epsilon after feed-forward",
        "self.output_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)",
        "self.output_norm = nn.LayerNorm(config.hidden_size)",
        HIDDEN,
        "as above, once a layer",
    ),
    (
        "no segment embeddings",
        "            + self.segment(packed.segment_ids)\n",
        "",
        HIDDEN,
        "both texts of a pair look alike; single sentences are off by a constant",
    ),
    (
        "no position embeddings",
        "            + self.position(packed.position_ids)\n",
        "",
        HIDDEN,
        "a bag of words",
    ),
    (
        "no LayerNorm on embeddings",
        "self.dropout(self.norm(summed))",
        "self.dropout(summed)",
        HIDDEN,
        "the first layer reads vectors of another size",
    ),
    (
        "no dropout on embeddings",
        "self.dropout(self.norm(summed))",
        "self.norm(summed)",
        SITES,
        "a dropout site is missing",
    ),
    (
        "approximate GELU",
        '"none" if name == "gelu" else "tanh"',
        '"tanh"',
        HIDDEN,
        "the tanh formula of GPT-2 where BERT has erf: 1e-3 off",
    ),
    (
        "exact GELU where the config says gelu_new",
        '"none" if name == "gelu" else "tanh"',
        '"none"',
        HIDDEN.replace("gelu", "gelu_new"),
        "the same the other way round",
    ),
    (
        "pooler without tanh",
        "torch.tanh(self.dense(first_tokens))",
        "self.dense(first_tokens)",
        POOLED,
        "the classifier reads a vector it was not pretrained with",
    ),
)

HEADS = _in(
    "minift/bert/heads.py",
    (
        "classifier without pooler",
        "self.bert.pooler(self.bert(packed, wanted or packed.first_tokens()))",
        "self.bert(packed, wanted or packed.first_tokens())",
        CLASSIFIER,
        "a fine-tuned checkpoint of transformers gives other logits",
    ),
    (
        "no dropout before the classifier",
        "self.classifier(self.dropout(self.vectors(packed, wanted)))",
        "self.classifier(self.vectors(packed, wanted))",
        SITES,
        "a dropout site is missing",
    ),
)

DROPOUTS = _in(
    "minift/bert/dropout.py",
    (
        "dropout does not rescale",
        ".mul_(_STEPS / (_STEPS - dropped))",
        "",
        DROPOUT + "test_the_expectation_of_the_output_is_the_input",
        "activations are larger in evaluation than in training",
    ),
    (
        "one mask for four elements",
        "numbers.view(torch.int16)[: like.numel()]",
        "numbers.view(torch.int16)[::4].repeat_interleave(4)[: like.numel()]",
        DROPOUT + "test_neighbours_are_independent_also_the_four_that_share_one_random_number[1]",
        "the share is right and neighbours drop together",
    ),
    (
        "wrong threshold",
        "torch.ge(numbers, dropped - _STEPS // 2, out=mask)",
        "torch.ge(numbers, dropped, out=mask)",
        DROPOUT + "test_the_share_of_zeros_is_p_within_four_sigma[cpu-0.1]",
        "more than half is dropped, and the scale is that of a tenth",
    ),
    (
        "dropout draws from the global stream",
        "generator=generator)",
        "generator=None)",
        DROPOUT + "test_with_a_generator_of_its_own_the_global_stream_is_untouched_and_unread",
        "methods can no longer be compared under the same masks",
    ),
    (
        "dropout stays on in evaluation",
        "if not self.training or self.probability == 0:",
        "if self.probability == 0:",
        DROPOUT
        + "test_evaluation_mode_and_a_probability_of_0_return_the_input_itself_and_draw_nothing",
        "predictions are random",
    ),
)

LAYOUT = _in(
    "minift/bert/packing.py",
    (
        "positions run on over the batch",
        "torch.cat([torch.arange(length) for length in lengths])",
        "torch.arange(sum(lengths))",
        PACKING + "test_three_sequences_by_hand",
        "every sentence but the first is told it stands in the middle of a text",
    ),
    (
        "the last token stands for the sentence",
        "self.cu_seqlens[:-1].to",
        "(self.cu_seqlens[1:] - 1).to",
        PACKING + "test_three_sequences_by_hand",
        "the classifier reads [SEP]",
    ),
    (
        "places counted in the batch",
        "indices = [start + place for",
        "indices = [place for",
        PACKING + "test_a_selection_names_the_tokens_asked_for_and_how_they_are_spread",
        "every sentence is asked about the first one's words",
    ),
    (
        "padding on the left",
        "real = torch.arange(longest) < torch.tensor(lengths).unsqueeze(1)",
        "real = torch.arange(longest) >= longest - torch.tensor(lengths).unsqueeze(1)",
        PACKING + "test_padding_puts_each_sequence_into_its_row_from_the_left_and_zeros_after_it",
        "logits agree; who reads the rectangle finds nothing where the docstring says",
    ),
    (
        "mask on queries instead of keys",
        ".view(len(self.lengths), 1, 1, self.longest)",
        ".view(len(self.lengths), 1, self.longest, 1)",
        HIDDEN,
        "padding is attended to, and padded rows become nan",
    ),
    (
        "a place may lie in the next sentence",
        "if places and not 0 <= min(places) <= max(places) < length:",
        "if False:",
        PACKING + "test_a_place_outside_its_sequence_is_refused_instead_of_reaching_into_the_next",
        "an off-by-one reads a neighbour's word and nobody hears of it",
    ),
)

CONFIGS = _in(
    "minift/bert/config.py",
    (
        "heads need not divide the width",
        "if self.hidden_size % self.num_attention_heads:",
        "if False:",
        CONFIG + "test_heads_that_do_not_divide_the_width_are_refused_with_both_numbers",
        "a shape error deep inside attention",
    ),
    (
        "sizes are only judged one by one",
        "if self.encoder_parameters > MOST_PARAMETERS:",
        "if False:",
        SAFETY + "test_configs.py::"
        "test_sizes_that_are_absurd_together_are_refused_by_name_and_cost_nothing",
        "a config.json of a line asks for a petabyte",
    ),
)

STRICT = _in(
    "minift/checkpoints/strict.py",
    (
        "RoBERTa passes for BERT",
        'if (family := values.get("model_type", "bert")) != "bert":',
        'if (family := values.get("model_type", "bert")) not in ("bert", "roberta"):',
        STRICTLY
        + "test_what_minift_does_not_compute_is_refused_with_key_value_and_what_is_supported",
        "positions are off by two and every logit is wrong",
    ),
    (
        "relative positions are ignored",
        '    "position_embedding_type": ("absolute", None),\n',
        '    "position_embedding_type": ("absolute", "relative_key", None),\n',
        STRICTLY
        + "test_what_minift_does_not_compute_is_refused_with_key_value_and_what_is_supported",
        "a part of the model is left out in silence",
    ),
    (
        "misspelt keys are ignored",
        "if close or _COMPUTES.search(key):",
        "if _COMPUTES.search(key):",
        STRICTLY + "test_an_unknown_key_is_refused_with_the_nearest_name_and_the_remedy",
        "a misspelt size falls back to bert-base's",
    ),
    (
        "class names in the order of the file",
        "return tuple(by_index[index] for index in range(len(by_index)))",
        "return tuple(by_index.values())",
        STRICTLY + "test_class_names_come_in_the_order_of_the_logits_not_of_the_file",
        "answers with another class's name, and a perfectly good accuracy in training",
    ),
    (
        "what an unknown key computes is ignored",
        "if close or _COMPUTES.search(key):",
        "if close:",
        STRICTLY + "test_all_that_stands_against_a_file_is_in_one_error",
        "a rotary position is left out, and every logit is wrong",
    ),
    (
        "a class may be a lone surrogate",
        "if _SURROGATE.search(name)), None)",
        "if False), None)",
        SAFETY + "test_configs.py::test_values_that_would_fail_later_are_named_at_once",
        "the first prediction ends in a traceback",
    ),
)

LOADER = _in(
    "minift/checkpoints/weights.py",
    (
        "one output is one class",
        'kind = "regression" if outputs == 1 and kind is None else kind',
        "kind = kind",
        PUBLISHED + "test_a_cross_encoder_gives_its_number",
        "every text gets the one class, with probability 1",
    ),
    (
        "any word may stand before a bare encoder",
        "(?:module|",
        r"(?:\w+|",
        PUBLISHED + "test_a_word_before_a_bare_encoder_may_be_a_wrapper_and_not_another_model",
        "a RoBERTa is read as a BERT, two positions off",
    ),
    (
        "a head of our own beside weights for transformers",
        'if not architecture.startswith("Bert"):',
        'if "Mean" in architecture:',
        "tests/methods/test_cnn_head.py::"
        "test_a_run_folder_says_which_head_it_has_and_gives_the_same_bits",
        "transformers loads the run with a random head, and a warning",
    ),
    (
        "gamma and beta of old files",
        'today = re.sub(r"LayerNorm\\.gamma$", "LayerNorm.weight", name)',
        "today = name",
        WEIGHTS + "test_each_way_to_store_a_checkpoint_gives_the_same_logits",
        "bert-base-uncased as first published cannot be read",
    ),
    (
        "missing tensors are left out in silence",
        '"missing": [name for name in wanted if name not in in_file]',
        '"missing": []',
        ALL_NAMED,
        "a truncated download trains, badly",
    ),
    (
        "unexpected tensors are ignored",
        '"unexpected": unexpected,',
        '"unexpected": [],',
        ALL_NAMED,
        "a deeper model is cut to the layers that config.json names",
    ),
    (
        "quantised weights are read as they are",
        "if not t.is_floating_point]:",
        "if t.is_complex]:",
        PUBLISHED + "test_quantised_weights_are_refused_in_one_short_sentence",
        "8 bits without their scales become weights, or a screen is filled with names",
    ),
    (
        "misshapen tensors are not named",
        '"misshapen": misfits',
        '"misshapen": []',
        ALL_NAMED,
        "the word embedding of another vocabulary fails inside torch, or is broadcast",
    ),
    (
        "half a head is completed by chance",
        "for name in wanted if name not in in_file]",
        "for name in wanted if name not in in_file and _head(name) is None]",
        WEIGHTS + "test_half_a_head_is_a_damaged_file_and_not_a_reason_to_draw_the_other_half",
        "a damaged classifier answers",
    ),
    (
        "shards may lie anywhere",
        "if shard != Path(shard.name):",
        "if False:",
        WEIGHTS
        + "test_an_index_that_points_outside_the_folder_is_refused_even_if_the_file_is_there",
        "a checkpoint reads files it has no business with",
    ),
    (
        "a head serves its labels in any order",
        "tuple(labels) == config.labels",
        "set(labels) == set(config.labels)",
        WEIGHTS + "test_a_head_for_the_same_labels_is_kept_and_one_for_other_labels_is_drawn_anew",
        "positive and negative change places",
    ),
    (
        "a new head ignores its generator",
        "model.config.initializer_range, generator, only)",
        "model.config.initializer_range, None, only)",
        WEIGHTS + "test_a_new_head_is_a_function_of_its_generator_and_of_nothing_else",
        "the same seed gives another run",
    ),
    (
        "an encoder without pooler gets a random one",
        "if isinstance(model, Bert) and report.initialised:",
        "if False:",
        WEIGHTS
        + "test_without_a_pooler_in_the_file_an_encoder_has_none_and_a_classifier_draws_one",
        "sentence vectors are noise",
    ),
    (
        "a decoder of its own is ignored",
        "if not torch.equal(a.float(), b.float()):",
        "if False:",
        WEIGHTS
        + "test_a_decoder_stored_a_second_time_is_read_if_it_is_the_same_and_refused_if_not",
        "an untied masked LM loads and predicts other words",
    ),
    (
        "loaded in training mode",
        "model.eval()\n    return model, report",
        "model.train()\n    return model, report",
        WEIGHTS + "test_what_transformers_saves_we_load_whole_and_with_the_same_logits",
        "predictions are random",
    ),
    (
        "saved in place",
        "atomic_directory_write(Path(directory), write)",
        "atomic_directory_write(Path(directory), lambda _: write(Path(directory)))",
        WEIGHTS + "test_a_disk_without_space_leaves_the_checkpoint_that_was_there",
        "a full disk costs the checkpoint of yesterday",
    ),
    (
        "query and key swapped in the file",
        r'(r"\.attention\.(query|key|value)\.", r".attention.self.\1."),',
        r'(r"\.attention\.query\.", ".attention.self.key."), '
        r'(r"\.attention\.key\.", ".attention.self.query."), '
        r'(r"\.attention\.value\.", ".attention.self.value."),',
        WEIGHTS + "test_what_transformers_saves_we_load_whole_and_with_the_same_logits",
        "our own files come back right, everybody else's wrong",
    ),
)

JOURNAL = "tests/test_journal.py::"
JOURNALS = [
    *_in(
        "minift/journal.py",
        (
            "an answer is not on the disk when it is acknowledged",
            "            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))\n"
            "        os.fsync(file.fileno())\n",
            "            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))\n",
            JOURNAL + "test_an_event_is_on_the_disk_before_append_returns",
            "a power cut loses labels that were said to be saved",
        ),
        (
            "a log is written on after a torn line",
            "        cut_log(path)\n",
            "",
            JOURNAL + "test_a_log_cut_at_any_byte_gives_its_whole_lines_and_can_be_written_on",
            "two lines become one that nobody can read",
        ),
    ),
    *_in(
        "minift/files.py",
        (
            "what stops a lock for another reason is passed over",
            "if error.errno not in _NO_LOCKS:",
            "if False:",
            FILES + "test_a_lock_that_cannot_be_taken_for_another_reason_is_refused",
            "two processes write to one file",
        ),
    ),
]

WRITER = _in(
    "minift/files.py",
    (
        "renamed before it is on the disk",
        "            sync(file)  # a full",
        "            pass  # a full",
        FILES + "test_a_disk_that_turns_out_full_when_flushing_leaves_the_old_files",
        "a full network disk leaves a file of zeros in place of the old one",
    ),
    (
        "copied instead of renamed",
        "file.replace(target)",
        "shutil.copyfile(file, target)",
        FILES + "test_files_are_on_the_disk_before_the_first_old_one_is_replaced",
        "a kill at the wrong moment leaves half a file under the good name",
    ),
    (
        "leaves temporary files",
        "        finally:\n            _remove(lock)",
        "        finally:\n            pass",
        FILES + "test_a_writer_that_fails_leaves_the_old_files_and_its_error_is_its_own",
        "each failure costs the disk as much as a success",
    ),
)

WORDPIECE = _in(
    "minift/checkpoints/tokenizer.py",
    (
        "both texts of a pair in one segment",
        "format(min(segments, 2) - 1)",
        "format(0)",
        BATCHES + "test_a_text_asks_cls_and_its_target_is_the_index_of_its_label",
        "the model is not told where the second text begins",
    ),
    (
        "the model may read fewer pieces than the tokenizer gives",
        "min(self.max_length, positions or self.max_length)",
        "self.max_length",
        WEIGHTS + "test_a_pipeline_of_transformers_cuts_a_long_text_where_our_model_ends",
        "a pipeline of transformers ends in an IndexError at the first long text",
    ),
    (
        "what tokenizer_config.json says of the longest input is not heeded",
        "min(max_length, stated or max_length)",
        "max_length",
        "tests/checkpoints/test_tokenizer.py::"
        "test_the_longest_input_is_what_the_model_reads_or_less_where_the_folder_says_so",
        "texts are read longer than the encoder was trained for",
    ),
    (
        "words between windows are answered twice",
        "yield range(first, stop), range(owned_from, stop)",
        "yield range(first, stop), range(first, stop)",
        BATCHES + "test_a_sentence_longer_than_the_model_asks_each_word_once_over_its_windows",
        "tags slip against words after the first window",
    ),
    (
        "a word is answered where it is first seen",
        "yield range(first, stop), range(owned_from, owned_to)",
        "owned_to = stop; yield range(first, stop), range(owned_from, owned_to)",
        "tests/checkpoints/test_tokenizer.py::test_the_wanted_overlap_is_used_up_to_a_word",
        "words at a window's end are judged without what follows them",
    ),
)

SCORES = (
    _in(
        "minift/data/metrics.py",
        (
            "F1 weighs each class by how often it occurs",
            "sum(2 * hits[c] / max(true[c] + guessed[c], 1) for c in classes) / len(classes)",
            "sum(true[c] * 2 * hits[c] / (true[c] + guessed[c]) for c in classes) / len(gold)",
            BY_HAND,
            "rare classes stop counting in the score made for them",
        ),
        (
            "F1 of the first label",
            "positive = labels[1]",
            "positive = labels[0]",
            BY_HAND,
            "the F1 of the majority class is reported",
        ),
        (
            "Matthews with one denominator",
            "(spread[0] * spread[1]) ** 0.5",
            "(spread[0] * spread[0]) ** 0.5",
            METRICS + "test_matthews_equals_scikit_learn_with_two_and_with_more_classes",
            "right only where gold and predictions have the same counts",
        ),
        (
            "Spearman without ties",
            "return (np.cumsum(counts) - (counts - 1) / 2)[inverse]",
            "return np.argsort(np.argsort(values)).astype(float)",
            METRICS + "test_correlations_by_hand",
            "STS-B is full of ties; the score depends on the order of rows",
        ),
        (
            "Pearson without centring",
            "x, y = x - x.mean(), y - y.mean()",
            "pass",
            METRICS + "test_correlations_by_hand",
            "a cosine, close to 1 for any positive scores",
        ),
        (
            "error without the root",
            "float(np.sqrt(np.mean(error**2)))",
            "float(np.mean(error**2))",
            METRICS + "test_rmse_by_hand",
            "not in the units of the labels",
        ),
        (
            "entity F1 averaged over types",
            "getattr(report.micro, part)",
            "getattr(report.macro, part)",
            METRICS + "test_tagging_scores_are_micro_averages_and_the_macro_f1",
            "not the number that papers report",
        ),
        (
            "ties of the majority go by the alphabet",
            "max(order, key=lambda label: counts[label])",
            "max(sorted(order), key=lambda label: counts[label])",
            METRICS
            + "test_of_equally_frequent_labels_the_baseline_takes_the_first_in_the_order_of_the_"
            "logits",
            "two reports of one data set name two baselines",
        ),
        (
            "one prediction in two halves of STS-B",
            "sum(scores[part] for part in parts) / len(parts)",
            "scores[parts[0]]",
            METRICS + "test_every_headline_is_a_number_that_one_of_the_evaluations_gives",
            "Pearson alone under the name of both",
        ),
    )
    + _in(
        "minift/data/entities.py",
        (
            "strict and conlleval swapped",
            '{"conlleval": spans_conlleval, "strict": spans_strict}',
            '{"conlleval": spans_strict, "strict": spans_conlleval}',
            ENTITIES + "test_the_two_modes_differ_on_stray_i_tags_and_agree_on_valid_iob2",
            "scores cannot be compared with anybody's",
        ),
    )
    + _in(
        "minift/data/tags.py",
        (
            "an entity goes on under another type",
            'letter in "IE" and before in "BI" and type_ == open_type',
            'letter in "IE" and before in "BI"',
            ENTITIES
            + "test_spans_of_10000_random_sequences_are_those_of_seqeval_in_its_default_mode",
            "B-PER I-LOC is one person",
        ),
        (
            "parts of speech are types of entities",
            'if scheme == "io" and not tags.intersection(OUTSIDE):',
            "if False:",
            FOREIGN + "test_labels_that_are_not_tags_of_entities_are_refused_when_loading",
            "each noun is an entity of the type NOUN",
        ),
        (
            "gold tags are asked of a tagger in a scheme that it does not speak",
            'letters = ("SUBI" if last else "BIS") if tag[0] == "B"',
            'letters = ("BI" if last else "BIS") if tag[0] == "B"',
            FOREIGN + "test_a_tagger_answers_in_iob2_and_is_scored_on_gold_of_any_scheme",
            "the loss of a tagger that knows every answer is high",
        ),
    )
)

TRAINING = (
    _in(
        "minift/training/batches.py",
        (
            "unlabelled words count",
            "else targets != UNLABELLED",
            "else torch.ones_like(targets, dtype=torch.bool)",
            LOOP + "test_an_unlabelled_word_has_no_loss_and_is_not_counted",
            "the loss of a step is divided by words nobody labelled",
        ),
        (
            "the same order in every epoch",
            "torch.randperm(len(items), generator=generator)",
            "torch.arange(len(items))",
            BATCHES + "test_an_epoch_visits_each_item_once_in_an_order_of_its_own",
            "a file sorted by label is learned by heart in blocks",
        ),
    )
    + _in(
        "minift/training/loop.py",
        (
            "a step's loss is divided by sentences, not words",
            "(loss / targets).backward()",
            "(loss / len(group)).backward()",
            LOOP + "test_the_loss_of_a_step_is_the_mean_over_words_not_over_sentences",
            "long sentences pull harder than short ones, and the rate means another thing",
        ),
        (
            "biases and LayerNorm decay",
            'decays = not name.endswith(("bias", "norm.weight"))',
            "decays = True",
            LOOP + "test_only_matrices_decay",
            "BitFit's few parameters are pulled to zero",
        ),
        (
            "mean of batch means",
            "(loss / targets).backward()",
            "(loss / int(labelled(batch.targets).sum()) / self.settings.accumulate).backward()",
            LOOP + "test_gradient_accumulated_over_parts_equals_that_of_the_whole_batch",
            "accumulation gives words of short sentences more weight",
        ),
        (
            "gradients pile up",
            "        self.optimizer.zero_grad()\n",
            "",
            LOOP + "test_fifty_steps_equal_transformers_with_torch_adamw_to_1e_9",
            "a step moves along the sum of all steps before",
        ),
        (
            "best weights are not put back",
            "in history.weights[keep].items():",
            'in history.weights["last"].items():',
            LOOP + "test_kept_weights_are_those_of_the_epoch_that_was_asked_for[best-2]",
            "the dev score of one model is reported for another",
        ),
        (
            "best weights are not copied",
            "name: parameter.detach().clone() for name",
            "name: parameter.detach() for name",
            LOOP + "test_kept_weights_are_those_of_the_epoch_that_was_asked_for[best-2]",
            "the kept weights go on training",
        ),
        (
            "the schedule is a step ahead",
            "self.schedule.factor(self.step)",
            "self.schedule.factor(self.step + 1)",
            LOOP + "test_the_learning_rate_of_each_step_is_the_schedules",
            "not the rates of the reference",
        ),
        (
            "gradients are not clipped",
            "if self.settings.clip:",
            "if False:",
            LOOP + "test_gradient_is_clipped_to_the_norm_asked_for_and_not_when_switched_off",
            "some seeds diverge",
        ),
        (
            "squared errors of every pair",
            "predicted, known = model(batch.packed, batch.wanted).squeeze(-1)",
            "predicted, known = model(batch.packed, batch.wanted)",
            LOOP + "test_the_objective_of_regression_is_the_squared_error_of_each_labelled_text",
            "broadcasting compares each prediction with each target: all become the mean",
        ),
        (
            "several labels are one class",
            "    if batch.targets.is_floating_point():  # any",
            "    if False:  # any",
            SEVERAL + "test_loss_and_gradients_are_those_of_transformers[0]",
            "a text cannot have two labels, or none",
        ),
        (
            "dropout follows the order's seed",
            ".manual_seed(seeds.dropout)",
            ".manual_seed(seeds.order)",
            LOOP + "test_the_same_seeds_give_the_same_bits_and_each_stream_matters_by_itself",
            "two streams that were to be varied one at a time move together",
        ),
    )
    + _in(
        "minift/training/schedules.py",
        (
            "a schedule of fixed length asks for a development split",
            "    needs_dev_loss: bool = False",
            "    needs_dev_loss: bool = True",
            "tests/methods/test_adaptive.py::test_a_schedule_of_fixed_length_trains_without_a"
            "_validation_split[slanted]",
            "the method word slanted is refused where there are no labels to spare",
        ),
    )
    + _in(
        "minift/training/schedules.py",
        (
            "warm-up begins at its first step",
            "return step / max(1, rising)",
            "return (step + 1) / max(1, rising)",
            "tests/training/test_schedules.py::test_linear_equals_transformers_at_every_step",
            "not the rates of the reference",
        ),
    )
    + _in(
        "minift/data/metrics.py",
        (
            "the macro F1 counts labels that nobody gave",
            "if (both := true[n] + guessed[n]) else None for n",
            "if (both := true[n] + guessed[n]) else 0.0 for n",
            SEVERAL + "test_scores_are_those_of_scikit_learn[0]",
            "a small test split without a rare label scores low",
        ),
    )
    + _in(
        "minift/methods/solved_head.py",
        (
            "two labels share a weight",
            "(classes == 2 and targets.dim() == 1)",
            "(classes == 2)",
            SEVERAL + "test_each_label_is_the_logistic_regression_of_one_against_the_rest[1.0]",
            "two labels are held back twice as much as three",
        ),
    )
    + _in(
        "minift/active/streaming.py",
        (
            "labels exclude each other when asked about",
            'if tuned.task == "multilabel":  # each',
            "if False:  # each",
            SEVERAL + "test_a_texts_score_is_the_mean_over_its_labels_each_yes_or_no",
            "a text with two sure labels is asked for as if it were in doubt",
        ),
    )
    + _in(
        "minift/runs/evaluate.py",
        (
            "dropout left on in evaluation",
            "    model.eval()\n",
            "",
            EVALUATE + "test_prediction_leaves_the_mode_as_found_and_uses_no_dropout",
            "the dev score is that of a weaker, random model",
        ),
        (
            "results in the order of computation",
            "zip(group, logits",
            "zip(sorted(group), logits",
            EVALUATE + "test_logits_are_in_input_order_and_do_not_depend_on_the_batch",
            "each text gets another text's answer",
        ),
        (
            "loss is a mean of means",
            "return float(F.cross_entropy(rows.double(), targets))",
            "return float(torch.stack([F.cross_entropy(r.double(), torch.tensor(i.targets)) "
            "for r, i in zip(logits, items)]).mean())",
            EVALUATE + "test_mean_loss_weighs_each_target_the_same",
            "early stopping listens to short sentences",
        ),
        (
            "a later window replaces the earlier",
            "tags[item.example] +=",
            "tags[item.example] =",
            EVALUATE + "test_tags_of_the_windows_of_a_sentence_join_in_the_order_of_its_words",
            "only the end of a long sentence is tagged",
        ),
    )
)

EXCHANGED = (
    _in(
        "minift/data/spans.py",
        (
            "an emoji counts one where the browser counts two",
            "2 if utf16 and ord(c) > 0xFFFF else 1",
            "1",
            SPANS + "test_borders_and_utf16_places_are_those_of_the_joined_text",
            "every entity after an emoji is moved",
        ),
        (
            "a span that cuts a word is bent to take it",
            "begins.setdefault(left - 1, word)",
            "begins.update(dict.fromkeys(range(max(0, left - 1), right), word))",
            SPANS + "test_a_span_is_taken_if_and_only_if_it_begins_and_ends_with_a_word",
            "what was marked and what is trained on differ, and nobody is told",
        ),
        (
            "what the tool says a span covers is not compared",
            "if mark.text is not None and",
            "if False and",
            LABEL_STUDIO + "test_offsets_of_an_old_version_in_utf16_units_are_noticed_not_taken",
            "moved spans that fall on other words are taken",
        ),
    )
    + _in(
        "minift/label/formats/rows.py",
        (
            "a changed text is not noticed",
            "if given == expected:",
            "if True:",
            TABLES + "test_a_text_the_spreadsheet_changed_is_named_with_the_place",
            "the label of one text is given to another",
        ),
        (
            "a text is taken for its twin",
            "if len(same) == 1:",
            "if same:",
            DOCCANO + "test_without_our_id_the_text_tells_only_if_it_is_the_only_one_of_its_kind",
            "a label lands on a text nobody looked at",
        ),
        (
            "an answer said before is dropped though another came between",
            "latest[who] = answer.label",
            "latest.setdefault(who, answer.label)",
            EXCHANGE
            + "test_several_answers_to_one_text_are_one_if_equal_and_all_kept_in_order_if_not",
            "the answer that was taken back counts",
        ),
    )
    + _in(
        "minift/label/formats/spreadsheet.py",
        (
            "a text can become a formula",
            """f"'{cell}" if _FORMULA.match(cell) else cell for cell""",
            "cell for cell",
            TABLES + "test_no_cell_of_a_written_table_can_become_a_formula",
            "opening the batch in a spreadsheet runs what somebody wrote in a text",
        ),
    )
    + _in(
        "minift/label/formats/conll.py",
        (
            "tags that break BIOES are put right in silence",
            'tags if violations(tags, "bioes") else to_iob2(tags, "bioes")',
            'to_iob2(tags, "bioes")',
            TABLES + "test_tags_of_another_tool_in_bioes_are_read_and_what_breaks_it_is_named",
            "an answer is recorded that nobody gave",
        ),
        (
            "half a sentence is taken for none",
            "elif not all(tag in UNTAGGED",
            "elif not any(tag in UNTAGGED",
            TABLES + "test_a_fault_in_a_sentence_is_named_by_its_line_and_costs_that_sentence",
            "work is lost in silence",
        ),
    )
    + _in(
        "minift/label/formats/labelstudio.py",
        (
            "labels are not escaped",
            "value={quoteattr(name)}",
            "value='{name}'",
            LABEL_STUDIO
            + "test_the_configuration_is_valid_xml_that_holds_every_label_and_shows_no_html",
            "Label Studio refuses the configuration",
        ),
    )
    + _in(
        "minift/label/formats/doccano.py",
        (
            "guesses are written as labels",
            '"label": [],',
            '"label": [] if guess is None else [guess],',
            DOCCANO + "test_a_line_holds_the_text_our_id_and_the_guess_as_metadata_but_no_label",
            "guesses nobody looked at come back as answers",
        ),
    )
    + _in(
        "minift/label/formats/argilla.py",
        (
            "a guess of no entity has an empty list of scores",
            "each = value and confidence is not None",
            "each = confidence is not None",
            ARGILLA + "test_span_suggestions_have_a_score_each_and_none_is_written_over_an_emoji",
            "the server refuses the whole batch",
        ),
    )
    + _in(
        "minift/data/files/exports.py",
        (
            "an empty list of spans is no answer",
            ' or "spans" in row',
            "",
            "tests/data/test_exports.py::"
            "test_an_empty_list_of_spans_says_that_there_is_none_but_in_doccano",
            "sentences without an entity are dropped, and the tagger finds entities everywhere",
        ),
        (
            "predictions are taken for answers",
            'given = row.get("annotations") or []',
            'given = row.get("annotations") or row.get("predictions") or []',
            LABEL_STUDIO + "test_a_json_export_gives_every_annotators_answer_and_no_prediction",
            "the model is trained on its own guesses",
        ),
        (
            "the oldest of several annotations counts",
            'key=lambda a: str(a[1].get("updated_at") or a[1].get("created_at") or "")',
            "key=lambda a: 0",
            LABEL_STUDIO + "test_a_json_min_export_is_read_oldest_first_with_its_own_ids_ignored",
            "a correction is undone",
        ),
        (
            "who answered is not kept",
            'one = Said(where, by=_who(given.get("completed_by")))',
            "one = Said(where)",
            LABEL_STUDIO + "test_two_annotators_stay_two_and_one_who_says_it_twice_is_one",
            "the second person's answer is taken for a repetition of the first's",
        ),
        (
            "what nobody looked at has no entity",
            'if task == "tagging" and (given or looked):',
            'if task == "tagging":',
            DOCCANO + "test_no_span_is_unanswered_an_o_is_no_entity_and_a_comment_sets_aside",
            "the model learns that there is nothing in unread sentences",
        ),
        (
            "a draft counts",
            "if status is None and not (done and len(given or ()) == 1):",
            "if status is None and not done:",
            ARGILLA + "test_an_export_that_does_not_tell_is_refused_with_the_one_that_does",
            "what somebody had not decided is trained on",
        ),
        (
            "the first of two people's answers is trained on",
            "**answers[-1]",
            "**answers[0]",
            EXPORTS + "test_of_two_peoples_answers_the_last_one_counts_and_it_is_said",
            "the note says the contrary of what is done",
        ),
    )
)

REPORT = "tests/data/test_entity_report.py::"
TAGGING = (
    _in(
        "minift/training/batches.py",
    )
    + _in(
        "minift/data/entities.py",
        (
            "both columns are the same convention",
            "asdict(entity_scores(gold, predicted, m))",
            "asdict(entity_scores(gold, predicted))",
            REPORT + "test_a_stray_i_tag_is_right_on_one_side_and_a_miss_on_the_other",
            "the strict score is flattered by stray tags",
        ),
    )
    + _in(
        "minift/data/tags.py",
        (
            "the end of an entity is its last word's start",
            "places[span.end - 1][1]",
            "places[span.end - 1][0]",
            REPORT + "test_each_error_is_told_with_its_sentence_its_words_and_its_characters",
            "the last word of each entity is cut off in the list",
        ),
        (
            "word offsets name the last word, not the one behind it",
            '"end_word": span.end}',
            '"end_word": span.end - 1}',
            "tests/runs/test_predict.py::"
            "test_entities_have_words_and_characters_of_the_text_as_it_was_given",
            "cutting by words loses the last one, cutting by characters does not",
        ),
    )
    + _in(
        "minift/runs/steps.py",
        (
            "a checkpoint forgets the sums since the last look",
            '"step", "records", "seconds", "sums", "since", "kept",',
            '"step", "records", "seconds", "since", "kept",',
            STEPS + "test_killed_at_any_step_it_ends_with_the_same_bits_and_records",
            "the loss in the log of a resumed run is too low",
        ),
        (
            "dropout goes on from wherever its stream was",
            "self.dropout.manual_seed(stream(self.seed, self.step))",
            "self.dropout.manual_seed(stream(self.seed, 0)) if not self.step else None",
            STEPS + "test_killed_at_any_step_it_ends_with_the_same_bits_and_records",
            "a resumed run draws other masks than one that was never stopped",
        ),
        (
            "of equal scores the last one is kept",
            "score > self.best",
            "score >= self.best",
            STEPS + "test_the_weights_of_the_highest_score_are_kept",
            "the later of two equal steps is kept, which has learned its texts by heart",
        ),
        (
            "a pass that follows has the order of the first",
            "np.random.default_rng((seed, step // per_pass))",
            "np.random.default_rng((seed, 0))",
            STEPS + "test_each_pass_reads_every_row_once_in_an_order_of_its_own",
            "the same rows always share a batch",
        ),
    )
    + _in(
        "minift/compact/store.py",
        (
            "the student is built on the meta device with its first weights drawn",
            'model = without_weights(Tagger, TaggerConfig(**about["config"]))',
            "import torch as t\n"
            '        with t.device("meta"):\n'
            '            model = Tagger(TaggerConfig(**about["config"]))\n'
            "            model.word.weight.detach().uniform_(-1, 1)",
            "tests/compact/test_store.py::"
            "test_a_student_of_20000_words_loads_in_well_under_a_second",
            "PyTorch's compiler is imported on the way: seconds instead of a tenth",
        ),
    )
)

PROJECT_TESTS = "tests/label/test_project.py::"
TERMINAL_TESTS = "tests/label/test_terminal.py::"
PROJECTS = [
    *_in(
        "minift/label/score_files.py",
        (
            "scores are written where they are read",
            "atomic_directory_write(path.parent, write)",
            "write(path.parent)",
            PROJECT_TESTS + "test_a_score_file_holds_the_scores_of_the_loop_and_survives_a_kill",
            "a killed scoring leaves a part in the place of the whole",
        ),
    ),
    *_in(
        "minift/label/answers.py",
        (
            "what one person said counts as said by all",
            "if (answer.by, answer.label) not in known]",
            "if answer.label not in [label for _, label in known]]",
            PROJECT_TESTS + "test_an_import_is_idempotent_and_corrections_and_conflicts_are_kept",
            "a second labeller's agreement is not on record",
        ),
        (
            "an older file undoes a correction",
            "(latest.values() if again else before)",
            "latest.values()",
            PROJECT_TESTS
            + "test_an_older_file_that_was_filled_in_further_does_not_undo_a_correction",
            "what somebody put right is wrong again, and nobody looks at it twice",
        ),
    ),
    *_in(
        "minift/label/rounds.py",
        (
            "a batch file is written over",
            "if not p.exists() or p.read_bytes() == content",
            "if p",
            PROJECT_TESTS + "test_texts_that_wait_are_not_asked_again_unless_somebody_says_how",
            "an hour of labels in a spreadsheet is gone",
        ),
        (
            "random texts train a model",
            "elif guess or not drawn:",
            "else:",
            PROJECT_TESTS
            + "test_random_texts_need_no_model_and_the_advice_says_what_nobody_can_know",
            "the strategy that needs nothing waits for a training",
        ),
        (
            "a correction does not make another model",
            "asdict(project.settings), project.pool, answers]",
            "asdict(project.settings), project.pool]",
            PROJECT_TESTS + "test_nothing_is_trained_anew_while_the_labels_stay",
            "all rounds are chosen by the model of the first",
        ),
    ),
    *_in(
        "minift/label/terminal.py",
        (
            "a class cannot have the name of a command",
            '            mark += ":"\n',
            "            break\n",
            TERMINAL_TESTS + "test_commands_give_way_to_a_class_that_is_called_so",
            "somebody answers q, and the session ends",
        ),
        (
            "a line that is no text takes those before it",
            'stdin.reconfigure(errors="surrogateescape")',
            "pass",
            TERMINAL_TESTS
            + "test_a_line_that_is_not_utf8_ends_the_session_in_a_sentence_and_loses_nothing",
            "answers of a file are lost with the one that is no UTF-8",
        ),
        (
            "undo takes back anybody's answer",
            "if latest is None or latest.source != self.by:",
            "if latest is None or not latest.source:",
            TERMINAL_TESTS + "test_undo_never_takes_back_somebody_elses_answer",
            "one labeller undoes another's work",
        ),
        (
            "control characters are shown as they are",
            "hidden = unicodedata.category(character) in _HIDDEN or ord(character) in _TURNING",
            "hidden = ord(character) in _TURNING",
            TERMINAL_TESTS + "test_a_text_cannot_steer_the_terminal",
            "a text of the pool types commands into the terminal",
        ),
    ),
    *_in(
        "minift/label/status.py",
        (
            "a budget counts the labels of the last model",
            "advise(looks, budget, len(labelled))",
            "advise(looks, budget)",
            PROJECT_TESTS + "test_a_budget_counts_the_labels_of_today",
            "people go on labelling though the budget is used up",
        ),
    ),
    *_in(
        "minift/label/pool.py",
        (
            "texts alike but for white space are asked twice",
            "tuple(apart.join(text.split()) for text in texts_of(example))",
            "texts_of(example)",
            PROJECT_TESTS + "test_every_line_is_in_the_pool_or_named_with_the_reason",
            "the same text is labelled twice",
        ),
    ),
]

CONV = "tests/methods/test_cnn_head.py::"
CONTRAST = "tests/methods/test_contrastive.py::"
CURVES_TESTS = "tests/active/test_curves.py::"
FORECAST_TESTS = "tests/active/test_forecast.py::"

CURVES = [
    *_in(
        "minift/bert/heads.py",
    ),
    *_in(
        "minift/speed/prefix.py",
        (
            "the cache keeps [CLS] only for a head that reads all tokens",
            "asked = layers == len(encoder_of(model).layers) and not reads_every_token(model)",
            "asked = layers == len(encoder_of(model).layers)",
            CONV + "test_training_with_the_prefix_cache_equals_training_without_it[trainable2]",
            "the CNN over a frozen encoder sees one token a text",
        ),
    ),
    *_in(
        "minift/active/study.py",
        (
            "an unfinished curve enters the test",
            'for s, c in self.courses[strategy].items() if not c[-1]["query"]}',
            "for s, c in self.courses[strategy].items()}",
            CURVES_TESTS + "test_only_seeds_that_both_have_finished_enter_the_whole_curve",
            "a short curve's low area counts against its strategy",
        ),
        (
            "labels are saved by the last crossing",
            "first = reached.argmax(1)",
            "first = len(counts) - 1 - reached[:, ::-1].argmax(1)",
            CURVES_TESTS + "test_first_reach_is_on_the_lines_between_the_points",
            "a strategy seems to need all labels for any score",
        ),
    ),
    *_in(
        "minift/active/curves.py",
        (
            "a saving against the whole curve is claimed",
            "if not (saved.seen and saved.labels * advantage > 0):",
            "if not saved.seen:",
            CURVES_TESTS
            + "test_a_saving_is_not_claimed_where_the_whole_curves_do_not_agree[-0.08-True]",
            "a strategy that is worse is sold as one that saves labels",
        ),
    ),
    *_in(
        "minift/active/forecast.py",
        (
            "the fold that scores is trained on",
            "tuned.evaluate(fold.test)",
            "tuned.evaluate(fold.train)",
            FORECAST_TESTS
            + "test_no_text_is_trained_on_in_the_fold_that_it_scores_and_draws_are_nested",
            "the curve is that of remembering, and promises nothing more to gain",
        ),
        (
            "a law that does not fit is as sure as one that does",
            "drawn = drawn + spread *",
            "drawn = drawn + 0 *",
            FORECAST_TESTS
            + "test_disagreeing_folds_and_a_law_that_does_not_fit_widen_the_interval",
            "an interval of nothing around a curve that jumps",
        ),
    ),
]

RESUME_TESTS = "tests/runs/test_resume.py::"
AS_IF = (
    RESUME_TESTS
    + "test_killed_after_any_step_a_run_ends_as_if_nothing_had_happened"
    + "[bitfit+child-f:0.5+adaptive]"
)
RECIPES = "tests/methods/test_recipes.py::"

RESUMED = [
    *_in(
        "minift/training/loop.py",
        (
            "a resumed epoch begins again",
            "for group in batches[self.done :]:",
            "for group in batches:",
            AS_IF,
            "a killed run sees some examples more often than others",
        ),
        (
            "the order is stored as it is, not as the epoch began",
            '"order": self.epoch_order,',
            '"order": self.order.get_state(),',
            AS_IF,
            "the rest of the epoch is drawn from another order",
        ),
    ),
    *_in(
        "minift/runs/resume.py",
        (
            "a damaged checkpoint is used",
            "if name is not None and file_digest(path)[:16] == name[2]:",
            "if True:",
            RESUME_TESTS + "test_a_damaged_checkpoint_is_named_and_the_one_before_is_used[flip]",
            "flipped bits go into the weights",
        ),
    ),
    *_in(
        "minift/methods/child_tuning.py",
        (
            "a mask is counted as if all could move",
            "return int(self.masks[name].sum()) if name in self.masks else parameter.numel()",
            "return parameter.numel()",
            RECIPES + "test_what_a_method_is_said_to_train_is_what_moves[child-d:0.3]",
            "the table says that Child-Tuning D trains everything",
        ),
    ),
    *_in(
        "minift/methods/recipes.py",
        (
            "a schedule of a set length gets more epochs on few labels",
            "_set(recipe, epochs=epochs)",
            "_set(recipe, min_steps=epochs)",
            RECIPES
            + "test_every_method_has_the_same_floor_of_steps"
            + "_but_schedules_of_a_set_length_keep_theirs",
            "the presets of the paper are not those of the paper",
        ),
    ),
]

TENSOR_FILES = SAFETY + "test_tensor_files.py::"
PICKLED = SAFETY + "test_pickled_files.py::"
STRANGERS = [
    *_in(
        "minift/checkpoints/tensor_files.py",
        (
            "pickles run",
            "weights_only=True)\n",
            "weights_only=False)\n",
            PICKLED + "test_pickles_of_newer_protocols_do_not_run_either",
            "a checkpoint from the web runs its author's code",
        ),
        (
            "a size that holds nothing is believed",
            "if isinstance(shape, list) and 0 in shape and any(size != 0 for size in shape):",
            "if False:",
            TENSOR_FILES + "test_sizes_that_the_file_does_not_fill_are_refused",
            "a file of 80 bytes names 10**12 classes, and the machine swaps",
        ),
        (
            "a header of any length is read",
            "if length > LARGEST_HEADER:",
            "if False:",
            TENSOR_FILES + "test_a_header_larger_than_any_real_one_is_refused_unread",
            "a header of gigabytes is parsed",
        ),
        (
            "a tensor may be described twice",
            "object_pairs_hook=each_once",
            "object_pairs_hook=dict",
            TENSOR_FILES
            + "test_a_name_that_stands_twice_is_refused_where_the_library_takes_the_last",
            "two readers of one file get different weights",
        ),
        (
            "a pickle may name what it likes",
            'if step.name == "GLOBAL" and not _NEEDED.fullmatch(str(value)):',
            "if False:",
            PICKLED + "test_a_small_file_cannot_ask_for_much",
            "PyTorch's unpickler makes an array of two gigabytes of zeros",
        ),
        (
            "a size in a pickle is believed",
            "if isinstance(value, int) and value > max(largest, 2**16):",
            "if False:",
            PICKLED + "test_a_small_file_cannot_ask_for_much",
            "a storage of a terabyte is asked for",
        ),
        (
            "a compressed archive is opened",
            "if any(m.compress_type != zipfile.ZIP_STORED for m in members):",
            "if False:",
            PICKLED + "test_an_archive_that_unpacks_to_more_than_itself_is_refused",
            "a .bin of 300 kB unpacks to gigabytes",
        ),
        (
            "a tensor may be larger than the file",
            "if claimed > 2 * size:",
            "if False:",
            PICKLED + "test_a_small_file_cannot_ask_for_much",
            "one number, shown a billion times, is copied into a model",
        ),
    ),
    *_in(
        "minift/checkpoints/tokenizer_files.py",
        (
            "a tokenizer may replace and search",
            "elif kind is not None and kind not in known:",
            "elif False:",
            SAFETY + "test_tokenizers.py::test_stages_that_grow_or_search_are_refused_by_name",
            "a text of a line becomes gigabytes, or is searched for hours",
        ),
        (
            "an added token gets the next id, whatever its file says",
            "if number not in (-1, got := backend.token_to_id(token.content)):",
            "if number is None:",
            PUBLISHED + "test_a_tokenizer_that_is_not_berts_is_refused_with_all_that_is_not",
            "a token reads the row of another",
        ),
    ),
    *_in(
        "minift/checkpoints/tokenizer.py",
        (
            "ids have no limit",
            "if self.vocab_size > MOST_PIECES:",
            "if False:",
            SAFETY + "test_tokenizers.py::test_ids_and_words_beyond_any_vocabulary_are_refused",
            "saving writes four billion lines",
        ),
    ),
    *_in(
        "minift/runs/determinism.py",
        (
            "--deterministic does nothing",
            "torch.use_deterministic_algorithms(True)",
            "torch.use_deterministic_algorithms(False)",
            SAFETY
            + "test_determinism.py::test_it_is_switched_on_and_off_again_and_handed_to_processes",
            "two runs on a GPU differ although they were told not to",
        ),
    ),
    *_in(
        "minift/compare/page.html",
        (
            "a paragraph may hold HTML",
            "<p>{{ block.text }}</p>",
            "<p>{{ block.text|safe }}</p>",
            SAFETY + "test_pages.py::test_hostile_names_add_no_element_and_no_attribute",
            "a label in a stranger's data runs in the reader's browser",
        ),
    ),
]

PROCESSES = "tests/runs/test_processes.py::"
UNEVEN = PROCESSES + "test_gradients_of_uneven_shares_are_those_of_one_process"
SHARED = PROCESSES + "test_batches_are_shared_out_and_every_bit_of_the_answers_stays"
TEN_STEPS = PROCESSES + "test_ten_steps_of_training_end_with_the_weights_of_one_process"
SEVERAL = [
    *_in(
        "minift/training/loop.py",
        (
            "a mean of the processes' means",
            "(loss / targets).backward()",
            "(loss / int(labelled(batch.targets).sum()) / len(group) * len(share)).backward()",
            UNEVEN + "[sentences-2]",
            "a target weighs more in a process that has few of them",
        ),
    ),
    *_in(
        "minift/runs/processes.py",
        (
            "all processes drop the same units",
            "return seed * world_size() + rank()",
            "return seed",
            SHARED,
            "the examples of a step share their masks",
        ),
        (
            "a parameter that nobody reads gets a gradient of 0",
            "        if processes == 0:",
            "        if processes < 0:",
            PROCESSES + "test_a_parameter_that_no_process_reads_keeps_no_gradient",
            "weight decay shrinks what one process would leave alone",
        ),
        (
            "answers come in the order of the processes",
            "    return [rows[number] for number in range(len(rows))]",
            "    return list(rows.values())",
            SHARED,
            "texts get each other's labels",
        ),
        (
            "different commands run together",
            "            if other[name] != first[name]:",
            "            if False:",
            PROCESSES + "test_processes_with_different_commands_are_refused",
            "two machines train with two learning rates, and nobody is told",
        ),
    ),
    *_in(
        "minift/methods/fisher.py",
        (
            "each process scores weights by its own examples",
            "    team.sum_tensors(scores.values())\n",
            "",
            "tests/methods/test_fisher.py"
            "::test_a_team_that_shares_the_examples_gets_the_scores_of_one_process",
            "Child-Tuning D selects another child in each process",
        ),
    ),
    *_in(
        "minift/runs/resume.py",
        (
            "all processes resume with the first one's dropout",
            ".view(-1, size)[rank()]",
            ".view(-1, size)[0]",
            PROCESSES + "test_a_killed_run_of_two_processes_resumes_to_the_same_bytes",
            "a resumed run of several processes ends with other bits",
        ),
    ),
]

KILLS = "tests/safety/test_kills.py::"
KILLED = _in(
    "minift/files.py",
    (
        "what a killed process leaves stays",
        "                _remove(lock)\n    lock =",
        "                pass\n    lock =",
        KILLS + "test_what_a_kill_leaves_of_a_write_is_gone_after_the_next",
        "each kill in the middle of a write costs the disk a checkpoint",
    ),
    (
        "what another process writes is taken for abandoned",
        "if ours:  # so its process was killed",
        "if True:  # so its process was killed",
        KILLS + "test_what_another_process_writes_at_the_moment_is_left_to_it",
        "of two processes that write to one folder the first loses its files",
    ),
)

PREFIX = "tests/speed/test_prefix.py::"
KEPT = [
    *_in(
        "minift/speed/prefix.py",
        (
            "states of another second text are taken",
            "return tuple(item.input_ids), tuple(item.segment_ids), asked",
            "return tuple(item.input_ids), (), asked",
            PREFIX + "test_an_equal_text_is_found_and_any_other_is_computed",
            "a pair cut elsewhere gets the states of its twin",
        ),
        (
            "states of other weights are taken",
            "digest(about, *(weights_digest(module) for module in modules))",
            "digest(about)",
            PREFIX + "test_states_belong_to_the_weights_that_made_them",
            "a model that went on learning answers with what it knew before",
        ),
    ),
    *_in(
        "minift/active/passes.py",
        (
            "states are read although dropout samples below them",
            "if cache is not None and cache.layers <= below:",
            "if cache is not None:",
            "tests/active/test_mc_dropout.py::"
            "test_states_kept_from_before_change_no_score[1-3-SequenceClassifier]",
            "layers that should sample give the same in every pass",
        ),
    ),
    *_in(
        "minift/active/streaming.py",
        (
            "dropout samples where training had none",
            "if tuned.quiet == 0:",
            "if tuned.quiet >= 0:",
            "tests/active/test_mc_dropout.py::"
            "test_by_default_dropout_samples_from_the_lowest_site_that_had_it_in_training[2-1]",
            "noise that was never trained with ranks the texts",
        ),
    ),
    *_in(
        "minift/active/advice.py",
        (
            "a model that knows one class only counts as sure",
            "if last.uncertainty < LOW and not collapsed:",
            "if last.uncertainty < LOW:",
            "tests/active/test_advice.py::"
            "test_a_collapsed_model_is_not_called_sure_and_is_named_whatever_else_is_advised",
            "labelling stops because the model has learned nothing",
        ),
        (
            "a model is compared with itself",
            "if look.labelled not in counts[n:]]",
            "if n]",
            "tests/active/test_advice.py::"
            "test_models_of_equally_many_labels_count_as_one_so_that_none_is_compared_with_itself",
            "three queries without a new label say that labelling may stop",
        ),
    ),
    *_in(
        "minift/cli/main.py",
        (
            "the help is silent about defaults of 0",
            "untold = value is None or value is False",
            "untold = not value",
            OPTIONS + "test_every_command_explains_itself_and_tells_every_default[train]",
            "a newcomer cannot see which seed a run will have",
        ),
        (
            "a part of an option's name is enough",
            '"allow_abbrev": False',
            '"allow_abbrev": True',
            OPTIONS + "test_no_option_is_abbreviated_and_no_command_has_too_many[train]",
            "a script that abbreviates breaks when an option is added",
        ),
        (
            "an error names the keyword of the library",
            "_in_options(str(error), arguments.parser)",
            "str(error)",
            OPTIONS + "test_a_value_that_the_library_refuses_is_named_by_its_option",
            "who typed --learning-rate reads of learning_rate",
        ),
        (
            "help that cannot be written is no failure",
            "(file or sys.stderr).write(message)",
            "super()._print_message(message, file)",
            EDGES + "test_a_failure_of_a_stream_or_of_the_disk_is_one_line",
            "a script that keeps the help on a full disk goes on with half of it",
        ),
    ),
    *_in(
        "minift/data/notes.py",
        (
            "labels that are equal as floats are one number",
            "alike[Decimal(key) if number",
            "alike[Decimal(float(key)) if number",
            "tests/data/test_notes.py::test_labels_that_are_several_are_not_named",
            "classes that are long ids are said to be one",
        ),
        (
            "signs that nobody sees tell labels apart",
            'unicodedata.category(c) != "Cf"',
            "True",
            "tests/data/test_notes.py::test_labels_that_differ_by_case_or_blanks_are_named_together",
            "a class is learned as two, and nobody can see why",
        ),
        (
            "a conflict names the last line of a label",
            "found[text].setdefault(label, line)",
            "found[text][label] = line",
            "tests/data/test_notes.py::test_a_text_with_two_labels_is_named_with_its_lines",
            "the lines that are named are not those where the text first stands",
        ),
    ),
    *_in(
        "minift/runs/tuned.py",
        (
            "a model of single texts is asked about pairs",
            "        refuse_unlike(self.pairs, examples)\n",
            "",
            "tests/runs/test_predict.py::test_pairs_and_single_texts_are_not_taken_for_each_other",
            "answers of a model that never saw a second text",
        ),
    ),
    *_in(
        "minift/cli/predict.py",
        (
            "the column of the gold labels replaces the answers",
            'name in answer and name != "id"',
            'name in answer and name == "given_label"',
            "tests/cli/test_told.py::test_answers_are_joined_to_the_table_they_belong_to[.csv]",
            "the labels that were given come back as what was predicted",
        ),
    ),
    *_in(
        "minift/files.py",
        (
            "a link to the texts is not the texts",
            "Path(name).exists() and out.samefile(name) for name in inputs",
            "Path(name).exists() and out == Path(name) for name in inputs",
            EDGES + "test_no_file_is_written_over_an_input_or_over_what_is_not_ours[predict]",
            "somebody's only copy of their texts is gone",
        ),
        (
            "any file that is there is taken for ours",
            "if begins and not re.match(ours, begins):",
            "if not begins:",
            EDGES + "test_no_file_is_written_over_an_input_or_over_what_is_not_ours[predict]",
            "somebody's notes are gone",
        ),
        (
            "a folder of something else is written into",
            "if others and not (out / marker).is_file():",
            "if False:",
            EDGES + "test_a_folder_is_ours_by_its_marker_and_locks_are_nothing",
            "a run is spread over somebody's papers, or over an encoder",
        ),
    ),
    *_in(
        "minift/label/terminal.py",
        (
            "a number is the key of another class",
            "        keys = {name: name for name in values}\n",
            "        pass\n",
            "tests/label/test_terminal.py::"
            "test_a_number_is_no_key_of_another_class_where_classes_are_numbers",
            "whoever answers 1 records 0",
        ),
    ),
    *_in(
        "minift/runs/predict.py",
        (
            "a pipe is answered when it ends",
            "if len(chunk) == CHUNK or not ready():",
            "if len(chunk) == CHUNK:",
            EDGES + "test_a_pipe_is_answered_before_it_ends",
            "a program that asks line by line waits forever",
        ),
    ),
    *_in(
        "minift/data/files/texts.py",
        (
            "a stream answers before it has looked at the whole file",
            "    refuse(path, problems)\n    if not total:",
            "    if not total:",
            "tests/data/test_texts.py::"
            "test_a_fault_of_the_last_line_is_told_before_the_first_text_comes",
            "hours of answers end in an error of the last line",
        ),
        (
            "a line is known by its place, counted from 0",
            "yield number, TextExample(str(number), line) if",
            "yield number, TextExample(str(number - 1), line) if",
            "tests/label/test_project.py::test_every_line_is_in_the_pool_or_named_with_the_reason",
            "ids do not lead back to the file",
        ),
    ),
    *_in(
        "minift/data/files/tables.py",
        (
            "quotes between TABs always enclose",
            "    if written or not odd:",
            "    if True:",
            READERS + "test_quotes_that_may_be_text_or_not_are_refused_until_somebody_says",
            "texts lose their quotes, or rows are swallowed, and nobody is told",
        ),
        (
            "commas are taken wherever there are some",
            "mark = max(marks, key=worth)",
            'mark = "," if "," in first else max(marks, key=worth)',
            READERS
            + "test_a_column_with_the_other_separator_in_its_name_or_texts_does_not_split_it",
            "tables of half of Europe cannot be read",
        ),
        (
            "half a character is let in",
            "_HALF.search(json.dumps(row, ensure_ascii=False))",
            "False",
            READERS + "test_faulty_json_lines_are_named",
            "a file of answers breaks off where it cannot be written",
        ),
        (
            "a single row of words is taken for a table",
            "if words or {*map(type, columns)} != {list}",
            "if {*map(type, columns)} != {list}",
            READERS + "test_what_pandas_writes_is_read_and_a_row_of_words_is_no_table",
            "each word of a sentence becomes a sentence",
        ),
        (
            "rows that have names are taken for columns",
            "        if not (USUAL & value.keys() or all(map(str.isdecimal, columns[0]))):",
            "        if False:",
            READERS + "test_json_is_read_whatever_its_lines_and_its_shape_are",
            "a table by rows is refused with columns called 0 and 1",
        ),
        (
            "a fault in the first line hides those of all others",
            'first.lstrip()[:1] == "[" or begins(whole)',
            "True",
            READERS
            + "test_a_fault_in_json_over_several_lines_is_told_by_the_line_where_the_object_begins",
            "a file is mended fault by fault, and an import loses the answers of the other lines",
        ),
    ),
    *_in(
        "minift/data/files/tokens.py",
        (
            "blanks separate columns between TABs too",
            "_TABS if blanks else _BLANKS",
            "_BLANKS",
            READERS + "test_words_with_blanks_stay_whole_between_tabs",
            "5 000 is two words, and the file is refused",
        ),
        (
            "whatever has no letters is a type",
            "    if nameless or paired or types in (spoilt, tags):",
            "    if False:",
            READERS + "test_tags_that_are_almost_iob_are_refused_by_name",
            "a model learns that o is a kind of entity",
        ),
    ),
    *_in(
        "minift/data/files/lines.py",
        (
            "bytes are said to be Latin-1",
            "_convert(path, 'cp1252')",
            "_convert(path, 'latin1')",
            READERS + "test_bytes_that_are_not_utf_8_get_the_command_that_is_right",
            "the command that we name turns apostrophes into control characters",
        ),
    ),
    *_in(
        "minift/data/words.py",
        (
            "ideographs are letters like others",
            '        return "c"',
            '        return "w"',
            "tests/data/test_words.py::"
            "test_every_character_that_bert_calls_chinese_is_a_word_and_no_other_letter_is",
            "no entity is ever found in a Chinese text",
        ),
    ),
]

ROWS = "tests/speed/test_rows.py::"
TABLES = [
    *_in(
        "minift/speed/rows.py",
        (
            "rows that nothing reads do not decay",
            "            table.weight.mul_(small.weight[-1])\n",
            "",
            ROWS + "test_rows_that_nothing_reads_are_multiplied_by_every_factor",
            "words of the test texts keep what others lost",
        ),
        (
            "validation reads rows as they were before training",
            "self.whole[ids] * self.weight[-1]",
            "self.whole[ids]",
            ROWS + "test_weights_and_history_are_those_of_training_the_whole_table"
            "[full-changes0-SequenceClassifier]",
            "the epoch that is kept may be another one",
        ),
        (
            "a model that predicts words learns a few of them",
            "        or isinstance(model, MaskedLM)\n",
            "",
            ROWS + "test_nothing_is_done_where_it_would_be_wrong_or_bring_nothing[predicts words]",
            "the decoder is the table",
        ),
    ),
    *_in(
        "minift/speed/rows.py",
        (
            "a rule that chooses elements of the table sees another table",
            "return rule.learning(WORD_TABLE, table) == table.numel()",
            "return True",
            ROWS + "test_a_run_comes_to_the_same_and_uses_it_where_it_may[random-scalars-0]",
            "what was chosen in one table learns in another",
        ),
    ),
]

PRECISION = "tests/speed/test_precision.py::"
HALVES = [
    *_in(
        "minift/speed/precision.py",
        (
            "bf16 is asked for and float32 computed",
            "return torch.autocast(self.embeddings.word.weight.device.type, torch.bfloat16)",
            "return contextlib.nullcontext()",
            PRECISION + "test_products_of_the_encoder_read_bf16_and_all_else_float32[True]",
            "the switch does nothing, and nobody notices but the clock",
        ),
        (
            "bf16 is emulated without a word",
            "        require_bf16(processor_flags())\n",
            "        pass\n",
            PRECISION + "test_bf16_is_refused_where_the_processor_lacks_it",
            "a run takes eight times as long as in float32",
        ),
    ),
    *_in(
        "minift/runs/train.py",
    ),
    *_in(
        "minift/speed/prefix.py",
        (
            "states kept in one precision are taken for the other's",
            "encoder.config, precision_of(model), *read",
            "encoder.config, *read",
            PRECISION + "test_a_frozen_prefix_that_is_kept_gives_the_same_bits[1]",
            "a model answers with states that it would not compute",
        ),
    ),
    *_in(
        "minift/methods/fisher.py",
        (
            "Fisher scores are computed in bf16",
            "        with full_precision(model):\n",
            "        if True:\n",
            PRECISION + "test_fisher_scores_are_those_of_float32_and_the_precision_is_put_back",
            "masks are drawn from scores of 8 bits",
        ),
    ),
    Mutant(
        "Apple's GPU is taken unasked",
        "minift/cli/options.py",
        'return "cuda" if torch.cuda.is_available() else "cpu"',
        'return "mps" if torch.backends.mps.is_available() else "cpu"',
        "tests/cli/test_doctor.py::"
        "test_a_gpu_is_taken_where_pytorch_has_it_and_refused_elsewhere[mps]",
        "everything runs on a device that nothing was ever tested on",
    ),
    Mutant(
        "bf16 on Apple's GPU is let through",
        "minift/speed/precision.py",
        'elif device.type == "mps":',
        "elif False:",
        PRECISION + "test_bf16_is_refused_where_the_processor_lacks_it",
        "PyTorch warns, computes in float32, and the run says bf16",
    ),
]

TRAIN = "tests/runs/test_train.py::"
FIT = "tests/runs/test_fit.py::"
HEART = [  # the model, the loop, and what is applied to them from outside
    *_in(
        "minift/bert/config.py",
        (
            "classifier_dropout is not read",
            "own = self.classifier_dropout",
            "own = self.hidden_dropout_prob",
            RATES,
            "config.json says one rate and training uses another",
        ),
    ),
    *_in(
        "minift/bert/masked_lm.py",
        (
            "decoder not tied in the backward pass",
            "self.bert.embeddings.word.weight, self.bias",
            "self.bert.embeddings.word.weight.detach(), self.bias",
            MASKED_LM,
            "logits agree and the embedding learns half of what it should",
        ),
        (
            "no decoder bias",
            "self.bert.embeddings.word.weight, self.bias",
            "self.bert.embeddings.word.weight",
            MASKED_LM,
            "frequent words lose their head start",
        ),
        (
            "no activation in the masked LM head",
            "activation(self.config.hidden_act, self.transform(hidden))",
            "self.transform(hidden)",
            MASKED_LM,
            "pretrained heads give other words",
        ),
        (
            "no LayerNorm in the masked LM head",
            "self.norm(activation(self.config.hidden_act, self.transform(hidden)))",
            "activation(self.config.hidden_act, self.transform(hidden))",
            MASKED_LM,
            "pretrained heads give other words",
        ),
        (
            "epsilon of the masked LM head",
            "nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)",
            "nn.LayerNorm(config.hidden_size)",
            MASKED_LM,
            "1e-5 instead of 1e-12",
        ),
        (
            "LayerNorm gains drawn like weights",
            'elif name.endswith("norm.weight"):',
            'elif name.endswith("no such name"):',
            WEIGHTS + "test_a_random_model_is_a_function_of_its_generator_drawn_as_bert_draws",
            "a new model starts with its signal multiplied by 0.02 in every layer",
        ),
    ),
    *_in(
        "minift/training/items.py",
        (
            "each window of a long sentence is taught the tags of its beginning",
            "[targets[word] for word in window.words]",
            "targets[: len(window.words)]",
            BATCHES + "test_5000_words_are_asked_once_each_by_their_first_pieces",
            "words after the first 128 pieces get tags of other words",
        ),
    ),
    *_in(
        "minift/methods/contrastive.py",
        (
            "all pairs weigh the same, whatever their kind",
            "[errors[kind].mean() for kind in (same, ~same) if kind.any()]",
            "[errors.mean()] if len(errors) else []",
            CONTRAST + "test_pairs_weigh_as_when_setfit_repeats_the_rarer_kind[0]",
            "with many classes texts are only pushed apart",
        ),
        (
            "a text without another of its class is an anchor that costs nothing",
            "-(summed[anchors] / positive.sum(1)[anchors]).mean()",
            "-(summed / positive.sum(1).clamp(min=1)).mean()",
            CONTRAST + "test_loss_and_gradient_equal_a_double_loop_over_the_texts"
            "[cpu-0-supervised_contrastive]",
            "a batch with many rare classes takes smaller steps",
        ),
        (
            "a text is its own neighbour",
            "(cosines(vectors) / temperature).masked_fill(itself, -torch.inf)",
            "cosines(vectors) / temperature",
            CONTRAST
            + "test_an_anchors_loss_is_torchs_cross_entropy_to_an_even_share_of_its_positives[0]",
            "the largest share of each softmax teaches nothing",
        ),
        (
            "a batch without a pair has no gradient",
            "torch.stack(means).mean() if means else 0 * vectors.sum()",
            "torch.stack(means).mean() if means else vectors.new_zeros(())",
            CONTRAST + "test_a_last_batch_of_one_text_moves_nothing_and_stops_nothing",
            "a run ends with a traceback where an epoch ends with one text",
        ),
        (
            "texts without a label are a class",
            "known = labelled(batch.targets)\n",
            "known = torch.ones_like(batch.targets, dtype=torch.bool)\n",
            CONTRAST + "test_unlabelled_texts_change_nothing[cosine_pairs]",
            "what nobody has labelled is pulled together",
        ),
        (
            "a class without examples is refused as if it had one",
            "if count[number] == 1",
            "if count[number] <= 1",
            CONTRAST
            + "test_one_example_of_a_class_is_refused_with_its_name_and_none_or_two_are_not",
            "a draw that lacks a rare class cannot be trained on, for a false reason",
        ),
    ),
    *_in(
        "minift/methods/cnn_head.py",
        (
            "a filter reads on into the next text",
            "part.roll(-ahead, 0).masked_fill(outside, 0.0)",
            "part.roll(-ahead, 0)",
            CONV + "test_logits_and_gradients_equal_padded_convolutions_of_torch[cpu-0-lengths0]",
            "a text's answer depends on which text comes after it",
        ),
        (
            "the mean of the windows instead of the maximum",
            "packed.layout.pad(windows).amax(1)",
            "packed.layout.pad(windows).mean(1)",
            CONV + "test_logits_and_gradients_equal_padded_convolutions_of_torch[cpu-0-lengths0]",
            "padding counts, and one telling word is lost in a long text",
        ),
    ),
    *_in(
        "minift/training/loop.py",
        (
            "the schedule is not told of the epochs before",
            "self.schedule.after_epoch(record.dev_loss)",
            "pass",
            AS_IF,
            "an adaptive run starts counting its bad epochs anew",
        ),
        (
            "a parameter that does not learn in an epoch decays all the same",
            "parameter.requires_grad_(name in learning)",
            "parameter.requires_grad_(True)",
            LOOP + "test_in_an_epoch_in_which_a_parameter_does_not_learn_nothing_of_it_changes",
            "gradual unfreezing is full fine-tuning",
        ),
        (
            "the loss that is told has the wrong sign",
            "loss = self.loss / max(1, self.targets)",
            "loss = -self.loss / max(1, self.targets)",
            TRAIN + "test_losses_of_history_are_means_over_targets[tiny-reviews]",
            "history.jsonl shows a run that climbs",
        ),
        (
            "the loss that is told is of the last step alone",
            "self.loss, self.targets = self.loss + loss, self.targets + targets",
            "self.loss, self.targets = loss, targets",
            LOOP + "test_the_loss_of_an_epoch_is_the_mean_over_its_targets",
            "the curve shows one batch in each epoch",
        ),
        (
            "the best of no scores is looked for",
            'if self.settings.keep == "best" and history.best_epoch:',
            'if self.settings.keep == "best":',
            LOOP + "test_a_best_epoch_that_no_score_names_is_the_last_and_the_run_says_so"
            "[scores0-3-True]",
            "after all training a KeyError",
        ),
        (
            "five streams of one seed are one sequence",
            'return cls(int(seed), *(int.from_bytes(digest[:6], "big") for digest in digests))',
            "return cls(seed, seed, seed, seed, seed)",
            LOOP + "test_the_five_streams_of_a_seed_are_five_sequences",
            "the first dropout mask is the first gradient mask",
        ),
        (
            "a negative norm is accepted",
            'name in ("weight_decay", "clip")\n',
            'name in ("weight_decay", "clip")\n            zero, value = zero, abs(value)\n',
            LOOP + "test_each_value_of_settings_is_judged_when_they_are_built"
            "[clip--1-a number from 0 up]",
            "clip=-1 climbs the loss",
        ),
        (
            "a checkpoint forgets the best epoch",
            '"best_epoch": self.history.best_epoch,',
            '"best_epoch": 0,',
            LOOP + "test_a_training_continued_from_its_state_after_any_step_ends_with_the_same_bits"
            "[in_turn]",
            "a resumed run keeps other weights",
        ),
        (
            "dropout stays on in frozen layers",
            "[] if self.settings.prefix_dropout else frozen_prefix(self.model)",
            "[]",
            LOOP + "test_dropout_rests_below_what_learns_in_each_epoch",
            "noise in features that cannot adapt to it",
        ),
    ),
    *_in(
        "minift/runs/processes.py",
        (
            "gradients stay where they are",
            "    sum_over_ranks([*(p.grad for p in learning if p.grad is not None), there])\n",
            "    sum_over_ranks([there])\n",
            UNEVEN + "[five-2]",
            "each process trains a model of its own on a part of the data",
        ),
    ),
    *_in(
        "minift/cli/evaluate.py",
        (
            "labels are judged before pairs",
            'how["pairs"] = tuned.pairs if isinstance(tuned, FineTuned) else None',
            "pass",
            "tests/cli/test_told.py::"
            + "test_single_texts_are_refused_by_a_run_on_pairs_in_every_command",
            "a file of pairs is refused for its labels, which are right",
        ),
    ),
    *_in(
        "minift/runs/folder.py",
        (
            "what is no run is not told what it is",
            'raise refusal(folder, "run")',
            'raise MiniftError(f"{folder} is not a run folder: it has no config.json")',
            PUBLISHED + "test_what_is_no_run_says_what_it_is",
            "an adapter given to predict is refused without a way out",
        ),
        (
            "a run in bf16 answers in float32",
            "precision or kept",
            'precision or "float32"',
            PRECISION + "test_a_run_answers_as_it_was_scored_in_the_precision_of_its_training",
            "evaluate gives another score than the run's own",
        ),
    ),
    *_in(
        "minift/runs/fit.py",
        (
            "a cache of other weights is taken",
            "cache.fits(model) and",
            "True and",
            PREFIX
            + "test_a_cache_of_other_weights_or_one_that_reaches_above_what_is_frozen_is_refused",
            "the head learns from features of another encoder",
        ),
        (
            "a cache may reach above what is frozen",
            "and cache.layers < quiet)",
            ")",
            PREFIX
            + "test_a_cache_of_other_weights_or_one_that_reaches_above_what_is_frozen_is_refused",
            "layers that should learn stand still",
        ),
        (
            "processes do not share a step",
            "team=TEAM, ",
            "",
            PROCESSES
            + "test_fit_deals_out_each_step_and_gives_each_process_a_stream_of_dropout_of_its_own",
            "two processes do the work of one twice",
        ),
        (
            "all processes draw the same dropout masks",
            "replace(seeds, dropout=own_seed(seeds.dropout))",
            "seeds",
            PROCESSES
            + "test_fit_deals_out_each_step_and_gives_each_process_a_stream_of_dropout_of_its_own",
            "examples that are dealt out share their noise",
        ),
    ),
    *_in(
        "minift/active/loop.py",
        (
            "a round drops the rates of the layers",
            "tuned.items(labelled), self.recipe, seeds",
            "tuned.items(labelled), replace(self.recipe, scales=None), seeds",
            FIT + "test_a_method_gives_the_same_weights_on_every_path[layerwise:0.1]",
            "reports say layerwise and full was trained, as it once was",
        ),
    ),
    *_in(
        "minift/runs/train.py",
        (
            "all labels by their number are drawn in another order",
            "if labels is None or labels == len(examples):",
            "if labels is None:",
            TRAIN + "test_all_labels_asked_for_by_their_number_train_the_same_bytes",
            "the same examples, and another model",
        ),
        (
            "the development split is scored after each epoch for nobody",
            "look = validate if dataset.dev and looks else None",
            "look = validate if dataset.dev else None",
            TRAIN + "test_the_development_split_is_scored_once_unless_somebody_looks_at_it"
            "[full-options0-last-0]",
            "a short run takes three times as long",
        ),
        (
            "a resumed run does not compare the encoder's weights",
            "weights_digest(tuned.model) if folder or world_size() > 1 else None",
            "None",
            RESUME_TESTS
            + "test_an_unfinished_run_of_an_encoder_whose_weights_have_changed_is_refused",
            "half of a run is of one encoder, half of another",
        ),
    ),
    *_in(
        "minift/runs/tuned.py",
        (
            "a trained head is drawn anew",
            "if kept and new_head:",
            "if kept:",
            TRAIN + "test_a_run_folder_as_encoder_keeps_its_head_and_the_run_says_so",
            "what was learned is thrown away in silence",
        ),
    ),
    *_in(
        "minift/runs/resume.py",
        (
            "torch writes its checkpoints by itself",
            "torch.save(state, file)",
            'torch.save(state, folder / "new")',
            RESUME_TESTS + "test_a_full_disk_ends_the_run_and_leaves_the_last_good_checkpoints",
            "a full disk ends a run with a traceback",
        ),
    ),
]

RATES_TESTS = "tests/methods/test_rates.py::"
OF_TINY = RATES_TESTS + "test_tiny_needs_no_option_in_train_in_a_project_and_in_a_simulation[told0-"

RATED = [
    *_in(
        "minift/methods/recipes.py",
        (
            "an encoder's rate for BitFit is ignored",
            "_set(result, learning_rate=rates[kind])",
            "_set(result, learning_rate=RATES[kind])",
            RATES_TESTS + "test_train_learns_at_the_encoders_rate_unless_told_another[bitfit]",
            "a small encoder learns in steps that suit MiniLM, and its user is told nothing",
        ),
        (
            "the control of Child-Tuning takes the rate of all encoders",
            "recipe.settings.learning_rate * factor",
            'RATES["full"] * factor',
            RATES_TESTS
            + "test_every_word_takes_its_kind_of_rate_from_the_encoders_folder"
            + "_and_else_from_the_table[full-sqrt:0.25]",
            "the control of a fair comparison learns six times as slowly as what it controls",
        ),
    ),
    *_in(
        "minift/cli/options.py",
        (
            "a project does not ask its encoder for the rate",
            "recipe(name, arguments.encoder)",
            "recipe(name)",
            OF_TINY + "0.0003]",
            "each round of a project that costs people's time trains a model that learns little",
        ),
    ),
    *_in(
        "minift/compare/grid.py",
        (
            "a comparison does not ask its encoder for the rates",
            "recipe(name, checkpoint)",
            "recipe(name)",
            RATES_TESTS + "test_a_comparison_runs_and_reports_at_the_encoders_rates",
            "a comparison ranks methods at rates at which none of them learns",
        ),
    ),
    *_in(
        "minift/runs/train.py",
        (
            "a run folder forgets the rates of its encoder",
            "shutil.copyfile(rates, folder / rates.name)",
            "pass",
            RATES_TESTS
            + "test_a_run_folder_keeps_the_rates_of_its_encoder_for_whoever_trains_it_further",
            "training a run folder further needs an option that training it did not need",
        ),
    ),
]
SOLVED_TESTS = "tests/methods/test_solved_head.py::"
SOLVED = _in(
    "minift/methods/solved_head.py",
    (
        "two classes are solved at twice their strength",
        "costs * (1 + (classes == 2 and targets.dim() == 1))",
        "costs",
        SOLVED_TESTS + "test_probabilities_equal_logistic_regression[(60, 10, 2)-1.0]",
        "a strength that was found with scikit-learn means something else here",
    ),
    (
        "the strength is that of the least held-out loss, by chance or not",
        "near = [float(d.sum()) <= float(d.std()) * len(d) ** 0.5 for d in more]",
        "near = [float(d.sum()) <= 0 for d in more]",
        SOLVED_TESTS + "test_the_strength_with_groups_is_that_of_a_loop_over_groups",
        "with 16 texts that strength is chance",
    ),
    (
        "the bias of a solved head is held back",
        "costs[-1] = 0.0",
        "costs[-1] = 1.0",
        SOLVED_TESTS + "test_a_number_is_predicted_as_by_ridge_regression[80-10-0.01]",
        "few labels pull every prediction towards zero",
    ),
    (
        "words of one sentence are held out apart",
        "if groups is None else torch.tensor(groups)[known]",
        "if True else torch.tensor(groups)[known]",
        SOLVED_TESTS + "test_copies_of_a_row_do_not_vouch_for_each_other_where_they_are_one_group",
        "neighbours are learned by heart, and the strength is too large",
    ),
    (
        "a class without a row is as likely as any",
        "ABSENT = -30.0",
        "ABSENT = 0.0",
        SOLVED_TESTS + "test_a_class_without_a_row_is_never_likely_and_leaves_the_others_alone[2]",
        "texts get a label that nobody has shown an example of",
    ),
    (
        "the solved head stops early",
        "LOOSE, TIGHT = 3e-4, 3e-10",
        "LOOSE, TIGHT = 3e-4, 1e-5",
        SOLVED_TESTS + "test_probabilities_equal_logistic_regression[(90, 12, 3)-1000.0]",
        "probabilities depend on where the descent began",
    ),
)

OWN_TOOLS = (
    Mutant(
        "-1 of a ClassLabel is the last class",
        "minift/data/files/frames.py",
        "value is None or value < 0 else",
        "value is None else",
        "tests/data/test_frames.py::test_classes_and_tags_that_are_numbers_get_their_names",
        "texts without a label, as in GLUE's test parts, are scored as the last class",
    ),
    Mutant(
        "columns of probabilities in the order of the model",
        "minift/runs/classifier.py",
        "names = [*map(str, self.classes_.tolist())]",
        "names = [*self.model_.labels]",
        "tests/runs/test_classifier.py::test_numbers_in_quotes_have_their_columns_in_order",
        "scikit-learn sorts classes as strings, and reads the probability of another class",
    ),
    Mutant(
        "a card with the interval of another score",
        "minift/runs/card.py",
        "return 2 * low / (1 + low), 2 * high / (1 + high)",
        "return low, high",
        "tests/runs/test_card.py::test_taggers_amounts_and_other_heads_have_their_own_figures",
        "the interval of an F1 does not hold the F1 itself",
    ),
    Mutant(
        "labels of before are not compared with the classes",
        "minift/label/project.py",
        "labels=known, notes=notes",
        "labels=(), notes=notes",
        "tests/label/test_labelled.py::"
        "test_what_does_not_fit_is_told_and_nothing_is_written[unknown]",
        "a wrong label is named without its line",
    ),
    Mutant(
        "the first answer of a person counts for kappa",
        "minift/data/agreement.py",
        "given.setdefault(person, {})[text] = label",
        "given.setdefault(person, {}).setdefault(text, label)",
        "tests/data/test_agreement.py::"
        "test_each_two_people_are_told_with_the_texts_that_both_answered",
        "a mistake that was corrected lowers the agreement",
    ),
)
WEIGHED = "tests/methods/test_class_weights.py::"
CALIBRATED = "tests/data/test_calibration.py::"
DECIDED = "tests/runs/test_decide.py::"
SURE = [
    Mutant(
        "a solved head forgets the weights of its classes in the penalty",
        "minift/methods/solved_head.py",
        "(strength * by.sum())",
        "(strength * len(rows))",
        WEIGHED + "test_a_solved_head_is_logistic_regression_with_the_same_weights"
        "[by hand-1.0-60-10-2]",
        "C would mean another strength with weights than scikit-learn's does.",
    ),
    Mutant(
        "what a method refuses is refused after the run folder is there",
        "minift/runs/train.py",
        "rehearse(tuned, items, method, seeds, look is not None)",
        "pass",
        "tests/cli/test_refused_early.py::test_a_refusal_is_one_line_and_leaves_nothing"
        "[train --encoder encoder --train two.csv --test two.csv --class-weights w.csv --method "
        "head]",
        "Bad input would leave a run.json, in a folder that no other command may then use.",
    ),
    Mutant(
        "folds are announced before a method has seen what each of them leaves",
        "minift/cli/train.py",
        "learned = [item for item in items if item.example not in held]",
        "learned = items",
        "tests/cli/test_refused_early.py::test_a_refusal_is_one_line_and_leaves_nothing"
        "[train --encoder encoder --train rare.csv --method contrastive]",
        "The third of five folds would end an estimate after minutes.",
    ),
    Mutant(
        "a comma before three digits is taken for a point",
        "minift/data/files/tables.py",
        "(\\d*,(?!\\d{3}$)|0*,)",
        "(\\d*,)",
        READERS + "test_a_regression_label_that_is_no_finite_number_is_refused_by_line[1,234]",
        "1,234 would be learned as one and a quarter where it may be a thousand.",
    ),
    Mutant(
        "the command that check prints has names that are not quoted",
        "minift/cli/check.py",
        'names = "--labels=" + row.getvalue()[:-2]',
        'names = "--labels=" + ",".join(dataset.labels)',
        "tests/cli/test_check.py::test_the_command_that_is_printed_keeps_odd_names_of_classes"
        "[names0]",
        'A class called "a, b" would become two in the project that is suggested.',
    ),
    Mutant(
        "class weights do not reach a head that is solved",
        "minift/runs/fit.py",
        'of_class = getattr(recipe.objective, "of_class", None)',
        "of_class = None",
        WEIGHED + "test_rare_classes_are_answered_more_often_with_weights",
        "--class-weights would be accepted by --method head, and change nothing.",
    ),
    Mutant(
        "bins of the calibration error hold their lower ends",
        "minift/data/calibration.py",
        "places = np.ceil(sure * BINS).astype(int)",
        "places = np.floor(sure * BINS).astype(int)",
        CALIBRATED + "test_calibration_error_by_hand_at_the_edges_of_bins",
        "Probabilities of 1 would have a bin of their own, and no other paper's error.",
    ),
    Mutant(
        "ties go to the smallest threshold",
        "minift/data/calibration.py",
        "cuts = np.unique(p)[::-1]",
        "cuts = np.unique(p)",
        CALIBRATED + "test_ties_go_to_the_largest_threshold_by_hand",
        "Of two thresholds with one F1, that with more false alarms would be kept.",
    ),
    Mutant(
        "a text is judged by its likeliest class, whatever the threshold answers",
        "minift/runs/decide.py",
        "return labels[best], scores[best] >= self.abstain_below, scores",
        "return labels[best], max(scores) >= self.abstain_below, scores",
        DECIDED + "test_a_text_is_judged_by_the_class_that_a_threshold_answers",
        "Labels of probability .2 would be given as if they were of .8.",
    ),
    Mutant(
        "repeats of the folds count as more texts",
        "minift/runs/decide.py",
        "once = len({index for index, _ in answers})",
        "once = len(answers)",
        DECIDED + "test_repeats_are_not_counted_as_more_texts",
        "Intervals would be narrower the more often the same texts are asked for.",
    ),
    Mutant(
        "a temperature that raises the calibration error is not told",
        "minift/runs/decide.py",
        'elif had["calibration_error"][0] > had["calibration_error_without"][0]:',
        'elif had["calibration_error"][0] < had["calibration_error_without"][0]:',
        DECIDED + "test_a_temperature_that_raises_the_calibration_error_is_told",
        "Two figures would stand side by side, the worse one chosen, without a word.",
    ),
    Mutant(
        "each fold lets the frozen encoder read the texts again",
        "minift/runs/folds.py",
        "            cache=states,\n",
        "            cache=None,\n",
        "tests/runs/test_folds.py::test_a_frozen_encoder_reads_each_text_once_for_all_folds[folds]",
        "Cross-validation of a head would take three times as long.",
    ),
    Mutant(
        "a rare class of several takes folds away",
        "minift/runs/folds.py",
        "needed = [*several[-2:][:1],",
        "needed = [*several[:1],",
        "tests/runs/test_folds.py::test_fewer_folds_are_said",
        "For a class of two texts all models would learn from half of the labels.",
    ),
    Mutant(
        "a report on one fold speaks of what folds have in common",
        "minift/compare/report.py",
        "if len({run.seed for run in c.runs}) == 1:",
        "if not c.runs:",
        "tests/compare/test_report.py::test_a_report_on_folds_speaks_of_folds",
        "Wilson's interval of one fold would be taken for that of Nadeau and Bengio.",
    ),
]
DOUBT_TESTS, CHECK_TESTS = "tests/data/test_doubt.py::", "tests/runs/test_check.py::"
DOUBTED = (
    *_in(
        "minift/data/doubt.py",
        (
            "a class that no text has needs no certainty",
            "np.maximum(count, 1), np.inf)",
            "np.maximum(count, 1), 0.0)",
            DOUBT_TESTS + "test_counts_and_doubtful_texts_equal_cleanlabs[3]",
            "everything is taken for a class that nobody uses",
        ),
        (
            "doubtful labels are named in the order of the file",
            'own.argsort(kind="stable")',
            "np.arange(len(own))",
            DOUBT_TESTS + "test_the_worst_label_comes_first_and_rounding_is_no_doubt",
            "people look at the wrong texts first",
        ),
        (
            "two texts are compared by one rare word too few",
            "- SLACK) + 1]",
            "- SLACK)]",
            DOUBT_TESTS + "test_near_copies_are_all_pairs_above_the_share[0.9]",
            "copies with another label stay in the file",
        ),
    ),
    *_in(
        "minift/runs/check.py",
        (
            "labels that cannot be learned are judged all the same",
            "** 0.5 > 2",
            "** 0.5 > -9",
            CHECK_TESTS + "test_one_answer_for_every_text_judges_nothing",
            "half of the file is called wrong because the model knows nothing",
        ),
        (
            "a class of one text is judged by models that have not learned it",
            "if holders[label] > 1]",
            "if holders[label]]",
            CHECK_TESTS + "test_a_class_of_one_text_is_not_judged_and_spoils_nothing",
            "all that is unclear is taken for the rarest class",
        ),
    ),
)

GRADUAL_TESTS = "tests/methods/test_gradual.py::"
HEATED_TESTS = "tests/methods/test_heated.py::"
FGM_TESTS = "tests/methods/test_fgm.py::"
HEATED_PHASES = HEATED_TESTS + "test_alpha_changes_at_the_right_epoch_and_the_moments_are_kept"
TEXT_BY_TEXT = (
    FGM_TESTS
    + "test_loss_and_gradients_are_those_of_each_text_alone_from_its_word_vectors_on[all-classes]"
)
NEIGHBOURS = (
    *_in(
        "minift/methods/gradual.py",
        (
            "a layer more learns than its epoch says",
            "range(depth + 1 - epoch)",
            "range(depth - epoch)",
            GRADUAL_TESTS + "test_at_each_stage_exactly_the_head_and_the_top_layers_move_and_"
            "others_keep_their_bits",
            "the top layer is torn by a random head in the first epoch",
        ),
        (
            "the embeddings learn with the lowest layer",
            "epoch < depth + 2",
            "epoch < depth + 1",
            GRADUAL_TESTS + "test_gradual_is_torchs_adamw_that_is_given_one_more_layer_per_epoch_"
            "and_forgets_nothing",
            "two parts are unfrozen at once, where one was announced",
        ),
        (
            "a run may end before the embeddings learn",
            "epochs < least:",
            "epochs < least - 1:",
            GRADUAL_TESTS + "test_a_run_of_just_the_length_is_taken_and_one_epoch_less_refused",
            "what is called full unfreezing leaves a part frozen",
        ),
    ),
    *_in(
        "minift/methods/recipes.py",
        (
            "ulmfit forgets the rates of the layers",
            '_slanted(_layerwise(_gradual(recipe, ""), "0.385"), "")',
            '_slanted(_gradual(recipe, ""), "")',
            GRADUAL_TESTS + "test_ulmfit_is_its_three_words_together_and_none_of_them_is_idle",
            "two of three ideas are compared under the name of all",
        ),
        (
            "a word of several slots fills the first only",
            'for slot in WORDS[word].slot.split(", "):',
            'for slot in WORDS[word].slot.split(", ")[:1]:',
            GRADUAL_TESTS + "test_what_cannot_go_together_is_refused[ulmfit+adaptive]",
            "one of two schedules is dropped without a word",
        ),
    ),
    *_in(
        "minift/methods/heated.py",
        (
            "the logits are divided by alpha",
            "alpha * logits[known]",
            "logits[known] / alpha",
            HEATED_TESTS + "test_a_large_alpha_teaches_by_border_and_error_and_a_small_one_by_all_"
            "alike[4.0-expected3]",
            "the softmax cools down where it should heat up",
        ),
        (
            "phases begin one step early",
            "step * len(self.alphas) // steps",
            "min((step + 1) * len(self.alphas) // steps, len(self.alphas) - 1)",
            HEATED_PHASES,
            "alpha changes within an epoch",
        ),
        (
            "normalised by the largest logit of the batch",
            "F.normalize(logits, dim=-1) if",
            "F.normalize(logits, dim=0) if",
            HEATED_TESTS + "test_normalised_the_gradient_is_at_right_angles_to_the_logits_and_"
            "zeros_are_no_trouble",
            "what a text is worth depends on its batch",
        ),
    ),
    *_in(
        "minift/methods/fgm.py",
        (
            "the norm is that of the batch",
            "nn.functional.normalize(rows)",
            "(rows / rows.norm())",
            TEXT_BY_TEXT,
            "a text moves less, the more texts stand beside it",
        ),
        (
            "the words move down the gradient",
            "x + moved",
            "x - moved",
            FGM_TESTS
            + "test_the_loss_rises_by_size_times_the_norm_of_g_and_more_than_in_random_directions",
            "the easiest neighbour is trained on, not the hardest",
        ),
        (
            "the sum of both losses, not the mean",
            "(clean + loss(model, batch, step, steps)) / 2",
            "clean + loss(model, batch, step, steps)",
            FGM_TESTS + "test_size_0_trains_as_without_it_also_with_dropout",
            "the rate means twice what it says",
        ),
        (
            "the second pass draws masks of its own",
            "        stream.set_state(masks)\n",
            "",
            FGM_TESTS + "test_no_weight_changes_and_nothing_is_left_behind",
            "methods are compared on other dropout, and the step is not the worst of this network",
        ),
        (
            "a text without a gradient gets nan",
            ".masked_fill(peaks == 0, 1)",
            "",
            FGM_TESTS + "test_where_the_gradient_is_0_nothing_moves_and_nothing_is_nan",
            "the run diverges at the first text that is learned",
        ),
        (
            "the squares of small gradients are 0",
            "texts / peaks.masked_fill(peaks == 0, 1)",
            "texts * 1.0",
            FGM_TESTS + "test_the_norm_of_each_text_is_the_size_whatever_the_gradients[0.5]",
            "a text that is almost learned does not move, or too little",
        ),
        (
            "states of frozen layers are read, so that no word moves",
            "replace(batch.packed, computed=None)",
            "replace(batch.packed)",
            FGM_TESTS + "test_what_makes_training_faster_changes_nothing[freeze:2+fgm:0.5]",
            "with frozen layers fgm fails, or trains as without it",
        ),
    ),
    *_in(
        "minift/runs/fit.py",
        (
            "a loss is dropped where the head is solved",
            "    if alone and (own or recipe.gradients",
            "    if alone and (recipe.gradients",
            FGM_TESTS + "test_a_head_that_is_solved_has_no_loss_to_move",
            "head is compared under the name of head+fgm",
        ),
    ),
)

READ = (
    *_in(
        "minift/pretraining/expand.py",
        (
            "the most frequent words are taken, whatever their pieces",
            "count * (len(pieces) - 1)",
            "count",
            EXPANDS + "test_ties_go_by_the_alphabet_and_rare_or_numeric_words_are_left_out",
            "words that save little take the places of words that save much",
        ),
        (
            "a new row is the sum of its pieces",
            ".mean(0, keepdim=True)",
            ".sum(0, keepdim=True)",
            EXPANDS + "test_old_rows_keep_their_bits_and_new_ones_are_the_means_of_their_pieces",
            "a new word is far from all that the encoder knows",
        ),
        (
            "the bias of the masked LM stays short",
            "model.bias = nn.Parameter(grown(model.bias))",
            "pass",
            EXPANDS + "test_spare_rows_are_used_before_the_table_grows",
            "the masked LM can no longer be loaded, or trained",
        ),
    ),
    *_in(
        "minift/checkpoints/tokenizer.py",
        (
            "new words are found inside of others",
            "AddedToken(word, single_word=True)",
            "AddedToken(word, single_word=False)",
            EXPANDS + "test_added_as_a_piece_a_word_would_change_others",
            "texts without new words change, and what was learned from them is lost",
        ),
        (
            "an id without a piece is counted, and a new word gets another's",
            'stored["model"]["vocab"] |=',
            "_ =",
            EXPANDS + "test_in_a_vocabulary_with_holes_no_id_is_given_twice",
            "a new word is read as another piece",
        ),
    ),
    *_in(
        "minift/pretraining/condenser.py",
        (
            "the head reads all of the last layer",
            "return early.index_copy(0, first.indices, first.of(late))",
            "return late",
            CONDENSES + "test_3_the_head_reaches_the_late_layers_through_cls_alone",
            "nothing makes [CLS] hold the text",
        ),
        (
            "layers count from 0",
            "bert.up_to(self.early, packed)",
            "bert.up_to(self.early - 1, packed)",
            CONDENSES
            + "test_1_the_head_reads_cls_of_the_last_layer_and_the_rest_of_the_early_one[2]",
            "tokens are read one layer below the one that was asked for",
        ),
    ),
    *_in(
        "minift/pretraining/pretrain.py",
        (
            "the pooler is lost",
            "    model.bert.pooler = weights.load_model(Bert, encoder)[0].pooler\n",
            "",
            FURTHER + "test_what_is_written_is_an_encoder_for_all_with_its_pooler_as_it_was[mlm]",
            "the linear head starts from a random pooler instead of the encoder's own",
        ),
        (
            "a condenser says that the mean is what to read",
            "mean=condenser is None)",
            "mean=True)",
            FURTHER
            + "test_what_is_written_is_an_encoder_for_all_with_its_pooler_as_it_was[condenser]",
            "what was learned at [CLS] is not read",
        ),
        (
            "texts are cut into pairs",
            "pairs=0.0)",
            "pairs=0.5)",
            FURTHER + "test_no_text_is_cut_into_a_pair_so_an_encoder_of_one_segment_can_read_on",
            "an encoder with one kind of segment cannot read on",
        ),
    ),
    *_in(
        "minift/pretraining/corpus.py",
        (
            "sequences with nothing to guess are kept",
            "if asks[slice(*run)].any()",
            "",
            FURTHER + "test_texts_of_unknown_letters_are_left_out_and_the_others_are_read",
            "a batch of them ends the run with an error that nobody understands",
        ),
        (
            "every eighth step reads half as many texts, also where none is long",
            "long_every if len(self.long_runs) < len(self.runs) else 0",
            "long_every",
            FURTHER + "test_a_pass_reads_each_text_once_where_none_is_longer_than_a_sequence",
            "passes are announced in which some texts are never read",
        ),
        (
            "half of one text is no text",
            "max(1, self.sequences // 2)",
            "self.sequences // 2",
            FURTHER + "test_a_step_may_read_one_text_in_every_eighth_step_too[1]",
            "--batch-size 1 ends in a traceback after eight steps",
        ),
    ),
)

DEBIASED = "tests/methods/test_debias.py::"
FUSED = "tests/runs/test_fusion.py::"
GAPS = "tests/data/test_gaps.py::"
FOUND = DEBIASED + "test_words_are_found_at_their_boundaries_and_as_the_encoder_spells_them"
PENALTY = DEBIASED + "test_the_penalty_and_its_gradient_are_a_plain_loop_over_texts_and_words"
STRENGTH_0 = DEBIASED + "test_strength_0_is_full_at_every_step_and_strength_1_is_not[adversary]"
TAKEN = DEBIASED + (
    "test_downstream_takes_the_encoder_bit_for_bit_with_a_head_drawn_by_seed[adversary]"
)
UPSTREAM = (
    *_in(
        "minift/methods/debias.py",
        (
            "only the first piece of a word is occluded",
            "*[mask] * (end - at), *ids[end:]]",
            "mask, *ids[at + 1 :]]",
            FOUND + "[pieces]",
            "the rest of the word still says what it was",
        ),
        (
            "a word is found at the beginning of a longer one",
            "end for end in ends if ids[end] not in inside",
            "end for end in ends",
            FOUND + "[begins-a-word]",
            "womenfolk is taken for women, and what is left is no word",
        ),
        (
            "the penalty teaches by the whole text alone",
            "(whole - without).square()",
            "(whole - without.detach()).square()",
            PENALTY + "[classes]",
            "half of the gradient is lost",
        ),
        (
            "the penalty is divided by the labels that a text may have",
            "changes.sum() / len(batch.examples)",
            "changes.sum() / max(1, len(losses))",
            PENALTY + "[any-number-of-labels]",
            "with 48 labels a strength is a 48th of what it says",
        ),
        (
            "the adversary's loss is divided by the labels that a text may have",
            "wrong / len(batch.examples)",
            "wrong / max(1, len(losses))",
            DEBIASED + "test_the_adversary_counts_once_per_text_however_many_labels_it_may_have",
            "with 48 labels a strength is a 48th of what it says",
        ),
        (
            "the penalty draws dropout",
            "model.eval()(both.packed, both.wanted)",
            "model(both.packed, both.wanted)",
            DEBIASED + "test_dropout_is_off_for_the_penalty_and_as_before_afterwards",
            "noise is penalised, and strength 0 is another run",
        ),
        (
            "the encoder helps the adversary",
            "-strength * gradient)",
            "strength * gradient)",
            DEBIASED + "test_the_reversal_is_the_identity_and_minus_lambda_times_the_gradient[3.0]",
            "the attribute stands out more than before",
        ),
    ),
    *_in(
        "minift/training/loop.py",
        (
            "the adversary's gradient is clipped with the encoder's",
            "if not n.startswith(ADVERSARY)]",
            "if n]",
            STRENGTH_0,
            "an adversary that should only watch slows the encoder down",
        ),
    ),
    *_in(
        "minift/runs/fit.py",
        (
            "what was there only to train is saved with the model",
            "        delattr(model, name)",
            "        pass",
            TAKEN,
            "no other program loads the run",
        ),
        (
            "what is there only to train is counted",
            "if not name.startswith(ADVERSARY)]",
            "if name]",
            DEBIASED + "test_what_is_there_only_to_train_is_not_counted_as_learned_or_to_be_stored",
            "a table says that more must be stored than is",
        ),
    ),
    *_in(
        "minift/data/intervals.py",
        (
            "the interval of a difference takes the wrong ends",
            "math.hypot(p - low, above - q)",
            "math.hypot(p - low, q - below)",
            GAPS + "test_the_interval_has_the_figures_of_newcombes_paper[counts0-0.0524-0.3339]",
            "a gap looks surer than it is",
        ),
    ),
    *_in(
        "minift/data/metrics.py",
        (
            "a group's texts are among the others",
            "if (g == name) is mine]",
            "if g == name or not mine]",
            GAPS + "test_false_positives_are_those_of_a_table_by_hand",
            "the gap of a large group is hidden by itself",
        ),
    ),
    *_in(
        "minift/runs/fusion.py",
        (
            "vectors are handed out in the order of the file, not of the batch",
            "vectors[list(batch.examples)]",
            "vectors[: len(batch.examples)]",
            FUSED + "test_it_learns_and_with_shuffled_labels_it_learns_nothing",
            "it learns the labels of other texts",
        ),
        (
            "the first encoder is read twice",
            "vectors=True) for p in self.parts]",
            "vectors=True) for p in self.parts[:1] * 2]",
            FUSED + "test_the_vectors_are_those_of_each_encoder_text_by_text",
            "the second encoder is paid for and never asked",
        ),
    ),
)

MUTANTS = [
    *HEART,
    *ENCODER,
    *HEADS,
    *DROPOUTS,
    *LAYOUT,
    *CONFIGS,
    *STRICT,
    *LOADER,
    *WRITER,
    *JOURNALS,
    *WORDPIECE,
    *SCORES,
    *TRAINING,
    *TAGGING,
    *EXCHANGED,
    *PROJECTS,
    *CURVES,
    *RESUMED,
    *STRANGERS,
    *SEVERAL,
    *KILLED,
    *KEPT,
    *HALVES,
    *TABLES,
    *RATED,
    *SOLVED,
    *OWN_TOOLS,
    *SURE,
    *DOUBTED,
    *NEIGHBOURS,
    *READ,
    *UPSTREAM,
]
