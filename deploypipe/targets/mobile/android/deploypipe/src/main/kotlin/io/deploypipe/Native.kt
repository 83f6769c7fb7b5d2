package io.deploypipe

import java.nio.ByteBuffer

/** The functions of deploypipe_jni.cpp. Texts are UTF-8; models and results are pointers of C. */
internal object Native {
    init {
        System.loadLibrary("deploypipe_jni")
    }

    @JvmStatic external fun version(): ByteArray

    @JvmStatic
    external fun open(
        path: ByteArray,
        runtimeLibrary: ByteArray?,
        temporaryFolder: ByteArray?,
        threads: Int,
        withoutOpLibraries: Boolean,
    ): Long

    @JvmStatic external fun close(model: Long)

    @JvmStatic external fun manifest(model: Long): ByteArray

    @JvmStatic external fun runtimeVersion(model: Long): ByteArray

    @JvmStatic external fun verify(model: Long): ByteArray

    @JvmStatic external fun run(model: Long, dtypes: IntArray, shapes: Array<LongArray>, buffers: Array<ByteBuffer>): Long

    @JvmStatic external fun runImage(model: Long, pixels: ByteArray, width: Int, height: Int, channels: Int): Long

    @JvmStatic external fun count(results: Long): Int

    @JvmStatic external fun dtype(results: Long, index: Int): Int

    @JvmStatic external fun shape(results: Long, index: Int): LongArray

    @JvmStatic external fun data(results: Long, index: Int): ByteArray

    @JvmStatic
    external fun classes(model: Long, results: Long, output: Int, row: Long, probabilities: DoubleArray): Array<ByteArray>

    @JvmStatic external fun free(results: Long)
}
