package io.deploypipe

import java.io.File

/**
 * A bundle that is open: it verifies itself, it runs, it is closed. Threads may share it.
 *
 * ```
 * Model.open(Assets.bundle(context), context.cacheDir).use { model ->
 *     check(model.verify().passed)
 *     model.runImage(image).use { results -> model.classes(results).first().label }
 * }
 * ```
 */
class Model private constructor(pointer: Long) : AutoCloseable {
    private val handle = Handle(pointer, "The model", Native::close)

    /** The text of manifest.json. */
    val manifest: String get() = handle.use { Native.manifest(it).decodeToString() }

    /** The version of the runtime that was loaded, or "". */
    val runtimeVersion: String get() = handle.use { Native.runtimeVersion(it).decodeToString() }

    /** Runs the golden vectors on this very device and judges the outputs by the limits in the manifest. */
    fun verify(): Verdict = Verdict.parse(handle.use { Native.verify(it).decodeToString() })

    /** Runs the model once on inputs in the order of its inputs. */
    fun run(vararg inputs: Tensor): Results {
        val dtypes = IntArray(inputs.size) { inputs[it].dtype.number }
        val shapes = Array(inputs.size) { inputs[it].shape }
        val buffers = Array(inputs.size) { inputs[it].direct() }
        return Results(handle.use { Native.run(it, dtypes, shapes, buffers) })
    }

    /** Prepares an image as the manifest says and runs the model on it. */
    fun runImage(image: Image): Results =
        Results(handle.use { Native.runImage(it, image.pixels, image.width, image.height, image.channels) })

    /** The classes of one row of an output, the most probable first. */
    fun classes(results: Results, output: Int = 0, row: Long = 0): List<Classified> {
        val probabilities = DoubleArray(results.shape(output).lastOrNull()?.toInt() ?: 0)
        val labels = handle.use { model ->
            results.handle.use { Native.classes(model, it, output, row, probabilities) }
        }
        return labels.mapIndexed { index, label -> Classified(label.decodeToString(), probabilities[index]) }
    }

    override fun close() = handle.close()

    companion object {
        /** The version of the C library. */
        val version: String get() = Native.version().decodeToString()

        /**
         * Checks every file of a bundle against its manifest, then loads it into its runtime.
         *
         * @param bundle A folder, or a zip of one.
         * @param temporaryFolder Where a zip is unpacked: `context.cacheDir`.
         * @param runtimeLibrary File of the runtime's library; null: the one that Gradle has put into the app.
         * @param threads Threads of one run.
         * @param withoutOpLibraries Its op libraries stay unused. Those that are built for Linux do not load on Android.
         * @throws DeployException The bundle is damaged, or its runtime is not there.
         */
        fun open(
            bundle: File,
            temporaryFolder: File,
            runtimeLibrary: File? = null,
            threads: Int = 1,
            withoutOpLibraries: Boolean = true,
        ): Model {
            val library = runtimeLibrary?.path?.encodeToByteArray()
            val folder = temporaryFolder.path.encodeToByteArray()
            return Model(Native.open(bundle.path.encodeToByteArray(), library, folder, threads, withoutOpLibraries))
        }
    }
}

/** What a run gave. It lies in the memory of C until it is closed. */
class Results internal constructor(pointer: Long) : AutoCloseable {
    internal val handle = Handle(pointer, "The result", Native::free)

    /** How many outputs there are. */
    val size: Int get() = handle.use(Native::count)

    /** A copy of an output. */
    operator fun get(index: Int): Tensor = handle.use {
        val data = java.nio.ByteBuffer.wrap(Native.data(it, index))
        Tensor(DType.of(Native.dtype(it, index)), Native.shape(it, index), data)
    }

    internal fun shape(index: Int): LongArray = handle.use { Native.shape(it, index) }

    override fun close() = handle.close()
}
