package io.deploypipe

/**
 * What is wrong, and what to do about it. The C++ side makes it, from UTF-8.
 *
 * @property status A `dp_status` of deploypipe.h.
 * @property cure One sentence, or "".
 */
class DeployException(val status: Int, message: ByteArray, cure: ByteArray) :
    RuntimeException(message.decodeToString()) {
    val cure: String = cure.decodeToString()
}
