package io.deploypipe;

import java.nio.ByteBuffer;

/** What Native.kt declares, for a JVM without Kotlin. */
final class Native {
    static {
        System.loadLibrary("deploypipe_jni");
    }

    static native byte[] version();

    static native long open(
            byte[] path, byte[] runtimeLibrary, byte[] temporaryFolder, int threads, boolean withoutOpLibraries);

    static native void close(long model);

    static native byte[] manifest(long model);

    static native byte[] runtimeVersion(long model);

    static native byte[] verify(long model);

    static native long run(long model, int[] dtypes, long[][] shapes, ByteBuffer[] buffers);

    static native long runImage(long model, byte[] pixels, int width, int height, int channels);

    static native int count(long results);

    static native int dtype(long results, int index);

    static native long[] shape(long results, int index);

    static native byte[] data(long results, int index);

    static native byte[][] classes(long model, long results, int output, long row, double[] probabilities);

    static native void free(long results);
}
