package io.deploypipe.app

import android.app.Activity
import android.os.Bundle
import android.widget.LinearLayout
import android.widget.TextView
import io.deploypipe.Assets
import io.deploypipe.DeployException
import io.deploypipe.Image
import io.deploypipe.Model
import io.deploypipe.toImage
import java.util.concurrent.Executors

/** Shows what the bundle says of itself on this device, and, if it verified itself, the classes of what is drawn. */
class MainActivity : Activity() {
    private val worker = Executors.newSingleThreadExecutor()
    private lateinit var verdict: TextView
    private lateinit var classes: TextView
    private lateinit var drawing: DrawingView

    // Both belong to the worker.
    private var model: Model? = null
    private var verified = false

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        verdict = TextView(this)
        classes = TextView(this)
        drawing = DrawingView(this, ::classify)
        setContentView(LinearLayout(this).apply {
            orientation = LinearLayout.VERTICAL
            listOf(verdict, drawing, classes).forEach(::addView)
        })
        worker.execute(::open)
    }

    override fun onDestroy() {
        worker.execute { model?.close() }
        worker.shutdown()
        super.onDestroy()
    }

    private fun open() {
        val said = try {
            val opened = Model.open(Assets.bundle(this), cacheDir)
            model = opened
            val found = opened.verify()
            verified = found.passed
            if (verified) "verified on this device" else found.failures.joinToString("\n")
        } catch (error: DeployException) {
            "${error.message}. ${error.cure}"
        }
        runOnUiThread { verdict.text = said }
    }

    private fun classify() {
        val image = drawing.bitmap.toImage()
        worker.execute {
            val said = model?.takeIf { verified }?.let { classesOf(it, image) } ?: return@execute
            runOnUiThread { classes.text = said }
        }
    }

    private fun classesOf(model: Model, image: Image): String = try {
        val began = System.nanoTime()
        val classes = model.runImage(image).use { model.classes(it) }
        val milliseconds = (System.nanoTime() - began) / 1e6
        val lines = classes.take(3).map { "%s  %.1f %%".format(it.label, 100 * it.probability) }
        (lines + "%.2f ms".format(milliseconds)).joinToString("\n")
    } catch (error: DeployException) {
        "${error.message}. ${error.cure}"
    }
}
