package io.deploypipe.app

import android.annotation.SuppressLint
import android.content.Context
import android.graphics.Bitmap
import android.graphics.Canvas
import android.graphics.Color
import android.graphics.Paint
import android.view.MotionEvent
import android.view.View

/** A dark square for light strokes; each touch begins anew, and calls `done` when the finger is lifted. */
@SuppressLint("ViewConstructor")
class DrawingView(context: Context, private val done: () -> Unit) : View(context) {
    /** What is drawn. */
    val bitmap: Bitmap = Bitmap.createBitmap(SIZE, SIZE, Bitmap.Config.ARGB_8888)

    private val canvas = Canvas(bitmap)
    private val paint = Paint(Paint.ANTI_ALIAS_FLAG).apply {
        color = Color.WHITE
        strokeWidth = SIZE / 8f
        strokeCap = Paint.Cap.ROUND
    }
    private var x0 = 0f
    private var y0 = 0f

    init {
        canvas.drawColor(Color.BLACK)
    }

    override fun onMeasure(width: Int, height: Int) {
        val side = minOf(MeasureSpec.getSize(width), MeasureSpec.getSize(height) / 2)
        setMeasuredDimension(side, side)
    }

    override fun onDraw(canvas: Canvas) {
        val scale = width / SIZE.toFloat()
        canvas.scale(scale, scale)
        canvas.drawBitmap(bitmap, 0f, 0f, null)
    }

    @SuppressLint("ClickableViewAccessibility")
    override fun onTouchEvent(event: MotionEvent): Boolean {
        val x = event.x * SIZE / width
        val y = event.y * SIZE / width
        when (event.action) {
            MotionEvent.ACTION_DOWN -> canvas.drawColor(Color.BLACK)
            MotionEvent.ACTION_MOVE -> canvas.drawLine(x0, y0, x, y, paint)
            MotionEvent.ACTION_UP -> done()
        }
        x0 = x
        y0 = y
        invalidate()
        return true
    }

    private companion object {
        const val SIZE = 224
    }
}
