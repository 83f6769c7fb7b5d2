package io.deploypipe;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;

/**
 * Says the same as fake_jvm.cpp: BUNDLE RUNTIME_LIBRARY TEMPORARY_FOLDER IMAGE, where the image is 64 gray bytes of 8 x 8
 * pixels.
 */
final class Main {
    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static String text(byte[] bytes) {
        return new String(bytes, StandardCharsets.UTF_8);
    }

    private static long open(String path, String[] words) {
        return Native.open(bytes(path), bytes(words[1]), bytes(words[2]), 1, true);
    }

    private static ByteBuffer tensor(byte[] pixels) {
        ByteBuffer buffer = ByteBuffer.allocateDirect(4 * pixels.length).order(ByteOrder.nativeOrder());
        for (byte pixel : pixels) {
            buffer.putFloat((float) ((pixel & 0xff) / 255.0));
        }
        return buffer;
    }

    private static void refused(Runnable action) {
        try {
            action.run();
            System.out.println("not refused");
        } catch (DeployException error) {
            System.out.println(error.status + ": " + error.getMessage() + ". " + error.cure);
        }
    }

    public static void main(String[] words) throws Exception {
        long model = open(words[0], words);
        System.out.println(text(Native.version()) + " " + text(Native.runtimeVersion(model)));
        System.out.println(Native.manifest(model).length);
        System.out.println(text(Native.verify(model)));

        byte[] pixels = Files.readAllBytes(Path.of(words[3]));
        long ofImage = Native.runImage(model, pixels, 8, 8, 1);
        System.out.println(Native.count(ofImage) + " " + Native.dtype(ofImage, 0));
        long[] shape = Native.shape(ofImage, 0);
        System.out.println(Arrays.toString(shape));
        double[] probabilities = new double[(int) shape[1]];
        byte[][] labels = Native.classes(model, ofImage, 0, 0, probabilities);
        System.out.println(text(labels[0]) + " " + String.format(Locale.ROOT, "%.6f", probabilities[0]));

        int[] dtypes = {1};
        long[][] shapes = {{1, 1, 8, 8}};
        ByteBuffer[] buffers = {tensor(pixels)};
        long ofTensor = Native.run(model, dtypes, shapes, buffers);
        System.out.println(Arrays.equals(Native.data(ofImage, 0), Native.data(ofTensor, 0)));

        refused(() -> open(words[0] + "/nowhere", words));
        refused(() -> Native.run(model, new int[] {9}, shapes, buffers));
        refused(() -> Native.run(model, dtypes, new long[][] {{2, 1, 8, 8}}, buffers));
        refused(() -> Native.run(model, dtypes, new long[][] {{1L << 40, 1L << 40, 8, 8}}, buffers));
        refused(() -> Native.run(model, dtypes, shapes, new ByteBuffer[] {ByteBuffer.allocate(256)}));
        refused(() -> Native.runImage(model, pixels, 9, 8, 1));
        refused(() -> Native.runImage(model, pixels, 1 << 30, 1 << 30, 4));
        refused(() -> Native.data(ofImage, 1));
        Native.free(ofTensor);
        Native.free(ofImage);
        Native.close(model);
    }
}
