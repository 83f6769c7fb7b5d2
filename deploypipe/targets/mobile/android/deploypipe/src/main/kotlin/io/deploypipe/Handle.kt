package io.deploypipe

import java.util.concurrent.locks.ReentrantReadWriteLock
import kotlin.concurrent.read
import kotlin.concurrent.write

/** A pointer of C that several threads use at once, and that is freed when none of them does. */
internal class Handle(private var pointer: Long, private val what: String, private val free: (Long) -> Unit) {
    private val lock = ReentrantReadWriteLock()

    fun <T> use(action: (Long) -> T): T = lock.read {
        check(pointer != 0L) { "$what is closed" }
        action(pointer)
    }

    fun close() = lock.write {
        if (pointer != 0L) free(pointer)
        pointer = 0L
    }
}
