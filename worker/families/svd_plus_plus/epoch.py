"""Steps of SVD++ over batches of ratings while the implicit vectors stand still; imports TensorFlow.

A sum over all that a user rated costs as much as all their ratings, so it is not made anew for a batch. The
implicit vectors stand still for a block of steps, in which the sums are exact; what each step would do to
them is added up, and they follow it once, after the block.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import tensorflow as tf

from worker.engine.batches import Batches
from worker.engine.compiled import CompiledFunction
from worker.engine.factor_epoch import FactorState, move_table, n_rows_of, rows_of
from worker.engine.optimizers import Optimizer

_CACHE_SIZE = 4


class Implicit(NamedTuple):
    """What stands still during a block.

    sums: (n_users, size), n^-1/2 Σ of the implicit vectors of a user's items      scales: (n_users,), n^-1/2
    vectors: (n_items, size)
    """

    sums: tf.Tensor
    scales: tf.Tensor
    vectors: tf.Tensor


class BlockSums(NamedTuple):
    """What the steps of a block add up.

    by_user: (n_users, size), gradients of `Implicit.sums`, of squared errors of single ratings
    by_item: (n_items, size), gradients of `Implicit.vectors` where a rating's own item is left out
    loss: () float64, squared errors
    """

    by_user: tf.Tensor
    by_item: tf.Tensor
    loss: tf.Tensor


class _Loop(NamedTuple):
    number: tf.Tensor
    state: FactorState
    sums: BlockSums
    scratch: tuple[tf.Tensor, tf.Tensor]


# (batches, first step, stop step, state, share of the learning rate, (user_l2, item_l2), implicit, sums)
# -> (state, sums)
Block = Callable[..., tuple[FactorState, BlockSums]]


@lru_cache(maxsize=_CACHE_SIZE)
def compile_block(size: int, optimizer: Optimizer, batch_size: int) -> Block:
    """The training steps as a function that compiles when it is first called.

    Rows of the tables are vectors, each with its bias behind it.
    """

    def run_step(
        batches: Batches, rate_share: tf.Tensor, l2: tf.Tensor, implicit: Implicit, loop: _Loop
    ) -> _Loop:
        state, step = loop.state, loop.state.step + 1
        tables = (state.user_table, state.item_table)
        indices = user_index, item_index = (
            batches.user_index[loop.number],
            batches.item_index[loop.number],
        )
        n_real = tf.minimum(batches.n_ratings - loop.number * batch_size, batch_size)
        users, items = (
            rows_of(optimizer, table, index, state.step, rate_share)
            for table, index in zip(tables, indices, strict=True)
        )
        scales = tf.gather(implicit.scales, user_index)[:, tf.newaxis]
        others = tf.gather(implicit.sums, user_index) - scales * tf.gather(implicit.vectors, item_index)
        tastes, traits = users[:, :size] + others, items[:, :size]
        predicted = tf.reduce_sum(tastes * traits, 1) + users[:, size] + items[:, size]
        is_real = tf.range(batches.rating.shape[1]) < n_real
        errors = tf.where(is_real, predicted - batches.rating[loop.number], 0.0)[:, tf.newaxis]
        weight = tf.cast(is_real, tf.float32)[:, tf.newaxis]
        of_tastes = 2 * errors * traits
        gradients = (
            tf.concat([of_tastes, 2 * errors], 1) + 2 * l2[0] * weight * users,
            tf.concat([2 * errors * tastes, 2 * errors], 1) + 2 * l2[1] * weight * items,
        )
        moved, scratch = zip(
            *(
                move_table(
                    optimizer, table, index, gradient / tf.cast(n_real, tf.float32), kept, step, rate_share
                )
                for table, index, gradient, kept in zip(tables, indices, gradients, loop.scratch, strict=True)
            ),
            strict=True,
        )
        n_users, n_items = map(n_rows_of, tables)
        sums = BlockSums(
            loop.sums.by_user + tf.math.unsorted_segment_sum(of_tastes, user_index, n_users),
            loop.sums.by_item - tf.math.unsorted_segment_sum(scales * of_tastes, item_index, n_items),
            loop.sums.loss + tf.cast(tf.reduce_sum(tf.square(errors)), tf.float64),
        )
        return _Loop(loop.number + 1, FactorState(step, *moved), sums, (scratch[0], scratch[1]))

    def run_steps(  # noqa: PLR0917  As Block says.
        batches: Batches,
        first: tf.Tensor,
        stop: tf.Tensor,
        state: FactorState,
        rate_share: tf.Tensor,
        l2: tf.Tensor,
        implicit: Implicit,
        sums: BlockSums,
    ) -> tuple[FactorState, BlockSums]:
        scratch = tuple(
            tf.zeros(n_rows_of(table), tf.int32) for table in (state.user_table, state.item_table)
        )
        end = tf.while_loop(
            lambda *loop: _Loop(*loop).number < stop,
            lambda *loop: run_step(batches, rate_share, l2, implicit, _Loop(*loop)),
            _Loop(first, state, sums, scratch),
        )
        return _Loop(*end).state, _Loop(*end).sums

    return CompiledFunction(run_steps, f"svd_plus_plus {size} {optimizer} {batch_size}")
