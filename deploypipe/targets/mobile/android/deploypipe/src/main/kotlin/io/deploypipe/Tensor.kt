package io.deploypipe

import java.nio.ByteBuffer
import java.nio.ByteOrder

/** Element types, with their numbers in deploypipe.h. */
enum class DType(internal val number: Int, val bytes: Int) {
    FLOAT32(1, 4),
    FLOAT64(2, 8),
    INT8(3, 1),
    UINT8(4, 1),
    INT32(5, 4),
    INT64(6, 8),
    BOOL(7, 1);

    internal companion object {
        fun of(number: Int): DType = values().first { it.number == number }
    }
}

/**
 * A dense row-major tensor.
 *
 * @property shape Its sizes, the outermost first.
 * @property data Its bytes in the order of this machine; `data.asFloatBuffer()` and the like read them.
 */
class Tensor(val dtype: DType, val shape: LongArray, data: ByteBuffer) {
    val data: ByteBuffer = data.order(ByteOrder.nativeOrder())

    /** The values of a FLOAT32 tensor. */
    fun floats(): FloatArray {
        check(dtype == DType.FLOAT32) { "This tensor is $dtype" }
        return data.duplicate().order(ByteOrder.nativeOrder()).asFloatBuffer().let { FloatArray(it.remaining()).also(it::get) }
    }

    /** The memory that the C side reads: the tensor's own where it is a direct buffer, else a copy. */
    internal fun direct(): ByteBuffer {
        if (data.isDirect && data.position() == 0) return data
        return ByteBuffer.allocateDirect(data.remaining()).put(data.duplicate())
    }

    companion object {
        /** A FLOAT32 tensor of these values. */
        fun of(values: FloatArray, vararg shape: Long): Tensor {
            val data = ByteBuffer.allocateDirect(4 * values.size).order(ByteOrder.nativeOrder())
            data.asFloatBuffer().put(values)
            return Tensor(DType.FLOAT32, shape, data)
        }
    }
}

/** An image: rows from the top, pixels from the left, 1 (gray), 3 (RGB) or 4 (RGBA) bytes each. */
class Image(val pixels: ByteArray, val width: Int, val height: Int, val channels: Int)

/** One class of an output. */
data class Classified(val label: String, val probability: Double)
