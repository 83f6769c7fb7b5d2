package io.deploypipe

import android.content.Context
import android.graphics.Bitmap
import java.io.File

/** What the Android system has to do with bundles and images. */
object Assets {
    /** Copies the bundle among the app's assets to a file, since the C API opens files; one that is there stays. */
    fun bundle(context: Context, name: String = "model.dpb.zip"): File {
        val installed = context.packageManager.getPackageInfo(context.packageName, 0).lastUpdateTime
        val file = File(context.filesDir, "$installed-$name")
        if (file.exists()) return file
        context.filesDir.listFiles { each -> each.name.endsWith("-$name") }?.forEach { it.delete() }
        val part = File(context.filesDir, "$name.part")
        context.assets.open(name).use { input -> part.outputStream().use { input.copyTo(it) } }
        check(part.renameTo(file)) { "$file cannot be written" }
        return file
    }
}

/** The pixels of a bitmap as red, green and blue. */
fun Bitmap.toImage(): Image {
    val colors = IntArray(width * height)
    getPixels(colors, 0, width, 0, 0, width, height)
    val pixels = ByteArray(3 * colors.size) { (colors[it / 3] shr (16 - 8 * (it % 3))).toByte() }
    return Image(pixels, width, height, 3)
}
